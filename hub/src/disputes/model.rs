//! Who may say what in a dispute: the rules of evidence, of ballots, of recusals and of appeals.

use std::collections::BTreeSet;

use alloy::primitives::{B256, Bytes};
use protocol::{
    arbitration::{self, SHARE_STEP},
    chain::{self, AccountId, Address, ChainId, Signed},
    deal::{LONGEST_URI, WHOLE},
    terms::Terms,
    wire::{dec, intent::SignedBallot},
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
    /// 0 or 1 of the present instance; 0 when missing.
    #[serde(default)]
    pub jury: u8,
    /// Index of the juror's seat.
    pub seat: u8,
    /// The seller's share of the whole amount in basis points, a multiple of 500.
    pub share: u16,
    /// The written reason; at most 2,000 characters. What is signed is its SHA-256, or zero when it is empty.
    pub reason: String,
    /// The juror's wallet over the ballot, 0x-hexadecimal: 65 bytes of EIP-712, or on Solana 64 of Ed25519.
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

/// `recusal@1`: a juror has an interest in the case and steps aside, with every seat in the present instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecusalBody {
    /// Which interest, in words; at most 2,000 characters, may be empty.
    pub reason: String,
}

/// The longest signature of an appeal, in bytes.
pub const SIGNATURE_MAX: usize = 1_024;

/// `appeal@1`: a party's wallet brings the accepted ruling before the parent pool; the hub has it carried to the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppealBody {
    /// Unix seconds; part of what is signed.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub valid_until: u64,
    /// The party's wallet over the appeal, 0x-hexadecimal. On an EVM chain EIP-712 of `Appeal(deal, validUntil)`: 65 bytes of
    /// a key, at most 1,024 of a contract wallet (ERC-1271). On Solana the 64 bytes of Ed25519.
    #[schema(value_type = String)]
    pub signature: Bytes,
}

/// Why evidence, a ballot, a recusal or an appeal is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no open dispute.
    #[error("the purchase is not disputed")]
    NotDisputed,
    /// Only buyer and seller show evidence and appeal.
    #[error("only the buyer and the seller of the purchase may do this")]
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
    /// No such jury is drawn.
    #[error("jury {0} of the present instance is not drawn")]
    NotDrawn(u8),
    /// There is no ruling.
    #[error("no ruling is accepted yet")]
    NotAccepted,
    /// The ruling cannot be appealed.
    #[error("the ruling cannot be appealed: {0}")]
    NotAppealable(&'static str),
    /// The time for appeal is over.
    #[error("the ruling could be appealed until {0} (Unix seconds)")]
    AppealClosed(u64),
    /// The party has appealed, or somebody has.
    #[error("the ruling is appealed already")]
    AlreadyAppealed,
    /// The signature is worthless by now.
    #[error("valid_until {0} (Unix seconds) has passed")]
    SignatureExpired(u64),
    /// The signature is too long.
    #[error("signature has {0} bytes; at most {SIGNATURE_MAX} are allowed")]
    SignatureTooLong(usize),
    /// The signature is not the party's.
    #[error("signature: {0}")]
    InvalidAppeal(String),
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
    /// The author has no seat.
    #[error("no wallet of the author has a seat on a jury of the present instance")]
    NoSeat,
    /// What is signed stands.
    #[error("seat {0} of the author has voted, and that stands")]
    HasVoted(u8),
    /// The author has stepped aside.
    #[error("the author has stepped aside in this case")]
    Recused,
}

