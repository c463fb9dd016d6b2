//! Shows that the projections are what the log says: replays it into emptied tables and compares.

use std::collections::BTreeMap;

use service::db::Write;
use sqlx::{AnyConnection, Column as _, Row as _};

use super::log;
use crate::{Hub, error::Error, rooms::Room};

/// How many entries are read at once.
const PAGE: i64 = 500;

/// A table that a replay fills otherwise than it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// A row that only stands in the table as it was, if any; members in column order.
    pub before: Option<String>,
    /// A row that only the replay makes, if any.
    pub replayed: Option<String>,
}

/// Rows as text, each with how often it stands there.
type Rows = BTreeMap<String, u32>;

/// Replays everything in one transaction, which is kept when `repair` and undone otherwise. The hub must not be open.
///
/// # Errors
/// The database fails, or an entry of the log that was accepted once is refused now.
pub(crate) async fn replay(hub: &Hub, repair: bool) -> Result<Vec<Difference>, Error> {
    let mut write = hub.db.begin().await?;
    let before = snapshot(write.on()).await?;
    for table in Room::all_tables() {
        sqlx::query(sqlx::AssertSqlSafe(format!("DELETE FROM {table}"))).execute(write.on()).await?;
    }
    say_again(hub, &mut write).await?;
    let after = snapshot(write.on()).await?;
    if repair {
        write.commit().await?;
    }
    let only = |rows: &Rows, others: &Rows| {
        rows.iter().find(|(row, count)| others.get(*row) != Some(count)).map(|(row, _)| row.clone())
    };
    Ok(Room::all_tables()
        .filter_map(|table| {
            let (was, is) = (before.get(table)?, after.get(table)?);
            (was != is).then(|| Difference { table, before: only(was, is), replayed: only(is, was) })
        })
        .collect())
}

async fn say_again(hub: &Hub, write: &mut Write) -> Result<(), Error> {
    let mut after = 0;
    loop {
        let page = log::page(write.on(), after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.seq;
        for accepted in page {
            let room = Room::of(&accepted.record.kind)
                .ok_or_else(|| Error::Corrupt(format!("log: no room for {}", accepted.record.kind)))?;
            // What the hub said because of it is in the log too.
            drop(room.apply(hub, write, &accepted).await?);
        }
    }
}

async fn snapshot(on: &mut AnyConnection) -> Result<BTreeMap<&'static str, Rows>, Error> {
    let mut tables = BTreeMap::new();
    for table in Room::all_tables() {
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(format!("SELECT * FROM {table}"))).fetch_all(&mut *on).await?;
        let mut kept = Rows::new();
        for row in rows {
            let mut text = String::new();
            for column in row.columns() {
                let value = match row.try_get::<Option<i64>, _>(column.ordinal()) {
                    Ok(number) => number.map(|number| number.to_string()),
                    Err(_) => row.try_get::<Option<String>, _>(column.ordinal())?,
                };
                text.push_str(&format!("{}={value:?} ", column.name()));
            }
            let count = kept.entry(text).or_default();
            *count = count.saturating_add(1);
        }
        tables.insert(table, kept);
    }
    Ok(tables)
}
