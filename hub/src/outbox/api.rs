//! `GET /v1/events`: what happened, as server-sent events (HTML Living Standard, section 9.2). Who listens is asked about anew for each
//! page: a stream outlives neither its session or token nor what its reader may read.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{
    Extension,
    extract::{ConnectInfo, State},
    http::HeaderMap,
    response::{
        IntoResponse as _, Response, Sse,
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
    limits::{Listener, OpenStream},
};

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
        (status = 429, description = "There were too many requests, or too many streams of yours are open: `rule` is the limit", content_type = "application/problem+json"),
        (status = 503, description = "Too many streams are open", content_type = "application/problem+json"),
    ))]
async fn events(
    State(hub): State<Hub>,
    // A token that does not stand has been refused before: none is a stranger.
    caller: Option<Extension<Caller>>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Query(from): Query<From>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Response> {
    let last = last_heard(&headers).map_err(|problem| problem.into_response())?.or(from.after);
    let caller = caller.map(|Extension(caller)| caller);
    let who = match &caller {
        Some(caller) => Listener::Account(caller.account),
        None => {
            let peer = peer.map(|Extension(ConnectInfo(peer))| peer);
            Listener::Address(hub.limits.origin(peer, &headers))
        }
    };
    let open = hub.streams.open(who).map_err(|full| full.answer())?;
    let tail = Tail {
        changes: hub.changes(),
        hub,
        caller,
        after: i64::try_from(last.unwrap_or(0)).unwrap_or(i64::MAX),
        ready: VecDeque::new(),
        since: Instant::now(),
        _open: open,
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

/// The id of the last event that was heard, where the client says it.
fn last_heard(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let refuse = || Problem::malformed("Last-Event-ID must be a decimal number").at("Last-Event-ID");
    let value = headers.get("last-event-id");
    value.map(|value| value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(refuse)).transpose()
}

struct Tail {
    hub: Hub,
    caller: Option<Caller>,
    changes: tokio::sync::watch::Receiver<u64>,
    after: i64,
    ready: VecDeque<Happening>,
    since: Instant,
    _open: OpenStream,
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
