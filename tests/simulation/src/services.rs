//! The real services in a world: started, told to take a step, killed, started again.

use std::{panic::AssertUnwindSafe, panic::resume_unwind, path::Path, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use futures::FutureExt as _;
use indexer::config::ChainConfig;
use protocol::wire::feed::FeedPage;
use relayer::{config::Key, simulation::Task};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tower::ServiceExt as _;

use crate::{
    database::Database,
    dice::Dice,
    oracle::Listener,
    scene::{CHAIN, SCENE},
    world::{HUB_URL, INDEXER_URL, Killed, Shared, node_url},
};

/// What came of letting a service work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It did its step; whether it says that there is more to do.
    Done(bool),
    /// It met an error, which it will meet by trying again.
    Failed,
    /// It is dead.
    Dead,
}

/// Lets a service work until it is done or dead.
async fn work<T, E: std::fmt::Display>(
    shared: &Shared,
    what: &str,
    step: impl Future<Output = Result<T, E>>,
) -> Option<Result<T, E>> {
    {
        let mut world = shared.world();
        (world.at_work, world.dead) = (true, false);
    }
    let came = AssertUnwindSafe(step).catch_unwind().await;
    let mut world = shared.world();
    world.at_work = false;
    match came {
        Err(payload) if payload.is::<Killed>() => None,
        Err(payload) => {
            drop(world);
            resume_unwind(payload)
        }
        Ok(_) if world.dead => None,
        Ok(came) => {
            let error = came.as_ref().err().map(ToString::to_string);
            world.note((what, &error));
            if let Some(error) = error {
                world.say(|| format!("{what}: {error}"));
            }
            Some(came)
        }
    }
}

/// The indexer and its database.
pub struct Indexer {
    config: indexer::config::Config,
    pub database: Database,
    engine: Option<indexer::simulation::Engine>,
    pub listener: Listener,
    /// How often it was started.
    runs: u64,
}

/// Asks an app.
async fn get<T: DeserializeOwned>(app: Router, path: &str) -> T {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = app.oneshot(request).await.unwrap();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&body)
        .unwrap_or_else(|error| panic!("{path}: {error}: {}", String::from_utf8_lossy(&body)))
}

impl Indexer {
    pub fn new(folder: &Path, nodes: usize, dice: &mut Dice) -> Self {
        let database = Database::new(folder, "indexer");
        let chain = ChainConfig {
            rpc_urls: (0..nodes).map(node_url).collect(),
            contracts: vec![SCENE.escrow.address, SCENE.pools.address],
            start_block: 1,
            range_blocks_max: dice.pick(&[3, 20, 2_000]),
            requests_max: dice.within(1, 8),
            reconcile_ms: dice.pick(&[10_000, 60_000]),
            ..ChainConfig::default()
        };
        let config = indexer::config::Config {
            database: database.url.clone(),
            chains: [(CHAIN, chain)].into(),
            ..indexer::config::Config::default()
        };
        Self { config, database, engine: None, listener: Listener::default(), runs: 0 }
    }

    async fn start(&mut self, shared: &Shared) -> bool {
        if self.engine.is_some() {
            return true;
        }
        let clock = Arc::new(shared.clone());
        let opened =
            work(shared, "indexer starts", indexer::simulation::Engine::open(&self.config, clock)).await;
        let Some(Ok(engine)) = opened else { return false };
        self.database.prepare().await;
        // A run draws its name by chance of its own, and what is asked with that name is answered by chance that it decides.
        self.runs += 1;
        let newest = "first = (SELECT MAX(first) FROM runs)";
        self.database.run(format!("UPDATE runs SET id = '0x{:032x}' WHERE {newest}", self.runs)).await;
        shared.world().app = Some(engine.app());
        self.engine = Some(engine);
        true
    }

