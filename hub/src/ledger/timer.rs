//! Holds whose time is over. They stand in their table from the transaction that made them; this loop only looks which
//! are over and says so by a record of the hub.

use std::time::Duration;

use super::{
    model::OperationId,
    room::{ReleaseBody, owner},
    store::{self, Passed, corrupt},
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

/// Looks at the clock until the hub stops. What fails is tried again when all others have had their turn.
pub(crate) async fn run(hub: Hub) {
    let mut passed = Passed::default();
    while hub.stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        if let Err(error) = expire(&hub, &mut passed, AT_ONCE).await {
            tracing::error!(%error, "holds whose time is over could not be read; it is tried again");
        }
    }
}

/// Says which holds are over, at most `limit` of those after `passed`, which goes on to the last of them; at the end back to
/// the first.
pub(super) async fn expire(hub: &Hub, passed: &mut Passed, limit: i64) -> Result<(), Error> {
    let over = {
        let mut on = hub.db.reader().acquire().await?;
        store::over(&mut on, hub.windows.now_ms(), passed, limit).await?
    };
    let full = i64::try_from(over.len()).is_ok_and(|found| found >= limit);
    *passed = over.last().filter(|_| full).cloned().unwrap_or_default();
    for (_, hold) in over {
        if let Err(error) = tell(hub, &hold).await {
            metrics::counter!("hub_due_failures_total").increment(1);
            tracing::error!(%error, %hold, "the end of a hold could not be said; it is tried again");
        }
    }
    Ok(())
}

async fn tell(hub: &Hub, hold: &str) -> Result<(), Error> {
    let id: OperationId = hold.parse().map_err(corrupt)?;
    let found = store::hold(&mut *hub.db.reader().acquire().await?, &id).await?;
    let Some(found) = found else { return Ok(()) };
    let parties = [found.from, found.to].iter().filter_map(owner).map(Audience::Account).collect();
    let body = serde_json::to_value(ReleaseBody {}).map_err(corrupt)?;
    // Dated when it expired, so that whoever says it says the same record, which the log takes once.
    let draft = Draft::new("expiry@1", Some(hub.account), Stamp::from_ms(found.expires_at), body)
        .about(id.record)
        .only_for(parties);
    say(hub, &draft).await.map(drop)
}
