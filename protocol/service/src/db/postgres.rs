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
    // One that holds a lock is not changed for another because of its age.
    let writer =
        options.clone().max_connections(1).max_lifetime(None).idle_timeout(None).connect(url).await?;
    Ok((writer, options.max_connections(16).connect(url).await?))
}

/// A client whose machine is gone without a word keeps neither its locks nor its place for longer than half a minute.
async fn settle(session: &mut AnyConnection) -> Result<(), sqlx::Error> {
    for setting in SETTINGS {
        sqlx::query(sqlx::AssertSqlSafe(format!("SET {setting}"))).execute(&mut *session).await?;
    }
    Ok(())
}

/// Has the session that writes take a lock for as long as it is connected, and remember that; not where another session has it.
pub(super) async fn hold(writer: &AnyPool, key: i64) -> Result<bool, sqlx::Error> {
    let got: i64 = sqlx::query_scalar(
        "SELECT CAST(CASE WHEN pg_try_advisory_lock($1) THEN 1 ELSE 0 END AS BIGINT) \
         FROM (SELECT set_config('earnest.alone', 'yes', false)) AS marked",
    )
    .bind(key)
    .fetch_one(writer)
    .await?;
    Ok(got == 1)
}

/// Begins a transaction in a writer's turn, and says whether its session holds the lock of [`hold`].
pub(super) async fn begin(
    pool: &AnyPool,
    lock_key: i64,
) -> Result<(Transaction<'static, Any>, bool), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // Held until the transaction ends, so that sequence numbers are committed in the order they are given.
    let (_, marked): (String, String) = sqlx::query_as(
        "SELECT CAST(pg_advisory_xact_lock($1) AS TEXT), COALESCE(current_setting('earnest.alone', true), '')",
    )
    .bind(lock_key)
    .fetch_one(&mut *transaction)
    .await?;
    Ok((transaction, marked == "yes"))
}
