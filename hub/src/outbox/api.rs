//! `GET /v1/events`: what happened, as server-sent events (HTML Living Standard, section 9.2).

use std::{
    collections::VecDeque,
    convert::Infallible,
    time::{Duration, Instant},
};

use axum::{
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
    access::{Reader, may_read},
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

/// Everything public that happens, each event with its id; go on from `Last-Event-ID` or `after`.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("after" = Option<u64>, Query, description = "the id to go on after; 0 when missing")),
    responses(
        (status = 200, description = "Server-sent events", content_type = "text/event-stream", body = String),
        (status = 503, description = "Too many streams are open", content_type = "application/problem+json"),
    ))]
async fn events(
    State(hub): State<Hub>,
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
    changes: tokio::sync::watch::Receiver<u64>,
    after: i64,
    ready: VecDeque<Happening>,
    since: Instant,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Tail {
    /// The next public happening; none when the stream's time is over, the hub stops or its database fails.
    async fn next(&mut self) -> Option<Happening> {
        loop {
            if let Some(happening) = self.ready.pop_front() {
                return Some(happening);
            }
            if self.hub.stop.is_cancelled() || self.since.elapsed() > STREAM_LIFE {
                return None;
            }
            self.changes.mark_unchanged();
            let page = {
                let mut on = self.hub.db.reader().acquire().await.ok()?;
                store::page(&mut on, self.after, PAGE).await.ok()?
            };
            if let Some(last) = page.last() {
                self.after = last.seq;
                self.ready =
                    page.into_iter().filter(|one| may_read(&Reader::stranger(), &one.audience)).collect();
            } else {
                self.hub.wait(&mut self.changes).await;
            }
        }
    }
}
