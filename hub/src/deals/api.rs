//! `GET /v1/purchases`, `GET /v1/purchases/{id}`, and the relayer's doors: `POST /v1/chain-events`, `GET /v1/intents`,
//! `POST /v1/intents/progress`.

use std::time::{Duration, Instant};

use alloy::primitives::{B256, Bytes};
use axum::{
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use protocol::{
    chain::Address,
    terms::Terms,
    wire::{
        act::{PartyAct, TimeOut},
        dec,
        feed::{ChainEvent, Delivery, DeliveryReceipt, Finality},
        intent::{IntentPage, IntentProgress, ProgressReport},
        view::DealTransaction,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::http::{Json, Path, Problem, Query, bears};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    chain::{self, DELIVERY_MAX},
    events, intents,
    orders::{self, Handed},
    position::{Timeout, put_in_order},
    status::Status,
    store::{self, Filter, Purchase},
};
use crate::{
    Hub,
    access::{Caller, Reader, may_read},
    disputes,
    error::Error,
    etag::tagged,
    identity,
    page::{self, Cursor, Page, Paged},
    records::{RecordId, Stamp},
};

/// The largest delivery, in bytes.
const DELIVERY_SIZE_MAX: usize = 1024 * 1024;
/// The most intents of a page.
const INTENTS_MAX: u32 = 100;
/// The longest wait for an intent, in seconds.
const WAIT_MAX: u64 = 25;
/// How many of a deal's events its purchase is shown with.
const TRANSACTIONS_SHOWN: i64 = 100;
/// The longest text in a progress report.
const PROGRESS_MAX: usize = 1_000;

/// A purchase, as much of it as the reader may see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PurchaseView {
    /// The id of its `purchase@1`.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// What is bought.
    #[schema(value_type = String)]
    pub listing: RecordId,
    /// The buyer's account.
    #[schema(value_type = String)]
    pub buyer: RecordId,
    /// The seller's account.
    #[schema(value_type = String)]
    pub seller: RecordId,
    /// The deal's id at the escrow.
    #[schema(value_type = String)]
    pub deal: B256,
    /// By the parties' records and the chain's final events.
    pub status: Status,
    /// Where it will stand if what was seen becomes final; nothing rests on it.
    pub provisional: Option<ProvisionalView>,
    /// The seller's share of the whole in basis points, once closed.
    pub seller_share_bps: Option<u16>,
    /// When it was offered.
    #[schema(value_type = String)]
    pub created: Stamp,
    /// When it last moved here.
    #[schema(value_type = String)]
    pub updated: Stamp,
    /// The rest; none for those who are neither party nor juror.
    pub details: Option<PurchaseDetails>,
}

/// What events that are not final add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProvisionalView {
    /// `confirmed` when one of them emptied the deal.
    pub status: Status,
    /// Of the least settled of them: `seen` or `safe`.
    #[schema(value_type = String)]
    pub finality: Finality,
}

/// What the parties and the case's jurors see of a purchase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PurchaseDetails {
    /// What the escrow holds to.
    #[schema(value_type = Object)]
    pub terms: Terms,
    /// What the parties mean by it.
    #[schema(value_type = Object)]
    pub agreement: Value,
    /// The seller's signature of the terms, for funding; for the parties alone.
    #[schema(value_type = Option<String>)]
    pub seller_signature: Option<Bytes>,
    /// The seller's total by final events, in the asset's smallest unit.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub released: u128,
    /// The buyer's total by final events, in the asset's smallest unit.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub refunded: u128,
    /// When this status ends by itself, and by what.
    pub next_deadline: Option<DeadlineView>,
    /// The chain's events about the deal and their transactions, oldest first: the first 100.
    /// `GET /v1/purchases/{id}/transactions` has all.
    #[schema(value_type = Vec<Object>)]
    pub transactions: Vec<DealTransaction>,
    /// What the hub has asked the relayer to do, how far the relayer says it is, and what it says of the cost.
    pub intents: Vec<IntentView>,
    /// What the parties signed to have done, oldest first; for the parties alone.
    pub acts: Vec<ActView>,
    /// What the hub is to do for a party when the time has come: `reclaim`, `claim` or `lapse`, and who asked; for the
    /// parties alone.
    #[schema(value_type = Vec<Object>)]
    pub standing: Vec<StandingView>,
}

