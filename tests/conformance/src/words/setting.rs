//! What there is before the first step: pools and deals.

use serde::{Deserialize, Serialize};

use super::{Amount, Who, is_default};

/// Coin or the one token there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asset {
    Coin,
    Token,
}

/// What a deal is about. Times in seconds after the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DealWords {
    pub buyer: Who,
    pub seller: Who,
    pub arbiter: Who,
    pub asset: Asset,
    pub amount: Amount,
    pub fund_by: u64,
    pub deliver_by: u64,
    pub inspection: u32,
    pub ruling: u32,
    pub lapse_share: u16,
    pub metered: bool,
    /// Which of the pools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panel: Option<usize>,
}

/// Members of a list: so many, from this one on, and perhaps the parties of the first deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListWords {
    pub from: u8,
    pub members: u8,
    #[serde(default, skip_serializing_if = "is_default")]
    pub parties: bool,
}

/// A pool. Periods in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolWords {
    pub jury_size: u8,
    pub delay: u32,
    pub opening: u32,
    pub voting: u32,
    pub appeal: u32,
    /// Which of the pools before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<usize>,
    /// Published before the start.
    pub lists: Vec<ListWords>,
}

/// What there is at the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What each of the buyers has of the token.
    pub purse: Amount,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolWords>,
    pub deals: Vec<DealWords>,
}
