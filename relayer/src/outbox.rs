//! What is still to be told: progress to the hub, pages to the operator. Each is written in the transaction that it tells of,
//! and is there until it was taken, so a crash and an absence of the other side lose nothing.

use std::{sync::Arc, time::Duration};

use protocol::wire::intent::{IntentProgress, ProgressReport};
use serde::{Deserialize, Serialize};
use service::{
    clock::Clock,
    db::{Db, Write},
};
use tokio_util::sync::CancellationToken;

use crate::{
    alarm::Alarms,
    error::Error,
    lease::Lease,
    page::{Page, Pager},
    peer::{Peer, PeerError},
};

/// The task's name in alarms and metrics.
pub const TASK: &str = "outbox";
/// The longest pause between two tries to tell something, in milliseconds.
pub const RETRY_MAX_MS: i64 = 300_000;
/// Between looks at an outbox that had nothing due.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Item {
    /// How far an intent is.
    Hub(ProgressReport),
    /// A person has to look.
    Operator(Page),
}

impl Item {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Hub(_) => "hub",
            Self::Operator(_) => "operator",
        }
    }
}

/// Says how far an intent is, as part of the transaction that brought it there.
///
/// # Errors
/// The database's own.
pub async fn say(write: &mut Write, key: &str, progress: IntentProgress, now_ms: i64) -> Result<(), Error> {
    put(write, &Item::Hub(ProgressReport { key: key.to_owned(), progress }), now_ms).await
}

/// Puts an item into the outbox, as part of a transaction.
///
/// # Errors
/// The database's own.
pub async fn put(write: &mut Write, item: &Item, now_ms: i64) -> Result<(), Error> {
    let body = serde_json::to_string(item).map_err(|error| Error::damaged("outbox.body", "", error))?;
    sqlx::query(
        "INSERT INTO outbox (id, kind, body, tries, next_ms, created_ms)
         VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM outbox), $1, $2, 0, $3, $3)",
    )
    .bind(item.kind())
    .bind(body)
    .bind(now_ms)
    .execute(write.on())
    .await?;
    Ok(())
}

/// How many items wait.
///
/// # Errors
/// The database's own.
pub async fn waiting(db: &Db) -> Result<i64, Error> {
    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM outbox").fetch_one(db.reader()).await?)
}

/// How long to wait after so many tries in vain, in milliseconds: 1 s, doubling, at most 5 minutes.
pub fn retry_ms(tries: i64) -> i64 {
    let doubled = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(9);
    1_000_i64.saturating_mul(1_i64 << doubled).min(RETRY_MAX_MS)
}

/// Whether it is time for the next try. None is further away than the longest pause, unless the clock was set back: that ends
/// the pause.
pub fn is_due(next_ms: i64, now_ms: i64) -> bool {
    !(1..=RETRY_MAX_MS).contains(&next_ms.saturating_sub(now_ms))
}

/// Empties the outbox.
pub struct Messenger {
    /// Where it is.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who is told of progress.
    pub hub: Peer,
    /// How the operator is told; none without an address.
    pub pager: Option<Pager>,
    /// Where to say what is wrong, and what the operator is paged for.
    pub alarms: Arc<Alarms>,
}

