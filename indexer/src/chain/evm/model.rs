//! The rules by which the head is followed, as functions of values.

use alloy::primitives::{Address, B256, Bloom, BloomInput};
use protocol::wire::view::BlockRef;

use crate::chain::store::Block;

/// The part of a block's header that is needed to follow the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub number: u64,
    pub hash: B256,
    pub parent: B256,
    /// Unix seconds.
    pub time: u64,
    pub bloom: Bloom,
    /// Of the receipts of its transactions.
    pub receipts_root: B256,
    /// Whether all that was told of the block makes up its hash: then the fields are proven by it.
    pub sealed: bool,
}

impl Header {
    /// As much as a log tells of its block.
    pub const fn of(number: u64, hash: B256, time: u64) -> Self {
        Self {
            number,
            hash,
            parent: B256::ZERO,
            time,
            bloom: Bloom::ZERO,
            receipts_root: B256::ZERO,
            sealed: false,
        }
    }

    /// Whether another has the same hash and fields, proven by it or not.
    pub fn is(&self, other: &Self) -> bool {
        Self { sealed: self.sealed, ..*other } == *self
    }

    pub const fn block(&self) -> BlockRef {
        BlockRef { number: self.number, hash: self.hash }
    }

    pub const fn kept(&self) -> Block {
        Block { number: self.number, hash: self.hash, parent: self.parent, time: self.time }
    }

    /// False proves that none of the contracts emitted a log in this block.
    pub fn may_concern<'a>(&self, contracts: impl IntoIterator<Item = &'a Address>) -> bool {
        contracts.into_iter().any(|address| self.bloom.contains_input(BloomInput::Raw(address.as_slice())))
    }
}

/// What a head means to one who has indexed up to `tip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadRule {
    /// It is the tip.
    Same,
    /// The node has not come as far as we have, on the same chain as far as can be told.
    Behind,
    /// It follows upon the tip.
    Next,
    /// There are blocks between the tip and it.
    Gap,
    /// The tip is not an ancestor of it: it replaces a block that we have.
    Fork,
}

/// The first rule that applies. `ours` is the hash of our block at the head's height, if we keep one.
pub(crate) fn judge(tip: BlockRef, head: &Header, ours: Option<B256>) -> HeadRule {
    if head.hash == tip.hash {
        return HeadRule::Same;
    }
    if head.number <= tip.number {
        return match ours {
            Some(hash) if hash != head.hash => HeadRule::Fork,
            _ => HeadRule::Behind,
        };
    }
    if head.number > tip.number.saturating_add(1) {
        HeadRule::Gap
    } else if head.parent == tip.hash {
        HeadRule::Next
    } else {
        HeadRule::Fork
    }
}

/// Which blocks to read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// By one request for all their logs; every one of them is final.
    Range { from: u64, to: u64 },
    /// One after another, each by its hash.
    Blocks { from: u64, to: u64 },
    /// Nothing may be read: the next block is quarantined, or there is none.
    Nothing,
}

/// Blocks that are read one by one before they are committed together.
pub(crate) const BLOCKS_A_STEP: u64 = 32;

/// Plans the step after `tip`: never above `head`, by range only up to `finalized`.
pub(crate) fn plan(tip: u64, head: u64, finalized: Option<u64>) -> Plan {
    let from = tip.saturating_add(1);
    if from > head {
        return Plan::Nothing;
    }
    let final_to = finalized.unwrap_or(0).min(head);
    if final_to > from {
        Plan::Range { from, to: final_to }
    } else {
        Plan::Blocks { from, to: head.min(tip.saturating_add(BLOCKS_A_STEP)) }
    }
}
