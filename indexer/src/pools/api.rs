//! `GET /v1/pools/{pool}`.

use axum::{Router, extract::State, routing::get};
use protocol::{chain::AccountId, wire::view::PoolView};
use service::http::{Json, Path, Problem};

use super::store;
use crate::{
    Error,
    params::{Params, id},
    shared::Shared,
};

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/v1/pools/{pool}", get(one))
}

async fn one(
    State(shared): State<Shared>,
    Path(text): Path<String>,
    params: Params,
) -> Result<Json<PoolView>, Problem> {
    let pool = id("pool", &text)?;
    let params = params.only(&["arbiter"])?;
    let arbiter = params.parsed::<AccountId>("arbiter", "a CAIP-10 account")?;
    let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
    let mut found = store::find(&mut reader, pool).await?;
    found.retain(|view| arbiter.is_none_or(|arbiter| arbiter == view.pool.arbiter));
    if found.len() > 1 {
        return Err(Problem::invalid(format!(
            "{} arbiters have pool {pool}: name one by arbiter=<CAIP-10>",
            found.len()
        ))
        .at("arbiter"));
    }
    found.pop().map(Json).ok_or_else(|| Problem::not_found("pool", pool))
}
