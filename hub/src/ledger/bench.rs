//! The posting function on a database, with no record around it: for `scripts/bench ledger` and `scripts/bench api` alone.

use service::db::Db;

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

    /// Posts a batch in a transaction of its own, at a moment in Unix milliseconds: in the writers' turn, or on PostgreSQL beside
    /// other writers.
    ///
    /// # Errors
    /// It is refused, or the database fails.
    pub async fn post(&self, batch: &Batch, at: i64, beside: bool) -> Result<(), Error> {
        if beside {
            let mut transaction = self.0.reader().begin().await?;
            store::post(&mut transaction, batch, at).await?;
            transaction.commit().await?;
        } else {
            let mut write = self.0.begin().await?;
            store::post(write.on(), batch, at).await?;
            write.commit().await?;
        }
        Ok(())
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
