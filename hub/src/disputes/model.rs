//! Types and rules of a dispute: what the arbiter's events add up to, who may say what, and when ballots are shown.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, Bytes};
use protocol::{
    caip::AccountId,
    evm,
    terms::Terms,
    wire::{
        feed::{ChainEvent, EventBody, RuleBook},
        intent::SignedBallot,
    },
};
use serde::{Deserialize, Serialize};

/// A share that is the whole, in basis points.
pub const WHOLE: u16 = 10_000;
/// Ballots are cast in steps of five percent.
pub const SHARE_STEP: u16 = 500;
/// The longest URI of a piece of evidence, in bytes: the contract's own limit.
pub const URI_MAX: usize = 256;
/// The longest note to a piece of evidence or reason of a ballot, in characters.
pub const NOTE_MAX: usize = 2_000;

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
            EventBody::CaseOpened { pool, instance, jury, target_block, .. } => {
                let stage = step(self.stage, Step::Open)?;
                let (disputed_at, terms_pool) = (self.disputed_at, *pool);
                *self = Self {
                    stage,
                    disputed_at,
                    instance: *instance,
                    jury: *jury,
                    pool: terms_pool,
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
            EventBody::JuryDrawn { instance, jury, seed, seats, .. } => {
                self.stage = step(self.stage, Step::Draw)?;
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
            EventBody::RulingAccepted { share, .. } => {
                self.stage = step(self.stage, Step::Accept)?;
                self.ruling = Some(*share);
                self.accepted_at = Some(event.block_time);
            }
            EventBody::RulingExecuted { .. } => self.stage = step(self.stage, Step::Execute)?,
            _ => {}
        }
        Ok(())
    }
}

/// The escrow that an arbiter's event about a case names; none for every other event.
pub const fn escrow_of(body: &EventBody) -> Option<Address> {
    match body {
        EventBody::CaseOpened { escrow, .. }
        | EventBody::TargetMoved { escrow, .. }
        | EventBody::JuryDrawn { escrow, .. }
        | EventBody::BallotCast { escrow, .. }
        | EventBody::BallotsCounted { escrow, .. }
        | EventBody::RulingAccepted { escrow, .. }
        | EventBody::RulingExecuted { escrow, .. } => Some(*escrow),
        _ => None,
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
        .filter(|event| {
            event.contract == terms.arbiter && escrow_of(&event.body) == Some(terms.escrow.address)
        })
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
    all || now > closes_at
}

/// `evidence@1`: a reference to something that a party shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceBody {
    /// SHA-256 of what is shown.
    #[schema(value_type = String)]
    pub hash: B256,
    /// Where it can be had; at most 256 bytes.
    pub uri: String,
    /// What it shows; at most 2,000 characters.
    pub note: String,
}

/// `ballot@1`: a juror's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BallotBody {
    /// Index of the juror's seat.
    pub seat: u8,
    /// The seller's share of the whole amount in basis points, a multiple of 500.
    pub share: u16,
    /// The written reason; at most 2,000 characters. What is signed is its SHA-256, or zero when it is empty.
    pub reason: String,
    /// EIP-712 signature of the ballot, 65 bytes.
    #[schema(value_type = String)]
    pub signature: Bytes,
}

impl BallotBody {
    /// What the wallet signs for the reason: its SHA-256, or zero when there is none.
    pub fn reason_hash(&self) -> B256 {
        use sha2::{Digest, Sha256};
        if self.reason.is_empty() {
            B256::ZERO
        } else {
            B256::from_slice(&Sha256::digest(self.reason.as_bytes()))
        }
    }

    /// As the arbiter takes it.
    pub fn signed(&self) -> SignedBallot {
        SignedBallot {
            seat: self.seat,
            share: self.share,
            reason: self.reason_hash(),
            signature: self.signature.clone(),
        }
    }
}

/// Why evidence or a ballot is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no open dispute.
    #[error("the purchase is not disputed")]
    NotDisputed,
    /// Only buyer and seller show evidence.
    #[error("only the buyer and the seller of the purchase may show evidence")]
    NotParty,
    /// The URI is too long.
    #[error("uri has {0} bytes; at most {URI_MAX} are allowed")]
    UriTooLong(usize),
    /// The note or reason is too long.
    #[error("{field} has {length} characters; at most {NOTE_MAX} are allowed")]
    NoteTooLong {
        /// `note` or `reason`.
        field: &'static str,
        /// Its length in characters.
        length: usize,
    },
    /// No jury is drawn.
    #[error("no jury is drawn yet")]
    NotDrawn,
    /// Voting is over.
    #[error("voting closed at {0} (Unix seconds)")]
    VotingClosed(u64),
    /// There is no such seat.
    #[error("seat {seat}: the jury has {seats} seats, counted from 0")]
    BadSeat {
        /// The seat given.
        seat: u8,
        /// Seats of the jury.
        seats: usize,
    },
    /// The seat is another's.
    #[error("seat {seat} belongs to {juror}, which is no wallet of the author")]
    NotJuror {
        /// The seat given.
        seat: u8,
        /// Its wallet.
        juror: Address,
    },
    /// The share is not a step.
    #[error("share {0}: it must be a multiple of {SHARE_STEP} up to {WHOLE} basis points")]
    BadShare(u16),
    /// The seat has voted.
    #[error("seat {0} has already voted")]
    SecondBallot(u8),
    /// The signature is not the seat's.
    #[error("signature: {0}")]
    InvalidBallot(String),
}

