//! The indexer's feed: every event of the watched contracts, told again whenever its finality changes.
//!
//! `GET /v1/feed?after=<seq>&limit=<1..500>&wait=<0..25 s>&feed=<id>&chain=<CAIP-2>&finality=<seen|safe|final>` answers a [`FeedPage`]; `GET /v1/events/{id}` answers one
//! [`FeedEntry`], the latest about that event.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use super::dec;
use crate::{
    chain::{AccountId, Address, ChainId, TransactionId},
    terms::Terms,
};

/// How settled an event is. An event is first told as settled as it is when it is read: as `seen`, as `safe`, or as `final`
/// where its block is final already. What follows is ever more settled, each level at most once and `safe` perhaps never; or
/// `retracted`, when its block left the chain. Should the block come back, the telling of the same event begins again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finality {
    /// In a block of the canonical chain.
    Seen,
    /// In or below the chain's `safe` block.
    Safe,
    /// In or below the chain's `finalized` block.
    Final,
    /// Its block is no longer part of the chain.
    Retracted,
}

/// Who told an entry: 16 random bytes, made whenever a process begins to work on an indexer's database. Where the entry at a
/// position has the id that it had before, the feed up to there is the one that it was. It is another one in a database that
/// was made anew, or was put back from a backup and told on.
pub type FeedId = alloy::primitives::FixedBytes<16>;

/// A page of the feed in order of `seq`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedPage {
    /// Who told the entry at `cursor`: goes with it, for `seq` alone does not say of which feed it is.
    pub feed: FeedId,
    /// Entries with `seq` above the asked cursor, ascending.
    pub entries: Vec<FeedEntry>,
    /// Ask for what comes after this next: the last entry's `seq`, or the asked cursor when there is none.
    #[serde(with = "dec")]
    pub cursor: u64,
}

/// One telling of one event. Commit order is `seq` order; there are no gaps that fill later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedEntry {
    /// Position in this indexer's feed, from 1.
    #[serde(with = "dec")]
    pub seq: u64,
    /// How settled the event is as of this entry.
    pub finality: Finality,
    /// The event itself.
    pub event: ChainEvent,
}

/// One event of a watched contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEvent {
    /// [`crate::chain::event_id`]: the same in every indexer; on an EVM chain different for the same log in another block.
    pub id: B256,
    /// The contract that emitted it. On Solana, where one program is both, the arbiter's address is the one of pools and
    /// cases and the program's that of everything else.
    pub contract: AccountId,
    /// Height of its block.
    #[serde(with = "dec")]
    pub block_number: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Unix seconds of its block.
    #[serde(with = "dec")]
    pub block_time: u64,
    /// Its transaction.
    pub transaction: TransactionId,
    /// Its place among the events of its block; on Solana of its transaction (events of one slot are told in its order).
    #[serde(with = "dec")]
    pub log_index: u64,
    /// What happened.
    pub body: EventBody,
}

impl ChainEvent {
    /// The chain it happened on.
    pub const fn chain(&self) -> ChainId {
        self.contract.chain
    }
}

