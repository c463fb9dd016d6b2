//! The table of intents.

use protocol::{
    chain::{self, TransactionId},
    wire::intent::{Intent, IntentAction},
};
use service::db::Write;
use sqlx::AnyPool;

use super::model::State;
use crate::error::Error;

/// An intent and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// In the order of arrival.
    pub id: i64,
    /// As the hub gave it.
    pub intent: Intent,
    /// How far it is.
    pub state: State,
    /// Why it is there, in words.
    pub reason: String,
    /// The block at which it was first refused for good, while that refusal lasts.
    pub refused_at_block: Option<u64>,
    /// The transaction of ours that did it.
    pub done_by: Option<TransactionId>,
    /// Unix milliseconds.
    pub received_ms: i64,
    /// Unix milliseconds.
    pub updated_ms: i64,
}

const COLUMNS: &str = "id, body, state, reason, refused_at_block, done_by, received_ms, updated_ms";

type Row = (i64, String, String, String, Option<i64>, Option<String>, i64, i64);

fn read(row: Row) -> Result<Kept, Error> {
    let (id, body, state, reason, refused_at_block, done_by, received_ms, updated_ms) = row;
    Ok(Kept {
        id,
        intent: serde_json::from_str(&body).map_err(|error| Error::damaged("intent.body", &body, error))?,
        state: state.parse().map_err(|error: String| Error::damaged("intent.state", &state, error))?,
        reason,
        refused_at_block: refused_at_block.and_then(|block| block.try_into().ok()),
        done_by: match done_by {
            None => None,
            Some(hash) => Some(hash.parse().map_err(|error| Error::damaged("intent.done_by", &hash, error))?),
        },
        received_ms,
        updated_ms,
    })
}

/// What became of an intent that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is new.
    New,
    /// One of this key was here already.
    Known,
}

/// Keeps an intent unless one of its key is here; one that is not admitted has failed from the start.
///
/// # Errors
/// The database's own.
pub async fn receive(
    write: &mut Write,
    intent: &Intent,
    admitted: &Result<(), String>,
    now_ms: i64,
) -> Result<Received, Error> {
    let body = serde_json::to_string(intent).map_err(|error| Error::damaged("intent", &intent.key, error))?;
    let (state, reason) = match admitted {
        Ok(()) => (State::Waiting, ""),
        Err(reason) => (State::Failed, reason.as_str()),
    };
    let inserted = sqlx::query(
        "INSERT INTO intent (id, key, body, state, reason, refused_at_block, done_by, received_ms, updated_ms, asked_by, time_out)
         VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM intent), $1, $2, $3, $4, NULL, NULL, $5, $5, $6, $7)
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(&intent.key)
    .bind(&body)
    .bind(state.as_str())
    .bind(reason)
    .bind(now_ms)
    .bind(&intent.asked_by)
    .bind(time_out(intent))
    .execute(write.on())
    .await?
    .rows_affected();
    Ok(if inserted == 1 { Received::New } else { Received::Known })
}

/// What is the same for all who ask for one time-out of a deal.
fn time_out(intent: &Intent) -> Option<String> {
    let IntentAction::TimeOut { time_out } = &intent.action else { return None };
    chain::deal_id(&intent.terms).ok().map(|deal| format!("{deal}/{}", time_out.name()))
}

/// Whether a transaction for the time-out that an intent is for is on its way for another intent, be that quarantined or not.
///
/// # Errors
/// The database's own.
pub async fn same_under_way(reader: &AnyPool, kept: &Kept) -> Result<bool, Error> {
    let Some(time_out) = time_out(&kept.intent) else { return Ok(false) };
    let same = sqlx::query(
        "SELECT id FROM intent WHERE time_out = $1 AND id <> $2 AND (
             state IN ('attempted', 'mined')
             OR EXISTS (SELECT 1 FROM attempt WHERE attempt.intent = intent.id AND attempt.outcome = 'open')
             OR EXISTS (SELECT 1 FROM solana_attempt WHERE solana_attempt.intent = intent.id AND solana_attempt.outcome = 'open')
         ) LIMIT 1",
    );
    Ok(same.bind(time_out).bind(kept.id).fetch_optional(reader).await?.is_some())
}

/// Keeps an intent that cannot be read, for a version that can.
///
/// # Errors
/// The database's own; so with every function here.
pub async fn keep_unread(
    write: &mut Write,
    key: &str,
    body: &str,
    reason: &str,
    now_ms: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO unread_intent (key, body, reason, received_ms) VALUES ($1, $2, $3, $4)
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(key)
    .bind(body)
    .bind(reason)
    .bind(now_ms)
    .execute(write.on())
    .await?;
    Ok(())
}

/// The intents that could not be read: key and body, the oldest first; at most 10,000.
///
/// # Errors
/// As [`keep_unread`].
pub async fn unread(reader: &AnyPool) -> Result<Vec<(String, String)>, Error> {
    let rows = sqlx::query_as("SELECT key, body FROM unread_intent ORDER BY received_ms, key LIMIT 10000");
    Ok(rows.fetch_all(reader).await?)
}

/// Forgets an intent that could be read after all.
///
/// # Errors
/// As [`keep_unread`].
pub async fn forget_unread(write: &mut Write, key: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM unread_intent WHERE key = $1").bind(key).execute(write.on()).await?;
    Ok(())
}

/// Intents that are not over, in the order of arrival; at most `limit`.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn open(reader: &AnyPool, limit: i64) -> Result<Vec<Kept>, Error> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM intent WHERE state IN ('waiting', 'attempted', 'mined', 'quarantined') ORDER BY id LIMIT $1"
    )))
    .bind(limit)
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(read).collect()
}

/// Intents after an id, of one state or of all; at most `limit`.
///
/// # Errors
/// As [`open`].
pub async fn list(
    reader: &AnyPool,
    state: Option<State>,
    after: i64,
    limit: i64,
) -> Result<Vec<Kept>, Error> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM intent WHERE id > $1 AND ($2 = '' OR state = $2) ORDER BY id LIMIT $3"
    )))
    .bind(after)
    .bind(state.map_or("", State::as_str))
    .bind(limit)
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(read).collect()
}

/// One intent.
///
/// # Errors
/// As [`open`].
pub async fn get(reader: &AnyPool, id: i64) -> Result<Option<Kept>, Error> {
    let row: Option<Row> =
        sqlx::query_as(sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM intent WHERE id = $1")))
            .bind(id)
            .fetch_optional(reader)
            .await?;
    row.map(read).transpose()
}

/// Those of these intents that are here, in the order of arrival; `ids` are few.
///
/// # Errors
/// As [`open`].
pub async fn get_all(reader: &AnyPool, ids: &[i64]) -> Result<Vec<Kept>, Error> {
    let places: Vec<String> = (1..=ids.len()).map(|place| format!("${place}")).collect();
    let mut query = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM intent WHERE id IN ({}) ORDER BY id",
        places.join(", ")
    )));
    for id in ids {
        query = query.bind(*id);
    }
    let rows: Vec<Row> = query.fetch_all(reader).await?;
    rows.into_iter().map(read).collect()
}
