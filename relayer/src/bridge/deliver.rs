//! The bridge's task.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use protocol::{
    chain::ChainId,
    wire::feed::{Brought, Delivery, DeliveryReceipt, FeedEntry, FeedId, FeedPage},
};
use serde::Serialize;
use service::{clock::Clock, db::Db, failpoint};
use tokio_util::sync::CancellationToken;

use super::{
    model::{ENTRIES_MAX, anchor, lane, part, portions, through},
    store,
};
use crate::{
    alarm::Alarms,
    cursor::{self, Cursor},
    error::Error,
    lease::Lease,
    peer::{Peer, PeerError, in_order, pause},
};

/// The task's name in alarms and metrics.
const TASK: &str = "bridge";
/// The alarm of refused entries, which stays while deliveries of others succeed.
const REFUSED: &str = "refused entries";
/// The cursor's name.
const FEED: &str = "feed";
/// The name of what the hub said last that it has; its anchor is the feed's id.
const HUB: &str = "hub";
/// How long the indexer may keep a request open.
const WAIT: Duration = Duration::from_secs(20);
/// How often the feed is looked at for having been begun anew, and the hub for having lost something.
const ANCHOR_EVERY_MS: i64 = 30_000;

/// How far the bridge is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The feed's `seq` up to which everything is delivered or kept.
    pub cursor: u64,
    /// Unix milliseconds since when something is known to wait, or the feed cannot be read; none when all is delivered.
    pub behind_since_ms: Option<i64>,
    /// How often the feed was found begun anew.
    pub restarts: u64,
}

/// Carries the feed to the hub.
pub struct Bridge {
    /// Where cursor and refused entries are.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The chain that this relayer serves: of the feed only its entries are asked for.
    pub chain: ChainId,
    /// Whose feed it is.
    pub indexer: Peer,
    /// Who takes it.
    pub hub: Peer,
    /// Where to say what is wrong.
    pub alarms: Arc<Alarms>,
    /// Where to say how far it is.
    pub progress: Arc<Mutex<Progress>>,
}

enum Offer {
    /// With how far the hub says that it has the feed, where it was asked.
    Taken(Option<u64>),
    Refused(String),
}

impl Bridge {
    /// Works until `stop`.
    pub async fn run(&self, lease: &Lease, stop: &CancellationToken) {
        let mut round = Round { bridge: self, lease, checked_ms: None, patient: false };
        let mut failures = 0_u32;
        loop {
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = round.once() => result,
            };
            match result {
                Ok(()) => {
                    failures = 0;
                    self.alarms.clear(TASK);
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    round.checked_ms = None;
                    self.behind();
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

    /// One look at the feed, without waiting for it, and the delivery of what is there.
    #[cfg(feature = "simulation")]
    pub async fn round(&self, lease: &Lease) -> Result<(), Error> {
        Round { bridge: self, lease, checked_ms: None, patient: false }.once().await
    }

    fn behind(&self) {
        let now_ms = self.clock.now_ms();
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.behind_since_ms.get_or_insert(now_ms);
    }

    fn at(&self, cursor: &Cursor, level: bool) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.cursor = cursor.position;
        progress.restarts = cursor.restarts;
        if level {
            progress.behind_since_ms = None;
        }
    }

    async fn page(&self, after: u64, limit: usize, wait: Duration) -> Result<FeedPage, PeerError> {
        let chain = self.chain;
        let path = format!("/v1/feed?chain={chain}&after={after}&limit={limit}&wait={}", wait.as_secs());
        self.indexer.get(&path, wait).await
    }

    /// Offers entries to the hub, and tells it how far the feed was brought before.
    async fn offer(&self, entries: Vec<FeedEntry>, brought: Option<Brought>) -> Result<Offer, Error> {
        let delivery = Delivery { entries, brought };
        failpoint::pass(&["relayer.delivery.before"]);
        let answer = self.hub.post::<DeliveryReceipt>("/v1/chain-events", &delivery).await;
        failpoint::pass(&["relayer.delivery.after"]);
        match answer {
            Ok(receipt) => {
                metrics::counter!("relayer_entries_delivered_total").increment(receipt.applied.into());
                metrics::counter!("relayer_entries_repeated_total").increment(receipt.duplicates.into());
                Ok(Offer::Taken(receipt.has))
            }
            Err(PeerError::RefusesContent { reason, .. }) => Ok(Offer::Refused(reason)),
            Err(error) => Err(error.into()),
        }
    }
}

/// What [`HUB`] holds: up to where the hub has a feed.
fn kept_by_hub(feed: FeedId, position: u64) -> Cursor {
    Cursor { position, anchor: feed.to_string(), restarts: 0 }
}

struct Round<'a> {
    bridge: &'a Bridge,
    lease: &'a Lease,
    checked_ms: Option<i64>,
    /// The first poll does not wait, so that the state is known soon after the start.
    patient: bool,
}

impl Round<'_> {
    async fn once(&mut self) -> Result<(), Error> {
        let bridge = self.bridge;
        let again_ms = self.offer_refused_again().await?;
        let mut cursor = cursor::load(bridge.db.reader(), FEED).await?;
        let now_ms = bridge.clock.now_ms();
        if self.checked_ms.is_none_or(|checked| now_ms.saturating_sub(checked) >= ANCHOR_EVERY_MS) {
            cursor = self.check_anchor(cursor).await?;
            cursor = self.check_hub(cursor).await?;
            self.checked_ms = Some(now_ms);
        }
        bridge.at(&cursor, false);
        let wait = match (self.patient, again_ms) {
            (false, _) => Duration::ZERO,
            (true, None) => WAIT,
            (true, Some(at)) => Duration::from_millis(at.saturating_sub(now_ms).try_into().unwrap_or(0))
                .clamp(Duration::from_secs(1), WAIT),
        };
        let page = bridge.page(cursor.position, ENTRIES_MAX, wait).await?;
        self.patient = true;
        in_order(cursor.position, page.entries.iter().map(|entry| entry.seq), page.cursor, "indexer")?;
        if page.entries.is_empty() {
            bridge.at(&cursor, true);
            return Ok(());
        }
        bridge.behind();
        let moved = self.deliver(&cursor, page).await?;
        bridge.at(&moved, false);
        Ok(())
    }

