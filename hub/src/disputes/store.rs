//! Cases, evidence, ballots, and the moments to come.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use protocol::chain::{AccountId, Address};
use sqlx::{AnyConnection, Row};

use super::{
    case::Case,
    model::{BallotBody, EvidenceBody},
    moments::What,
};
use crate::{
    deals::store::{json, parsed, text},
    error::Error,
    ledger,
    page::Pair,
    records::{Accepted, RecordId, Stamp},
};

/// A case as the hub keeps it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The purchase in dispute.
    pub purchase: RecordId,
    /// Its deal.
    pub deal: B256,
    /// By final events.
    pub case: Case,
}

const COLUMNS: &str = "cases.purchase AS purchase, cases.deal AS deal, cases.body AS body";

fn held(row: &sqlx::any::AnyRow) -> Result<Held, Error> {
    Ok(Held { purchase: parsed(row, "purchase")?, deal: parsed(row, "deal")?, case: json(row, "body")? })
}

/// The case of a deal.
pub(super) async fn case(on: &mut AnyConnection, deal: B256) -> Result<Option<Held>, Error> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM cases WHERE deal = $1"));
    let row = sqlx::query(sql).bind(deal.to_string()).fetch_optional(on).await?;
    row.as_ref().map(held).transpose()
}

/// Keeps the case and who sits in its juries.
pub(super) async fn put_case(on: &mut AnyConnection, now: &Held) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO cases (deal, purchase, body, disputed_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (deal) DO UPDATE SET body = excluded.body, disputed_at = excluded.disputed_at",
    )
    .bind(now.deal.to_string())
    .bind(now.purchase.to_string())
    .bind(text(&now.case)?)
    .bind(disputed_at(&now.case))
    .execute(&mut *on)
    .await?;
    sqlx::query("DELETE FROM seats WHERE deal = $1").bind(now.deal.to_string()).execute(&mut *on).await?;
    for jury in &now.case.juries {
        for (seat, wallet) in (0_i64..).zip(&jury.seats) {
            sqlx::query("INSERT INTO seats (deal, instance, jury, seat, wallet) VALUES ($1, $2, $3, $4, $5)")
                .bind(now.deal.to_string())
                .bind(i64::from(jury.instance))
                .bind(i64::from(jury.jury))
                .bind(seat)
                .bind(wallet.to_string())
                .execute(&mut *on)
                .await?;
        }
    }
    Ok(())
}

/// Where a case stands among others: when it was disputed (Unix seconds), and its deal.
pub(super) type Place = Pair<i64, B256>;

impl Held {
    pub(super) fn place(&self) -> Place {
        Pair(disputed_at(&self.case), self.deal)
    }
}

fn disputed_at(case: &Case) -> i64 {
    i64::try_from(case.disputed_at).unwrap_or(i64::MAX)
}

/// Cases in which one of the wallets has a seat, the newest dispute first, after `after`.
pub(super) async fn cases_of(
    on: &mut AnyConnection,
    wallets: &[Address],
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Held>, Error> {
    let wallets: Vec<String> = wallets.iter().map(ToString::to_string).collect();
    let (before, deal) = after.map_or((i64::MAX, String::new()), |Pair(at, deal)| (at, deal.to_string()));
    let sql = format!(
        "SELECT {COLUMNS} FROM cases WHERE deal IN (SELECT deal FROM seats WHERE wallet IN {})
         AND (disputed_at < $2 OR (disputed_at = $2 AND deal > $3))
         ORDER BY disputed_at DESC, deal LIMIT $4",
        ledger::texts(on)
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(text(&wallets)?)
        .bind(before)
        .bind(deal)
        .bind(limit)
        .fetch_all(on)
        .await?;
    rows.iter().map(held).collect()
}

/// Whether one of these has a seat in the case of a deal.
pub(super) async fn has_seat(on: &mut AnyConnection, deal: B256, wallets: &[Address]) -> Result<bool, Error> {
    let wallets: Vec<String> = wallets.iter().map(ToString::to_string).collect();
    let sql = format!("SELECT seat FROM seats WHERE deal = $2 AND wallet IN {} LIMIT 1", ledger::texts(on));
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(text(&wallets)?).bind(deal.to_string());
    Ok(query.fetch_optional(on).await?.is_some())
}

/// A piece of evidence.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub id: RecordId,
    pub author: RecordId,
    pub body: EvidenceBody,
    pub created: Stamp,
}

/// Adds evidence.
pub(super) async fn add_evidence(
    on: &mut AnyConnection,
    deal: B256,
    body: &EvidenceBody,
    accepted: &Accepted,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO evidence (id, deal, author, hash, uri, note, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(accepted.record.id.to_string())
    .bind(deal.to_string())
    .bind(accepted.record.account().to_string())
    .bind(body.hash.to_string())
    .bind(&body.uri)
    .bind(&body.note)
    .bind(accepted.received_at)
    .execute(on)
    .await?;
    Ok(())
}

/// How many pieces of evidence an author has shown in a case.
pub(super) async fn evidence_count(
    on: &mut AnyConnection,
    deal: B256,
    author: &RecordId,
) -> Result<i64, Error> {
    Ok(sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM evidence WHERE deal = $1 AND author = $2")
        .bind(deal.to_string())
        .bind(author.to_string())
        .fetch_one(on)
        .await?)
}

/// The evidence of a case in the order in which it came.
pub(super) async fn evidence(on: &mut AnyConnection, deal: B256) -> Result<Vec<Shown>, Error> {
    let rows = sqlx::query(
        "SELECT id, author, hash, uri, note, created_at FROM evidence WHERE deal = $1 ORDER BY created_at, id",
    )
    .bind(deal.to_string())
    .fetch_all(on)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Shown {
                id: parsed(row, "id")?,
                author: parsed(row, "author")?,
                body: EvidenceBody {
                    hash: parsed(row, "hash")?,
                    uri: row.try_get("uri")?,
                    note: row.try_get("note")?,
                },
                created: Stamp::from_ms(row.try_get("created_at")?),
            })
        })
        .collect()
}

