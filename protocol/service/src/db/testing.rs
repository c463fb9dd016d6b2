//! Fresh, empty databases for tests, on both engines.
#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at once when it has no database")]

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use sqlx::{AnyPool, any::install_default_drivers};
use tempfile::TempDir;

use super::Engine;

/// An empty database of its own, gone with this value where it is a file.
#[derive(Debug)]
pub struct FreshDb {
    /// To open it with.
    pub url: String,
    /// On which engine.
    pub engine: Engine,
    _folder: Option<TempDir>,
}

/// One empty database on each engine, so that one test body runs on both and says on which it failed.
///
/// # Panics
/// `EARNEST_TEST_POSTGRES` does not name a server on which databases may be created.
pub async fn on_both() -> [FreshDb; 2] {
    [sqlite(), postgres().await]
}

/// An empty SQLite file in a temporary folder.
///
/// # Panics
/// There is no temporary folder.
pub fn sqlite() -> FreshDb {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("test.sqlite").display());
    FreshDb { url, engine: Engine::Sqlite, _folder: Some(folder) }
}

/// An empty database on the server of `EARNEST_TEST_POSTGRES`.
///
/// # Panics
/// As [`on_both`].
pub async fn postgres() -> FreshDb {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Ok(server) = std::env::var("EARNEST_TEST_POSTGRES") else {
        panic!(
            "EARNEST_TEST_POSTGRES is not set: run the tests by ./scripts/test, which starts a server for them"
        );
    };
    install_default_drivers();
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let name = format!("t{}_{}_{nanos}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let pool = AnyPool::connect(&server).await.expect("the server of EARNEST_TEST_POSTGRES answers");
    let create = format!("CREATE DATABASE {name}");
    sqlx::query(sqlx::AssertSqlSafe(create)).execute(&pool).await.expect("a database can be created");
    pool.close().await;
    let (base, _) = server.rsplit_once('/').expect("the URL ends in a database name");
    FreshDb { url: format!("{base}/{name}"), engine: Engine::Postgres, _folder: None }
}