impl Refusal {
    /// The refusal's name.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::NotDisputed => "not_disputed",
            Self::NotParty => "not_party",
            Self::UriTooLong(_) => "uri_too_long",
            Self::NoteTooLong { .. } => "note_too_long",
            Self::NotDrawn(_) => "not_drawn",
            Self::NotAccepted => "not_accepted",
            Self::NotAppealable(_) => "not_appealable",
            Self::AppealClosed(_) => "appeal_closed",
            Self::AlreadyAppealed => "already_appealed",
            Self::SignatureExpired(_) => "signature_expired",
            Self::SignatureTooLong(_) => "signature_too_long",
            Self::InvalidAppeal(_) => "invalid_appeal",
            Self::VotingClosed(_) => "voting_closed",
            Self::BadSeat { .. } => "bad_seat",
            Self::NotJuror { .. } | Self::NoSeat => "not_juror",
            Self::HasVoted(_) => "has_voted",
            Self::Recused => "recused",
            Self::BadShare(_) => "bad_share",
            Self::SecondBallot(_) => "second_ballot",
            Self::InvalidBallot(_) => "invalid_ballot",
        }
    }

    /// The field of the record at fault.
    pub fn field(&self) -> &'static str {
        match self {
            Self::NotDisputed
            | Self::VotingClosed(_)
            | Self::NotAccepted
            | Self::NotAppealable(_)
            | Self::AppealClosed(_)
            | Self::AlreadyAppealed
            | Self::HasVoted(_)
            | Self::Recused => "/about",
            Self::NotDrawn(_) => "/body/jury",
            Self::SignatureExpired(_) => "/body/valid_until",
            Self::NotParty | Self::NoSeat => "/author",
            Self::UriTooLong(_) => "/body/uri",
            Self::NoteTooLong { field: "note", .. } => "/body/note",
            Self::NoteTooLong { .. } => "/body/reason",
            Self::BadSeat { .. } | Self::NotJuror { .. } | Self::SecondBallot(_) => "/body/seat",
            Self::BadShare(_) => "/body/share",
            Self::InvalidBallot(_) | Self::SignatureTooLong(_) | Self::InvalidAppeal(_) => "/body/signature",
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
    pub ends_at: u64,
    /// Seats of its jury that have voted, here or on chain.
    pub voted: &'a BTreeSet<u8>,
    /// The author's wallets.
    pub wallets: &'a [AccountId],
    /// Whether one of them has stepped aside.
    pub recused: bool,
    /// Unix seconds.
    pub now: u64,
}

/// Whether a ballot may be taken; the juror's wallet when it may.
///
/// # Errors
/// The first rule that it breaks, in the order state, time, authority, amount, signature.
pub fn check_ballot(body: &BallotBody, voting: &Voting<'_>) -> Result<Address, Refusal> {
    let case = voting.case.ok_or(Refusal::NotDisputed)?;
    match case.stage {
        Stage::Drawn | Stage::Widened => {}
        Stage::Disputed | Stage::Opened => return Err(Refusal::NotDrawn(body.jury)),
        Stage::Accepted | Stage::Appealed | Stage::Executed => {
            return Err(Refusal::VotingClosed(voting.ends_at));
        }
    }
    let jury = case.drawn(body.jury).ok_or(Refusal::NotDrawn(body.jury))?;
    let id = jury.id(voting.deal, voting.terms).ok_or(Refusal::NotDrawn(body.jury))?;
    if voting.now > voting.ends_at {
        return Err(Refusal::VotingClosed(voting.ends_at));
    }
    let Some(juror) = jury.seats.get(usize::from(body.seat)).copied() else {
        return Err(Refusal::BadSeat { seat: body.seat, seats: jury.seats.len() });
    };
    let wallet = AccountId { chain: voting.terms.arbiter.chain, address: juror };
    if !voting.wallets.contains(&wallet) {
        return Err(Refusal::NotJuror { seat: body.seat, juror });
    }
    if voting.recused {
        return Err(Refusal::Recused);
    }
    if !arbitration::is_share(body.share) {
        return Err(Refusal::BadShare(body.share));
    }
    short("reason", &body.reason)?;
    if voting.voted.contains(&body.seat) {
        return Err(Refusal::SecondBallot(body.seat));
    }
    let (arbiter, reason) = (voting.terms.arbiter, body.reason_hash());
    chain::ballot_signature(arbiter, id, body.share, reason, juror, &body.signature)
        .map_err(|error| Refusal::InvalidBallot(error.to_string()))?;
    Ok(juror)
}

