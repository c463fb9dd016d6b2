//! What the tests share: the hub's and the indexer's sides of the wire, a node that can lose calls, a clock that can be
//! moved, and a relayer that can be killed.

mod gauges;
mod peers;
mod wire;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::primitives::{Address, B256};
use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use protocol::{
    chain::{AccountId, AssetId, ChainId},
    terms::Terms,
    wire::{
        feed::{ChainEvent, EventBody, FeedEntry, Finality},
        intent::{Intent, IntentAction},
    },
};
use service::clock::{Clock, SystemClock};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use self::{
    gauges::Gauges,
    peers::{KEY, Peers},
    wire::{Fate, Wire},
};
use crate::config::Config;

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

/// Waits until `condition` answers something; two minutes at most.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within two minutes: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Somebody who is paged, and believes only what is signed.
pub struct Operator {
    pub url: String,
    pages: Arc<Mutex<Vec<(String, serde_json::Value)>>>,
    mute: Arc<AtomicBool>,
    _task: JoinHandle<()>,
}

/// The secret of pages.
pub const PAGE_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

impl Operator {
    pub async fn start() -> Self {
        let pages: Arc<Mutex<Vec<(String, serde_json::Value)>>> = Arc::default();
        let mute: Arc<AtomicBool> = Arc::default();
        let (kept, silent) = (pages.clone(), mute.clone());
        let take = move |headers: HeaderMap, body: Bytes| async move {
            use service::http::webhook;
            let header = |name: &str| headers.get(name).unwrap().to_str().unwrap();
            let signed = [webhook::ID, webhook::TIMESTAMP, webhook::SIGNATURE].map(header);
            let second: i64 = signed[1].parse().unwrap();
            webhook::verify(&PAGE_SECRET.parse().unwrap(), signed, &body, second).unwrap();
            kept.lock().unwrap().push((signed[0].to_owned(), serde_json::from_slice(&body).unwrap()));
            if silent.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
        };
        let routes = Router::new().route("/pages", post(take));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/pages", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, pages, mute, _task: task }
    }

    /// Whether it answers nothing that comes from now on.
    pub fn mute(&self, mute: bool) {
        self.mute.store(mute, Ordering::SeqCst);
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
    Intent { seq, key, arbiter, terms, action, deadline, asked_by: None, cause: None }
}
