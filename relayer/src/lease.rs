//! One process at a time works for a signer: a row with a heartbeat, and an epoch that every write for the signer checks,
//! so that a process that slept through its lease cannot write any more.

use std::sync::Arc;

use protocol::chain::Address;
use service::{
    clock::Clock,
    db::{Db, Write},
};

use crate::error::Error;

/// The right to work for a signer.
#[derive(Clone)]
pub struct Lease {
    db: Db,
    clock: Arc<dyn Clock>,
    signer: String,
    epoch: i64,
    lasts_ms: i64,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("signer", &self.signer)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Lease {
    /// Takes the lease when it is free or has run out; otherwise says until when (Unix milliseconds) it is held.
    ///
    /// # Errors
    /// The database's own.
    pub async fn take(
        db: &Db,
        clock: Arc<dyn Clock>,
        signer: Address,
        lasts_ms: u64,
    ) -> Result<Result<Self, i64>, Error> {
        let signer = signer.to_string();
        let lasts_ms = i64::try_from(lasts_ms).unwrap_or(i64::MAX);
        let mut write = db.begin().await?;
        let now_ms = clock.now_ms();
        let held: Option<(i64, i64)> =
            sqlx::query_as("SELECT epoch, until_ms FROM signer WHERE address = $1")
                .bind(&signer)
                .fetch_optional(write.on())
                .await?;
        if let Some((_, until_ms)) = held
            // A time far ahead is a clock that was wrong, not a holder.
            && until_ms > now_ms
            && until_ms <= now_ms.saturating_add(lasts_ms.saturating_mul(2))
        {
            return Ok(Err(until_ms));
        }
        let epoch = held.map_or(1, |(epoch, _)| epoch.saturating_add(1));
        sqlx::query(
            "INSERT INTO signer (address, next_nonce, epoch, until_ms) VALUES ($1, 0, $2, $3)
             ON CONFLICT (address) DO UPDATE SET epoch = excluded.epoch, until_ms = excluded.until_ms",
        )
        .bind(&signer)
        .bind(epoch)
        .bind(now_ms.saturating_add(lasts_ms))
        .execute(write.on())
        .await?;
        write.commit().await?;
        Ok(Ok(Self { db: db.clone(), clock, signer, epoch, lasts_ms }))
    }

    /// Milliseconds between heartbeats.
    pub fn beat_ms(&self) -> u64 {
        u64::try_from(self.lasts_ms).unwrap_or(1_000).div_ceil(4)
    }

    /// Begins a transaction in which this process provably holds the lease.
    ///
    /// # Errors
    /// Another process holds it, or the database's own.
    pub async fn begin(&self) -> Result<Write, Error> {
        let mut write = self.db.begin().await?;
        let epoch: Option<i64> = sqlx::query_scalar("SELECT epoch FROM signer WHERE address = $1")
            .bind(&self.signer)
            .fetch_optional(write.on())
            .await?;
        if epoch == Some(self.epoch) { Ok(write) } else { Err(Error::LeaseLost) }
    }

    /// A sign of life.
    ///
    /// # Errors
    /// As [`Lease::begin`].
    pub async fn beat(&self) -> Result<(), Error> {
        self.extend(self.clock.now_ms().saturating_add(self.lasts_ms)).await
    }

    /// Lets others have it at once.
    ///
    /// # Errors
    /// As [`Lease::begin`].
    pub async fn give_up(&self) -> Result<(), Error> {
        self.extend(0).await
    }

    async fn extend(&self, until_ms: i64) -> Result<(), Error> {
        let mut write = self.begin().await?;
        sqlx::query("UPDATE signer SET until_ms = $1 WHERE address = $2")
            .bind(until_ms)
            .bind(&self.signer)
            .execute(write.on())
            .await?;
        write.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use service::db::testing::on_both;

    use super::*;
    use crate::{run::SCHEMA, testing::MovedClock};

    const fn key(byte: u8) -> Address {
        Address::Solana([byte; 32])
    }

    #[tokio::test]
    async fn who_slept_through_its_lease_cannot_write_any_more() {
        for fresh in on_both().await {
            let db = Db::open(&fresh.url, SCHEMA).await.unwrap();
            let clock: Arc<MovedClock> = Arc::default();
            let signer = key(1);
            let take = || Lease::take(&db, clock.clone(), signer, 5_000);
            let first = take().await.unwrap().unwrap();
            let until_ms = take().await.unwrap().unwrap_err();
            assert!(until_ms > clock.now_ms(), "{:?}", fresh.engine);
            clock.pass_ms(4_000);
            first.beat().await.unwrap();
            clock.pass_ms(4_000);
            take().await.unwrap().unwrap_err();
            clock.pass_ms(2_000);
            let second = take().await.unwrap().unwrap();
            assert!(matches!(first.begin().await, Err(Error::LeaseLost)), "{:?}", fresh.engine);
            assert!(matches!(first.beat().await, Err(Error::LeaseLost)), "{:?}", fresh.engine);
            second.begin().await.unwrap();
            second.give_up().await.unwrap();
            take().await.unwrap().unwrap();
            Lease::take(&db, clock.clone(), key(2), 5_000).await.unwrap().unwrap();
            db.close().await;
        }
    }
}
