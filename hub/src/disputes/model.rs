//! Who may say what in a dispute: the rules of evidence and of ballots.

use std::{collections::BTreeSet, str::FromStr};

use alloy::primitives::{Address, B256, Bytes};
use protocol::{
    arbitration::{self, SHARE_STEP},
    caip::AccountId,
    deal::{LONGEST_URI, WHOLE},
    evm,
    terms::Terms,
    wire::intent::SignedBallot,
};
use serde::{Deserialize, Serialize};

use super::case::{Case, Stage};

/// The longest note to a piece of evidence or reason of a ballot, in characters.
pub const NOTE_MAX: usize = 2_000;

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
    #[error("uri has {0} bytes; at most {LONGEST_URI} are allowed")]
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
    if body.uri.len() > LONGEST_URI {
        return Err(Refusal::UriTooLong(body.uri.len()));
    }
    short("note", &body.note)
}

/// What a moment that comes by the clock is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// Voting has closed: hand in what there is.
    SubmitBallots,
    /// An accepted ruling can be executed.
    ExecuteRuling,
}

impl What {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SubmitBallots => "submit_ballots",
            Self::ExecuteRuling => "execute_ruling",
        }
    }
}

impl FromStr for What {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::SubmitBallots, Self::ExecuteRuling]
            .into_iter()
            .find(|what| what.name() == name)
            .ok_or_else(|| format!("no moment is for {name}"))
    }
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
    if !arbitration::is_share(body.share) {
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
