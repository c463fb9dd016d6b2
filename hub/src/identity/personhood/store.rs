use sqlx::{AnyConnection, Row};

use crate::{error::Error, identity::store::parse, records::RecordId};

/// A proof that an account is a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub provider: String,
    /// Unix milliseconds.
    pub proven_at: i64,
    pub until: i64,
}

/// The account that a provider's person stands for, and until when.
pub(super) async fn holder(
    on: &mut AnyConnection,
    provider: &str,
    unique: &str,
) -> Result<Option<(RecordId, i64)>, Error> {
    let row = sqlx::query("SELECT account, until FROM persons WHERE provider = $1 AND unique_id = $2")
        .bind(provider)
        .bind(unique)
        .fetch_optional(on)
        .await?;
    row.map(|row| Ok((parse(row.try_get("account")?)?, row.try_get("until")?))).transpose()
}

/// A provider's person stands for this account from now on.
pub(super) async fn put(
    on: &mut AnyConnection,
    provider: &str,
    unique: &str,
    account: &RecordId,
    now: i64,
    until: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO persons (provider, unique_id, account, proven_at, until) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (provider, unique_id) DO UPDATE SET account = $3, proven_at = $4, until = $5",
    )
    .bind(provider)
    .bind(unique)
    .bind(account.to_string())
    .bind(now)
    .bind(until)
    .execute(on)
    .await?;
    Ok(())
}

/// Whether a provider's word that the account is a person stands.
pub(crate) async fn is_person(on: &mut AnyConnection, account: &RecordId, now: i64) -> Result<bool, Error> {
    let row = sqlx::query("SELECT account FROM persons WHERE account = $1 AND until > $2 LIMIT 1")
        .bind(account.to_string())
        .bind(now)
        .fetch_optional(on)
        .await?;
    Ok(row.is_some())
}

/// The proofs of an account that stand.
pub(crate) async fn proofs(
    on: &mut AnyConnection,
    account: &RecordId,
    now: i64,
) -> Result<Vec<Proof>, Error> {
    let rows = sqlx::query(
        "SELECT provider, proven_at, until FROM persons WHERE account = $1 AND until > $2
         ORDER BY provider, until LIMIT 16",
    )
    .bind(account.to_string())
    .bind(now)
    .fetch_all(on)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Proof {
                provider: row.try_get("provider")?,
                proven_at: row.try_get("proven_at")?,
                until: row.try_get("until")?,
            })
        })
        .collect()
}