    async fn check_anchor(&self, cursor: Cursor) -> Result<Cursor, Error> {
        let bridge = self.bridge;
        if cursor.position == 0 {
            return Ok(cursor);
        }
        let found = match bridge.page(cursor.position.saturating_sub(1), 1, Duration::ZERO).await {
            Ok(page) => page.entries.first().map(|entry| (entry.seq, anchor(page.feed, entry))),
            // A feed that ends before the cursor.
            Err(PeerError::RefusesContent { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        cursor::check(self.lease, FEED, cursor, found, bridge.clock.now_ms()).await
    }

    /// What to tell the hub of a feed: up to where it has taken everything.
    async fn brought(&self, cursor: &Cursor, feed: FeedId) -> Result<Brought, Error> {
        let reader = self.bridge.db.reader();
        let hub = cursor::load(reader, HUB).await?;
        Ok(Brought {
            chain: self.bridge.chain,
            feed,
            after: if hub.anchor == feed.to_string() { hub.position } else { 0 },
            through: through(cursor.position, store::lowest(reader).await?),
        })
    }

    /// Asks the hub how far it has the feed, and goes back to there where that is less than it took.
    async fn check_hub(&self, cursor: Cursor) -> Result<Cursor, Error> {
        if cursor.position == 0 {
            return Ok(cursor);
        }
        let feed = self.bridge.page(cursor.position, 1, Duration::ZERO).await?.feed;
        let brought = self.brought(&cursor, feed).await?;
        match self.bridge.offer(Vec::new(), Some(brought)).await? {
            Offer::Taken(Some(has)) if has < brought.through => self.go_back(&cursor, feed, has).await,
            Offer::Taken(_) => {
                if brought.after != brought.through {
                    let now_ms = self.bridge.clock.now_ms();
                    let mut write = self.lease.begin().await?;
                    cursor::store(&mut write, HUB, &kept_by_hub(feed, brought.through), now_ms).await?;
                    write.commit().await?;
                }
                Ok(cursor)
            }
            Offer::Refused(reason) => Err(PeerError::RefusesContent { peer: "hub", reason }.into()),
        }
    }

    /// Everything after `has` is delivered again, for the hub has lost it; what it has it drops.
    async fn go_back(&self, cursor: &Cursor, feed: FeedId, has: u64) -> Result<Cursor, Error> {
        tracing::error!(
            has,
            delivered = cursor.position,
            "the hub lacks what it had taken (is it back from a backup?); delivering it again"
        );
        metrics::counter!("relayer_list_restarts_total", "list" => HUB).increment(1);
        let (back, now_ms) = (cursor.back_to(has), self.bridge.clock.now_ms());
        let mut write = self.lease.begin().await?;
        store::forget_all(&mut write).await?;
        cursor::store(&mut write, FEED, &back, now_ms).await?;
        cursor::store(&mut write, HUB, &kept_by_hub(feed, has), now_ms).await?;
        write.commit().await?;
        self.say_refused().await?;
        Ok(back)
    }

    async fn deliver(&self, cursor: &Cursor, page: FeedPage) -> Result<Cursor, Error> {
        let bridge = self.bridge;
        let moved = match page.entries.last() {
            Some(last) => cursor.at(last.seq, anchor(page.feed, last)),
            None => return Ok(cursor.clone()),
        };
        let feed = page.feed;
        let mut brought = Some(self.brought(cursor, feed).await?);
        let mut held = store::held(bridge.db.reader()).await?;
        let mut hub = None;
        let (pass, mut kept) = part(page.entries, &held);
        let mut refused: Vec<(FeedEntry, String)> = Vec::new();
        for portion in portions(pass, |entry| serde_json::to_vec(entry).map_or(0, |text| text.len())) {
            let (pass, behind) = part(portion, &held);
            kept.extend(behind);
            if pass.is_empty() {
                continue;
            }
            match bridge.offer(pass.clone(), brought).await? {
                Offer::Taken(has) => {
                    if let Some(told) = brought.take() {
                        if let Some(has) = has.filter(|has| *has < told.through) {
                            return self.go_back(cursor, feed, has).await;
                        }
                        hub = Some(kept_by_hub(feed, told.through));
                    }
                }
                Offer::Refused(_) => self.one_by_one(pass, &mut held, &mut kept, &mut refused).await?,
            }
        }
        let now_ms = bridge.clock.now_ms();
        let mut write = self.lease.begin().await?;
        for (entry, reason) in &refused {
            tracing::error!(seq = entry.seq, event = %entry.event.id, reason, "the hub refuses an entry of the feed");
            metrics::counter!("relayer_entries_refused_total").increment(1);
            store::keep(&mut write, entry, Some(reason), now_ms).await?;
        }
        kept.sort_by_key(|entry| entry.seq);
        for entry in &kept {
            store::keep(&mut write, entry, None, now_ms).await?;
        }
        cursor::store(&mut write, FEED, &moved, now_ms).await?;
        if let Some(hub) = hub {
            cursor::store(&mut write, HUB, &hub, now_ms).await?;
        }
        write.commit().await?;
        self.say_refused().await?;
        Ok(moved)
    }

    /// Finds the entries that the hub refuses in a portion that it refused as a whole.
    async fn one_by_one(
        &self,
        portion: Vec<FeedEntry>,
        held: &mut BTreeSet<String>,
        kept: &mut Vec<FeedEntry>,
        refused: &mut Vec<(FeedEntry, String)>,
    ) -> Result<(), Error> {
        for entry in portion {
            if held.contains(&lane(&entry)) {
                kept.push(entry);
                continue;
            }
            if let Offer::Refused(reason) = self.bridge.offer(vec![entry.clone()], None).await? {
                held.insert(lane(&entry));
                refused.push((entry, reason));
            }
        }
        Ok(())
    }

    /// Offers the first refused entry of every lane that is due; says when the next one is (Unix milliseconds).
    async fn offer_refused_again(&self) -> Result<Option<i64>, Error> {
        let bridge = self.bridge;
        loop {
            let heads = store::heads(bridge.db.reader()).await?;
            let now_ms = bridge.clock.now_ms();
            let Some(first) = heads.first() else {
                bridge.alarms.clear(REFUSED);
                return Ok(None);
            };
            if first.next_ms > now_ms {
                self.say_refused().await?;
                return Ok(Some(first.next_ms));
            }
            for head in heads.iter().filter(|head| head.next_ms <= now_ms) {
                let offer = bridge.offer(vec![head.entry.clone()], None).await?;
                let mut write = self.lease.begin().await?;
                match &offer {
                    Offer::Taken(_) => store::release(&mut write, head.id).await?,
                    Offer::Refused(reason) => store::refuse_again(&mut write, head, reason, now_ms).await?,
                }
                write.commit().await?;
            }
        }
    }

    async fn say_refused(&self) -> Result<(), Error> {
        let (count, oldest) = store::refused_count(self.bridge.db.reader()).await?;
        crate::status::gauge("relayer_refused_entries", count);
        if let Some((seq, reason)) = oldest {
            let words = format!("the hub refuses entry {seq} of the feed ({reason}); {count} entries wait");
            self.bridge.alarms.raise(REFUSED, words, self.bridge.clock.now_ms());
        }
        Ok(())
    }
}
