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
    model::{ENTRIES_MAX, lane, part, portions, through},
    store,
};
use crate::{
    alarm::Alarms,
    cursor::{self, Cursor},
    error::Error,
    intents,
    lease::Lease,
    outbox::is_due,
    peer::{Peer, PeerError, in_order, pause},
    transactions::Rest,
};

/// The task's name in alarms and metrics.
pub const TASK: &str = "bridge";
/// The alarm of refused entries, which stays while deliveries of others succeed.
const REFUSED: &str = "refused entries";
/// The cursor's name; its anchor is `feed` of the page that it is from.
const FEED: &str = "feed";
/// The name of how many deliveries the hub said that it counts, or of [`UNCOUNTED`].
const HUB: &str = "hub";
/// Stands for what the hub counts where it took something without counting it: more than any counts, so that this is brought
/// once more when it counts again.
const UNCOUNTED: u64 = i64::MAX.unsigned_abs();
/// How long the indexer may keep a request open.
const WAIT: Duration = Duration::from_secs(20);
/// How often the hub is asked whether it has lost something, beside every delivery.
const ASK_EVERY_MS: i64 = 30_000;

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
    /// With what the hub says that it has of the feed, where it was asked.
    Taken(Option<Brought>),
    Refused(String),
}

impl Bridge {
    /// Works until `stop`.
    pub async fn run(&self, lease: &Lease, stop: &CancellationToken) {
        let mut round = Round { bridge: self, lease, asked: None, counts: true, patient: false };
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
                    round.asked = None;
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
        Round { bridge: self, lease, asked: None, counts: true, patient: false }.once().await
    }

    /// Takes back since when something waits: who stands by brings nothing.
    pub fn falls_silent(&self) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).behind_since_ms = None;
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

    /// What follows upon a cursor; none where the feed is another one than the cursor's.
    async fn page(&self, cursor: &Cursor, wait: Duration) -> Result<Option<FeedPage>, PeerError> {
        let (chain, after, wait_s) = (self.chain, cursor.position, wait.as_secs());
        let mut path = format!("/v1/feed?chain={chain}&after={after}&limit={ENTRIES_MAX}&wait={wait_s}");
        if !cursor.anchor.is_empty() {
            path = format!("{path}&feed={}", cursor.anchor);
        }
        match self.indexer.get(&path, wait).await {
            Err(PeerError::RefusesContent { conflict: Some(rule), .. })
                if rule == "feed_other" || rule == "feed_end" =>
            {
                Ok(None)
            }
            page => page.map(Some),
        }
    }

    /// Offers entries to the hub, and tells it how far the feed is brought with them.
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

struct Round<'a> {
    bridge: &'a Bridge,
    lease: &'a Lease,
    /// For how long the hub is not asked; none where it was not, or the last round failed.
    asked: Option<Rest>,
    /// Whether the hub said, when it was asked last, what it has: an older one cannot.
    counts: bool,
    /// The first poll does not wait, so that the state is known soon after the start.
    patient: bool,
}

/// The page that is being delivered, and what came of it.
struct Brings {
    feed: FeedId,
    /// Deliveries that the hub counts, or [`UNCOUNTED`].
    deliveries: u64,
    /// The first entry that waits, of this page or of those before.
    lowest: Option<u64>,
    /// Lanes that are held.
    held: BTreeSet<String>,
    /// Entries that wait behind a refused one.
    kept: Vec<FeedEntry>,
    /// Refused entries and why.
    refused: Vec<(FeedEntry, String)>,
}

impl Brings {
    fn keep(&mut self, entries: impl IntoIterator<Item = FeedEntry>) {
        for entry in entries {
            self.lowest = Some(self.lowest.map_or(entry.seq, |lowest| lowest.min(entry.seq)));
            self.kept.push(entry);
        }
    }

    fn refuse(&mut self, entry: FeedEntry, reason: String) {
        self.lowest = Some(self.lowest.map_or(entry.seq, |lowest| lowest.min(entry.seq)));
        self.held.insert(lane(&entry));
        self.refused.push((entry, reason));
    }
}

/// What came of an offer to a hub that counts.
enum Came {
    Taken,
    Refused(String),
    /// The hub has lost something; this is what it has.
    Lost(Brought),
}

