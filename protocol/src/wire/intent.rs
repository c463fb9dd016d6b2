//! What the hub wants done on a chain. The relayer carries it and has no power over it.
//!
//! `GET /v1/intents?after=<seq>&limit=<1..100>&wait=<0..25 s>` of the hub answers an [`IntentPage`].

use alloy::primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};

use super::dec;
use crate::{
    chain::{AccountId, Address, TransactionId},
    terms::Terms,
};

/// A page of intents in order of `seq`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentPage {
    /// Intents with `seq` above the asked cursor, ascending.
    pub intents: Vec<Intent>,
    /// Ask for what comes after this next.
    #[serde(with = "dec")]
    pub cursor: u64,
}

/// One thing to be done at most once in effect, however often it is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// Position in this hub's list, from 1.
    #[serde(with = "dec")]
    pub seq: u64,
    /// The business key: equal intents have equal keys, e.g. `open/<deal>` or `ballots/<deal>/0/0`.
    pub key: String,
    /// The arbiter contract to call.
    pub arbiter: AccountId,
    /// The terms of the deal it is about.
    pub terms: Terms,
    /// What to do.
    pub action: IntentAction,
    /// Unix seconds after which doing it is pointless.
    #[serde(with = "dec")]
    pub deadline: u64,
}

/// The calls of an arbiter that a hub asks for. All are permissionless on chain; an appeal carries its party's signature.
/// Each names the step of the case that it is for, so that one which came too late is not taken for the next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum IntentAction {
    /// Open the case of a disputed deal.
    OpenCase,
    /// Draw a jury once its target block exists.
    DrawJury {
        /// As its `CaseOpened` says.
        instance: u8,
        /// 0 or 1 of that instance.
        jury: u8,
    },
    /// Open an instance's second jury.
    OpenSecondJury {
        /// 0 is the pool of the terms, 1 its parent.
        instance: u8,
    },
    /// Hand in signed ballots.
    SubmitBallots {
        /// 0 is the pool of the terms, 1 its parent.
        instance: u8,
        /// 0 or 1 of that instance.
        jury: u8,
        /// At most 31.
        ballots: Vec<SignedBallot>,
    },
    /// Speak the last word of an instance whose juries did not rule in time.
    Conclude {
        /// 0 is the pool of the terms, 1 its parent.
        instance: u8,
    },
    /// Execute an accepted ruling.
    ExecuteRuling,
    /// Bring an accepted ruling before the parent pool.
    Appeal {
        /// The buyer or the seller.
        party: Address,
        /// Unix seconds; part of what was signed.
        #[serde(with = "dec")]
        valid_until: u64,
        /// The party's, as [`crate::chain::appeal_signature`] takes it. On an EVM chain the EIP-712 signature of
        /// [`crate::evm::appeal_digest`]: 65 bytes of a key, or whatever the signing contract wants (ERC-1271).
        signature: Bytes,
    },
}

/// A juror's signed ballot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedBallot {
    /// Index of the seat in the drawn jury.
    pub seat: u8,
    /// The seller's share in basis points, a multiple of 500.
    pub share: u16,
    /// SHA-256 of the written reason, or zero.
    pub reason: B256,
    /// The juror's, as [`crate::chain::ballot_signature`] takes it. On an EVM chain the EIP-712 signature of
    /// [`crate::evm::ballot_digest`], 65 bytes.
    pub signature: Bytes,
}

/// `POST /v1/intents/progress` of the hub (information only; the hub believes the chain).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgressReport {
    /// The intent's business key.
    pub key: String,
    /// How far it is.
    pub progress: IntentProgress,
}

/// How far the relayer is with an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum IntentProgress {
    /// A transaction was broadcast.
    Sent {
        /// Which.
        transaction: TransactionId,
    },
    /// Done, by us or by somebody else, and final.
    Done {
        /// The transaction, where it was ours.
        transaction: Option<TransactionId>,
    },
    /// It cannot succeed any more.
    Failed {
        /// Why, in words.
        reason: String,
    },
}