impl Messenger {
    /// Works until `stop`.
    pub async fn run(&self, lease: &Lease, stop: &CancellationToken) {
        loop {
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = self.round(lease) => result,
            };
            match result {
                Ok(()) => self.alarms.clear(TASK),
                Err(error) => self.alarms.raise(TASK, error.to_string(), self.clock.now_ms()),
            }
            crate::status::alive(TASK, self.clock.now_ms());
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Tells what is due, in the order in which it was put there; what one side does not take, or cannot be read for it, holds
    /// up its own items alone.
    ///
    /// # Errors
    /// A side is away; the lease is lost; the database's own, or an item that cannot be read.
    pub async fn round(&self, lease: &Lease) -> Result<(), Error> {
        self.page_alarms(lease).await?;
        let hub = self.tell(lease, "hub").await;
        hub.and(self.tell(lease, "operator").await)
    }

    async fn tell(&self, lease: &Lease, kind: &str) -> Result<(), Error> {
        while let Some(told) = self.next(lease, kind).await? {
            told?;
        }
        Ok(())
    }

    /// Tells the first item of a kind, when it is due; none when nothing is.
    async fn next(&self, lease: &Lease, kind: &str) -> Result<Option<Result<(), PeerError>>, Error> {
        let now_ms = self.clock.now_ms();
        let first: Option<(i64, String, i64, i64, i64)> = sqlx::query_as(
            "SELECT id, body, tries, next_ms, created_ms FROM outbox WHERE kind = $1 ORDER BY id LIMIT 1",
        )
        .bind(kind)
        .fetch_optional(self.db.reader())
        .await?;
        let Some((id, body, tries, next_ms, created_ms)) = first else { return Ok(None) };
        if !is_due(next_ms, now_ms) {
            return Ok(None);
        }
        let item: Item =
            serde_json::from_str(&body).map_err(|error| Error::damaged("outbox.body", &body, error))?;
        let told = match (&item, &self.pager) {
            (Item::Hub(report), _) => self.hub.tell("/v1/intents/progress", report).await,
            (Item::Operator(page), Some(pager)) => {
                pager.tell(&format!("{created_ms}-{id}"), page, now_ms).await
            }
            (Item::Operator(_), None) => Ok(()),
        };
        let mut write = lease.begin().await?;
        let (over, told) = match told {
            Ok(()) => (true, Ok(())),
            // What is refused is refused again. Of an intent that the hub does not know nobody has to hear.
            Err(error @ PeerError::RefusesContent { .. }) => {
                tracing::warn!(%error, body, "told in vain");
                metrics::counter!("relayer_reports_dropped_total").increment(1);
                (true, Ok(()))
            }
            Err(error) => (false, Err(error)),
        };
        if over {
            sqlx::query("DELETE FROM outbox WHERE id = $1").bind(id).execute(write.on()).await?;
        } else {
            let tries = tries.saturating_add(1);
            sqlx::query("UPDATE outbox SET tries = $1, next_ms = $2 WHERE id = $3")
                .bind(tries)
                .bind(now_ms.saturating_add(retry_ms(tries)))
                .bind(id)
                .execute(write.on())
                .await?;
        }
        write.commit().await?;
        Ok(Some(told))
    }

    /// Puts a page for every alarm that has been on for a while into the outbox, once.
    async fn page_alarms(&self, lease: &Lease) -> Result<(), Error> {
        if self.pager.is_none() {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        for (task, alarm) in self.alarms.unpaged(now_ms) {
            let mut write = lease.begin().await?;
            let since_ms = alarm.since_ms;
            let page = Page::Alarm { task: task.to_owned(), reason: alarm.reason, since_ms };
            put(&mut write, &Item::Operator(page), now_ms).await?;
            write.commit().await?;
            self.alarms.paged(task, since_ms);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use protocol::chain::ChainId;
    use service::db::testing::{FreshDb, on_both};

    use super::*;
    use crate::{
        run::SCHEMA,
        testing::{KEY, MovedClock, Operator, PAGE_SECRET, Peers},
    };

    async fn messenger(fresh: &FreshDb, peers: &Peers, operator: &Operator) -> (Messenger, Arc<MovedClock>) {
        let clock: Arc<MovedClock> = Arc::default();
        let messenger = Messenger {
            db: Db::open(&fresh.url, SCHEMA).await.unwrap(),
            clock: clock.clone(),
            hub: Peer::new("hub", "hub_url", &peers.url, Some(KEY)).unwrap(),
            pager: Some(Pager::new(&operator.url, PAGE_SECRET, ChainId::Eip155(31337)).unwrap()),
            alarms: Arc::default(),
        };
        (messenger, clock)
    }

    #[test]
    fn a_pause_ends_with_its_time_or_when_the_clock_is_set_back() {
        assert_eq!([1, 2, 9, 10, i64::MAX].map(retry_ms), [1_000, 2_000, 256_000, 300_000, 300_000]);
        let next_ms = 1_000_000;
        let due = [1_000_001, 1_000_000, 999_999, 700_000, 699_999, i64::MIN];
        assert_eq!(due.map(|now_ms| is_due(next_ms, now_ms)), [true, true, false, false, true, true]);
    }

    #[tokio::test]
    async fn a_report_that_cannot_be_read_holds_up_no_page() {
        for fresh in on_both().await {
            let (peers, operator) = (Peers::start().await, Operator::start().await);
            let (messenger, clock) = messenger(&fresh, &peers, &operator).await;
            let lease = Lease::take(&messenger.db).await.unwrap().unwrap();
            let mut write = lease.begin().await.unwrap();
            sqlx::query(
                "INSERT INTO outbox (id, kind, body, tries, next_ms, created_ms) VALUES (1, 'hub', 'x', 0, 0, 0)",
            )
            .execute(write.on())
            .await
            .unwrap();
            let page = Item::Operator(Page::Reopened { key: "open".to_owned() });
            put(&mut write, &page, clock.now_ms()).await.unwrap();
            write.commit().await.unwrap();
            let words = messenger.round(&lease).await.unwrap_err().to_string();
            assert!(words.contains("outbox.body"), "{:?}: {words}", fresh.engine);
            assert_eq!(operator.pages().len(), 1, "{:?}", fresh.engine);
        }
    }

    #[tokio::test]
    async fn what_is_to_be_told_is_told_when_the_clock_is_set_back() {
        for fresh in on_both().await {
            let (peers, operator) = (Peers::start().await, Operator::start().await);
            let (messenger, clock) = messenger(&fresh, &peers, &operator).await;
            let lease = Lease::take(&messenger.db).await.unwrap().unwrap();
            let mut write = lease.begin().await.unwrap();
            let progress = IntentProgress::Waiting { reason: "not yet".to_owned() };
            say(&mut write, "open", progress, clock.now_ms()).await.unwrap();
            write.commit().await.unwrap();
            peers.go_away(true);
            let words = messenger.round(&lease).await.unwrap_err().to_string();
            assert!(words.contains("hub does not answer"), "{:?}: {words}", fresh.engine);
            peers.go_away(false);
            clock.pass_ms(-3_600_000);
            messenger.round(&lease).await.unwrap();
            assert_eq!(
                (peers.reports().len(), waiting(&messenger.db).await.unwrap()),
                (1, 0),
                "{:?}",
                fresh.engine
            );
        }
    }
}
