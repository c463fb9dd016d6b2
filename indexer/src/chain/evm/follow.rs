//! Following an EVM chain: one look at it, and what that means for what is kept.

mod finality;
mod forks;

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use protocol::{
    chain::{AccountId, ChainId},
    wire::view::BlockRef,
};

use super::{
    backfill::{Backfill, Batch, Next, events_a_step},
    model::{HeadRule, Header, Plan, judge, plan},
    prove::Prover,
    read::{Reading, Watch},
    reconcile,
    rpc::Rpc,
};
use crate::{
    Error,
    chain::{
        follow::{Ground, Progress},
        reconcile::Reconciler,
        rpc::RpcError,
        step::{Step, Undecodable},
        store::{Position, Settled},
        trust::Trust,
    },
    config::ChainConfig,
    feed::store::Decoded,
};

/// Requests to the node at one time near the head.
const AT_ONCE: usize = 8;
/// While the final past is read, milliseconds for which one look at the head is good: what is final stays final.
const LOOK_MS: i64 = 1_000;
/// How long what was read may wait to be looked at once more while there is something new at every look, in milliseconds.
const AGAIN_MS: i64 = 2_000;

/// What one look at the chain showed.
#[derive(Clone, Copy, Debug)]
struct Look {
    head: Header,
    said: Settled,
    /// Unix milliseconds.
    at: i64,
}

/// Follows one chain.
pub(crate) struct Following {
    rpc: Arc<Rpc>,
    watch: Arc<Watch>,
    start_block: u64,
    finality_depth: u64,
    backfill: Backfill,
    prover: Option<Prover>,
    reconciler: Reconciler,
    /// The first block that cannot be decoded: ranges end below it.
    stuck: Option<BlockRef>,
    /// The last look, while the final past is read.
    look: Option<Look>,
    /// When what was read was last looked at once more, in Unix milliseconds.
    again_at: i64,
    trust: Trust,
}

