//! `GET /v1/pools/{pool}` and `GET /v1/pools/{pool}/members`.

use alloy::primitives::B256;
use axum::{Router, extract::State, routing::get};
use protocol::{
    chain::AccountId,
    wire::view::{PoolMembers, PoolView},
};
use service::http::{Json, Path, Problem};

use super::store;
use crate::{
    Error,
    params::{Params, id},
    shared::{CALLS_AT_ONCE_MAX, Shared},
};

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/v1/pools/{pool}", get(one)).route("/v1/pools/{pool}/members", get(members))
}

async fn one(
    State(shared): State<Shared>,
    Path(text): Path<String>,
    params: Params,
) -> Result<Json<PoolView>, Problem> {
    let pool = id("pool", &text)?;
    let params = params.only(&["arbiter"])?;
    find(&shared, pool, params.parsed("arbiter", "a CAIP-10 account")?).await.map(Json)
}

async fn find(shared: &Shared, pool: B256, arbiter: Option<AccountId>) -> Result<PoolView, Problem> {
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
    found.pop().ok_or_else(|| Problem::not_found("pool", pool))
}

/// The members of a list that the indexer has seen, as the chain has them.
async fn members(
    State(shared): State<Shared>,
    Path(text): Path<String>,
    params: Params,
) -> Result<Json<PoolMembers>, Problem> {
    let pool = id("pool", &text)?;
    let params = params.only(&["arbiter", "list"])?;
    let arbiter = params.parsed("arbiter", "a CAIP-10 account")?;
    let rule = "the index of a list";
    let list: u32 = params
        .parsed("list", rule)?
        .ok_or_else(|| Problem::invalid(format!("list must be given: {rule}")).at("list"))?;
    let found = find(&shared, pool, arbiter).await?.pool;
    let published = found.lists.iter().find(|one| one.list == list);
    let published = published.ok_or_else(|| Problem::not_found("list", list))?;
    let of = found.arbiter.chain;
    let chain = shared.chains.get(&of).ok_or_else(|| {
        Problem::unavailable(format!("{of} is not followed; followed are: {}", shared.chain_names()))
    })?;
    let Ok(_turn) = shared.calls.try_acquire() else {
        return Err(Problem::unavailable(format!("{CALLS_AT_ONCE_MAX} calls are under way; try again")));
    };
    let members = chain.source.members(&found, published).await.map_err(|reason| {
        Problem::unavailable(format!("the chain's node, asked for list {list}: {reason}"))
    })?;
    Ok(Json(PoolMembers { pool, arbiter: found.arbiter, list, members }))
}
