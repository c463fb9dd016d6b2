//! What only PostgreSQL needs.

use sqlx::{Any, AnyConnection, AnyPool, Transaction, any::AnyPoolOptions};

/// Of every session.
const SETTINGS: [&str; 4] = [
    "tcp_keepalives_idle = 10",
    "tcp_keepalives_interval = 5",
    "tcp_keepalives_count = 3",
    "idle_in_transaction_session_timeout = '30s'",
];

/// The session that writes, and those that read. Writers of a process take turns anyhow; one of many sessions has planned nothing
/// yet of what another one wrote before, and has to find every page of the server's memory for itself.
pub(super) async fn connect(url: &str, options: AnyPoolOptions) -> Result<(AnyPool, AnyPool), sqlx::Error> {
    let options = options.after_connect(|session, _| Box::pin(settle(session)));
    let writer = options.clone().max_connections(1).connect(url).await?;
    Ok((writer, options.max_connections(16).connect(url).await?))
}

/// A client whose machine is gone without a word keeps neither its locks nor its place for longer than half a minute.
async fn settle(session: &mut AnyConnection) -> Result<(), sqlx::Error> {
    for setting in SETTINGS {
        sqlx::query(sqlx::AssertSqlSafe(format!("SET {setting}"))).execute(&mut *session).await?;
    }
    Ok(())
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
