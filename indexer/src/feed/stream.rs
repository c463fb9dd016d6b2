//! `GET /v1/feed/stream`: the feed as server-sent events (HTML Living Standard, section 9.2).

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::StreamExt;
use protocol::wire::feed::{FeedEntry, FeedId};
use service::http::Problem;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::timeout,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    api::{FEED, SELECTION, fits, selection},
    select::{Selection, select},
    store,
};
use crate::{
    Error,
    params::{Params, parsed, refused},
    shared::Shared,
};

/// Streams that may be open at one time.
pub(crate) const STREAMS_MAX: usize = 256;
/// Entries that wait for one reader.
const WAITING_MAX: usize = 64;
/// A reader that takes nothing for so long is cut off; it goes on after its last id when it comes back.
const SLOW_MAX: Duration = Duration::from_secs(30);
/// A comment, so that both sides know of each other while nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(15);
const PAGE: u64 = 64;

/// Entries as they are told, each with `<feed>/<seq>` as id (`feed` says who told it) and itself as data, after `Last-Event-ID` or `after`.
#[utoipa::path(get, path = "/v1/feed/stream", tag = "feed",
    params(
        ("after" = Option<u64>, Query, description = "The entry to go on after; 0 where it is missing. `Last-Event-ID` goes before it"),
        ("feed" = Option<String>, Query, description = "`feed` of the page that `after` is from: refused where the feed up to there is another one"),
        ("chain" = Option<String>, Query, description = "A CAIP-2 chain: its events alone"),
        ("finality" = Option<String>, Query, description = "seen, safe or final: from this level on, with the retractions of what was told at it"),
        ("event" = Option<String>, Query, description = "Names of events, separated by commas"),
        ("deal" = Option<String>, Query, description = "A deal's id: its events and those of its cases alone"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the entry to go on after, `<feed>/<seq>`"),
    ),
    responses(
        (status = 200, description = "Server-sent events; each one's data is a `FeedEntry`", content_type = "text/event-stream", body = String),
        (status = 409, description = "The feed up to the entry is another one: rule `feed_other`, or beyond its end: `feed_end`", content_type = "application/problem+json"),
        (status = 422, description = "A parameter breaks a rule", content_type = "application/problem+json"),
        (status = 503, description = "Too many streams are open", content_type = "application/problem+json"),
    ))]
async fn stream(
    State(shared): State<Shared>,
    headers: HeaderMap,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let params = params.only(&[["after", "feed"].as_slice(), SELECTION].concat())?;
    let selection = selection(&params)?;
    let asked = params.number("after", (0, i64::MAX.unsigned_abs()), 0)?;
    let (of, after) = match headers.get("last-event-id") {
        Some(value) => last_id(&String::from_utf8_lossy(value.as_bytes()))?,
        None => (params.parsed("feed", FEED)?, asked),
    };
    fits(&mut *shared.db.reader().acquire().await.map_err(Error::from)?, of, after).await?;
    let place = shared
        .streams
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::unavailable(format!("{STREAMS_MAX} streams are open; try again later")))?;
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let told = shared.told.subscribe();
    tokio::spawn(async move {
        let mut tail = Tail { shared, told, selection, after, patience: SLOW_MAX, sender, _place: place };
        if let Err(error) = tail.run().await {
            tracing::warn!(%error, "a stream of the feed ends");
        }
    });
    let events = futures::stream::unfold(receiver, |mut receiver| async move {
        let entry = receiver.recv().await?;
        Some((entry, receiver))
    });
    let events = events.map(|(feed, entry): (FeedId, FeedEntry)| {
        // An entry is always JSON; a line that is not would only be left out.
        let data = serde_json::to_string(&entry).unwrap_or_default();
        Ok::<_, Infallible>(Event::default().id(format!("{feed}/{}", entry.seq)).data(data))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// Feed and position of an entry's id.
fn last_id(text: &str) -> Result<(Option<FeedId>, u64), Problem> {
    const RULE: &str = "the id of an entry, <feed>/<seq>";
    let (feed, seq) = text.split_once('/').ok_or_else(|| refused("Last-Event-ID", text, RULE))?;
    Ok((Some(parsed("Last-Event-ID", feed, RULE)?), parsed("Last-Event-ID", seq, RULE)?))
}

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(stream))
}

/// Follows the feed for one reader.
struct Tail {
    shared: Shared,
    told: watch::Receiver<u64>,
    selection: Selection,
    after: u64,
    /// How long the reader may take nothing.
    patience: Duration,
    sender: mpsc::Sender<(FeedId, FeedEntry)>,
    _place: OwnedSemaphorePermit,
}

impl Tail {
    /// Until the reader is gone or too slow, or the service stops.
    async fn run(&mut self) -> Result<(), Error> {
        loop {
            self.told.mark_unchanged();
            let turn = self.shared.turn(&self.selection).await;
            let mut reader = self.shared.db.reader().acquire().await?;
            let selected = select(&mut reader, self.after, PAGE, &self.selection).await?;
            let ends = selected.entries.first().zip(selected.entries.last());
            let runs = match ends {
                Some((first, last)) => store::runs(&mut reader, first.seq, last.seq).await?,
                None => BTreeMap::new(),
            };
            drop((reader, turn));
            for entry in selected.entries {
                let run = runs.range(..=entry.seq).next_back();
                let (_, feed) = run.ok_or_else(|| Error::damaged("runs", "none told the first entry"))?;
                let entry = (*feed, entry);
                tokio::select! {
                    () = self.shared.stop.cancelled() => return Ok(()),
                    taken = timeout(self.patience, self.sender.send(entry)) => match taken {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return Ok(()),
                        Err(_) => {
                            metrics::counter!("indexer_streams_cut_total").increment(1);
                            return Ok(());
                        }
                    }
                }
            }
            self.after = selected.cursor;
            if !selected.end {
                continue;
            }
            tokio::select! {
                () = self.shared.stop.cancelled() => return Ok(()),
                () = self.sender.closed() => return Ok(()),
                changed = self.told.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }
}

#[cfg(test)]
mod tests;