/// What happened, field by field as the contract said it. Amounts are in the asset's smallest unit, shares in basis
/// points, times in Unix seconds.
#[allow(missing_docs, reason = "the fields carry the names and meanings of the contract events")]
#[allow(clippy::large_enum_variant, reason = "events are handled a few hundred at a time at most")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all_fields = "snake_case")]
pub enum EventBody {
    Funded {
        deal: B256,
        terms: Terms,
    },
    Delivered {
        deal: B256,
        delivery: B256,
        count: u8,
    },
    Released {
        deal: B256,
        #[serde(with = "dec")]
        released: u128,
        count: u8,
    },
    Refunded {
        deal: B256,
        #[serde(with = "dec")]
        refunded: u128,
        count: u8,
    },
    Disputed {
        deal: B256,
        by: Address,
        evidence: B256,
        count: u8,
    },
    Evidence {
        deal: B256,
        by: Address,
        evidence: B256,
        uri: String,
        count: u8,
    },
    Reclaimed {
        deal: B256,
        #[serde(with = "dec")]
        refunded: u128,
        count: u8,
    },
    Claimed {
        deal: B256,
        #[serde(with = "dec")]
        released: u128,
        count: u8,
    },
    Settled {
        deal: B256,
        #[serde(with = "dec")]
        released: u128,
        #[serde(with = "dec")]
        refunded: u128,
        count: u8,
    },
    Ruled {
        deal: B256,
        share: u16,
        #[serde(with = "dec")]
        released: u128,
        #[serde(with = "dec")]
        refunded: u128,
        count: u8,
    },
    Lapsed {
        deal: B256,
        #[serde(with = "dec")]
        released: u128,
        #[serde(with = "dec")]
        refunded: u128,
        count: u8,
    },
    Credited {
        deal: B256,
        creditor: Address,
        asset: Address,
        #[serde(with = "dec")]
        amount: u128,
    },
    Withdrawn {
        creditor: Address,
        asset: Address,
        #[serde(with = "dec")]
        amount: u128,
        to: Address,
    },
    Revoked {
        signer: Address,
        digest: B256,
    },
    Approved {
        signer: Address,
        digest: B256,
    },
    Retracted {
        deal: B256,
        by: Address,
    },
    PoolCreated {
        pool: B256,
        book: RuleBook,
    },
    ListPublished {
        pool: B256,
        list: u32,
        size: u32,
        #[serde(with = "dec")]
        effective_at: u64,
        pages: Vec<Address>,
    },
    CaseOpened {
        deal: B256,
        escrow: Address,
        instance: u8,
        jury: u8,
        #[serde(with = "dec")]
        target_block: u64,
    },
    TargetMoved {
        deal: B256,
        escrow: Address,
        #[serde(with = "dec")]
        target_block: u64,
    },
    JuryDrawn {
        deal: B256,
        escrow: Address,
        pool: B256,
        instance: u8,
        jury: u8,
        list: u32,
        #[serde(with = "dec")]
        ends_at: u64,
        seed: B256,
        seats: Vec<Address>,
    },
    BallotCast {
        deal: B256,
        escrow: Address,
        instance: u8,
        jury: u8,
        seat: u8,
        share: u16,
        reason: B256,
    },
    BallotsCounted {
        deal: B256,
        escrow: Address,
        instance: u8,
        jury: u8,
        ballots: B256,
        lo: u16,
        hi: u16,
    },
    RulingAccepted {
        deal: B256,
        escrow: Address,
        instance: u8,
        jury: u8,
        ballots: B256,
        share: u16,
        /// Unix seconds of the first block in which it can be executed, until which it may be appealed; zero where the
        /// escrow was told in the same call, and no `RulingExecuted` follows.
        #[serde(with = "dec")]
        executable_at: u64,
    },
    Appealed {
        deal: B256,
        escrow: Address,
        by: Address,
    },
    RulingExecuted {
        deal: B256,
        escrow: Address,
        share: u16,
    },
}

impl EventBody {
    /// Every name, in the order of the variants.
    pub const NAMES: [&str; 26] = [
        "Funded",
        "Delivered",
        "Released",
        "Refunded",
        "Disputed",
        "Evidence",
        "Reclaimed",
        "Claimed",
        "Settled",
        "Ruled",
        "Lapsed",
        "Credited",
        "Withdrawn",
        "Revoked",
        "Approved",
        "Retracted",
        "PoolCreated",
        "ListPublished",
        "CaseOpened",
        "TargetMoved",
        "JuryDrawn",
        "BallotCast",
        "BallotsCounted",
        "RulingAccepted",
        "Appealed",
        "RulingExecuted",
    ];

