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
    1_000_i64.saturating_mul(1_i64 << doubled).min(300_000)
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

    /// Tells what is due, in the order in which it was put there; what one side does not take holds up its own items alone.
    ///
    /// # Errors
    /// A side is away; the lease is lost; the database's own.
    pub async fn round(&self, lease: &Lease) -> Result<(), Error> {
        self.page_alarms(lease).await?;
        let mut trouble = None;
        for kind in ["hub", "operator"] {
            while let Some(failed) = self.next(lease, kind).await? {
                if let Err(error) = failed {
                    trouble = Some(error);
                    break;
                }
            }
        }
        trouble.map_or(Ok(()), |error| Err(error.into()))
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
        if next_ms > now_ms {
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
