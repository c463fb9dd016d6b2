//! Proposals whose window is over. They stand in their table from the transaction that opened them; this loop only looks
//! which are over, counts, and says so by a record of the hub.

use std::time::Duration;

use super::{
    room,
    store::{self, Passed, corrupt},
};
use crate::{
    Hub,
    error::Error,
    records::{Draft, RecordId, Stamp, say},
};

/// How often the clock is looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// The most proposals of one look.
const AT_ONCE: i64 = 100;

/// Looks at the clock until the hub stops. What fails is tried again when all others have had their turn.
pub(crate) async fn run(hub: Hub) {
    let mut passed = Passed::default();
    while hub.stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        if let Err(error) = close(&hub, &mut passed, AT_ONCE).await {
            tracing::error!(%error, "proposals whose window is over could not be read; it is tried again");
        }
    }
}

/// Says what has been decided, of at most `limit` of those after `passed`, which goes on to the last of them; at the end back to the
/// first.
pub(crate) async fn close(hub: &Hub, passed: &mut Passed, limit: i64) -> Result<(), Error> {
    let over = {
        let mut on = hub.db.reader().acquire().await?;
        store::over(&mut on, hub.windows.now_ms(), passed, limit).await?
    };
    let full = i64::try_from(over.len()).is_ok_and(|found| found >= limit);
    *passed = over.last().filter(|_| full).cloned().unwrap_or_default();
    for (_, proposal) in over {
        if let Err(error) = tell(hub, &proposal).await {
            metrics::counter!("hub_due_failures_total").increment(1);
            tracing::error!(%error, %proposal, "a tally could not be said; it is tried again");
        }
    }
    Ok(())
}

async fn tell(hub: &Hub, id: &str) -> Result<(), Error> {
    let id: RecordId = id.parse().map_err(corrupt)?;
    let (proposal, body) = {
        let mut on = hub.db.reader().acquire().await?;
        let Some(proposal) = store::proposal(&mut on, &id).await? else { return Ok(()) };
        let body = room::count(&mut on, &proposal).await?;
        (proposal, body)
    };
    let body = serde_json::to_value(body).map_err(corrupt)?;
    let draft = Draft::new("tally@1", Some(hub.account), Stamp::from_ms(hub.clock.now_ms()), body)
        .about(id)
        .only_for(proposal.audience);
    say(hub, &draft).await.map(drop)
}
