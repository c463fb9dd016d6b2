//! Sessions and API tokens: what proves who is asking. A token is an id and a secret; of the secret only the hash is kept,
//! so it is shown once. Tokens of either kind end with the word of the device that opened them.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Row, any::AnyRow};
use subtle::ConstantTimeEq;

use super::store::parse;
use crate::{
    access::{Caller, Scope},
    error::Error,
    records::{Device, RecordId},
};

/// How many sessions a device may have at once.
const SESSIONS_MAX: i64 = 16;
/// How many API tokens an account may have at once.
pub(super) const TOKENS_MAX: i64 = 32;

/// A session, or an API token where it has a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub id: String,
    pub device: Device,
    pub label: Option<String>,
    pub scopes: Option<BTreeSet<Scope>>,
    pub created_at: i64,
    pub expires_at: i64,
}

/// A token and what is kept of it.
pub(super) struct Fresh {
    /// `<id>.<secret>`, shown once.
    pub token: String,
    pub id: String,
    hash: String,
}

impl Fresh {
    pub(super) fn new(id: [u8; 12], secret: [u8; 32]) -> Self {
        let (id, secret) = (URL_SAFE_NO_PAD.encode(id), URL_SAFE_NO_PAD.encode(secret));
        Self { token: format!("{id}.{secret}"), hash: hash(&secret), id }
    }
}

/// Secrets are random, so a plain hash keeps them as safe as a slow one.
fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

fn corrupt(error: impl std::fmt::Display) -> Error {
    Error::Corrupt(format!("sessions: {error}"))
}

const COLUMNS: &str = "id, account, device, secret_hash, label, scopes, created_at, expires_at";

fn read(row: &AnyRow) -> Result<Held, Error> {
    let scopes: Option<String> = row.try_get("scopes")?;
    Ok(Held {
        id: row.try_get("id")?,
        device: parse(row.try_get("device")?)?,
        label: row.try_get("label")?,
        scopes: scopes.map(|text| serde_json::from_str(&text)).transpose().map_err(corrupt)?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}

/// Keeps a session or token, and forgets those that have expired. Of sessions the device's oldest beyond [`SESSIONS_MAX`]
/// ends. False, and nothing is kept, when the account has [`TOKENS_MAX`] tokens.
pub(super) async fn open(
    on: &mut AnyConnection,
    account: &RecordId,
    fresh: &Fresh,
    held: &Held,
) -> Result<bool, Error> {
    sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
        .bind(held.created_at)
        .execute(&mut *on)
        .await?;
    if held.label.is_none() {
        sqlx::query(
            "DELETE FROM sessions WHERE account = $1 AND device = $2 AND label IS NULL AND id NOT IN
             (SELECT id FROM sessions WHERE account = $1 AND device = $2 AND label IS NULL
              ORDER BY expires_at DESC, id LIMIT $3)",
        )
        .bind(account.to_string())
        .bind(held.device.to_string())
        .bind(SESSIONS_MAX - 1)
        .execute(&mut *on)
        .await?;
    } else {
        let count: i64 = sqlx::query_scalar(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM sessions WHERE account = $1 AND label IS NOT NULL",
        )
        .bind(account.to_string())
        .fetch_one(&mut *on)
        .await?;
        if count >= TOKENS_MAX {
            return Ok(false);
        }
    }
    let scopes = held.scopes.as_ref().map(serde_json::to_string).transpose().map_err(corrupt)?;
    sqlx::query(
        "INSERT INTO sessions (id, account, device, secret_hash, label, scopes, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&fresh.id)
    .bind(account.to_string())
    .bind(held.device.to_string())
    .bind(&fresh.hash)
    .bind(&held.label)
    .bind(scopes)
    .bind(held.created_at)
    .bind(held.expires_at)
    .execute(on)
    .await?;
    Ok(true)
}

/// Who shows this token; none when it is not of this hub, has expired, or its device was revoked since.
pub(crate) async fn caller(on: &mut AnyConnection, token: &str, now: i64) -> Result<Option<Caller>, Error> {
    let Some((id, secret)) = token.split_once('.') else { return Ok(None) };
    let row = sqlx::query(
        "SELECT s.id, s.account, s.device, s.secret_hash, s.label, s.scopes, s.created_at, s.expires_at
         FROM sessions s JOIN devices d ON d.account = s.account AND d.device = s.device
         WHERE s.id = $1 AND s.expires_at > $2 AND d.revoked_at IS NULL",
    )
    .bind(id)
    .bind(now)
    .fetch_optional(on)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let kept: String = row.try_get("secret_hash")?;
    if !bool::from(kept.as_bytes().ct_eq(hash(secret).as_bytes())) {
        return Ok(None);
    }
    let account = parse(row.try_get("account")?)?;
    let Held { id, device, scopes, .. } = read(&row)?;
    Ok(Some(Caller { account, device, id, scopes }))
}

/// Whether a session or token of the account stands: it has neither expired nor ended, and its device speaks.
pub(crate) async fn stands(
    on: &mut AnyConnection,
    id: &str,
    account: &RecordId,
    now: i64,
) -> Result<bool, Error> {
    let row = sqlx::query(
        "SELECT s.id FROM sessions s JOIN devices d ON d.account = s.account AND d.device = s.device
         WHERE s.id = $1 AND s.account = $2 AND s.expires_at > $3 AND d.revoked_at IS NULL",
    )
    .bind(id)
    .bind(account.to_string())
    .bind(now)
    .fetch_optional(on)
    .await?;
    Ok(row.is_some())
}

/// All that an account has, the newest first.
pub(super) async fn of(on: &mut AnyConnection, account: &RecordId, now: i64) -> Result<Vec<Held>, Error> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM sessions WHERE account = $1 AND expires_at > $2 ORDER BY created_at DESC, id"
    ));
    let rows = sqlx::query(sql).bind(account.to_string()).bind(now).fetch_all(on).await?;
    rows.iter().map(read).collect()
}

/// Ends a session or token of the account; false when it has no such one.
pub(super) async fn end(on: &mut AnyConnection, account: &RecordId, id: &str) -> Result<bool, Error> {
    let ended = sqlx::query("DELETE FROM sessions WHERE id = $1 AND account = $2")
        .bind(id)
        .bind(account.to_string())
        .execute(on)
        .await?;
    Ok(ended.rows_affected() == 1)
}
