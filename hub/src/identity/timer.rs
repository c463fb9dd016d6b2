//! Recoveries whose time is over. They stand in their table from the transaction that made them; this loop only looks which
//! are over and says so by a record of the hub.

use std::time::Duration;

use serde_json::json;

use super::{room::readers, standing};
use crate::{
    Hub,
    error::Error,
    records::{Draft, RecordId, Stamp, say},
};

/// How often the clock is looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// The most recoveries of one look.
const AT_ONCE: i64 = 100;

/// Looks at the clock until the hub stops. What fails is tried again at the next look.
pub(crate) async fn run(hub: Hub) {
    while hub.stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        if let Err(error) = end(&hub).await {
            tracing::error!(%error, "recoveries whose time is over could not be read; it is tried again");
        }
    }
}

pub(super) async fn end(hub: &Hub) -> Result<(), Error> {
    let over = {
        let mut on = hub.db.reader().acquire().await?;
        standing::over(&mut on, hub.windows.now_ms(), AT_ONCE).await?
    };
    for recovery in over {
        if let Err(error) = tell(hub, recovery).await {
            metrics::counter!("hub_due_failures_total").increment(1);
            tracing::error!(%error, %recovery, "the end of a recovery could not be said; it is tried again");
        }
    }
    Ok(())
}

async fn tell(hub: &Hub, id: RecordId) -> Result<(), Error> {
    let readers = {
        let mut on = hub.db.reader().acquire().await?;
        let Some((account, recovery)) = standing::recovery(&mut on, &id).await? else { return Ok(()) };
        let rule = standing::rule(&mut on, &account).await?;
        readers(account, rule.as_ref(), &recovery)
    };
    let now = Stamp::from_ms(hub.clock.now_ms());
    let draft = Draft::new("recovery-end@1", Some(hub.account), now, json!({})).about(id).only_for(readers);
    say(hub, &draft).await.map(drop)
}
