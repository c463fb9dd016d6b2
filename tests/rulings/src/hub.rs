//! A stand-in for hub and indexer: it gives out intents when they arrive and hears how far the relayer is with each. Its
//! feed is empty.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use protocol::wire::{
    feed::{FeedId, FeedPage},
    intent::{Intent, IntentPage},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};

/// What the relayer shows the hub.
pub const KEY: &str = "the-hub-knows-me";

/// The stand-in. It works until the runtime ends.
pub struct Hub {
    /// Where it answers.
    pub url: String,
    side: Arc<Side>,
}

struct Side {
    intents: Mutex<Vec<Intent>>,
    arrived: watch::Sender<()>,
    heard: Mutex<HashMap<String, Heard>>,
    head: Arc<AtomicU64>,
}

/// What the relayer has said of an intent.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// When it first said that it is done, and the chain's height then.
    pub done: Option<(Instant, u64)>,
    /// That it failed, and why.
    pub failed: Option<String>,
}

#[derive(Deserialize)]
struct Asked {
    after: u64,
    limit: usize,
    wait: u64,
}

impl Hub {
    /// Without any intent; `head` is kept at the chain's height by somebody else.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start(head: Arc<AtomicU64>) -> Self {
        let (arrived, _) = watch::channel(());
        let side = Arc::new(Side { intents: Mutex::default(), arrived, heard: Mutex::default(), head });
        let routes = Router::new()
            .route("/v1/intents", get(intents))
            .route("/v1/intents/progress", post(progress))
            .route("/v1/feed", get(feed))
            .with_state(side.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, routes).await.expect("it serves") });
        Self { url, side }
    }

    /// An intent arrives.
    pub fn want(&self, intent: Intent) {
        self.side.intents.lock().expect("not poisoned").push(intent);
        self.side.arrived.send_replace(());
    }

    /// What was heard of each intent, by its key.
    pub fn heard(&self) -> HashMap<String, Heard> {
        self.side.heard.lock().expect("not poisoned").clone()
    }
}

async fn intents(State(side): State<Arc<Side>>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    if headers.get(header::AUTHORIZATION).is_none_or(|value| value != &format!("Bearer {KEY}")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut arrived = side.arrived.subscribe();
    let until = tokio::time::Instant::now() + Duration::from_secs(asked.wait);
    loop {
        arrived.mark_unchanged();
        let found: Vec<Intent> = {
            let all = side.intents.lock().expect("not poisoned");
            all.iter().filter(|intent| intent.seq > asked.after).take(asked.limit).cloned().collect()
        };
        let waited = match found.last() {
            Some(last) => {
                let cursor = last.seq;
                return Json(IntentPage { intents: found, cursor }).into_response();
            }
            None => tokio::time::timeout_at(until, arrived.changed()).await,
        };
        if !matches!(waited, Ok(Ok(()))) {
            return Json(IntentPage { intents: found, cursor: asked.after }).into_response();
        }
    }
}

async fn progress(State(side): State<Arc<Side>>, Json(report): Json<Value>) -> StatusCode {
    let now = (Instant::now(), side.head.load(Ordering::SeqCst));
    let (Some(key), Some(state)) = (report["key"].as_str(), report["progress"]["state"].as_str()) else {
        return StatusCode::UNPROCESSABLE_ENTITY;
    };
    let mut heard = side.heard.lock().expect("not poisoned");
    let heard = heard.entry(key.to_owned()).or_default();
    match state {
        "done" => heard.done = heard.done.or(Some(now)),
        "failed" => heard.failed = report["progress"]["reason"].as_str().map(str::to_owned),
        _ => {}
    }
    StatusCode::NO_CONTENT
}

async fn feed(Query(asked): Query<Asked>) -> Json<FeedPage> {
    tokio::time::sleep(Duration::from_secs(asked.wait)).await;
    Json(FeedPage { feed: FeedId::ZERO, entries: Vec::new(), cursor: asked.after })
}