/// Something that a party signed to have done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ActView {
    /// Its `act@1`.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// The key of its intent. A settlement becomes one when both parties have signed it.
    pub key: String,
    /// The wallet that signed.
    #[schema(value_type = String)]
    pub party: Address,
    /// What it signed.
    #[schema(value_type = Object)]
    pub act: PartyAct,
}

/// What the hub is to do for a party when the time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingView {
    /// What.
    pub time_out: TimeOut,
    /// Who asked.
    pub account: RecordId,
}

/// A moment at which a status ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeadlineView {
    /// Unix seconds by the chain's clock; after it anyone may act.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub at: u64,
    /// What anyone may then do.
    pub then: Timeout,
}

/// Something the hub wants done on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IntentView {
    /// Its business key.
    pub key: String,
    /// What the relayer says of it; the chain decides.
    #[schema(value_type = Option<Object>)]
    pub progress: Option<IntentProgress>,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    let deliveries =
        OpenApiRouter::new().routes(routes!(chain_events)).layer(DefaultBodyLimit::max(DELIVERY_SIZE_MAX));
    OpenApiRouter::new()
        .routes(routes!(purchases))
        .routes(routes!(purchase))
        .routes(routes!(transactions))
        .routes(routes!(intents))
        .routes(routes!(progress))
        .merge(deliveries)
}

/// How a reader stands to a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Buyer or seller.
    Party,
    /// Holds a seat in its case, and has not stepped aside.
    Juror,
    /// May read the `purchase@1`.
    Public,
}

/// How the reader stands to the purchase; none when it is not for these eyes.
pub(crate) async fn standing(
    on: &mut AnyConnection,
    reader: &Reader,
    purchase: &Purchase,
) -> Result<Option<Standing>, Error> {
    if let Some(account) = &reader.account {
        if purchase.is_party(account) {
            return Ok(Some(Standing::Party));
        }
        let wallets = identity::wallets_of(on, account).await?;
        if disputes::sits(on, purchase, &wallets).await? {
            return Ok(Some(Standing::Juror));
        }
    }
    Ok(may_read(reader, &purchase.audience).then_some(Standing::Public))
}

fn transaction(finality: Finality, event: &ChainEvent) -> DealTransaction {
    DealTransaction {
        event: event.id,
        name: event.body.name().to_owned(),
        transaction: event.transaction,
        block_number: event.block_number,
        block_time: event.block_time,
        finality,
    }
}

/// The first of a deal's events, in the order of the chain.
async fn first_transactions(on: &mut AnyConnection, deal: B256) -> Result<Vec<DealTransaction>, Error> {
    let levels = [Finality::Final, Finality::Safe, Finality::Seen];
    let mut events = events::first(on, deal, &levels, TRANSACTIONS_SHOWN).await?;
    put_in_order(&mut events, |(_, event)| event);
    Ok(events.iter().map(|(finality, event)| transaction(*finality, event)).collect())
}

async fn acts(on: &mut AnyConnection, purchase: &Purchase) -> Result<Vec<ActView>, Error> {
    let handed = orders::handed(on, purchase).await?;
    let shown = |Handed { id, key, party, act }| ActView { id, key, party, act };
    Ok(handed.into_iter().map(shown).collect())
}

async fn view(
    on: &mut AnyConnection,
    reader: &Reader,
    purchase: Purchase,
) -> Result<Option<PurchaseView>, Error> {
    let Some(standing) = standing(on, reader, &purchase).await? else { return Ok(None) };
    let Purchase { position, provisional, terms, .. } = &purchase;
    let details = match standing {
        Standing::Public => None,
        Standing::Party | Standing::Juror => Some(PurchaseDetails {
            terms: terms.clone(),
            agreement: purchase.agreement.clone(),
            seller_signature: purchase.signature.clone().filter(|_| standing == Standing::Party),
            released: position.released,
            refunded: position.refunded,
            next_deadline: position.next_deadline(terms).map(|(at, then)| DeadlineView { at, then }),
            transactions: first_transactions(on, purchase.deal).await?,
            intents: intents::progress(on, purchase.deal)
                .await?
                .into_iter()
                .map(|(key, progress)| IntentView { key, progress })
                .collect(),
            acts: match standing {
                Standing::Party => acts(on, &purchase).await?,
                _ => Vec::new(),
            },
            standing: match standing {
                Standing::Party => orders::standing(on, &purchase).await?,
                _ => Vec::new(),
            }
            .into_iter()
            .map(|(time_out, account)| StandingView { time_out, account })
            .collect(),
        }),
    };
    Ok(Some(PurchaseView {
        id: purchase.id,
        listing: purchase.listing,
        buyer: purchase.buyer,
        seller: purchase.seller,
        deal: purchase.deal,
        status: position.status,
        provisional: provisional
            .map(|seen| ProvisionalView { status: seen.position.status, finality: seen.finality }),
        seller_share_bps: position.seller_share_bps(terms.amount),
        created: Stamp::from_ms(purchase.created_at),
        updated: Stamp::from_ms(purchase.updated_at),
        details,
    }))
}