    /// The event's name in the contract's ABI.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Funded { .. } => "Funded",
            Self::Delivered { .. } => "Delivered",
            Self::Released { .. } => "Released",
            Self::Refunded { .. } => "Refunded",
            Self::Disputed { .. } => "Disputed",
            Self::Evidence { .. } => "Evidence",
            Self::Reclaimed { .. } => "Reclaimed",
            Self::Claimed { .. } => "Claimed",
            Self::Settled { .. } => "Settled",
            Self::Ruled { .. } => "Ruled",
            Self::Lapsed { .. } => "Lapsed",
            Self::Credited { .. } => "Credited",
            Self::Withdrawn { .. } => "Withdrawn",
            Self::Revoked { .. } => "Revoked",
            Self::Approved { .. } => "Approved",
            Self::Retracted { .. } => "Retracted",
            Self::PoolCreated { .. } => "PoolCreated",
            Self::ListPublished { .. } => "ListPublished",
            Self::CaseOpened { .. } => "CaseOpened",
            Self::TargetMoved { .. } => "TargetMoved",
            Self::JuryDrawn { .. } => "JuryDrawn",
            Self::BallotCast { .. } => "BallotCast",
            Self::BallotsCounted { .. } => "BallotsCounted",
            Self::RulingAccepted { .. } => "RulingAccepted",
            Self::Appealed { .. } => "Appealed",
            Self::RulingExecuted { .. } => "RulingExecuted",
        }
    }

    /// The deal it is about; none for withdrawals, revocations, pools and lists.
    pub const fn deal(&self) -> Option<B256> {
        match self {
            Self::Funded { deal, .. }
            | Self::Delivered { deal, .. }
            | Self::Released { deal, .. }
            | Self::Refunded { deal, .. }
            | Self::Disputed { deal, .. }
            | Self::Evidence { deal, .. }
            | Self::Reclaimed { deal, .. }
            | Self::Claimed { deal, .. }
            | Self::Settled { deal, .. }
            | Self::Ruled { deal, .. }
            | Self::Lapsed { deal, .. }
            | Self::Credited { deal, .. }
            | Self::Retracted { deal, .. }
            | Self::CaseOpened { deal, .. }
            | Self::TargetMoved { deal, .. }
            | Self::JuryDrawn { deal, .. }
            | Self::BallotCast { deal, .. }
            | Self::BallotsCounted { deal, .. }
            | Self::RulingAccepted { deal, .. }
            | Self::Appealed { deal, .. }
            | Self::RulingExecuted { deal, .. } => Some(*deal),
            Self::Withdrawn { .. }
            | Self::Revoked { .. }
            | Self::Approved { .. }
            | Self::PoolCreated { .. }
            | Self::ListPublished { .. } => None,
        }
    }
}

/// A pool's immutable rules as the chain holds them. Periods in seconds.
#[allow(missing_docs, reason = "documented at RuleBook in contracts/src/interfaces/IArbitrationPools.sol")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleBook {
    pub keeper: Address,
    pub parent: B256,
    pub jury_size: u8,
    pub delay: u32,
    pub opening: u32,
    pub voting: u32,
    pub appeal: u32,
    pub salt: B256,
}

/// `POST /v1/chain-events` of the hub: final or provisional entries in feed order, at most 100.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// What happened, in feed order; nothing, to ask what the hub has.
    pub entries: Vec<FeedEntry>,
    /// How far the feed is brought with this, for the hub to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brought: Option<Brought>,
}

/// How far a relayer has brought a chain's feed to the hub: what the relayer says, and what the hub has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brought {
    /// The chain whose entries are told.
    pub chain: ChainId,
    /// Deliveries that the hub kept something of: as far as the relayer knows, before this one; in the answer, with this one. A
    /// hub that counts fewer than the relayer knows of has lost some (it was put back from a backup), and takes nothing.
    #[serde(with = "dec")]
    pub deliveries: u64,
    /// `feed` of the page that the delivery is from.
    pub feed: FeedId,
    /// The hub has every entry up to here: what the relayer says comes true with the delivery. Where an entry is refused it stays
    /// before that.
    #[serde(with = "dec")]
    pub through: u64,
}

/// What the hub did with a [`Delivery`]; entries about nothing of the hub count in neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryReceipt {
    /// Entries that were new.
    pub applied: u32,
    /// Entries it already had.
    pub duplicates: u32,
    /// What it has of the feed of the chain of [`Delivery::brought`]; zeros where it has nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has: Option<Brought>,
}

/// `POST /v1/call` of the indexer: a read-only call of a contract at the chain's latest block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The contract.
    pub to: AccountId,
    /// Calldata as 0x-prefixed hexadecimal, at most 16 KiB.
    pub data: alloy::primitives::Bytes,
}

/// The answer to a [`Call`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum CallOutcome {
    /// It returned.
    Returned {
        /// The return data.
        data: alloy::primitives::Bytes,
    },
    /// It reverted.
    Reverted {
        /// The revert data.
        data: alloy::primitives::Bytes,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_listed() {
        let unknown = serde_json::from_str::<EventBody>(r#"{"name": "Nothing"}"#).unwrap_err().to_string();
        let known: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, EventBody::NAMES);
    }
}