impl Following {
    pub fn new(rpc: Arc<Rpc>, config: &ChainConfig, chain: ChainId, contracts: &[AccountId]) -> Self {
        let addresses = contracts.iter().filter_map(|contract| contract.address.evm()).collect();
        let watch = Arc::new(Watch { chain, addresses, prove: config.prove });
        let requests_max = u32::try_from(config.requests_max).unwrap_or(u32::MAX);
        Self {
            backfill: Backfill::new(rpc.clone(), watch.clone(), config.range_blocks_max, requests_max),
            prover: config.prove.then(|| Prover::new(rpc.clone(), watch.clone(), requests_max)),
            reconciler: Reconciler::new(config.reconcile_ms),
            rpc,
            watch,
            start_block: config.start_block,
            finality_depth: config.finality_depth,
            stuck: None,
            look: None,
            again_at: 0,
            trust: Trust::default(),
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
        ground.begin(&anchor.kept()).await
    }

    /// One look at the chain and at most one step.
    pub async fn tick(&mut self, ground: &mut Ground) -> Result<Progress, Error> {
        let progress = self.step(ground).await;
        if let Err(Error::Rpc(error)) = &progress
            && error.another_may_know()
        {
            self.rpc.0.turn_after(error);
            self.look = None;
        }
        self.trust.record(ground, &self.rpc.0).await?;
        let progress = progress?;
        let now = ground.shared.clock.now_ms();
        // Where there is always something new, what was read has its turn all the same.
        let due = !self.backfill.is_busy() && now.saturating_sub(self.again_at) >= AGAIN_MS;
        if progress == Progress::Advanced && !due {
            return Ok(Progress::Advanced);
        }
        self.again_at = now;
        let again = self.again(ground).await?;
        Ok(if progress == Progress::Advanced { progress } else { again })
    }

    /// Looks at what was read once more: proves it, and compares it with what the contracts say.
    async fn again(&mut self, ground: &mut Ground) -> Result<Progress, Error> {
        if ground.stopped {
            return Ok(Progress::Idle);
        }
        let Some(position) = ground.position().await? else { return Ok(Progress::Idle) };
        let Some(finalized) = position.settled.finalized else { return Ok(Progress::Idle) };
        let proven = match &mut self.prover {
            Some(prover) => prover.step(ground, &mut self.trust, &self.backfill, finalized).await?,
            None => Progress::Idle,
        };
        let questions = self.reconciler.questions(ground, finalized.number).await?;
        if questions.is_empty() {
            return Ok(proven);
        }
        let answers = reconcile::differences(&self.rpc, finalized.hash, &questions).await;
        let answers = answers.map(|answers| answers.into_iter().map(Ok).collect());
        self.reconciler.answers(ground, finalized.number, &questions, answers).await
    }

    async fn step(&mut self, ground: &mut Ground) -> Result<Progress, Error> {
        self.trust.load(ground).await?;
        self.trust.warn(ground).await?;
        let position = self.position(ground).await?;
        let now = ground.shared.clock.now_ms();
        // A head that is not above the tip, as a late machine tells it, says nothing of what is still to be read.
        let goes_on = |look: &Look| {
            self.backfill.is_busy()
                && look.head.number > position.tip.number
                && now.saturating_sub(look.at) < LOOK_MS
                && look.said.finalized.is_some_and(|f| f.number > position.tip.number.saturating_add(1))
        };
        if let Some(look) = self.look.filter(goes_on) {
            return self.forward(ground, &position, &look.head, look.said).await;
        }
        let head = self.rpc.head().await?;
        service::failpoint::pass(&["indexer.head.read"]);
        ground.chain.beat(|pulse| {
            pulse.head = Some(head.block());
            pulse.polled_at = Some(now);
        });
        let said = self.said(ground, &head).await?;
        let head = self.up_to_date(ground, head, said).await?;
        self.look = Some(Look { head, said, at: now });
        let ours = ground.block_at(head.number).await?.map(|block| block.hash);
        ground.measure(&position, head.number);
        match judge(position.tip, &head, ours) {
            HeadRule::Same => {
                ground.chain.beat(|pulse| pulse.caught_up = true);
                self.settle(ground, &position, said).await
            }
            HeadRule::Behind => self.behind(ground, &position, &head, said).await,
            HeadRule::Next | HeadRule::Gap => self.forward(ground, &position, &head, said).await,
            HeadRule::Fork => self.reorganise(ground, &position, head, said).await,
        }
    }

    /// Nothing is new but perhaps what is settled.
    async fn settle(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        said: Settled,
    ) -> Result<Progress, Error> {
        self.on_the_chain(ground, said).await?;
        if self.trust.disproven {
            return self.stand_still(ground, position).await;
        }
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
        let Some(known) = ground.block_below(head.number).await? else { return Ok(Progress::Idle) };
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
        let below_stuck = self.stuck.map_or(u64::MAX, |stuck| stuck.number.saturating_sub(1)).max(from);
        // Whatever is final is read by ranges; how long they are is not decided here.
        match plan(tip.number, head.number.min(below_stuck), said.finalized.map(|f| f.number)) {
            Plan::Range { from: _, to } => self.ranges(ground, position, to, said).await,
            Plan::Blocks { from: _, to } => {
                self.backfill.reset();
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
                self.on_the_chain(ground, said).await?;
                if self.trust.disproven {
                    return self.stand_still(ground, position).await;
                }
                self.blocks(ground, position, next, to, said).await
            }
            Plan::Nothing => Ok(Progress::Idle),
        }
    }

    /// What stands still, for something that was told is proven to be otherwise. Forks are still looked for, and none was
    /// found: whatever else stood in the way is over.
    async fn stand_still(&mut self, ground: &mut Ground, position: &Position) -> Result<Progress, Error> {
        self.backfill.reset();
        if ground.stopped {
            ground.commit(Step::settling(position.tip, Settled::default())).await?;
        }
        Ok(Progress::Idle)
    }

    /// Ranges of final blocks, up to `to`.
    async fn ranges(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        to: u64,
        said: Settled,
    ) -> Result<Progress, Error> {
        let most = events_a_step(ground.shared.db.engine());
        match self.backfill.next(position.tip, to, most).await? {
            Next::Read(_) if self.trust.disproven => self.stand_still(ground, position).await,
            Next::Read(Batch { ends, events }) => {
                let Some(last) = ends.last().copied() else { return Ok(Progress::Idle) };
                let known = said.finalized.filter(|block| block.number == last.number);
                let sound = match known {
                    Some(block) => block.hash == last.hash,
                    None => self.has_quorum(ground, last.block()).await?,
                };
                if !sound {
                    self.backfill.reset();
                    return Err(RpcError::Inconsistent(format!(
                        "block {} is {} to a node, and not that or not final to a quorum",
                        last.number, last.hash
                    ))
                    .into());
                }
                let headers = ends.iter().map(Header::kept).collect();
                ground.commit(Step { headers, events, ..Step::settling(position.tip, said) }).await?;
                Ok(Progress::Advanced)
            }
            // The next ranges end below it.
            Next::Stuck(stuck) => {
                self.stuck = Some(stuck.block);
                if stuck.block.number == position.tip.number.saturating_add(1) {
                    self.quarantine(ground, position, stuck, said).await
                } else {
                    Ok(Progress::Advanced)
                }
            }
            Next::Torn(next) => self.reorganise(ground, position, *next, said).await,
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

    /// Reads blocks and commits them upon the tip, or upon `fork` in place of what is above it.
    async fn replace(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        fork: Option<BlockRef>,
        mut headers: Vec<Header>,
        mut said: Settled,
    ) -> Result<Progress, Error> {
        let (watch, rpc) = (&*self.watch, &*self.rpc);
        let accepted = fork.is_some_and(|f| position.settled.finalized.is_some_and(|b| f.number < b.number));
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
        // That one of them cannot be decoded follows from its header too.
        let unsealed: Vec<Header> =
            headers.iter().take(sound.saturating_add(1)).filter(|header| !header.sealed).copied().collect();
        headers.truncate(sound);
        // What is final beyond the new tip settles the tip, which only the present node has told so far.
        if let Some(last) = headers.last().map(Header::block)
            && said.finalized.is_some_and(|finalized| finalized.number > last.number)
            && !self.has_quorum(ground, last).await?
        {
            said.finalized = None;
        }
        if self.watch.prove || self.rpc.0.quorum > 1 {
            self.sure_of(unsealed).await?;
        }
        let idle = headers.is_empty();
        self.stuck = stuck.as_ref().map(|stuck| stuck.block);
        let headers = headers.iter().map(Header::kept).collect();
        let step = Step { fork, accepted, headers, events, stuck, ..Step::settling(position.tip, said) };
        ground.commit(step).await?;
        Ok(if idle { Progress::Idle } else { Progress::Advanced })
    }

    /// Makes sure of headers whose fields do not make up their hashes: a quorum has no more of a final block than the hash.
    async fn sure_of(&self, unsealed: Vec<Header>) -> Result<(), RpcError> {
        let rpc = &*self.rpc;
        stream::iter(unsealed)
            .map(|header| async move { rpc.is_told_alike(&header).await })
            .buffered(AT_ONCE)
            .try_collect()
            .await
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
