//! Whether a case on chain shows what an intent is for.

use alloy::primitives::U256;
use protocol::wire::intent::{IntentAction, SignedBallot};

/// A jury's stage, numbered as on every chain (`Stage` of `contracts/src/interfaces/IArbitrationPools.sol`).
pub const OPENED: u8 = 1;
/// Seats are known; ballots count.
pub const DRAWN: u8 = 2;
/// A ruling is accepted.
pub const ACCEPTED: u8 = 3;
/// It is executed.
pub const EXECUTED: u8 = 4;

/// A ballot's field: 5 bits a seat; 31 is void; from bit 155 one bit a seat, cast on chain and final.
const FIELD_BITS: usize = 5;
const VOID: u64 = 31;
const FINAL_FROM: usize = 155;
const SHARE_STEP: u16 = 500;

/// How one jury of a case stands, as far as the effects of intents show in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jury {
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// 0 is the first jury of the instance, 1 the second.
    pub jury: u8,
    /// One of the stages above.
    pub stage: u8,
    /// The word of its ballots, as the events tell it.
    pub ballots: U256,
}

/// Whether a case, told by its juries, shows what an action is for, or has gone on without it, so that there is nothing
/// left to do. The case stands where its last jury stands.
pub fn achieved(action: &IntentAction, juries: &[Jury]) -> bool {
    let (Some(first), Some(last)) = (juries.first(), juries.last()) else { return false };
    let present = (last.instance, last.jury);
    let beyond = |instance: u8, jury: u8, stage: u8| {
        present > (instance, jury) || (present == (instance, jury) && last.stage >= stage)
    };
    let ruled =
        |instance: u8| last.instance > instance || (last.instance == instance && last.stage >= ACCEPTED);
    match action {
        IntentAction::OpenCase => true,
        IntentAction::DrawJury { instance, jury } => beyond(*instance, *jury, DRAWN),
        IntentAction::OpenSecondJury { instance } => ruled(*instance) || beyond(*instance, 1, OPENED),
        IntentAction::SubmitBallots { instance, jury, ballots } => {
            let asked = juries.iter().find(|one| (one.instance, one.jury) == (*instance, *jury));
            // After a ruling nothing is counted any more.
            ruled(*instance)
                || asked.is_some_and(|one| {
                    one.stage == DRAWN && ballots.iter().all(|ballot| counted(ballot, one.ballots))
                })
        }
        IntentAction::Conclude { instance } => ruled(*instance),
        IntentAction::ExecuteRuling => last.stage >= EXECUTED,
        IntentAction::Appeal { .. } => last.instance > first.instance,
        // Of the deal itself its escrow tells, not the case (`acts.rs`).
        IntentAction::Act { .. } | IntentAction::TimeOut { .. } => false,
    }
}

/// Whether handing in this ballot would change nothing: it is counted, its seat is void, or it was cast on chain.
pub fn counted(ballot: &SignedBallot, ballots: U256) -> bool {
    let seat = usize::from(ballot.seat);
    if seat.saturating_mul(FIELD_BITS) >= FINAL_FROM {
        return false;
    }
    let field = ballots.wrapping_shr(seat.saturating_mul(FIELD_BITS)) & U256::from(VOID);
    let own = U256::from(ballot.share / SHARE_STEP).saturating_add(U256::from(1_u8));
    field == own || field == U256::from(VOID) || ballots.bit(FINAL_FROM.saturating_add(seat))
}
