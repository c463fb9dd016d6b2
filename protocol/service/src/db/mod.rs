//! The database of a service: SQLite by default, PostgreSQL by URL, one SQL text for both over sqlx's `Any` driver.
//!
//! Every write goes through [`Db::begin`], which gives writers their turn one after another (a lock in the process on
//! SQLite, an advisory lock of the transaction on PostgreSQL): the order of commits is the order of sequence numbers.
//! What differs between the engines is in `sqlite.rs` and `postgres.rs`.

mod alone;
mod postgres;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use sqlx::{
    Any, AnyPool, Transaction,
    any::{AnyPoolOptions, install_default_drivers},
    migrate::Migrator,
};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use crate::failpoint;

pub use alone::Alone;

/// The two engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file of this process.
    Sqlite,
    /// A server.
    Postgres,
}

/// The schema of a service, once for each engine.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Names the service: its writers share one lock, and its fail points carry the name.
    pub service: &'static str,
    /// `sqlx::migrate!("migrations/sqlite")`.
    pub sqlite: &'static Migrator,
    /// `sqlx::migrate!("migrations/postgres")`.
    pub postgres: &'static Migrator,
}

/// Why the database could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The URL names no engine of ours.
    #[error("database URL `{0}` must begin with sqlite: or postgres:")]
    UnknownEngine(String),
    /// The engine's own words.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// The session that had the database for itself ended, and with it its lock: another process may have the database.
    #[error("the session that had the database for this process alone ended")]
    Lost,
    /// The schema could not be brought up to date.
    #[error("schema: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

/// A handle to the database; clones share it.
#[derive(Clone, Debug)]
pub struct Db {
    engine: Engine,
    /// Of one connection.
    writer: AnyPool,
    pool: AnyPool,
    turn: Arc<Mutex<()>>,
    service: &'static str,
    lock_key: i64,
    /// Where writing takes the session that holds the lock: ends when that session did.
    fence: Option<CancellationToken>,
}

impl Db {
    /// Opens the database and brings its schema up to date. `sqlite:PATH` creates the file; `sqlite::memory:` is refused
    /// by the engine's pool, use a temporary file.
    ///
    /// # Errors
    /// An unknown engine, a server that cannot be reached within ten seconds, or a schema newer than this program.
    pub async fn open(url: &str, schema: Schema) -> Result<Self, DbError> {
        let db = Self::open_as_is(url, schema).await?;
        db.migrate(schema).await?;
        Ok(db)
    }

    /// As [`Db::open`] for whoever may not be the only one yet: the schema stays as it is until [`Db::migrate`].
    ///
    /// # Errors
    /// An unknown engine, or a server that cannot be reached within ten seconds.
    pub async fn open_as_is(url: &str, schema: Schema) -> Result<Self, DbError> {
        Self::connect(url, schema.service).await
    }

    /// As [`Db::open`] for the one process that works on the database, which nothing of it is changed before; none where another
    /// process (or another handle of this one) is that. On PostgreSQL the session that writes holds the lock: once it ends,
    /// every [`Db::begin`] is [`DbError::Lost`] and [`Db::lost`] comes true, so that nothing is written without the lock. The
    /// database must be reached directly, or through a proxy that keeps sessions apart.
    ///
    /// # Errors
    /// As [`Db::open`], or the file beside the database cannot be opened.
    pub async fn open_alone(url: &str, schema: Schema) -> Result<Option<(Self, Alone)>, DbError> {
        let mut db = Self::connect(url, schema.service).await?;
        let Some(alone) = db.alone_as_writer().await? else {
            db.close().await;
            return Ok(None);
        };
        db.fence = Some(CancellationToken::new());
        db.migrate(schema).await?;
        Ok(Some((db, alone)))
    }

    /// Brings the schema up to date; one that is stays as it is.
    ///
    /// # Errors
    /// The engine's own, or a schema newer than this program.
    pub async fn migrate(&self, schema: Schema) -> Result<(), DbError> {
        let migrator = match self.engine {
            Engine::Sqlite => schema.sqlite,
            Engine::Postgres => schema.postgres,
        };
        let mut session = self.writer.acquire().await?;
        let migrated = migrator.run_direct(None, &mut *session, false).await;
        // One that failed still holds the lock of those who migrate, as long as its session lives.
        if migrated.is_err()
            && let Err(error) = session.close().await
        {
            tracing::debug!(%error, "the session that did not migrate");
        }
        Ok(migrated?)
    }

