//! What the hub wants done on a chain. The relayer carries it and has no power over it.
//!
//! `GET /v1/intents?after=<seq>&limit=<1..100>&wait=<0..25 s>` of the hub answers an [`IntentPage`].

use alloy::primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};

use super::{
    act::{PartyAct, TimeOut},
    dec,
};
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
    /// The arbiter of the terms: the contract to call in a case. What is done to the deal itself is a call of its escrow.
    pub arbiter: AccountId,
    /// The terms of the deal it is about.
    pub terms: Terms,
    /// What to do.
    pub action: IntentAction,
    /// Unix seconds after which doing it is pointless.
    #[serde(with = "dec")]
    pub deadline: u64,
    /// The account that asked for it, by its id at the hub, 1 to 100 bytes: what is done in its name is held to quotas. None
    /// for the steps of a case, which are done for everybody.
    #[serde(default)]
    pub asked_by: Option<String>,
    /// What it follows from: the id of the newest final event of the deal when the hub came to want it. None for what a
    /// party signed.
    #[serde(default)]
    pub cause: Option<B256>,
}

impl Intent {
    /// The contract to call.
    pub const fn contract(&self) -> AccountId {
        match self.action {
            IntentAction::Act { .. } | IntentAction::TimeOut { .. } => self.terms.escrow,
            _ => self.arbiter,
        }
    }
}

/// What a hub asks for: steps of a case, and what is done to the deal itself for a party. All are permissionless on chain;
/// what only a party may do carries its signature. A step of a case names which one it is, so that one which came too late is
/// not taken for the next.
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
    /// Do to the deal what a party signed.
    Act {
        /// What.
        act: PartyAct,
        /// The party's signature, and for a settlement the other one's too.
        signed: Vec<PartySignature>,
    },
    /// End the deal as it ends by itself.
    TimeOut {
        /// How.
        time_out: TimeOut,
    },
}

/// A party's signature of a [`PartyAct`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartySignature {
    /// The buyer or the seller.
    pub party: Address,
    /// As [`crate::chain::act_signature`] takes it. On an EVM chain EIP-712: 65 bytes of a key, or whatever the signing
    /// contract wants (ERC-1271).
    pub signature: Bytes,
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

/// What a transaction costs. Amounts in the smallest unit of the chain's coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// Gas on an EVM chain, compute units on Solana.
    #[serde(with = "dec")]
    pub units: u64,
    /// As prices are now.
    #[serde(with = "dec")]
    pub cost_now: u128,
    /// What the relayer would spend at most, whatever prices become: on an EVM chain on one nonce, on Solana in all.
    #[serde(with = "dec")]
    pub cost_max: u128,
}

/// `POST /v1/estimates` of the relayer: what would become of an intent if it were pursued now. Nothing is signed or kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outlook {
    /// Whether it would go through now.
    pub would_succeed: bool,
    /// Whether the chain shows the effect already, so that nothing is left to do.
    pub already_done: bool,
    /// Why it would not.
    pub refusal: Option<NamedRefusal>,
    /// What it costs; where it would go through.
    pub estimate: Option<Estimate>,
    /// The quota that it would exceed now, by its name and in words.
    pub over_quota: Option<NamedRefusal>,
}

/// A rule that holds something up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedRefusal {
    /// The refusal by its name, as in `docs/protocol.md`; a quota by that of its key in the relayer's configuration.
    pub rule: String,
    /// In words.
    pub detail: String,
}

/// How far the relayer is with an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum IntentProgress {
    /// Nothing can be sent at the moment.
    Waiting {
        /// Why, in words.
        reason: String,
    },
    /// A transaction was broadcast.
    Sent {
        /// Which.
        transaction: TransactionId,
        /// What it costs.
        #[serde(default)]
        estimate: Option<Estimate>,
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
