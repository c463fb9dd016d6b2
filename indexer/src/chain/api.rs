//! `GET /status`, and when the service is ready: as a whole, and chain by chain at `GET /ready/{chain}`.

use axum::{extract::State, http::StatusCode};
use protocol::{
    chain::ChainId,
    wire::view::{BlockRef, ChainStatus, FaultKind, IndexerStatus, ProviderStatus},
};
use service::http::{Json, Path, Problem};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{rpc::Node, store, trust};
use crate::{
    Error, delivery, faults, feed,
    params::parsed,
    shared::{Chain, Shared},
};

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(ready_one))
}

/// How following every chain, and bringing the feed to every receiver, is doing.
#[utoipa::path(get, path = "/status", tag = "indexer", responses((status = 200, description = "An `IndexerStatus`", body = Object)))]
async fn status(State(shared): State<Shared>) -> Result<Json<IndexerStatus>, Problem> {
    let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
    let mut chains = Vec::new();
    for chain in shared.chains.values() {
        chains.push(of_chain(&mut reader, chain).await?);
    }
    let mut unfollowed: Vec<ChainId> =
        store::chains(&mut reader).await?.into_iter().map(|(_, id)| id).collect();
    unfollowed.retain(|id| !shared.chains.contains_key(id));
    let feed = feed::store::last_seq(&mut reader).await?;
    let feed_id = feed::store::feed_at(&mut reader, feed).await?;
    let deliveries = delivery::status(&mut reader, &shared.deliveries).await?;
    Ok(Json(IndexerStatus { chains, unfollowed, feed_id, feed, deliveries }))
}

async fn of_chain(on: &mut AnyConnection, chain: &Chain) -> Result<ChainStatus, Error> {
    let position = store::position(&mut *on, chain.number).await?;
    let trust = trust::row(&mut *on, chain.number).await?;
    // After the row: what is cleared before that is written is not shown beside it.
    let pulse = chain.pulse();
    let cursor = position.map_or(BlockRef { number: 0, hash: Default::default() }, |p| p.tip);
    Ok(ChainStatus {
        chain: chain.id,
        contracts: chain.contracts.to_vec(),
        head: pulse.head,
        safe: position.and_then(|p| p.settled.safe),
        finalized: position.and_then(|p| p.settled.finalized),
        cursor,
        lag: pulse.head.map_or(0, |head| head.number.saturating_sub(cursor.number)),
        caught_up: pulse.caught_up,
        polled_at: pulse.polled_at,
        trouble: pulse.trouble,
        providers: chain.source.nodes().all().map(provider).collect(),
        proven: trust.proven,
        unproven: pulse.unproven,
        missed: trust.missed,
        reconciled_at: pulse.reconciled_at,
        alarms: faults::alarms(&mut *on, chain.number).await?,
        faults: faults::open(&mut *on, chain.number).await?,
    })
}

fn provider(node: &Node) -> ProviderStatus {
    let health = node.health();
    ProviderStatus {
        node: node.host.clone(),
        failures: health.failures,
        lies: health.lies,
        trusted: !health.distrusted,
    }
}

/// Whether one chain was read up to its head, its nodes are heard of, and nothing stands in the way.
#[utoipa::path(get, path = "/ready/{chain}", tag = "indexer",
    params(("chain" = String, Path, description = "Its CAIP-2 id")),
    responses(
        (status = 200, description = "Ready"),
        (status = 503, description = "Not ready, and why", content_type = "application/problem+json"),
    ))]
async fn ready_one(State(shared): State<Shared>, Path(text): Path<String>) -> Result<StatusCode, Problem> {
    let id: ChainId = parsed("chain", &text, "a CAIP-2 chain, such as eip155:1")?;
    let chain = shared.chains.get(&id).ok_or_else(|| Problem::not_found("followed chain", id))?;
    is_ready(&shared, chain).await.map(|()| StatusCode::OK).map_err(Problem::unavailable)
}

/// Ready is who is ready on every chain.
pub(crate) async fn ready(shared: &Shared) -> Result<(), String> {
    for chain in shared.chains.values() {
        is_ready(shared, chain).await?;
    }
    Ok(())
}

/// A chain is ready when its head was reached, its nodes are heard of, and it stands before no fault.
async fn is_ready(shared: &Shared, chain: &Chain) -> Result<(), String> {
    let id = chain.id;
    let pulse = chain.pulse();
    let stops = async {
        let mut reader = shared.db.reader().acquire().await?;
        faults::alarms(&mut reader, chain.number).await
    };
    let alarms = stops.await.map_err(|error| format!("the database does not answer: {error}"))?;
    if let Some(kind) = alarms.into_iter().find(|kind| FaultKind::stops(*kind)) {
        return Err(format!("{id}: indexing stands still: {}; see /status", kind.name()));
    }
    let silence = pulse.polled_at.map(|at| shared.clock.now_ms().saturating_sub(at));
    match silence {
        Some(ms) if ms <= chain.silence_max_ms => {}
        Some(ms) => return Err(format!("{id}: the node has not answered for {ms} ms; see /status")),
        None => return Err(format!("{id}: the node has not answered yet; see /status")),
    }
    if !pulse.caught_up {
        return Err(format!("{id}: the chain's head is not reached yet; see /status"));
    }
    Ok(())
}
