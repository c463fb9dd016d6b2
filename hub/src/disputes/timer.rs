//! Moments that come by the clock. They stand in a table from the transaction that made them; this loop only looks which
//! have come and says so by a record of the hub, whose effects are the room's.

use std::time::Duration;

use super::{
    room::DueBody,
    store::{self, Due},
};
use crate::{
    Hub,
    deals::store as purchases,
    error::Error,
    records::{Draft, Stamp, say},
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
                for due in due {
                    if let Err(error) = tell(&hub, due).await {
                        tracing::error!(%error, deal = %due.deal, "what is due could not be said; it is tried again");
                    }
                }
            }
            Err(error) => tracing::error!(%error, "what is due could not be read; it is tried again"),
        }
    }
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
    let draft = Draft::new("due@1", Some(hub.account), Stamp::from_ms(hub.clock.now_ms()), body)
        .about(purchase.id)
        .only_for(purchase.parties());
    say(hub, &draft).await.map(drop)
}
