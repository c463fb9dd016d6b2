//! Following an EVM chain: one look at it, and what that means for what is kept.

use std::sync::Arc;

use alloy::primitives::B256;
use futures::{StreamExt, TryStreamExt, stream};
use protocol::{
    chain::{AccountId, ChainId},
    wire::view::{BlockRef, FaultKind},
};

use super::{
    backfill::{Backfill, Batch, Next},
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
        quorum::{self, Verdict},
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
/// The most blocks that one reorganisation may replace.
const FORK_DEPTH_MAX: usize = 10_000;
/// While the final past is read, milliseconds for which one look at the head is good: what is final stays final.
const LOOK_MS: i64 = 1_000;

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
        if let Err(Error::Rpc(RpcError::Inconsistent(_))) = progress {
            self.rpc.0.doubt();
            self.look = None;
        }
        self.trust.record(ground, self.rpc.0.caught()).await?;
        if progress? == Progress::Advanced {
            return Ok(Progress::Advanced);
        }
        if ground.stopped {
            return Ok(Progress::Idle);
        }
        // What was read is looked at once more when there is nothing new: proven, and compared with what the contracts say.
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
        self.reconciler.answers(ground, finalized.number, &questions, answers).await
    }

    async fn step(&mut self, ground: &mut Ground) -> Result<Progress, Error> {
        self.trust.load(ground).await?;
        self.trust.warn(ground).await?;
        let position = self.position(ground).await?;
        let now = ground.shared.clock.now_ms();
        let goes_on = |look: &Look| {
            self.backfill.is_busy()
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
        self.up_to_date(&head, said).await?;
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

    /// The present node alone tells the head: one that stands still, below what a quorum says is final, would hold up
    /// everything. Where there is no other to ask it is waited for.
    async fn up_to_date(&self, head: &Header, said: Settled) -> Result<(), Error> {
        let Some(finalized) = said.finalized.filter(|finalized| finalized.number > head.number) else {
            return Ok(());
        };
        if self.rpc.0.all().count() <= 1 {
            return Ok(());
        }
        // The head was read before, and on some chains the newest block is final at once.
        let head = self.rpc.head().await?;
        if head.number >= finalized.number {
            return Ok(());
        }
        Err(RpcError::Inconsistent(format!(
            "the head is {} to a node, and block {} is final",
            head.number, finalized.number
        ))
        .into())
    }

    /// A node that is where we are, while what is final is another block than ours: both of us are on a branch that is none.
    async fn on_the_chain(&self, ground: &Ground, said: Settled) -> Result<(), Error> {
        let Some(finalized) = said.finalized else { return Ok(()) };
        match ground.block_at(finalized.number).await? {
            Some(ours) if ours != finalized => Err(RpcError::Inconsistent(format!(
                "block {} is {} to a node, and final as {}",
                finalized.number, ours.hash, finalized.hash
            ))
            .into()),
            _ => Ok(()),
        }
    }

    /// What the chain says is settled: its own tags, or so many blocks below the head where it has none. A node that leaves
    /// out the tag once, as one that just started does, makes nothing final. Nor does what a quorum does not agree on.
    async fn said(&mut self, ground: &mut Ground, head: &Header) -> Result<Settled, Error> {
        let rpc = &*self.rpc;
        let safe = rpc.tagged("safe").await?;
        let tags = self.trust.tags;
        let depth = head.number.checked_sub(self.finality_depth).filter(|number| *number > 0);
        let said = rpc
            .0
            .poll(|node| async move {
                match (rpc.tagged_of(node, "finalized").await?, depth) {
                    (Some(block), _) => Ok(Some((block, true))),
                    (None, Some(number)) if !tags => {
                        Ok(rpc.at_of(node, number).await?.map(|block| (block, false)))
                    }
                    (None, _) => Ok(None),
                }
            })
            .await?;
        let said: Vec<_> = said.into_iter().filter_map(|(at, said)| said.map(|said| (at, said))).collect();
        // For ever, so not by the word of one.
        if said.iter().filter(|(_, (_, tagged))| *tagged).count() >= rpc.0.quorum {
            self.trust.has_tags(ground).await?;
        }
        // By depth and by tag are two things: where the chain has tags, only they count.
        let said: Vec<(usize, Header)> = said
            .into_iter()
            .filter(|(_, (_, tagged))| *tagged || !self.trust.tags)
            .map(|(at, (block, _))| (at, block))
            .collect();
        let finalized = self.agreed(ground, &said).await?;
        Ok(Settled { safe: safe.map(|h| h.block()), finalized })
    }

    /// The newest block that a quorum of the nodes says is final; `said` is what each of them says, by position.
    async fn agreed(
        &mut self,
        ground: &mut Ground,
        said: &[(usize, Header)],
    ) -> Result<Option<BlockRef>, Error> {
        let quorum = self.rpc.0.quorum;
        let heights: Vec<u64> = said.iter().map(|(_, block)| block.number).collect();
        let Some(number) = quorum::height(&heights, quorum) else {
            // Where one node is enough, it only has none yet.
            if quorum > 1 {
                let words = format!("{} of {quorum} nodes say what is final", said.len());
                self.trust.quorum(ground, Some(words)).await?;
            }
            return Ok(None);
        };
        let mut hashes: Vec<_> =
            said.iter().filter(|(_, b)| b.number == number).map(|(at, b)| (*at, b.hash)).collect();
        if said.iter().any(|(_, block)| block.number > number) {
            let above: Vec<usize> =
                said.iter().filter(|(_, block)| block.number > number).map(|(at, _)| *at).collect();
            hashes.extend(self.rpc.hashes_at(number, |at| above.contains(&at)).await?);
        }
        self.verdict(ground, number, &hashes).await
    }

    /// The block at a height that a quorum agrees on; who differs from it lied.
    async fn verdict(
        &mut self,
        ground: &mut Ground,
        number: u64,
        hashes: &[(usize, B256)],
    ) -> Result<Option<BlockRef>, Error> {
        let quorum = self.rpc.0.quorum;
        let Verdict { agreed, dissent } = quorum::judge(hashes, quorum);
        let Some(hash) = agreed else {
            let words = format!("no {quorum} nodes agree on block {number}");
            self.trust.quorum(ground, Some(words)).await?;
            return Ok(None);
        };
        self.trust.quorum(ground, None).await?;
        for (at, said) in hashes {
            if dissent.contains(at) {
                self.rpc
                    .0
                    .lied(*at, format!("block {number} is {hash} to {quorum} others, and {said} to it"));
            } else {
                self.rpc.0.agrees(*at);
            }
        }
        Ok(Some(BlockRef { number, hash }))
    }

    /// Whether a quorum has this block: the last of a range is told as final at once.
    async fn has_quorum(&mut self, ground: &mut Ground, block: BlockRef) -> Result<bool, Error> {
        if self.rpc.0.quorum <= 1 {
            return Ok(true);
        }
        let hashes = self.rpc.hashes_at(block.number, |_| true).await?;
        Ok(self.verdict(ground, block.number, &hashes).await? == Some(block))
    }

    /// Nothing is new but perhaps what is settled.
    async fn settle(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        said: Settled,
    ) -> Result<Progress, Error> {
        self.on_the_chain(ground, said).await?;
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
                if self.stands_still() {
                    return Ok(Progress::Idle);
                }
                self.blocks(ground, position, next, to, said).await
            }
            Plan::Nothing => Ok(Progress::Idle),
        }
    }

    /// Whether nothing more is told, for something that was told is proven to be otherwise. Forks are still looked for.
    fn stands_still(&self) -> bool {
        self.prover.as_ref().is_some_and(Prover::stands_still)
    }

    /// Ranges of final blocks, up to `to`.
    async fn ranges(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        to: u64,
        said: Settled,
    ) -> Result<Progress, Error> {
        match self.backfill.next(position.tip, to).await? {
            Next::Read(_) if self.stands_still() => {
                self.backfill.reset();
                Ok(Progress::Idle)
            }
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
                        "block {} is {} to a node, and another to a quorum",
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

    /// Blocks of ours were replaced: finds the last one that the chain still has, reads what replaces the rest, and only
    /// then lets go of it. `branch` is a block of the chain that does not follow upon ours.
    async fn reorganise(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        branch: Header,
        said: Settled,
    ) -> Result<Progress, Error> {
        self.backfill.reset();
        // Below this nothing may be replaced, but what the operator accepts.
        let anchor = position.start_block.saturating_sub(1);
        let finalized = position.settled.finalized.map_or(anchor, |finalized| finalized.number);
        let mut floor = finalized;
        let accepted = self.trust.accepted(ground).await?;
        if let Some(accepted) = accepted
            && self.leads_to(&branch, accepted).await?
        {
            floor = anchor;
        }
        let mut newest_first = vec![branch];
        let mut oldest = branch;
        let fork = loop {
            if accepted == Some(oldest.hash) {
                floor = anchor;
            }
            let below = oldest.number.checked_sub(1);
            let ours = match below {
                Some(number) => ground.block_at(number).await?,
                None => None,
            };
            match ours {
                Some(ours) if ours.hash == oldest.parent && ours.number >= floor => break ours,
                _ if below.is_none_or(|number| number <= floor) || newest_first.len() >= FORK_DEPTH_MAX => {
                    if let Some(ours) = position.settled.finalized
                        && self.rpc.0.quorum > 1
                        && self.has_quorum(ground, ours).await?
                    {
                        return Err(RpcError::Inconsistent(format!(
                            "block {} of a node leads past block {}, which a quorum still has",
                            branch.number, ours.number
                        ))
                        .into());
                    }
                    let detail = format!(
                        "block {} {} of the chain leads past our final block {finalized}",
                        branch.number, branch.hash
                    );
                    tracing::error!(detail, "reorganisation deeper than finality; standing still");
                    ground.raise(FaultKind::DeepReorg, &branch.hash.to_string(), &detail).await?;
                    return Ok(Progress::Idle);
                }
                _ => {}
            }
            oldest = self.rpc.by_hash(oldest.parent).await.map_err(|error| match error {
                RpcError::Unknown { reason, .. } => RpcError::Inconsistent(format!(
                    "a node does not have {}, the parent of its block {}: {reason}",
                    oldest.parent, oldest.number
                )),
                error => error,
            })?;
            newest_first.push(oldest);
        };
        service::failpoint::pass(&["indexer.fork.found"]);
        let depth = position.tip.number.saturating_sub(fork.number);
        tracing::info!(depth, fork = fork.number, "reorganisation");
        let chain = ground.chain.id.to_string();
        metrics::counter!("indexer_reorgs_total", "chain" => chain.clone()).increment(1);
        metrics::gauge!("indexer_reorg_depth", "chain" => chain).set(depth as f64);
        newest_first.reverse();
        let progress = self.replace(ground, position, Some(fork), newest_first, said).await?;
        self.trust.again(ground).await?;
        Ok(progress)
    }

    /// Whether a block that the operator accepts is above `branch`, on the same chain.
    async fn leads_to(&self, branch: &Header, accepted: B256) -> Result<bool, Error> {
        let mut block = match self.rpc.by_hash(accepted).await {
            Ok(block) => block,
            Err(RpcError::Unknown { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let above = block.number.saturating_sub(branch.number);
        // By height first: the way down is long, and goes only where it leads to the branch.
        if usize::try_from(above).map_or(true, |above| above > FORK_DEPTH_MAX)
            || self.rpc.at(block.number).await?.is_none_or(|at| at.hash != accepted)
        {
            return Ok(false);
        }
        for _ in 0..above {
            block = match self.rpc.by_hash(block.parent).await {
                Ok(block) => block,
                Err(RpcError::Unknown { .. }) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(block.hash == branch.hash)
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
        headers.truncate(sound);
        // What is final beyond the new tip settles the tip, which only the present node has told so far.
        if let Some(last) = headers.last().map(Header::block)
            && said.finalized.is_some_and(|finalized| finalized.number > last.number)
            && !self.has_quorum(ground, last).await?
        {
            said.finalized = None;
        }
        let idle = headers.is_empty();
        self.stuck = stuck.as_ref().map(|stuck| stuck.block);
        let headers = headers.iter().map(Header::kept).collect();
        let step = Step { fork, accepted, headers, events, stuck, ..Step::settling(position.tip, said) };
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
