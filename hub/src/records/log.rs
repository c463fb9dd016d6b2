//! The log: everything accepted, in one total order. Commit order is `seq` order.

use serde_json::Value;
use service::failpoint;
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::{
    api::Receipt,
    nodes, proof,
    record::{Record, RecordId},
    stamp::Stamp,
};
use crate::error::Error;

/// A record with its place in the log: all that its effects may depend on, so that a replay repeats them exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Its place in the log, from 1.
    pub seq: i64,
    /// What was said; its body is null where it was erased.
    pub record: Record,
    /// What the room read from outside before the transaction; null where it reads nothing.
    pub facts: Value,
    /// Unix milliseconds.
    pub received_at: i64,
    /// Randomness for the room, never known before the record was accepted.
    pub entropy: [u8; 32],
}

impl Accepted {
    /// What the hub says of its place.
    pub(crate) fn receipt(&self) -> Receipt {
        Receipt { id: self.record.id, seq: self.seq, received: Stamp::from_ms(self.received_at) }
    }
}

const COLUMNS: &str = "seq, record, facts, received_at, entropy";

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::Corrupt(format!("log: {what}"))
}

fn read(row: &AnyRow) -> Result<Accepted, Error> {
    let record: String = row.try_get("record")?;
    let facts: String = row.try_get("facts")?;
    let entropy: String = row.try_get("entropy")?;
    let record: Record = serde_json::from_str(&record).map_err(corrupt)?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(&entropy, &mut bytes).map_err(corrupt)?;
    Ok(Accepted {
        seq: row.try_get("seq")?,
        record,
        facts: serde_json::from_str(&facts).map_err(corrupt)?,
        received_at: row.try_get("received_at")?,
        entropy: bytes,
    })
}

/// The entry of this record, wherever it is.
pub(crate) async fn find(on: &mut AnyConnection, id: &RecordId) -> Result<Option<Accepted>, Error> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM log WHERE id = $1"));
    let row = sqlx::query(sql).bind(id.to_string()).fetch_optional(on).await?;
    row.as_ref().map(read).transpose()
}

/// The first entry of a type.
pub(crate) async fn first_of(on: &mut AnyConnection, kind: &str) -> Result<Option<Accepted>, Error> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM log WHERE kind = $1 ORDER BY seq LIMIT 1"));
    let row = sqlx::query(sql).bind(kind).fetch_optional(on).await?;
    row.as_ref().map(read).transpose()
}

/// When the newest entry was received, in Unix milliseconds; 0 without one.
pub(crate) async fn last_received(on: &mut AnyConnection) -> Result<i64, Error> {
    let last: Option<i64> = sqlx::query_scalar("SELECT received_at FROM log ORDER BY seq DESC LIMIT 1")
        .fetch_optional(on)
        .await?;
    Ok(last.unwrap_or_default())
}

/// How many entries there are.
pub(crate) async fn count(on: &mut AnyConnection) -> Result<u64, Error> {
    let count: i64 = sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM log").fetch_one(on).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Entries above `after`, ascending.
pub(crate) async fn page(on: &mut AnyConnection, after: i64, limit: i64) -> Result<Vec<Accepted>, Error> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM log WHERE seq > $1 ORDER BY seq LIMIT $2"));
    let rows = sqlx::query(sql).bind(after).bind(limit).fetch_all(on).await?;
    rows.iter().map(read).collect()
}

/// A record, those about it, and what takes back the credentials about it, of these types, ascending; at most `limit`. Nothing else
/// that is about those: anybody may have said one of them who has no say in the first.
pub(crate) async fn concerning(
    on: &mut AnyConnection,
    id: &RecordId,
    kinds: &[&'static str],
    limit: i64,
) -> Result<Vec<Accepted>, Error> {
    let kinds = kinds.join("', '");
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM log WHERE id IN
         (SELECT id FROM log WHERE id = $1 OR about = $1
          UNION SELECT below.id FROM log AS above JOIN log AS below ON below.about = above.id
          WHERE above.about = $1 AND above.kind = 'credential@1' AND below.kind = 'revocation@1')
         AND kind IN ('{kinds}')
         ORDER BY seq LIMIT $2"
    ));
    let rows = sqlx::query(sql).bind(id.to_string()).bind(limit).fetch_all(on).await?;
    rows.iter().map(read).collect()
}

/// Leaves all of an entry's record but its body; the database lets it where an `erasure@1` about it is in the log, and never else.
pub(super) async fn erase(on: &mut AnyConnection, record: &Record) -> Result<(), Error> {
    let left = Record { body: Value::Null, ..record.clone() };
    let left = proof::canonical(&serde_json::to_value(&left).map_err(corrupt)?).map_err(corrupt)?;
    sqlx::query("UPDATE log SET record = $2 WHERE id = $1")
        .bind(record.id.to_string())
        .bind(String::from_utf8(left).map_err(corrupt)?)
        .execute(on)
        .await?;
    Ok(())
}

/// Appends, gives the next `seq` and grows the tree; the caller holds the writers' turn.
pub(crate) async fn append(
    on: &mut AnyConnection,
    record: Record,
    canonical: &str,
    facts: Value,
    received_at: i64,
    entropy: [u8; 32],
) -> Result<Accepted, Error> {
    let seq: i64 = sqlx::query_scalar(
        "INSERT INTO log (seq, id, kind, author, about, record, facts, received_at, entropy)
         SELECT COALESCE(MAX(seq), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8 FROM log RETURNING seq",
    )
    .bind(record.id.to_string())
    .bind(&record.kind)
    .bind(record.account().to_string())
    .bind(record.about.map(|about| about.to_string()))
    .bind(canonical)
    .bind(facts.to_string())
    .bind(received_at)
    .bind(hex::encode(entropy))
    .fetch_one(&mut *on)
    .await?;
    failpoint::pass(&["hub", "log", "half"]);
    let accepted = Accepted { seq, record, facts, received_at, entropy };
    nodes::grow(on, &accepted.receipt()).await?;
    Ok(accepted)
}
