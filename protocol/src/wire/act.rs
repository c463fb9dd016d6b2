//! What a party signs so that somebody else may send it, and the time-outs that anybody may send.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use super::dec;
use crate::{
    chain::{AccountId, Address},
    terms::Terms,
};

/// What a party may sign about a funded deal. Amounts in the asset's smallest unit, times in Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum PartyAct {
    /// The seller says that it delivered.
    Deliver {
        /// Hash of what was delivered.
        delivery: B256,
        /// Worthless afterwards.
        #[serde(with = "dec")]
        valid_until: u64,
    },
    /// The buyer raises the seller's total.
    Release {
        /// The seller's new total.
        #[serde(with = "dec")]
        total: u128,
    },
    /// The seller raises the buyer's total.
    Refund {
        /// The buyer's new total.
        #[serde(with = "dec")]
        total: u128,
    },
    /// A party disputes.
    Dispute {
        /// Hash of its statement.
        evidence: B256,
        /// Worthless afterwards.
        #[serde(with = "dec")]
        valid_until: u64,
    },
    /// A party adds to the dispute, on the chain itself.
    Evidence {
        /// Hash of the document.
        evidence: B256,
        /// Where it is; at most [`crate::deal::LONGEST_URI`] bytes.
        uri: String,
        /// Worthless afterwards.
        #[serde(with = "dec")]
        valid_until: u64,
    },
    /// A party agrees to close the deal; takes both parties' signatures.
    Settle {
        /// What the seller has in the end, before clamping.
        #[serde(with = "dec")]
        seller_total: u128,
        /// The deal's status that it is for, by its number ([`crate::deal::Status`]): 1, 2 or 3.
        status: u8,
        /// How many rulings the arbiter has accepted.
        rulings: u8,
        /// Worthless afterwards.
        #[serde(with = "dec")]
        valid_until: u64,
    },
    /// A party takes what is owed to it as credit, in the asset of the terms.
    Withdraw {
        /// How much.
        #[serde(with = "dec")]
        amount: u128,
        /// Who is paid; for a token on Solana an account of that token.
        to: Address,
        /// The creditor's withdrawals before: from the escrow on an EVM chain, from the deal on Solana.
        #[serde(with = "dec")]
        nonce: u64,
        /// Worthless afterwards.
        #[serde(with = "dec")]
        valid_until: u64,
    },
}

impl PartyAct {
    /// In a word, as `what` in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Deliver { .. } => "deliver",
            Self::Release { .. } => "release",
            Self::Refund { .. } => "refund",
            Self::Dispute { .. } => "dispute",
            Self::Evidence { .. } => "evidence",
            Self::Settle { .. } => "settle",
            Self::Withdraw { .. } => "withdraw",
        }
    }

    /// When the signature becomes worthless, in Unix seconds; never for a release or a refund.
    pub const fn valid_until(&self) -> Option<u64> {
        match self {
            Self::Release { .. } | Self::Refund { .. } => None,
            Self::Deliver { valid_until, .. }
            | Self::Dispute { valid_until, .. }
            | Self::Evidence { valid_until, .. }
            | Self::Settle { valid_until, .. }
            | Self::Withdraw { valid_until, .. } => Some(*valid_until),
        }
    }

    /// Who has to sign it for it to be worth anything.
    pub fn signers(&self, terms: &Terms, by: Address) -> Vec<AccountId> {
        match self {
            Self::Deliver { .. } | Self::Refund { .. } => vec![terms.seller],
            Self::Release { .. } => vec![terms.buyer],
            Self::Settle { .. } => vec![terms.buyer, terms.seller],
            Self::Dispute { .. } | Self::Evidence { .. } | Self::Withdraw { .. } => {
                [terms.buyer, terms.seller].into_iter().filter(|party| party.address == by).collect()
            }
        }
    }
}

/// How an open deal ends by itself. Anybody may send it, once its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeOut {
    /// Not delivered in time: everything left to the buyer.
    Reclaim,
    /// Not disputed in time: everything left to the seller.
    Claim,
    /// Not ruled in time: the share that the terms name.
    Lapse,
}

impl TimeOut {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reclaim, Self::Claim, Self::Lapse];

    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reclaim => "reclaim",
            Self::Claim => "claim",
            Self::Lapse => "lapse",
        }
    }
}

impl std::str::FromStr for TimeOut {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|one| one.name() == name)
            .ok_or_else(|| format!("`{name:.40}` is no time-out: reclaim, claim or lapse"))
    }
}
