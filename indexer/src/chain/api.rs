//! `GET /status`, and when the service is ready.

use axum::{Router, extract::State, routing::get};
use protocol::wire::view::{BlockRef, FaultKind, IndexerStatus};
use service::http::{Json, Problem};

use super::store;
use crate::{Error, faults, feed, shared::Shared};

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/status", get(status))
}

async fn status(State(shared): State<Shared>) -> Result<Json<IndexerStatus>, Problem> {
    let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
    let position = store::position(&mut reader).await?;
    let pulse = shared.pulse();
    let cursor = position.map_or(BlockRef { number: 0, hash: Default::default() }, |p| p.tip);
    Ok(Json(IndexerStatus {
        chain: shared.chain,
        contracts: shared.contracts.to_vec(),
        head: pulse.head,
        safe: position.and_then(|p| p.settled.safe),
        finalized: position.and_then(|p| p.settled.finalized),
        cursor,
        lag: pulse.head.map_or(0, |head| head.number.saturating_sub(cursor.number)),
        feed: feed::store::last_seq(&mut reader).await?,
        caught_up: pulse.caught_up,
        polled_at: pulse.polled_at,
        trouble: pulse.trouble,
        alarms: faults::alarms(&mut reader).await?,
        faults: faults::open(&mut reader).await?,
    }))
}

/// Ready is who has reached the head, hears of the node, and stands before no fault.
pub(crate) async fn ready(shared: &Shared) -> Result<(), String> {
    let pulse = shared.pulse();
    let stops = async {
        let mut reader = shared.db.reader().acquire().await?;
        faults::alarms(&mut reader).await
    };
    let alarms = stops.await.map_err(|error| format!("the database does not answer: {error}"))?;
    if let Some(kind) = alarms.into_iter().find(|kind| FaultKind::stops(*kind)) {
        return Err(format!("indexing stands still: {}; see /status", kind.name()));
    }
    let silence = pulse.polled_at.map(|at| shared.clock.now_ms().saturating_sub(at));
    match silence {
        Some(ms) if ms <= shared.silence_max_ms => {}
        Some(ms) => return Err(format!("the node has not answered for {ms} ms; see /status")),
        None => return Err("the node has not answered yet; see /status".to_owned()),
    }
    if !pulse.caught_up {
        return Err("the chain's head is not reached yet; see /status".to_owned());
    }
    Ok(())
}