impl Refusal {
    /// The refusal's name.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::NotDisputed => "not_disputed",
            Self::NotParty => "not_party",
            Self::UriTooLong(_) => "uri_too_long",
            Self::NoteTooLong { .. } => "note_too_long",
            Self::NotDrawn => "not_drawn",
            Self::VotingClosed(_) => "voting_closed",
            Self::BadSeat { .. } => "bad_seat",
            Self::NotJuror { .. } => "not_juror",
            Self::BadShare(_) => "bad_share",
            Self::SecondBallot(_) => "second_ballot",
            Self::InvalidBallot(_) => "invalid_ballot",
        }
    }

    /// The field of the record at fault.
    pub fn field(&self) -> &'static str {
        match self {
            Self::NotDisputed | Self::NotDrawn | Self::VotingClosed(_) => "/about",
            Self::NotParty => "/author",
            Self::UriTooLong(_) => "/body/uri",
            Self::NoteTooLong { field: "note", .. } => "/body/note",
            Self::NoteTooLong { .. } => "/body/reason",
            Self::BadSeat { .. } | Self::NotJuror { .. } | Self::SecondBallot(_) => "/body/seat",
            Self::BadShare(_) => "/body/share",
            Self::InvalidBallot(_) => "/body/signature",
        }
    }
}

fn short(field: &'static str, text: &str) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length > NOTE_MAX { Err(Refusal::NoteTooLong { field, length }) } else { Ok(()) }
}

/// Whether a piece of evidence may be added: `disputed` when the dispute is final and open, `party` when the author is
/// the buyer or the seller.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_evidence(body: &EvidenceBody, disputed: bool, party: bool) -> Result<(), Refusal> {
    if !disputed {
        return Err(Refusal::NotDisputed);
    }
    if !party {
        return Err(Refusal::NotParty);
    }
    if body.uri.len() > URI_MAX {
        return Err(Refusal::UriTooLong(body.uri.len()));
    }
    short("note", &body.note)
}

/// What the hub knows when a ballot arrives.
#[derive(Clone, Copy, Debug)]
pub struct Voting<'a> {
    /// The case from final events; none when the purchase is not in dispute.
    pub case: Option<&'a Case>,
    /// The deal.
    pub deal: B256,
    /// Its terms.
    pub terms: &'a Terms,
    /// Unix seconds; a ballot after it is refused.
    pub closes_at: u64,
    /// Seats that have voted, here or on chain.
    pub voted: &'a BTreeSet<u8>,
    /// The author's wallets.
    pub wallets: &'a [AccountId],
    /// Unix seconds.
    pub now: u64,
}

/// Whether a ballot may be taken; the juror's wallet when it may.
///
/// # Errors
/// The first rule that it breaks, in the order state, time, authority, amount, signature.
pub fn check_ballot(body: &BallotBody, voting: &Voting<'_>) -> Result<Address, Refusal> {
    let case = voting.case.ok_or(Refusal::NotDisputed)?;
    let (Stage::Drawn, Some(id)) = (case.stage, case.id(voting.deal, voting.terms)) else {
        return Err(match case.stage {
            Stage::Disputed | Stage::Opened | Stage::Drawn => Refusal::NotDrawn,
            Stage::Accepted | Stage::Executed => Refusal::VotingClosed(voting.closes_at),
        });
    };
    if voting.now > voting.closes_at {
        return Err(Refusal::VotingClosed(voting.closes_at));
    }
    let Some(juror) = case.seats.get(usize::from(body.seat)).copied() else {
        return Err(Refusal::BadSeat { seat: body.seat, seats: case.seats.len() });
    };
    let wallet = AccountId { chain: voting.terms.arbiter.chain, address: juror };
    if !voting.wallets.contains(&wallet) {
        return Err(Refusal::NotJuror { seat: body.seat, juror });
    }
    if body.share > WHOLE || !body.share.is_multiple_of(SHARE_STEP) {
        return Err(Refusal::BadShare(body.share));
    }
    short("reason", &body.reason)?;
    if voting.voted.contains(&body.seat) {
        return Err(Refusal::SecondBallot(body.seat));
    }
    let digest = evm::ballot_digest(voting.terms.arbiter, id, body.share, body.reason_hash());
    match evm::recover(digest, &body.signature) {
        Ok(signer) if signer == juror => Ok(juror),
        Ok(signer) => Err(Refusal::InvalidBallot(format!("it is {signer}'s, not {juror}'s"))),
        Err(error) => Err(Refusal::InvalidBallot(error.to_string())),
    }
}

/// The bounds that ballots leave for the median of the full jury of `seats`: with k = (seats + 1) / 2, the k-th highest
/// share (0 when there are fewer) and the k-th lowest (the whole when there are fewer). Equal bounds are the ruling.
pub fn bounds(shares: &[u16], seats: usize) -> (u16, u16) {
    let mut ascending = shares.to_vec();
    ascending.sort_unstable();
    let below = seats.saturating_sub(1) / 2;
    let hi = ascending.get(below).copied().unwrap_or(WHOLE);
    let lo = ascending.iter().rev().nth(below).copied().unwrap_or(0);
    (lo, hi)
}
