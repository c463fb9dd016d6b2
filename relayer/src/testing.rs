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
    /// Of the fields of intents with these keys, one is of a kind that nobody knows.
    garbled: HashSet<String>,
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
    #[serde(rename = "chain")]
    _chain: Option<String>,
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

    /// The intent of this key cannot be read from now on, or again.
    pub fn garble(&self, key: &str, garbled: bool) {
        self.change(
            |sides| {
                if garbled { sides.garbled.insert(key.to_owned()) } else { sides.garbled.remove(key) }
            },
        );
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

/// What becomes of the transactions that are sent over a wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// They arrive.
    #[default]
    Arrive,
    /// They are lost.
    Lost,
    /// They arrive, and the answer is lost.
    Unanswered,
    /// They are lost, and the answer says this.
    Refused(&'static str),
}

/// Of how many blocks a forgetful node keeps the state.
pub const KEPT_BLOCKS: u64 = 32;

/// A node that can lose transactions on their way in, and memories.
pub struct Wire {
    pub url: String,
    fate: Arc<Mutex<Fate>>,
    forgetful: Arc<AtomicBool>,
    blind: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<String>>>,
    _task: JoinHandle<()>,
}

#[derive(Clone)]
struct Forward {
    to: String,
    fate: Arc<Mutex<Fate>>,
    forgetful: Arc<AtomicBool>,
    blind: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<String>>>,
    client: reqwest::Client,
}

impl Wire {
    pub async fn to(rpc_url: String) -> Self {
        let (fate, sent) = (Arc::default(), Arc::default());
        let forgetful = Arc::new(AtomicBool::new(false));
        let blind = Arc::new(AtomicBool::new(false));
        let forward = Forward {
            to: rpc_url,
            fate: Arc::clone(&fate),
            forgetful: Arc::clone(&forgetful),
            blind: Arc::clone(&blind),
            sent: Arc::clone(&sent),
            client: reqwest::Client::new(),
        };
        let routes = Router::new().route("/", post(pass_on)).with_state(forward);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, fate, forgetful, blind, sent, _task: task }
    }

    /// Whether transactions are lost.
    pub fn cut(&self, cut: bool) {
        self.fate(if cut { Fate::Lost } else { Fate::Arrive });
    }

    /// What becomes of transactions from now on.
    pub fn fate(&self, fate: Fate) {
        *self.fate.lock().unwrap() = fate;
    }

    /// Whether the node has forgotten what was: the state of all but the last [`KEPT_BLOCKS`] on an EVM chain, every
    /// transaction on Solana.
    pub fn forget(&self, forgetful: bool) {
        self.forgetful.store(forgetful, Ordering::SeqCst);
    }

    /// Whether the node knows no receipt, as one that lags.
    pub fn blind(&self, blind: bool) {
        self.blind.store(blind, Ordering::SeqCst);
    }

    /// Every transaction that was sent, lost or not.
    pub fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}

