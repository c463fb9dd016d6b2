//! The table of attempts on Solana.

use protocol::chain::{Address, TransactionId};
use serde::Serialize;
use service::db::Write;
use sqlx::AnyPool;

use crate::{error::Error, transactions::store::Outcome};

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Its signature, which names it.
    pub signature: TransactionId,
    /// The intent's id here.
    #[serde(skip)]
    pub intent: i64,
    /// Who signed it.
    pub signer: Address,
    /// As it is sent.
    #[serde(skip)]
    pub raw: Vec<u8>,
    /// The blockhash that it was signed with, in base58.
    pub blockhash: String,
    /// The last block that may hold it, by height.
    #[serde(with = "protocol::wire::dec")]
    pub last_valid_height: u64,
    /// The compute units that it asks for.
    #[serde(with = "protocol::wire::dec")]
    pub units: u64,
    /// What it offers for each, in millionths of a lamport.
    #[serde(with = "protocol::wire::dec")]
    pub unit_price: u64,
    /// What it costs in all, in lamports.
    #[serde(with = "protocol::wire::dec")]
    pub fee: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Unix milliseconds.
    #[serde(with = "protocol::wire::dec")]
    pub signed_ms: i64,
}

const COLUMNS: &str = "signature, intent, signer, raw, blockhash, last_valid_height, units, unit_price, fee, outcome, signed_ms";

type Row = (String, i64, String, String, String, i64, i64, i64, i64, String, i64);

fn read(row: Row) -> Result<Attempt, Error> {
    let (signature, intent, signer, raw, blockhash, height, units, unit_price, fee, outcome, signed_ms) = row;
    let unsigned = |what, value: i64| {
        u64::try_from(value).map_err(|error| Error::damaged(what, &value.to_string(), error))
    };
    let damaged = |what, text: &str, error: &dyn std::fmt::Display| Error::damaged(what, text, error);
    Ok(Attempt {
        signature: signature
            .parse()
            .map_err(|error| damaged("solana_attempt.signature", &signature, &error))?,
        intent,
        signer: signer.parse().map_err(|error| damaged("solana_attempt.signer", &signer, &error))?,
        raw: hex::decode(&raw).map_err(|error| damaged("solana_attempt.raw", &raw, &error))?,
        blockhash,
        last_valid_height: unsigned("solana_attempt.last_valid_height", height)?,
        units: unsigned("solana_attempt.units", units)?,
        unit_price: unsigned("solana_attempt.unit_price", unit_price)?,
        fee: unsigned("solana_attempt.fee", fee)?,
        outcome: outcome
            .parse()
            .map_err(|error: String| damaged("solana_attempt.outcome", &outcome, &error))?,
        signed_ms,
    })
}

/// Every transaction that may still be in a block, in the order of signing.
///
/// # Errors
/// The database's own, or a row that cannot be read; so with every reading function here.
pub async fn open_attempts(reader: &AnyPool) -> Result<Vec<Attempt>, Error> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM solana_attempt WHERE outcome = 'open' ORDER BY signed_ms, last_valid_height"
    )))
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(read).collect()
}

/// Every transaction of an intent, in the order of signing.
///
/// # Errors
/// As [`open_attempts`].
pub async fn attempts(reader: &AnyPool, intent: i64) -> Result<Vec<Attempt>, Error> {
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM solana_attempt WHERE intent = $1 ORDER BY signed_ms, last_valid_height"
    )))
    .bind(intent)
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(read).collect()
}

/// The most transactions of one page.
pub const PAGE: usize = 256;

/// What a final block holds is looked up as the index `solana_attempt_final` has it.
fn page_of_those_over() -> String {
    format!(
        "SELECT {COLUMNS} FROM solana_attempt WHERE outcome IN ('succeeded', 'reverted') AND signed_ms >= $1
             AND (signed_ms < $2 OR (signed_ms = $2 AND signature > $3))
         ORDER BY signed_ms DESC, signature LIMIT $4"
    )
}

/// The transactions signed since a time (Unix milliseconds) that a final block holds, the latest first: the first page, or the
/// one after a transaction; at most [`PAGE`].
///
/// # Errors
/// As [`open_attempts`].
pub async fn over_since(
    reader: &AnyPool,
    since_ms: i64,
    after: Option<&Attempt>,
) -> Result<Vec<Attempt>, Error> {
    let (signed_ms, signature) =
        after.map_or((i64::MAX, String::new()), |last| (last.signed_ms, last.signature.to_string()));
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(page_of_those_over()))
        .bind(since_ms)
        .bind(signed_ms)
        .bind(signature)
        .bind(i64::try_from(PAGE).unwrap_or(i64::MAX))
        .fetch_all(reader)
        .await?;
    rows.into_iter().map(read).collect()
}

/// Stores a signed transaction.
///
/// # Errors
/// The database's own.
pub async fn store_attempt(write: &mut Write, attempt: &Attempt) -> Result<(), Error> {
    let signed = |what, value: u64| {
        i64::try_from(value).map_err(|error| Error::damaged(what, &value.to_string(), error))
    };
    sqlx::query(
        "INSERT INTO solana_attempt
             (signature, intent, signer, raw, blockhash, last_valid_height, units, unit_price, fee, outcome, signed_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(attempt.signature.to_string())
    .bind(attempt.intent)
    .bind(attempt.signer.to_string())
    .bind(hex::encode(&attempt.raw))
    .bind(&attempt.blockhash)
    .bind(signed("solana_attempt.last_valid_height", attempt.last_valid_height)?)
    .bind(signed("solana_attempt.units", attempt.units)?)
    .bind(signed("solana_attempt.unit_price", attempt.unit_price)?)
    .bind(signed("solana_attempt.fee", attempt.fee)?)
    .bind(attempt.outcome.as_str())
    .bind(attempt.signed_ms)
    .execute(write.on())
    .await?;
    Ok(())
}

/// Says what became of a transaction.
///
/// # Errors
/// The database's own.
pub async fn set_outcome(write: &mut Write, signature: TransactionId, outcome: Outcome) -> Result<(), Error> {
    sqlx::query("UPDATE solana_attempt SET outcome = $1 WHERE signature = $2")
        .bind(outcome.as_str())
        .bind(signature.to_string())
        .execute(write.on())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use service::db::{Db, testing::sqlite};
    use sqlx::Row as _;

    use super::page_of_those_over;
    use crate::run::SCHEMA;

    #[tokio::test]
    async fn those_of_the_last_hour_are_found_without_a_look_at_all_that_ever_were() {
        let fresh = sqlite();
        let db = Db::open(&fresh.url, SCHEMA).await.unwrap();
        let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", page_of_those_over())))
            .bind(1_i64)
            .bind(2_i64)
            .bind("s")
            .bind(256_i64)
            .fetch_all(db.reader())
            .await
            .unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let [step] = steps.as_slice() else { panic!("{steps:?}") };
        assert!(step.starts_with("SEARCH solana_attempt USING INDEX solana_attempt_final"), "{step}");
        db.close().await;
    }
}
