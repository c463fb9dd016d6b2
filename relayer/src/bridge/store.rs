//! Refused entries.

use std::collections::BTreeSet;

use protocol::wire::feed::FeedEntry;
use service::db::Write;
use sqlx::AnyPool;

use super::model::{lane, retry_ms};
use crate::{error::Error, outbox::RETRY_MAX_MS};

/// An entry that the hub did not take, or that waits behind one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// In the order of arrival.
    pub id: i64,
    /// The entry.
    pub entry: FeedEntry,
    /// What the hub said; empty for one that waits behind another.
    pub reason: String,
    /// How often it was offered.
    pub tries: i64,
    /// Unix milliseconds of the next offer.
    pub next_ms: i64,
}

/// The lanes that are held.
///
/// # Errors
/// The database's own.
pub async fn held(reader: &AnyPool) -> Result<BTreeSet<String>, Error> {
    let lanes: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT lane FROM refused_entry").fetch_all(reader).await?;
    Ok(lanes.into_iter().collect())
}

/// How many entries wait, with the `seq` and the reason of the oldest that was refused.
///
/// # Errors
/// The database's own.
pub async fn refused_count(reader: &AnyPool) -> Result<(i64, Option<(i64, String)>), Error> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM refused_entry").fetch_one(reader).await?;
    let oldest: Option<(i64, String)> =
        sqlx::query_as("SELECT seq, reason FROM refused_entry WHERE tries > 0 ORDER BY id LIMIT 1")
            .fetch_optional(reader)
            .await?;
    Ok((count, oldest))
}

/// The first entry of each lane, soonest first; at most 100. Those that wait because the clock was set back are the soonest.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn heads(reader: &AnyPool, now_ms: i64) -> Result<Vec<Refused>, Error> {
    let rows: Vec<(i64, String, String, i64, i64)> = sqlx::query_as(
        "SELECT id, entry, reason, tries, next_ms FROM refused_entry
         WHERE id IN (SELECT MIN(id) FROM refused_entry GROUP BY lane)
         ORDER BY CASE WHEN next_ms > $1 THEN 0 ELSE next_ms END, id LIMIT 100",
    )
    .bind(now_ms.saturating_add(RETRY_MAX_MS))
    .fetch_all(reader)
    .await?;
    rows.into_iter()
        .map(|(id, entry, reason, tries, next_ms)| {
            let read = serde_json::from_str(&entry)
                .map_err(|error| Error::damaged("refused_entry.entry", &entry, error))?;
            Ok(Refused { id, entry: read, reason, tries, next_ms })
        })
        .collect()
}

/// Keeps an entry behind those that wait already; `reason` is the hub's, or none for one that waits behind another.
///
/// # Errors
/// The database's own.
pub async fn keep(
    write: &mut Write,
    entry: &FeedEntry,
    reason: Option<&str>,
    now_ms: i64,
) -> Result<(), Error> {
    let id: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) + 1 FROM refused_entry")
        .fetch_one(write.on())
        .await?;
    let seq = i64::try_from(entry.seq).map_err(|error| Error::damaged("feed seq", "", error))?;
    let text = serde_json::to_string(entry).map_err(|error| Error::damaged("feed entry", "", error))?;
    let tries = i64::from(reason.is_some());
    sqlx::query(
        "INSERT INTO refused_entry (id, seq, lane, entry, reason, tries, received_ms, next_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id)
    .bind(seq)
    .bind(lane(entry))
    .bind(text)
    .bind(reason.unwrap_or_default())
    .bind(tries)
    .bind(now_ms)
    .bind(if reason.is_some() { now_ms.saturating_add(retry_ms(tries)) } else { now_ms })
    .execute(write.on())
    .await?;
    Ok(())
}

/// Notes another refusal.
///
/// # Errors
/// The database's own.
pub async fn refuse_again(
    write: &mut Write,
    refused: &Refused,
    reason: &str,
    now_ms: i64,
) -> Result<(), Error> {
    let tries = refused.tries.saturating_add(1);
    sqlx::query("UPDATE refused_entry SET reason = $1, tries = $2, next_ms = $3 WHERE id = $4")
        .bind(reason)
        .bind(tries)
        .bind(now_ms.saturating_add(retry_ms(tries)))
        .bind(refused.id)
        .execute(write.on())
        .await?;
    Ok(())
}

/// Forgets every entry that waits, for they come again from the feed.
///
/// # Errors
/// The database's own.
pub async fn forget_all(write: &mut Write) -> Result<(), Error> {
    sqlx::query("DELETE FROM refused_entry").execute(write.on()).await?;
    Ok(())
}

/// The lowest `seq` that waits.
///
/// # Errors
/// The database's own.
pub async fn lowest(reader: &AnyPool) -> Result<Option<u64>, Error> {
    let seq: Option<i64> = sqlx::query_scalar("SELECT MIN(seq) FROM refused_entry").fetch_one(reader).await?;
    Ok(seq.and_then(|seq| u64::try_from(seq).ok()))
}

/// Removes an entry that the hub took after all.
///
/// # Errors
/// The database's own.
pub async fn release(write: &mut Write, id: i64) -> Result<(), Error> {
    sqlx::query("DELETE FROM refused_entry WHERE id = $1").bind(id).execute(write.on()).await?;
    Ok(())
}
