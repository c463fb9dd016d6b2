//! Credentials as they were issued.

use alloy::primitives::B256;
use protocol::chain::AccountId;
use serde_json::Value;
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::model::{Kind, WalletDid};
use crate::{
    access::Audience,
    deals::store::{corrupt, json, parsed, text},
    error::Error,
    records::{Accepted, RecordId},
};

/// A credential that the hub holds.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The id of its `credential@1`.
    pub id: RecordId,
    /// Its place in the log.
    pub seq: i64,
    /// The purchase it is about.
    pub purchase: RecordId,
    /// What it says.
    pub kind: Kind,
    /// About whom.
    pub subject: AccountId,
    /// The account that issued it.
    pub issuer: RecordId,
    /// Of the record.
    pub audience: Vec<Audience>,
    /// As issued.
    pub credential: Value,
}

const COLUMNS: &str = "id, seq, purchase, kind, subject, issuer, audience, body";

fn held(row: &AnyRow) -> Result<Held, Error> {
    let name: String = row.try_get("kind")?;
    let WalletDid(subject) = parsed(row, "subject")?;
    Ok(Held {
        id: parsed(row, "id")?,
        seq: row.try_get("seq")?,
        purchase: parsed(row, "purchase")?,
        kind: Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| corrupt(format_args!("kind {name}")))?,
        subject,
        issuer: parsed(row, "issuer")?,
        audience: json(row, "audience")?,
        credential: json(row, "body")?,
    })
}

/// Whether the deal has a credential of this kind.
pub(super) async fn exists(on: &mut AnyConnection, deal: B256, kind: Kind) -> Result<bool, Error> {
    let row = sqlx::query("SELECT id FROM credentials WHERE deal = $1 AND kind = $2")
        .bind(deal.to_string())
        .bind(kind.name())
        .fetch_optional(on)
        .await?;
    Ok(row.is_some())
}

/// Keeps a credential; the caller has checked that it is the first of its kind.
pub(super) async fn add(
    on: &mut AnyConnection,
    deal: B256,
    purchase: RecordId,
    kind: Kind,
    subject: AccountId,
    credential: &Value,
    accepted: &Accepted,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO credentials (id, seq, deal, purchase, kind, subject, issuer, audience, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(accepted.record.id.to_string())
    .bind(accepted.seq)
    .bind(deal.to_string())
    .bind(purchase.to_string())
    .bind(kind.name())
    .bind(WalletDid(subject).to_string())
    .bind(accepted.record.account().to_string())
    .bind(text(&accepted.record.audience)?)
    .bind(text(credential)?)
    .execute(on)
    .await?;
    Ok(())
}

/// One credential.
pub(super) async fn one(on: &mut AnyConnection, id: &RecordId) -> Result<Option<Held>, Error> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM credentials WHERE id = $1"));
    let row = sqlx::query(sql).bind(id.to_string()).fetch_optional(on).await?;
    row.as_ref().map(held).transpose()
}

/// Those about a purchase: at most one of each kind.
pub(super) async fn of_purchase(on: &mut AnyConnection, purchase: &RecordId) -> Result<Vec<Held>, Error> {
    let sql =
        sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM credentials WHERE purchase = $1 ORDER BY seq"));
    let rows = sqlx::query(sql).bind(purchase.to_string()).fetch_all(on).await?;
    rows.iter().map(held).collect()
}

/// Those about a wallet (or anyone), after `after` in the log, ascending.
pub(super) async fn page(
    on: &mut AnyConnection,
    subject: Option<AccountId>,
    after: i64,
    limit: i64,
) -> Result<Vec<Held>, Error> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM credentials WHERE ($1 = '' OR subject = $1) AND seq > $2 ORDER BY seq LIMIT $3"
    ));
    let rows = sqlx::query(sql)
        .bind(subject.map(|subject| WalletDid(subject).to_string()).unwrap_or_default())
        .bind(after)
        .bind(limit)
        .fetch_all(on)
        .await?;
    rows.iter().map(held).collect()
}
