//! `GET /v1/events`: what happened, as server-sent events (HTML Living Standard, section 9.2). Who listens is asked about anew for each
//! page: a stream outlives neither its session or token nor what its reader may read.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    time::{Duration, Instant},
};

use axum::{
    Extension,
    extract::State,
    http::HeaderMap,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::Stream;
use serde::Deserialize;
use service::http::{Problem, Query};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::store::{self, Happening};
use crate::{
    Hub,
    access::{Caller, Reader, may_read},
    communities,
    error::Error,
    identity,
};

/// How many streams may be open at once.
pub(crate) const STREAMS_MAX: usize = 256;
/// How long one stream lasts; clients reconnect by themselves and go on after the last id.
const STREAM_LIFE: Duration = Duration::from_secs(10 * 60);
const PAGE: i64 = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    after: Option<u64>,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(events))
}

/// What happens and is public, and with a session or token also what you may read: as a party, a juror, a member of a community. Each
/// event has its id; go on from `Last-Event-ID` or `after`. The stream ends with the session or token, and after ten minutes.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("after" = Option<u64>, Query, description = "the id to go on after; 0 when missing")),
    responses(
        (status = 200, description = "Server-sent events", content_type = "text/event-stream", body = String),
        (status = 503, description = "Too many streams are open", content_type = "application/problem+json"),
    ))]
async fn events(
    State(hub): State<Hub>,
    // A token that does not stand has been refused before: none is a stranger.
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
    Query(from): Query<From>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let permit = hub
        .streams
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::unavailable(format!("{STREAMS_MAX} streams are open; try again later")))?;
    let last = match headers.get("last-event-id") {
        Some(value) => {
            Some(value.to_str().ok().and_then(|text| text.parse::<u64>().ok()).ok_or_else(|| {
                Problem::malformed("Last-Event-ID must be a decimal number").at("Last-Event-ID")
            })?)
        }
        None => from.after,
    };
    let after = i64::try_from(last.unwrap_or(0)).unwrap_or(i64::MAX);
    let tail = Tail {
        changes: hub.changes(),
        hub,
        caller: caller.map(|Extension(caller)| caller),
        after,
        ready: VecDeque::new(),
        since: Instant::now(),
        _permit: permit,
    };
    let stream = futures::stream::unfold(tail, |mut tail| async move {
        let happening = tail.next().await?;
        let event = Event::default()
            .id(happening.seq.to_string())
            .event(happening.topic)
            .data(happening.data.to_string());
        Some((Ok(event), tail))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

struct Tail {
    hub: Hub,
    caller: Option<Caller>,
    changes: tokio::sync::watch::Receiver<u64>,
    after: i64,
    ready: VecDeque<Happening>,
    since: Instant,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Tail {
    /// The next happening that the reader may read; none when the stream's time or its session is over, the hub stops or its database
    /// fails.
    async fn next(&mut self) -> Option<Happening> {
        loop {
            if let Some(happening) = self.ready.pop_front() {
                return Some(happening);
            }
            if self.hub.stop.is_cancelled() || self.since.elapsed() > STREAM_LIFE {
                return None;
            }
            self.changes.mark_unchanged();
            let (page, reader) = self.look().await.ok()?;
            let reader = reader?;
            if let Some(last) = page.last() {
                self.after = last.seq;
                self.ready = page.into_iter().filter(|one| may_read(&reader, &one.audience)).collect();
            } else {
                self.hub.wait(&mut self.changes).await;
            }
        }
    }

    /// What happened next, and who reads it; nobody when the session or token has ended. The page comes first: whoever was sent away
    /// before something of it happened reads no more.
    async fn look(&self) -> Result<(Vec<Happening>, Option<Reader>), Error> {
        let mut on = self.hub.db.reader().acquire().await?;
        let page = store::page(&mut on, self.after, PAGE).await?;
        let Some(Caller { account, id, .. }) = &self.caller else {
            return Ok((page, Some(Reader::stranger())));
        };
        if !identity::session_stands(&mut on, id, account, self.hub.clock.now_ms()).await? {
            return Ok((page, None));
        }
        let roles =
            if page.is_empty() { BTreeMap::new() } else { communities::roles_of(&mut on, account).await? };
        Ok((page, Some(Reader { account: Some(*account), roles })))
    }
}