impl Round<'_> {
    async fn once(&mut self) -> Result<(), Error> {
        let bridge = self.bridge;
        let mut cursor = cursor::load(bridge.db.reader(), FEED).await?;
        let now_ms = bridge.clock.now_ms();
        let due = self.asked.is_none_or(|asked| !asked.lasts(now_ms));
        if due && cursor.position > 0 {
            cursor = self.ask_hub(cursor).await?;
            self.asked = Some(Rest::of(now_ms, ASK_EVERY_MS));
        }
        bridge.at(&cursor, false);
        let again_ms = match self.offer_refused_again(&cursor).await? {
            Ok(again_ms) => again_ms,
            Err(has) => return self.go_back(&cursor, has).await.map(drop),
        };
        let wait = match (self.patient, again_ms) {
            (false, _) => Duration::ZERO,
            (true, None) => WAIT,
            (true, Some(at)) => Duration::from_millis(at.saturating_sub(now_ms).try_into().unwrap_or(0))
                .clamp(Duration::from_secs(1), WAIT),
        };
        let Some(page) = bridge.page(&cursor, wait).await? else {
            let now_ms = bridge.clock.now_ms();
            let mut write = self.lease.begin().await?;
            // What waits comes again, at another place.
            store::forget_all(&mut write).await?;
            cursor::store(&mut write, FEED, &cursor::begun_anew(FEED, &cursor), now_ms).await?;
            write.commit().await?;
            return self.say_refused().await;
        };
        self.patient = true;
        in_order(cursor.position, page.entries.iter().map(|entry| entry.seq), page.cursor, "indexer")?;
        if page.entries.is_empty() {
            bridge.at(&cursor, true);
            return Ok(());
        }
        bridge.behind();
        if self.asked.is_none() {
            // Of nothing there was nothing to ask.
            let asked = self.ask_hub(cursor.clone()).await?;
            self.asked = Some(Rest::of(now_ms, ASK_EVERY_MS));
            if asked != cursor {
                return Ok(());
            }
        }
        let moved = self.deliver(&cursor, page).await?;
        bridge.at(&moved, false);
        Ok(())
    }

    /// Offers entries, the last of which is `last`; to a hub that counts with how far the feed is brought.
    async fn offer(&self, entries: Vec<FeedEntry>, last: u64, brings: &mut Brings) -> Result<Came, Error> {
        let told = Brought {
            chain: self.bridge.chain,
            deliveries: brings.deliveries,
            feed: brings.feed,
            through: through(last, brings.lowest),
        };
        match self.bridge.offer(entries, self.counts.then_some(told)).await? {
            Offer::Taken(Some(has)) if has.deliveries < told.deliveries => Ok(Came::Lost(has)),
            Offer::Taken(has) => {
                // A hub may refuse once to say what it counts, and take without counting. Whatever it counts, it may be put back
                // to before that, or have counted for another relayer, and nobody could tell.
                brings.deliveries = has.map_or(UNCOUNTED, |has| has.deliveries);
                Ok(Came::Taken)
            }
            Offer::Refused(reason) => Ok(Came::Refused(reason)),
        }
    }

    /// Asks the hub what it has, and goes back to there where it counts fewer deliveries than it did. One that cannot say
    /// is an older one: it is brought everything all the same.
    async fn ask_hub(&mut self, cursor: Cursor) -> Result<Cursor, Error> {
        let bridge = self.bridge;
        let known = cursor::load(bridge.db.reader(), HUB).await?.position;
        let asked = Brought {
            chain: bridge.chain,
            deliveries: known,
            feed: cursor.anchor.parse().unwrap_or_default(),
            through: cursor.position,
        };
        let has = match bridge.offer(Vec::new(), Some(asked)).await? {
            Offer::Taken(has) => has,
            Offer::Refused(reason) => {
                tracing::debug!(reason, "the hub does not say what it has");
                None
            }
        };
        if self.counts && has.is_none() {
            tracing::warn!("the hub does not say what it has of the feed: what it loses will not be noticed");
        }
        self.counts = has.is_some();
        match has {
            Some(has) if has.deliveries < known => self.go_back(&cursor, has).await,
            _ => Ok(cursor),
        }
    }

    /// Everything that the hub does not have is delivered again, for it has lost something; what it has it drops. What it wants is
    /// read again.
    async fn go_back(&self, cursor: &Cursor, has: Brought) -> Result<Cursor, Error> {
        tracing::error!(
            has = has.through,
            delivered = cursor.position,
            "the hub lacks what it had taken (is it back from a backup?); delivering it again"
        );
        metrics::counter!("relayer_list_restarts_total", "list" => HUB).increment(1);
        let now_ms = self.bridge.clock.now_ms();
        let mut back = cursor.back_to(has.through);
        if has.through > 0 {
            back.anchor = has.feed.to_string();
        }
        let mut write = self.lease.begin().await?;
        store::forget_all(&mut write).await?;
        cursor::store(&mut write, FEED, &back, now_ms).await?;
        cursor::store(&mut write, HUB, &counted(has.deliveries), now_ms).await?;
        // So are intents: the list may have grown to where it was, with others below and the same one there. Each is kept once.
        let list = cursor::load(write.on(), intents::TASK).await?.from_the_start();
        cursor::store(&mut write, intents::TASK, &list, now_ms).await?;
        write.commit().await?;
        self.say_refused().await?;
        Ok(back)
    }

    async fn deliver(&self, cursor: &Cursor, page: FeedPage) -> Result<Cursor, Error> {
        let reader = self.bridge.db.reader();
        let moved = cursor.at(page.cursor, page.feed.to_string());
        let mut brings = Brings {
            feed: page.feed,
            deliveries: cursor::load(reader, HUB).await?.position,
            lowest: store::lowest(reader).await?,
            held: store::held(reader).await?,
            kept: Vec::new(),
            refused: Vec::new(),
        };
        let (pass, kept) = part(page.entries, &brings.held);
        brings.keep(kept);
        for portion in portions(pass, |entry| serde_json::to_vec(entry).map_or(0, |text| text.len())) {
            let (pass, behind) = part(portion, &brings.held);
            brings.keep(behind);
            let Some(last) = pass.last().map(|entry| entry.seq) else { continue };
            let came = match self.offer(pass.clone(), last, &mut brings).await? {
                Came::Refused(_) => self.one_by_one(pass, &mut brings).await?,
                came => came,
            };
            if let Came::Lost(has) = came {
                return self.go_back(cursor, has).await;
            }
        }
        let now_ms = self.bridge.clock.now_ms();
        let mut write = self.lease.begin().await?;
        for (entry, reason) in &brings.refused {
            tracing::error!(seq = entry.seq, event = %entry.event.id, reason, "the hub refuses an entry of the feed");
            metrics::counter!("relayer_entries_refused_total").increment(1);
            store::keep(&mut write, entry, Some(reason), now_ms).await?;
        }
        brings.kept.sort_by_key(|entry| entry.seq);
        for entry in &brings.kept {
            store::keep(&mut write, entry, None, now_ms).await?;
        }
        cursor::store(&mut write, FEED, &moved, now_ms).await?;
        cursor::store(&mut write, HUB, &counted(brings.deliveries), now_ms).await?;
        write.commit().await?;
        self.say_refused().await?;
        Ok(moved)
    }

    /// Finds the entries that the hub refuses in a portion that it refused as a whole.
    async fn one_by_one(&self, portion: Vec<FeedEntry>, brings: &mut Brings) -> Result<Came, Error> {
        for entry in portion {
            if brings.held.contains(&lane(&entry)) {
                brings.keep([entry]);
                continue;
            }
            match self.offer(vec![entry.clone()], entry.seq, brings).await? {
                Came::Taken => {}
                Came::Refused(reason) => brings.refuse(entry, reason),
                lost @ Came::Lost(_) => return Ok(lost),
            }
        }
        Ok(Came::Taken)
    }

    /// Offers the first refused entry of every lane that is due; says when the next one is (Unix milliseconds), or what the hub
    /// has where it has lost something.
    async fn offer_refused_again(&self, cursor: &Cursor) -> Result<Result<Option<i64>, Brought>, Error> {
        let bridge = self.bridge;
        loop {
            let now_ms = bridge.clock.now_ms();
            let heads = store::heads(bridge.db.reader(), now_ms).await?;
            let Some(first) = heads.first() else {
                bridge.alarms.clear(REFUSED);
                return Ok(Ok(None));
            };
            if !is_due(first.next_ms, now_ms) {
                self.say_refused().await?;
                return Ok(Ok(Some(first.next_ms)));
            }
            for head in heads.iter().filter(|head| is_due(head.next_ms, now_ms)) {
                let mut brings = Brings {
                    feed: cursor.anchor.parse().unwrap_or_default(),
                    deliveries: cursor::load(bridge.db.reader(), HUB).await?.position,
                    lowest: store::lowest(bridge.db.reader()).await?,
                    held: BTreeSet::new(),
                    kept: Vec::new(),
                    refused: Vec::new(),
                };
                let came = self.offer(vec![head.entry.clone()], cursor.position, &mut brings).await?;
                let mut write = self.lease.begin().await?;
                match came {
                    Came::Taken => {
                        store::release(&mut write, head.id).await?;
                        cursor::store(&mut write, HUB, &counted(brings.deliveries), now_ms).await?;
                    }
                    Came::Refused(reason) => store::refuse_again(&mut write, head, &reason, now_ms).await?,
                    Came::Lost(has) => return Ok(Err(has)),
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

/// What [`HUB`] holds.
fn counted(deliveries: u64) -> Cursor {
    Cursor { position: deliveries, ..Cursor::default() }
}
