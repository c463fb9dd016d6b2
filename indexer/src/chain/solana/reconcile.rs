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
        reconcile::{Answer, Question, as_of, deal_differs},
        rpc::RpcError,
    },
    states::model::State,
};

/// After how many accounts that are not told the rest is for another time: nobody waits for a node that hangs as often as there
/// are deals.
const FAILED_MAX: usize = 2;

/// How what the accounts say differs from what the events add up to, in order; of the first questions alone where some are not
/// answered. They are told as of a final slot of the node's choice, `least` or later. One above `tip` answers nothing: it is not
/// known what the events make of it.
pub(super) async fn differences(
    rpc: &Rpc,
    ground: &Ground,
    (least, tip): (u64, u64),
    questions: &[Question],
) -> Result<Vec<Answer>, Error> {
    let (mut answers, mut failed) = (Vec::with_capacity(questions.len()), 0_usize);
    for (subject, state) in questions {
        if failed >= FAILED_MAX {
            break;
        }
        let State::Deal(asked) = state else {
            answers.push(Ok(None));
            continue;
        };
        let answer = match rpc.final_account(from_key(&deal_address(asked.deal)), least).await {
            Ok((slot, _)) if slot < least || slot > tip => Err(not_read(slot, (least, tip))),
            Ok((slot, data)) => compared(ground, subject, (slot, data), (least, tip)).await?,
            Err(error) => Err(error),
        };
        if let Err(error) = &answer {
            // The next may be answered by another node.
            rpc.0.turn_after(error);
            failed = failed.saturating_add(1);
        }
        answers.push(answer);
    }
    Ok(answers)
}

/// What a deal's account, told as of a slot, comes to.
async fn compared(
    ground: &Ground,
    subject: &str,
    (slot, data): (u64, Option<Vec<u8>>),
    bounds: (u64, u64),
) -> Result<Answer, Error> {
    let reader = &mut *ground.shared.db.reader().acquire().await?;
    let Some(State::Deal(ours)) = as_of(reader, subject, slot).await? else {
        return Ok(Err(not_read(slot, bounds)));
    };
    Ok(Ok(match data.as_deref().map(read_deal) {
        // The account of a deal that closed may be closed as well.
        None if ours.status == DealStatus::Closed => None,
        None => Some("the account is not there".to_owned()),
        Some(Ok(told)) => deal_differs(&ours, &deal_state(&told)),
        Some(Err(error)) => Some(error.to_string()),
    }))
}

fn not_read(slot: u64, (least, tip): (u64, u64)) -> RpcError {
    let reason = format!("it is told as of slot {slot}, and not of one from {least} to {tip}");
    RpcError::Unknown { method: "getAccountInfo", reason }
}
