//! `GET /v1/feed` and `GET /v1/events/{id}`.

use std::time::Duration;

use axum::{Router, extract::State, routing::get};
use protocol::wire::feed::{FeedEntry, FeedPage, Finality};
use service::http::{Json, Path, Problem};
use tokio::time::{Instant, timeout_at};

use super::store::{self, Filter};
use crate::{
    Error,
    columns::finality_name,
    params::{Params, id, refused},
    shared::Shared,
};

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/v1/feed", get(feed)).route("/v1/events/{id}", get(event))
}

const LEVELS: &str = "seen, safe or final";
const LIMIT_MAX: u64 = 500;
const WAIT_MAX_S: u64 = 25;

async fn feed(State(shared): State<Shared>, params: Params) -> Result<Json<FeedPage>, Problem> {
    let params = params.only(&["after", "limit", "wait", "chain", "finality"])?;
    let level: Option<String> = params.parsed("finality", LEVELS)?;
    let level = match level.as_deref() {
        None => Finality::Seen,
        Some(text) => [Finality::Seen, Finality::Safe, Finality::Final]
            .into_iter()
            .find(|level| finality_name(*level) == text)
            .ok_or_else(|| refused("finality", text, LEVELS))?,
    };
    let chain = params.parsed("chain", "a CAIP-2 chain, such as eip155:1")?;
    let filter = Filter { chain, level };
    let after = params.number("after", (0, i64::MAX.unsigned_abs()), 0)?;
    let limit = params.number("limit", (1, LIMIT_MAX), 100)?;
    let wait = params.number("wait", (0, WAIT_MAX_S), 0)?;
    let until = Instant::now().checked_add(Duration::from_secs(wait)).unwrap_or_else(Instant::now);
    let mut told = shared.told.subscribe();
    loop {
        told.mark_unchanged();
        let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
        let entries = store::page(&mut reader, after, limit, &filter).await?;
        drop(reader);
        if !entries.is_empty() || Instant::now() >= until {
            let cursor = entries.last().map_or(after, |entry| entry.seq);
            return Ok(Json(FeedPage { entries, cursor }));
        }
        tokio::select! {
            // At the end of the wait the page is read once more and answered as it is.
            _ = timeout_at(until, told.changed()) => {}
            () = shared.stop.cancelled() => {
                return Ok(Json(FeedPage { entries: Vec::new(), cursor: after }));
            }
        }
    }
}

async fn event(State(shared): State<Shared>, Path(text): Path<String>) -> Result<Json<FeedEntry>, Problem> {
    let id = id("id", &text)?;
    let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
    let entry = store::newest(&mut reader, id).await?;
    entry.map(Json).ok_or_else(|| Problem::not_found("event", id))
}
