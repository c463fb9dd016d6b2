//! Reading the final past: many ranges at one time, handed on in order and without gaps.
//!
//! Ranges are read by tasks of their own, so that they come in while others are committed. No more of them are under way
//! or wait than the node bears, so that what waits for one that is late is bounded.

use std::{collections::VecDeque, sync::Arc};

use protocol::wire::view::BlockRef;
use service::db::Engine;
use tokio_util::task::AbortOnDropHandle;

use super::{
    model::Header,
    read::{Ranged, Reading, Watch},
    rpc::Rpc,
    sizing::{Sizer, Width},
};
use crate::{
    chain::{refusals::Hint, rpc::RpcError, step::Undecodable},
    feed::store::Decoded,
};

/// Events that are handed on together at most, but for those of the last range. What a commit costs is the less an event the
/// more it has; on SQLite its pages stand in the memory of this process, on PostgreSQL in the server's.
pub(super) const fn events_a_step(engine: Engine) -> usize {
    match engine {
        Engine::Sqlite => 1_500,
        Engine::Postgres => 4_000,
    }
}

/// Ranges of which it is remembered who told them.
const TOLD_MAX: usize = 4_096;

/// Blocks that follow upon one another, read.
#[derive(Debug)]
pub(super) struct Batch {
    /// The last header of every range, ascending.
    pub ends: Vec<Header>,
    pub events: Vec<Decoded>,
}

/// What came next.
#[derive(Debug)]
pub(super) enum Next {
    /// Blocks after the tip, in order.
    Read(Batch),
    /// The first range after the tip holds a log that cannot be decoded.
    Stuck(Undecodable),
    /// The first range does not follow upon the tip: this block stands where the next one should.
    Torn(Box<Header>),
}

/// What a task read of its range: all of it, or its beginning where all was too much.
#[derive(Debug)]
struct Piece {
    to: u64,
    read: Ranged,
    /// Ranges from the same block that were refused before: their length, and what was said.
    refused: Vec<(u64, Option<Hint>)>,
}

#[derive(Debug)]
struct Slot {
    from: u64,
    to: u64,
    /// None until its turn comes.
    task: Option<AbortOnDropHandle<Result<Piece, RpcError>>>,
}

impl Slot {
    fn blocks(&self) -> u64 {
        self.to.saturating_sub(self.from).saturating_add(1)
    }

    fn is_finished(&self) -> bool {
        self.task.as_ref().is_some_and(AbortOnDropHandle::is_finished)
    }
}

/// The ranges that are under way.
#[derive(Debug)]
pub(super) struct Backfill {
    rpc: Arc<Rpc>,
    watch: Arc<Watch>,
    sizer: Sizer,
    width: Width,
    /// Ascending and without gaps between them.
    slots: VecDeque<Slot>,
    /// First and last block of the newest ranges, and the position of the node that told them.
    told: VecDeque<(u64, u64, usize)>,
}

impl Backfill {
    /// At most `blocks_max` blocks a range, and `requests_max` ranges at one time.
    pub fn new(rpc: Arc<Rpc>, watch: Arc<Watch>, blocks_max: u64, requests_max: u32) -> Self {
        let (sizer, width) = (Sizer::new(blocks_max), Width::new(requests_max));
        Self { rpc, watch, sizer, width, slots: VecDeque::new(), told: VecDeque::new() }
    }

    /// Forgets what was read and not handed on.
    pub fn reset(&mut self) {
        self.slots.clear();
    }

    /// The node that told the range with this block, while it is remembered.
    pub fn teller(&self, number: u64) -> Option<usize> {
        let range = self.told.iter().rev().find(|(from, to, _)| (*from..=*to).contains(&number));
        range.map(|(_, _, by)| *by)
    }

    /// Whether something is under way.
    pub fn is_busy(&self) -> bool {
        !self.slots.is_empty()
    }

    /// What comes after the tip, up to `to`, which is above it; ranges until they have `most` events.
    ///
    /// # Errors
    /// The node did not give the first range. Asked again, it is read again.
    pub async fn next(&mut self, tip: BlockRef, to: u64, most: usize) -> Result<Next, RpcError> {
        let from = tip.number.saturating_add(1);
        if self.slots.front().is_some_and(|slot| slot.from != from)
            || self.slots.back().is_some_and(|slot| slot.to > to)
        {
            self.reset();
        }
        self.fill(from, to);
        let (mut batch, mut parent): (Option<Batch>, _) = (None, tip.hash);
        // The first is waited for; others only come along.
        while self.slots.front().is_some_and(|slot| batch.is_none() || slot.is_finished()) {
            let Some(slot) = self.slots.pop_front() else { break };
            let piece = match self.piece(slot).await {
                Ok(piece) => piece,
                Err(_) if batch.is_some() => break,
                Err(error) => return Err(error),
            };
            let Ranged { reading, first, last, by } = piece.read;
            if first.parent != parent {
                // Whatever came before the seam is good; what comes after it is asked for again.
                self.reset();
                if batch.is_some() {
                    break;
                }
                return Ok(Next::Torn(Box::new(first)));
            }
            match (reading, &mut batch) {
                (Reading::Events(mut events), None) => {
                    // Others come along: grown by doubling it would take twice as much.
                    if self.slots.front().is_some_and(Slot::is_finished) {
                        events.reserve_exact(most);
                    }
                    batch = Some(Batch { ends: vec![last], events });
                }
                (Reading::Events(events), Some(batch)) => {
                    batch.events.extend(events);
                    batch.ends.push(last);
                }
                (Reading::Stuck(stuck), None) => {
                    self.reset();
                    return Ok(Next::Stuck(stuck));
                }
                (Reading::Stuck(_), Some(_)) => {
                    self.reset();
                    break;
                }
            }
            parent = last.hash;
            if self.told.len() >= TOLD_MAX {
                self.told.pop_front();
            }
            self.told.push_back((first.number, last.number, by));
            self.fill(last.number.saturating_add(1), to);
            if batch.as_ref().is_some_and(|batch| batch.events.len() >= most) {
                break;
            }
        }
        batch
            .map(Next::Read)
            .ok_or_else(|| RpcError::Inconsistent(format!("nothing after block {}", tip.number)))
    }

