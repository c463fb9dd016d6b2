//! What a history says, in words of no chain: who, how much, when, what. `README.md` is the format's documentation; a
//! vector is a [`Vector`] as JSON.

mod act;
mod amount;
mod outcome;
mod setting;
mod who;

use protocol::deal::Status;
use serde::{Deserialize, Serialize, de::Error as _};

pub use self::{
    act::{Act, BallotWords, By, How, Offered, Signed},
    amount::Amount,
    outcome::{Outcome, Paid, StateWords},
    setting::{Asset, DealWords, ListWords, PoolWords, Setting},
    who::Who,
};

macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(D::Error::custom)
            }
        }
    };
}
as_text!(Who);
as_text!(Amount);

/// A [`Status`] by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusWord {
    None,
    Funded,
    Delivered,
    Disputed,
    Closed,
}

impl From<Status> for StatusWord {
    fn from(status: Status) -> Self {
        match status {
            Status::None => Self::None,
            Status::Funded => Self::Funded,
            Status::Delivered => Self::Delivered,
            Status::Disputed => Self::Disputed,
            Status::Closed => Self::Closed,
        }
    }
}

impl From<StatusWord> for Status {
    fn from(word: StatusWord) -> Self {
        Self::ALL[word as usize]
    }
}

/// One step: a transaction in a block of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Seconds after the step before it, or after the start.
    pub after: u64,
    /// Empty blocks before it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub blocks: u64,
    /// Which of the deals.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deal: usize,
    #[serde(flatten)]
    pub act: Act,
}

/// A step and what has to come of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    #[serde(flatten)]
    pub step: Step,
    pub expect: Outcome,
}

/// A scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    pub name: String,
    /// What it shows.
    pub about: String,
    /// The CAIP-2 namespaces of chains that it is for; all where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    pub setting: Setting,
    pub steps: Vec<Checked>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
