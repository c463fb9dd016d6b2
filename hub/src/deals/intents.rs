//! What the hub wants done on chain: a list that the relayer reads from a cursor. Each intent is there once, by its
//! business key; what becomes of it is told by the chain, never by the relayer's word.

use alloy::primitives::B256;
use protocol::{
    terms::Terms,
    wire::intent::{Intent, IntentAction, IntentProgress, ProgressReport},
};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};

use super::{
    events,
    store::{Purchase, corrupt, json, text},
};
use crate::{error::Error, records::RecordId};

/// An intent as its row keeps it.
#[derive(Serialize, Deserialize)]
struct Body {
    terms: Terms,
    action: IntentAction,
    deadline: u64,
    #[serde(default)]
    asked_by: Option<RecordId>,
    #[serde(default)]
    cause: Option<B256>,
}

/// Publishes an intent unless its key was published before.
pub(crate) async fn publish(
    on: &mut AnyConnection,
    key: &str,
    deal: B256,
    terms: &Terms,
    action: IntentAction,
    deadline: u64,
) -> Result<(), Error> {
    if known(on, key).await? {
        return Ok(());
    }
    let cause = events::newest(on, deal).await?;
    put(on, key, deal, &Body { terms: terms.clone(), action, deadline, asked_by: None, cause }).await
}

/// Publishes what an account asked for, unless its key was published before.
pub(super) async fn publish_for(
    on: &mut AnyConnection,
    account: RecordId,
    key: &str,
    purchase: &Purchase,
    action: IntentAction,
    deadline: u64,
) -> Result<(), Error> {
    // What a party signs follows from its word.
    let signed = matches!(action, IntentAction::Act { .. });
    let cause = if signed { None } else { events::newest(on, purchase.deal).await? };
    let body = Body { terms: purchase.terms.clone(), action, deadline, asked_by: Some(account), cause };
    put(on, key, purchase.deal, &body).await
}

async fn put(on: &mut AnyConnection, key: &str, deal: B256, body: &Body) -> Result<(), Error> {
    let body = text(body)?;
    sqlx::query(
        "INSERT INTO intents (seq, key, deal, body)
         SELECT COALESCE(MAX(seq), 0) + 1, $1, $2, $3 FROM intents WHERE 1 = 1
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(key)
    .bind(deal.to_string())
    .bind(body)
    .execute(on)
    .await?;
    Ok(())
}

/// Whether an intent of that key was published.
pub(crate) async fn known(on: &mut AnyConnection, key: &str) -> Result<bool, Error> {
    let found = sqlx::query("SELECT key FROM intents WHERE key = $1").bind(key).fetch_optional(on).await?;
    Ok(found.is_some())
}

/// Intents above `after`, ascending.
pub(super) async fn page(on: &mut AnyConnection, after: u64, limit: i64) -> Result<Vec<Intent>, Error> {
    let rows = sqlx::query("SELECT seq, key, body FROM intents WHERE seq > $1 ORDER BY seq LIMIT $2")
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(on)
        .await?;
    rows.iter()
        .map(|row| {
            let seq: i64 = row.try_get("seq")?;
            let Body { terms, action, deadline, asked_by, cause } = json(row, "body")?;
            Ok(Intent {
                seq: u64::try_from(seq).map_err(corrupt)?,
                key: row.try_get("key")?,
                arbiter: terms.arbiter,
                terms,
                action,
                deadline,
                asked_by: asked_by.map(|account| account.to_string()),
                cause,
            })
        })
        .collect()
}

/// Keeps what the relayer reports; false when no intent has that key.
pub(super) async fn report(on: &mut AnyConnection, report: &ProgressReport, now: i64) -> Result<bool, Error> {
    // No text of PostgreSQL can hold it, so no key does.
    let known = !report.key.contains('\0') && known(on, &report.key).await?;
    if known {
        sqlx::query(
            "INSERT INTO intent_progress (key, progress, reported_at) VALUES ($1, $2, $3)
             ON CONFLICT (key) DO UPDATE SET progress = excluded.progress, reported_at = excluded.reported_at",
        )
        .bind(&report.key)
        .bind(text(&report.progress)?)
        .bind(now)
        .execute(on)
        .await?;
    }
    Ok(known)
}

/// How far the relayer says it is with the intents of a deal, by key.
pub(crate) async fn progress(
    on: &mut AnyConnection,
    deal: B256,
) -> Result<Vec<(String, Option<IntentProgress>)>, Error> {
    let rows = sqlx::query(
        "SELECT i.key AS key, COALESCE(p.progress, 'null') AS progress
         FROM intents i LEFT JOIN intent_progress p ON p.key = i.key WHERE i.deal = $1 ORDER BY i.seq",
    )
    .bind(deal.to_string())
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("key")?, json(row, "progress")?))).collect()
}
