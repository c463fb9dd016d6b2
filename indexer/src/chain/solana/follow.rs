//! Following a Solana cluster: one look at it, and what that means for what is kept.
//!
//! Everything up to the tip's slot is kept, without gaps: slots are applied whole and in order, up to a slot that the
//! cluster had confirmed before the transactions were listed. What was applied before it was final is compared once more with
//! the final list, and with what a quorum tells of the transactions in it; where they differ, it is retracted from there on
//! and read again.

mod content;
mod lists;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU32},
};

use alloy::primitives::B256;
use protocol::{
    chain::{AccountId, ChainId, TransactionId},
    wire::view::{BlockRef, FaultKind},
};

use self::lists::together;
use super::{
    read::Told,
    reconcile,
    rpc::{Commitment, Listed, Rpc},
};
use crate::{
    Error,
    chain::{
        follow::{BACKOFF_MAX_MS, Ground, Progress, backoff_ms},
        reconcile::Reconciler,
        rpc::RpcError,
        step::Step,
        store::{Block, Position, Settled},
        trust::{self, Trust},
    },
    config::ChainConfig,
};

/// Transactions of a step, and those that a quorum is asked about in one look, but for those of the last slot, which is applied
/// whole.
const STEP: usize = 128;
/// How often what was confirmed may be let go in a row before that is an alarm: reading it again is no end in itself.
const LET_GO_MAX: u32 = 5;
/// Final slots after which the final list is looked at even where nothing waits to become final.
const STALE: u64 = 32;
/// For how long fewer nodes than a quorum are not asked again for their final lists, in milliseconds.
const UNLISTED_REST_MS: i64 = if cfg!(test) { 1_000 } else { 10_000 };
/// How often in a row the present node may tell a newest slot without its block before the next one has its turn.
const HEADLESS_MAX: u32 = 8;
/// How often what is asked of a quorum at once is halved at most: then it is one transaction.
const UNAGREED_MAX: u32 = STEP.ilog2();

/// Transactions above the tip.
#[derive(Debug, Default)]
struct Listing {
    /// Oldest first.
    waiting: VecDeque<Listed>,
    /// All transactions up to this slot, which has a block, are in it.
    to: u64,
    /// What was final before it was listed.
    finalized: u64,
}

/// Follows one cluster.
pub(crate) struct Following {
    rpc: Arc<Rpc>,
    chain: ChainId,
    contracts: Arc<[AccountId]>,
    start_block: u64,
    page: u64,
    listing: Listing,
    /// How often in a row the block of the newest slot was not there.
    headless: u32,
    /// How often in a row what was confirmed was let go before anything became final.
    let_go: u32,
    /// What is confirmed up to this slot was let go once: nothing but the final list makes it final.
    doubted: u64,
    /// Unix milliseconds; what was let go is not read again before.
    rests_until: i64,
    /// In what words fewer nodes than a quorum list what is final.
    unlisted: Option<String>,
    /// How often no quorum told alike what was asked of it, less how often one did: ever less is asked for at once, for it may be
    /// too much.
    unagreed: u32,
    /// What a quorum told of transactions, by the slots in which they are listed, until these are settled.
    agreed: Mutex<BTreeMap<(u64, TransactionId), Vec<Told>>>,
    /// How often in a row the list of each node did not end in time.
    endless: Vec<AtomicU32>,
    /// Unix milliseconds; final lists are not asked for again before.
    lists_rest_until: i64,
    /// Whether something became final since the process began.
    was_stable: bool,
    reconciler: Reconciler,
    trust: Trust,
}

impl Following {
    pub fn new(rpc: Arc<Rpc>, config: &ChainConfig, chain: ChainId, contracts: Arc<[AccountId]>) -> Self {
        let endless = rpc.0.all().map(|_| AtomicU32::new(0)).collect();
        Self {
            rpc,
            chain,
            contracts,
            start_block: config.start_block,
            page: config.signatures_max,
            listing: Listing::default(),
            headless: 0,
            let_go: 0,
            doubted: 0,
            rests_until: 0,
            unlisted: None,
            unagreed: 0,
            agreed: Mutex::default(),
            endless,
            lists_rest_until: 0,
            was_stable: false,
            reconciler: Reconciler::new(config.reconcile_ms),
            trust: Trust::default(),
        }
    }

