//! Offers that wallets may take up, and access tokens: secrets by their hashes, forgotten when they are over. They are no part of
//! what the log says.

use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::{deals::store::parsed, error::Error, records::RecordId};

/// The most open offers of an account.
pub(super) const OPEN_MAX: i64 = 16;

/// What was offered, and by whose word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offered {
    /// The id of the `credential@1`.
    pub credential: RecordId,
    /// Who offered it.
    pub account: RecordId,
    /// The id of the session or token in which that was said.
    pub session: String,
}

/// An open offer.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// What, by whom.
    pub offered: Offered,
    /// What code and transaction code hash to, where one is asked for.
    pub tx_hash: Option<String>,
    /// How many wrong ones were given.
    pub tries: i64,
}

/// Keeps an offer and forgets those that are over; false where the account has [`OPEN_MAX`].
pub(super) async fn add(
    on: &mut AnyConnection,
    code_hash: &str,
    offered: &Offered,
    tx_hash: Option<&str>,
    expires_at: i64,
    now: i64,
) -> Result<bool, Error> {
    sqlx::query("DELETE FROM credential_offers WHERE expires_at <= $1").bind(now).execute(&mut *on).await?;
    let open: i64 =
        sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM credential_offers WHERE account = $1")
            .bind(offered.account.to_string())
            .fetch_one(&mut *on)
            .await?;
    if open >= OPEN_MAX {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO credential_offers (code_hash, credential, account, session, tx_hash, tries, expires_at)
         VALUES ($1, $2, $3, $4, $5, 0, $6)",
    )
    .bind(code_hash)
    .bind(offered.credential.to_string())
    .bind(offered.account.to_string())
    .bind(&offered.session)
    .bind(tx_hash)
    .bind(expires_at)
    .execute(on)
    .await?;
    Ok(true)
}

fn offered(row: &AnyRow) -> Result<Offered, Error> {
    Ok(Offered {
        credential: parsed(row, "credential")?,
        account: parsed(row, "account")?,
        session: row.try_get("session")?,
    })
}

/// An offer that is open.
pub(super) async fn find(on: &mut AnyConnection, code_hash: &str, now: i64) -> Result<Option<Offer>, Error> {
    let row = sqlx::query(
        "SELECT credential, account, session, tx_hash, tries FROM credential_offers WHERE code_hash = $1 AND expires_at > $2",
    )
    .bind(code_hash)
    .bind(now)
    .fetch_optional(on)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Offer {
        offered: offered(&row)?,
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
    offered: &Offered,
    expires_at: i64,
    now: i64,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM credential_grants WHERE expires_at <= $1").bind(now).execute(&mut *on).await?;
    sqlx::query(
        "INSERT INTO credential_grants (token_hash, credential, account, session, expires_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(token_hash)
    .bind(offered.credential.to_string())
    .bind(offered.account.to_string())
    .bind(&offered.session)
    .bind(expires_at)
    .execute(on)
    .await?;
    Ok(())
}

/// What an access token is for.
pub(super) async fn granted(
    on: &mut AnyConnection,
    token_hash: &str,
    now: i64,
) -> Result<Option<Offered>, Error> {
    let row = sqlx::query(
        "SELECT credential, account, session FROM credential_grants WHERE token_hash = $1 AND expires_at > $2",
    )
    .bind(token_hash)
    .bind(now)
    .fetch_optional(on)
    .await?;
    row.as_ref().map(offered).transpose()
}

/// Ends an access token.
pub(super) async fn use_up(on: &mut AnyConnection, token_hash: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM credential_grants WHERE token_hash = $1").bind(token_hash).execute(on).await?;
    Ok(())
}
