//! Answers that are kept, until they expire. They are no part of what the log says.

use sqlx::{AnyConnection, Row};

use super::KEPT_MAX;
use crate::{error::Error, records::RecordId};

/// An answer and the request that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The hash of method, path and body, in hexadecimal digits.
    pub request: String,
    /// The status of the answer.
    pub status: u16,
    /// Its body, sealed: nonce, text and tag, in hexadecimal digits.
    pub answer: String,
}

/// The answer under a hash of account and key.
pub(super) async fn find(on: &mut AnyConnection, key: &str, now: i64) -> Result<Option<Kept>, Error> {
    let row = sqlx::query(
        "SELECT request, status, answer FROM idempotency_keys WHERE key_hash = $1 AND expires_at > $2",
    )
    .bind(key)
    .bind(now)
    .fetch_optional(on)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let status: i64 = row.try_get("status")?;
    let status = u16::try_from(status)
        .map_err(|_| Error::Corrupt(format!("idempotency_keys: {status} is not a status")))?;
    Ok(Some(Kept { request: row.try_get("request")?, status, answer: row.try_get("answer")? }))
}

/// Keeps an answer and forgets those that have expired; false where the account has [`KEPT_MAX`].
pub(super) async fn keep(
    on: &mut AnyConnection,
    account: &RecordId,
    key: &str,
    kept: &Kept,
    expires_at: i64,
    now: i64,
) -> Result<bool, Error> {
    sqlx::query("DELETE FROM idempotency_keys WHERE expires_at <= $1").bind(now).execute(&mut *on).await?;
    let count: i64 =
        sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM idempotency_keys WHERE account = $1")
            .bind(account.to_string())
            .fetch_one(&mut *on)
            .await?;
    if count >= KEPT_MAX {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO idempotency_keys (key_hash, account, request, status, answer, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(key)
    .bind(account.to_string())
    .bind(&kept.request)
    .bind(i64::from(kept.status))
    .bind(&kept.answer)
    .bind(expires_at)
    .execute(on)
    .await?;
    Ok(true)
}
