//! Credentials as they were issued.

use protocol::chain::AccountId;
use serde_json::Value;
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::{
    kinds::Kind,
    model::WalletDid,
    room::Outcome,
    score::Said,
    status::{Entry, Purpose, TAKEN_MAX},
};
use crate::{
    access::{Audience, List, Order, Reader, belongs_to, readable, show_to},
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
    /// The purchase, payment or grievance that it is about.
    pub about: RecordId,
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
    /// The `revocation@1` by which its issuer took it back.
    pub revoked: Option<RecordId>,
}

const COLUMNS: &str = "credentials.id, seq, about, kind, subject, issuer, audience, body, revoked_by";
const TABLES: &str = "credentials JOIN credential_status ON credential_status.credential = credentials.id";

fn held(row: &AnyRow) -> Result<Held, Error> {
    let name: String = row.try_get("kind")?;
    let WalletDid(subject) = parsed(row, "subject")?;
    Ok(Held {
        id: parsed(row, "id")?,
        seq: row.try_get("seq")?,
        about: parsed(row, "about")?,
        kind: Kind::of_name(&name).ok_or_else(|| corrupt(format_args!("kind {name}")))?,
        subject,
        issuer: parsed(row, "issuer")?,
        audience: json(row, "audience")?,
        credential: json(row, "body")?,
        revoked: row
            .try_get::<Option<String>, _>("revoked_by")?
            .map(|id| id.parse().map_err(corrupt))
            .transpose()?,
    })
}

/// Whether an outcome ([`Outcome::key`]) has a credential of this kind.
pub(super) async fn exists(on: &mut AnyConnection, outcome: &str, kind: Kind) -> Result<bool, Error> {
    let row = sqlx::query("SELECT id FROM credentials WHERE outcome = $1 AND kind = $2")
        .bind(outcome)
        .bind(kind.name())
        .fetch_optional(on)
        .await?;
    Ok(row.is_some())
}

/// Keeps a credential; the caller has checked that it is the first of its kind.
pub(super) async fn add(
    on: &mut AnyConnection,
    outcome: &Outcome<'_>,
    credential: &Value,
    accepted: &Accepted,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO credentials (id, seq, outcome, about, kind, subject, issuer, audience, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(accepted.record.id.to_string())
    .bind(accepted.seq)
    .bind(outcome.key)
    .bind(outcome.about.to_string())
    .bind(outcome.kind.name())
    .bind(WalletDid(outcome.subject).to_string())
    .bind(accepted.record.account().to_string())
    .bind(text(&accepted.record.audience)?)
    .bind(text(credential)?)
    .execute(&mut *on)
    .await?;
    show_to(on, List::Credentials, accepted.seq, &accepted.record.audience).await
}

/// One credential.
pub(super) async fn one(on: &mut AnyConnection, id: &RecordId) -> Result<Option<Held>, Error> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM {TABLES} WHERE credentials.id = $1"));
    let row = sqlx::query(sql).bind(id.to_string()).fetch_optional(on).await?;
    row.as_ref().map(held).transpose()
}

/// Those about a purchase or a payment: at most one of each kind.
pub(super) async fn about(on: &mut AnyConnection, record: &RecordId) -> Result<Vec<Held>, Error> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM {TABLES} WHERE about = $1 ORDER BY seq"));
    let rows = sqlx::query(sql).bind(record.to_string()).fetch_all(on).await?;
    rows.iter().map(held).collect()
}

/// Those about a wallet (or anyone) that the reader may read, after `after` in the log, ascending.
pub(super) async fn page(
    on: &mut AnyConnection,
    reader: &Reader,
    subject: Option<AccountId>,
    after: i64,
    limit: i64,
) -> Result<Vec<Held>, Error> {
    let page = readable(on, List::Credentials, Order::Oldest, " AND (subject = $4 OR $4 = '')");
    let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE {page}");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(belongs_to(reader)?)
        .bind(after)
        .bind(limit)
        .bind(subject.map(|subject| WalletDid(subject).to_string()).unwrap_or_default())
        .fetch_all(on)
        .await?;
    rows.iter().map(held).collect()
}

