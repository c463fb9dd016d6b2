//! The indexer: follows the watched contracts of one or more chains into a database and tells what happened, and how settled
//! it is, as a feed over HTTP.
//!
//! One step of a chain is one transaction: blocks, logs, events, states, feed entries and cursor. `docs/indexer.md` says how
//! it is built, `docs/architecture.md` how the services meet.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "test code stops where it overflows"))]

mod accept;
mod backfill;
mod bulk;
mod calls;
mod cases;
mod chain;
mod columns;
pub mod config;
mod deals;
mod delivery;
mod error;
mod faults;
mod feed;
#[cfg(any(test, feature = "bench"))]
mod made;
mod params;
mod pools;
mod query;
mod reindex;
mod shared;
#[cfg(feature = "simulation")]
pub mod simulation;
mod states;
#[cfg(test)]
mod testing;
#[cfg(feature = "bench")]
pub mod throughput;
mod verify;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::Router;
use futures::{
    FutureExt,
    future::{BoxFuture, JoinAll, join_all},
};
use protocol::chain::ChainId;
use service::{
    clock::Clock,
    db::{Alone, Db, DbError, Schema},
    http,
};
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    chain::follow::Follower,
    config::Config,
    shared::{Chain, Shared},
};
pub use accept::accept;
pub use backfill::{ChainProgress, backfill};
pub use chain::rpc::RpcError;
pub use error::Error;
pub use reindex::{Reindexed, reindex};
pub use verify::{Progress, Report, verify};

static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");
const SCHEMA: Schema = Schema { service: "indexer", sqlite: &SQLITE, postgres: &POSTGRES };

/// Opens the database without being the only one, gives every configured chain its number there, and refuses one that is followed otherwise than the
/// configuration says.
#[cfg(any(test, feature = "simulation"))]
async fn open(config: &Config, clock: &dyn Clock) -> Result<(Db, BTreeMap<ChainId, Arc<Chain>>), Error> {
    config.check()?;
    let db = Db::open(&config.database, SCHEMA).await?;
    let chains = register(&db, config, clock).await?;
    Ok((db, chains))
}

async fn register(
    db: &Db,
    config: &Config,
    clock: &dyn Clock,
) -> Result<BTreeMap<ChainId, Arc<Chain>>, Error> {
    let mut chains = BTreeMap::new();
    for (id, config) in &config.chains {
        let contracts: Vec<_> = config.watched(*id).into_iter().collect();
        let number = chain::store::register(db, *id, &contracts, config.start_block, clock.now_ms()).await?;
        chains.insert(*id, Arc::new(Chain::new(*id, number, config.clone())?));
    }
    Ok(chains)
}

/// How long to wait for whoever had the database before: on PostgreSQL a process that was killed has it a moment longer.
const ALONE_TRIES: u32 = 20;
const ALONE_PAUSE: Duration = Duration::from_millis(100);

/// A database that this process alone works on.
struct Own {
    db: Db,
    alone: Alone,
    chains: BTreeMap<ChainId, Arc<Chain>>,
}

impl Own {
    /// The same as [`open`] with the right to be the only one, before anything of the database is changed.
    async fn open(config: &Config, clock: &dyn Clock) -> Result<Self, Error> {
        config.check()?;
        for _ in 0..ALONE_TRIES {
            if let Some((db, alone)) = Db::open_alone(&config.database, SCHEMA).await? {
                let chains = register(&db, config, clock).await?;
                return Ok(Self { db, alone, chains });
            }
            tokio::time::sleep(ALONE_PAUSE).await;
        }
        let named =
            config.database.strip_prefix("sqlite:").map(|path| path.split('?').next().unwrap_or(path));
        Err(Error::InUse { database: named.unwrap_or("the database").to_owned() })
    }
}

/// Opens a database that is there, without changing anything of it, and refuses one of other chains than the configuration
/// says; chains that it does not have are none of its.
async fn open_existing(config: &Config) -> Result<Db, Error> {
    config.check()?;
    let db = Db::open_existing(&config.database, SCHEMA).await?;
    for (id, config) in &config.chains {
        let contracts: Vec<_> = config.watched(*id).into_iter().collect();
        chain::store::registered(&db, *id, &contracts, config.start_block).await?;
    }
    Ok(db)
}

/// Follows every chain and serves HTTP at `listener` until `stop`. Each chain is followed by itself: trouble with the nodes
/// of one holds up no other.
///
/// # Errors
/// The configuration or the database cannot be used, the session that has it for this process alone ends, or the listener
/// fails. Trouble with a chain's nodes ends nothing:
/// it is in `/status`.
pub async fn run(
    config: Config,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), Error> {
    service::telemetry::metrics();
    let Own { db, alone, chains } = Own::open(&config, &*clock).await?;
    feed::store::begin_run(&db).await?;
    let told = {
        let mut reader = db.reader().acquire().await?;
        for (_, chain) in chain::store::chains(&mut reader).await? {
            if !chains.contains_key(&chain) {
                tracing::warn!(%chain, "is in the database and not in the configuration: it is not followed");
            }
        }
        feed::store::last_seq(&mut reader).await?
    };
    // All end together: a listener that fails must not leave a follower behind.
    let stop = stop.child_token();
    let mut shared = Shared::new(db.clone(), chains, clock, stop.clone(), told);
    shared.deliveries = delivery::names(&config);
    shared.own_calls.0 = config.call_key.as_str().into();
    shared.calls_rate = shared::rate(config.calls_per_minute);
    let delivering = join_all(delivery::pumps(&config, &shared)?);
    let following = follow_all(&shared);
    let app = app(shared.clone());
    let serve = async {
        let served = http::serve(listener, app, stop.clone()).await;
        stop.cancel();
        served
    };
    let watch = until_lost(&db, &stop);
    let (_, _, served, kept) = tokio::join!(following, delivering, serve, watch);
    alone.give_up().await;
    db.close().await;
    served?;
    kept
}

/// Stops everything when the database is not this process's any more.
async fn until_lost(db: &Db, stop: &CancellationToken) -> Result<(), Error> {
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = db.lost() => {
            stop.cancel();
            Err(DbError::Lost.into())
        }
    }
}

/// Follows every chain until what is shared stops.
fn follow_all(shared: &Shared) -> JoinAll<BoxFuture<'static, ()>> {
    join_all(shared.chains.values().map(|chain| follow(shared.clone(), chain.clone()).boxed()))
}

async fn follow(shared: Shared, chain: Arc<Chain>) {
    let wake = Arc::new(Notify::new());
    let stop = shared.stop.clone();
    let follower = Follower::new(shared, chain.clone(), wake.clone());
    let listen = async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = chain.source.listen(&chain.config, &wake) => {}
        }
    };
    tokio::join!(follower.run(), listen);
}

fn app(shared: Shared) -> Router {
    let (routes, _) = query::openapi::described(&shared).split_for_parts();
    http::shell("indexer", routes.with_state(shared.clone()), move || {
        let shared = shared.clone();
        async move { chain::api::ready(&shared).await }
    })
}
