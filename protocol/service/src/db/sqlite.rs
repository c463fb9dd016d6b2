//! What only SQLite needs.

use sqlx::{Any, AnyPool, Executor, Transaction, any::AnyPoolOptions};

pub(super) async fn connect(url: &str, options: AnyPoolOptions) -> Result<AnyPool, sqlx::Error> {
    let url = if url.contains("mode=") {
        url.to_owned()
    } else {
        format!("{url}{}mode=rwc", if url.contains('?') { '&' } else { '?' })
    };
    options
        .max_connections(8)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // FULL: a commit that was answered survives the loss of power, not only of the process.
                for pragma in [
                    "PRAGMA journal_mode = WAL",
                    "PRAGMA synchronous = FULL",
                    "PRAGMA foreign_keys = ON",
                    "PRAGMA busy_timeout = 10000",
                ] {
                    connection.execute(pragma).await?;
                }
                Ok(())
            })
        })
        .connect(&url)
        .await
}

pub(super) async fn begin(pool: &AnyPool) -> Result<Transaction<'static, Any>, sqlx::Error> {
    // IMMEDIATE takes the write lock now: a transaction that read first could otherwise fail when it comes to write.
    pool.begin_with("BEGIN IMMEDIATE").await
}
