//! One process at a time works for the signers of a database: a lock that ends with the process
//! ([`service::db::Alone`]), and an epoch that every write checks, so that a process whose lock was lost, or taken from it,
//! cannot write any more.

use std::{sync::Arc, time::Duration};

use service::db::{Alone, Db, Write};

use crate::{error::Error, run::SCHEMA};

/// The row that counts the takings.
const NAME: &str = "relayer";
/// The alarm of a process that has no lease.
pub const LEASE: &str = "lease";
/// What that says of a process that has nothing to do while another one works.
pub const STANDING_BY: &str = "another process works on this database; standing by";
/// Between looks at whether the lock still holds.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The right to work for the signers of a database.
#[derive(Clone, Debug)]
pub struct Lease {
    db: Db,
    lock: Arc<Alone>,
    epoch: i64,
}

impl Lease {
    /// Takes the lease, unless another process has it, and brings the schema up to date.
    ///
    /// # Errors
    /// The database's own, or its schema is newer than this program.
    pub async fn take(db: &Db) -> Result<Option<Self>, Error> {
        let Some(lock) = db.alone().await? else { return Ok(None) };
        if let Err(error) = db.migrate(SCHEMA).await {
            lock.give_up().await;
            return Err(error.into());
        }
        let mut write = db.begin().await?;
        let epoch: i64 = sqlx::query_scalar(
            "INSERT INTO lease (name, epoch) VALUES ($1, 1)
             ON CONFLICT (name) DO UPDATE SET epoch = lease.epoch + 1 RETURNING epoch",
        )
        .bind(NAME)
        .fetch_one(write.on())
        .await?;
        write.commit().await?;
        Ok(Some(Self { db: db.clone(), lock: Arc::new(lock), epoch }))
    }

    /// Begins a transaction in which no other process took the lease since this one did.
    ///
    /// # Errors
    /// One did, or the database's own.
    pub async fn begin(&self) -> Result<Write, Error> {
        let mut write = self.db.begin().await?;
        let epoch: Option<i64> = sqlx::query_scalar("SELECT epoch FROM lease WHERE name = $1")
            .bind(NAME)
            .fetch_optional(write.on())
            .await?;
        if epoch == Some(self.epoch) { Ok(write) } else { Err(Error::LeaseLost) }
    }

    /// Whether the lock still holds, and nobody else took the lease.
    ///
    /// # Errors
    /// It does not, or somebody did.
    pub async fn check(&self) -> Result<(), Error> {
        self.lock.check().await.map_err(|error| {
            tracing::warn!(%error, "the lock's session");
            Error::LeaseLost
        })?;
        let epoch: Option<i64> = sqlx::query_scalar("SELECT epoch FROM lease WHERE name = $1")
            .bind(NAME)
            .fetch_optional(self.db.reader())
            .await?;
        if epoch == Some(self.epoch) { Ok(()) } else { Err(Error::LeaseLost) }
    }

    /// Lets others have it at once, instead of when this value is gone.
    pub async fn give_up(self) {
        if let Some(lock) = Arc::into_inner(self.lock) {
            lock.give_up().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use service::db::{Engine, testing::on_both};

    use super::*;

    #[tokio::test]
    async fn one_holds_it_and_who_gives_it_up_or_goes_lets_the_next_in() {
        for fresh in on_both().await {
            let (one, two) =
                (Db::open(&fresh.url, SCHEMA).await.unwrap(), Db::open(&fresh.url, SCHEMA).await.unwrap());
            let first = Lease::take(&one).await.unwrap().unwrap();
            first.check().await.unwrap();
            assert!(Lease::take(&two).await.unwrap().is_none(), "{:?}", fresh.engine);
            assert!(Lease::take(&one).await.unwrap().is_none(), "{:?}", fresh.engine);
            first.give_up().await;
            let second = Lease::take(&two).await.unwrap().unwrap();
            second.begin().await.unwrap();
            assert!(Lease::take(&one).await.unwrap().is_none(), "{:?}", fresh.engine);
            drop(second);
            crate::testing::until("the next is in", || async { Lease::take(&one).await.unwrap() }).await;
        }
    }

    #[tokio::test]
    async fn who_is_older_than_the_schema_keeps_nobody_else_from_the_lease() {
        for fresh in on_both().await {
            let (older, newer) = (
                Db::open_as_is(&fresh.url, SCHEMA).await.unwrap(),
                Db::open(&fresh.url, SCHEMA).await.unwrap(),
            );
            let change = async |sql: &'static str| {
                let mut write = newer.begin().await.unwrap();
                sqlx::query(sql).execute(write.on()).await.unwrap();
                write.commit().await.unwrap();
            };
            change(
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 SELECT 99999999999999, 'of a newer program', success, checksum, execution_time
                 FROM _sqlx_migrations WHERE version = (SELECT MIN(version) FROM _sqlx_migrations)",
            )
            .await;
            let refused = Lease::take(&older).await.err().unwrap();
            assert!(refused.to_string().contains("99999999999999"), "{:?}: {refused}", fresh.engine);
            change("DELETE FROM _sqlx_migrations WHERE version = 99999999999999").await;
            let taking = tokio::time::timeout(Duration::from_secs(20), Lease::take(&newer));
            let lease = taking.await.expect("nobody waits for who gave up").unwrap().unwrap();
            lease.give_up().await;
        }
    }

    #[tokio::test]
    async fn who_lost_its_lock_cannot_write_any_more() {
        for fresh in on_both().await {
            let (one, two) =
                (Db::open(&fresh.url, SCHEMA).await.unwrap(), Db::open(&fresh.url, SCHEMA).await.unwrap());
            let first = Lease::take(&one).await.unwrap().unwrap();
            match fresh.engine {
                // Somebody removes the file by hand.
                Engine::Sqlite => {
                    let path = fresh.url.strip_prefix("sqlite:").unwrap();
                    std::fs::remove_file(format!("{path}-lock")).unwrap();
                }
                // The server, or a proxy before it, ends the session.
                Engine::Postgres => {
                    sqlx::query(
                        "SELECT CAST(pg_terminate_backend(pid) AS TEXT) FROM pg_locks
                         WHERE locktype = 'advisory' AND database =
                             (SELECT oid FROM pg_database WHERE datname = current_database())",
                    )
                    .execute(two.reader())
                    .await
                    .unwrap();
                }
            }
            let second =
                crate::testing::until("the lock is free", || async { Lease::take(&two).await.unwrap() })
                    .await;
            assert!(matches!(first.begin().await, Err(Error::LeaseLost)), "{:?}", fresh.engine);
            assert!(matches!(first.check().await, Err(Error::LeaseLost)), "{:?}", fresh.engine);
            second.begin().await.unwrap();
            second.check().await.unwrap();
        }
    }
}
