//! What brings the feed from a cursor to a receiver.

use std::time::Duration;

use protocol::wire::feed::FeedEntry;
use service::failpoint;
use sqlx::AnyConnection;

use super::{
    Failure, Sink,
    message::Message,
    schedule::{RETRIES, pause_ms},
    store::{self, Delivery},
};
use crate::{
    Error,
    feed::{
        select::{Selection, select},
        store::times_told,
    },
    shared::Shared,
};

/// Entries that are sent before the cursor is kept: after a crash as many may be sent again, with the same ids.
const PAGE: u64 = 50;
/// How long to wait when the database does not answer.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);

/// One delivery.
pub(super) struct Pump {
    shared: Shared,
    name: String,
    selection: Selection,
    first: u64,
    retry_ms: u64,
    sink: Sink,
}

/// What to do next.
enum Next {
    /// There is more.
    More,
    /// Nothing is left: wait until something is told.
    Wait,
    /// The receiver does not answer.
    Pause(Duration),
}

impl Pump {
    pub fn new(
        shared: Shared,
        name: String,
        selection: Selection,
        first: u64,
        retry_ms: u64,
        sink: Sink,
    ) -> Self {
        Self { shared, name, selection, first, retry_ms, sink }
    }

    /// Until the service stops.
    pub async fn run(mut self) {
        let stop = self.shared.stop.clone();
        let mut told = self.shared.told.subscribe();
        while !stop.is_cancelled() {
            told.mark_unchanged();
            let pause = match self.round().await {
                Ok(Next::More) => continue,
                Ok(Next::Wait) => None,
                Ok(Next::Pause(pause)) => Some(pause),
                Err(error) => Some(self.stall(&Failure::new(error.to_string())).await),
            };
            let woken = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    // The sender lives as long as what is shared does.
                    None => drop(told.changed().await),
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = woken => {}
            }
        }
    }

    async fn round(&mut self) -> Result<Next, Error> {
        let mut reader = self.shared.db.reader().acquire().await?;
        let kept = self.kept(&mut reader).await?;
        self.say_alarm(kept.failures);
        let selected = select(&mut reader, kept.cursor, PAGE, &self.selection).await?;
        drop(reader);

        let (mut arrived, mut failure) = (None, None);
        for entry in &selected.entries {
            // What arrived before one that cannot be read is not sent again.
            match self.send(entry).await.unwrap_or_else(|error| Some(Err(Failure::new(error.to_string())))) {
                None => break,
                Some(Ok(())) => arrived = Some(entry.seq),
                Some(Err(reason)) => {
                    failure = Some(reason);
                    break;
                }
            }
        }
        let whole = arrived == selected.entries.last().map(|entry| entry.seq);
        let cursor = if whole { selected.cursor } else { arrived.unwrap_or(kept.cursor) };
        let failures = match (&failure, arrived) {
            (Some(_), None) => kept.failures.saturating_add(1),
            (Some(_), Some(_)) => 1,
            // The service stops.
            (None, None) if !whole => kept.failures,
            // What failed, in this process or in one before, has arrived, or was none of the receiver's and is read now.
            (None, _) => 0,
        };
        if failure.is_some() || failures != kept.failures || cursor != kept.cursor {
            let trouble = match &failure {
                Some(failure) => Some(failure.reason.clone()),
                None => kept.trouble.filter(|_| failures > 0),
            };
            self.keep(kept.cursor, &Delivery { cursor, failures, trouble }).await?;
        }
        if let Some(failure) = failure {
            let pause = pause_ms(self.retry_ms, failures, failure.retry_after_s);
            self.complain(&failure, failures, pause);
            return Ok(Next::Pause(Duration::from_millis(pause)));
        }
        Ok(if whole && selected.end { Next::Wait } else { Next::More })
    }

    async fn kept(&self, on: &mut AnyConnection) -> Result<Delivery, Error> {
        let kept = store::find(on, &self.name).await?;
        Ok(kept.unwrap_or_else(|| Delivery { cursor: self.first, ..Delivery::default() }))
    }

    /// What is to be sent cannot be read: counted like a message that does not arrive, where the database takes that. Answers
    /// how long to wait.
    async fn stall(&self, failure: &Failure) -> Duration {
        match self.count(failure).await {
            Ok(pause) => pause,
            Err(_) => {
                let (delivery, reason) = (&self.name, &failure.reason);
                tracing::warn!(delivery, reason, "a delivery cannot go on; trying again");
                DATABASE_PAUSE
            }
        }
    }

    async fn count(&self, failure: &Failure) -> Result<Duration, Error> {
        let kept = self.kept(&mut *self.shared.db.reader().acquire().await?).await?;
        let failures = kept.failures.saturating_add(1);
        let now = Delivery { cursor: kept.cursor, failures, trouble: Some(failure.reason.clone()) };
        self.keep(kept.cursor, &now).await?;
        let pause = pause_ms(self.retry_ms, failures, None);
        self.complain(failure, failures, pause);
        Ok(Duration::from_millis(pause))
    }

    /// None when the service stops meanwhile.
    async fn send(&mut self, entry: &FeedEntry) -> Result<Option<Result<(), Failure>>, Error> {
        let times = times_told(&mut *self.shared.db.reader().acquire().await?, entry).await?;
        let message = Message::of(entry, times)?;
        let (stop, sink) = (&self.shared.stop, &mut self.sink);
        let sending = async {
            failpoint::pass(&["indexer.delivery", "before"]);
            let sent = match sink {
                Sink::Webhook(webhook) => webhook.send(&message).await,
                Sink::Nats(nats) => nats.send(&message).await,
            };
            failpoint::pass(&["indexer.delivery", "after"]);
            sent
        };
        Ok(tokio::select! {
            () = stop.cancelled() => None,
            sent = sending => Some(sent),
        })
    }

    async fn keep(&self, before: u64, delivery: &Delivery) -> Result<(), Error> {
        let mut write = self.shared.db.begin().await?;
        store::keep(write.on(), &self.name, before, delivery, self.shared.clock.now_ms()).await?;
        write.commit().await?;
        self.say_alarm(delivery.failures);
        Ok(())
    }

    fn say_alarm(&self, failures: u64) {
        let alarm = if failures >= RETRIES { 1.0 } else { 0.0 };
        metrics::gauge!("indexer_delivery_alarm", "delivery" => self.name.clone()).set(alarm);
    }

    fn complain(&self, failure: &Failure, failures: u64, pause_ms: u64) {
        metrics::counter!("indexer_delivery_failures_total", "delivery" => self.name.clone()).increment(1);
        let (delivery, reason) = (&self.name, &failure.reason);
        if failures == RETRIES {
            tracing::error!(delivery, reason, failures, pause_ms, "a delivery does not get through");
        } else {
            tracing::warn!(delivery, reason, failures, pause_ms, "a message did not arrive; trying again");
        }
    }
}
