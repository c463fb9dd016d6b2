//! The table of attempts on EVM chains.

use std::{fmt, str::FromStr};

use alloy::primitives::{Address, B256, Bytes};
use serde::Serialize;
use service::db::{Write, amount_from_text, amount_to_text};
use sqlx::AnyPool;

use super::fees::Fees;
use crate::{error::Error, transactions::store::Outcome};

/// What a signed transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What its intent asks for.
    Call,
    /// Nothing, at the nonce of a call that is not wanted any more.
    Cancel,
    /// Nothing, at a nonce that no other transaction has, so that those behind it are not stuck for ever.
    Fill,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Call, Self::Cancel, Self::Fill];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Cancel => "cancel",
            Self::Fill => "fill",
        }
    }
}

impl FromStr for Kind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or("not a kind of attempt")
    }
}

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Its hash.
    pub hash: B256,
    /// The intent's id here; none of a fill.
    #[serde(skip)]
    pub intent: Option<i64>,
    /// What it is for.
    pub kind: Kind,
    /// Who signed it.
    pub signer: Address,
    /// Its nonce.
    #[serde(with = "protocol::wire::dec")]
    pub nonce: u64,
    /// As it is sent.
    #[serde(skip)]
    pub raw: Bytes,
    /// Its gas limit.
    #[serde(with = "protocol::wire::dec")]
    pub gas: u64,
    /// Its fees.
    #[serde(flatten)]
    pub fees: Fees,
    /// What became of it.
    pub outcome: Outcome,
    /// Unix milliseconds.
    #[serde(with = "protocol::wire::dec")]
    pub signed_ms: i64,
    /// The newest block when it was signed.
    #[serde(with = "protocol::wire::dec")]
    pub signed_block: u64,
}

const COLUMNS: &str =
    "hash, intent, kind, signer, nonce, raw, gas, max_fee, priority_fee, outcome, signed_ms, signed_block";

type Row = (String, Option<i64>, String, String, i64, String, i64, String, String, String, i64, i64);

fn read(row: Row) -> Result<Attempt, Error> {
    fn parsed<T: FromStr<Err: fmt::Display>>(what: &'static str, text: &str) -> Result<T, Error> {
        text.parse().map_err(|error| Error::damaged(what, text, error))
    }
    let (
        hash,
        intent,
        kind,
        signer,
        nonce,
        raw,
        gas,
        max_fee,
        priority_fee,
        outcome,
        signed_ms,
        signed_block,
    ) = row;
    let unsigned = |what, value: i64| {
        u64::try_from(value).map_err(|error| Error::damaged(what, &value.to_string(), error))
    };
    Ok(Attempt {
        hash: parsed("attempt.hash", &hash)?,
        intent,
        kind: parsed("attempt.kind", &kind)?,
        signer: parsed("attempt.signer", &signer)?,
        nonce: unsigned("attempt.nonce", nonce)?,
        raw: parsed("attempt.raw", &raw)?,
        gas: unsigned("attempt.gas", gas)?,
        fees: Fees { max_fee: amount_from_text(&max_fee)?, priority_fee: amount_from_text(&priority_fee)? },
        outcome: parsed("attempt.outcome", &outcome)?,
        signed_ms,
        signed_block: unsigned("attempt.signed_block", signed_block)?,
    })
}

/// Every transaction that may still be mined, by nonce.
///
/// # Errors
/// The database's own, or a row that cannot be read; so with every reading function here.
pub async fn open_attempts(reader: &AnyPool) -> Result<Vec<Attempt>, Error> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM attempt WHERE outcome = 'open' ORDER BY signer, nonce, max_fee"
    )))
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(read).collect()
}

/// The nonces from `from` on for which a signer ever signed a transaction, ascending; the lowest 1,000.
///
/// # Errors
/// As [`open_attempts`].
pub async fn signed_nonces(reader: &AnyPool, signer: Address, from: u64) -> Result<Vec<u64>, Error> {
    let rows: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT nonce FROM attempt WHERE signer = $1 AND nonce >= $2 ORDER BY nonce LIMIT 1000",
    )
    .bind(signer.to_checksum(None))
    .bind(i64::try_from(from).unwrap_or(i64::MAX))
    .fetch_all(reader)
    .await?;
    Ok(rows.into_iter().filter_map(|nonce| nonce.try_into().ok()).collect())
}

