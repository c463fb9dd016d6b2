//! `GET /v1/feed`, `GET /v1/feed/stream` and `GET /v1/events/{id}`.

use std::time::Duration;

use axum::extract::State;
use protocol::wire::feed::{EventBody, FeedEntry, FeedId, FeedPage, Finality};
use service::http::{Json, Path, Problem};
use sqlx::AnyConnection;
use tokio::time::{Instant, timeout_at};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    select::{Selection, select},
    store::{self, Filter},
    stream,
};
use crate::{
    Error,
    columns::finality_name,
    params::{Params, id, refused},
    shared::{Shared, WAITS_MAX},
};

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(feed)).merge(stream::routes()).routes(routes!(event))
}

const LEVELS: &str = "seen, safe or final";
const LIMIT_MAX: u64 = 500;
const WAIT_MAX_S: u64 = 25;

/// The parameters of [`selection`].
pub(super) const SELECTION: &[&str] = &["chain", "finality", "event", "deal"];

/// What the parameters ask for.
pub(super) fn selection(params: &Params) -> Result<Selection, Problem> {
    let level: Option<String> = params.parsed("finality", LEVELS)?;
    let level = match level.as_deref() {
        None => Finality::Seen,
        Some(text) => [Finality::Seen, Finality::Safe, Finality::Final]
            .into_iter()
            .find(|level| finality_name(*level) == text)
            .ok_or_else(|| refused("finality", text, LEVELS))?,
    };
    let chain = params.parsed("chain", "a CAIP-2 chain, such as eip155:1")?;
    Ok(Selection {
        filter: Filter { chain, level },
        names: params.words("event", &EventBody::NAMES)?,
        deal: params.parsed("deal", "a deal's id, 0x and 64 hexadecimal digits")?,
    })
}

/// Refuses a cursor at which another feed stood, or one beyond the end of this one. The start of every feed is the same.
///
/// # Errors
/// 409 by the rule `feed_other` or `feed_end`: whoever has it begins at the start. The database's own.
pub(super) async fn fits(on: &mut AnyConnection, of: Option<FeedId>, after: u64) -> Result<(), Problem> {
    let last = store::last_seq(&mut *on).await?;
    if after > last {
        let feed = store::feed_at(on, last).await?;
        let detail = format!("after is `{after}`, but the feed `{feed}` ends at {last}: was it begun anew?");
        return Err(Problem::conflict(detail).at("after").by_rule("feed_end"));
    }
    let Some(of) = of.filter(|_| after > 0) else { return Ok(()) };
    let feed = store::feed_at(on, after).await?;
    if of != feed {
        let detail = format!(
            "feed is `{of}`, but entry {after} is of `{feed}`: it was begun anew, read it from the start"
        );
        return Err(Problem::conflict(detail).at("feed").by_rule("feed_other"));
    }
    Ok(())
}

/// What the parameter `feed` must be.
pub(super) const FEED: &str = "the `feed` of the page that `after` is from: 0x and 32 hexadecimal digits";

/// Entries in the order in which they were told; waits for new ones where there are none and `wait` says so.
#[utoipa::path(get, path = "/v1/feed", tag = "feed",
    params(
        ("after" = Option<u64>, Query, description = "`cursor` of the page before; 0 where it is missing"),
        ("feed" = Option<String>, Query, description = "`feed` of the page before: refused where the feed up to `after` is another one"),
        ("limit" = Option<u32>, Query, description = "1 to 500; 100 where it is missing"),
        ("wait" = Option<u32>, Query, description = "Seconds to wait for an entry, 0 to 25; 0 where it is missing"),
        ("chain" = Option<String>, Query, description = "A CAIP-2 chain: its events alone"),
        ("finality" = Option<String>, Query, description = "seen, safe or final: from this level on, with the retractions of what was told at it"),
        ("event" = Option<String>, Query, description = "Names of events, separated by commas"),
        ("deal" = Option<String>, Query, description = "A deal's id: its events and those of its cases alone"),
    ),
    responses(
        (status = 200, description = "A `FeedPage`: `entries`, and `feed` and `cursor` for the next page", body = Object),
        (status = 409, description = "The feed up to `after` is another one: rule `feed_other`, or beyond its end: `feed_end`", content_type = "application/problem+json"),
        (status = 422, description = "A parameter breaks a rule", content_type = "application/problem+json"),
        (status = 503, description = "Too many requests wait for entries", content_type = "application/problem+json"),
    ))]
async fn feed(State(shared): State<Shared>, params: Params) -> Result<Json<FeedPage>, Problem> {
    let params = params.only(&[["after", "feed", "limit", "wait"].as_slice(), SELECTION].concat())?;
    let selection = selection(&params)?;
    let mut after = params.number("after", (0, i64::MAX.unsigned_abs()), 0)?;
    let of = params.parsed("feed", FEED)?;
    let limit = params.number("limit", (1, LIMIT_MAX), 100)?;
    let wait = params.number("wait", (0, WAIT_MAX_S), 0)?;
    let until = Instant::now().checked_add(Duration::from_secs(wait)).unwrap_or_else(Instant::now);
    let mut told = shared.told.subscribe();
    let busy = || Problem::unavailable(format!("{WAITS_MAX} requests wait for entries; try again later"));
    let _place = match wait {
        0 => None,
        _ => Some(shared.waits.try_acquire().map_err(|_| busy())?),
    };
    fits(&mut *shared.db.reader().acquire().await.map_err(Error::from)?, of, after).await?;
    loop {
        told.mark_unchanged();
        let turn = shared.turn(&selection).await;
        let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
        let selected = select(&mut reader, after, limit, &selection).await?;
        // Who asks for everything of a chain goes on after an entry, by which it knows the feed again.
        let cursor = if selection.picks() {
            selected.cursor
        } else {
            selected.entries.last().map_or(after, |entry| entry.seq)
        };
        let feed = store::feed_at(&mut reader, cursor).await?;
        drop((reader, turn));
        if !selected.entries.is_empty() || Instant::now() >= until {
            return Ok(Json(FeedPage { feed, entries: selected.entries, cursor }));
        }
        after = cursor;
        if !selected.end {
            continue;
        }
        tokio::select! {
            // At the end of the wait the page is read once more and answered as it is.
            _ = timeout_at(until, told.changed()) => {}
            () = shared.stop.cancelled() => {
                return Ok(Json(FeedPage { feed, entries: Vec::new(), cursor }));
            }
        }
    }
}

/// The newest entry about one event.
#[utoipa::path(get, path = "/v1/events/{id}", tag = "feed",
    params(("id" = String, Path, description = "The event's id")),
    responses(
        (status = 200, description = "A `FeedEntry`", body = Object),
        (status = 404, description = "No such event", content_type = "application/problem+json"),
    ))]
async fn event(State(shared): State<Shared>, Path(text): Path<String>) -> Result<Json<FeedEntry>, Problem> {
    let id = id("id", &text)?;
    let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
    let entry = store::newest(&mut reader, id).await?;
    entry.map(Json).ok_or_else(|| Problem::not_found("event", id))
}
