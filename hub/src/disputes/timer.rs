//! Moments that come by the clock. They stand in a table from the transaction that made them; this loop only looks which
//! have come and says so by a record of the hub, whose effects are the room's.

use std::time::Duration;

use protocol::wire::act::TimeOut;

use super::{
    room::DueBody,
    store::{self, Due},
};
use crate::{
    Hub,
    deals::{
        orders::{self, TimeOutBody},
        store::{self as purchases, Purchase},
    },
    error::Error,
    records::{Draft, RecordId, Stamp, say},
};

/// How often the clock is looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// The most moments of one look.
const AT_ONCE: i64 = 100;

/// Looks at the clock until the hub stops. What fails is tried again at the next look.
pub(crate) async fn run(hub: Hub) {
    while hub.stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        match come(&hub).await {
            Ok(due) => {
                let now_ms = hub.clock.now_ms();
                metrics::gauge!("hub_due_waiting").set(as_f64(i64::try_from(due.len()).unwrap_or(i64::MAX)));
                metrics::gauge!("hub_timer_alive_seconds").set(as_f64(now_ms / 1_000));
                for due in due {
                    if let Err(error) = tell(&hub, due).await {
                        metrics::counter!("hub_due_failures_total").increment(1);
                        tracing::error!(%error, deal = %due.deal, "what is due could not be said; it is tried again");
                    }
                }
            }
            Err(error) => tracing::error!(%error, "what is due could not be read; it is tried again"),
        }
        if let Err(error) = time_outs(&hub).await {
            tracing::error!(%error, "what is due could not be read; it is tried again");
        }
    }
}

/// Says which of the time-outs that parties asked for have come.
async fn time_outs(hub: &Hub) -> Result<(), Error> {
    let come = {
        let mut on = hub.db.reader().acquire().await?;
        orders::due(&mut on, hub.clock.now_ms(), AT_ONCE).await?
    };
    for (purchase, time_out) in come {
        if let Err(error) = tell_time_out(hub, purchase, time_out).await {
            metrics::counter!("hub_due_failures_total").increment(1);
            tracing::error!(%error, %purchase, "what is due could not be said; it is tried again");
        }
    }
    Ok(())
}

async fn tell_time_out(hub: &Hub, purchase: RecordId, time_out: TimeOut) -> Result<(), Error> {
    let found = purchases::by_id(&mut *hub.db.reader().acquire().await?, &purchase).await?;
    let Some(found) = found else { return Ok(()) };
    let body = serde_json::to_value(TimeOutBody { time_out }).map_err(purchases::corrupt)?;
    say_due(hub, &found, body).await
}

async fn say_due(hub: &Hub, purchase: &Purchase, body: serde_json::Value) -> Result<(), Error> {
    let draft = Draft::new("due@1", Some(hub.account), Stamp::from_ms(hub.clock.now_ms()), body)
        .about(purchase.id)
        .only_for(purchase.parties());
    say(hub, &draft).await.map(drop)
}

#[allow(clippy::cast_precision_loss, reason = "metrics are floating-point by their format")]
const fn as_f64(value: i64) -> f64 {
    value as f64
}

async fn come(hub: &Hub) -> Result<Vec<Due>, Error> {
    store::come(&mut *hub.db.reader().acquire().await?, hub.clock.now_ms(), AT_ONCE).await
}

async fn tell(hub: &Hub, Due { deal, what, instance, jury }: Due) -> Result<(), Error> {
    let purchase = purchases::by_deal(&mut *hub.db.reader().acquire().await?, deal).await?;
    let Some(purchase) = purchase else {
        return Err(purchases::corrupt(format_args!("a moment is kept for the unknown deal {deal}")));
    };
    let body = serde_json::to_value(DueBody { what, instance, jury }).map_err(purchases::corrupt)?;
    say_due(hub, &purchase, body).await
}