    /// Comes true when the session that had the database for this process alone ended; never of another handle.
    pub async fn lost(&self) {
        match &self.fence {
            Some(fence) => fence.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Opens a database that is there and changes nothing of it, whatever its schema.
    ///
    /// # Errors
    /// As [`Db::open`]; also where there is no such file.
    pub async fn open_existing(url: &str, schema: Schema) -> Result<Self, DbError> {
        if url.starts_with("sqlite:") && !url.contains("mode=") {
            let url = format!("{url}{}mode=rw", if url.contains('?') { '&' } else { '?' });
            return Self::connect(&url, schema.service).await;
        }
        Self::connect(url, schema.service).await
    }

    async fn connect(url: &str, service: &'static str) -> Result<Self, DbError> {
        install_default_drivers();
        let options = AnyPoolOptions::new().acquire_timeout(Duration::from_secs(10));
        let (engine, writer, pool) = if url.starts_with("sqlite:") {
            let (writer, readers) = sqlite::connect(url, options).await?;
            (Engine::Sqlite, writer, readers)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let (writer, readers) = postgres::connect(url, options).await?;
            (Engine::Postgres, writer, readers)
        } else {
            return Err(DbError::UnknownEngine(
                url.split(':').next().unwrap_or_default().chars().take(40).collect(),
            ));
        };
        let digest = Sha256::digest(service.as_bytes());
        let lock_key = digest.first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        Ok(Self { engine, writer, pool, turn: Arc::default(), service, lock_key, fence: None })
    }

    /// Which engine it is.
    pub const fn engine(&self) -> Engine {
        self.engine
    }

    /// For reading. A read outside [`Db::begin`] sees a committed state, perhaps not the newest.
    pub const fn reader(&self) -> &AnyPool {
        &self.pool
    }

    /// Waits for this writer's turn and begins a transaction. Dropping it without [`Write::commit`] undoes it.
    ///
    /// # Errors
    /// The engine's own; [`DbError::Lost`] of a handle of [`Db::open_alone`].
    pub async fn begin(&self) -> Result<Write, DbError> {
        let turn = self.turn.clone().lock_owned().await;
        #[cfg(feature = "simulation")]
        crate::simulation::settle().await;
        refused(&[self.service, "begin"])?;
        let transaction = match self.engine {
            Engine::Sqlite => sqlite::begin(&self.writer).await?,
            Engine::Postgres => {
                let (transaction, holds) = postgres::begin(&self.writer, self.lock_key).await?;
                if let Some(fence) = self.fence.as_ref().filter(|_| !holds) {
                    fence.cancel();
                    return Err(DbError::Lost);
                }
                transaction
            }
        };
        Ok(Write { transaction, service: self.service, _turn: Some(turn) })
    }

    /// Begins a transaction of a session of its own that waits for nobody, keeps nobody waiting and sees one state of the
    /// database throughout: for work in temporary tables beside a running service. It is not for committing.
    ///
    /// # Errors
    /// The engine's own.
    pub async fn aside(&self) -> Result<Write, DbError> {
        let options = AnyPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(10));
        let session = options.connect_with((*self.pool.connect_options()).clone()).await?;
        let mut transaction = session.begin().await?;
        if self.engine == Engine::Postgres {
            let one_view = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
            sqlx::query(one_view).execute(&mut *transaction).await?;
        }
        Ok(Write { transaction, service: self.service, _turn: None })
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
        self.writer.close().await;
    }
}

/// One writer's transaction.
#[derive(Debug)]
pub struct Write {
    transaction: Transaction<'static, Any>,
    service: &'static str,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Write {
    /// Where queries of this transaction run: `query.execute(write.on())`.
    pub fn on(&mut self) -> &mut sqlx::AnyConnection {
        &mut self.transaction
    }

    /// Makes all of it durable at once.
    ///
    /// # Errors
    /// The engine's own; then nothing of it happened.
    pub async fn commit(self) -> Result<(), DbError> {
        failpoint::pass(&[self.service, "commit", "before"]);
        refused(&[self.service, "commit"])?;
        self.transaction.commit().await?;
        failpoint::pass(&[self.service, "commit", "after"]);
        Ok(())
    }
}

/// The failure that a simulated world wants here.
#[cfg(feature = "simulation")]
fn refused(parts: &[&str]) -> Result<(), DbError> {
    match crate::simulation::world() {
        Some(world) if world.refuses(&parts.join(".")) => Err(DbError::Sql(sqlx::Error::PoolTimedOut)),
        _ => Ok(()),
    }
}

/// Nothing, in a build without the feature `simulation`.
#[cfg(not(feature = "simulation"))]
#[allow(clippy::unnecessary_wraps, reason = "the same as with the feature")]
const fn refused(_parts: &[&str]) -> Result<(), DbError> {
    Ok(())
}

/// Whether the statement broke a UNIQUE or PRIMARY KEY rule.
pub fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// An amount as the databases keep it: 39 digits, so that text order is number order for all of `u128`.
pub fn amount_to_text(amount: u128) -> String {
    format!("{amount:039}")
}

/// The amount in a column written by [`amount_to_text`].
///
/// # Errors
/// The column holds something else, which only damage explains.
pub fn amount_from_text(text: &str) -> Result<u128, DbError> {
    text.parse()
        .map_err(|_| DbError::Sql(sqlx::Error::Decode(format!("`{text:.50}` is not an amount").into())))
}