    async fn position(&mut self, ground: &Ground) -> Result<Position, Error> {
        let below = self.start_block.saturating_sub(1);
        if let Some(position) = ground.position().await? {
            if !self.rpc.0.insists() {
                let anchor = ground.block_at(below).await?;
                let anchor = anchor.ok_or_else(|| Error::damaged("blocks", "no anchor"))?;
                let reader = &mut *ground.shared.db.reader().acquire().await?;
                self.doubted = trust::left(reader, ground.chain.number).await?;
                self.rpc.0.insist_on(anchor.hash);
            }
            return Ok(position);
        }
        // The anchor stands for the chain itself.
        let genesis = self.rpc.genesis().await?;
        self.rpc.0.insist_on(genesis);
        let anchor = Block { number: below, hash: genesis, parent: B256::ZERO, time: 0 };
        ground.begin(&anchor).await
    }

    /// One look at the chain and at most one step.
    pub async fn tick(&mut self, ground: &mut Ground) -> Result<Progress, Error> {
        let progress = self.step(ground).await;
        if let Err(Error::Rpc(error)) = &progress {
            self.rpc.0.turn_after(error);
        }
        self.trust.record(ground, &self.rpc.0).await?;
        if progress? == Progress::Advanced {
            return Ok(Progress::Advanced);
        }
        if ground.stopped {
            return Ok(Progress::Idle);
        }
        let Some(position) = ground.position().await? else { return Ok(Progress::Idle) };
        let Some(finalized) = position.settled.finalized else { return Ok(Progress::Idle) };
        let questions = self.reconciler.questions(ground, finalized.number).await?;
        if questions.is_empty() {
            return Ok(Progress::Idle);
        }
        let range = (finalized.number, position.tip.number);
        let answers = reconcile::differences(&self.rpc, ground, range, &questions).await?;
        self.reconciler.answers(ground, finalized.number, &questions, Ok(answers)).await
    }

    async fn step(&mut self, ground: &mut Ground) -> Result<Progress, Error> {
        let position = self.position(ground).await?;
        self.trust.warn(ground).await?;
        // Before everything else: what is listed afterwards holds all of it.
        let finalized = self.rpc.finalized().await?;
        let words =
            finalized.is_none().then(|| format!("fewer than {} nodes say what is final", self.rpc.0.quorum));
        self.trust.quorum(ground, words.or_else(|| self.unlisted.clone())).await?;
        let finalized = finalized.unwrap_or_default();
        let confirmed = self.newest(finalized).await?;
        let Some(head) = self.rpc.block(confirmed).await? else {
            self.without_head(confirmed);
            return Ok(Progress::Idle);
        };
        self.headless = 0;
        service::failpoint::pass(&["indexer.head.read"]);
        let now = ground.shared.clock.now_ms();
        ground.chain.beat(|pulse| {
            pulse.head = Some(head.block());
            pulse.polled_at = Some(now);
        });
        ground.measure(&position, head.number);
        if (1..=BACKOFF_MAX_MS).contains(&self.rests_until.saturating_sub(now)) {
            return Ok(Progress::Idle);
        }
        if head.number < position.tip.number {
            return self.below_tip(ground, &position, finalized.min(head.number)).await;
        }
        if self.listing.waiting.is_empty() && head.number > position.tip.number {
            self.listing = self.above(ground, &position, &head, finalized).await?;
        }
        let finalized =
            if self.listing.to > position.tip.number { self.listing.finalized } else { finalized };
        let Some((settled, mark)) = self.settled(ground, &position, finalized).await? else {
            return self.let_go(ground, &position).await;
        };
        self.apply(ground, &position, &head, (settled, mark)).await
    }