/// What the hub knows when a juror steps aside.
#[derive(Clone, Copy, Debug)]
pub struct Recusing<'a> {
    /// The case from final events; none when the purchase is not in dispute.
    pub case: Option<&'a Case>,
    /// The chain on which it is heard.
    pub chain: ChainId,
    /// The author's wallets.
    pub wallets: &'a [AccountId],
    /// Seats of the present instance that have voted, here or on chain, each by its jury's number and its own.
    pub voted: &'a BTreeSet<(u8, u8)>,
    /// The wallets that have stepped aside in the case.
    pub gone: &'a BTreeSet<AccountId>,
}

/// Whether a juror may step aside; the wallets on whose seats of the present instance nobody sits then.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_recusal(body: &RecusalBody, recusing: &Recusing<'_>) -> Result<BTreeSet<AccountId>, Refusal> {
    let case = recusing.case.ok_or(Refusal::NotDisputed)?;
    short("reason", &body.reason)?;
    let mut ours = BTreeSet::new();
    for jury in case.present() {
        for (seat, juror) in (0_u8..).zip(&jury.seats) {
            let wallet = AccountId { chain: recusing.chain, address: *juror };
            if !recusing.wallets.contains(&wallet) {
                continue;
            }
            if recusing.voted.contains(&(jury.jury, seat)) {
                return Err(Refusal::HasVoted(seat));
            }
            ours.insert(wallet);
        }
    }
    if ours.is_empty() {
        return Err(Refusal::NoSeat);
    }
    if ours.is_subset(recusing.gone) {
        return Err(Refusal::Recused);
    }
    ours.retain(|wallet| !recusing.gone.contains(wallet));
    Ok(ours)
}

/// What the hub knows when an appeal arrives.
#[derive(Clone, Copy, Debug)]
pub struct Appealing<'a> {
    /// The case from final events; none when the purchase is not in dispute.
    pub case: Option<&'a Case>,
    /// The wallet of the author in the terms; none when the author is no party.
    pub party: Option<AccountId>,
    /// Whether the author has appealed before.
    pub before: bool,
    /// Unix seconds.
    pub now: u64,
}

/// Whether an appeal may be carried to the chain, its signature apart; the party's wallet when it may.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_appeal(body: &AppealBody, appealing: &Appealing<'_>) -> Result<AccountId, Refusal> {
    let case = appealing.case.ok_or(Refusal::NotDisputed)?;
    if case.appealed_by.is_some() || appealing.before {
        return Err(Refusal::AlreadyAppealed);
    }
    let ruling = match case.stage {
        Stage::Executed => return Err(Refusal::NotAppealable("it is executed")),
        _ => case.ruling().ok_or(Refusal::NotAccepted)?,
    };
    let until = ruling
        .appeal_until()
        .ok_or(Refusal::NotAppealable("no parent pool can hear it in the time that the terms leave"))?;
    if appealing.now > until {
        return Err(Refusal::AppealClosed(until));
    }
    if appealing.now > body.valid_until {
        return Err(Refusal::SignatureExpired(body.valid_until));
    }
    let party = appealing.party.ok_or(Refusal::NotParty)?;
    if body.signature.len() > SIGNATURE_MAX {
        return Err(Refusal::SignatureTooLong(body.signature.len()));
    }
    Ok(party)
}

/// Who can say whether the signature of an appeal is the party's.
///
/// # Errors
/// A `valid_until` that the type cannot hold, or certainly not the party's.
pub fn appeal_signature(
    terms: &Terms,
    deal: B256,
    party: Address,
    body: &AppealBody,
) -> Result<Signed, Refusal> {
    chain::appeal_signature(terms.arbiter, deal, body.valid_until, party, &body.signature)
        .map_err(|error| Refusal::InvalidAppeal(error.to_string()))
}
