//! What is asked, by whom, and how it is signed.

use serde::{Deserialize, Serialize};

use super::{Amount, ListWords, StatusWord, Who, is_default};

/// How something is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By the account that is named.
    Valid,
    /// By the forger.
    Forged,
    /// By the account that is named, which has revoked it before.
    Revoked,
}

/// A signed action. `valid_until` is in seconds after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    pub signer: Who,
    pub how: How,
    pub valid_until: i64,
}

/// Who asks: the caller for itself, or the bearer of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct By {
    pub caller: Who,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

impl From<Who> for By {
    fn from(caller: Who) -> Self {
        Self { caller, signed: None }
    }
}

/// A party's signature of an offer to settle, and the status that it was signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offered {
    pub how: How,
    pub status: StatusWord,
}

/// A ballot that is handed in: `signer` signed it, or another share where it is altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BallotWords {
    pub seat: u8,
    pub share: u16,
    pub reason: u8,
    pub signer: Who,
    #[serde(default, skip_serializing_if = "is_default")]
    pub altered: bool,
}

/// What is asked. A `u8` where the protocol has 32 bytes stands for 31 zeros and that byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do", deny_unknown_fields)]
pub enum Act {
    Fund {
        by: By,
        /// The seller's signature of the terms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seller: Option<How>,
        /// Coin sent along that nobody asked for. Only on chains where coin is sent along.
        #[serde(default, skip_serializing_if = "is_default")]
        more: u8,
    },
    Retract {
        by: By,
    },
    Deliver {
        by: By,
        delivery: u8,
    },
    Release {
        by: By,
        total: Amount,
    },
    Refund {
        by: By,
        total: Amount,
    },
    Dispute {
        by: By,
        evidence: u8,
    },
    Evidence {
        by: By,
        evidence: u8,
        /// So many times the letter x.
        uri: u16,
    },
    Reclaim {
        by: By,
    },
    Claim {
        by: By,
    },
    Settle {
        by: By,
        seller_total: Amount,
        rulings: u8,
        valid_until: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        buyer: Option<Offered>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seller: Option<Offered>,
    },
    Rule {
        by: By,
        share: u16,
    },
    Lapse {
        by: By,
    },
    Open {
        by: By,
    },
    Draw {
        by: By,
    },
    OpenSecondJury {
        by: By,
    },
    Cast {
        by: By,
        jury: u8,
        seat: u8,
        share: u16,
        reason: u8,
    },
    Submit {
        by: By,
        jury: u8,
        ballots: Vec<BallotWords>,
    },
    Conclude {
        by: By,
    },
    Appeal {
        by: By,
    },
    Execute {
        by: By,
    },
    /// The keeper publishes one more list.
    Publish {
        pool: usize,
        list: ListWords,
    },
    /// Several in one transaction, all or none, with so much more coin than they ask for. Only on chains with a purse.
    Batch {
        by: By,
        steps: Vec<(usize, Act)>,
        more: u8,
    },
}