    /// The newest slot. The present node alone tells it: one that stands still, below what a quorum has as final, would hold up
    /// everything. So the next one has its turn; where each of them is behind, the last that was asked is waited for.
    async fn newest(&self, finalized: u64) -> Result<u64, RpcError> {
        let mut newest = self.rpc.slot(Commitment::Confirmed).await?;
        for _ in 1..self.rpc.0.all().count() {
            if newest >= finalized {
                break;
            }
            tracing::warn!(newest, finalized, "a node is behind what is final; the next one is asked");
            self.rpc.0.doubt();
            newest = self.rpc.slot(Commitment::Confirmed).await?;
        }
        Ok(newest)
    }

    /// A node may need a moment for a block that it has just confirmed. One that never has it would hold up everything.
    fn without_head(&mut self, slot: u64) {
        self.headless = self.headless.saturating_add(1);
        if self.headless >= HEADLESS_MAX {
            tracing::warn!(slot, "a node has no block for the newest slot it tells; the next one is asked");
            self.headless = 0;
            self.rpc.0.doubt();
        }
    }

    /// The present node is behind the tip, or whoever told the tip made it up: what is final below it is compared nevertheless, so
    /// that nothing is left out for good.
    async fn below_tip(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        finalized: u64,
    ) -> Result<Progress, Error> {
        let Some((settled, mark)) = self.settled(ground, position, finalized).await? else {
            return self.let_go(ground, position).await;
        };
        // What cannot be decoded above the tip stays said.
        if !ground.stopped && settled.finalized != position.settled.finalized {
            self.is_stable(ground).await?;
            ground.commit(Step { mark, ..Step::settling(position.tip, settled) }).await?;
        }
        Ok(Progress::Idle)
    }

    /// What is to be applied after the tip.
    async fn above(
        &self,
        ground: &Ground,
        position: &Position,
        head: &Block,
        finalized: u64,
    ) -> Result<Listing, Error> {
        // Never what a list ended with: what one node put there too early would hide from all lists what is before it.
        let until = ground.newest_transaction(position.tip.number).await?;
        let tip = position.tip.number;
        let node = self.rpc.0.node().await?;
        let mut list = self.list_of(node, Commitment::Confirmed, (tip, head.number), until).await?;
        let mut finalized = finalized;
        let past = finalized.min(head.number);
        // What is told as final at once is not left to one node.
        if past > tip && self.rpc.0.quorum > 1 {
            match self.final_list((tip, past), until).await {
                Ok(sure) => {
                    let to = if sure.to < past { list.to.min(sure.to) } else { list.to };
                    list = together([list, sure], to);
                }
                Err(error) => {
                    tracing::warn!(%error, "nothing that is listed now is final yet");
                    finalized = 0;
                }
            }
        }
        service::failpoint::pass(&["indexer.signatures.read"]);
        Ok(Listing { waiting: list.newest_first.into_iter().rev().collect(), to: list.to, finalized })
    }

