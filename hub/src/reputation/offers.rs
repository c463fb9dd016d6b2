//! Offers that wallets may take up, and access tokens: secrets by their hashes, forgotten when they are over. They are no part of
//! what the log says.

use sqlx::{AnyConnection, Row};

use crate::{deals::store::parsed, error::Error, records::RecordId};

/// The most open offers of an account.
pub(super) const OPEN_MAX: i64 = 16;

/// An open offer.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// The id of the `credential@1` that is offered.
    pub credential: RecordId,
    /// What code and transaction code hash to, where one is asked for.
    pub tx_hash: Option<String>,
    /// How many wrong ones were given.
    pub tries: i64,
}

/// Keeps an offer and forgets those that are over; false where the account has [`OPEN_MAX`].
pub(super) async fn add(
    on: &mut AnyConnection,
    code_hash: &str,
    credential: &RecordId,
    account: &RecordId,
    tx_hash: Option<&str>,
    expires_at: i64,
    now: i64,
) -> Result<bool, Error> {
    sqlx::query("DELETE FROM credential_offers WHERE expires_at <= $1").bind(now).execute(&mut *on).await?;
    let open: i64 =
        sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM credential_offers WHERE account = $1")
            .bind(account.to_string())
            .fetch_one(&mut *on)
            .await?;
    if open >= OPEN_MAX {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO credential_offers (code_hash, credential, account, tx_hash, tries, expires_at)
         VALUES ($1, $2, $3, $4, 0, $5)",
    )
    .bind(code_hash)
    .bind(credential.to_string())
    .bind(account.to_string())
    .bind(tx_hash)
    .bind(expires_at)
    .execute(on)
    .await?;
    Ok(true)
}

/// An offer that is open.
pub(super) async fn find(on: &mut AnyConnection, code_hash: &str, now: i64) -> Result<Option<Offer>, Error> {
    let row = sqlx::query(
        "SELECT credential, tx_hash, tries FROM credential_offers WHERE code_hash = $1 AND expires_at > $2",
    )
    .bind(code_hash)
    .bind(now)
    .fetch_optional(on)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Offer {
        credential: parsed(&row, "credential")?,
        tx_hash: row.try_get("tx_hash")?,
        tries: row.try_get("tries")?,
    }))
}

/// Counts a wrong transaction code.
pub(super) async fn tried(on: &mut AnyConnection, code_hash: &str, tries: i64) -> Result<(), Error> {
    sqlx::query("UPDATE credential_offers SET tries = $2 WHERE code_hash = $1")
        .bind(code_hash)
        .bind(tries)
        .execute(on)
        .await?;
    Ok(())
}

/// Ends an offer.
pub(super) async fn remove(on: &mut AnyConnection, code_hash: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM credential_offers WHERE code_hash = $1").bind(code_hash).execute(on).await?;
    Ok(())
}

/// Keeps an access token for a credential and forgets those that have expired.
pub(super) async fn grant(
    on: &mut AnyConnection,
    token_hash: &str,
    credential: &RecordId,
    expires_at: i64,
    now: i64,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM credential_grants WHERE expires_at <= $1").bind(now).execute(&mut *on).await?;
    sqlx::query("INSERT INTO credential_grants (token_hash, credential, expires_at) VALUES ($1, $2, $3)")
        .bind(token_hash)
        .bind(credential.to_string())
        .bind(expires_at)
        .execute(on)
        .await?;
    Ok(())
}

/// The credential that an access token is for.
pub(super) async fn granted(
    on: &mut AnyConnection,
    token_hash: &str,
    now: i64,
) -> Result<Option<RecordId>, Error> {
    let row =
        sqlx::query("SELECT credential FROM credential_grants WHERE token_hash = $1 AND expires_at > $2")
            .bind(token_hash)
            .bind(now)
            .fetch_optional(on)
            .await?;
    row.as_ref().map(|row| parsed(row, "credential")).transpose()
}

/// Ends an access token.
pub(super) async fn use_up(on: &mut AnyConnection, token_hash: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM credential_grants WHERE token_hash = $1").bind(token_hash).execute(on).await?;
    Ok(())
}
