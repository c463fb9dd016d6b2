//! Who votes, by which rule, and what a ballot may say.

use std::{fmt, str::FromStr};

use protocol::wire::dec;
use serde::{Deserialize, Serialize};

use crate::{
    access::Role,
    records::{RecordId, text},
};

/// The largest denominator of a share.
const DENOMINATOR_MAX: u32 = 1_000_000;

/// An exact share between 0 and 1, written `2/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    numerator: u32,
    denominator: u32,
}

/// Not a share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{value}` is not a share such as 2/3: two whole numbers, at most 1 and with a denominator of 1 to 1000000"
)]
pub struct ShareError {
    /// The text as given, cut to 40 characters.
    pub value: String,
}

impl Share {
    /// `numerator` of `denominator`; none above 1, or where the denominator is 0 or above 1,000,000.
    pub const fn new(numerator: u32, denominator: u32) -> Option<Self> {
        if denominator == 0 || denominator > DENOMINATOR_MAX || numerator > denominator {
            return None;
        }
        Some(Self { numerator, denominator })
    }

    /// Whether `part` of `whole` is at least this share. Of nothing, every part is.
    pub const fn is_met(self, part: u32, whole: u32) -> bool {
        // At most 52 bits on either side.
        (part as u64).saturating_mul(self.denominator as u64)
            >= (whole as u64).saturating_mul(self.numerator as u64)
    }

    /// Whether it is at least so many hundredths.
    pub const fn is_percent(self, percent: u32) -> bool {
        Self { numerator: percent, denominator: 100 }.is_met(self.numerator, self.denominator)
    }

    /// Whether it is more than a half.
    pub const fn is_more_than_half(self) -> bool {
        (self.numerator as u64).saturating_mul(2) > self.denominator as u64
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let read = || {
            let (numerator, denominator) = text.split_once('/')?;
            Self::new(numerator.parse().ok()?, denominator.parse().ok()?)
        };
        read()
            .filter(|share| share.to_string() == text)
            .ok_or_else(|| ShareError { value: text.chars().take(40).collect() })
    }
}

text!(Share);

/// Who may vote, as it is when the proposal opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Electorate {
    /// Everybody who is one of these in the community: at least one; each once.
    Roles(Vec<Role>),
    /// The jury that sits on this grievance. Only the hub opens such a proposal.
    Jury(RecordId),
}

impl Electorate {
    /// Whether it is everybody who belongs to the community.
    pub fn is_everybody(&self) -> bool {
        match self {
            Self::Roles(roles) => [Role::Member, Role::Steward].iter().all(|role| roles.contains(role)),
            Self::Jury(_) => false,
        }
    }
}

/// What an elector who does not vote does to a unanimous vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// Keeps it from being unanimous.
    Blocks,
    /// Agrees by silence.
    Agrees,
    /// Does not matter.
    StandsAside,
}

/// What an acceptance needs. Every elector has one vote; abstentions are present and take no side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Needs {
    /// More yes than no.
    Majority,
    /// At least this share of yes and no together, more than a half, is yes.
    Supermajority(Share),
    /// Nobody says no, somebody says yes, and the absent do as it says here.
    Unanimous(Absence),
    /// Nothing but ballots with a number: the median is the result; of an even number of ballots the lower middle one.
    Median {
        /// The least number that may be named.
        #[serde(with = "dec")]
        lowest: i64,
        /// The greatest.
        #[serde(with = "dec")]
        highest: i64,
    },
}

/// By which rule ballots become a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// How many of the electors must have voted, abstentions included.
    pub quorum: Share,
    /// What an acceptance needs.
    pub needs: Needs,
}

impl Rule {
    /// Whether a ballot may say this.
    pub const fn takes(&self, choice: &Choice) -> bool {
        match (self.needs, choice) {
            (_, Choice::Abstain) => true,
            (Needs::Median { lowest, highest }, Choice::Number(number)) => {
                lowest <= *number && *number <= highest
            }
            (Needs::Median { .. }, Choice::Yes | Choice::No) | (_, Choice::Number(_)) => false,
            (_, Choice::Yes | Choice::No) => true,
        }
    }
}

/// Who sees ballots before the close; afterwards whoever may read the proposal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ballots {
    /// Whoever may read the proposal.
    Open,
    /// Nobody but whoever cast it.
    Hidden,
}

/// What a ballot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// For it.
    Yes,
    /// Against it.
    No,
    /// Present, on no side.
    Abstain,
    /// A number, where the median is asked for.
    Number(#[serde(with = "dec")] i64),
}
