//! What the tests of the rooms share: a hub over real HTTP on either engine, people with wallets and devices, a clock
//! that stands still until it is moved, and a window on a real chain in the indexer's place.
#![allow(clippy::arithmetic_side_effects, reason = "test code")]

pub(crate) mod answers;
pub(crate) mod authenticator;
mod deal;
pub(crate) mod death;
pub(crate) mod noise;
mod person;
pub(crate) mod script;
pub(crate) mod trade;
mod wallet;
mod window;

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use serde_json::Value;
use service::{
    clock::Clock,
    db::{
        Engine,
        testing::{FreshDb, on_both},
    },
};
use sqlx::{AnyConnection, AnyPool, Row as _};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Hub,
    config::{Config, Personhood},
    records::{self, Record, RecordId, log, proof},
    rooms::Room,
    windows::Passing,
};

pub(crate) use authenticator::Authenticator;
pub(crate) use person::{Person, account, message, says, signed};
pub(crate) use wallet::Wallet;
pub(crate) use window::Window;

/// 2026-11-21T10:00:00Z.
pub(crate) const START_MS: i64 = 1_795_255_200_000;
/// What the relayer shows.
pub(crate) const RELAYER_KEY: &str = "the-relayer-of-the-tests";

/// How many operations a test of random histories comes to: as many as usual, or ten for each of `PROPTEST_CASES` where that is
/// more, which are 100,000 with `scripts/test --long`.
pub(crate) fn operations(usual: usize) -> usize {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse::<usize>().ok());
    cases.map_or(0, |cases| cases * 10).max(usual)
}