    /// Up to where it may be told as final, and the block there where it is not known yet: what is kept up to there was
    /// found in the final list, as a quorum tells it. None where either is another.
    async fn settled(
        &mut self,
        ground: &Ground,
        position: &Position,
        finalized: u64,
    ) -> Result<Option<(Settled, Option<Block>)>, Error> {
        let before = position.settled.finalized;
        let below = before.map_or(self.start_block.saturating_sub(1), |block| block.number);
        let nothing = Some((Settled { safe: None, finalized: before }, None));
        self.forget_agreed(below);
        if finalized <= below {
            return Ok(nothing);
        }
        let now = ground.shared.clock.now_ms();
        let mut to = finalized.min(position.tip.number);
        let mut waits = ground.transactions_between(below, to).await?;
        if waits.is_empty() && finalized.saturating_sub(below) < STALE {
            return Ok(nothing);
        }
        if to > below {
            // A clock that is set back ends the rest.
            let rests = self.lists_rest_until.saturating_sub(now);
            if (1..=UNLISTED_REST_MS).contains(&rests) {
                return Ok(nothing);
            }
            let until = ground.newest_transaction(below).await?;
            let list = match self.final_list((below, to), until).await {
                Ok(list) => list,
                // Reading goes on without it.
                Err(error) if self.rpc.0.quorum > 1 => {
                    self.rest_without(&error, now);
                    return Ok(nothing);
                }
                Err(error) => return Err(error.into()),
            };
            self.unlisted = None;
            if list.to < to {
                to = list.to;
                waits.retain(|_, slot| *slot <= to);
            }
            let mut listed = list.newest_first;
            // Of what a quorum must tell alike no more than a step is asked for in one look.
            let most = STEP.checked_shr(self.unagreed).unwrap_or_default().max(1);
            let last = listed.iter().rev().nth(most.saturating_sub(1)).map(|one| one.slot);
            if let Some(last) = last.filter(|_| self.rpc.0.quorum > 1)
                && listed.front().is_some_and(|newest| newest.slot > last)
            {
                to = last;
                listed.retain(|one| one.slot <= to);
                waits.retain(|_, slot| *slot <= to);
            }
            match self.agree(ground, &waits, &listed, (below, to)).await {
                Ok(true) => self.unagreed = self.unagreed.saturating_sub(1),
                Ok(false) => return Ok(None),
                Err(Error::Rpc(error)) if self.rpc.0.quorum > 1 => {
                    self.unagreed = self.unagreed.saturating_add(1).min(UNAGREED_MAX);
                    // Who lists what does not fit is not the first the next time.
                    self.rpc.0.turn_after(&error);
                    self.rest_without(&error, now);
                    return Ok(nothing);
                }
                Err(error) => return Err(error),
            }
        }
        let beyond = to < finalized && to == position.tip.number;
        if beyond && to < self.doubted && to == below {
            return Ok(nothing);
        }
        if beyond && to >= self.doubted {
            // Beyond the tip it reaches as far as this step does.
            let finalized = BlockRef { number: finalized, hash: B256::ZERO };
            return Ok(Some((Settled { safe: None, finalized: Some(finalized) }, None)));
        }
        // In a slot without a block nothing became final, but what the final list holds below it did.
        let block = match self.final_block(to, &waits).await {
            Err(error) if self.rpc.0.quorum > 1 => {
                self.rest_without(&error, now);
                return Ok(nothing);
            }
            block => block?,
        };
        let Some(block) = block else { return Ok(nothing) };
        let ours = ground.block_at(block.number).await?;
        if ours.is_some_and(|ours| ours.hash != block.hash) {
            return Ok(None);
        }
        Ok(Some((Settled { safe: None, finalized: Some(block.block()) }, Some(block))))
    }

    /// Nothing more is final for some time; reading goes on.
    fn rest_without(&mut self, error: &RpcError, now: i64) {
        tracing::warn!(%error, "nothing more is final yet");
        self.unlisted = Some(error.to_string());
        self.lists_rest_until = now.saturating_add(UNLISTED_REST_MS);
    }

    /// Lets go of everything above what is final: the next look reads it again.
    async fn let_go(&mut self, ground: &mut Ground, position: &Position) -> Result<Progress, Error> {
        let below = self.start_block.saturating_sub(1);
        let fork = match position.settled.finalized {
            Some(block) => Some(block),
            None => ground.block_at(below).await?,
        };
        let fork = fork.ok_or_else(|| Error::damaged("blocks", "no anchor"))?;
        self.let_go = self.let_go.saturating_add(1);
        // Where lists differ the first is right: another node's is the first the next time.
        self.rpc.0.doubt();
        if self.let_go >= LET_GO_MAX {
            let detail = format!(
                "what is confirmed above slot {} was let go {} times in a row, and none of it became final",
                fork.number, self.let_go
            );
            tracing::error!(detail, "the cluster, or who tells of it, is not stable");
            ground.note(FaultKind::Unstable, "finality", &detail).await?;
        }
        service::failpoint::pass(&["indexer.fork.found"]);
        tracing::warn!(
            fork = fork.number,
            tip = position.tip.number,
            "confirmed transactions did not become final"
        );
        metrics::counter!("indexer_reorgs_total", "chain" => ground.chain.id.to_string()).increment(1);
        self.listing = Listing::default();
        self.forget_agreed(u64::MAX);
        self.doubted = self.doubted.max(position.tip.number);
        // Each time is told to whoever reads the feed.
        let rest = i64::try_from(backoff_ms(self.let_go)).unwrap_or(i64::MAX);
        self.rests_until = ground.shared.clock.now_ms().saturating_add(rest);
        ground.commit(Step { fork: Some(fork), ..Step::settling(position.tip, Settled::default()) }).await?;
        Ok(Progress::Idle)
    }

