//! What is asked of the ledger: operations, in batches that happen as a whole. Pure.

use protocol::wire::dec;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ledger::{
    model::{Key, OperationId},
    rules::{Authority, Purpose},
};

/// The most operations of a batch.
pub const OPERATIONS_MAX: usize = 64;
/// The most entries of a transfer.
pub const LEGS_MAX: usize = 64;

/// An amount that goes to an account (above zero) or comes from it (below).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// The account.
    pub account: Key,
    /// Never zero.
    #[serde(with = "dec")]
    pub amount: i128,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "a batch has at most 64")]
pub enum Operation {
    /// Moves amounts that sum to zero in each asset.
    Transfer {
        /// Its name.
        id: OperationId,
        /// What for.
        purpose: Purpose,
        /// 2 to [`LEGS_MAX`], each on another account.
        legs: Vec<Leg>,
    },
    /// Sets an amount aside.
    Hold {
        /// Its name, and the hold's.
        id: OperationId,
        /// What for.
        purpose: Purpose,
        /// Who pays.
        from: Key,
        /// Who is paid.
        to: Key,
        /// Above zero.
        #[serde(with = "dec")]
        amount: i128,
        /// Unix milliseconds from which on it can only expire.
        expires_at: i64,
    },
    /// Pays out of a hold and frees the rest. By the payer, or by a vote.
    Capture {
        /// Its name.
        id: OperationId,
        /// The hold.
        hold: OperationId,
        /// Above zero, at most the hold's.
        #[serde(with = "dec")]
        amount: i128,
    },
    /// Gives a hold up. By the payee, or by a vote.
    Release {
        /// Its name.
        id: OperationId,
        /// The hold.
        hold: OperationId,
    },
    /// Gives back what another operation moved, in part or as a whole; an operation is reversed once. By a vote.
    Reverse {
        /// Its name.
        id: OperationId,
        /// What it undoes: a transfer from one account to one other, or a capture.
        reversed: OperationId,
        /// Above zero, at most what that moved.
        #[serde(with = "dec")]
        amount: i128,
    },
    /// Ends a hold whose time is over. By the hub.
    Expire {
        /// Its name.
        id: OperationId,
        /// The hold.
        hold: OperationId,
    },
}

impl Operation {
    /// Its name.
    pub const fn id(&self) -> OperationId {
        match self {
            Self::Transfer { id, .. }
            | Self::Hold { id, .. }
            | Self::Capture { id, .. }
            | Self::Release { id, .. }
            | Self::Reverse { id, .. }
            | Self::Expire { id, .. } => *id,
        }
    }

    /// The hold that it ends.
    pub const fn ends(&self) -> Option<OperationId> {
        match self {
            Self::Capture { hold, .. } | Self::Release { hold, .. } | Self::Expire { hold, .. } => {
                Some(*hold)
            }
            Self::Transfer { .. } | Self::Hold { .. } | Self::Reverse { .. } => None,
        }
    }

    /// The operation that it undoes.
    pub const fn reverses(&self) -> Option<OperationId> {
        match self {
            Self::Reverse { reversed, .. } => Some(*reversed),
            _ => None,
        }
    }

    /// The accounts that it names itself.
    pub fn accounts(&self) -> Vec<Key> {
        match self {
            Self::Transfer { legs, .. } => legs.iter().map(|leg| leg.account).collect(),
            Self::Hold { from, to, .. } => vec![*from, *to],
            Self::Capture { .. } | Self::Release { .. } | Self::Reverse { .. } | Self::Expire { .. } => {
                Vec::new()
            }
        }
    }
}

/// Operations that happen together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// On whose word.
    pub by: Authority,
    /// 1 to [`OPERATIONS_MAX`].
    pub operations: Vec<Operation>,
}

impl Operation {
    /// What its name stands for, on this word: a second one of the same name must have the same digest.
    pub(super) fn digest(&self, by: Authority) -> String {
        // Keys and members are written in the order of their declaration.
        let content = serde_json::to_vec(&(by, self)).unwrap_or_default();
        hex::encode(Sha256::digest(content))
    }
}
