//! Proving that no log is missing: final blocks are read once more, header by header, each by the hash that the next one
//! names, and their logs by what the headers commit to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy::primitives::B256;
use futures::{StreamExt, TryStreamExt, stream};
use protocol::wire::view::BlockRef;

use super::{
    backfill::Backfill,
    model::Header,
    proof,
    read::{Reading, Watch},
    rpc::{RawLog, Rpc, Sealed},
};
use crate::{
    Error,
    chain::{
        batch::Batch,
        follow::{Ground, Progress},
        quorum,
        rpc::RpcError,
        store::{self, Block, Kept},
        trust::Trust,
    },
    feed::store::Decoded,
};

/// The most blocks that are proven in one step.
const BLOCKS_MAX: u64 = 100;
/// Milliseconds before a proof that failed is tried again.
const REST_MS: i64 = 10_000;
/// The same where nothing more is told until it succeeds.
const DISPROVEN_REST_MS: i64 = 1_000;

/// Walks the final blocks behind the cursor.
pub(super) struct Prover {
    rpc: Arc<Rpc>,
    watch: Arc<Watch>,
    /// Blocks whose logs are asked for at one time.
    at_once: usize,
    /// Blocks of one step.
    batch: Batch,
    /// Unix milliseconds.
    rests_until: i64,
}

/// How what is kept differs from what is proven.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Differences {
    /// Events that are not kept, in the chain's order.
    pub missing: Vec<Decoded>,
    /// Places of logs that are kept and are not on the chain, or not so.
    pub wrong: Vec<(u64, u64)>,
    /// Those of them that are so on the chain but for the hash of their transaction, which no receipt holds.
    pub renamed: BTreeSet<(u64, u64)>,
}

impl Differences {
    fn blocks(&self) -> BTreeSet<u64> {
        let missing = self.missing.iter().map(|decoded| decoded.event.block_number);
        self.wrong.iter().map(|(block, _)| *block).chain(missing).collect()
    }
}

/// What was read of some blocks.
#[derive(Debug)]
struct Read {
    last: BlockRef,
    events: Vec<Decoded>,
    /// The blocks of whose logs the filter alone speaks.
    hinted: BTreeMap<u64, Header>,
    /// Those of them that differ from what is kept, and of which no quorum tells the same.
    open: BTreeSet<u64>,
}

/// What came of comparing what is kept with what is proven.
#[derive(Debug, Default)]
struct Compared {
    /// Logs that were added.
    missed: u64,
    /// What is kept that should not be, in words.
    amiss: Option<String>,
    /// What cannot be told to be so or not, in words.
    open: Option<String>,
}

/// Compares what is kept of some blocks with what is proven of them.
pub(super) fn differences(proven: Vec<Decoded>, mut kept: BTreeMap<(u64, u64), Kept>) -> Differences {
    let mut differences = Differences::default();
    for decoded in proven {
        let event = &decoded.event;
        let place = (event.block_number, event.log_index);
        match kept.remove(&place) {
            Some(kept) => {
                let so = kept.block_hash == event.block_hash
                    && kept.block_time == event.block_time
                    && kept.contract == event.contract
                    && kept.topics == decoded.topics
                    && kept.data == decoded.data;
                let named = kept.transaction == event.transaction;
                if so && !named {
                    differences.renamed.insert(place);
                }
                if !so || !named {
                    differences.wrong.push(place);
                }
            }
            None => differences.missing.push(decoded),
        }
    }
    differences.wrong.extend(kept.into_keys());
    differences
}

/// Says why the next blocks cannot be proven now, or that they can.
fn unproven(ground: &Ground, why: Option<String>) {
    let chain = ground.chain.id.to_string();
    metrics::gauge!("indexer_unproven", "chain" => chain).set(f64::from(u8::from(why.is_some())));
    ground.chain.beat(|pulse| pulse.unproven = why);
}

impl Prover {
    pub fn new(rpc: Arc<Rpc>, watch: Arc<Watch>, at_once: u32) -> Self {
        Self {
            rpc,
            watch,
            at_once: usize::try_from(at_once).unwrap_or(1).max(1),
            batch: Batch::new(BLOCKS_MAX),
            rests_until: 0,
        }
    }

