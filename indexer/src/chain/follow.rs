//! The loop that follows the chain. It never ends by itself: what fails is tried again, what must not go on stands still
//! and says so.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use protocol::{
    chain::TransactionId,
    wire::view::{BlockRef, FaultKind},
};
use tokio::sync::Notify;

use super::{
    rpc::RpcError,
    source::Following,
    step::{self, Step},
    store::{self, Block, Position},
};
use crate::{
    Error, faults,
    feed::store::Decoded,
    shared::{Chain, Shared},
};

/// Whether there is more to do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Advanced,
    Idle,
}

/// Follows one chain into one database.
pub(crate) struct Follower {
    ground: Ground,
    source: Following,
    poll: Duration,
    wake: Arc<Notify>,
}

impl Follower {
    /// Looks at the chain every `poll_ms`, and when `wake` says that there may be something.
    pub fn new(shared: Shared, chain: Arc<Chain>, wake: Arc<Notify>) -> Self {
        let poll = chain.config.poll();
        let source = chain.source.following(&chain.config, chain.id, chain.contracts.clone());
        // Whether something is open is unknown after a start; the first step finds out.
        let ground = Ground { shared, chain, stopped: true };
        Self { ground, source, poll, wake }
    }

    /// Until `stop`.
    pub async fn run(mut self) {
        let stop = self.ground.shared.stop.clone();
        let mut failures = 0_u32;
        // What the metrics said of the process before is said again before the first answer of a node, which may never come.
        self.ground.alive();
        if let Err(error) = self.ground.alarms().await {
            self.trouble(&error, 1).await;
        }
        loop {
            let wait = tokio::select! {
                () = stop.cancelled() => return,
                progress = self.source.tick(&mut self.ground) => match progress {
                    Ok(progress) => {
                        failures = 0;
                        self.ground.chain.beat(|pulse| pulse.trouble = None);
                        if progress == Progress::Advanced { Duration::ZERO } else { self.poll }
                    }
                    Err(error) => {
                        failures = failures.saturating_add(1);
                        self.trouble(&error, failures).await;
                        Duration::from_millis(backoff_ms(failures))
                    }
                },
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = self.wake.notified(), if failures == 0 => {}
            }
        }
    }

    /// One look at the chain and at most one step; whether there is more to do at once.
    #[cfg(feature = "simulation")]
    pub async fn once(&mut self) -> Result<bool, Error> {
        match self.source.tick(&mut self.ground).await {
            Ok(progress) => Ok(progress == Progress::Advanced),
            Err(error) => {
                self.trouble(&error, 1).await;
                Err(error)
            }
        }
    }

    async fn trouble(&mut self, error: &Error, failures: u32) {
        tracing::warn!(chain = %self.ground.chain.id, %error, failures, "step failed; trying again");
        self.ground.chain.beat(|pulse| pulse.trouble = Some(error.to_string()));
        if let Error::Rpc(RpcError::WrongChain { node, .. } | RpcError::OtherGenesis { node, .. }) = error
            && let Err(error) = self.ground.raise(FaultKind::WrongChain, node, &error.to_string()).await
        {
            tracing::error!(%error, "a fault could not be recorded");
        }
    }
}

/// What the source of one chain stands on: what is kept, and the way to change it.
pub(crate) struct Ground {
    pub shared: Shared,
    pub chain: Arc<Chain>,
    /// Whether a fault that stops indexing may be open.
    pub stopped: bool,
}

impl Ground {
    /// How far the database is; none before the first step.
    pub async fn position(&self) -> Result<Option<Position>, Error> {
        store::position(&mut *self.shared.db.reader().acquire().await?, self.chain.number).await
    }

    /// Our canonical block at a height.
    pub async fn block_at(&self, number: u64) -> Result<Option<BlockRef>, Error> {
        store::block_at(&mut *self.shared.db.reader().acquire().await?, self.chain.number, number).await
    }

    /// The highest canonical block that we keep at or below a height.
    pub async fn block_below(&self, number: u64) -> Result<Option<BlockRef>, Error> {
        store::block_below(&mut *self.shared.db.reader().acquire().await?, self.chain.number, number).await
    }

    /// The transaction of the newest event up to a block.
    pub async fn newest_transaction(&self, number: u64) -> Result<Option<TransactionId>, Error> {
        let reader = &mut *self.shared.db.reader().acquire().await?;
        store::newest_transaction(reader, self.chain.number, number).await
    }

    /// Transactions with events in the blocks after `above` and up to `to`, each with the number of its block.
    pub async fn transactions_between(
        &self,
        above: u64,
        to: u64,
    ) -> Result<BTreeMap<TransactionId, u64>, Error> {
        let reader = &mut *self.shared.db.reader().acquire().await?;
        store::transactions_between(reader, self.chain.number, above, to).await
    }

    /// Begins above the anchor, the last block that is not read.
    pub async fn begin(&self, anchor: &Block) -> Result<Position, Error> {
        store::begin(&self.shared.db, self.chain.number, anchor, self.shared.clock.now_ms()).await?;
        self.position().await?.ok_or(Error::Raced)
    }

