//! `GET /v1/pools/{pool}` and `GET /v1/pools/{pool}/members`.

use alloy::primitives::B256;
use axum::{extract::State, http::HeaderMap};
use protocol::{
    chain::AccountId,
    wire::{
        query::PoolPage,
        view::{PoolMembers, PoolView},
    },
};
use service::http::{Json, Path, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{filter::Filter, store};
use crate::{
    Error, calls,
    params::{Params, id},
    query::list::listed,
    shared::Shared,
};

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// What the chain's node is asked for.
pub(crate) fn of_nodes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(members))
}

/// Pools in the order of their ids.
#[utoipa::path(get, path = "/v1/pools", tag = "pools",
    params(
        ("arbiter" = Option<String>, Query, description = "The arbiter contract, a CAIP-10 account"),
        ("keeper" = Option<String>, Query, description = "The address of who publishes its lists"),
        ("parent" = Option<String>, Query, description = "The pool that appeals go to"),
        ("after" = Option<String>, Query, description = "`cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 where it is missing"),
    ),
    responses(
        (status = 200, description = "A `PoolPage`: `pools`, and `cursor` where there may be more", body = Object),
        (status = 304, description = "Nothing has changed since the tag of `If-None-Match`"),
        (status = 422, description = "A parameter breaks a rule", content_type = "application/problem+json"),
    ))]
async fn list(State(shared): State<Shared>, params: Params) -> Result<Json<PoolPage>, Problem> {
    let (_, found) = listed::<Filter>(&shared, params).await?;
    let pools = found.items.into_iter().map(|(pool, finality)| PoolView { pool, finality }).collect();
    Ok(Json(PoolPage { pools, cursor: found.next }))
}

/// One pool: its rules and its lists.
#[utoipa::path(get, path = "/v1/pools/{pool}", tag = "pools",
    params(
        ("pool" = String, Path, description = "The pool's id"),
        ("arbiter" = Option<String>, Query, description = "The arbiter contract, where several have this pool"),
    ),
    responses(
        (status = 200, description = "A `PoolView`", body = Object),
        (status = 304, description = "Nothing has changed since the tag of `If-None-Match`"),
        (status = 404, description = "No such pool", content_type = "application/problem+json"),
    ))]
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
#[utoipa::path(get, path = "/v1/pools/{pool}/members", tag = "pools",
    params(
        ("pool" = String, Path, description = "The pool's id"),
        ("list" = u32, Query, description = "Index of the list"),
        ("arbiter" = Option<String>, Query, description = "The arbiter contract, where several have this pool"),
    ),
    responses(
        (status = 200, description = "A `PoolMembers`", body = Object),
        (status = 403, description = "Nodes are asked for who shows the key alone", content_type = "application/problem+json"),
        (status = 404, description = "No such pool or list", content_type = "application/problem+json"),
        (status = 503, description = "The node does not answer, or is asked too often", content_type = "application/problem+json"),
    ))]
async fn members(
    State(shared): State<Shared>,
    Path(text): Path<String>,
    headers: HeaderMap,
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
    let _turn = calls::place(&shared, &headers)?;
    let members = chain.source.members(&found, published).await.map_err(|reason| {
        Problem::unavailable(format!("the chain's node, asked for list {list}: {reason}"))
    })?;
    Ok(Json(PoolMembers { pool, arbiter: found.arbiter, list, members }))
}
