//! What only PostgreSQL needs.

use sqlx::{Any, AnyPool, Transaction, any::AnyPoolOptions};

pub(super) async fn connect(url: &str, options: AnyPoolOptions) -> Result<AnyPool, sqlx::Error> {
    options.max_connections(16).connect(url).await
}

pub(super) async fn begin(pool: &AnyPool, lock_key: i64) -> Result<Transaction<'static, Any>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // Held until the transaction ends, so that sequence numbers are committed in the order they are given.
    sqlx::query("SELECT CAST(pg_advisory_xact_lock($1) AS TEXT)")
        .bind(lock_key)
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}
