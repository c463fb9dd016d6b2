//! What operations moved, which of them were undone and by which: loading and writing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sqlx::{AnyConnection, AssertSqlSafe, any::AnyRow};

use super::{
    model::{Key, Moved, OperationId, Reversal},
    rules::EntryKind,
    sql::{Column, rows, texts},
    store::{Amount, amount, json, named, parsed},
};
use crate::error::Error;

/// What these operations moved; without those that cannot be undone. Whether they were is [`mark`]'s to say.
pub(super) async fn moved(
    on: &mut AnyConnection,
    ids: &BTreeSet<OperationId>,
) -> Result<BTreeMap<OperationId, Moved>, Error> {
    let sql = format!(
        "SELECT operation, account, kind, amount FROM ledger_entries WHERE operation IN {} ORDER BY operation, account",
        texts(on)
    );
    let found = sqlx::query(AssertSqlSafe(sql)).bind(json(ids)?).fetch_all(on).await?;
    let mut entries: BTreeMap<OperationId, Vec<(Key, EntryKind, i128)>> = BTreeMap::new();
    for row in &found {
        let kind = named(row, "kind", &EntryKind::ALL, EntryKind::name)?;
        let entry = (parsed(row, "account")?, kind, amount(row, "amount")?);
        entries.entry(parsed(row, "operation")?).or_default().push(entry);
    }
    Ok(entries.into_iter().filter_map(|(id, entries)| Some((id, Moved::of(&entries)?))).collect())
}

/// Says of each which operation has undone it.
pub(super) async fn mark(
    on: &mut AnyConnection,
    moved: &mut BTreeMap<OperationId, Moved>,
) -> Result<(), Error> {
    let sql = format!("SELECT reversed, operation FROM ledger_reversals WHERE reversed IN {}", texts(on));
    let ids: Vec<OperationId> = moved.keys().copied().collect();
    let found = sqlx::query(AssertSqlSafe(sql)).bind(json(&ids)?).fetch_all(on).await?;
    for row in &found {
        if let Some(moved) = moved.get_mut(&parsed(row, "reversed")?) {
            moved.reversed_by = Some(parsed(row, "operation")?);
        }
    }
    Ok(())
}

pub(super) async fn write(on: &mut AnyConnection, reversals: &[Reversal]) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Undone {
        reversed: OperationId,
        operation: OperationId,
        amount: Amount,
    }
    let undone: Vec<Undone> = reversals
        .iter()
        .map(|one| Undone { reversed: one.reversed, operation: one.operation, amount: Amount(one.amount) })
        .collect();
    let columns = ["reversed", "operation", "amount"].map(Column::Text);
    let sql = format!(
        "INSERT INTO ledger_reversals (reversed, operation, amount) SELECT r.reversed, r.operation, r.amount FROM {}",
        rows(on, &columns)
    );
    sqlx::query(AssertSqlSafe(sql)).bind(json(&undone)?).execute(on).await?;
    Ok(())
}

/// Rows after `after`, in the database's order of what was undone, for [`read`].
pub(super) async fn page(on: &mut AnyConnection, after: &str, limit: i64) -> Result<Vec<AnyRow>, Error> {
    let sql = "SELECT reversed, operation, amount FROM ledger_reversals WHERE reversed > $1 ORDER BY reversed LIMIT $2";
    Ok(sqlx::query(sql).bind(after).bind(limit).fetch_all(on).await?)
}

pub(super) fn read(row: &AnyRow) -> Result<Reversal, Error> {
    Ok(Reversal {
        operation: parsed(row, "operation")?,
        reversed: parsed(row, "reversed")?,
        amount: amount(row, "amount")?,
    })
}
