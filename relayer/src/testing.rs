//! What the tests share: the hub's and the indexer's sides of the wire, a node that can lose calls, a clock that can be
//! moved, and a relayer that can be killed.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::primitives::{Address, B256};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use protocol::{
    chain::{AccountId, AssetId, ChainId},
    terms::Terms,
    wire::{
        feed::{ChainEvent, Delivery, DeliveryReceipt, EventBody, FeedEntry, FeedPage, Finality},
        intent::{Intent, IntentAction, IntentPage, ProgressReport},
    },
};
use serde::Deserialize;
use service::clock::{Clock, SystemClock};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// What the hub expects of its relayer.
pub const KEY: &str = "the-hub-knows-me";

/// The machine's clock, moved forward by as much as a test wants.
#[derive(Debug, Default)]
pub struct MovedClock(AtomicI64);

impl MovedClock {
    pub fn pass_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for MovedClock {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms() + self.0.load(Ordering::SeqCst)
    }
}

/// Waits until `condition` answers something; a minute at most.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[derive(Default)]
struct Sides {
    entries: Vec<FeedEntry>,
    taken: Vec<FeedEntry>,
    known: HashSet<(B256, Finality)>,
    repeated: usize,
    refused: HashSet<B256>,
    away: bool,
    answers_lost: usize,
    intents: Vec<Intent>,
    reports: Vec<ProgressReport>,
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
    after: u64,
    limit: usize,
    wait: u64,
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
        self.change(|sides| sides.entries = entries.into_iter().collect());
    }

    pub fn want(&self, intents: impl IntoIterator<Item = Intent>) {
        self.change(|sides| sides.intents.extend(intents));
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

async fn feed(State(served): State<Served>, Query(asked): Query<Asked>) -> Json<FeedPage> {
    let (entries, cursor) = page(served, asked, |sides| &sides.entries, |entry| entry.seq).await;
    Json(FeedPage { entries, cursor })
}

async fn intents(State(served): State<Served>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    if let Some(refused) = refusal(&served, &headers) {
        return refused;
    }
    let (intents, cursor) = page(served, asked, |sides| &sides.intents, |intent| intent.seq).await;
    Json(IntentPage { intents, cursor }).into_response()
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
    let Delivery { entries } = serde_json::from_slice(&body).unwrap();
    let mut sides = served.0.lock().unwrap();
    if let Some(entry) = entries.iter().find(|entry| sides.refused.contains(&entry.event.id)) {
        let detail = format!("entry {} is refused", entry.seq);
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(serde_json::json!({ "detail": detail })))
            .into_response();
    }
    let mut receipt = DeliveryReceipt { applied: 0, duplicates: 0 };
    for entry in entries {
        if sides.known.insert((entry.event.id, entry.finality)) {
            receipt.applied += 1;
            sides.taken.push(entry);
        } else {
            receipt.duplicates += 1;
            sides.repeated += 1;
        }
    }
    if sides.answers_lost > 0 {
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
    served.0.lock().unwrap().reports.push(report);
    StatusCode::NO_CONTENT.into_response()
}

/// A node that can lose transactions on their way in.
pub struct Wire {
    pub url: String,
    cut: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<String>>>,
    _task: JoinHandle<()>,
}

#[derive(Clone)]
struct Forward {
    to: String,
    cut: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<String>>>,
    client: reqwest::Client,
}

impl Wire {
    pub async fn to(rpc_url: String) -> Self {
        let (cut, sent) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let forward = Forward {
            to: rpc_url,
            cut: Arc::clone(&cut),
            sent: Arc::clone(&sent),
            client: reqwest::Client::new(),
        };
        let routes = Router::new().route("/", post(pass_on)).with_state(forward);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, cut, sent, _task: task }
    }

    /// Whether transactions are lost.
    pub fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    /// Every transaction that was sent, lost or not.
    pub fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}

