//! The hub's and the indexer's sides of the wire.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy::primitives::B256;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use protocol::wire::{
    feed::{Brought, Delivery, DeliveryReceipt, FeedEntry, FeedId, FeedPage, Finality},
    intent::{Intent, IntentPage, ProgressReport},
};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// What the hub expects of its relayer.
pub const KEY: &str = "the-hub-knows-me";

#[derive(Default)]
struct Sides {
    entries: Vec<FeedEntry>,
    taken: Vec<FeedEntry>,
    known: HashSet<(B256, Finality)>,
    repeated: usize,
    /// What the hub has of the feed, after each delivery, and how many entries it had taken then.
    has: Vec<(usize, Brought)>,
    /// The hub is of a version that is not asked what it has.
    old: bool,
    /// Which feed it is.
    feed: FeedId,
    /// The indexer answers with this in place of a page.
    feed_refused: Option<StatusCode>,
    refused: HashSet<B256>,
    away: bool,
    answers_lost: usize,
    intents: Vec<Intent>,
    /// Of the fields of intents with these keys, one is of a kind that nobody knows.
    garbled: HashSet<String>,
    reports: Vec<ProgressReport>,
    /// Of what it does not know it takes no report.
    unknown: HashSet<String>,
}

/// The hub's and the indexer's sides of the wire, on one server.
pub struct Peers {
    pub url: String,
    sides: Arc<Mutex<Sides>>,
    changed: watch::Sender<()>,
    _task: JoinHandle<()>,
}

#[derive(Clone)]
struct Served(Arc<Mutex<Sides>>, watch::Receiver<()>);

#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "chain")]
    _chain: Option<String>,
    after: u64,
    limit: usize,
    wait: u64,
    feed: Option<FeedId>,
}

impl Peers {
    pub async fn start() -> Self {
        let sides = Arc::new(Mutex::new(Sides::default()));
        let (changed, watched) = watch::channel(());
        let routes = Router::new()
            .route("/v1/feed", get(feed))
            .route("/v1/chain-events", post(take))
            .route("/v1/intents", get(intents))
            .route("/v1/intents/progress", post(progress))
            .with_state(Served(sides.clone(), watched));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, sides, changed, _task: task }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Sides) -> T) -> T {
        let answer = change(&mut self.sides.lock().unwrap());
        self.changed.send_replace(());
        answer
    }

    pub fn tell(&self, entries: impl IntoIterator<Item = FeedEntry>) {
        self.change(|sides| sides.entries.extend(entries));
    }

    pub fn begin_feed_anew(&self, entries: impl IntoIterator<Item = FeedEntry>) {
        self.change(|sides| {
            sides.entries = entries.into_iter().collect();
            sides.feed = FeedId::from(u128::from_be_bytes(sides.feed.0).wrapping_add(1).to_be_bytes());
        });
    }

    /// The hub is put back to where it had taken so many entries.
    pub fn put_hub_back(&self, count: usize) {
        self.change(|sides| {
            sides.taken.truncate(count);
            sides.known = sides.taken.iter().map(|entry| (entry.event.id, entry.finality)).collect();
            sides.has.retain(|(taken, _)| *taken <= count);
        });
    }

    /// The hub is of a version that refuses to be asked what it has.
    pub fn make_hub_old(&self, old: bool) {
        self.change(|sides| sides.old = old);
    }

    /// The indexer, or what stands before it, answers so in place of a page, or not any more.
    pub fn refuse_feed(&self, status: Option<StatusCode>) {
        self.change(|sides| sides.feed_refused = status);
    }

    pub fn want(&self, intents: impl IntoIterator<Item = Intent>) {
        self.change(|sides| sides.intents.extend(intents));
    }

    /// The intent of this key cannot be read from now on, or again.
    pub fn garble(&self, key: &str, garbled: bool) {
        self.change(
            |sides| {
                if garbled { sides.garbled.insert(key.to_owned()) } else { sides.garbled.remove(key) }
            },
        );
    }

    /// The hub has lost the intent of this key.
    pub fn lose(&self, key: &str) {
        self.change(|sides| sides.unknown.insert(key.to_owned()));
    }

    pub fn begin_intents_anew(&self, intents: impl IntoIterator<Item = Intent>) {
        self.change(|sides| sides.intents = intents.into_iter().collect());
    }

    pub fn refuse(&self, event: B256) {
        self.change(|sides| sides.refused.insert(event));
    }

    pub fn accept_all(&self) {
        self.change(|sides| sides.refused.clear());
    }

    pub fn go_away(&self, away: bool) {
        self.change(|sides| sides.away = away);
    }

    /// The next `count` deliveries are taken, and their answers lost.
    pub fn lose_answers(&self, count: usize) {
        self.change(|sides| sides.answers_lost = count);
    }

    pub fn taken(&self) -> Vec<FeedEntry> {
        self.sides.lock().unwrap().taken.clone()
    }

    pub fn repeated(&self) -> usize {
        self.sides.lock().unwrap().repeated
    }

    pub fn reports(&self) -> Vec<ProgressReport> {
        self.sides.lock().unwrap().reports.clone()
    }
}

