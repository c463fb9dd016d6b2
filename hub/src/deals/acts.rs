//! What parties ask the hub to have done on chain at its relayer's expense (`act@1`), and what they ask it to do for them
//! when the time has come (`standing@1`): the rules, pure.

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::{self, AccountId, Signed},
    deal::LONGEST_URI,
    terms::Terms,
    wire::act::{PartyAct, TimeOut},
};
use serde::{Deserialize, Serialize};

use super::{position::Position, status::Status};

/// The longest signature, in bytes: of a contract wallet.
pub const SIGNATURE_MAX: usize = 1_024;
/// The most acts of one party about one deal.
pub const ACTS_MAX: i64 = 100;
/// The most acts of one account that may still be tried, over all its deals.
pub const OPEN_ACTS_MAX: i64 = 1_000;
/// For how long the relayer goes on trying what has no end of its own, in seconds.
pub const PATIENCE: u64 = 366 * 86_400;

/// `act@1`: a party's wallet has signed something to be done about its deal; the hub has it carried to the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActBody {
    /// What.
    pub act: PartyAct,
    /// The party's wallet over the act, 0x-hexadecimal. On an EVM chain EIP-712: 65 bytes of a key, at most 1,024 of a
    /// contract wallet (ERC-1271). On Solana the 64 bytes of Ed25519 over the line of the act.
    pub signature: Bytes,
}

/// `standing@1`: the time-outs that the hub is to send for a party, once their time has come. Replaces what the party asked
/// for before; empty takes it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandingBody {
    /// Each at most once.
    pub time_outs: Vec<TimeOut>,
}

/// Why an act or a standing order is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is the other party's.
    #[error("{0} is the other party's to ask for")]
    NotYours(&'static str),
    /// Not funded yet, or over.
    #[error("the deal is {}; {what} takes an open one", .status.as_str())]
    NotOpen {
        /// Where it stands.
        status: Status,
        /// What is asked.
        what: &'static str,
    },
    /// The terms have none.
    #[error("a metered deal has no {0}")]
    Metered(&'static str),
    /// Named twice.
    #[error("{0} is named twice")]
    Twice(&'static str),
    /// The signature is worthless by now.
    #[error("valid_until {0} (Unix seconds) has passed")]
    SignatureExpired(u64),
    /// The URI is too long.
    #[error("uri has {0} bytes; at most {LONGEST_URI} are allowed")]
    UriTooLong(usize),
    /// More than there is.
    #[error("{field} {total} is above the deal's amount {amount}")]
    TotalTooHigh {
        /// Of the act.
        field: &'static str,
        /// Its value.
        total: u128,
        /// Of the terms.
        amount: u128,
    },
    /// It changes nothing.
    #[error("the total is {0} already: nothing moves")]
    NothingMoves(u128),
    /// This was asked for before.
    #[error("this very act was handed in before")]
    KnownAct,
    /// Too many of one party.
    #[error("a party may hand in {ACTS_MAX} acts about a deal")]
    TooManyActs,
    /// Too many of one account.
    #[error("an account may have {OPEN_ACTS_MAX} acts that are still tried, over all its deals")]
    TooManyOpenActs,
    /// Too long.
    #[error("signature has {0} bytes; at most {SIGNATURE_MAX} are allowed")]
    SignatureTooLong(usize),
    /// Not the party's, or over something else.
    #[error("the signature does not hold: {0}")]
    InvalidSignature(String),
}

impl Refusal {
    /// The rule's name.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::NotYours(_) => "not_yours",
            Self::NotOpen { .. } => "not_open",
            Self::Metered(_) => "metered_deal",
            Self::Twice(_) => "twice",
            Self::SignatureExpired(_) => "signature_expired",
            Self::UriTooLong(_) => "uri_too_long",
            Self::TotalTooHigh { .. } => "total_too_high",
            Self::NothingMoves(_) => "nothing_moves",
            Self::KnownAct => "known_act",
            Self::TooManyActs => "too_many_acts",
            Self::TooManyOpenActs => "too_many_open_acts",
            Self::SignatureTooLong(_) => "signature_too_long",
            Self::InvalidSignature(_) => "invalid_signature",
        }
    }

    /// The member at fault.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::NotYours(_) | Self::KnownAct => "/body/act",
            Self::NotOpen { .. } | Self::TooManyActs | Self::TooManyOpenActs => "/about",
            Self::Metered(_) | Self::Twice(_) => "/body/time_outs",
            Self::SignatureExpired(_) => "/body/act/valid_until",
            Self::UriTooLong(_) => "/body/act/uri",
            Self::TotalTooHigh { .. } | Self::NothingMoves(_) => "/body/act/total",
            Self::SignatureTooLong(_) | Self::InvalidSignature(_) => "/body/signature",
        }
    }
}

/// How a deal stands when something is asked about it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its terms.
    pub terms: &'a Terms,
    /// By final events.
    pub position: &'a Position,
    /// If what was seen becomes final.
    pub likely: &'a Position,
    /// The wallet by which the author is a party.
    pub party: AccountId,
    /// Unix seconds.
    pub now: u64,
}