async fn pass_on(State(forward): State<Forward>, body: Bytes) -> Response {
    let call: serde_json::Value = serde_json::from_slice(&body).unwrap();
    if ["eth_sendRawTransaction", "sendTransaction"].iter().any(|method| call["method"] == *method) {
        forward.sent.lock().unwrap().push(call["params"][0].as_str().unwrap().to_owned());
        if forward.cut.load(Ordering::SeqCst) {
            return StatusCode::BAD_GATEWAY.into_response();
        }
    }
    let answer = forward.client.post(&forward.to).header(header::CONTENT_TYPE, "application/json").body(body);
    match answer.send().await {
        Ok(answer) => answer.bytes().await.unwrap().into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// A relayer at work.
pub struct Running {
    pub url: String,
    stop: CancellationToken,
    task: JoinHandle<Result<(), crate::Error>>,
}

impl Running {
    pub async fn start(config: Config, clock: Arc<MovedClock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let task = tokio::spawn(crate::run(config, listener, clock, stop.clone()));
        Self { url, stop, task }
    }

    /// As the power cut does: nothing of it gets another turn.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    pub async fn get(&self, path: &str) -> (u16, serde_json::Value) {
        let answer = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)))
    }

    pub async fn ready(&self) {
        until("the relayer is ready", || async { (self.get("/ready").await.0 == 200).then_some(()) }).await;
    }

    /// The reason why it is not ready.
    pub async fn not_ready(&self, because: &str) -> String {
        until(&format!("the relayer says `{because}`"), || async {
            let (status, problem) = self.get("/ready").await;
            let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
            (status == 503 && detail.contains(because)).then_some(detail)
        })
        .await
    }
}

/// Quick rules, wallet 3 of the fixture as signer.
pub fn config(database: &str, peers: &Peers, rpc_url: &str, key: &str) -> Config {
    Config {
        database: database.to_owned(),
        indexer_url: peers.url.clone(),
        hub_url: peers.url.clone(),
        hub_key: KEY.to_owned().into(),
        rpc_url: rpc_url.to_owned(),
        private_key: key.to_owned().into(),
        bump_after_ms: 60_000,
        resend_after_ms: 300,
        poll_interval_ms: 50,
        lease_ms: 1_000,
        ..Config::default()
    }
}

/// An entry about a deal that is told by one byte.
pub fn entry(seq: u64, deal: u8) -> FeedEntry {
    let chain = ChainId::Eip155(31337);
    FeedEntry {
        seq,
        finality: Finality::Final,
        event: ChainEvent {
            id: B256::left_padding_from(&(seq << 8 | u64::from(deal)).to_be_bytes()),
            contract: AccountId { chain, address: Address::repeat_byte(0xe5).into() },
            block_number: seq,
            block_hash: B256::repeat_byte(1),
            block_time: 1_800_000_000,
            transaction: B256::repeat_byte(2).into(),
            log_index: 0,
            body: EventBody::Delivered {
                deal: B256::repeat_byte(deal),
                delivery: B256::repeat_byte(3),
                count: 2,
            },
        },
    }
}

/// Terms of a deal in coin.
pub fn terms() -> Terms {
    let chain = ChainId::Eip155(31337);
    let account = |byte| AccountId { chain, address: Address::repeat_byte(byte).into() };
    Terms {
        escrow: account(1),
        buyer: account(2),
        seller: account(3),
        arbiter: account(4),
        asset: AssetId::native(chain),
        amount: 1_000,
        fund_by: 1_800_000_000,
        deliver_by: 1_800_100_000,
        inspection: 3_600,
        ruling: 864_000,
        lapse_share: 5_000,
        metered: false,
        panel: B256::repeat_byte(5),
        agreement: B256::repeat_byte(6),
        salt: B256::repeat_byte(7),
    }
}

/// An intent of the hub.
pub fn intent(seq: u64, key: &str, terms: &Terms, action: IntentAction) -> Intent {
    let deadline = terms.deliver_by + 1_000_000;
    Intent { seq, key: key.to_owned(), arbiter: terms.arbiter, terms: terms.clone(), action, deadline }
}
