//! Purchases, and how far the feeds of the chains were brought.

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::ChainId,
    terms::Terms,
    wire::feed::{Brought, FeedId, Finality},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::{mirror::Mirrored, position::Position, status::Status};
use crate::{access::Audience, error::Error, records::RecordId};

/// A transaction as the hub keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Purchase {
    /// The id of its `purchase@1`.
    pub id: RecordId,
    /// Its place in the log.
    pub seq: i64,
    /// The deal's id at the escrow.
    pub deal: B256,
    /// What is bought.
    pub listing: RecordId,
    /// The buyer's account.
    pub buyer: RecordId,
    /// The seller's account.
    pub seller: RecordId,
    /// Of the `purchase@1`.
    pub audience: Vec<Audience>,
    /// What the escrow holds to.
    pub terms: Terms,
    /// What the parties mean by it.
    pub agreement: Value,
    /// Where the parties' records left it.
    pub said: Status,
    /// Where it stands by final events; settled when closed.
    pub position: Position,
    /// Whether there are final events that `position` has not, because one before them is missing.
    pub waits: bool,
    /// What of that stands in the ledger.
    pub mirrored: Mirrored,
    /// Where it will stand if what was seen becomes final.
    pub provisional: Option<Provisional>,
    /// The seller's signature of the terms.
    pub signature: Option<Bytes>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub updated_at: i64,
}

impl Purchase {
    /// Whether the account is the buyer or the seller.
    pub fn is_party(&self, account: &RecordId) -> bool {
        self.buyer == *account || self.seller == *account
    }

    /// Both parties.
    pub fn parties(&self) -> Vec<Audience> {
        vec![Audience::Account(self.buyer), Audience::Account(self.seller)]
    }
}

/// What events that are not final yet add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Provisional {
    /// `confirmed` when one of them emptied the deal.
    pub position: Position,
    /// Of the least settled of them.
    pub finality: Finality,
}

pub(crate) fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::Corrupt(format!("deals: {what}"))
}

/// Any of our values from a column of JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| corrupt(format_args!("{column}: {error}")))
}

/// Any of our values from a column of text.
pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    row: &AnyRow,
    column: &str,
) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error| corrupt(format_args!("{column}: {error}")))
}

/// As columns keep it.
pub(crate) fn text<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(corrupt)
}

fn status(row: &AnyRow, column: &str) -> Result<Status, Error> {
    let name: String = row.try_get(column)?;
    Status::parse(&name).ok_or_else(|| corrupt(format_args!("{column} {name}")))
}

fn optional<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Result<Option<T>, Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| corrupt(format_args!("{column}: {error}"))))
        .transpose()
}

const COLUMNS: &str = "id, seq, deal, listing, buyer, seller, audience, terms, agreement, said, position, waits, \
                       mirrored, provisional, signature, created_at, updated_at";

fn purchase(row: &AnyRow) -> Result<Purchase, Error> {
    Ok(Purchase {
        id: parsed(row, "id")?,
        seq: row.try_get("seq")?,
        deal: parsed(row, "deal")?,
        listing: parsed(row, "listing")?,
        buyer: parsed(row, "buyer")?,
        seller: parsed(row, "seller")?,
        audience: json(row, "audience")?,
        terms: json(row, "terms")?,
        agreement: json(row, "agreement")?,
        said: status(row, "said")?,
        position: json(row, "position")?,
        waits: row.try_get::<i64, _>("waits")? != 0,
        mirrored: optional(row, "mirrored")?.unwrap_or_default(),
        provisional: optional(row, "provisional")?,
        signature: optional(row, "signature")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

async fn one(on: &mut AnyConnection, column: &str, value: String) -> Result<Option<Purchase>, Error> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM purchases WHERE {column} = $1"));
    let row = sqlx::query(sql).bind(value).fetch_optional(on).await?;
    row.as_ref().map(purchase).transpose()
}

/// The purchase of that id.
pub(crate) async fn by_id(on: &mut AnyConnection, id: &RecordId) -> Result<Option<Purchase>, Error> {
    one(on, "id", id.to_string()).await
}

/// The purchase of that deal.
pub(crate) async fn by_deal(on: &mut AnyConnection, deal: B256) -> Result<Option<Purchase>, Error> {
    one(on, "deal", deal.to_string()).await
}

/// Which purchases of a party to list.
pub(super) struct Filter {
    /// The party that asks.
    pub party: RecordId,
    /// Only with this one.
    pub with: Option<RecordId>,
    /// Only where final events left it so.
    pub status: Option<Status>,
    /// Only below this place in the log.
    pub before: i64,
    /// At most so many.
    pub limit: i64,
}

/// The newest first.
pub(super) async fn list(on: &mut AnyConnection, filter: &Filter) -> Result<Vec<Purchase>, Error> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM purchases
         WHERE (buyer = $1 OR seller = $1) AND ($2 = '' OR buyer = $2 OR seller = $2)
           AND ($3 = '' OR status = $3) AND seq < $4
         ORDER BY seq DESC LIMIT $5"
    ));
    let rows = sqlx::query(sql)
        .bind(filter.party.to_string())
        .bind(filter.with.map(|id| id.to_string()).unwrap_or_default())
        .bind(filter.status.map(Status::as_str).unwrap_or_default())
        .bind(filter.before)
        .bind(filter.limit)
        .fetch_all(on)
        .await?;
    rows.iter().map(purchase).collect()
}

