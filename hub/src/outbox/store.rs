use serde_json::Value;
use sqlx::{AnyConnection, Row};

use crate::{access::Audience, error::Error};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &["outbox"];

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happening {
    /// Its place, from 1; commit order is `seq` order.
    pub seq: i64,
    /// What kind of thing, e.g. `listing`.
    pub topic: String,
    /// Who may be told.
    pub audience: Vec<Audience>,
    /// What to tell.
    pub data: Value,
}

/// Appends in the transaction of the effect. `topic` names what changed, `data` is small and names it by id.
pub(crate) async fn append(
    on: &mut AnyConnection,
    topic: &'static str,
    audience: &[Audience],
    data: &Value,
) -> Result<(), Error> {
    let audience = serde_json::to_string(audience).map_err(|error| Error::Corrupt(error.to_string()))?;
    sqlx::query(
        "INSERT INTO outbox (seq, topic, audience, data)
         SELECT COALESCE(MAX(seq), 0) + 1, $1, $2, $3 FROM outbox",
    )
    .bind(topic)
    .bind(audience)
    .bind(data.to_string())
    .execute(on)
    .await?;
    Ok(())
}

/// What happened after `after`, ascending.
pub(crate) async fn page(on: &mut AnyConnection, after: i64, limit: i64) -> Result<Vec<Happening>, Error> {
    let rows =
        sqlx::query("SELECT seq, topic, audience, data FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2")
            .bind(after)
            .bind(limit)
            .fetch_all(on)
            .await?;
    let corrupt = |error: serde_json::Error| Error::Corrupt(format!("outbox: {error}"));
    rows.iter()
        .map(|row| {
            let audience: String = row.try_get("audience")?;
            let data: String = row.try_get("data")?;
            Ok(Happening {
                seq: row.try_get("seq")?,
                topic: row.try_get("topic")?,
                audience: serde_json::from_str(&audience).map_err(corrupt)?,
                data: serde_json::from_str(&data).map_err(corrupt)?,
            })
        })
        .collect()
}
