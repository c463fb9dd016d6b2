use protocol::chain::{AccountId, AssetId};
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::model::{ListingBody, ListingKind, ListingStatus, Price, PriceAsset, PriceType};
use crate::{
    access::{Audience, List, Order, Reader, belongs_to, readable, show_to},
    error::Error,
    records::RecordId,
};

/// A listing as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The id of its first record.
    pub id: RecordId,
    /// That record's place in the log.
    pub seq: i64,
    /// The id of its newest record.
    pub revision: RecordId,
    /// Whose it is.
    pub seller: RecordId,
    /// Of the newest record, and its seller.
    pub audience: Vec<Audience>,
    pub body: ListingBody,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub updated_at: i64,
}

impl Listing {
    /// Whether it can be bought now.
    pub(crate) fn active(&self) -> bool {
        self.body.status == ListingStatus::Active
    }

    /// The wallet to be paid.
    pub(crate) const fn pay_to(&self) -> Option<AccountId> {
        self.body.pay_to
    }

    /// The prices on a chain of which one must be met exactly; none when the amount is to be agreed. Empty when no coin
    /// or token buys it.
    pub(crate) fn fixed_prices(&self) -> Option<Vec<(AssetId, u128)>> {
        match self.body.price_type {
            PriceType::Hourly | PriceType::Negotiable => None,
            PriceType::Fixed | PriceType::Free | PriceType::TimeCredit => {
                let on_chain = |price: &Price| match price.asset {
                    PriceAsset::Chain(asset) => Some((asset, price.amount)),
                    PriceAsset::TimeCredit => None,
                };
                Some(self.body.price.iter().filter_map(on_chain).collect())
            }
        }
    }
}

/// Which listings to look at; every condition must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub kind: Option<ListingKind>,
    pub status: Option<ListingStatus>,
    pub tag: Option<String>,
    pub seller: Option<RecordId>,
    /// Words to find, in lower case.
    pub q: Option<String>,
}

fn corrupt(error: impl std::fmt::Display) -> Error {
    Error::Corrupt(format!("listings: {error}"))
}

fn words(body: &ListingBody) -> String {
    format!("{}\n{}\n{}", body.title, body.description, body.tags.join(" ")).to_lowercase()
}

/// Keeps a listing, new or revised.
pub(super) async fn put(on: &mut AnyConnection, listing: &Listing) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO listings (id, seq, revision, seller, kind, status, words, audience, body, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, status = excluded.status,
             words = excluded.words, audience = excluded.audience, body = excluded.body,
             updated_at = excluded.updated_at",
    )
    .bind(listing.id.to_string())
    .bind(listing.seq)
    .bind(listing.revision.to_string())
    .bind(listing.seller.to_string())
    .bind(listing.body.kind.name())
    .bind(listing.body.status.name())
    .bind(words(&listing.body))
    .bind(serde_json::to_string(&listing.audience).map_err(corrupt)?)
    .bind(serde_json::to_string(&listing.body).map_err(corrupt)?)
    .bind(listing.created_at)
    .bind(listing.updated_at)
    .execute(&mut *on)
    .await?;
    let id = listing.id.to_string();
    sqlx::query("DELETE FROM listing_tags WHERE listing = $1").bind(&id).execute(&mut *on).await?;
    for tag in &listing.body.tags {
        sqlx::query("INSERT INTO listing_tags (listing, tag) VALUES ($1, $2)")
            .bind(&id)
            .bind(tag)
            .execute(&mut *on)
            .await?;
    }
    show_to(on, List::Listings, listing.seq, &listing.audience).await
}

const LISTING: &str =
    "SELECT id, seq, revision, seller, audience, body, created_at, updated_at FROM listings";

fn read(row: &AnyRow) -> Result<Listing, Error> {
    let id =
        |column| -> Result<RecordId, Error> { row.try_get::<String, _>(column)?.parse().map_err(corrupt) };
    let audience: String = row.try_get("audience")?;
    let body: String = row.try_get("body")?;
    Ok(Listing {
        id: id("id")?,
        seq: row.try_get("seq")?,
        revision: id("revision")?,
        seller: id("seller")?,
        audience: serde_json::from_str(&audience).map_err(corrupt)?,
        body: serde_json::from_str(&body).map_err(corrupt)?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// A listing, whoever may read it.
pub(crate) async fn listing(on: &mut AnyConnection, id: &RecordId) -> Result<Option<Listing>, Error> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("{LISTING} WHERE id = $1")))
        .bind(id.to_string())
        .fetch_optional(on)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Listings that the reader may read and that meet the filter, newest first, from below `before` in the log.
pub(super) async fn find(
    on: &mut AnyConnection,
    reader: &Reader,
    filter: &Filter,
    before: i64,
    limit: i64,
) -> Result<Vec<Listing>, Error> {
    // sqlx's own builder writes placeholders that PostgreSQL does not read through `Any`.
    let mut conditions = String::new();
    let mut texts = Vec::new();
    let mut and = |condition: &str, text: String| {
        texts.push(text);
        let place = format!("${}", texts.len().saturating_add(3));
        conditions.push_str(&format!(" AND {}", condition.replace('?', &place)));
    };
    if let Some(kind) = filter.kind {
        and("kind = ?", kind.name().to_owned());
    }
    if let Some(status) = filter.status {
        and("status = ?", status.name().to_owned());
    }
    if let Some(seller) = filter.seller {
        and("seller = ?", seller.to_string());
    }
    if let Some(tag) = &filter.tag {
        and("id IN (SELECT listing FROM listing_tags WHERE tag = ?)", tag.clone());
    }
    if let Some(q) = &filter.q {
        let escaped = q.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        and("words LIKE ? ESCAPE '\\'", format!("%{escaped}%"));
    }
    let page = readable(on, List::Listings, Order::Newest, &conditions);
    let sql = sqlx::AssertSqlSafe(format!("{LISTING} WHERE {page}"));
    let mut query = sqlx::query(sql).bind(belongs_to(reader)?).bind(before).bind(limit);
    for text in texts {
        query = query.bind(text);
    }
    let rows = query.fetch_all(on).await?;
    rows.iter().map(read).collect()
}
