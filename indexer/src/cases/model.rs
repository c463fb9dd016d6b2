//! How events add up to a case.

use alloy::primitives::B256;
use protocol::{
    arbitration::{Ballots, Bounds},
    chain::AccountId,
    deal::WHOLE,
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
        hi: WHOLE,
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

/// What a jury's word of ballots leaves of the ruling; the whole range where the jury is not known.
fn counted(jury: &Jury, word: B256) -> Bounds {
    let seats = u8::try_from(jury.seats.len()).unwrap_or(0);
    if seats == 0 { Bounds { lo: 0, hi: WHOLE } } else { Ballots::from(word).bounds(seats) }
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
        executable_at: None,
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
            case.executable_at = None;
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
        EventBody::RulingAccepted { instance, jury, ballots, share, executable_at, .. } => {
            if let Some(it) = jury_of(&mut case, *instance, *jury) {
                let bounds = counted(it, *ballots);
                (it.ballots, it.lo, it.hi) = (*ballots, bounds.lo, bounds.hi);
            }
            case.ruling = Some(*share);
            case.executable_at = Some(*executable_at).filter(|at| *at != 0);
            // Zero says that the escrow was told in the same call; no RulingExecuted follows.
            let told = case.executable_at.is_none();
            case.stage = if told { CaseStage::Executed } else { CaseStage::Accepted };
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
