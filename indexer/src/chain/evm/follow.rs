//! Following an EVM chain: one look at it, and what that means for what is kept.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use protocol::{
    chain::{AccountId, ChainId},
    wire::view::{BlockRef, FaultKind},
};

use super::{
    model::{HeadRule, Header, Plan, judge, plan, resize},
    read::{Reading, Watch},
    rpc::Rpc,
};
use crate::{
    Error,
    chain::{
        follow::{Ground, Progress, measure},
        rpc::RpcError,
        store::{self, Position, Settled, Step, Undecodable},
    },
    config::Config,
    feed::store::Decoded,
};

/// Requests to the node at one time.
const AT_ONCE: usize = 8;
/// The most blocks that one reorganisation may replace where nothing is final yet.
const FORK_DEPTH_MAX: usize = 10_000;

/// Follows one chain.
pub(crate) struct Following {
    rpc: Arc<Rpc>,
    watch: Watch,
    start_block: u64,
    finality_depth: u64,
    range_max: u64,
    /// Blocks of the next range.
    range: u64,
    /// The first block that cannot be decoded: ranges end below it.
    stuck: Option<BlockRef>,
    /// Whether the chain has told a final block by its own tag: then nothing else makes one final.
    tags: bool,
}

impl Following {
    pub fn new(rpc: Arc<Rpc>, config: &Config, chain: ChainId, contracts: &[AccountId]) -> Self {
        let addresses = contracts.iter().filter_map(|contract| contract.address.evm()).collect();
        Self {
            rpc,
            watch: Watch { chain, addresses },
            start_block: config.start_block,
            finality_depth: config.finality_depth,
            range_max: config.range_blocks_max,
            range: config.range_blocks_max,
            stuck: None,
            tags: false,
        }
    }

    async fn position(&self, ground: &Ground) -> Result<Position, Error> {
        if let Some(position) = ground.position().await? {
            return Ok(position);
        }
        let number = self.start_block.saturating_sub(1);
        let anchor = self.rpc.at(number).await?.ok_or_else(|| {
            Error::Rpc(RpcError::Inconsistent(format!("the node does not have block {number} yet")))
        })?;
        ground.begin(self.start_block, &anchor.kept()).await
    }

    /// One look at the chain and at most one step.
    pub async fn tick(&mut self, ground: &mut Ground) -> Result<Progress, Error> {
        let position = self.position(ground).await?;
        let head = self.rpc.head().await?;
        service::failpoint::pass(&["indexer.head.read"]);
        let now = ground.shared.clock.now_ms();
        ground.shared.beat(|pulse| {
            pulse.head = Some(head.block());
            pulse.polled_at = Some(now);
        });
        let said = self.said(&head).await?;
        let mut reader = ground.shared.db.reader().acquire().await?;
        let ours = store::block_at(&mut reader, head.number).await?.map(|block| block.hash);
        drop(reader);
        measure(&position, head.number);
        match judge(position.tip, &head, ours) {
            HeadRule::Same => {
                ground.shared.beat(|pulse| pulse.caught_up = true);
                self.settle(ground, &position, said).await
            }
            HeadRule::Behind => self.behind(ground, &position, &head, said).await,
            HeadRule::Next | HeadRule::Gap => self.forward(ground, &position, &head, said).await,
            HeadRule::Fork => self.reorganise(ground, &position, head, said).await,
        }
    }

    /// What the chain says is settled: its own tags, or so many blocks below the head where it has none. A node that leaves
    /// out the tag once, as one that just started does, makes nothing final.
    async fn said(&mut self, head: &Header) -> Result<Settled, Error> {
        let rpc = self.rpc.clone();
        let safe = rpc.tagged("safe").await?;
        let tagged = rpc.tagged("finalized").await?;
        self.tags |= tagged.is_some();
        let finalized = match tagged {
            None if !self.tags && head.number > self.finality_depth => {
                rpc.at(head.number.saturating_sub(self.finality_depth)).await?
            }
            finalized => finalized,
        };
        Ok(Settled { safe: safe.map(|h| h.block()), finalized: finalized.map(|h| h.block()) })
    }

    /// Nothing is new but perhaps what is settled.
    async fn settle(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        said: Settled,
    ) -> Result<Progress, Error> {
        let newer = |before: Option<BlockRef>, said: Option<BlockRef>| {
            said.is_some_and(|s| {
                s.number <= position.tip.number && before.is_none_or(|b| b.number < s.number)
            })
        };
        let before = position.settled;
        if ground.stopped || newer(before.safe, said.safe) || newer(before.finalized, said.finalized) {
            ground.commit(Step::settling(position.tip, said)).await?;
        }
        Ok(Progress::Idle)
    }

    /// The node has less than we have: it may be slow, or another chain altogether.
    async fn behind(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        head: &Header,
        said: Settled,
    ) -> Result<Progress, Error> {
        let mut reader = ground.shared.db.reader().acquire().await?;
        let known = store::block_below(&mut reader, head.number).await?;
        drop(reader);
        let Some(known) = known else { return Ok(Progress::Idle) };
        let theirs =
            if known.number == head.number { Some(*head) } else { self.rpc.at(known.number).await? };
        match theirs {
            Some(theirs) if theirs.hash != known.hash => {
                self.reorganise(ground, position, theirs, said).await
            }
            Some(_) => self.settle(ground, position, said).await,
            None => Ok(Progress::Idle),
        }
    }

