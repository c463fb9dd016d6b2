//! `GET /v1/deals` and `GET /v1/deals/{deal}`.

use alloy::primitives::B256;
use axum::{Router, extract::State, routing::get};
use protocol::{
    chain::AccountId,
    wire::view::{DealDetail, DealPage},
};
use service::http::{Json, Path, Problem};

use super::store::{self, Filter};
use crate::{
    Error,
    params::{Params, id},
    shared::Shared,
};

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/v1/deals", get(list)).route("/v1/deals/{deal}", get(one))
}

const LIMIT_MAX: u64 = 200;

async fn list(State(shared): State<Shared>, params: Params) -> Result<Json<DealPage>, Problem> {
    let params = params.only(&["buyer", "seller", "status", "after", "limit"])?;
    let account = "a CAIP-10 account, such as eip155:1:0x and 40 hexadecimal digits";
    let limit = params.number("limit", (1, LIMIT_MAX), 50)?;
    let filter = Filter {
        buyer: params.parsed::<AccountId>("buyer", account)?,
        seller: params.parsed::<AccountId>("seller", account)?,
        status: params.parsed("status", "funded, delivered, disputed or closed")?,
        after: params.parsed::<B256>("after", "a deal's id, 0x and 64 hexadecimal digits")?,
        limit,
    };
    let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
    let deals = store::list(&mut reader, &filter).await?;
    let full = u64::try_from(deals.len()).is_ok_and(|count| count == limit);
    let cursor = deals.last().filter(|_| full).map(|view| view.deal.deal);
    Ok(Json(DealPage { deals, cursor }))
}

async fn one(State(shared): State<Shared>, Path(text): Path<String>) -> Result<Json<DealDetail>, Problem> {
    let deal = id("deal", &text)?;
    let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
    let view = store::find(&mut reader, deal).await?.ok_or_else(|| Problem::not_found("deal", deal))?;
    let transactions = store::transactions(&mut reader, deal).await?;
    Ok(Json(DealDetail { view, transactions }))
}
