//! A running indexer for tests: real chain, real database, real HTTP.

pub(crate) mod node;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fixture::Chain;
use protocol::{
    chain::ChainId,
    wire::{
        feed::{FeedEntry, FeedPage, Finality},
        view::{ChainStatus, IndexerStatus},
    },
};
use serde::de::DeserializeOwned;
use service::{clock::SystemClock, db::testing::FreshDb};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Report,
    config::{ChainConfig, Config},
};

/// The longest that any condition may take to come true.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);
/// Between two looks at a condition: who looks all the time takes the processor from what is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct Running {
    pub base: String,
    pub config: Config,
    pub http: reqwest::Client,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

pub(crate) fn config(chain: &Chain, db: &FreshDb) -> Config {
    let followed = ChainConfig {
        rpc_urls: vec![chain.rpc_url()],
        contracts: vec![chain.escrow.address, chain.pools.address],
        start_block: chain.start_block,
        poll_ms: 20,
        range_blocks_max: 50,
        ..ChainConfig::default()
    };
    of_chains(db, [(chain.chain, followed)])
}

/// Of these chains.
pub(crate) fn of_chains(db: &FreshDb, chains: impl IntoIterator<Item = (ChainId, ChainConfig)>) -> Config {
    Config { database: db.url.clone(), chains: chains.into_iter().collect(), ..Config::default() }
}

/// The same with something else in the table of its first chain.
pub(crate) fn with(mut config: Config, change: impl FnOnce(&mut ChainConfig)) -> Config {
    change(config.chains.values_mut().next().expect("a chain"));
    config
}

/// What [`crate::verify()`] says of it.
pub(crate) async fn verified(config: &Config) -> Report {
    crate::verify(config, |_| {}).await.expect("a report")
}

/// The same, of one in which nothing that was final may have been taken back.
pub(crate) async fn sound(config: &Config) {
    let report = verified(config).await;
    assert_eq!((report.differences, report.final_retracted), (Vec::new(), 0));
}

impl Running {
    pub async fn start(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let task = tokio::spawn(crate::run(config.clone(), listener, Arc::new(SystemClock), stop.clone()));
        let http = reqwest::Client::builder().timeout(DEADLINE).build().expect("a client");
        Self { base, config, http, stop, task }
    }

    /// Behind a node of ours.
    pub async fn behind(node: &node::Node, chain: &Chain, db: &FreshDb) -> Self {
        Self::start(with(config(chain, db), |chain| chain.rpc_urls = vec![node.url.clone()])).await
    }

    pub async fn on(chain: &Chain, db: &FreshDb) -> Self {
        Self::start(config(chain, db)).await
    }

    /// Stops it and answers how it ended.
    pub async fn stop(self) -> Config {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("a clean end");
        self.config
    }

    /// Waits for its end, and answers why.
    pub async fn ended(self) -> Error {
        let ended = tokio::time::timeout(DEADLINE, self.task).await.expect("an end");
        ended.expect("no panic").expect_err("something ended it")
    }

    /// Ends it where it stands, without a word.
    pub async fn kill(self) -> Config {
        self.task.abort();
        assert!(self.task.await.expect_err("it was running").is_cancelled());
        self.config
    }

    pub async fn raw(&self, path: &str) -> (u16, String) {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("a text"))
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let (status, text) = self.raw(path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// The status of one of its chains.
    pub async fn status_of(&self, chain: ChainId) -> ChainStatus {
        let status: IndexerStatus = self.get("/status").await;
        status.chains.into_iter().find(|status| status.chain == chain).expect("the chain")
    }

    /// The status of its first chain.
    pub async fn status(&self) -> ChainStatus {
        self.status_of(self.first()).await
    }

    fn first(&self) -> ChainId {
        *self.config.chains.keys().next().expect("a chain")
    }

    /// Waits until the condition holds of the status of its first chain.
    pub async fn until(&self, what: &str, holds: impl Fn(&ChainStatus) -> bool) -> ChainStatus {
        self.until_on(self.first(), what, holds).await
    }

    /// Waits until the condition holds of the status of one of its chains.
    pub async fn until_on(
        &self,
        chain: ChainId,
        what: &str,
        holds: impl Fn(&ChainStatus) -> bool,
    ) -> ChainStatus {
        let started = Instant::now();
        loop {
            let status = self.status_of(chain).await;
            if holds(&status) {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "{what} did not come true: {status:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until everything up to the chain's present head is indexed.
    pub async fn caught_up(&self, chain: &Chain) -> ChainStatus {
        let height = chain.height().await;
        self.until_on(chain.chain, "catching up", |s| s.cursor.number == height && s.head == Some(s.cursor))
            .await
    }

    /// The whole feed.
    pub async fn feed(&self) -> Vec<FeedEntry> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page: FeedPage = self.get(&format!("/v1/feed?after={after}&limit=500")).await;
            if page.entries.is_empty() {
                return all;
            }
            after = page.cursor;
            all.extend(page.entries);
        }
    }

    /// Waits until the newest entry about every event is final.
    pub async fn all_final(&self) {
        let started = Instant::now();
        loop {
            let feed = self.feed().await;
            let open = feed.iter().find(|entry| {
                !feed.iter().any(|other| {
                    other.event.id == entry.event.id
                        && matches!(other.finality, Finality::Final | Finality::Retracted)
                })
            });
            match open {
                None => return,
                Some(entry) => assert!(started.elapsed() < DEADLINE, "never final: {entry:?}"),
            }
        }
    }
}