    /// Something became final: what was let go before it is forgotten.
    async fn is_stable(&mut self, ground: &Ground) -> Result<(), Error> {
        // After a start the fault may be another process's.
        if std::mem::take(&mut self.let_go) >= LET_GO_MAX || !std::mem::replace(&mut self.was_stable, true) {
            ground.clear(FaultKind::Unstable, "finality").await?;
        }
        Ok(())
    }

    /// Applies the oldest of what waits.
    async fn apply(
        &mut self,
        ground: &mut Ground,
        position: &Position,
        head: &Block,
        (settled, mark): (Settled, Option<Block>),
    ) -> Result<Progress, Error> {
        let from = position.tip;
        if settled.finalized != position.settled.finalized {
            self.is_stable(ground).await?;
        }
        if self.listing.to <= from.number {
            ground.chain.beat(|pulse| pulse.caught_up = true);
            if ground.stopped || settled.finalized != position.settled.finalized {
                ground.commit(Step { mark, ..Step::settling(from, settled) }).await?;
            }
            return Ok(Progress::Idle);
        }
        let waiting = &self.listing.waiting;
        let last = waiting.get(STEP.min(waiting.len()).saturating_sub(1)).map(|listed| listed.slot);
        let count = waiting.iter().take_while(|listed| Some(listed.slot) <= last).count();
        let all = count == waiting.len();
        let to = last.filter(|_| !all).unwrap_or(self.listing.to);
        let chunk: Vec<Listed> = waiting.iter().take(count).cloned().collect();
        let sure = settled.finalized.map_or(0, |block| block.number);
        let (mut headers, events, stuck) = match self.read(&chunk, Some(head), sure).await {
            Ok(read) => read,
            Err(Error::Rpc(error)) if self.rpc.0.quorum > 1 && sure > from.number => {
                return Ok(self.only_seen(ground, &error));
            }
            Err(error) => {
                self.listing = Listing::default();
                return Err(error);
            }
        };
        if stuck.is_none() && headers.last().is_none_or(|last| last.number < to) {
            match self.block(to, Some(head), sure).await {
                Ok(block) => headers.push(block),
                Err(error) if self.rpc.0.quorum > 1 && sure > from.number => {
                    return Ok(self.only_seen(ground, &error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let idle = headers.is_empty();
        let stays = stuck.is_some();
        // A step that fails may be kept all the same: what comes next is listed anew from what is kept then.
        let mut listing = std::mem::take(&mut self.listing);
        // What is final beyond the new tip was listed after it was final.
        ground.commit(Step { headers, events, mark, stuck, ..Step::settling(from, settled) }).await?;
        self.forget_agreed(sure.min(to));
        if stays {
            // Read again from what is kept: the transaction may be gone by then.
            return Ok(if idle { Progress::Idle } else { Progress::Advanced });
        }
        listing.waiting.drain(..count);
        self.listing = listing;
        Ok(if all { Progress::Idle } else { Progress::Advanced })
    }

    /// What a quorum told of transactions up to this slot is not asked for again.
    fn forget_agreed(&mut self, to: u64) {
        let agreed = self.agreed.get_mut().unwrap_or_else(PoisonError::into_inner);
        agreed.retain(|(slot, _), _| *slot > to);
    }

    /// What waits is told as seen, by one node's word: no quorum tells it alike.
    fn only_seen(&mut self, ground: &Ground, error: &RpcError) -> Progress {
        self.rpc.0.turn_after(error);
        self.listing.finalized = 0;
        self.rest_without(error, ground.shared.clock.now_ms());
        Progress::Idle
    }
}
