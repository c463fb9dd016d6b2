//! The loop that follows the chain. It never ends by itself: what fails is tried again, what must not go on stands still
//! and says so.

use std::{sync::Arc, time::Duration};

use protocol::wire::view::FaultKind;
use tokio::sync::Notify;

use super::{
    rpc::RpcError,
    source::Following,
    store::{self, Block, Position, Step},
};
use crate::{Error, faults, shared::Shared};

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
    /// Looks at the chain every `poll`, and when `wake` says that there may be something.
    pub const fn new(shared: Shared, source: Following, poll: Duration, wake: Arc<Notify>) -> Self {
        // Whether something is open is unknown after a start; the first step finds out.
        let ground = Ground { shared, stopped: true };
        Self { ground, source, poll, wake }
    }

    /// Until `stop`.
    pub async fn run(mut self) {
        let stop = self.ground.shared.stop.clone();
        let mut failures = 0_u32;
        loop {
            let wait = tokio::select! {
                () = stop.cancelled() => return,
                progress = self.source.tick(&mut self.ground) => match progress {
                    Ok(progress) => {
                        failures = 0;
                        self.ground.shared.beat(|pulse| pulse.trouble = None);
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

    async fn trouble(&mut self, error: &Error, failures: u32) {
        tracing::warn!(%error, failures, "step failed; trying again");
        self.ground.shared.beat(|pulse| pulse.trouble = Some(error.to_string()));
        if let Error::Rpc(RpcError::WrongChain { node, .. } | RpcError::OtherGenesis { node, .. }) = error
            && let Err(error) = self.ground.raise(FaultKind::WrongChain, node, &error.to_string()).await
        {
            tracing::error!(%error, "a fault could not be recorded");
        }
    }
}

/// What every source stands on: what is kept, and the way to change it.
pub(crate) struct Ground {
    pub shared: Shared,
    /// Whether a fault that stops indexing may be open.
    pub stopped: bool,
}

impl Ground {
    /// How far the database is; none before the first step.
    pub async fn position(&self) -> Result<Option<Position>, Error> {
        store::position(&mut *self.shared.db.reader().acquire().await?).await
    }

    /// Begins above the anchor, the last block that is not read.
    pub async fn begin(&self, start_block: u64, anchor: &Block) -> Result<Position, Error> {
        let (shared, now) = (&self.shared, self.shared.clock.now_ms());
        store::begin(&shared.db, shared.chain, &shared.contracts, start_block, anchor, now).await?;
        self.position().await?.ok_or(Error::Raced)
    }

    /// Opens a fault that stops indexing.
    pub async fn raise(&mut self, kind: FaultKind, subject: &str, detail: &str) -> Result<(), Error> {
        self.stopped = true;
        metrics::gauge!("indexer_alarm", "kind" => kind.name()).set(1.0);
        let mut write = self.shared.db.begin().await?;
        faults::raise(write.on(), kind, subject, detail, self.shared.clock.now_ms()).await?;
        write.commit().await?;
        Ok(())
    }

    /// Does a step and tells whoever waits for it.
    pub async fn commit(&mut self, step: Step) -> Result<(), Error> {
        if let Some(stuck) = &step.stuck {
            tracing::error!(stuck.detail, "a log cannot be decoded; standing still below its block");
        }
        let reached = step.headers.last().map(|header| header.number);
        let seq = store::commit(&self.shared.db, &step, self.shared.clock.now_ms()).await?;
        self.stopped = step.stuck.is_some();
        self.shared.beat(|pulse| {
            pulse.caught_up =
                pulse.caught_up || reached.is_some_and(|r| pulse.head.is_some_and(|h| h.number == r));
        });
        self.shared.told.send_if_modified(|told| {
            let new = *told != seq;
            *told = seq;
            new
        });
        let mut reader = self.shared.db.reader().acquire().await?;
        let open = faults::alarms(&mut reader).await?;
        for kind in FaultKind::ALL {
            let alarm = if open.contains(&kind) { 1.0 } else { 0.0 };
            metrics::gauge!("indexer_alarm", "kind" => kind.name()).set(alarm);
        }
        Ok(())
    }
}

/// How long to wait after the n-th failure in a row, in milliseconds: doubling from 100 to 10,000.
pub(crate) fn backoff_ms(failures: u32) -> u64 {
    100_u64.saturating_mul(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX)).min(10_000)
}

/// Tells the metrics how far the database is behind the node.
pub(crate) fn measure(position: &Position, head: u64) {
    let lag = head.saturating_sub(position.tip.number);
    metrics::gauge!("indexer_lag_blocks").set(lag as f64);
    let finalized = position.settled.finalized.map_or(0, |block| block.number);
    metrics::gauge!("indexer_finality_lag_blocks").set(head.saturating_sub(finalized) as f64);
}