    async fn forward(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        head: &Header,
        said: Settled,
    ) -> Result<Progress, Error> {
        let tip = position.tip;
        let from = tip.number.saturating_add(1);
        let next = if head.number == from { Some(*head) } else { self.rpc.at(from).await? };
        let Some(next) = next else {
            return Err(RpcError::Inconsistent(format!(
                "the head is {}, block {from} is missing",
                head.number
            ))
            .into());
        };
        if next.parent != tip.hash {
            return self.reorganise(ground, position, next, said).await;
        }
        let below_stuck = self.stuck.map_or(u64::MAX, |stuck| stuck.number.saturating_sub(1)).max(from);
        match plan(tip.number, head.number.min(below_stuck), said.finalized.map(|f| f.number), self.range) {
            Plan::Range { from: _, to } => self.range(ground, position, &next, to, said).await,
            Plan::Blocks { from: _, to } => self.blocks(ground, position, next, to, said).await,
            Plan::Nothing => Ok(Progress::Idle),
        }
    }

    /// A range of final blocks.
    async fn range(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        first: &Header,
        to: u64,
        said: Settled,
    ) -> Result<Progress, Error> {
        let read = self.watch.range(&self.rpc, first, to).await;
        // Whatever fails may fail for its size: providers have no common way to say so.
        self.range = resize(
            if read.is_ok() { self.range } else { to.saturating_sub(position.tip.number) },
            read.is_err(),
            self.range_max,
        );
        match read? {
            (Reading::Events(events), last) => {
                let step = Step { headers: vec![last.kept()], events, ..Step::settling(position.tip, said) };
                ground.commit(step).await?;
                Ok(Progress::Advanced)
            }
            // The next range ends below it.
            (Reading::Stuck(stuck), _) => {
                self.stuck = Some(stuck.block);
                if stuck.block.number == first.number {
                    self.quarantine(ground, position, stuck, said).await
                } else {
                    Ok(Progress::Advanced)
                }
            }
        }
    }

    /// Blocks near the head, each by its hash.
    async fn blocks(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        first: Header,
        to: u64,
        said: Settled,
    ) -> Result<Progress, Error> {
        let rpc = self.rpc.clone();
        let mut headers = vec![first];
        let mut parent = first;
        let more: Vec<Option<Header>> = stream::iter(first.number.saturating_add(1)..=to)
            .map(|number| rpc.at(number))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for header in more.into_iter().map_while(|header| header) {
            // The chain moved while it was read: the rest is for the next look.
            if header.parent != parent.hash {
                break;
            }
            headers.push(header);
            parent = header;
        }
        self.replace(ground, position, None, headers, said).await
    }

    /// Blocks of ours were replaced: finds the last one that the chain still has, reads what replaces the rest, and only
    /// then lets go of it. `branch` is a block of the chain that does not follow upon ours.
    async fn reorganise(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        branch: Header,
        said: Settled,
    ) -> Result<Progress, Error> {
        // Below this nothing may be replaced.
        let floor = position
            .settled
            .finalized
            .map_or_else(|| position.start_block.saturating_sub(1), |finalized| finalized.number);
        let mut newest_first = vec![branch];
        let mut oldest = branch;
        let fork = loop {
            let below = oldest.number.checked_sub(1);
            let mut reader = ground.shared.db.reader().acquire().await?;
            let ours = match below {
                Some(number) => store::block_at(&mut reader, number).await?,
                None => None,
            };
            drop(reader);
            match ours {
                Some(ours) if ours.hash == oldest.parent && ours.number >= floor => break ours,
                _ if below.is_none_or(|number| number <= floor) || newest_first.len() >= FORK_DEPTH_MAX => {
                    let detail = format!(
                        "block {} {} of the chain leads past our final block {floor}",
                        branch.number, branch.hash
                    );
                    tracing::error!(detail, "reorganisation deeper than finality; standing still");
                    ground.raise(FaultKind::DeepReorg, &branch.hash.to_string(), &detail).await?;
                    return Ok(Progress::Idle);
                }
                _ => {}
            }
            oldest = self.rpc.by_hash(oldest.parent).await?;
            newest_first.push(oldest);
        };
        service::failpoint::pass(&["indexer.fork.found"]);
        let depth = position.tip.number.saturating_sub(fork.number);
        tracing::info!(depth, fork = fork.number, "reorganisation");
        metrics::counter!("indexer_reorgs_total").increment(1);
        metrics::gauge!("indexer_reorg_depth").set(depth as f64);
        newest_first.reverse();
        self.replace(ground, position, Some(fork), newest_first, said).await
    }

    /// Reads blocks and commits them upon the tip, or upon `fork` in place of what is above it.
    async fn replace(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        fork: Option<BlockRef>,
        mut headers: Vec<Header>,
        said: Settled,
    ) -> Result<Progress, Error> {
        let (watch, rpc) = (&self.watch, &self.rpc);
        let readings: Vec<Reading> = stream::iter(headers.clone())
            .map(|header| async move { watch.block(rpc, &header).await })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let mut events: Vec<Decoded> = Vec::new();
        let mut stuck = None;
        let mut sound = 0_usize;
        for reading in readings {
            match reading {
                Reading::Events(more) => events.extend(more),
                Reading::Stuck(undecodable) => {
                    stuck = Some(undecodable);
                    break;
                }
            }
            sound = sound.saturating_add(1);
        }
        headers.truncate(sound);
        let idle = headers.is_empty();
        self.stuck = stuck.as_ref().map(|stuck| stuck.block);
        let headers = headers.iter().map(Header::kept).collect();
        let step = Step { fork, headers, events, stuck, ..Step::settling(position.tip, said) };
        ground.commit(step).await?;
        Ok(if idle { Progress::Idle } else { Progress::Advanced })
    }

    async fn quarantine(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        stuck: Undecodable,
        said: Settled,
    ) -> Result<Progress, Error> {
        ground.commit(Step { stuck: Some(stuck), ..Step::settling(position.tip, said) }).await?;
        Ok(Progress::Idle)
    }
}
