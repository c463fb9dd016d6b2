//! The posting function on a database, with no record around it: for `scripts/bench ledger` and `scripts/bench api` alone.

use std::time::{Duration, Instant};

use service::db::Db;
use sqlx::{Any, Connection, pool::PoolConnection};

use super::{
    model::{AMOUNT_MAX, Asset, AssetRules, Issuer},
    post::Batch,
    store,
    verify::{Verified, tables},
};
use crate::{SCHEMA, error::Error, records::RecordId};

/// A ledger: one of its own, in which nobody lacks credit, or a hub's.
#[derive(Clone, Debug)]
pub struct Ledger(Db);

impl Ledger {
    /// Opens the database, makes its tables and says what holds for time credits.
    ///
    /// # Errors
    /// The database cannot be opened.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let db = Db::open(url, SCHEMA).await?;
        let rules = AssetRules {
            unit: "hour".to_owned(),
            scale: 2,
            issuer: Issuer::Nobody,
            credit_limit: AMOUNT_MAX,
            governed_by: None,
        };
        let record = RecordId::of(&serde_json::json!({})).map_err(store::corrupt)?;
        let mut write = db.begin().await?;
        store::put_asset(write.on(), Asset::TimeCredit, &rules, &record).await?;
        write.commit().await?;
        Ok(Self(db))
    }

    /// Opens the database of a hub, in which time credits are what the hub says of them.
    ///
    /// # Errors
    /// The database is not there or cannot be opened.
    pub async fn of_hub(url: &str) -> Result<Self, Error> {
        Ok(Self(Db::open_existing(url, SCHEMA).await?))
    }

    /// Posts a batch in a transaction of its own, in the writers' turn, at a moment in Unix milliseconds.
    ///
    /// # Errors
    /// It is refused, or the database fails.
    pub async fn post(&self, batch: &Batch, at: i64) -> Result<Took, Error> {
        let began = Instant::now();
        let mut write = self.0.begin().await?;
        let begin = began.elapsed();
        store::post(write.on(), batch, at).await?;
        let posted = began.elapsed();
        write.commit().await?;
        Ok(Took { begin, posted, committed: began.elapsed() })
    }

    /// A session of its own, to post beside others on PostgreSQL.
    ///
    /// # Errors
    /// The database fails.
    pub async fn session(&self) -> Result<Session, Error> {
        Ok(Session(self.0.reader().acquire().await?))
    }

    /// Looks at all of it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn verify(&self) -> Result<Verified, Error> {
        tables(&mut *self.0.reader().begin().await?).await
    }

    /// Closes it.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

/// A session that keeps no writer waiting for its turn.
#[derive(Debug)]
pub struct Session(PoolConnection<Any>);

impl Session {
    /// As [`Ledger::post`], beside other writers.
    ///
    /// # Errors
    /// It is refused, or the database fails.
    pub async fn post(&mut self, batch: &Batch, at: i64) -> Result<Took, Error> {
        let began = Instant::now();
        let mut transaction = Connection::begin(&mut *self.0).await?;
        let begin = began.elapsed();
        store::post(&mut transaction, batch, at).await?;
        let posted = began.elapsed();
        transaction.commit().await?;
        Ok(Took { begin, posted, committed: began.elapsed() })
    }
}

/// How far a transaction was, each time since it was begun to be begun.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// Its turn had come, and it was begun.
    pub begin: Duration,
    /// The batch was posted.
    pub posted: Duration,
    /// It was committed.
    pub committed: Duration,
}
