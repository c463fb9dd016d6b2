//! Puts the tasks together.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use service::{
    clock::Clock,
    db::{Db, Schema},
    http,
};
use sqlx::migrate;
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    alarm::Alarms,
    bridge::Bridge,
    config::Config,
    error::Error,
    intents::Fetcher,
    lease::Lease,
    peer::Peer,
    status::{self, Status},
    transactions::{self, Manager, Worker},
};

/// The relayer's tables.
pub const SCHEMA: Schema = Schema {
    service: "relayer",
    sqlite: &migrate!("migrations/sqlite"),
    postgres: &migrate!("migrations/postgres"),
};

/// Between renewals of the gauges.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// The relayer until `stop`: serves HTTP on `listener`, and works while it holds the lease of its signer.
///
/// # Errors
/// The configuration, the database when it is opened, or the listener. What fails later is tried again and said by
/// `/ready`.
pub async fn run(
    config: Config,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), Error> {
    config.check()?;
    let manager = Manager::new(&config)?;
    let hub = Peer::new("hub", "hub_url", &config.hub_url, Some(config.hub_key.expose()))?;
    let indexer = Peer::new("indexer", "indexer_url", &config.indexer_url, None)?;
    let db = Db::open(&config.database, SCHEMA).await?;
    // A task that ends early takes the others with it.
    let stop = stop.child_token();
    let _stops_all = stop.clone().drop_guard();
    let alarms = Arc::new(Alarms::default());
    let status = Status {
        db: db.clone(),
        clock: clock.clone(),
        chain: config.chain,
        signer: manager.signer(),
        alarms: alarms.clone(),
        progress: Arc::default(),
        seen: Arc::new(Mutex::new(None)),
    };
    for task in ["bridge", "intents", "transactions"] {
        alarms.raise(task, "starting", clock.now_ms());
    }
    let ready = {
        let alarms = alarms.clone();
        move || {
            let alarms = alarms.clone();
            async move { alarms.ready() }
        }
    };
    let routes = status::routes(status.clone()).merge(transactions::routes(db.clone()));
    let served = http::serve(listener, http::shell("relayer", routes, ready), stop.clone());
    let (reporter, reports) = transactions::reporter(hub.clone(), stop.clone());
    let arrived = Arc::new(Notify::new());
    let crew = Crew {
        bridge: Bridge {
            db: db.clone(),
            clock: clock.clone(),
            indexer,
            hub: hub.clone(),
            alarms: alarms.clone(),
            progress: status.progress.clone(),
        },
        fetcher: Fetcher {
            db: db.clone(),
            clock: clock.clone(),
            hub,
            chain: config.chain,
            alarms: alarms.clone(),
            reporter: reporter.clone(),
            arrived: arrived.clone(),
        },
        worker: Worker {
            db: db.clone(),
            clock: clock.clone(),
            manager,
            poll_interval: Duration::from_millis(config.poll_interval_ms),
            resend_after_ms: i64::try_from(config.resend_after_ms).unwrap_or(i64::MAX),
            alarms: alarms.clone(),
            reporter,
            arrived,
            seen: status.seen.clone(),
        },
        lease_ms: config.lease_ms,
    };
    let served = async {
        let served = served.await;
        stop.cancel();
        served
    };
    let (served, (), (), ()) = tokio::join!(served, reports, crew.work(&stop), measure(&status, &stop));
    db.close().await;
    Ok(served?)
}

async fn measure(status: &Status, stop: &CancellationToken) {
    loop {
        if let Err(error) = status::measure(status).await {
            tracing::warn!(%error, "gauges");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(MEASURE_EVERY) => {}
        }
    }
}

/// The three tasks.
struct Crew {
    bridge: Bridge,
    fetcher: Fetcher,
    worker: Worker,
    lease_ms: u64,
}

impl Crew {
    /// Works whenever this process holds the lease, until `stop`.
    async fn work(&self, stop: &CancellationToken) {
        while let Some(lease) = self.take_lease(stop).await {
            let lost = stop.child_token();
            let watch = async {
                let kept = tokio::select! {
                    kept = keep(&lease, &lost) => kept,
                    worked = self.worker.run(&lease, &lost) => worked,
                };
                lost.cancel();
                kept
            };
            let (ended, (), ()) =
                tokio::join!(watch, self.bridge.run(&lease, &lost), self.fetcher.run(&lease, &lost));
            if let Err(error) = ended {
                tracing::warn!(%error, "the lease ended");
            }
            if stop.is_cancelled()
                && let Err(error) = lease.give_up().await
            {
                tracing::warn!(%error, "the lease is not given up and will run out");
            }
        }
    }

    async fn take_lease(&self, stop: &CancellationToken) -> Option<Lease> {
        let (db, clock, alarms) = (&self.worker.db, &self.worker.clock, &self.worker.alarms);
        let signer = self.worker.manager.signer();
        while !stop.is_cancelled() {
            let pause = match Lease::take(db, clock.clone(), signer, self.lease_ms).await {
                Ok(Ok(lease)) => {
                    alarms.clear("lease");
                    return Some(lease);
                }
                Ok(Err(until_ms)) => {
                    let now_ms = clock.now_ms();
                    let words = format!("another process works for signer {signer}; standing by");
                    alarms.raise("lease", words, now_ms);
                    u64::try_from(until_ms.saturating_sub(now_ms)).unwrap_or(0).clamp(50, 1_000)
                }
                Err(error) => {
                    alarms.raise("lease", error.to_string(), clock.now_ms());
                    1_000
                }
            };
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            }
        }
        None
    }
}

/// Keeps the lease alive until `stop`, or until it is lost.
async fn keep(lease: &Lease, stop: &CancellationToken) -> Result<(), Error> {
    let beat = Duration::from_millis(lease.beat_ms());
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(beat) => {}
        }
        match lease.beat().await {
            // A database that is away for a moment: every write checks the epoch anyway.
            Ok(()) | Err(Error::Db(_)) => {}
            Err(error) => return Err(error),
        }
    }
}
