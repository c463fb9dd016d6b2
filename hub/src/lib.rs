//! The hub: the economy of Earnest. Records are the truth, rooms give them meaning.
//!
//! `records` (what is said, and the one way in), `identity` (who says it), `access` (who may read it), `ledger` (who has
//! what), `governance` (what is decided), `scheduler` (what comes by the clock), `outbox` (who is told), `communities`, `grievances` and `market` on that floor. [`records`] and [`identity`] also serve programs that only speak to
//! a hub: building and signing a record, writing a sign-in message, checking a proof.

pub mod access;
pub mod chain;
pub mod communities;
pub mod config;
pub mod deals;
mod did;
pub mod disputes;
mod docs;
mod error;
mod etag;
pub mod governance;
pub mod grievances;
mod idempotency;
pub mod identity;
pub mod ledger;
mod limits;
pub mod market;
mod openapi;
mod outbox;
pub mod page;
pub mod records;
pub mod reputation;
mod rooms;
mod scheduler;
mod server;
#[cfg(test)]
mod testing;
mod windows;

use std::{path::Path, sync::Arc};

use service::{
    clock::Clock,
    db::{Db, Schema},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpListener,
    sync::{Mutex, Notify, watch},
    time::{Duration, timeout},
};
use tokio_util::sync::CancellationToken;

use chain::Indexers;
use config::{Config, PublicUrl};
pub use error::{Error, Refusal, Step};
use limits::{Limits, Streams};
use records::{DeviceKey, Draft, RecordId, Stamp};
use windows::{Passing, Windows};

const SCHEMA: Schema = Schema {
    service: "hub",
    sqlite: &sqlx::migrate!("migrations/sqlite"),
    postgres: &sqlx::migrate!("migrations/postgres"),
};

/// Everything that the rooms and the doors share; clones share it too.
#[derive(Clone)]
pub(crate) struct Hub {
    pub db: Db,
    pub clock: Arc<dyn Clock>,
    /// The clock as vetoes, votes and holds end by it.
    pub windows: Windows,
    /// How often somebody may ask.
    pub limits: Arc<Limits>,
    /// Those that are told what happens.
    pub streams: Arc<Streams>,
    pub config: Arc<Config>,
    pub public: Arc<PublicUrl>,
    /// The hub's own device key.
    pub key: Arc<DeviceKey>,
    /// The hub's own account: the id of its `hub@1` record.
    pub account: RecordId,
    pub indexers: Indexers,
    pub brightid: Option<identity::BrightId>,
    pub stop: CancellationToken,
    /// Whose turn it is to take a delivery of a relayer.
    pub deliveries: Arc<Mutex<()>>,
    /// Requests with a key of idempotency that are being answered.
    pub under_way: idempotency::UnderWay,
    changes: Arc<watch::Sender<u64>>,
}

impl Hub {
    /// Opens the database and the data folder; on first start makes the hub's key and says its `hub@1`.
    pub(crate) async fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        config.public().map_err(Error::Config)?;
        config.can_serve().map_err(Error::Config)?;
        let key = own_key(&config.data).await?;
        let db = Db::open(&config.database, SCHEMA).await?;
        let known = records::log::first_of(&mut *db.reader().acquire().await?, "hub@1").await?;
        if let Some(known) = known {
            return Self::of(config, clock, stop, db, key, &known.record);
        }
        let public = config.public().map_err(Error::Config)?;
        let body = serde_json::json!({ "did": public.did });
        let first = Draft::new("hub@1", None, Stamp::from_ms(clock.now_ms()), body)
            .sign(&key)
            .map_err(|error| Error::Corrupt(error.to_string()))?;
        let hub = Self::of(config, clock, stop, db, key, &records::Record::read(&first)?)?;
        records::submit(&hub, &first).await?;
        Ok(hub)
    }

    /// Opens the database of a hub that is there, with its key, and changes nothing of either.
    pub(crate) async fn existing(config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let path = config.data.join("hub.key");
        if !path.exists() {
            return Err(Error::Config(format!(
                "there is no {}, the key of this database's hub",
                path.display()
            )));
        }
        let key = own_key(&config.data).await?;
        let db = Db::open_existing(&config.database, SCHEMA).await?;
        let known = records::log::first_of(&mut *db.reader().acquire().await?, "hub@1").await?;
        let known = known.ok_or_else(|| Error::Config("database: there is no hub in it".to_owned()))?;
        Self::of(config, clock, CancellationToken::new(), db, key, &known.record)
    }

    fn of(
        config: Config,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
        db: Db,
        key: DeviceKey,
        first: &records::Record,
    ) -> Result<Self, Error> {
        let public = config.public().map_err(Error::Config)?;
        if first.device != key.device() {
            return Err(Error::Config(format!(
                "the key in {} is not that of this database's hub, {}",
                config.data.display(),
                first.device
            )));
        }
        let indexers = Indexers::new(&config.indexers, &config.indexer_key)?;
        let brightid = identity::BrightId::new(&config)?;
        Ok(Self {
            db,
            windows: Windows::new(clock.clone(), windows::passing()),
            limits: Arc::new(Limits::new(&config, &windows::passing()).map_err(Error::Config)?),
            streams: Arc::new(Streams::new(config.streams_per_reader)),
            clock,
            config: Arc::new(config),
            public: Arc::new(public),
            key: Arc::new(key),
            account: first.id,
            indexers,
            brightid,
            stop,
            deliveries: Arc::default(),
            under_way: idempotency::UnderWay::default(),
            changes: Arc::new(watch::Sender::new(0)),
        })
    }

    /// Told after every commit; says nothing of what was committed.
    pub(crate) fn wake(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Changes after every commit of this process.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits for a commit of this process, at most a second, because another process may have written. Take the
    /// receiver before looking at the database, and look again afterwards.
    pub(crate) async fn wait(&self, changes: &mut watch::Receiver<u64>) {
        let _ = timeout(Duration::from_secs(1), changes.changed()).await;
    }

    /// The hub's key as its did:web document names it.
    pub(crate) fn verification_method(&self) -> String {
        format!("{}#{}", self.public.did, self.key.device().multibase())
    }
}

