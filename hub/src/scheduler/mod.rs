//! What comes by the clock. It stands in a table of its room from the transaction that made it, so that a restart loses none; one loop
//! looks what has come and has the room say so by a record of the hub, whose effects are the room's.
//!
//! - `timetable.rs`: how such a table is read, in turn
//! - `lists.rs`: all there are, and whose they are

mod lists;
#[cfg(test)]
mod tests;
mod timetable;

use std::time::Duration;

pub(crate) use lists::List;
pub(crate) use timetable::{Passed, Timetable};

use crate::{Hub, error::Error, page};

/// How often the clock is looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// The most of one list at one look, so that no list keeps the others waiting.
const AT_ONCE: i64 = 100;

/// Looks at the clock until the hub stops. What fails is tried again when all others of its list have had their turn.
pub(crate) async fn run(hub: Hub) {
    let mut lists = List::ALL.map(|list| (list, Passed::default()));
    while hub.stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        let mut all_read = true;
        for (list, passed) in &mut lists {
            if hub.stop.is_cancelled() {
                return;
            }
            if let Err(error) = look(&hub, *list, passed, AT_ONCE).await {
                all_read = false;
                tracing::error!(%error, list = list.name(), "what is due could not be read; it is tried again");
            }
        }
        if all_read {
            metrics::gauge!("hub_timer_alive_seconds").set(as_f64(hub.clock.now_ms() / 1_000));
        }
    }
}

/// Has said what of a list has come, at most `limit` of those after `passed`, which goes on to the last of them; at the end back to
/// the first.
pub(crate) async fn look(hub: &Hub, list: List, passed: &mut Passed, limit: i64) -> Result<(), Error> {
    let come = {
        let mut on = hub.db.reader().acquire().await?;
        list.timetable().come(&mut on, list.now_ms(hub), passed, limit).await?
    };
    if list == List::Moments {
        metrics::gauge!("hub_due_waiting").set(as_f64(i64::try_from(come.len()).unwrap_or(i64::MAX)));
    }
    *passed = page::next(come.len(), limit, come.last().cloned()).unwrap_or_default();
    for (_, key) in come {
        if let Err(error) = list.say(hub, &key).await {
            metrics::counter!("hub_due_failures_total").increment(1);
            tracing::error!(%error, list = list.name(), %key, "what is due could not be said; it is tried again");
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "metrics are floating-point by their format")]
const fn as_f64(value: i64) -> f64 {
    value as f64
}
