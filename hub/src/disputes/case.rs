//! A case as the arbiter's events tell it: a table of (stage, step), and the fold of the events over it.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256};
use protocol::{
    arbitration::{Ballots, Bounds},
    deal::WHOLE,
    evm,
    terms::Terms,
    wire::feed::{ChainEvent, EventBody, RuleBook},
};
use serde::{Deserialize, Serialize};

use crate::deals::model::concerns;

/// How far a case is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Disputed at the escrow; the arbiter has not been told.
    Disputed,
    /// Opened at the arbiter; the jury is not drawn.
    Opened,
    /// The seats are known; ballots count.
    Drawn,
    /// The ballots determine one share.
    Accepted,
    /// The escrow has been told.
    Executed,
}

impl Stage {
    /// All of them in order.
    pub const ALL: [Self; 5] = [Self::Disputed, Self::Opened, Self::Drawn, Self::Accepted, Self::Executed];
}

/// What the arbiter's events do to a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `CaseOpened`.
    Open,
    /// `TargetMoved`.
    Move,
    /// `JuryDrawn`.
    Draw,
    /// `BallotCast` or `BallotsCounted`.
    Count,
    /// `RulingAccepted`.
    Accept,
    /// `RulingExecuted`.
    Execute,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Open, Self::Move, Self::Draw, Self::Count, Self::Accept, Self::Execute];
}

/// Why an arbiter's event does not fit a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfOrder {
    /// No opening is known.
    #[error("no opening of this case is known")]
    NotOpened,
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
    /// The ruling is already executed.
    #[error("the ruling is already executed")]
    AlreadyExecuted,
}