/// The hub's own key: `hub.key` in the data folder, 64 hexadecimal digits, readable by the owner alone.
async fn own_key(folder: &Path) -> Result<DeviceKey, Error> {
    let path = folder.join("hub.key");
    let io = |source| Error::Io { what: path.display().to_string(), source };
    tokio::fs::create_dir_all(folder).await.map_err(io)?;
    if !tokio::fs::try_exists(&path).await.map_err(io)? {
        // Whole under another name first: a crash leaves either no key or the key.
        let unfinished = folder.join("hub.key.new");
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&unfinished).await.map_err(io)?;
        file.write_all(hex::encode(rand::random::<[u8; 32]>()).as_bytes()).await.map_err(io)?;
        file.sync_all().await.map_err(io)?;
        tokio::fs::rename(&unfinished, &path).await.map_err(io)?;
    }
    let text = tokio::fs::read_to_string(&path).await.map_err(io)?;
    let mut seed = [0; 32];
    hex::decode_to_slice(text.trim(), &mut seed).map_err(|error| {
        Error::Config(format!("{}: must hold 64 hexadecimal digits: {error}", path.display()))
    })?;
    Ok(DeviceKey::from_seed(seed))
}

/// Shows that every table of current state is what the log says, by replaying it into temporary tables; with `repair`, also
/// makes it so, in one transaction. A hub may be running on this database; a repair keeps its writers waiting.
///
/// # Errors
/// The configuration, the key or the database cannot be used, or the log holds what this program cannot read.
pub async fn rebuild(
    config: Config,
    clock: Arc<dyn Clock>,
    repair: bool,
    tell: impl FnMut(records::Progress),
) -> Result<records::Rebuilt, Error> {
    let hub = Hub::existing(config, clock).await?;
    let rebuilt = records::replay(&hub, repair, tell).await;
    hub.db.close().await;
    rebuilt
}

/// Reads the whole ledger and says where it is not what it must be. A hub may be running on this database.
///
/// # Errors
/// The database cannot be opened or read, or holds what this program cannot read.
pub async fn verify_ledger(config: &Config) -> Result<ledger::Verified, Error> {
    let db = Db::open_existing(&config.database, SCHEMA).await?;
    let found = ledger::verify(&db).await;
    db.close().await;
    found
}

/// As [`verify_ledger`], and asks the hub's indexers what each open deal holds: what the ledger counts in it, or something else. One
/// that does not answer is a fault.
///
/// # Errors
/// As [`verify_ledger`].
pub async fn verify_ledger_on_chain(config: &Config) -> Result<ledger::Verified, Error> {
    let indexers = Indexers::new(&config.indexers, &config.indexer_key)?;
    let db = Db::open_existing(&config.database, SCHEMA).await?;
    let found = reconciled(&db, &indexers).await;
    db.close().await;
    found
}

async fn reconciled(db: &Db, indexers: &Indexers) -> Result<ledger::Verified, Error> {
    let mut found = ledger::verify(db).await?;
    deals::reconcile::with_chain(db, indexers, &mut found).await?;
    Ok(found)
}

/// Serves a hub until `stop` is cancelled.
///
/// # Errors
/// The configuration, the data folder, the database or the listener cannot be used.
pub async fn run(
    config: Config,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), Error> {
    run_by(config, listener, clock, windows::passing(), Arc::default(), stop).await
}

/// [`run`], where the time that passes is somebody's own, and the clock is `moved` by somebody who does not wait for the next look.
async fn run_by(
    config: Config,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    passing: Passing,
    moved: Arc<Notify>,
    stop: CancellationToken,
) -> Result<(), Error> {
    service::telemetry::metrics();
    let mut hub = Hub::open(config, clock, stop.clone()).await?;
    hub.limits = Arc::new(Limits::new(&hub.config, &passing).map_err(Error::Config)?);
    hub.windows = Windows::new(hub.clock.clone(), passing);
    ledger::say_assets(&hub).await?;
    let scheduler = tokio::spawn(scheduler::run(hub.clone(), moved));
    let served = service::http::serve(listener, server::app(&hub), stop).await;
    hub.stop.cancel();
    let _ = scheduler.await;
    hub.db.close().await;
    served.map_err(|source| Error::Io { what: "listener".to_owned(), source })
}
