//! A case as the arbiter's events tell it: a table of (stage, step), and the fold of the events over it.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use protocol::{
    arbitration::{Ballots, Bounds, Vote},
    chain::{Address, case_id},
    terms::Terms,
    wire::feed::{ChainEvent, EventBody},
};
use serde::{Deserialize, Serialize};

use crate::deals::{model::concerns, position::put_in_order};

/// How far a case is. It stands where its last jury stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Disputed at the escrow; the arbiter has not been told.
    Disputed,
    /// Opened at the arbiter; the first jury of the instance is not drawn.
    Opened,
    /// The seats of the last jury are known; ballots count.
    Drawn,
    /// A second jury is opened and not drawn; the first one's ballots still count.
    Widened,
    /// A ruling is accepted; it may be appealed until it can be executed.
    Accepted,
    /// The ruling is appealed; the parent's jury is not opened yet.
    Appealed,
    /// The escrow has been told.
    Executed,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Disputed,
        Self::Opened,
        Self::Drawn,
        Self::Widened,
        Self::Accepted,
        Self::Appealed,
        Self::Executed,
    ];
}

/// What the arbiter's events do to a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `CaseOpened` of an instance's first jury.
    Open,
    /// `TargetMoved`.
    Move,
    /// `JuryDrawn`.
    Draw,
    /// `CaseOpened` of an instance's second jury.
    Widen,
    /// `BallotCast` or `BallotsCounted`.
    Count,
    /// `RulingAccepted`.
    Accept,
    /// `Appealed`.
    Appeal,
    /// `RulingExecuted`, or a `RulingAccepted` that the escrow took at once.
    Execute,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Move,
        Self::Draw,
        Self::Widen,
        Self::Count,
        Self::Accept,
        Self::Appeal,
        Self::Execute,
    ];
}

/// Why an arbiter's event does not fit a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfOrder {
    /// No opening is known.
    #[error("no opening of this jury is known")]
    NotOpened,
    /// An opening is known already.
    #[error("the case is already open")]
    AlreadyOpen,
    /// No drawing is known.
    #[error("no jury of this case is known")]
    NotDrawn,
    /// No accepted ruling is known.
    #[error("no ruling of this case is known")]
    NotAccepted,
    /// The jury is already drawn.
    #[error("the jury is already drawn")]
    AlreadyDrawn,
    /// A ruling is already accepted.
    #[error("a ruling is already accepted")]
    AlreadyAccepted,
    /// The ruling is already appealed.
    #[error("the ruling is already appealed")]
    AlreadyAppealed,
    /// The ruling is already executed.
    #[error("the ruling is already executed")]
    AlreadyExecuted,
}

/// The table of a case. An appeal begins it anew, before the parent. A ruling may be accepted without a drawn jury: the last
/// word of an appeal that seated none leaves the ruling appealed from.
///
/// # Errors
/// The event does not fit that stage; the refusal says why.
#[rustfmt::skip]
pub const fn step(from: Stage, by: Step) -> Result<Stage, OutOfOrder> {
    use OutOfOrder as O;
    use Stage as S;
    match (from, by) {
        (S::Disputed | S::Appealed, Step::Open) => Ok(S::Opened),
        (S::Opened | S::Drawn | S::Widened, Step::Open) => Err(O::AlreadyOpen),
        (S::Opened, Step::Move) => Ok(S::Opened),
        (S::Widened, Step::Move) => Ok(S::Widened),
        (S::Opened | S::Widened, Step::Draw) => Ok(S::Drawn),
        (S::Drawn, Step::Draw | Step::Move) => Err(O::AlreadyDrawn),
        (S::Drawn, Step::Widen) => Ok(S::Widened),
        (S::Opened, Step::Widen | Step::Count) => Err(O::NotDrawn),
        (S::Widened, Step::Widen) => Err(O::AlreadyOpen),
        (S::Drawn, Step::Count) => Ok(S::Drawn),
        (S::Widened, Step::Count) => Ok(S::Widened),
        (S::Opened | S::Drawn | S::Widened, Step::Accept) => Ok(S::Accepted),
        (S::Accepted, Step::Appeal) => Ok(S::Appealed),
        (S::Accepted, Step::Execute) => Ok(S::Executed),
        (S::Opened | S::Drawn | S::Widened, Step::Appeal | Step::Execute) => Err(O::NotAccepted),
        (S::Disputed, _) => Err(O::NotOpened),
        (S::Accepted, _) => Err(O::AlreadyAccepted),
        (S::Appealed, _) => Err(O::AlreadyAppealed),
        (S::Executed, _) => Err(O::AlreadyExecuted),
    }
}

/// A ballot that was cast on chain: final, and it overrides a signed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cast {
    /// The seller's share in basis points.
    pub share: u16,
    /// SHA-256 of the written reason, or zero.
    pub reason: B256,
}