    fn alarm(&self, kind: FaultKind, open: bool) {
        let chain = self.chain.id.to_string();
        metrics::gauge!("indexer_alarm", "chain" => chain, "kind" => kind.name())
            .set(f64::from(u8::from(open)));
    }

    /// Opens a fault that stops indexing.
    pub async fn raise(&mut self, kind: FaultKind, subject: &str, detail: &str) -> Result<(), Error> {
        self.stopped = true;
        self.chain.beat(|pulse| pulse.stopped = true);
        self.alarm(kind, true);
        let mut write = self.shared.db.begin().await?;
        let now = self.shared.clock.now_ms();
        faults::raise(write.on(), self.chain.number, kind, subject, detail, now).await?;
        write.commit().await?;
        Ok(())
    }

    /// Opens a fault that stops nothing.
    pub async fn note(&self, kind: FaultKind, subject: &str, detail: &str) -> Result<(), Error> {
        self.alarm(kind, true);
        let mut write = self.shared.db.begin().await?;
        let now = self.shared.clock.now_ms();
        faults::raise(write.on(), self.chain.number, kind, subject, detail, now).await?;
        write.commit().await?;
        Ok(())
    }

    /// Clears a fault that stops nothing, if it is open.
    pub async fn clear(&self, kind: FaultKind, subject: &str) -> Result<(), Error> {
        let chain = self.chain.number;
        let open =
            faults::is_open(&mut *self.shared.db.reader().acquire().await?, chain, kind, subject).await?;
        if open {
            let mut write = self.shared.db.begin().await?;
            faults::clear(write.on(), chain, kind, subject, self.shared.clock.now_ms()).await?;
            write.commit().await?;
            self.retell_alarms().await;
        }
        Ok(())
    }

    /// Does a step and tells whoever waits for it.
    pub async fn commit(&mut self, step: Step) -> Result<(), Error> {
        if let Some(stuck) = &step.stuck {
            tracing::error!(stuck.detail, "a log cannot be decoded; standing still below its block");
        }
        let reached = step.headers.last().map(|header| header.number);
        let now = self.shared.clock.now_ms();
        let seq = step::commit(&self.shared.db, self.chain.number, &step, now).await?;
        self.stopped = step.stuck.is_some();
        self.read(&step.events);
        self.chain.beat(|pulse| {
            pulse.stopped = step.stuck.is_some();
            pulse.caught_up =
                pulse.caught_up || reached.is_some_and(|r| pulse.head.is_some_and(|h| h.number == r));
        });
        self.told(seq).await;
        Ok(())
    }

    /// Adds events of a final block that were missed when it was read; see [`step::amend`].
    pub async fn amend(&self, block: &Block, events: &[Decoded]) -> Result<(), Error> {
        let now = self.shared.clock.now_ms();
        let seq = step::amend(&self.shared.db, self.chain.number, block, events, now).await?;
        self.read(events);
        self.told(seq).await;
        Ok(())
    }

    /// Events were read that are kept now.
    fn read(&self, events: &[Decoded]) {
        let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
        self.chain.beat(|pulse| pulse.events = pulse.events.saturating_add(count));
    }

    async fn told(&self, seq: u64) {
        self.shared.told.send_if_modified(|told| {
            // Of two chains that told at once the later may come here first.
            let new = *told < seq;
            *told = seq.max(*told);
            new
        });
        self.retell_alarms().await;
    }

    /// The same as [`Self::alarms`] after something was committed, which stands whatever comes of reading then.
    async fn retell_alarms(&self) {
        if let Err(error) = self.alarms().await {
            tracing::error!(%error, "which faults are open cannot be read, so the metrics say what they said before");
        }
    }

    /// Tells the metrics which faults are open.
    async fn alarms(&self) -> Result<(), Error> {
        let open = faults::alarms(&mut *self.shared.db.reader().acquire().await?, self.chain.number).await?;
        for kind in FaultKind::ALL {
            self.alarm(kind, open.contains(&kind));
        }
        Ok(())
    }

    /// Tells the metrics that the chain was looked at.
    fn alive(&self) {
        let seconds = self.shared.clock.now_ms() / 1_000;
        metrics::gauge!("indexer_alive_seconds", "chain" => self.chain.id.to_string()).set(seconds as f64);
    }

    /// Tells the metrics how far the database is behind the node.
    pub fn measure(&self, position: &Position, head: u64) {
        let chain = self.chain.id.to_string();
        let lag = head.saturating_sub(position.tip.number);
        metrics::gauge!("indexer_lag_blocks", "chain" => chain.clone()).set(lag as f64);
        self.alive();
        let finalized = position.settled.finalized.map_or(0, |block| block.number);
        metrics::gauge!("indexer_finality_lag_blocks", "chain" => chain)
            .set(head.saturating_sub(finalized) as f64);
    }
}

/// The longest wait after a failure, in milliseconds.
pub(crate) const BACKOFF_MAX_MS: i64 = 10_000;

/// How long to wait after the n-th failure in a row, in milliseconds: doubling from 100 to [`BACKOFF_MAX_MS`].
pub(crate) fn backoff_ms(failures: u32) -> u64 {
    100_u64
        .saturating_mul(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX))
        .min(BACKOFF_MAX_MS.unsigned_abs())
}
