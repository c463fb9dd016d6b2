//! `GET /v1/ledger/accounts`, `GET /v1/ledger/statement` and `GET /v1/ledger/holds`: what is yours.

use axum::extract::State;
use protocol::wire::dec;
use serde::{Deserialize, Serialize};
use service::http::{Json, Problem};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    model::{Account, Asset, AssetRules, Entry, Hold, Holder, Key, Kind, OperationId, difference},
    room::owner,
    rules::EntryKind,
    sql::view,
    store,
};
use crate::{
    Hub,
    access::Caller,
    error::Error,
    page::{self, Cursor, Everything, Page, Paged},
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

/// On which side of a hold you are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It is set aside on your account.
    Payer,
    /// It is set aside for you.
    Payee,
}

impl Side {
    /// As JSON writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payer => "payer",
            Self::Payee => "payee",
        }
    }
}

/// An open hold as one of its parties sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HoldView {
    /// The record that made it: what `capture@1` and `release@1` are about.
    #[schema(value_type = String)]
    pub hold: RecordId,
    /// Which side is yours.
    pub side: Side,
    /// Whose account is on the other side, where that is a member.
    #[schema(value_type = Option<String>)]
    pub other: Option<RecordId>,
    /// `time_credit`, a CAIP-19 id, or the id of the record that issued it.
    #[schema(value_type = String)]
    pub asset: Asset,
    /// What one is called.
    pub unit: String,
    /// Decimals: 150 with scale 2 is 1.50.
    pub scale: u8,
    /// How much at most.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub amount: i128,
    /// From when on it can only expire.
    #[schema(value_type = String)]
    pub expires: Stamp,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Statement {
    /// Of which asset; `time_credit` when missing.
    #[param(value_type = Option<String>)]
    asset: Option<Asset>,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(accounts)).routes(routes!(statement)).routes(routes!(holds))
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
    after: Option<Key>,
    limit: i64,
) -> Result<Page<StandingView>, Error> {
    let found = store::accounts_of(on, Holder::Record(community), after, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(|(account, _)| account.key));
    let treasuries = found.into_iter().filter(|(account, _)| account.key.kind == Kind::Treasury);
    let items = treasuries.map(|(account, rules)| standing(&account, rules)).collect::<Result<_, _>>()?;
    Ok(Page::new(items, next))
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
#[utoipa::path(get, path = "/v1/ledger/accounts", tag = "ledger", params(Cursor), responses(
    (status = 200, description = "One for each asset that you have ever had to do with", body = Page<StandingView>),
    (status = 401, description = "Nobody is signed in", content_type = "application/problem+json"),
))]
async fn accounts(
    State(hub): State<Hub>,
    caller: Caller,
    Paged { after, limit, .. }: Paged<Everything, Key>,
) -> Result<Json<Page<StandingView>>, Problem> {
    let holder = Holder::Record(caller.account);
    let mut on = view(&hub.db).await?;
    let found = store::accounts_of(&mut on, holder, after, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(|(account, _)| account.key));
    let items =
        found.into_iter().map(|(account, rules)| standing(&account, rules)).collect::<Result<_, _>>()?;
    Ok(Json(Page::new(items, next)))
}

/// Your account in an asset, entry by entry.
#[utoipa::path(get, path = "/v1/ledger/statement", tag = "ledger", params(Statement, Cursor), responses(
    (status = 200, description = "The account, and its entries from the oldest on; empty where you never had to do with the asset", body = StatementView),
    (status = 401, description = "Nobody is signed in", content_type = "application/problem+json"),
    (status = 404, description = "No record has issued that", content_type = "application/problem+json"),
))]
async fn statement(
    State(hub): State<Hub>,
    caller: Caller,
    page: Paged<Statement>,
) -> Result<Json<StatementView>, Problem> {
    let asset = page.filter.asset.unwrap_or(Asset::TimeCredit);
    let key = Key::member(asset, caller.account);
    let (after, limit) = (page.place().unwrap_or(0), page.limit);
    let mut on = view(&hub.db).await?;
    let rules = store::rules(&mut on, asset).await?.ok_or_else(|| Problem::not_found("asset", asset))?;
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

fn hold_view(yours: RecordId, hold: &Hold, rules: AssetRules) -> HoldView {
    let (from, to) = (owner(&hold.from), owner(&hold.to));
    let (side, other) = if from == Some(yours) { (Side::Payer, to) } else { (Side::Payee, from) };
    HoldView {
        hold: hold.id.record,
        side,
        other,
        asset: hold.from.asset,
        unit: rules.unit,
        scale: rules.scale,
        amount: hold.amount,
        expires: Stamp::from_ms(hold.expires_at),
    }
}

/// What is set aside on your accounts, and for you.
#[utoipa::path(get, path = "/v1/ledger/holds", tag = "ledger", params(Cursor), responses(
    (status = 200, description = "Open holds, in the order of their ids", body = Page<HoldView>),
    (status = 401, description = "Nobody is signed in", content_type = "application/problem+json"),
))]
async fn holds(
    State(hub): State<Hub>,
    caller: Caller,
    Paged { after, limit, .. }: Paged<Everything, OperationId>,
) -> Result<Json<Page<HoldView>>, Problem> {
    let yours = caller.account;
    let mut on = view(&hub.db).await?;
    let found = store::holds_of(&mut on, Holder::Record(yours), after, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(|(hold, _)| hold.id));
    let items = found.into_iter().map(|(hold, rules)| hold_view(yours, &hold, rules)).collect();
    Ok(Json(Page::new(items, next)))
}