#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Only those with this account, or only your own as this one.
    #[param(value_type = Option<String>)]
    account: Option<RecordId>,
    /// Only those of this status.
    status: Option<Status>,
}

/// Your purchases and sales, the newest first.
#[utoipa::path(get, path = "/v1/purchases", tag = "deals", params(Asked, Cursor), responses(
    (status = 200, description = "A page", body = Page<PurchaseView>),
    (status = 401, description = "Sign in first", content_type = "application/problem+json"),
))]
async fn purchases(
    State(hub): State<Hub>,
    caller: Caller,
    reader: Reader,
    page: Paged<Asked>,
) -> Result<Json<Page<PurchaseView>>, Problem> {
    let party = caller.account;
    let Asked { account, status } = page.filter;
    let filter = Filter {
        party,
        with: account.filter(|with| *with != party),
        status,
        before: page.place().unwrap_or(i64::MAX),
        limit: page.limit,
    };
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = store::list(&mut on, &filter).await?;
    let next = page::next(found.len(), filter.limit, found.last().map(|purchase| purchase.seq));
    let mut items = Vec::with_capacity(found.len());
    for purchase in found {
        items.extend(view(&mut on, &reader, purchase).await?);
    }
    Ok(Json(Page::new(items, next)))
}

/// A purchase, as much of it as you may see.
#[utoipa::path(get, path = "/v1/purchases/{id}", tag = "deals", params(("id" = String, Path)), responses(
    (status = 200, description = "The purchase", body = PurchaseView),
    (status = 404, description = "There is none, or you may not read it", content_type = "application/problem+json"),
))]
async fn purchase(
    State(hub): State<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let shown = match store::by_id(&mut on, &id).await? {
        Some(purchase) => view(&mut on, &reader, purchase).await?,
        None => None,
    };
    let shown = shown.ok_or_else(|| Problem::not_found("purchase", id))?;
    Ok(tagged(&headers, &shown)?)
}

/// The chain's events about a purchase's deal and their transactions, for its parties and the jurors of its case: in the order in which
/// the hub was told of each last, which it is again when one is more settled.
#[utoipa::path(get, path = "/v1/purchases/{id}/transactions", tag = "deals", params(("id" = String, Path), Cursor), responses(
    (status = 200, description = "A page", body = Object),
    (status = 404, description = "There is no such purchase, or you are neither party nor juror", content_type = "application/problem+json"),
))]
async fn transactions(
    State(hub): State<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
    page: Paged,
) -> Result<Json<Page<DealTransaction>>, Problem> {
    let missing = || Problem::not_found("purchase", id);
    let (after, limit) = (page.place().unwrap_or(0), page.limit);
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let purchase = store::by_id(&mut on, &id).await?.ok_or_else(missing)?;
    match standing(&mut on, &reader, &purchase).await? {
        Some(Standing::Party | Standing::Juror) => {}
        Some(Standing::Public) | None => return Err(missing()),
    }
    let found = events::page(&mut on, purchase.deal, after, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(|(seq, ..)| *seq));
    let items = found.iter().map(|(_, finality, event)| transaction(*finality, event)).collect();
    Ok(Json(Page::new(items, next)))
}

fn relayer_only(hub: &Hub, headers: &HeaderMap) -> Result<(), Problem> {
    if bears(headers, &hub.config.relayer_key) {
        Ok(())
    } else {
        Err(Problem::unauthenticated("only this hub's relayer may: send its key as Bearer token"))
    }
}