const fn open(position: &Position) -> bool {
    matches!(position.status, Status::Funded | Status::Delivered | Status::Disputed)
}

/// Whether an act may be handed in, but for its signature and for what was handed in before. What the chain would refuse
/// beyond this it refuses when the relayer tries it.
///
/// # Errors
/// The first rule that it breaks, in the order state, time, authority, amount.
pub fn check_act(body: &ActBody, asked: &Asked<'_>) -> Result<(), Refusal> {
    let Asked { terms, position, likely, party, now } = *asked;
    let act = &body.act;
    let taken_in = position.funded_at.is_some() || likely.funded_at.is_some();
    let possible = match act {
        PartyAct::Withdraw { .. } => taken_in,
        _ => open(position) || open(likely),
    };
    if !possible {
        return Err(Refusal::NotOpen { status: position.status, what: act.name() });
    }
    if let Some(valid_until) = act.valid_until().filter(|valid_until| *valid_until < now) {
        return Err(Refusal::SignatureExpired(valid_until));
    }
    if !act.signers(terms, party.address).contains(&party) {
        return Err(Refusal::NotYours(act.name()));
    }
    let within = |field, total| {
        if total > terms.amount {
            return Err(Refusal::TotalTooHigh { field, total, amount: terms.amount });
        }
        Ok(())
    };
    match act {
        PartyAct::Release { total } => within("total", *total)?,
        PartyAct::Refund { total } => within("total", *total)?,
        PartyAct::Settle { seller_total, .. } => within("seller_total", *seller_total)?,
        PartyAct::Evidence { uri, .. } if uri.len() > LONGEST_URI => {
            return Err(Refusal::UriTooLong(uri.len()));
        }
        _ => {}
    }
    let before = match act {
        PartyAct::Release { total } => Some((*total, position.released)),
        PartyAct::Refund { total } => Some((*total, position.refunded)),
        _ => None,
    };
    match before {
        Some((total, before)) if total <= before => Err(Refusal::NothingMoves(before)),
        _ => Ok(()),
    }
}

/// Who can say whether an act carries the party's signature.
///
/// # Errors
/// More than [`SIGNATURE_MAX`] bytes, or certainly not the party's.
pub fn signature(terms: &Terms, party: AccountId, body: &ActBody) -> Result<Signed, Refusal> {
    if body.signature.len() > SIGNATURE_MAX {
        return Err(Refusal::SignatureTooLong(body.signature.len()));
    }
    chain::act_signature(terms, party.address, &body.act, &body.signature)
        .map_err(|error| Refusal::InvalidSignature(error.to_string()))
}

/// What tells an act of a party from every other about its deal: that of the settlement is the same for both parties.
///
/// # Errors
/// It has no form on its chain.
pub fn key(terms: &Terms, deal: B256, party: AccountId, act: &PartyAct) -> Result<String, Refusal> {
    let digest = chain::act_digest(terms, party.address, act)
        .map_err(|error| Refusal::InvalidSignature(error.to_string()))?;
    Ok(match act {
        PartyAct::Settle { .. } => format!("act/{deal}/{digest}"),
        _ => format!("act/{deal}/{digest}/{}", party.address),
    })
}

/// Whether a standing order may be given. Each party may ask for what gives to it; both for the lapse.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_standing(body: &StandingBody, asked: &Asked<'_>) -> Result<(), Refusal> {
    let Asked { terms, position, party, .. } = *asked;
    if matches!(position.status, Status::Completed | Status::Refunded | Status::Confirmed) {
        return Err(Refusal::NotOpen { status: position.status, what: "a standing order" });
    }
    for (at, time_out) in body.time_outs.iter().enumerate() {
        if body.time_outs.iter().take(at).any(|before| before == time_out) {
            return Err(Refusal::Twice(time_out.name()));
        }
        let whose = match time_out {
            TimeOut::Reclaim => party == terms.buyer,
            TimeOut::Claim => party == terms.seller,
            TimeOut::Lapse => true,
        };
        if !whose {
            return Err(Refusal::NotYours(time_out.name()));
        }
        if *time_out == TimeOut::Claim && terms.metered {
            return Err(Refusal::Metered(time_out.name()));
        }
    }
    Ok(())
}

/// The time-out by which a deal ends next, and its first second. None while what was seen changes that, should it become
/// final (`likely`); what leaves the deadline as it is, evidence for one, keeps nobody waiting.
pub fn next(position: &Position, likely: &Position, terms: &Terms) -> Option<(TimeOut, u64)> {
    use super::position::Timeout;
    let ends = position.next_deadline(terms);
    let (last, then) = ends.filter(|_| likely.next_deadline(terms) == ends)?;
    let time_out = match then {
        Timeout::Void => return None,
        Timeout::Reclaim => TimeOut::Reclaim,
        Timeout::Claim => TimeOut::Claim,
        Timeout::Lapse => TimeOut::Lapse,
    };
    Some((time_out, last.saturating_add(1)))
}
