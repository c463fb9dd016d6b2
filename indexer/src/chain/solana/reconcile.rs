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
/// node's choice, `least` or later. One above `tip` answers nothing: it is not known what the events make of it, so the same
/// is asked again.
pub(super) async fn differences(
    rpc: &Rpc,
    ground: &Ground,
    (least, tip): (u64, u64),
    questions: &[Question],
) -> Result<Result<Vec<Option<String>>, RpcError>, Error> {
    let mut differences = Vec::with_capacity(questions.len());
    for (subject, state) in questions {
        let State::Deal(asked) = state else {
            differences.push(None);
            continue;
        };
        let told = rpc.final_account(from_key(&deal_address(asked.deal)), least).await;
        let (slot, data) = match told {
            Ok((slot, _)) if slot < least || slot > tip => return Ok(Err(not_read(slot, (least, tip)))),
            Ok(told) => told,
            Err(error) => return Ok(Err(error)),
        };
        let reader = &mut *ground.shared.db.reader().acquire().await?;
        let Some(State::Deal(ours)) = as_of(reader, subject, slot).await? else {
            return Ok(Err(not_read(slot, (least, tip))));
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

fn not_read(slot: u64, (least, tip): (u64, u64)) -> RpcError {
    let reason = format!("it is told as of slot {slot}, and not of one from {least} to {tip}");
    RpcError::Unknown { method: "getAccountInfo", reason }
}