/// The seeds of histories of so many operations each that come to [`operations`] together.
pub(crate) fn seeds(each: usize) -> std::ops::Range<u8> {
    0..u8::try_from(operations(each).div_ceil(each)).unwrap()
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct StillClock {
    now: AtomicI64,
    passed: AtomicI64,
}

impl StillClock {
    pub(crate) const fn at(ms: i64) -> Self {
        Self { now: AtomicI64::new(ms), passed: AtomicI64::new(0) }
    }

    /// Time passes.
    pub(crate) fn pass_ms(&self, ms: i64) {
        self.passed.fetch_add(ms, Ordering::SeqCst);
        self.leap_ms(ms);
    }

    /// The clock is set to another time.
    pub(crate) fn leap_ms(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    /// The time that passes.
    pub(crate) fn passing(self: &Arc<Self>) -> Passing {
        let clock = self.clone();
        Arc::new(move || clock.passed.load(Ordering::SeqCst))
    }
}

impl Clock for StillClock {
    fn now_ms(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub kind: String,
    pub body: Value,
}

impl Answer {
    /// The refusal that this is: status, step, rule and field.
    pub(crate) fn refusal(&self) -> (u16, &str, &str, &str) {
        assert_eq!(self.kind, "application/problem+json", "{self:?}");
        let text = |name: &str| self.body.get(name).and_then(Value::as_str).unwrap_or_default();
        (self.status, text("step"), text("rule"), text("field"))
    }
}

/// Lets what the log and the ledger were told be changed past the hub, as whoever has the database could. Answers the statements
/// that forbid it again.
pub(crate) async fn unlock(engine: Engine, on: &mut AnyConnection) -> Vec<String> {
    let schema = match engine {
        Engine::Sqlite => "main",
        Engine::Postgres => "public",
    };
    let mut back = Vec::new();
    for table in ["log", "log_nodes", "ledger_entries"] {
        back.extend(records::unlock(engine, &mut *on, schema, table).await.unwrap());
    }
    back
}

/// A hub that serves on a port of its own.
pub(crate) struct TestHub {
    pub config: Config,
    pub clock: Arc<StillClock>,
    moved: Arc<Notify>,
    client: reqwest::Client,
    /// Where its database is.
    pub engine: Engine,
    /// A look at the database past the hub.
    pub eyes: AnyPool,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
    _folder: TempDir,
    _db: FreshDb,
}

impl TestHub {
    /// A hub on each engine, without a chain.
    pub(crate) async fn on_both() -> Vec<Self> {
        Self::on_both_with(|_| {}).await
    }

    pub(crate) async fn on_both_with(change: impl Fn(&mut Config)) -> Vec<Self> {
        let mut hubs = Vec::new();
        for db in on_both().await {
            hubs.push(Self::start(db, &change).await);
        }
        hubs
    }

    pub(crate) async fn start(db: FreshDb, change: impl Fn(&mut Config)) -> Self {
        service::telemetry::start_logging();
        println!("hub on {:?}", db.engine);
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config {
            database: db.url.clone(),
            data: folder.path().join("data"),
            public_url: format!("http://{}", listener.local_addr().unwrap()),
            // Nobody listens on port 1.
            indexers: [trade::CHAIN, trade::Ground::solana().chain]
                .map(|chain| (chain, "http://127.0.0.1:1".to_owned()))
                .into(),
            relayer_key: RELAYER_KEY.to_owned(),
            personhood: Personhood::Open,
            requests_per_account: 0,
            requests_per_address: 0,
            streams_per_reader: 0,
            ..Config::default()
        };
        change(&mut config);
        let clock = Arc::new(StillClock::at(START_MS));
        let stop = CancellationToken::new();
        let (passing, moved) = (clock.passing(), Arc::<Notify>::default());
        let ran =
            crate::run_by(config.clone(), listener, clock.clone(), passing, moved.clone(), stop.clone());
        let task = tokio::spawn(ran);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        // The connection waits in the listener's queue until the hub is open.
        let ready = client.get(format!("{}/ready", config.public_url)).send().await.unwrap();
        assert_eq!(ready.status().as_u16(), 200);
        let eyes = AnyPool::connect(&db.url).await.unwrap();
        let engine = db.engine;
        Self { config, clock, moved, client, engine, eyes, stop, task, _folder: folder, _db: db }
    }

    /// Stops the hub, lets this much time pass, and starts it again on the same database and port.
    pub(crate) async fn restart_after(&mut self, ms: i64) {
        self.stop.cancel();
        (&mut self.task).await.unwrap().unwrap();
        // Connections that were kept open end with the hub: whoever asks over one of them may be told so instead of being answered.
        self.client = reqwest::Client::builder().no_proxy().build().unwrap();
        self.clock.pass_ms(ms);
        self.stop = CancellationToken::new();
        let address = self.config.public_url.trim_start_matches("http://");
        let listener = TcpListener::bind(address).await.unwrap();
        let stop = self.stop.clone();
        let (clock, passing, moved) = (self.clock.clone(), self.clock.passing(), self.moved.clone());
        self.task = tokio::spawn(crate::run_by(self.config.clone(), listener, clock, passing, moved, stop));
        assert_eq!(self.get("/ready").await.status, 200);
    }

    /// Has the hub look at its clock now, as it does every half second anyway: for whoever waits for what has come by it.
    pub(crate) fn look(&self) {
        self.moved.notify_one();
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(crate) async fn ask(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        let kind = answer
            .headers()
            .get("content-type")
            .map_or_else(String::new, |kind| kind.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, kind, body }
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.config.public_url))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(self.request(reqwest::Method::GET, path)).await
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.ask(self.request(reqwest::Method::GET, path).bearer_auth(token)).await
    }

    /// Sees that an answer names its state, and that who has it is told so and nothing more.
    pub(crate) async fn names_its_state(&self, token: Option<&str>, path: &str) {
        let ask = async |known: &str| {
            let request = self.request(reqwest::Method::GET, path).header("if-none-match", known);
            let request = match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            let answer = request.send().await.unwrap();
            let tag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
            (answer.status().as_u16(), tag, answer.text().await.unwrap())
        };
        let (status, tag, body) = ask("\"another\"").await;
        assert_eq!(status, 200, "{path}: {body}");
        let tag = tag.expect("an ETag");
        assert_eq!(ask(&tag).await, (304, Some(tag.clone()), String::new()), "{path}");
    }

    pub(crate) async fn post_as(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.ask(self.request(reqwest::Method::POST, path).bearer_auth(token).json(body)).await
    }

    pub(crate) async fn delete_as(&self, token: &str, path: &str) -> Answer {
        self.ask(self.request(reqwest::Method::DELETE, path).bearer_auth(token)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(self.request(reqwest::Method::POST, path).json(body)).await
    }

    /// Hands in a record that is accepted now.
    pub(crate) async fn say(&self, record: &Value) -> RecordId {
        let answer = self.post("/v1/records", record).await;
        assert_eq!(answer.status, 201, "{record}: {answer:?}");
        answer.body["id"].as_str().unwrap().parse().unwrap()
    }

    /// Hands in a record that is refused, and sees that nothing of it is kept. Answers status, step, rule and field.
    pub(crate) async fn refuses(&self, record: &Value) -> (u16, String, String, String) {
        let before = self.rows().await;
        let answer = self.post("/v1/records", record).await;
        let (status, step, rule, field) = answer.refusal();
        let refusal = (status, step.to_owned(), rule.to_owned(), field.to_owned());
        assert_eq!(self.rows().await, before, "{refusal:?} left something behind");
        refusal
    }

    /// Takes a record as a hub of before did, which asked less of a new one; a replay takes it still.
    pub(crate) async fn took_before(&self, received: &Value) -> RecordId {
        self.took_before_at(received, self.now()).await
    }

    /// As [`Self::took_before`], at a moment, in Unix milliseconds.
    pub(crate) async fn took_before_at(&self, received: &Value, now: i64) -> RecordId {
        let before = Hub::existing(self.config.clone(), self.clock.clone()).await.unwrap();
        let record = Record::read(received).unwrap();
        let canonical = String::from_utf8(proof::canonical(received).unwrap()).unwrap();
        let room = Room::of(&record.kind).unwrap();
        let mut write = before.db.begin().await.unwrap();
        let entry = log::append(write.on(), record, &canonical, Value::Null, now, [0; 32]);
        let accepted = entry.await.unwrap();
        let following = room.apply(&before, &mut write, &accepted).await.unwrap();
        assert!(following.is_empty(), "{following:?}");
        write.commit().await.unwrap();
        before.db.close().await;
        accepted.record.id
    }

    /// How many rows every table has that a record could change.
    pub(crate) async fn rows(&self) -> Vec<(&'static str, i64)> {
        let others = ["log", "log_nodes", "used_nonces", "sessions", "idempotency_keys"];
        let tables: Vec<&'static str> = Room::all_tables().chain(others).collect();
        // One statement: a refusal is asked for them twice, and there are thousands of refusals.
        let counts: Vec<String> =
            tables.iter().map(|table| format!("(SELECT CAST(COUNT(*) AS BIGINT) FROM {table})")).collect();
        let sql = sqlx::AssertSqlSafe(format!("SELECT {}", counts.join(", ")));
        let row = sqlx::query(sql).fetch_one(&self.eyes).await.unwrap();
        tables.into_iter().enumerate().map(|(nth, table)| (table, row.get(nth))).collect()
    }

    /// As [`unlock`], of its own database.
    pub(crate) async fn unlock(&self) -> Vec<String> {
        unlock(self.engine, &mut self.eyes.acquire().await.unwrap()).await
    }

    /// Changes what was entered, past what forbids it, which stands again afterwards.
    pub(crate) async fn harm(&self, sql: &'static str) {
        // One connection: another one of SQLite may believe that a trigger which it has not seen go is still there.
        let mut on = self.eyes.acquire().await.unwrap();
        let back = unlock(self.engine, &mut on).await;
        sqlx::query(sql).execute(&mut *on).await.unwrap();
        for sql in back {
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *on).await.unwrap();
        }
    }

    /// Everything in the outbox, whoever may read it: topic and data, in order and without a gap.
    pub(crate) async fn happened(&self) -> Vec<(String, Value)> {
        let rows = sqlx::query("SELECT seq, topic, data FROM outbox ORDER BY seq");
        let rows = rows.fetch_all(&self.eyes).await.unwrap();
        (1_i64..)
            .zip(&rows)
            .map(|(seq, row)| {
                assert_eq!(row.get::<i64, _>("seq"), seq);
                let data: String = row.get("data");
                (row.get("topic"), serde_json::from_str(&data).unwrap())
            })
            .collect()
    }

    /// Stops the hub and sees that every table is what the log says.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.eyes.close().await;
        let rebuilt = crate::rebuild(self.config.clone(), self.clock.clone(), false, |_| {}).await.unwrap();
        assert_eq!((rebuilt.differences, rebuilt.told), (0, vec![]));
    }
}