/// The relayer hands in what its feed says, in feed order. Each entry is read again from the hub's own indexer.
#[utoipa::path(post, path = "/v1/chain-events", tag = "relayer", request_body = Object, responses(
    (status = 200, description = "All of it is taken", body = Object),
    (status = 401, description = "Not the relayer's key", content_type = "application/problem+json"),
    (status = 409, description = "The hub's indexer does not know the event; entries before it are taken", content_type = "application/problem+json"),
    (status = 422, description = "The hub's indexer says otherwise", content_type = "application/problem+json"),
    (status = 425, description = "The event is not that settled to the hub's indexer; try again", content_type = "application/problem+json"),
    (status = 503, description = "The hub's indexer does not answer; try again", content_type = "application/problem+json"),
))]
async fn chain_events(
    State(hub): State<Hub>,
    headers: HeaderMap,
    delivery: Result<Json<Delivery>, Problem>,
) -> Result<Json<DeliveryReceipt>, Problem> {
    relayer_only(&hub, &headers)?;
    let Json(delivery) = delivery?;
    if delivery.entries.len() > DELIVERY_MAX {
        let told = format!("{} entries; at most {DELIVERY_MAX} are taken at once", delivery.entries.len());
        return Err(Problem::invalid(told).at("/entries"));
    }
    // To its end, also where the relayer does not wait for it: what it asks the indexer would be asked again from the start.
    let delivered = tokio::spawn(async move { chain::deliver(&hub, &delivery).await });
    let receipt = delivered.await.map_err(|error| Error::Corrupt(format!("a delivery: {error}")))?;
    Ok(Json(receipt?))
}

#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Poll {
    /// `cursor` of the page before; 0 when missing.
    #[serde(default)]
    after: u64,
    /// 1 to 100; 100 when missing.
    limit: Option<u32>,
    /// Seconds to wait for a first intent, at most 25; 0 when missing.
    #[serde(default)]
    wait: u64,
}

/// What the hub wants done on chain, for its relayer; waits for news when there is none.
#[utoipa::path(get, path = "/v1/intents", tag = "relayer", params(Poll), responses(
    (status = 200, description = "A page, perhaps empty", body = Object),
    (status = 401, description = "Not the relayer's key", content_type = "application/problem+json"),
))]
async fn intents(
    State(hub): State<Hub>,
    headers: HeaderMap,
    Query(Poll { after, limit, wait }): Query<Poll>,
) -> Result<Json<IntentPage>, Problem> {
    relayer_only(&hub, &headers)?;
    let limit = limit.unwrap_or(INTENTS_MAX);
    if !(1..=INTENTS_MAX).contains(&limit) {
        let told = format!("limit {limit} must be 1 to {INTENTS_MAX}");
        return Err(Problem::malformed(told).at("limit"));
    }
    if wait > WAIT_MAX {
        return Err(Problem::malformed(format!("wait {wait} must be at most {WAIT_MAX}")).at("wait"));
    }
    let (since, wait) = (Instant::now(), Duration::from_secs(wait));
    let mut changes = hub.changes();
    loop {
        changes.mark_unchanged();
        let intents = {
            let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
            intents::page(&mut on, after, limit.into()).await?
        };
        if !intents.is_empty() || since.elapsed() >= wait || hub.stop.is_cancelled() {
            let cursor = intents.last().map_or(after, |intent| intent.seq);
            return Ok(Json(IntentPage { intents, cursor }));
        }
        hub.wait(&mut changes).await;
    }
}

/// The relayer says how far it is with an intent: information for the parties, nothing more.
#[utoipa::path(post, path = "/v1/intents/progress", tag = "relayer", request_body = Object, responses(
    (status = 204, description = "Noted"),
    (status = 401, description = "Not the relayer's key", content_type = "application/problem+json"),
    (status = 422, description = "`no_intent`: there is none of that key", content_type = "application/problem+json"),
))]
async fn progress(
    State(hub): State<Hub>,
    headers: HeaderMap,
    report: Result<Json<ProgressReport>, Problem>,
) -> Result<StatusCode, Problem> {
    relayer_only(&hub, &headers)?;
    let Json(mut report) = report?;
    if let IntentProgress::Failed { reason } | IntentProgress::Waiting { reason } = &mut report.progress
        && reason.chars().count() > PROGRESS_MAX
    {
        *reason = reason.chars().take(PROGRESS_MAX).collect();
    }
    let mut write = hub.db.begin().await.map_err(Error::from)?;
    if !intents::report(write.on(), &report, hub.clock.now_ms()).await? {
        // Not 404: to the relayer that means a wrong address.
        let told = format!("there is no intent {:.100}", report.key);
        return Err(Problem::invalid(told).at("/key").by_rule("no_intent"));
    }
    write.commit().await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}
