//! Holds whose time is over. They stand in their table from the transaction that made them; this loop only looks which
//! are over and says so by a record of the hub.

use std::time::Duration;

use super::{
    model::OperationId,
    room::{ReleaseBody, owner},
    store::{self, corrupt},
};
use crate::{
    Hub,
    access::Audience,
    error::Error,
    records::{Draft, Stamp, say},
};

/// How often the clock is looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// The most holds of one look.
const AT_ONCE: i64 = 100;

/// Looks at the clock until the hub stops. What fails is tried again at the next look.
pub(crate) async fn run(hub: Hub) {
    while hub.stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        if let Err(error) = expire(&hub).await {
            tracing::error!(%error, "holds whose time is over could not be read; it is tried again");
        }
    }
}

/// Says which holds are over.
pub(super) async fn expire(hub: &Hub) -> Result<(), Error> {
    let over = {
        let mut on = hub.db.reader().acquire().await?;
        store::over(&mut on, hub.clock.now_ms(), AT_ONCE).await?
    };
    for hold in over {
        if let Err(error) = tell(hub, &hold).await {
            metrics::counter!("hub_due_failures_total").increment(1);
            tracing::error!(%error, %hold, "the end of a hold could not be said; it is tried again");
        }
    }
    Ok(())
}

async fn tell(hub: &Hub, hold: &OperationId) -> Result<(), Error> {
    let found = store::hold(&mut *hub.db.reader().acquire().await?, hold).await?;
    let Some(found) = found else { return Ok(()) };
    let parties = [found.from, found.to].iter().filter_map(owner).map(Audience::Account).collect();
    let body = serde_json::to_value(ReleaseBody {}).map_err(corrupt)?;
    let draft = Draft::new("expiry@1", Some(hub.account), Stamp::from_ms(hub.clock.now_ms()), body)
        .about(hold.record)
        .only_for(parties);
    say(hub, &draft).await.map(drop)
}