/// Adds a ballot; the caller has checked that the seat is free.
pub(super) async fn add_ballot(
    on: &mut AnyConnection,
    held: &Held,
    body: &BallotBody,
    accepted: &Accepted,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO ballots (deal, instance, jury, seat, id, author, body, handed_in, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)",
    )
    .bind(held.deal.to_string())
    .bind(i64::from(held.case.instance()))
    .bind(i64::from(body.jury))
    .bind(i64::from(body.seat))
    .bind(accepted.record.id.to_string())
    .bind(accepted.record.account().to_string())
    .bind(text(body)?)
    .bind(accepted.received_at)
    .execute(on)
    .await?;
    Ok(())
}

/// The signed ballots of a jury, known by instance and number, by seat; and whether each is handed in.
pub(super) async fn ballots(
    on: &mut AnyConnection,
    deal: B256,
    (instance, jury): (u8, u8),
) -> Result<BTreeMap<u8, (BallotBody, bool)>, Error> {
    let rows = sqlx::query(
        "SELECT body, handed_in FROM ballots WHERE deal = $1 AND instance = $2 AND jury = $3 ORDER BY seat",
    )
    .bind(deal.to_string())
    .bind(i64::from(instance))
    .bind(i64::from(jury))
    .fetch_all(on)
    .await?;
    rows.iter()
        .map(|row| {
            let ballot: BallotBody = json(row, "body")?;
            let handed_in: i64 = row.try_get("handed_in")?;
            Ok((ballot.seat, (ballot, handed_in != 0)))
        })
        .collect()
}

/// The signed ballots of a jury are handed in.
pub(super) async fn handed_in(
    on: &mut AnyConnection,
    deal: B256,
    (instance, jury): (u8, u8),
) -> Result<(), Error> {
    sqlx::query("UPDATE ballots SET handed_in = 1 WHERE deal = $1 AND instance = $2 AND jury = $3")
        .bind(deal.to_string())
        .bind(i64::from(instance))
        .bind(i64::from(jury))
        .execute(on)
        .await?;
    Ok(())
}

/// A juror's wallet steps aside in the case of a deal; the caller has checked that it has not before.
pub(super) async fn recuse(
    on: &mut AnyConnection,
    deal: B256,
    wallet: &AccountId,
    accepted: &Accepted,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO recusals (deal, wallet, record) VALUES ($1, $2, $3)")
        .bind(deal.to_string())
        .bind(wallet.to_string())
        .bind(accepted.record.id.to_string())
        .execute(on)
        .await?;
    Ok(())
}

/// The wallets that have stepped aside in the case of a deal.
pub(super) async fn recused(on: &mut AnyConnection, deal: B256) -> Result<BTreeSet<AccountId>, Error> {
    let rows = sqlx::query("SELECT wallet FROM recusals WHERE deal = $1")
        .bind(deal.to_string())
        .fetch_all(on)
        .await?;
    rows.iter().map(|row| parsed(row, "wallet")).collect()
}

/// A moment that comes by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub deal: B256,
    pub what: What,
    pub instance: u8,
    pub jury: u8,
}

/// Keeps a moment, in Unix milliseconds.
pub(super) async fn remember(on: &mut AnyConnection, due: &Due, at: i64) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO due (deal, what, instance, jury, at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (deal, what, instance, jury) DO NOTHING",
    )
    .bind(due.deal.to_string())
    .bind(due.what.name())
    .bind(i64::from(due.instance))
    .bind(i64::from(due.jury))
    .bind(at)
    .execute(on)
    .await?;
    Ok(())
}

/// Forgets a moment; false when it was not there.
pub(super) async fn forget(on: &mut AnyConnection, due: &Due) -> Result<bool, Error> {
    let gone = sqlx::query("DELETE FROM due WHERE deal = $1 AND what = $2 AND instance = $3 AND jury = $4")
        .bind(due.deal.to_string())
        .bind(due.what.name())
        .bind(i64::from(due.instance))
        .bind(i64::from(due.jury))
        .execute(on)
        .await?;
    Ok(gone.rows_affected() == 1)
}

/// Forgets every moment of a deal.
pub(super) async fn forget_all(on: &mut AnyConnection, deal: B256) -> Result<(), Error> {
    sqlx::query("DELETE FROM due WHERE deal = $1").bind(deal.to_string()).execute(on).await?;
    Ok(())
}
