//! The task that fetches intents.

use std::{sync::Arc, time::Duration};

use protocol::{
    chain::ChainId,
    wire::intent::{Intent, IntentProgress},
};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use service::{
    clock::Clock,
    db::{Db, Write},
};
use tokio_util::sync::CancellationToken;

use super::{
    model::admit,
    store::{self, Received},
};
use crate::{
    alarm::Alarms,
    cursor,
    error::Error,
    lease::Lease,
    outbox,
    peer::{Peer, in_order, pause},
};

/// The task's name in alarms and metrics, and the cursor's.
pub const TASK: &str = "intents";
/// The alarm of intents that cannot be read.
const UNREAD: &str = "unread intents";
/// The most intents of one page.
const PAGE: usize = 100;
/// How long the hub may keep a request open.
const WAIT: Duration = Duration::from_secs(20);

/// Fetches what the hub wants done.
pub struct Fetcher {
    /// Where cursor and intents are.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whose intents they are.
    pub hub: Peer,
    /// The chain that this relayer serves.
    pub chain: ChainId,
    /// Where to say what is wrong.
    pub alarms: Arc<Alarms>,
}

impl Fetcher {
    /// Works until `stop`.
    pub async fn run(&self, lease: &Lease, stop: &CancellationToken) {
        let mut failures = 0_u32;
        let mut wait = Duration::ZERO;
        if let Err(error) = self.read_again(lease).await {
            tracing::warn!(%error, "intents that could not be read");
        }
        loop {
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = self.once(lease, wait) => result,
            };
            match result {
                Ok(()) => {
                    (failures, wait) = (0, WAIT);
                    self.alarms.clear(TASK);
                }
                Err(error) => {
                    (failures, wait) = (failures.saturating_add(1), Duration::ZERO);
                    self.alarms.raise(TASK, error.to_string(), self.clock.now_ms());
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(pause(failures)) => {}
                    }
                }
            }
            crate::status::alive(TASK, self.clock.now_ms());
        }
    }

    async fn page(&self, after: u64, limit: usize, wait: Duration) -> Result<Page, Error> {
        let path = format!("/v1/intents?after={after}&limit={limit}&wait={}", wait.as_secs());
        let page: Page = self.hub.get(&path, wait).await?;
        in_order(after, page.intents.iter().map(|listed| listed.seq), page.cursor, "hub")?;
        Ok(page)
    }

    pub(crate) async fn once(&self, lease: &Lease, wait: Duration) -> Result<(), Error> {
        let mut cursor = cursor::load(self.db.reader(), TASK).await?;
        let now_ms = self.clock.now_ms();
        if cursor.position > 0 {
            // Every look is at most one long wait after the one before it.
            let page = self.page(cursor.position.saturating_sub(1), 1, Duration::ZERO).await?;
            let found = page.intents.first().map(|listed| (listed.seq, listed.key.clone()));
            cursor = cursor::check(lease, TASK, cursor, found, now_ms).await?;
        }
        let page = self.page(cursor.position, PAGE, wait).await?;
        let Some(last) = page.intents.last() else { return Ok(()) };
        let moved = cursor.at(last.seq, last.key.clone());
        let now_ms = self.clock.now_ms();
        let mut write = lease.begin().await?;
        // The bridge found meanwhile that the hub has lost something: its list is read from the start.
        if cursor::load(write.on(), TASK).await?.restarts != cursor.restarts {
            return Ok(());
        }
        for listed in &page.intents {
            match listed.read() {
                Ok(intent) => self.receive(&mut write, &intent, now_ms).await?,
                Err(reason) => {
                    tracing::error!(key = listed.key, reason, "an intent cannot be read");
                    store::keep_unread(&mut write, &listed.key, &listed.body.to_string(), &reason, now_ms)
                        .await?;
                }
            }
        }
        cursor::store(&mut write, TASK, &moved, now_ms).await?;
        write.commit().await?;
        metrics::counter!("relayer_intents_received_total")
            .increment(page.intents.len().try_into().unwrap_or(u64::MAX));
        self.say_unread().await?;
        Ok(())
    }

    /// Keeps an intent of this chain; what is for another one is another relayer's.
    async fn receive(&self, write: &mut Write, intent: &Intent, now_ms: i64) -> Result<(), Error> {
        if intent.arbiter.chain != self.chain {
            return Ok(());
        }
        let admitted = admit(intent);
        let received = store::receive(write, intent, &admitted, now_ms).await?;
        if let (Received::New, Err(reason)) = (received, admitted) {
            tracing::error!(key = intent.key, reason, "the hub wants what this relayer cannot do");
            outbox::say(write, &intent.key, IntentProgress::Failed { reason }, now_ms).await?;
        }
        Ok(())
    }

    /// Tries to read the intents again that an earlier version could not.
    async fn read_again(&self, lease: &Lease) -> Result<(), Error> {
        let now_ms = self.clock.now_ms();
        for (key, body) in store::unread(self.db.reader()).await? {
            let Ok(intent) = serde_json::from_str::<Intent>(&body) else { continue };
            let mut write = lease.begin().await?;
            self.receive(&mut write, &intent, now_ms).await?;
            store::forget_unread(&mut write, &key).await?;
            write.commit().await?;
        }
        self.say_unread().await
    }

    async fn say_unread(&self) -> Result<(), Error> {
        let unread = store::unread(self.db.reader()).await?;
        match unread.first() {
            Some((key, _)) => {
                let words = format!(
                    "{} intents cannot be read, the first is `{key}`: is this relayer older than its hub?",
                    unread.len()
                );
                self.alarms.raise(UNREAD, words, self.clock.now_ms());
            }
            None => self.alarms.clear(UNREAD),
        }
        Ok(())
    }
}

/// A page whose intents are read one by one, so that one that cannot be read does not hold up the others.
#[derive(Debug, Deserialize)]
struct Page {
    intents: Vec<Listed>,
    #[serde(with = "protocol::wire::dec")]
    cursor: u64,
}

#[derive(Debug)]
struct Listed {
    seq: u64,
    key: String,
    body: Value,
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// What every intent has, whatever it is about.
        #[derive(Deserialize)]
        struct Head {
            #[serde(with = "protocol::wire::dec")]
            seq: u64,
            key: String,
        }
        let body = Value::deserialize(deserializer)?;
        let Head { seq, key } = Head::deserialize(&body).map_err(de::Error::custom)?;
        Ok(Self { seq, key, body })
    }
}

impl Listed {
    fn read(&self) -> Result<Intent, String> {
        Intent::deserialize(&self.body).map_err(|error| error.to_string())
    }
}