    /// Proves the next blocks up to the final one. What the nodes do not give is no trouble of the follower's: it is tried
    /// again later.
    pub async fn step(
        &mut self,
        ground: &mut Ground,
        trust: &mut Trust,
        backfill: &Backfill,
        finalized: BlockRef,
    ) -> Result<Progress, Error> {
        let now = ground.shared.clock.now_ms();
        let proven = match trust.proven {
            Some(proven) => proven,
            None => {
                let anchor = ground.chain.config.start_block.saturating_sub(1);
                let anchor = ground.block_at(anchor).await?;
                anchor.ok_or_else(|| Error::damaged("blocks", "no anchor"))?
            }
        };
        if proven.number >= finalized.number || now < self.rests_until {
            return Ok(Progress::Idle);
        }
        let to = proven.number.saturating_add(self.batch.size()).min(finalized.number);
        match self.read(proven, to, finalized).await {
            Ok(read) => {
                self.batch.answered();
                let last = read.last;
                let Compared { missed, amiss, open } =
                    self.compare(ground, backfill, (proven.number, to), read).await?;
                // What was disproven may stand in a block of which nothing can be said now.
                if amiss.is_some() || open.is_none() {
                    trust.disproves(ground, amiss.as_deref()).await?;
                }
                if let Some(detail) = open.filter(|_| amiss.is_none()) {
                    tracing::warn!(detail, "blocks cannot be proven yet");
                    self.rpc.0.doubt();
                    self.rests_until = now.saturating_add(REST_MS);
                    unproven(ground, Some(detail));
                    trust.prove(ground, proven, missed).await?;
                    return Ok(Progress::Idle);
                }
                if let Some(detail) = amiss {
                    // Another node may bear out what is kept: what says otherwise is not all proven by hashes.
                    self.rpc.0.doubt();
                    self.rests_until = now.saturating_add(DISPROVEN_REST_MS);
                    unproven(ground, Some(detail));
                    trust.prove(ground, proven, missed).await?;
                    return Ok(Progress::Idle);
                }
                // Whoever sees how far it is proven sees no doubt of before.
                unproven(ground, None);
                trust.prove(ground, last, missed).await?;
                let chain = ground.chain.id.to_string();
                metrics::gauge!("indexer_proven_block", "chain" => chain).set(last.number as f64);
                if missed == 0 {
                    self.rpc.0.proved();
                }
                Ok(Progress::Advanced)
            }
            Err(error) => {
                if self.batch.refused(&error) {
                    return Ok(Progress::Advanced);
                }
                tracing::warn!(%error, from = proven.number, to, "blocks cannot be proven yet");
                unproven(ground, Some(error.to_string()));
                self.rests_until = now.saturating_add(REST_MS);
                self.rpc.0.turn_after(&error);
                Ok(Progress::Idle)
            }
        }
    }

    /// The last of the blocks after `proven` up to `to`, and all events in them.
    async fn read(&self, proven: BlockRef, to: u64, finalized: BlockRef) -> Result<Read, RpcError> {
        let sealed = self.rpc.sealed(proven.number.saturating_add(1), to).await?;
        let headers: Vec<Header> = sealed.into_iter().map(|Sealed(header)| header).collect();
        proof::chained(proven.hash, &headers)?;
        let Some(last) = headers.last().map(Header::block) else {
            return Err(RpcError::Inconsistent(format!("no headers up to block {to}")));
        };
        if last.number == finalized.number && last != finalized {
            return Err(RpcError::Inconsistent(format!(
                "block {to} is {} to a node, and final as {}",
                last.hash, finalized.hash
            )));
        }
        // A chain that leads nowhere can be made up; one that a quorum is on cannot.
        let quorum = self.rpc.0.quorum;
        if quorum > 1 && last != finalized {
            let said = self.rpc.hashes_at(to, |_| true).await?;
            if quorum::judge(&said, quorum).agreed != Some(last.hash) {
                return Err(RpcError::Inconsistent(format!("no quorum has {} as block {to}", last.hash)));
            }
        }
        let (rpc, addresses) = (&*self.rpc, &self.watch.addresses);
        let concern: Vec<Header> =
            headers.iter().filter(|header| header.may_concern(addresses)).copied().collect();
        let proofs: Vec<_> = stream::iter(concern)
            .map(|header| async move {
                Ok::<_, RpcError>((header, proof::logs_of(rpc, &header, addresses).await?))
            })
            .buffered(self.at_once)
            .try_collect()
            .await?;
        let hinted = proofs.iter().filter(|(_, proof)| proof.hinted);
        let hinted = hinted.map(|(header, _)| (header.number, *header)).collect();
        let logs = proofs.into_iter().flat_map(|(_, proof)| proof.logs).collect();
        let headers = headers.into_iter().map(|header| (header.number, header)).collect();
        match self.watch.decode(logs, &headers)? {
            Reading::Events(events) => Ok(Read { last, events, hinted, open: BTreeSet::new() }),
            Reading::Stuck(stuck) => Err(RpcError::Inconsistent(stuck.detail)),
        }
    }