    /// One step, and hearing what it told.
    pub async fn step(&mut self, shared: &Shared) -> Came {
        if !self.start(shared).await {
            return Came::Dead;
        }
        let engine = self.engine.as_mut().unwrap();
        let before = shared.world().faults.counts;
        let came = match work(shared, "indexer", engine.step()).await {
            Some(Ok(more)) => Came::Done(more),
            Some(Err(_)) => Came::Failed,
            None => Came::Dead,
        };
        let app = shared.world().app.clone().unwrap();
        loop {
            let path = format!("/v1/feed?after={}&limit=500", self.listener.cursor);
            let page: FeedPage = get(app.clone(), &path).await;
            if page.entries.is_empty() {
                break;
            }
            let mut world = shared.world();
            for entry in &page.entries {
                world.note((entry.seq, entry.event.id, entry.finality));
                let world = &mut *world;
                self.listener.hear(entry, &world.chain, &world.hidden);
            }
        }
        drop(app);
        let world = shared.world();
        let longest = self.listener.is_longest(&world.chain);
        if came == Came::Done(false) && longest && world.faults.counts == before {
            self.listener.rests(&world.chain, &world.hidden);
        }
        drop(world);
        if came == Came::Dead {
            self.kill(shared);
        }
        came
    }

    fn kill(&mut self, shared: &Shared) {
        shared.world().app = None;
        self.engine = None;
    }

    /// Ends it in good order.
    pub async fn stop(&mut self, shared: &Shared) {
        shared.world().app = None;
        if let Some(engine) = self.engine.take() {
            engine.close().await;
        }
    }

    pub fn config(&self) -> &indexer::config::Config {
        &self.config
    }
}

/// The relayer and its database.
pub struct Relayer {
    config: relayer::config::Config,
    pub database: Database,
    running: Option<Running>,
}

/// A relayer waits in its own future for what to do next.
struct Running {
    engine: std::pin::Pin<Box<dyn Future<Output = Result<(), relayer::Error>>>>,
    tasks: mpsc::Sender<Task>,
    told: mpsc::Receiver<Result<(), relayer::Error>>,
}

impl Relayer {
    pub fn new(folder: &Path, nodes: std::ops::Range<usize>, dice: &mut Dice) -> Self {
        let database = Database::new(folder, "relayer");
        let signers = usize::try_from(dice.within(1, SCENE.relayers.len() as u64)).unwrap();
        let key = |signer: &alloy::signers::local::PrivateKeySigner| Key {
            private_key: signer.to_bytes().to_string().into(),
            ..Key::default()
        };
        let signers = SCENE.relayers.iter().take(signers).map(key).collect();
        let config = relayer::config::Config {
            database: database.url.clone(),
            indexer_url: INDEXER_URL.to_owned(),
            hub_url: HUB_URL.to_owned(),
            hub_key: "key".to_owned().into(),
            rpc_urls: nodes.map(node_url).collect(),
            signers,
            bump_after_ms: dice.pick(&[20_000, 60_000]),
            resend_after_ms: 10_000,
            ..relayer::config::Config::default()
        };
        Self { config, database, running: None }
    }

    /// The most that a unit of gas may cost, and the transactions of one intent together.
    pub fn limits(&self) -> (u128, u128) {
        (self.config.max_fee_per_gas, self.config.gas_budget)
    }

    /// One round of one of its tasks.
    pub async fn step(&mut self, shared: &Shared, task: Task) -> Came {
        let fresh = self.running.is_none();
        let running = self.running.get_or_insert_with(|| {
            let ((tasks, asked), (tell, told)) = (mpsc::channel(1), mpsc::channel(1));
            let clock = Arc::new(shared.clone());
            let engine = Box::pin(relayer::simulation::play(self.config.clone(), clock, asked, tell));
            Running { engine, tasks, told }
        });
        running.tasks.try_send(task).unwrap();
        let name = format!("relayer {task:?}");
        let step = async {
            tokio::select! {
                biased;
                ended = &mut running.engine => Err(ended.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string())),
                told = running.told.recv() => Ok(told),
            }
        };
        match work(shared, &name, step).await {
            Some(Ok(Some(result))) => {
                if fresh {
                    self.database.prepare().await;
                }
                if let Err(error) = &result {
                    let mut world = shared.world();
                    world.note(error.to_string());
                    world.say(|| format!("{name}: {error}"));
                }
                if result.is_ok() { Came::Done(false) } else { Came::Failed }
            }
            Some(Ok(None) | Err(_)) | None => {
                self.running = None;
                Came::Dead
            }
        }
    }

    /// Ends it in good order.
    pub async fn stop(&mut self) {
        if let Some(Running { engine, tasks, .. }) = self.running.take() {
            drop(tasks);
            drop(engine.await);
        }
    }
}