/// One jury of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jury {
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// 0 is the first jury of the instance, 1 the second.
    pub jury: u8,
    /// The pool that it is drawn from, once it is.
    pub pool: Option<B256>,
    /// The block (on Solana the slot) whose hash decides the draw.
    pub target_block: u64,
    /// The drawn seed.
    pub seed: Option<B256>,
    /// The last second in which ballots of the instance count, once drawn.
    pub ends_at: Option<u64>,
    /// The jurors by seat.
    pub seats: Vec<Address>,
    /// Ballots cast on chain, by seat.
    pub cast: BTreeMap<u8, Cast>,
    /// The word of ballots that the chain has counted.
    pub counted: B256,
}

impl Jury {
    const fn new(instance: u8, jury: u8, target_block: u64) -> Self {
        Self {
            instance,
            jury,
            pool: None,
            target_block,
            seed: None,
            ends_at: None,
            seats: Vec::new(),
            cast: BTreeMap::new(),
            counted: B256::ZERO,
        }
    }

    /// What a ballot of this jury is bound to, once it is drawn.
    pub fn id(&self, deal: B256, terms: &Terms) -> Option<B256> {
        case_id(self.pool?, terms.escrow, deal, self.instance, self.jury, self.seed?).ok()
    }

    /// How many seats it has.
    pub fn size(&self) -> u8 {
        u8::try_from(self.seats.len()).unwrap_or(u8::MAX)
    }

    /// What the chain has of its ballots.
    pub fn on_chain(&self) -> Ballots {
        let size = self.size();
        self.cast.iter().fold(Ballots::from(self.counted), |word, (seat, cast)| {
            word.with_cast(*seat, cast.share, size).unwrap_or(word)
        })
    }

    /// Seats whose ballots the chain has, and seats that contradicted themselves there.
    pub fn voted(&self) -> BTreeSet<u8> {
        let word = self.on_chain();
        (0..self.size()).filter(|seat| word.vote(*seat) != Vote::Missing).collect()
    }

    /// Who sits on the seats whose ballots the chain has counted: not those that contradicted themselves.
    pub fn counted_jurors(&self) -> Vec<Address> {
        let word = self.on_chain();
        let seats = (0..self.size()).zip(&self.seats);
        seats
            .filter(|(seat, _)| matches!(word.vote(*seat), Vote::Share(_)))
            .map(|(_, juror)| *juror)
            .collect()
    }

    /// What the ballots leave of the ruling: those on chain, then the signed ones.
    pub fn bounds(&self, signed: impl IntoIterator<Item = (u8, u16)>) -> Bounds {
        let size = self.size();
        let word = signed
            .into_iter()
            .fold(self.on_chain(), |word, (seat, share)| word.with_signed(seat, share, size).unwrap_or(word));
        word.bounds(size)
    }
}

/// A ruling that the arbiter accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// The jury whose ballots determined it; the last one where none did.
    pub jury: u8,
    /// The seller's share in basis points.
    pub share: u16,
    /// Unix seconds of the block that says so.
    pub accepted_at: u64,
    /// The first second of its execution, until which it may be appealed; none when the escrow took it at once.
    pub executable_at: Option<u64>,
}

impl Ruling {
    /// The last second in which it can be appealed; none when it cannot: the chain then says the block's own time.
    pub fn appeal_until(&self) -> Option<u64> {
        self.executable_at.filter(|at| *at > self.accepted_at).map(|at| at.saturating_sub(1))
    }
}

/// The names of the events that a case is a fold of.
pub(crate) const EVENTS: [&str; 8] = [
    "CaseOpened",
    "TargetMoved",
    "JuryDrawn",
    "BallotCast",
    "BallotsCounted",
    "RulingAccepted",
    "Appealed",
    "RulingExecuted",
];

/// A case as the arbiter's events tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// How far it is.
    pub stage: Stage,
    /// Unix seconds of the dispute.
    pub disputed_at: u64,
    /// The juries in the order of their opening; at most four.
    pub juries: Vec<Jury>,
    /// The accepted rulings; at most two.
    pub rulings: Vec<Ruling>,
    /// Who appealed the first ruling.
    pub appealed_by: Option<Address>,
}

impl Case {
    /// A case at the moment of the dispute.
    pub const fn new(disputed_at: u64) -> Self {
        Self {
            stage: Stage::Disputed,
            disputed_at,
            juries: Vec::new(),
            rulings: Vec::new(),
            appealed_by: None,
        }
    }

    /// The instance that hears it: 0 is the pool of the terms, 1 its parent.
    pub fn instance(&self) -> u8 {
        self.juries.last().map_or(0, |last| last.instance)
    }

