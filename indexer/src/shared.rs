//! What the follower of the chain and the handlers of requests share.

use std::sync::{Arc, Mutex, PoisonError};

use protocol::{
    chain::{AccountId, ChainId},
    wire::view::BlockRef,
};
use service::{clock::Clock, db::Db};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::chain::source::Source;

/// Read-only calls at one time.
pub(crate) const CALLS_AT_ONCE_MAX: usize = 16;

/// What is known of the node since this process started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse {
    pub head: Option<BlockRef>,
    pub caught_up: bool,
    /// Unix milliseconds.
    pub polled_at: Option<i64>,
    pub trouble: Option<String>,
}

/// Clones share everything.
#[derive(Clone)]
pub(crate) struct Shared {
    pub db: Db,
    pub source: Source,
    pub chain: ChainId,
    pub contracts: Arc<[AccountId]>,
    pub clock: Arc<dyn Clock>,
    pub stop: CancellationToken,
    /// The newest entry of the feed that is committed: wakes the long polls.
    pub told: Arc<watch::Sender<u64>>,
    pub calls: Arc<Semaphore>,
    /// Milliseconds after which a node that was not heard of makes the service not ready.
    pub silence_max_ms: i64,
    pulse: Arc<Mutex<Pulse>>,
}

impl Shared {
    #[allow(clippy::too_many_arguments, reason = "the parts of the service, put together in one place")]
    pub fn new(
        db: Db,
        source: Source,
        chain: ChainId,
        contracts: Arc<[AccountId]>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
        told: u64,
        silence_max_ms: i64,
    ) -> Self {
        Self {
            db,
            source,
            chain,
            contracts,
            clock,
            stop,
            told: Arc::new(watch::Sender::new(told)),
            calls: Arc::new(Semaphore::new(CALLS_AT_ONCE_MAX)),
            silence_max_ms,
            pulse: Arc::default(),
        }
    }

    pub fn pulse(&self) -> Pulse {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn beat(&self, change: impl FnOnce(&mut Pulse)) {
        change(&mut self.pulse.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