async fn page<T: Clone>(
    served: Served,
    asked: Asked,
    of: impl Fn(&Sides) -> &Vec<T>,
    seq: impl Fn(&T) -> u64,
) -> (Vec<T>, u64) {
    let Served(sides, mut changed) = served;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(asked.wait);
    loop {
        changed.mark_unchanged();
        let found: Vec<T> = {
            let sides = sides.lock().unwrap();
            of(&sides).iter().filter(|item| seq(item) > asked.after).take(asked.limit).cloned().collect()
        };
        if let Some(last) = found.last() {
            let cursor = seq(last);
            return (found, cursor);
        }
        if !matches!(tokio::time::timeout_at(deadline, changed.changed()).await, Ok(Ok(()))) {
            return (Vec::new(), asked.after);
        }
    }
}

async fn feed(State(served): State<Served>, Query(asked): Query<Asked>) -> Response {
    let sides = served.0.clone();
    {
        let sides = sides.lock().unwrap();
        if let Some(status) = sides.feed_refused {
            return status.into_response();
        }
        let rule = match (asked.after, asked.feed) {
            (0, _) => None,
            (after, _) if sides.entries.last().is_none_or(|last| after > last.seq) => Some("feed_end"),
            (_, feed) if feed.is_some_and(|feed| feed != sides.feed) => Some("feed_other"),
            _ => None,
        };
        if let Some(rule) = rule {
            return (StatusCode::CONFLICT, Json(serde_json::json!({ "rule": rule }))).into_response();
        }
    }
    let (entries, cursor) = page(served, asked, |sides| &sides.entries, |entry| entry.seq).await;
    let feed = sides.lock().unwrap().feed;
    Json(FeedPage { feed, entries, cursor }).into_response()
}

async fn intents(State(served): State<Served>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    if let Some(refused) = refusal(&served, &headers) {
        return refused;
    }
    let sides = served.0.clone();
    let (intents, cursor) = page(served, asked, |sides| &sides.intents, |intent| intent.seq).await;
    let mut page = serde_json::to_value(IntentPage { intents, cursor }).unwrap();
    for intent in page["intents"].as_array_mut().unwrap() {
        if sides.lock().unwrap().garbled.contains(intent["key"].as_str().unwrap()) {
            intent["action"] = serde_json::json!({ "do": "what_is_not_known_yet" });
        }
    }
    Json(page).into_response()
}

fn refusal(served: &Served, headers: &HeaderMap) -> Option<Response> {
    if served.0.lock().unwrap().away {
        return Some(StatusCode::BAD_GATEWAY.into_response());
    }
    let known = headers.get(header::AUTHORIZATION).is_some_and(|value| value == &format!("Bearer {KEY}"));
    (!known).then(|| StatusCode::UNAUTHORIZED.into_response())
}

async fn take(State(served): State<Served>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refused) = refusal(&served, &headers) {
        return refused;
    }
    assert!(body.len() <= service::http::BODY_MAX, "a delivery has {} bytes", body.len());
    let Delivery { entries, brought } = serde_json::from_slice(&body).unwrap();
    let mut sides = served.0.lock().unwrap();
    if sides.old && brought.is_some() {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let has = brought.map(|told| {
        let none = Brought { deliveries: 0, feed: FeedId::ZERO, through: 0, ..told };
        sides.has.last().map_or(none, |(_, has)| *has)
    });
    if let (Some(told), Some(has)) = (&brought, has)
        && has.deliveries < told.deliveries
    {
        return Json(DeliveryReceipt { applied: 0, duplicates: 0, has: Some(has) }).into_response();
    }
    if let Some(entry) = entries.iter().find(|entry| sides.refused.contains(&entry.event.id)) {
        let detail = format!("entry {} is refused", entry.seq);
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(serde_json::json!({ "detail": detail })))
            .into_response();
    }
    let mut receipt = DeliveryReceipt { applied: 0, duplicates: 0, has };
    for entry in entries {
        if sides.known.insert((entry.event.id, entry.finality)) {
            receipt.applied += 1;
            sides.taken.push(entry);
        } else {
            receipt.duplicates += 1;
            sides.repeated += 1;
        }
    }
    if let (Some(told), Some(has)) = (brought, has)
        && receipt.applied + receipt.duplicates > 0
    {
        let has = Brought { deliveries: has.deliveries + 1, ..told };
        let taken = sides.taken.len();
        sides.has.push((taken, has));
        receipt.has = Some(has);
    }
    if sides.answers_lost > 0 && receipt.applied + receipt.duplicates > 0 {
        sides.answers_lost -= 1;
        return StatusCode::GATEWAY_TIMEOUT.into_response();
    }
    Json(receipt).into_response()
}

async fn progress(
    State(served): State<Served>,
    headers: HeaderMap,
    Json(report): Json<ProgressReport>,
) -> Response {
    if let Some(refused) = refusal(&served, &headers) {
        return refused;
    }
    let mut sides = served.0.lock().unwrap();
    if sides.unknown.contains(&report.key) {
        let detail = format!("there is no intent {}", report.key);
        let problem = serde_json::json!({ "detail": detail, "rule": "no_intent" });
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(problem)).into_response();
    }
    sides.reports.push(report);
    StatusCode::NO_CONTENT.into_response()
}
