//! The log and the tables have the same operations.

use std::collections::BTreeSet;

use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use super::{PAGE, Verified};
use crate::{
    error::Error,
    ledger::{model::OperationId, sql::texts, store::corrupt},
};

/// Which of these are there: `sql` names a column of ids and ends in `IN`.
async fn there(on: &mut AnyConnection, sql: &str, ids: &BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
    let sql = format!("{sql} {}", texts(on));
    let ids = serde_json::to_string(ids).map_err(corrupt)?;
    let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).bind(ids).fetch_all(on).await?;
    Ok(found.into_iter().collect())
}

/// Every record that posts by itself has its operation.
pub(super) async fn said(on: &mut AnyConnection, found: &mut Verified) -> Result<(), Error> {
    let mut after = 0_i64;
    loop {
        let rows = sqlx::query(
            "SELECT seq, id, kind FROM log
             WHERE kind IN ('transfer@1', 'hold@1', 'capture@1', 'release@1', 'expiry@1', 'deposit@1') AND seq > $1
             ORDER BY seq LIMIT $2",
        )
        .bind(after)
        .bind(PAGE)
        .fetch_all(&mut *on)
        .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get("seq")?;
        let mut records = Vec::with_capacity(rows.len());
        for row in &rows {
            records.push((row.try_get::<String, _>("id")?, row.try_get::<String, _>("kind")?));
        }
        let ids = records.iter().map(|(id, _)| format!("{id}/0")).collect();
        let there = there(on, "SELECT id FROM ledger_operations WHERE id IN", &ids).await?;
        for (id, kind) in records.iter().filter(|(id, _)| !there.contains(&format!("{id}/0"))) {
            found.fault(format!("the log has the {kind} {id}, and the ledger no operation of it"));
        }
    }
}

/// Every operation is of a record in the log.
pub(super) async fn posted(on: &mut AnyConnection, found: &mut Verified) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let ids: Vec<String> =
            sqlx::query_scalar("SELECT id FROM ledger_operations WHERE id > $1 ORDER BY id LIMIT $2")
                .bind(&after)
                .bind(PAGE)
                .fetch_all(&mut *on)
                .await?;
        let Some(last) = ids.last() else { return Ok(()) };
        after.clone_from(last);
        // One that cannot be read is told of with the operations.
        let operations: Vec<OperationId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let records = operations.iter().map(|one| one.record.to_string()).collect();
        let there = there(on, "SELECT id FROM log WHERE id IN", &records).await?;
        for one in operations.iter().filter(|one| !there.contains(&one.record.to_string())) {
            found.fault(format!("the ledger has the operation {one}, and the log no record of it"));
        }
    }
}
