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
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    alarm::Alarms,
    bridge::{self, Bridge},
    config::Config,
    error::Error,
    estimate::{self, Estimator},
    intents::{self, Fetcher},
    lease::{LEASE, LOOK_EVERY, Lease, STANDING_BY},
    outbox::{self, Messenger},
    page::Pager,
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

/// The tasks that say for themselves when they work.
const TASKS: [&str; 3] = [bridge::TASK, intents::TASK, transactions::TASK];
/// What is said of a task until it has done its first round.
const STARTING: &str = "starting";
/// Between tries to take the lease from a process that is gone.
const TAKE_EVERY: Duration = Duration::from_millis(250);
/// Between renewals of the gauges.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// The relayer until `stop`: serves HTTP on `listener`, and works while it holds the lease of its database.
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
    // What is counted before it is there is lost.
    service::telemetry::metrics();
    let (crew, status) = prepare(&config, clock).await?;
    // A task that ends early takes the others with it.
    let stop = stop.child_token();
    let _stops_all = stop.clone().drop_guard();
    let ready = {
        let alarms = status.alarms.clone();
        move || {
            let alarms = alarms.clone();
            async move { alarms.ready() }
        }
    };
    let estimator = Estimator::new(
        status.db.clone(),
        status.clock.clone(),
        config.chain,
        crew.worker.manager.clone(),
        config.quotas,
        config.hub_key.clone(),
    );
    let routes = status::routes(status.clone())
        .merge(transactions::routes(status.db.clone(), config.hub_key.clone()))
        .merge(estimate::routes(estimator));
    let served = http::serve(listener, http::shell("relayer", routes, ready), stop.clone());
    let served = async {
        let served = served.await;
        stop.cancel();
        served
    };
    let (served, (), ()) = tokio::join!(served, crew.work(&stop), measure(&status, &stop));
    status.db.close().await;
    Ok(served?)
}

/// The tasks and what they say of themselves; nothing of it works yet.
pub(crate) async fn prepare(config: &Config, clock: Arc<dyn Clock>) -> Result<(Crew, Status), Error> {
    config.check()?;
    let manager = Manager::new(config).await?;
    let hub = Peer::new("hub", "hub_url", &config.hub_url, Some(config.hub_key.expose()))?;
    let indexer = Peer::new("indexer", "indexer_url", &config.indexer_url, None)?;
    let pager = match config.page_url.as_str() {
        "" => None,
        url => Some(Pager::new(url, config.page_secret.expose(), config.chain)?),
    };
    let db = Db::open_as_is(&config.database, SCHEMA).await?;
    // While another process works, what it works with stays as it is.
    if let Some(alone) = db.alone().await? {
        db.migrate(SCHEMA).await?;
        alone.give_up().await;
    }
    let alarms = Arc::new(Alarms::default());
    let status = Status {
        db: db.clone(),
        clock: clock.clone(),
        chain: config.chain,
        steps_day_cost: config.quotas.steps_day_cost,
        signers: manager.signers(),
        alarms: alarms.clone(),
        progress: Arc::default(),
        seen: Arc::new(Mutex::new(None)),
        over_quota: Arc::default(),
    };
    alarms.begin_anew([LEASE], STARTING, clock.now_ms());
    let crew = Crew {
        bridge: Bridge {
            db: db.clone(),
            clock: clock.clone(),
            chain: config.chain,
            indexer,
            hub: hub.clone(),
            alarms: alarms.clone(),
            progress: status.progress.clone(),
        },
        fetcher: Fetcher {
            db: db.clone(),
            clock: clock.clone(),
            hub: hub.clone(),
            chain: config.chain,
            alarms: alarms.clone(),
        },
        worker: Worker {
            db: db.clone(),
            clock: clock.clone(),
            manager,
            poll_interval: Duration::from_millis(config.poll_interval_ms),
            resend_after_ms: i64::try_from(config.resend_after_ms).unwrap_or(i64::MAX),
            alarms: alarms.clone(),
            seen: status.seen.clone(),
            over_quota: status.over_quota.clone(),
        },
        messenger: Messenger { db: db.clone(), clock: clock.clone(), hub, pager, alarms: alarms.clone() },
    };
    Ok((crew, status))
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

/// The tasks.
pub(crate) struct Crew {
    pub bridge: Bridge,
    pub fetcher: Fetcher,
    pub worker: Worker,
    pub messenger: Messenger,
}

impl Crew {
    /// Works whenever this process holds the lease, until `stop`.
    pub(crate) async fn work(&self, stop: &CancellationToken) {
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
            let (ended, (), (), ()) = tokio::join!(
                watch,
                self.bridge.run(&lease, &lost),
                self.fetcher.run(&lease, &lost),
                self.messenger.run(&lease, &lost)
            );
            self.falls_silent();
            if let Err(error) = ended {
                tracing::warn!(%error, "the lease ended");
            }
            lease.give_up().await;
        }
    }

    /// Takes back what only who works says: what is true from now on another process says.
    fn falls_silent(&self) {
        let (alarms, clock) = (&self.worker.alarms, &self.worker.clock);
        alarms.begin_anew([LEASE], "it ended; taking it again", clock.now_ms());
        self.worker.falls_silent();
        self.bridge.falls_silent();
        for task in TASKS.into_iter().chain([outbox::TASK]) {
            status::rests(task);
        }
    }

    async fn take_lease(&self, stop: &CancellationToken) -> Option<Lease> {
        let (db, clock, alarms) = (&self.worker.db, &self.worker.clock, &self.worker.alarms);
        while !stop.is_cancelled() {
            match Lease::take(db).await {
                Ok(Some(lease)) => {
                    tracing::info!("the lease is taken");
                    alarms.begin_anew(TASKS, STARTING, clock.now_ms());
                    // One that never ends its first round is as silent as one that ends no other.
                    for task in TASKS.into_iter().chain([outbox::TASK]) {
                        status::alive(task, clock.now_ms());
                    }
                    return Some(lease);
                }
                Ok(None) => alarms.raise(LEASE, STANDING_BY, clock.now_ms()),
                Err(error) => alarms.raise(LEASE, error.to_string(), clock.now_ms()),
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(TAKE_EVERY) => {}
            }
        }
        None
    }
}