    /// What is to be believed of blocks that differ from what is kept and of whose logs the filter alone speaks: the receipts of
    /// whichever node has them, else what a quorum tells alike, else nothing.
    async fn surer(&self, read: &mut Read, differ: &BTreeSet<u64>) {
        for number in differ {
            let Some(header) = read.hinted.get(number).copied() else { continue };
            read.events.retain(|decoded| decoded.event.block_number != *number);
            let logs = proof::by_receipts(&self.rpc, &header, &self.watch.addresses).await;
            if let Some(events) = logs.and_then(|logs| self.events_of(logs, &header)) {
                read.events.extend(events);
                read.hinted.remove(number);
            } else if let Some(events) = self.agreed(&header).await {
                read.events.extend(events);
            } else {
                read.open.insert(*number);
            }
        }
        read.events.sort_by_key(|decoded| (decoded.event.block_number, decoded.event.log_index));
    }

    fn events_of(&self, logs: Vec<RawLog>, header: &Header) -> Option<Vec<Decoded>> {
        match self.watch.decode(logs, &BTreeMap::from([(header.number, *header)])) {
            Ok(Reading::Events(events)) => Some(events),
            Ok(Reading::Stuck(_)) | Err(_) => None,
        }
    }

    /// The events of a block as a quorum of the nodes tells them alike, each by logs that make up its filter.
    async fn agreed(&self, header: &Header) -> Option<Vec<Decoded>> {
        let mut said: Vec<Vec<Decoded>> = Vec::new();
        for node in self.rpc.0.in_turn() {
            if self.rpc.0.right(node).await.is_err() {
                continue;
            }
            let logs = proof::by_filter(&self.rpc, node, header, &self.watch.addresses).await;
            let Some(events) = logs.ok().and_then(|logs| self.events_of(logs, header)) else { continue };
            let others = said.iter().filter(|other| **other == events).count();
            if others.saturating_add(1) >= self.rpc.0.quorum {
                return Some(events);
            }
            said.push(events);
        }
        None
    }

    /// Repairs what is missing in the blocks after `above` up to `to`, as it is proven by receipts or told by a quorum. Nothing is
    /// added to a block of which something is wrong: its logs may only stand in other places there. Who told otherwise lied where
    /// the receipts say so.
    async fn compare(
        &self,
        ground: &Ground,
        backfill: &Backfill,
        (above, to): (u64, u64),
        mut read: Read,
    ) -> Result<Compared, Error> {
        let kept = async || {
            let reader = &mut *ground.shared.db.reader().acquire().await?;
            store::kept_between(reader, ground.chain.number, above, to).await
        };
        if !read.hinted.is_empty() {
            let differ = differences(read.events.clone(), kept().await?).blocks();
            self.surer(&mut read, &differ).await;
        }
        let mut kept = kept().await?;
        kept.retain(|(block, _), _| !read.open.contains(block));
        let open = read.open.first().map(|block| {
            let quorum = self.rpc.0.quorum;
            format!("block {block}: other logs than are kept make up its filter, and no {quorum} nodes tell the same of it")
        });
        let Differences { mut missing, wrong, renamed } = differences(read.events, kept);
        let blocks: BTreeSet<u64> = wrong.iter().map(|(block, _)| *block).collect();
        missing.retain(|decoded| !blocks.contains(&decoded.event.block_number));
        let mut amiss = None;
        for (block, index) in wrong {
            let detail = format!("log {index} of block {block} is kept, but is not so on the chain");
            tracing::error!(detail, "what was told is not on the chain");
            amiss.get_or_insert_with(|| detail.clone());
            let proven = !read.hinted.contains_key(&block) && !renamed.contains(&(block, index));
            if let Some(by) = backfill.teller(block).filter(|_| proven) {
                self.rpc.0.misled(by, detail);
            }
        }
        let mut missed = 0_u64;
        for events in missing.chunk_by(|a, b| a.event.block_number == b.event.block_number) {
            let Some(first) = events.first().map(|decoded| &decoded.event) else { continue };
            let detail = format!("{} logs of block {} were left out", events.len(), first.block_number);
            tracing::error!(detail, "a node left out logs; they are told now");
            let proven = !read.hinted.contains_key(&first.block_number);
            if let Some(by) = backfill.teller(first.block_number).filter(|_| proven) {
                self.rpc.0.misled(by, detail);
            }
            let block = Block {
                number: first.block_number,
                hash: first.block_hash,
                parent: B256::ZERO,
                time: first.block_time,
            };
            match ground.amend(&block, events).await {
                // We hold another block at that height: it is for the head rules to find the fork.
                Err(Error::Raced) => {
                    let detail =
                        format!("block {} is {} on the chain, and another here", block.number, block.hash);
                    amiss.get_or_insert(detail);
                }
                amended => {
                    amended?;
                    missed = missed.saturating_add(u64::try_from(events.len()).unwrap_or(u64::MAX));
                }
            }
        }
        metrics::counter!("indexer_missed_logs_total", "chain" => ground.chain.id.to_string())
            .increment(missed);
        Ok(Compared { missed, amiss, open })
    }
}
