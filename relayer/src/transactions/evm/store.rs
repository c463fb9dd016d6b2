//! The table of attempts on EVM chains.

use std::{fmt, str::FromStr};

use alloy::primitives::{Address, B256, Bytes};
use serde::Serialize;
use service::db::{Write, amount_from_text, amount_to_text};
use sqlx::AnyPool;

use super::fees::Fees;
use crate::{error::Error, transactions::store::Outcome};

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Its hash.
    pub hash: B256,
    /// The intent's id here.
    #[serde(skip)]
    pub intent: i64,
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
}

const COLUMNS: &str = "hash, intent, signer, nonce, raw, gas, max_fee, priority_fee, outcome, signed_ms";

type Row = (String, i64, String, i64, String, i64, String, String, String, i64);

fn read(row: Row) -> Result<Attempt, Error> {
    fn parsed<T: FromStr<Err: fmt::Display>>(what: &'static str, text: &str) -> Result<T, Error> {
        text.parse().map_err(|error| Error::damaged(what, text, error))
    }
    let (hash, intent, signer, nonce, raw, gas, max_fee, priority_fee, outcome, signed_ms) = row;
    let unsigned = |what, value: i64| {
        u64::try_from(value).map_err(|error| Error::damaged(what, &value.to_string(), error))
    };
    Ok(Attempt {
        hash: parsed("attempt.hash", &hash)?,
        intent,
        signer: parsed("attempt.signer", &signer)?,
        nonce: unsigned("attempt.nonce", nonce)?,
        raw: parsed("attempt.raw", &raw)?,
        gas: unsigned("attempt.gas", gas)?,
        fees: Fees { max_fee: amount_from_text(&max_fee)?, priority_fee: amount_from_text(&priority_fee)? },
        outcome: parsed("attempt.outcome", &outcome)?,
        signed_ms,
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

/// Every transaction of an intent, by nonce and fees.
///
/// # Errors
/// As [`open_attempts`].
pub async fn attempts(reader: &AnyPool, intent: i64) -> Result<Vec<Attempt>, Error> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM attempt WHERE intent = $1 ORDER BY nonce, max_fee"
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

/// The next nonce that no stored transaction of a signer has.
///
/// # Errors
/// As [`open_attempts`].
pub async fn next_nonce(write: &mut Write, signer: Address) -> Result<u64, Error> {
    let nonce: i64 = sqlx::query_scalar("SELECT next_nonce FROM signer WHERE address = $1")
        .bind(signer.to_checksum(None))
        .fetch_one(write.on())
        .await?;
    u64::try_from(nonce).map_err(|error| Error::damaged("signer.next_nonce", &nonce.to_string(), error))
}

/// Stores a signed transaction; one with a new nonce reserves it.
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
        "INSERT INTO attempt (hash, intent, signer, nonce, raw, gas, max_fee, priority_fee, outcome, signed_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(attempt.hash.to_string())
    .bind(attempt.intent)
    .bind(&signer)
    .bind(nonce)
    .bind(attempt.raw.to_string())
    .bind(signed("attempt.gas", attempt.gas)?)
    .bind(amount_to_text(attempt.fees.max_fee))
    .bind(amount_to_text(attempt.fees.priority_fee))
    .bind(attempt.outcome.as_str())
    .bind(attempt.signed_ms)
    .execute(write.on())
    .await?;
    sqlx::query("UPDATE signer SET next_nonce = $1 WHERE address = $2 AND next_nonce < $1")
        .bind(nonce.saturating_add(1))
        .bind(&signer)
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