/// Looks whether the lease still holds, until `stop` or until it does not.
async fn keep(lease: &Lease, stop: &CancellationToken) -> Result<(), Error> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        match lease.check().await {
            // A database that is away for a moment: every write checks the epoch anyway.
            Ok(()) | Err(Error::Db(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;
    use service::db::testing::{on_both, sqlite};

    use super::*;
    use crate::{
        testing::{Gauges, MovedClock, Peers, config, until},
        transactions::{Seen, SeenSigner},
    };

    #[tokio::test]
    async fn who_stands_by_leaves_the_schema_as_it_is_until_it_has_the_lease() {
        let peers = Peers::start().await;
        let key = "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";
        for fresh in on_both().await {
            let another = Db::open_as_is(&fresh.url, SCHEMA).await.unwrap();
            let works = another.alone().await.unwrap().unwrap();
            let config = config(&fresh.url, &peers, "http://127.0.0.1:9", key);
            let (crew, status) = prepare(&config, Arc::new(MovedClock::default())).await.unwrap();
            assert!(Lease::take(&status.db).await.unwrap().is_none(), "{:?}", fresh.engine);
            assert!(status::measure(&status).await.is_err(), "{:?}: there is no table yet", fresh.engine);
            works.give_up().await;
            let lease = crew.take_lease(&CancellationToken::new()).await.unwrap();
            status::measure(&status).await.unwrap();
            lease.give_up().await;
        }
    }

    #[tokio::test]
    async fn who_stands_by_makes_no_rounds_and_has_nothing_that_is_not_done() {
        let (db, peers, gauges) = (sqlite(), Peers::start().await, Gauges::default());
        let _heard = metrics::set_default_local_recorder(&gauges);
        let key = "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";
        let config = config(&db.url, &peers, "http://127.0.0.1:9", key);
        let (crew, status) = prepare(&config, Arc::new(MovedClock::default())).await.unwrap();
        let (address, seven) = (status.signers[0], U256::from(7));
        let signer = SeenSigner { address, balance: seven, balance_billionths: seven, nonce: Some(0) };
        *status.seen.lock().unwrap() = Some(Seen { latest: 9, finalized: 8, signers: vec![signer] });
        let rounds = || {
            let tasks = TASKS.into_iter().chain([outbox::TASK]);
            tasks.map(|task| gauges.get(&format!("relayer_task_alive_seconds {task}"))).collect::<Vec<_>>()
        };
        let measured = async || {
            status::measure(&status).await.unwrap();
            let balance = format!("relayer_signer_balance_gwei {}", status.signers[0]);
            ["relayer_alarms", "relayer_works eip155:31337", balance.as_str(), "relayer_latest_block"]
                .map(|gauge| gauges.get(gauge).unwrap().to_string())
        };

        let stop = CancellationToken::new();
        let working = async {
            until("every task makes rounds", || async {
                let begun = status.alarms.all().into_values().all(|alarm| alarm.reason != STARTING);
                begun.then_some(())
            })
            .await;
            assert!(rounds().into_iter().all(|second| second.is_some_and(|second| second > 1e9)));
            // The chain does not answer.
            let [alarms, works, balance, newest] = measured().await;
            assert!(alarms != "0", "{alarms}");
            assert_eq!([works, balance, newest], ["1", "7", "9"]);
            stop.cancel();
        };
        tokio::join!(crew.work(&stop), working);
        assert!(rounds().into_iter().all(|second| second.is_some_and(f64::is_nan)), "{:?}", rounds());
        assert_eq!(measured().await, ["1", "0", "NaN", "NaN"], "it is not said yet who works");

        let lease = crew.take_lease(&CancellationToken::new()).await.unwrap();
        let begun = rounds().into_iter().all(|second| second.is_some_and(|second| second > 1e9));
        assert!(begun, "before the first round: {:?}", rounds());
        crew.falls_silent();
        lease.give_up().await;

        let another = Lease::take(&status.db).await.unwrap().unwrap();
        let stop = CancellationToken::new();
        let standing_by = async {
            until("it stands by", || async {
                let said = status.alarms.ready().unwrap_err();
                (said == format!("{LEASE}: {STANDING_BY}")).then_some(())
            })
            .await;
            stop.cancel();
        };
        tokio::join!(crew.work(&stop), standing_by);
        assert_eq!(measured().await, ["0", "0", "NaN", "NaN"]);
        another.give_up().await;
    }
}