/// The dearest transaction of a nonce that may still be mined.
///
/// # Errors
/// As [`open_attempts`].
pub async fn dearest(reader: &AnyPool, signer: Address, nonce: u64) -> Result<Option<B256>, Error> {
    let hash: Option<String> = sqlx::query_scalar(
        "SELECT hash FROM attempt WHERE signer = $1 AND nonce = $2 AND outcome = 'open'
         ORDER BY max_fee DESC LIMIT 1",
    )
    .bind(signer.to_checksum(None))
    .bind(i64::try_from(nonce).unwrap_or(i64::MAX))
    .fetch_optional(reader)
    .await?;
    hash.map(|hash| hash.parse().map_err(|error| Error::damaged("attempt.hash", &hash, error))).transpose()
}

/// Every transaction of an intent, by signer, nonce and fees.
///
/// # Errors
/// As [`open_attempts`].
pub async fn attempts(reader: &AnyPool, intent: i64) -> Result<Vec<Attempt>, Error> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM attempt WHERE intent = $1 ORDER BY signer, nonce, max_fee"
    )))
    .bind(intent)
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(read).collect()
}

/// Settled transactions of a signer whose nonce the chain says is still free: it took back what was final.
///
/// # Errors
/// As [`open_attempts`].
pub async fn regressed(reader: &AnyPool, signer: Address, nonce_latest: u64) -> Result<Vec<Attempt>, Error> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM attempt WHERE signer = $1 AND nonce >= $2 AND outcome <> 'open' ORDER BY nonce LIMIT 1000"
    )))
    .bind(signer.to_checksum(None))
    .bind(i64::try_from(nonce_latest).unwrap_or(i64::MAX))
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(read).collect()
}

/// The nonce after the highest that a signer ever signed with; 0 for one that signed nothing. The transactions themselves
/// are the only count of nonces, so that nothing can drift from them.
///
/// # Errors
/// As [`open_attempts`].
pub async fn next_nonce(
    on: impl sqlx::Executor<'_, Database = sqlx::Any>,
    signer: Address,
) -> Result<u64, Error> {
    let highest: Option<i64> = sqlx::query_scalar("SELECT MAX(nonce) FROM attempt WHERE signer = $1")
        .bind(signer.to_checksum(None))
        .fetch_one(on)
        .await?;
    let Some(highest) = highest else { return Ok(0) };
    let highest = u64::try_from(highest)
        .map_err(|error| Error::damaged("attempt.nonce", &highest.to_string(), error))?;
    Ok(highest.saturating_add(1))
}

/// Stores a signed transaction, which reserves its nonce.
///
/// # Errors
/// The database's own.
pub async fn store_attempt(write: &mut Write, attempt: &Attempt) -> Result<(), Error> {
    let signed = |what, value: u64| {
        i64::try_from(value).map_err(|error| Error::damaged(what, &value.to_string(), error))
    };
    let nonce = signed("attempt.nonce", attempt.nonce)?;
    let signer = attempt.signer.to_checksum(None);
    sqlx::query(
        "INSERT INTO attempt
             (hash, intent, kind, signer, nonce, raw, gas, max_fee, priority_fee, outcome, signed_ms, signed_block)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(attempt.hash.to_string())
    .bind(attempt.intent)
    .bind(attempt.kind.as_str())
    .bind(&signer)
    .bind(nonce)
    .bind(attempt.raw.to_string())
    .bind(signed("attempt.gas", attempt.gas)?)
    .bind(amount_to_text(attempt.fees.max_fee))
    .bind(amount_to_text(attempt.fees.priority_fee))
    .bind(attempt.outcome.as_str())
    .bind(attempt.signed_ms)
    .bind(signed("attempt.signed_block", attempt.signed_block)?)
    .execute(write.on())
    .await?;
    Ok(())
}

/// Says what became of a transaction.
///
/// # Errors
/// The database's own.
pub async fn set_outcome(write: &mut Write, hash: B256, outcome: Outcome) -> Result<(), Error> {
    sqlx::query("UPDATE attempt SET outcome = $1 WHERE hash = $2")
        .bind(outcome.as_str())
        .bind(hash.to_string())
        .execute(write.on())
        .await?;
    Ok(())
}
