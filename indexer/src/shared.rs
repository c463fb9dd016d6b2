//! What the followers of the chains and the handlers of requests share.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use protocol::{
    chain::{AccountId, ChainId},
    wire::view::BlockRef,
};
use service::{clock::Clock, db::Db};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    chain::source::Source,
    config::{CALLS_PER_MINUTE, ChainConfig},
    feed::{select::Selection, stream::STREAMS_MAX},
};

/// Read-only calls at one time of everybody, and as many of who bears the key.
pub(crate) const CALLS_AT_ONCE_MAX: usize = 16;

/// Requests for the feed that wait for an entry at one time.
pub(crate) const WAITS_MAX: usize = 256;
/// Of the connections that read (`service::db`), so many look through the feed at one time: the followers of the chains need some.
pub(crate) const SCANS_AT_ONCE_MAX: usize = 3;

/// When whoever bears no key may ask a node once more; none where nobody may without a key.
pub(crate) type Rate = Option<Arc<DefaultDirectRateLimiter>>;

/// So often a minute, all together.
pub(crate) fn rate(per_minute: u32) -> Rate {
    NonZeroU32::new(per_minute).map(|most| Arc::new(RateLimiter::direct(Quota::per_minute(most))))
}

/// What is known of a chain's nodes since this process started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse {
    pub head: Option<BlockRef>,
    pub caught_up: bool,
    /// Unix milliseconds.
    pub polled_at: Option<i64>,
    pub trouble: Option<String>,
    /// Whether this process met a fault that stops indexing, and has not made a step since.
    pub stopped: bool,
    /// Whether something that was told is proven not to be on the chain.
    pub disproven: bool,
    /// Events that were read.
    pub events: u64,
    /// Why the next final blocks cannot be proven, while that lasts.
    pub unproven: Option<String>,
    /// Unix milliseconds when every open deal had been compared with the contract.
    pub reconciled_at: Option<i64>,
}

/// One chain that is followed.
pub(crate) struct Chain {
    pub id: ChainId,
    /// What stands for it in the database: `chains.number`.
    pub number: i64,
    pub config: ChainConfig,
    pub contracts: Arc<[AccountId]>,
    pub source: Source,
    /// Milliseconds after which nodes that were not heard of make the chain not ready.
    pub silence_max_ms: i64,
    pulse: Mutex<Pulse>,
}

impl Chain {
    pub fn new(id: ChainId, number: i64, config: ChainConfig) -> Result<Self, Error> {
        Ok(Self {
            source: Source::new(&config, id)?,
            contracts: config.watched(id).into_iter().collect(),
            silence_max_ms: i64::try_from(config.poll_ms.saturating_mul(10).max(30_000)).unwrap_or(i64::MAX),
            pulse: Mutex::default(),
            id,
            number,
            config,
        })
    }

    pub fn pulse(&self) -> Pulse {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn beat(&self, change: impl FnOnce(&mut Pulse)) {
        change(&mut self.pulse.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Clones share everything.
#[derive(Clone)]
pub(crate) struct Shared {
    pub db: Db,
    pub chains: Arc<BTreeMap<ChainId, Arc<Chain>>>,
    pub clock: Arc<dyn Clock>,
    pub stop: CancellationToken,
    /// The newest entry of the feed that is committed: wakes the long polls.
    pub told: Arc<watch::Sender<u64>>,
    pub calls: Arc<Semaphore>,
    pub calls_rate: Rate,
    /// The key for places of one's own, and these.
    pub own_calls: (Arc<str>, Arc<Semaphore>),
    /// Places for streams of the feed.
    pub streams: Arc<Semaphore>,
    /// Places for requests that wait for an entry.
    pub waits: Arc<Semaphore>,
    /// Turns at looking through the feed for what somebody picks of it.
    pub scans: Arc<Semaphore>,
    /// Names of the configured deliveries.
    pub deliveries: Arc<[String]>,
}

impl Shared {
    pub fn new(
        db: Db,
        chains: BTreeMap<ChainId, Arc<Chain>>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
        told: u64,
    ) -> Self {
        Self {
            db,
            chains: Arc::new(chains),
            clock,
            stop,
            told: Arc::new(watch::Sender::new(told)),
            calls: Arc::new(Semaphore::new(CALLS_AT_ONCE_MAX)),
            calls_rate: rate(CALLS_PER_MINUTE),
            own_calls: (Arc::default(), Arc::new(Semaphore::new(CALLS_AT_ONCE_MAX))),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            waits: Arc::new(Semaphore::new(WAITS_MAX)),
            scans: Arc::new(Semaphore::new(SCANS_AT_ONCE_MAX)),
            deliveries: Arc::default(),
        }
    }

    /// The right to look through the feed, where something is to be picked of it.
    pub async fn turn(&self, selection: &Selection) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        if selection.picks() { self.scans.acquire().await.ok() } else { None }
    }

    /// The followed chains as a refusal names them.
    pub fn chain_names(&self) -> String {
        self.chains.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}
