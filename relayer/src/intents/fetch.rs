//! The task that fetches intents.

use std::{sync::Arc, time::Duration};

use protocol::{
    chain::ChainId,
    wire::intent::{IntentPage, IntentProgress},
};
use service::{clock::Clock, db::Db};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    model::{admit, anchor},
    store::{self, Received},
};
use crate::{
    alarm::Alarms,
    cursor::{self, Cursor},
    error::Error,
    lease::Lease,
    peer::{Peer, in_order, pause},
    transactions::Reporter,
};

/// The task's name in alarms and metrics, and the cursor's.
const TASK: &str = "intents";
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
    /// Where to say what is refused.
    pub reporter: Reporter,
    /// Told when there is something new.
    pub arrived: Arc<Notify>,
}

impl Fetcher {
    /// Works until `stop`.
    pub async fn run(&self, lease: &Lease, stop: &CancellationToken) {
        let mut failures = 0_u32;
        let mut wait = Duration::ZERO;
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

    async fn page(&self, after: u64, limit: usize, wait: Duration) -> Result<IntentPage, Error> {
        let path = format!("/v1/intents?after={after}&limit={limit}&wait={}", wait.as_secs());
        Ok(self.hub.get(&path, wait).await?)
    }

    /// Whether the list still is the one that the cursor points into; from the start when it is not, for every intent is
    /// known by its key.
    async fn check_anchor(&self, lease: &Lease, cursor: Cursor) -> Result<Cursor, Error> {
        if cursor.position == 0 {
            return Ok(cursor);
        }
        let page = self.page(cursor.position.saturating_sub(1), 1, Duration::ZERO).await?;
        let found = page.intents.first().map(|intent| (intent.seq, anchor(intent)));
        if cursor.holds(found.as_ref().map(|(seq, anchor)| (*seq, anchor.as_str()))) {
            return Ok(cursor);
        }
        tracing::error!(
            position = cursor.position,
            expected = cursor.anchor,
            found = ?found,
            "the hub's list of intents was begun anew (its database was lost or replaced); reading it from the start"
        );
        metrics::counter!("relayer_intent_list_restarts_total").increment(1);
        let cursor = cursor.from_the_start();
        let mut write = lease.begin().await?;
        cursor::store(&mut write, TASK, &cursor, self.clock.now_ms()).await?;
        write.commit().await?;
        Ok(cursor)
    }

    async fn once(&self, lease: &Lease, wait: Duration) -> Result<(), Error> {
        let mut cursor = cursor::load(self.db.reader(), TASK).await?;
        // Every look is at most one long wait after the one before it.
        cursor = self.check_anchor(lease, cursor).await?;
        let page = self.page(cursor.position, PAGE, wait).await?;
        in_order(cursor.position, page.intents.iter().map(|intent| intent.seq), page.cursor, "hub")?;
        let Some(last) = page.intents.last() else { return Ok(()) };
        let moved = cursor.at(last.seq, anchor(last));
        let now_ms = self.clock.now_ms();
        let mut write = lease.begin().await?;
        let mut refused = Vec::new();
        // What is for another chain is another relayer's.
        for intent in page.intents.iter().filter(|intent| intent.arbiter.chain == self.chain) {
            let admitted = admit(intent);
            let received = store::receive(&mut write, intent, &admitted, now_ms).await?;
            if let (Received::New, Err(reason)) = (received, admitted) {
                refused.push((intent.key.clone(), reason));
            }
        }
        cursor::store(&mut write, TASK, &moved, now_ms).await?;
        write.commit().await?;
        metrics::counter!("relayer_intents_received_total")
            .increment(page.intents.len().try_into().unwrap_or(u64::MAX));
        for (key, reason) in refused {
            tracing::error!(key, reason, "the hub wants what this relayer cannot do");
            self.reporter.say(key, IntentProgress::Failed { reason });
        }
        self.arrived.notify_one();
        Ok(())
    }
}