/// The number of the list in which entries are drawn: a list is left when half of it is taken.
pub(super) async fn open_list(on: &mut AnyConnection, purpose: Purpose) -> Result<u32, Error> {
    let row = sqlx::query(
        "SELECT list, CAST(COUNT(*) AS BIGINT) AS taken FROM credential_status WHERE purpose = $1
         GROUP BY list ORDER BY list DESC LIMIT 1",
    )
    .bind(purpose.name())
    .fetch_optional(on)
    .await?;
    let Some(row) = row else { return Ok(0) };
    let (list, taken): (i64, i64) = (row.try_get("list")?, row.try_get("taken")?);
    let list = u32::try_from(list).map_err(corrupt)?;
    Ok(if taken < i64::from(TAKEN_MAX) { list } else { list.saturating_add(1) })
}

/// Takes an entry, which the caller has seen to be free, for a credential.
pub(super) async fn take_entry(
    on: &mut AnyConnection,
    entry: &Entry,
    list: u32,
    credential: &RecordId,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO credential_status (purpose, list, entry, credential) VALUES ($1, $2, $3, $4)")
        .bind(entry.purpose.name())
        .bind(i64::from(list))
        .bind(i64::from(entry.index))
        .bind(credential.to_string())
        .execute(on)
        .await?;
    Ok(())
}

/// Marks a credential as revoked by this record.
pub(super) async fn revoke(
    on: &mut AnyConnection,
    credential: &RecordId,
    by: &Accepted,
) -> Result<(), Error> {
    sqlx::query("UPDATE credential_status SET revoked_by = $2, revoked_at = $3 WHERE credential = $1")
        .bind(credential.to_string())
        .bind(by.record.id.to_string())
        .bind(by.received_at)
        .execute(on)
        .await?;
    Ok(())
}

/// The revoked entries of a list, ascending, and when the last one was revoked (Unix milliseconds; 0 for never).
pub(super) async fn revoked(
    on: &mut AnyConnection,
    purpose: Purpose,
    list: u32,
) -> Result<(Vec<u32>, i64), Error> {
    let rows = sqlx::query(
        "SELECT entry, revoked_at FROM credential_status
         WHERE purpose = $1 AND list = $2 AND revoked_at IS NOT NULL ORDER BY entry",
    )
    .bind(purpose.name())
    .bind(i64::from(list))
    .fetch_all(on)
    .await?;
    let (mut entries, mut last) = (Vec::new(), 0);
    for row in rows {
        let (entry, at): (i64, i64) = (row.try_get("entry")?, row.try_get("revoked_at")?);
        entries.push(u32::try_from(entry).map_err(corrupt)?);
        last = last.max(at);
    }
    Ok((entries, last))
}

/// The credential that has an entry, and whether it was revoked; none where the entry is free.
pub(super) async fn entry(
    on: &mut AnyConnection,
    purpose: Purpose,
    list: u32,
    index: u32,
) -> Result<Option<(RecordId, bool)>, Error> {
    let row = sqlx::query(
        "SELECT credential, revoked_at FROM credential_status WHERE purpose = $1 AND list = $2 AND entry = $3",
    )
    .bind(purpose.name())
    .bind(i64::from(list))
    .bind(i64::from(index))
    .fetch_optional(on)
    .await?;
    row.map(|row| Ok((parsed(&row, "credential")?, row.try_get::<Option<i64>, _>("revoked_at")?.is_some())))
        .transpose()
}

/// What credentials that everyone may read say about a wallet, in the order of the log, at most `limit`.
pub(super) async fn said_in_public(
    on: &mut AnyConnection,
    subject: AccountId,
    limit: i64,
) -> Result<Vec<Said>, Error> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT kind, issuer, revoked_by FROM {TABLES} WHERE subject = $1 AND audience LIKE '%\"public\"%'
         ORDER BY seq LIMIT $2"
    ));
    let rows = sqlx::query(sql).bind(WalletDid(subject).to_string()).bind(limit).fetch_all(on).await?;
    rows.iter()
        .map(|row| {
            let kind: String = row.try_get("kind")?;
            let kind = Kind::of_name(&kind).ok_or_else(|| corrupt(format_args!("kind {kind}")))?;
            let revoked = row.try_get::<Option<String>, _>("revoked_by")?.is_some();
            Ok(Said { kind, by: parsed(row, "issuer")?, revoked })
        })
        .collect()
}
