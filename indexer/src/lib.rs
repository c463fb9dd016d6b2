//! The indexer: follows the watched contracts of one chain into a database and tells what happened, and how settled it
//! is, as a feed over HTTP.
//!
//! One step is one transaction: blocks, events, states, feed entries and cursor. `docs/architecture.md` says how the
//! services meet.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "test code stops where it overflows"))]

mod calls;
mod cases;
mod chain;
mod columns;
pub mod config;
mod deals;
mod error;
mod faults;
mod feed;
mod params;
mod pools;
mod shared;
mod states;
#[cfg(test)]
mod testing;
mod verify;

use std::sync::Arc;

use axum::Router;
use protocol::chain::{AccountId, ChainId};
use service::{
    clock::Clock,
    db::{Db, Schema},
    http,
};
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    chain::{follow::Follower, source::Source},
    config::Config,
    shared::Shared,
};
pub use chain::rpc::RpcError;
pub use error::Error;
pub use verify::{Report, verify};

static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");
const SCHEMA: Schema = Schema { service: "indexer", sqlite: &SQLITE, postgres: &POSTGRES };

/// Opens the database and refuses one that follows something else than the configuration says.
async fn open(config: &Config) -> Result<(Db, ChainId, Arc<[AccountId]>), Error> {
    let chain = config.check()?;
    let contracts: Arc<[AccountId]> = config.watched().into_iter().collect();
    let db = Db::open(&config.database, SCHEMA).await?;
    let mut reader = db.reader().acquire().await?;
    chain::store::check_identity(&mut reader, chain, &contracts, config.start_block).await?;
    drop(reader);
    Ok((db, chain, contracts))
}

/// Follows the chain and serves HTTP at `listener` until `stop`.
///
/// # Errors
/// The configuration or the database cannot be used, or the listener fails. Trouble with the chain's node ends nothing:
/// it is in `/status`.
pub async fn run(
    config: Config,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), Error> {
    service::telemetry::metrics();
    let (db, chain, contracts) = open(&config).await?;
    let source = Source::new(&config, chain)?;
    let told = {
        let mut reader = db.reader().acquire().await?;
        feed::store::last_seq(&mut reader).await?
    };
    let silence_max_ms = i64::try_from(config.poll_ms.saturating_mul(10).max(30_000)).unwrap_or(i64::MAX);
    // Both end together: a listener that fails must not leave the follower behind.
    let stop = stop.child_token();
    let shared =
        Shared::new(db.clone(), source.clone(), chain, contracts, clock, stop.clone(), told, silence_max_ms);
    let wake = Arc::new(Notify::new());
    let following = source.following(&config, chain, shared.contracts.clone());
    let follower = Follower::new(shared.clone(), following, config.poll(), wake.clone());
    let app = app(shared);
    let serve = async {
        let served = http::serve(listener, app, stop.clone()).await;
        stop.cancel();
        served
    };
    let listen = async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = source.listen(&config, &wake) => {}
        }
    };
    let ((), (), served) = tokio::join!(follower.run(), listen, serve);
    db.close().await;
    Ok(served?)
}

fn app(shared: Shared) -> Router {
    let routes = Router::new()
        .merge(feed::api::routes())
        .merge(deals::api::routes())
        .merge(cases::api::routes())
        .merge(pools::api::routes())
        .merge(calls::routes())
        .merge(chain::api::routes())
        .with_state(shared.clone());
    http::shell("indexer", routes, move || {
        let shared = shared.clone();
        async move { chain::api::ready(&shared).await }
    })
}
