//! `GET /v1/deals` and `GET /v1/deals/{deal}`.

use alloy::primitives::B256;
use axum::extract::State;
use protocol::wire::view::{DealDetail, DealPage, DealView};
use service::http::{Json, Path, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{filter::Filter, store};
use crate::{
    Error,
    params::{Params, id},
    query::list::listed,
    shared::Shared,
};

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// Deals in the order of their ids.
#[utoipa::path(get, path = "/v1/deals", tag = "deals",
    params(
        ("chain" = Option<String>, Query, description = "A CAIP-2 chain: deals there"),
        ("party" = Option<String>, Query, description = "A CAIP-10 account that is buyer or seller"),
        ("buyer" = Option<String>, Query, description = "A CAIP-10 account"),
        ("seller" = Option<String>, Query, description = "A CAIP-10 account"),
        ("status" = Option<String>, Query, description = "funded, delivered, disputed or closed"),
        ("escrow" = Option<String>, Query, description = "The escrow contract, a CAIP-10 account"),
        ("arbiter" = Option<String>, Query, description = "The arbiter of the terms, a CAIP-10 account"),
        ("asset" = Option<String>, Query, description = "A CAIP-19 asset"),
        ("pool" = Option<String>, Query, description = "The pool of the terms"),
        ("funded_from" = Option<u64>, Query, description = "Funded at this Unix second or later"),
        ("funded_before" = Option<u64>, Query, description = "Funded before this Unix second"),
        ("since_before" = Option<u64>, Query, description = "In its status since before this Unix second"),
        ("after" = Option<String>, Query, description = "`cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 where it is missing"),
    ),
    responses(
        (status = 200, description = "A `DealPage`: `deals`, and `cursor` where there may be more", body = Object),
        (status = 304, description = "Nothing has changed since the tag of `If-None-Match`"),
        (status = 422, description = "A parameter breaks a rule", content_type = "application/problem+json"),
    ))]
async fn list(State(shared): State<Shared>, params: Params) -> Result<Json<DealPage>, Problem> {
    let (_, found) = listed::<Filter>(&shared, params).await?;
    let deals = found.items.into_iter().map(|(deal, finality)| DealView { deal, finality }).collect();
    let cursor = found.next.map(|subject| deal_of(&subject)).transpose()?;
    Ok(Json(DealPage { deals, cursor }))
}

fn deal_of(subject: &str) -> Result<B256, Error> {
    let deal = subject.strip_prefix("deal/").and_then(|deal| deal.parse().ok());
    deal.ok_or_else(|| Error::damaged("states.subject", subject))
}

/// One deal with its events.
#[utoipa::path(get, path = "/v1/deals/{deal}", tag = "deals",
    params(("deal" = String, Path, description = "The deal's id")),
    responses(
        (status = 200, description = "A `DealDetail`: the deal and `transactions`, its 500 newest events, oldest first", body = Object),
        (status = 304, description = "Nothing has changed since the tag of `If-None-Match`"),
        (status = 404, description = "No such deal", content_type = "application/problem+json"),
    ))]
async fn one(State(shared): State<Shared>, Path(text): Path<String>) -> Result<Json<DealDetail>, Problem> {
    let deal = id("deal", &text)?;
    let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
    let view = store::find(&mut reader, deal).await?.ok_or_else(|| Problem::not_found("deal", deal))?;
    let transactions = store::transactions(&mut reader, deal).await?;
    Ok(Json(DealDetail { view, transactions }))
}
