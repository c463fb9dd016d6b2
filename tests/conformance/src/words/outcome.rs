//! Refusal, events, payouts and states: all that comes of a step.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Amount, StatusWord};

/// What has to come of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// By this name, and then nothing else changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What is told of the deal, then of the case, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Value>,
    /// What the seller and the buyer are paid; credit is an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<Paid>,
    /// The deal afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateWords>,
    /// The case afterwards, jury by jury; not where the step is none of a case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub juries: Vec<Value>,
}

/// What the parties are paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paid {
    pub seller: Amount,
    pub buyer: Amount,
}

/// A deal's state. Times in seconds after the start; absent where the protocol says zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateWords {
    pub status: StatusWord,
    pub count: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funded_at: Option<u64>,
    pub released: Amount,
    pub refunded: Amount,
}
