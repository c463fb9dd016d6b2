//! The cursors of the deliveries.

use sqlx::AnyConnection;

use crate::{
    Error,
    columns::{Columns, int},
};

/// How far a delivery is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Every entry up to here arrived, or was not asked for.
    pub cursor: u64,
    /// Failures in a row.
    pub failures: u64,
    /// What went wrong last, while it lasts.
    pub trouble: Option<String>,
}

pub(crate) async fn find(on: &mut AnyConnection, name: &str) -> Result<Option<Delivery>, Error> {
    let row = sqlx::query("SELECT cursor, failures, trouble FROM deliveries WHERE name = $1")
        .bind(name)
        .fetch_optional(on)
        .await?;
    row.map(|row| {
        Ok(Delivery {
            cursor: row.number("cursor")?,
            failures: row.number("failures")?,
            trouble: Some(row.text("trouble")?).filter(|trouble| !trouble.is_empty()),
        })
    })
    .transpose()
}

/// Keeps how far it is now, unless another process moved it from `before` meanwhile.
pub(crate) async fn keep(
    on: &mut AnyConnection,
    name: &str,
    before: u64,
    delivery: &Delivery,
    now: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO deliveries (name, cursor, failures, trouble, updated_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, failures = excluded.failures, \
         trouble = excluded.trouble, updated_at = excluded.updated_at WHERE deliveries.cursor = $6",
    )
    .bind(name)
    .bind(int(delivery.cursor))
    .bind(int(delivery.failures))
    .bind(delivery.trouble.as_deref().unwrap_or_default())
    .bind(now)
    .bind(int(before))
    .execute(on)
    .await?;
    Ok(())
}
