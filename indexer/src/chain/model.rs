//! The rules by which the head is followed, as functions of values.

use alloy::primitives::{Address, B256, Bloom, BloomInput};
use protocol::wire::view::BlockRef;

/// The part of a block's header that is needed to follow the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub number: u64,
    pub hash: B256,
    pub parent: B256,
    /// Unix seconds.
    pub time: u64,
    pub bloom: Bloom,
}

impl Header {
    pub const fn block(&self) -> BlockRef {
        BlockRef { number: self.number, hash: self.hash }
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

/// Plans the step after `tip`: never above `head`, by range only up to `finalized`, at most `size` blocks a range.
pub(crate) fn plan(tip: u64, head: u64, finalized: Option<u64>, size: u64) -> Plan {
    let from = tip.saturating_add(1);
    if from > head {
        return Plan::Nothing;
    }
    let final_to = finalized.unwrap_or(0).min(head).min(tip.saturating_add(size.max(1)));
    if final_to > from {
        Plan::Range { from, to: final_to }
    } else {
        Plan::Blocks { from, to: head.min(tip.saturating_add(BLOCKS_A_STEP)) }
    }
}

/// The next range's size: halved when the node refused one as too large, doubled up to `max` when it did not.
pub(crate) const fn resize(size: u64, refused: bool, max: u64) -> u64 {
    let next = if refused { size / 2 } else { size.saturating_mul(2) };
    if next < 1 {
        1
    } else if next > max {
        max
    } else {
        next
    }
}

/// Up to where events may be told as safe and as final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub safe: Option<BlockRef>,
    pub finalized: Option<BlockRef>,
}

impl Settled {
    /// What of it reaches up to `tip`, a block that was just read by its height from the same chain.
    pub fn cut(self, tip: BlockRef) -> Self {
        let cut = |block: Option<BlockRef>| block.map(|b| if b.number > tip.number { tip } else { b });
        Self { safe: cut(self.safe), finalized: cut(self.finalized) }
    }
}

/// What the chain says is settled, never less than before. `ours` are our blocks at the heights that it says.
///
/// A block that we do not hold, or hold under another hash, settles nothing: it is for the head rules to find the fork.
pub(crate) fn promote(before: Settled, said: Settled, ours: &[BlockRef]) -> Settled {
    let accept = |before: Option<BlockRef>, said: Option<BlockRef>| match said {
        Some(block) if before.is_none_or(|b| b.number < block.number) && ours.contains(&block) => Some(block),
        _ => before,
    };
    let finalized = accept(before.finalized, said.finalized);
    let safe = accept(before.safe, said.safe);
    // What is final is safe.
    let safe = match (safe, finalized) {
        (Some(s), Some(f)) if s.number < f.number => Some(f),
        (safe, _) => safe,
    };
    Settled { safe, finalized }
}

/// How long to wait after the n-th failure in a row, in milliseconds: doubling from 100 to 10,000.
pub(crate) fn backoff_ms(failures: u32) -> u64 {
    100_u64.saturating_mul(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX)).min(10_000)
}
