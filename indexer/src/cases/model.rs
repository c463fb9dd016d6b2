//! How events add up to a case.

use alloy::primitives::B256;
use protocol::{
    caip::AccountId,
    wire::{
        feed::{ChainEvent, EventBody},
        view::{Case, CaseStage, CastBallot, Jury},
    },
};

const fn empty_jury(instance: u8, jury: u8) -> Jury {
    Jury {
        instance,
        jury,
        pool: None,
        list: None,
        ends_at: None,
        target_block: 0,
        seed: None,
        seats: Vec::new(),
        ballots: B256::ZERO,
        lo: 0,
        hi: 10_000,
        cast: Vec::new(),
    }
}

/// The jury of that instance and number; a new one at the end where it is not known yet.
fn jury_of(case: &mut Case, instance: u8, jury: u8) -> Option<&mut Jury> {
    let known = case.juries.iter().position(|j| j.instance == instance && j.jury == jury);
    if known.is_none() {
        case.juries.push(empty_jury(instance, jury));
    }
    known.map_or_else(|| case.juries.len().checked_sub(1), Some).and_then(|index| case.juries.get_mut(index))
}

/// The case after the event. Events of other things change nothing.
pub(crate) fn fold(before: Option<Case>, event: &ChainEvent) -> Option<Case> {
    let (deal, escrow) = match &event.body {
        EventBody::CaseOpened { deal, escrow, .. }
        | EventBody::TargetMoved { deal, escrow, .. }
        | EventBody::JuryDrawn { deal, escrow, .. }
        | EventBody::BallotCast { deal, escrow, .. }
        | EventBody::BallotsCounted { deal, escrow, .. }
        | EventBody::RulingAccepted { deal, escrow, .. }
        | EventBody::Appealed { deal, escrow, .. }
        | EventBody::RulingExecuted { deal, escrow, .. } => (*deal, *escrow),
        _ => return before,
    };
    let mut case = before.unwrap_or_else(|| Case {
        deal,
        arbiter: event.contract,
        escrow: AccountId { chain: event.chain(), address: escrow },
        stage: CaseStage::Opened,
        ruling: None,
        appeal_until: None,
        appealed_by: None,
        juries: Vec::new(),
    });
    match &event.body {
        EventBody::CaseOpened { instance, jury, target_block, .. } => {
            if let Some(it) = jury_of(&mut case, *instance, *jury) {
                it.target_block = *target_block;
            }
            case.stage = CaseStage::Opened;
            case.ruling = None;
            case.appeal_until = None;
        }
        EventBody::TargetMoved { target_block, .. } => {
            if let Some(it) = case.juries.last_mut() {
                it.target_block = *target_block;
            }
        }
        EventBody::JuryDrawn { pool, instance, jury, list, ends_at, seed, seats, .. } => {
            // Where the pool had no list, the first jury was opened as the pool's and is drawn as its parent's.
            if let Some(it) = case.juries.last_mut() {
                it.instance = *instance;
            }
            if let Some(it) = jury_of(&mut case, *instance, *jury) {
                it.pool = Some(*pool);
                it.list = Some(*list);
                it.ends_at = Some(*ends_at);
                it.seed = Some(*seed);
                it.seats.clone_from(seats);
            }
            case.stage = CaseStage::Drawn;
        }
        EventBody::BallotCast { instance, jury, seat, share, reason, .. } => {
            if let Some(it) = jury_of(&mut case, *instance, *jury) {
                it.cast.retain(|ballot| ballot.seat != *seat);
                it.cast.push(CastBallot { seat: *seat, share: *share, reason: *reason });
            }
        }
        EventBody::BallotsCounted { instance, jury, ballots, lo, hi, .. } => {
            if let Some(it) = jury_of(&mut case, *instance, *jury) {
                it.ballots = *ballots;
                it.lo = *lo;
                it.hi = *hi;
            }
        }
        EventBody::RulingAccepted { share, appeal_until, .. } => {
            case.stage = CaseStage::Accepted;
            case.ruling = Some(*share);
            case.appeal_until = Some(*appeal_until).filter(|until| *until != 0);
        }
        EventBody::Appealed { by, .. } => case.appealed_by = Some(*by),
        EventBody::RulingExecuted { share, .. } => {
            case.stage = CaseStage::Executed;
            case.ruling = Some(*share);
        }
        _ => {}
    }
    Some(case)
}
