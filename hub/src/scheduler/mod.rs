//! What comes by the clock. It stands in a table of its room from the transaction that made it, so that a restart loses none; one loop
//! looks what has come and has the room say so by a record of the hub, whose effects are the room's.
//!
//! - `timetable.rs`: how such a table is read, in turn
//! - `lists.rs`: all there are, and whose they are

mod lists;
#[cfg(test)]
mod tests;
mod timetable;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::timeout};

pub(crate) use lists::List;
pub(crate) use timetable::{Passed, Timetable};

use crate::{Hub, error::Error, page};

/// How often the clock is looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// The most of one list in one turn, so that no list keeps the others waiting.
const AT_ONCE: i64 = 100;
/// How long a turn goes on to the next of its list, for the same reason: what is dear, or waits for an indexer, takes longer than
/// the count allows for. What is being said then is said to its end.
const TURN_MAX: Duration = Duration::from_secs(2);
/// How far what waits is counted.
const WAITING_MAX: i64 = 1_000;

/// Looks at the clock until the hub stops, also when somebody who has moved it says so. What fails is tried again when all others of
/// its list have had their turn.
pub(crate) async fn run(hub: Hub, moved: Arc<Notify>) {
    let mut lists = List::ALL.map(|list| (list, Passed::default()));
    // From the start on, so that a hub which never comes to the end of a look is seen.
    alive(&hub);
    while hub.stop.run_until_cancelled(timeout(PERIOD, moved.notified())).await.is_some() {
        let mut all_read = true;
        for (list, passed) in &mut lists {
            if let Err(error) = look(&hub, *list, passed, AT_ONCE).await {
                all_read = false;
                tracing::error!(%error, list = list.name(), "what is due could not be read; it is tried again");
            }
            if hub.stop.is_cancelled() {
                return;
            }
        }
        if all_read {
            alive(&hub);
        }
    }
}

fn alive(hub: &Hub) {
    metrics::gauge!("hub_timer_alive_seconds").set(as_f64(hub.clock.now_ms() / 1_000));
}

/// A turn of [`TURN_MAX`].
pub(crate) async fn look(hub: &Hub, list: List, passed: &mut Passed, limit: i64) -> Result<(), Error> {
    turn(hub, list, passed, limit, TURN_MAX).await
}

/// Has said what of a list has come, at most `limit` of those after `passed`, and none after the first with which `longest` is over
/// or once the hub stops. `passed` goes on to the last one that had its turn; at the end of the list back to the first.
async fn turn(
    hub: &Hub,
    list: List,
    passed: &mut Passed,
    limit: i64,
    longest: Duration,
) -> Result<(), Error> {
    let began = Instant::now();
    let (come, waiting) = {
        let mut on = hub.db.reader().acquire().await?;
        let (table, now) = (list.timetable(), list.now_ms(hub));
        (table.come(&mut on, now, passed, limit).await?, table.waiting(&mut on, now, WAITING_MAX).await?)
    };
    metrics::gauge!("hub_due_waiting", "list" => list.name()).set(as_f64(waiting));
    let end = page::next(come.len(), limit, come.last().cloned()).unwrap_or_default();
    for (at, key) in come {
        if hub.stop.is_cancelled() {
            return Ok(());
        }
        if let Err(error) = list.say(hub, &key).await {
            metrics::counter!("hub_due_failures_total", "list" => list.name()).increment(1);
            tracing::error!(%error, list = list.name(), %key, "what is due could not be said; it is tried again");
        }
        *passed = (at, key);
        if began.elapsed() >= longest {
            return Ok(());
        }
    }
    *passed = end;
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "metrics are floating-point by their format")]
const fn as_f64(value: i64) -> f64 {
    value as f64
}