/// The table of a case. A case opens again, with a further jury, while no ruling is accepted. A ruling may be accepted
/// without a drawn jury: a pool that could not seat one rules by the terms.
///
/// # Errors
/// The event does not fit that stage; the refusal says why.
pub const fn step(from: Stage, by: Step) -> Result<Stage, OutOfOrder> {
    use OutOfOrder as O;
    use Stage as S;
    match by {
        Step::Open => match from {
            S::Disputed | S::Opened | S::Drawn => Ok(S::Opened),
            S::Accepted => Err(O::AlreadyAccepted),
            S::Executed => Err(O::AlreadyExecuted),
        },
        Step::Move => match from {
            S::Opened => Ok(S::Opened),
            S::Disputed => Err(O::NotOpened),
            S::Drawn => Err(O::AlreadyDrawn),
            S::Accepted => Err(O::AlreadyAccepted),
            S::Executed => Err(O::AlreadyExecuted),
        },
        Step::Draw => match from {
            S::Opened => Ok(S::Drawn),
            S::Disputed => Err(O::NotOpened),
            S::Drawn => Err(O::AlreadyDrawn),
            S::Accepted => Err(O::AlreadyAccepted),
            S::Executed => Err(O::AlreadyExecuted),
        },
        Step::Count => match from {
            S::Drawn => Ok(S::Drawn),
            S::Disputed => Err(O::NotOpened),
            S::Opened => Err(O::NotDrawn),
            S::Accepted => Err(O::AlreadyAccepted),
            S::Executed => Err(O::AlreadyExecuted),
        },
        Step::Accept => match from {
            S::Opened | S::Drawn => Ok(S::Accepted),
            S::Disputed => Err(O::NotOpened),
            S::Accepted => Err(O::AlreadyAccepted),
            S::Executed => Err(O::AlreadyExecuted),
        },
        Step::Execute => match from {
            S::Accepted => Ok(S::Executed),
            S::Disputed => Err(O::NotOpened),
            S::Opened | S::Drawn => Err(O::NotAccepted),
            S::Executed => Err(O::AlreadyExecuted),
        },
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

/// A case as the arbiter's events tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// How far it is.
    pub stage: Stage,
    /// Unix seconds of the dispute.
    pub disputed_at: u64,
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// 0 is the first jury of the instance.
    pub jury: u8,
    /// The pool that hears it now.
    pub pool: B256,
    /// The block whose hash decides the draw.
    pub target_block: Option<u64>,
    /// The drawn seed.
    pub seed: Option<B256>,
    /// The jurors by seat.
    pub seats: Vec<Address>,
    /// Ballots cast on chain, by seat.
    pub cast: BTreeMap<u8, Cast>,
    /// The lowest share that the ballots counted on chain still allow, in basis points.
    pub lo: u16,
    /// The highest.
    pub hi: u16,
    /// The accepted ruling, in basis points.
    pub ruling: Option<u16>,
    /// Unix seconds of its acceptance.
    pub accepted_at: Option<u64>,
}

impl Case {
    /// A case at the moment of the dispute.
    pub const fn new(terms: &Terms, disputed_at: u64) -> Self {
        Self {
            stage: Stage::Disputed,
            disputed_at,
            instance: 0,
            jury: 0,
            pool: terms.panel,
            target_block: None,
            seed: None,
            seats: Vec::new(),
            cast: BTreeMap::new(),
            lo: 0,
            hi: WHOLE,
            ruling: None,
            accepted_at: None,
        }
    }

    /// What a ballot of this case is bound to, once the jury is drawn.
    pub fn id(&self, deal: B256, terms: &Terms) -> Option<B256> {
        let seed = self.seed?;
        Some(evm::case_id(self.pool, terms.escrow.address, deal, self.instance, self.jury, seed))
    }

    /// The seat numbers of `wallets` on the arbiter's chain.
    pub fn seats_of<'a>(&'a self, wallets: &'a [Address]) -> impl Iterator<Item = u8> + 'a {
        (0..).zip(&self.seats).filter(|(_, seat)| wallets.contains(seat)).map(|(index, _)| index)
    }

    fn apply(&mut self, event: &ChainEvent) -> Result<(), OutOfOrder> {
        match &event.body {
            EventBody::CaseOpened { instance, jury, target_block, .. } => {
                let stage = step(self.stage, Step::Open)?;
                let (disputed_at, pool) = (self.disputed_at, self.pool);
                *self = Self {
                    stage,
                    disputed_at,
                    instance: *instance,
                    jury: *jury,
                    pool,
                    target_block: Some(*target_block),
                    seed: None,
                    seats: Vec::new(),
                    cast: BTreeMap::new(),
                    lo: 0,
                    hi: WHOLE,
                    ruling: None,
                    accepted_at: None,
                };
            }
            EventBody::TargetMoved { target_block, .. } => {
                self.stage = step(self.stage, Step::Move)?;
                self.target_block = Some(*target_block);
            }
            EventBody::JuryDrawn { pool, instance, jury, seed, seats, .. } => {
                self.stage = step(self.stage, Step::Draw)?;
                self.pool = *pool;
                self.instance = *instance;
                self.jury = *jury;
                self.seed = Some(*seed);
                self.seats.clone_from(seats);
            }
            EventBody::BallotCast { seat, share, reason, .. } => {
                self.stage = step(self.stage, Step::Count)?;
                self.cast.insert(*seat, Cast { share: *share, reason: *reason });
            }
            EventBody::BallotsCounted { lo, hi, .. } => {
                self.stage = step(self.stage, Step::Count)?;
                self.lo = *lo;
                self.hi = *hi;
            }
            EventBody::RulingAccepted { share, executable_at, .. } => {
                self.stage = step(self.stage, Step::Accept)?;
                self.ruling = Some(*share);
                self.accepted_at = Some(event.block_time);
                // Zero says that the escrow was told in the same call; no RulingExecuted follows.
                if *executable_at == 0 {
                    self.stage = step(self.stage, Step::Execute)?;
                }
            }
            EventBody::RulingExecuted { .. } => self.stage = step(self.stage, Step::Execute)?,
            _ => {}
        }
        Ok(())
    }
}

/// Folds what the deal's arbiter said about the deal. Events of other contracts and about other escrows are passed over;
/// the order of the chain is restored here; stops at the first event that does not fit.
pub fn fold<'a>(
    terms: &Terms,
    disputed_at: u64,
    events: impl IntoIterator<Item = &'a ChainEvent>,
) -> (Case, Option<(B256, OutOfOrder)>) {
    let mut ordered: Vec<&ChainEvent> = events
        .into_iter()
        .filter(|event| event.contract == terms.arbiter && concerns(terms, event))
        .collect();
    ordered.sort_by_key(|event| (event.block_number, event.log_index));
    let mut case = Case::new(terms, disputed_at);
    for event in ordered {
        if let Err(refused) = case.apply(event) {
            return (case, Some((event.id, refused)));
        }
    }
    (case, None)
}

/// Unix seconds at which voting ends: fixed by the dispute and the rule book, whoever pokes when.
pub fn voting_closes_at(disputed_at: u64, book: &RuleBook) -> u64 {
    disputed_at.saturating_add(book.opening.into()).saturating_add(book.voting.into())
}

/// Whether the ballots may be shown: every seat has voted, or nobody can any more.
pub fn revealed(case: &Case, voted: &BTreeSet<u8>, closes_at: u64, now: u64) -> bool {
    let all = !case.seats.is_empty() && (0..).zip(&case.seats).all(|(seat, _)| voted.contains(&seat));
    let ruled = matches!(case.stage, Stage::Accepted | Stage::Executed);
    all || ruled || now > closes_at
}

/// What the ballots leave of the ruling: those that were cast on chain, then the signed ones of the other seats.
pub fn bounds(case: &Case, signed: impl IntoIterator<Item = (u8, u16)>) -> Bounds {
    let seats = u8::try_from(case.seats.len()).unwrap_or(u8::MAX);
    let cast = case.cast.iter().fold(Ballots::default(), |word, (seat, cast)| {
        word.with_cast(*seat, cast.share, seats).unwrap_or(word)
    });
    let counted = signed
        .into_iter()
        .fold(cast, |word, (seat, share)| word.with_signed(seat, share, seats).unwrap_or(word));
    counted.bounds(seats)
}
