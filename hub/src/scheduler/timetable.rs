//! A table in which something stands until its time has come, read from where the look before ended.

use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use crate::error::Error;

/// Up to where a timetable was looked through: when the last one came, and its key.
pub(crate) type Passed = (i64, String);

/// Where a room keeps what comes by the clock: SQL of the room's own, nothing of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timetable {
    /// The table.
    pub table: &'static str,
    /// Which of its rows are still to come or to be said.
    pub open: &'static str,
    /// When one comes, in Unix milliseconds.
    pub at: &'static str,
    /// What one is known by, a text.
    pub key: &'static str,
}

impl Timetable {
    /// Those that have come at this moment and stand after `after`, those first that came first.
    pub(crate) async fn come(
        &self,
        on: &mut AnyConnection,
        now: i64,
        after: &Passed,
        limit: i64,
    ) -> Result<Vec<Passed>, Error> {
        let Self { table, open, at, key } = self;
        let sql = format!(
            "SELECT {at}, {key} FROM {table} WHERE {open} AND {at} <= $1 AND ({at} > $2 OR ({at} = $2 AND {key} > $3))
             ORDER BY {at}, {key} LIMIT $4"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(now)
            .bind(after.0)
            .bind(&after.1)
            .bind(limit)
            .fetch_all(on)
            .await?;
        rows.iter().map(|row| Ok((row.try_get(0_usize)?, row.try_get(1_usize)?))).collect()
    }

    /// How many have come at this moment and are still to be said, counted up to `limit`.
    pub(crate) async fn waiting(&self, on: &mut AnyConnection, now: i64, limit: i64) -> Result<i64, Error> {
        let Self { table, open, at, .. } = self;
        let sql = format!(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM (SELECT {at} FROM {table} WHERE {open} AND {at} <= $1 LIMIT $2) AS waiting"
        );
        Ok(sqlx::query_scalar(AssertSqlSafe(sql)).bind(now).bind(limit).fetch_one(on).await?)
    }
}