    /// What a slot's task came to; puts back what it left over.
    async fn piece(&mut self, slot: Slot) -> Result<Piece, RpcError> {
        let (from, to, blocks) = (slot.from, slot.to, slot.blocks());
        let task = slot.task.unwrap_or_else(|| self.begin(from, to));
        let piece = match task.await {
            Ok(Ok(piece)) => piece,
            Ok(Err(error)) => {
                self.width.failed();
                self.sizer.doubted();
                // Whatever fails may fail for its size.
                self.put_back(from, to, (blocks / 2).max(1));
                return Err(error);
            }
            // A death that is played in a task is its process's.
            #[cfg(feature = "simulation")]
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {
                self.put_back(from, to, blocks);
                return Err(RpcError::Inconsistent(format!(
                    "the reading of block {from} and after broke off"
                )));
            }
        };
        for (blocks, hint) in &piece.refused {
            self.sizer.refused(from, *blocks, *hint);
        }
        if let Reading::Events(events) = &piece.read.reading {
            let read = piece.to.saturating_sub(from).saturating_add(1);
            self.sizer.answered(read, u64::try_from(events.len()).unwrap_or(u64::MAX));
            self.width.answered();
            if piece.to < to {
                self.put_back(piece.to.saturating_add(1), to, self.sizer.size());
            }
        }
        let chain = self.watch.chain.to_string();
        metrics::gauge!("indexer_range_blocks", "chain" => chain.clone()).set(self.sizer.size() as f64);
        metrics::gauge!("indexer_ranges_at_once", "chain" => chain).set(self.width.now() as f64);
        Ok(piece)
    }

    /// Puts a range before all others, its beginning as one slot of at most `size` blocks, the rest as more of them. They
    /// are as many as run at one time, whatever the range: the last one takes what is left, and is cut when its turn comes.
    fn put_back(&mut self, from: u64, to: u64, size: u64) {
        let (mut pieces, mut next) = (Vec::new(), from);
        while next <= to {
            let last = if pieces.len() >= self.width.now() {
                to
            } else {
                next.saturating_add(size.max(1)).saturating_sub(1).min(to)
            };
            pieces.push((next, last));
            next = last.saturating_add(1);
        }
        for (from, to) in pieces.into_iter().rev() {
            self.slots.push_front(Slot { from, to, task: None });
        }
    }

    /// Begins as many ranges as the node bears, and the first in any case; it is at `from` where there is none.
    fn fill(&mut self, from: u64, to: u64) {
        let mut from = self.slots.back().map_or(from, |slot| slot.to.saturating_add(1));
        while self.slots.len() < self.width.now() && from <= to {
            let last = from.saturating_add(self.sizer.size()).saturating_sub(1).min(to);
            self.slots.push_back(Slot { from, to: last, task: None });
            from = last.saturating_add(1);
        }
        let begun = self.slots.iter().filter(|slot| slot.task.is_some()).count();
        let mut more = self.width.now().saturating_sub(begun);
        for at in 0..self.slots.len() {
            if more == 0 && at > 0 {
                break;
            }
            let Some((from, to)) =
                self.slots.get(at).filter(|slot| slot.task.is_none()).map(|slot| (slot.from, slot.to))
            else {
                continue;
            };
            let task = self.begin(from, to);
            if let Some(slot) = self.slots.get_mut(at) {
                slot.task = Some(task);
            }
            more = more.saturating_sub(1);
        }
    }

    fn begin(&self, from: u64, to: u64) -> AbortOnDropHandle<Result<Piece, RpcError>> {
        let work = read(self.rpc.clone(), self.watch.clone(), self.sizer, from, to);
        AbortOnDropHandle::new(tokio::spawn(work))
    }
}

/// Reads a range, or as much of its beginning as the node gives at once.
async fn read(
    rpc: Arc<Rpc>,
    watch: Arc<Watch>,
    mut sizer: Sizer,
    from: u64,
    mut to: u64,
) -> Result<Piece, RpcError> {
    let mut refused = Vec::new();
    loop {
        let blocks = to.saturating_sub(from).saturating_add(1);
        match watch.range(&rpc, from, to).await {
            Ok(read) => return Ok(Piece { to, read, refused }),
            Err(RpcError::TooLarge { hint, .. }) if blocks > 1 => {
                refused.push((blocks, hint));
                to = from.saturating_add(sizer.refused(from, blocks, hint)).saturating_sub(1);
            }
            Err(error) => return Err(error),
        }
    }
}
