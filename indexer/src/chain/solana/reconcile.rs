//! What the program's accounts say of deals.

use protocol::{
    solana::{deal_address, deal_state, from_key, read_deal},
    wire::view::DealStatus,
};

use super::rpc::Rpc;
use crate::{
    Error,
    chain::{
        follow::Ground,
        reconcile::{Question, as_of, deal_differs},
        rpc::RpcError,
    },
    states::model::State,
};

/// How what the accounts say differs from what the events add up to, in order. They are told as of a final slot of the
/// node's choice: of one above `tip` it is not known what the events make of it, and nothing is said.
pub(super) async fn differences(
    rpc: &Rpc,
    ground: &Ground,
    tip: u64,
    questions: &[Question],
) -> Result<Result<Vec<Option<String>>, RpcError>, Error> {
    let reader = &mut *ground.shared.db.reader().acquire().await?;
    let mut differences = Vec::with_capacity(questions.len());
    for (subject, state) in questions {
        let State::Deal(asked) = state else {
            differences.push(None);
            continue;
        };
        let told = rpc.final_account(from_key(&deal_address(asked.deal))).await;
        let (slot, data) = match told {
            Ok(told) => told,
            Err(error) => return Ok(Err(error)),
        };
        let ours = if slot <= tip { as_of(&mut *reader, subject, slot).await? } else { None };
        let Some(State::Deal(ours)) = ours else {
            differences.push(None);
            continue;
        };
        differences.push(match data.as_deref().map(read_deal) {
            // The account of a deal that closed may be closed as well.
            None if ours.status == DealStatus::Closed => None,
            None => Some("the account is not there".to_owned()),
            Some(Ok(told)) => deal_differs(&ours, &deal_state(&told)),
            Some(Err(error)) => Some(error.to_string()),
        });
    }
    Ok(Ok(differences))
}