/// A new purchase.
pub(super) async fn insert(on: &mut AnyConnection, new: &Purchase) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO purchases (id, seq, deal, listing, buyer, seller, audience, terms, agreement, said, status,
                                position, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(new.id.to_string())
    .bind(new.seq)
    .bind(new.deal.to_string())
    .bind(new.listing.to_string())
    .bind(new.buyer.to_string())
    .bind(new.seller.to_string())
    .bind(text(&new.audience)?)
    .bind(text(&new.terms)?)
    .bind(text(&new.agreement)?)
    .bind(new.said.as_str())
    .bind(new.position.status.as_str())
    .bind(text(&new.position)?)
    .bind(new.created_at)
    .bind(new.updated_at)
    .execute(on)
    .await?;
    Ok(())
}

/// What moves in a purchase.
pub(super) async fn update(on: &mut AnyConnection, now: &Purchase) -> Result<(), Error> {
    sqlx::query(
        "UPDATE purchases SET said = $2, status = $3, position = $4, provisional = $5, signature = $6,
                              updated_at = $7, waits = $8
         WHERE id = $1",
    )
    .bind(now.id.to_string())
    .bind(now.said.as_str())
    .bind(now.position.status.as_str())
    .bind(text(&now.position)?)
    .bind(now.provisional.as_ref().map(text).transpose()?)
    .bind(now.signature.as_ref().map(text).transpose()?)
    .bind(now.updated_at)
    .bind(i64::from(now.waits))
    .execute(on)
    .await?;
    Ok(())
}

/// What of a purchase stands in the ledger from now on.
pub(super) async fn mirror(on: &mut AnyConnection, now: &Purchase) -> Result<(), Error> {
    sqlx::query("UPDATE purchases SET mirrored = $2 WHERE id = $1")
        .bind(now.id.to_string())
        .bind(text(&now.mirrored)?)
        .execute(on)
        .await?;
    Ok(())
}

/// A purchase's place in the log and its id, and the purchase where its row can be read.
pub(crate) type Looked = (i64, String, Result<Purchase, Error>);

/// Purchases after this place in the log, in its order.
pub(crate) async fn after(on: &mut AnyConnection, seq: i64, limit: i64) -> Result<Vec<Looked>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM purchases WHERE seq > $1 ORDER BY seq LIMIT $2");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(seq).bind(limit).fetch_all(on).await?;
    rows.iter().map(|row| Ok((row.try_get("seq")?, row.try_get("id")?, purchase(row)))).collect()
}

/// How far the feed of a chain was brought; zeros where it never was.
pub(super) async fn brought(on: &mut AnyConnection, chain: ChainId) -> Result<Brought, Error> {
    let row = sqlx::query("SELECT deliveries, feed, seq FROM brought WHERE chain = $1")
        .bind(chain.to_string())
        .fetch_optional(on)
        .await?;
    let Some(row) = row else {
        return Ok(Brought { chain, deliveries: 0, feed: FeedId::ZERO, through: 0 });
    };
    let number = |column| u64::try_from(row.try_get::<i64, _>(column)?).map_err(corrupt);
    let feed: String = row.try_get("feed")?;
    Ok(Brought {
        chain,
        deliveries: number("deliveries")?,
        feed: feed.parse().map_err(corrupt)?,
        through: number("seq")?,
    })
}

/// Keeps how far a chain's feed was brought.
pub(super) async fn bring(on: &mut AnyConnection, has: &Brought) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO brought (chain, deliveries, feed, seq) VALUES ($1, $2, $3, $4)
         ON CONFLICT (chain) DO UPDATE SET deliveries = excluded.deliveries, feed = excluded.feed, seq = excluded.seq",
    )
    .bind(has.chain.to_string())
    .bind(i64::try_from(has.deliveries).map_err(corrupt)?)
    .bind(has.feed.to_string())
    .bind(i64::try_from(has.through).map_err(corrupt)?)
    .execute(on)
    .await?;
    Ok(())
}