impl Forward {
    async fn ask(&self, call: &serde_json::Value) -> serde_json::Value {
        let answer = self.client.post(&self.to).json(call).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// What a node says that has forgotten what is asked for; none where it has not.
    async fn forgotten(&self, call: &serde_json::Value) -> Option<serde_json::Value> {
        let id = &call["id"];
        let at = match call["method"].as_str()? {
            "getSignatureStatuses" => {
                let mut answer = self.ask(call).await;
                for status in answer["result"]["value"].as_array_mut()? {
                    *status = serde_json::Value::Null;
                }
                return Some(answer);
            }
            "eth_call" | "eth_getTransactionCount" => &call["params"][1],
            _ => return None,
        };
        let header = |method: &str, which: &serde_json::Value| {
            let call =
                serde_json::json!({ "jsonrpc": "2.0", "id": 0, "method": method, "params": [which, false] });
            let forward = self.clone();
            async move { forward.ask(&call).await["result"]["number"].clone() }
        };
        let number =
            |value: serde_json::Value| u64::from_str_radix(value.as_str()?.trim_start_matches("0x"), 16).ok();
        let asked = match (&at["blockHash"], at.as_str()) {
            (serde_json::Value::String(_), _) => header("eth_getBlockByHash", &at["blockHash"]).await,
            (_, Some(hash)) if hash.len() == 66 => header("eth_getBlockByHash", at).await,
            _ => header("eth_getBlockByNumber", at).await,
        };
        let latest = number(header("eth_getBlockByNumber", &"latest".into()).await)?;
        let kept = number(asked)? + KEPT_BLOCKS > latest;
        let refusal = serde_json::json!({ "code": -32000, "message": "missing trie node" });
        (!kept).then(|| serde_json::json!({ "jsonrpc": "2.0", "id": id, "error": refusal }))
    }
}

async fn pass_on(State(forward): State<Forward>, body: Bytes) -> Response {
    let call: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let mut fate = Fate::Arrive;
    if ["eth_sendRawTransaction", "sendTransaction"].iter().any(|method| call["method"] == *method) {
        forward.sent.lock().unwrap().push(call["params"][0].as_str().unwrap().to_owned());
        fate = *forward.fate.lock().unwrap();
    }
    match fate {
        Fate::Lost => return StatusCode::BAD_GATEWAY.into_response(),
        Fate::Refused(words) => {
            let refusal = serde_json::json!({ "code": -32000, "message": words });
            return Json(serde_json::json!({ "jsonrpc": "2.0", "id": call["id"], "error": refusal }))
                .into_response();
        }
        Fate::Arrive | Fate::Unanswered => {}
    }
    if forward.blind.load(Ordering::SeqCst) && call["method"] == "eth_getTransactionReceipt" {
        return Json(serde_json::json!({ "jsonrpc": "2.0", "id": call["id"], "result": null }))
            .into_response();
    }
    if forward.forgetful.load(Ordering::SeqCst)
        && let Some(answer) = forward.forgotten(&call).await
    {
        return Json(answer).into_response();
    }
    let answer = forward.client.post(&forward.to).header(header::CONTENT_TYPE, "application/json").body(body);
    match answer.send().await {
        Ok(answer) if fate == Fate::Arrive => answer.bytes().await.unwrap().into_response(),
        _ => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// Somebody who is paged, and believes only what is signed.
pub struct Operator {
    pub url: String,
    pages: Arc<Mutex<Vec<(String, serde_json::Value)>>>,
    _task: JoinHandle<()>,
}

/// The secret of pages.
pub const PAGE_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

impl Operator {
    pub async fn start() -> Self {
        let pages: Arc<Mutex<Vec<(String, serde_json::Value)>>> = Arc::default();
        let kept = pages.clone();
        let take = move |headers: HeaderMap, body: Bytes| async move {
            use service::http::webhook;
            let header = |name: &str| headers.get(name).unwrap().to_str().unwrap();
            let signed = [webhook::ID, webhook::TIMESTAMP, webhook::SIGNATURE].map(header);
            let second: i64 = signed[1].parse().unwrap();
            webhook::verify(&PAGE_SECRET.parse().unwrap(), signed, &body, second).unwrap();
            kept.lock().unwrap().push((signed[0].to_owned(), serde_json::from_slice(&body).unwrap()));
        };
        let routes = Router::new().route("/pages", post(take));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/pages", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, pages, _task: task }
    }

    /// Everything that came: its id, and what it says.
    pub fn pages(&self) -> Vec<(String, serde_json::Value)> {
        self.pages.lock().unwrap().clone()
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
        rpc_urls: vec![rpc_url.to_owned()],
        private_key: key.to_owned().into(),
        bump_after_ms: 60_000,
        resend_after_ms: 300,
        poll_interval_ms: 50,
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
    let (key, terms, arbiter) = (key.to_owned(), terms.clone(), terms.arbiter);
    Intent { seq, key, arbiter, terms, action, deadline, asked_by: None }
}
