//! `GET /v1/ledger/accounts` and `GET /v1/ledger/statement`: what is yours.

use axum::extract::State;
use protocol::wire::dec;
use serde::{Deserialize, Serialize};
use service::http::{Json, Problem, Query};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    model::{Account, Asset, AssetRules, Entry, Holder, Key, Kind, difference},
    room::owner,
    rules::EntryKind,
    store,
};
use crate::{
    Hub,
    access::Reader,
    error::Error,
    page::{self, Cursor, Page},
    records::{RecordId, Stamp},
};

/// An account as it stands. Amounts are decimal strings in the asset's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StandingView {
    /// `time_credit`, a CAIP-19 id, or the id of the record that issued it.
    #[schema(value_type = String)]
    pub asset: Asset,
    /// What one is called.
    pub unit: String,
    /// Decimals: 150 with scale 2 is 1.50.
    pub scale: u8,
    /// The sum of its entries.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub balance: i128,
    /// The balance without what is set aside.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub available: i128,
    /// How low it may go.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub floor: i128,
    /// Set aside by open holds.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub held: i128,
    /// What open holds of others may bring.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub incoming: i128,
    /// All that was ever received.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub earned: i128,
    /// All that was ever given.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub spent: i128,
    /// How many entries it has.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub entries: i64,
}

/// An entry as a statement shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EntryView {
    /// Its number on the account, from 1.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub number: i64,
    /// When.
    #[schema(value_type = String)]
    pub at: Stamp,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: EntryKind,
    /// Above zero: received; below: given.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub amount: i128,
    /// The balance after it.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub balance: i128,
    /// Whose account is on the other side, where that is one member alone.
    #[schema(value_type = Option<String>)]
    pub other: Option<RecordId>,
    /// The record that it is the effect of.
    #[schema(value_type = String)]
    pub record: RecordId,
}

/// A page of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StatementView {
    /// The account now.
    pub account: StandingView,
    /// Its entries, oldest first.
    pub items: Vec<EntryView>,
    /// `after` of the next page; null at the end.
    pub next: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Accounts {
    /// `next` of the page before.
    after: Option<String>,
    /// 1 to 100; 50 when missing.
    limit: Option<u32>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Statement {
    /// Of which asset; `time_credit` when missing.
    #[param(value_type = Option<String>)]
    asset: Option<Asset>,
    /// `next` of the page before.
    after: Option<u64>,
    /// 1 to 100; 50 when missing.
    limit: Option<u32>,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(accounts)).routes(routes!(statement))
}

fn yours(reader: &Reader) -> Result<RecordId, Problem> {
    reader.account.ok_or_else(|| Problem::unauthenticated("an account is shown to its holder alone: sign in"))
}

fn standing(account: &Account, rules: AssetRules) -> Result<StandingView, Error> {
    let available = difference(account.balance, account.held)
        .ok_or_else(|| store::corrupt(format_args!("{}: more is held than there can be", account.key)))?;
    Ok(StandingView {
        asset: account.key.asset,
        balance: account.balance,
        available,
        floor: account.floor(&rules),
        held: account.held,
        incoming: account.incoming,
        earned: account.earned,
        spent: account.spent,
        entries: account.version,
        unit: rules.unit,
        scale: rules.scale,
    })
}

/// What a community's treasuries have, one for each asset, after `after` in the database's order of their accounts.
///
/// # Errors
/// The database fails.
pub(crate) async fn treasury(
    on: &mut AnyConnection,
    community: RecordId,
    after: &str,
    limit: i64,
) -> Result<Page<StandingView>, Error> {
    let found = store::accounts_of(on, Holder::Record(community), after, limit).await?;
    let full = i64::try_from(found.len()).is_ok_and(|found| found >= limit);
    let next = found.last().filter(|_| full).map(|(account, _)| account.key.to_string());
    let treasuries = found.into_iter().filter(|(account, _)| account.key.kind == Kind::Treasury);
    let items = treasuries.map(|(account, rules)| standing(&account, rules)).collect::<Result<_, _>>()?;
    Ok(Page { items, next })
}

fn entry(entry: Entry) -> EntryView {
    EntryView {
        number: entry.version,
        at: Stamp::from_ms(entry.at),
        kind: entry.kind,
        amount: entry.amount,
        balance: entry.balance,
        other: entry.other.as_ref().and_then(owner),
        record: entry.operation.record,
    }
}

/// Your accounts.
#[utoipa::path(get, path = "/v1/ledger/accounts", tag = "ledger", params(Accounts), responses(
    (status = 200, description = "One for each asset that you have ever had to do with", body = Page<StandingView>),
    (status = 401, description = "Nobody is signed in", content_type = "application/problem+json"),
))]
async fn accounts(
    State(hub): State<Hub>,
    reader: Reader,
    Query(query): Query<Accounts>,
) -> Result<Json<Page<StandingView>>, Problem> {
    let holder = Holder::Record(yours(&reader)?);
    let limit = Cursor { after: None, limit: query.limit }.limit()?;
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = store::accounts_of(&mut on, holder, &query.after.unwrap_or_default(), limit).await?;
    let full = i64::try_from(found.len()).is_ok_and(|found| found >= limit);
    let next = found.last().filter(|_| full).map(|(account, _)| account.key.to_string());
    let items =
        found.into_iter().map(|(account, rules)| standing(&account, rules)).collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next }))
}

/// Your account in an asset, entry by entry.
#[utoipa::path(get, path = "/v1/ledger/statement", tag = "ledger", params(Statement), responses(
    (status = 200, description = "The account, and its entries from the oldest on", body = StatementView),
    (status = 401, description = "Nobody is signed in", content_type = "application/problem+json"),
    (status = 404, description = "This hub does not count that", content_type = "application/problem+json"),
))]
async fn statement(
    State(hub): State<Hub>,
    reader: Reader,
    Query(query): Query<Statement>,
) -> Result<Json<StatementView>, Problem> {
    let asset = query.asset.unwrap_or(Asset::TimeCredit);
    let key = Key::member(asset, yours(&reader)?);
    let cursor = Cursor { after: query.after, limit: query.limit };
    let (after, limit) = (cursor.after().unwrap_or(0), cursor.limit()?);
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let (rules, _) = store::asset(&mut on, asset).await?.ok_or_else(|| Problem::not_found("asset", asset))?;
    let account = store::account(&mut on, &key).await?.unwrap_or_else(|| Account::empty(key));
    let found = store::entries(&mut on, &key, after, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(|entry| entry.version));
    let items = found.into_iter().map(entry).collect();
    Ok(Json(StatementView {
        account: standing(&account, rules)?,
        items,
        next: next.map(|next| next.to_string()),
    }))
}