    /// A jury of the present instance, once it is drawn.
    pub fn drawn(&self, jury: u8) -> Option<&Jury> {
        let instance = self.instance();
        self.juries
            .iter()
            .find(|one| (one.instance, one.jury) == (instance, jury))
            .filter(|one| one.seed.is_some())
    }

    /// The juries of the present instance, drawn or not.
    pub fn present(&self) -> Vec<&Jury> {
        let instance = self.instance();
        self.juries.iter().filter(|one| one.instance == instance).collect()
    }

    /// The juries that the rulings are of, in the order of the rulings.
    pub fn ruling_juries(&self) -> Vec<&Jury> {
        let of = |ruling: &Ruling| {
            self.juries.iter().find(|one| (one.instance, one.jury) == (ruling.instance, ruling.jury))
        };
        self.rulings.iter().filter_map(of).collect()
    }

    /// Whether a ruling stands and is not appealed.
    pub const fn is_ruled(&self) -> bool {
        matches!(self.stage, Stage::Accepted | Stage::Executed)
    }

    /// The ruling that stands.
    pub fn ruling(&self) -> Option<&Ruling> {
        self.rulings.last().filter(|_| self.is_ruled())
    }

    fn last(&mut self) -> Result<&mut Jury, OutOfOrder> {
        self.juries.last_mut().ok_or(OutOfOrder::NotOpened)
    }

    fn jury(&mut self, instance: u8, jury: u8) -> Result<&mut Jury, OutOfOrder> {
        let known = self.juries.iter_mut().find(|one| (one.instance, one.jury) == (instance, jury));
        known.ok_or(OutOfOrder::NotDrawn)
    }

    fn apply(&mut self, event: &ChainEvent) -> Result<(), OutOfOrder> {
        match &event.body {
            EventBody::CaseOpened { instance, jury, target_block, .. } => {
                self.stage = step(self.stage, if *jury == 0 { Step::Open } else { Step::Widen })?;
                self.juries.push(Jury::new(*instance, *jury, *target_block));
            }
            EventBody::TargetMoved { target_block, .. } => {
                self.stage = step(self.stage, Step::Move)?;
                self.last()?.target_block = *target_block;
            }
            EventBody::JuryDrawn { pool, instance, ends_at, seed, seats, .. } => {
                self.stage = step(self.stage, Step::Draw)?;
                let last = self.last()?;
                // Where the pool had no list, the jury was opened as the pool's and is drawn as its parent's.
                last.instance = *instance;
                (last.pool, last.seed, last.ends_at) = (Some(*pool), Some(*seed), Some(*ends_at));
                last.seats.clone_from(seats);
            }
            EventBody::BallotCast { instance, jury, seat, share, reason, .. } => {
                self.stage = step(self.stage, Step::Count)?;
                self.jury(*instance, *jury)?.cast.insert(*seat, Cast { share: *share, reason: *reason });
            }
            EventBody::BallotsCounted { instance, jury, ballots, .. } => {
                self.stage = step(self.stage, Step::Count)?;
                self.jury(*instance, *jury)?.counted = *ballots;
            }
            EventBody::RulingAccepted { instance, jury, ballots, share, executable_at, .. } => {
                self.stage = step(self.stage, Step::Accept)?;
                self.jury(*instance, *jury)?.counted = *ballots;
                // Zero says that the escrow was told in the same call; no RulingExecuted follows.
                let executable_at = Some(*executable_at).filter(|at| *at != 0);
                if executable_at.is_none() {
                    self.stage = step(self.stage, Step::Execute)?;
                }
                self.rulings.push(Ruling {
                    instance: *instance,
                    jury: *jury,
                    share: *share,
                    accepted_at: event.block_time,
                    executable_at,
                });
            }
            EventBody::Appealed { by, .. } => {
                self.stage = step(self.stage, Step::Appeal)?;
                self.appealed_by = Some(*by);
            }
            EventBody::RulingExecuted { .. } => self.stage = step(self.stage, Step::Execute)?,
            _ => {}
        }
        Ok(())
    }
}

/// Folds what the deal's arbiter said about the deal. Events of other contracts and about other escrows are passed over;
/// the order of the chain is restored here, as in [`crate::deals::position::fold`]; stops at the first event that does not
/// fit.
pub fn fold<'a>(
    terms: &Terms,
    disputed_at: u64,
    events: impl IntoIterator<Item = &'a ChainEvent>,
) -> (Case, Option<(B256, OutOfOrder)>) {
    let mut ordered: Vec<&ChainEvent> = events
        .into_iter()
        .filter(|event| event.contract == terms.arbiter && concerns(terms, event))
        .collect();
    put_in_order(&mut ordered, |event| event);
    let mut case = Case::new(disputed_at);
    for event in ordered {
        let before = case.clone();
        if let Err(refused) = case.apply(event) {
            return (before, Some((event.id, refused)));
        }
    }
    (case, None)
}
