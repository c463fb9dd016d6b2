//! Grievances whose time is over. When that is stands in their table from the transaction that began it; this loop only looks
//! which are over and says so by a record of the hub. A jury's vote ends with its tally, which the governance room says.

use std::time::Duration;

use super::{
    model::TimeoutBody,
    store::{self, Passed, corrupt},
};
use crate::{
    Hub,
    access::Audience,
    error::Error,
    records::{Draft, RecordId, Stamp, say},
};

/// How often the clock is looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// The most grievances of one look.
const AT_ONCE: i64 = 100;

/// Looks at the clock until the hub stops. What fails is tried again when all others have had their turn.
pub(crate) async fn run(hub: Hub) {
    let mut passed = Passed::default();
    while hub.stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        if let Err(error) = go_on(&hub, &mut passed, AT_ONCE).await {
            tracing::error!(%error, "grievances whose time is over could not be read; it is tried again");
        }
    }
}

/// Says whose time is over, at most `limit` of those after `passed`, which goes on to the last of them; at the end back to the first.
pub(super) async fn go_on(hub: &Hub, passed: &mut Passed, limit: i64) -> Result<(), Error> {
    let over = {
        let mut on = hub.db.reader().acquire().await?;
        store::over(&mut on, hub.windows.now_ms(), passed, limit).await?
    };
    let full = i64::try_from(over.len()).is_ok_and(|found| found >= limit);
    *passed = over.last().filter(|_| full).cloned().unwrap_or_default();
    for (_, grievance) in over {
        if let Err(error) = tell(hub, &grievance).await {
            metrics::counter!("hub_due_failures_total").increment(1);
            tracing::error!(%error, %grievance, "that a grievance's time is over could not be said; it is tried again");
        }
    }
    Ok(())
}

async fn tell(hub: &Hub, grievance: &str) -> Result<(), Error> {
    let id: RecordId = grievance.parse().map_err(corrupt)?;
    let Some(found) = store::one(&mut *hub.db.reader().acquire().await?, &id).await? else { return Ok(()) };
    let Some(due_at) = found.due_at else { return Ok(()) };
    let body = serde_json::to_value(TimeoutBody { state: found.state }).map_err(corrupt)?;
    let parties = [found.complainant, found.body.respondent].map(Audience::Account).to_vec();
    // Dated when its time was over, so that whoever says it says the same record, which the log takes once.
    let draft = Draft::new("grievance-timeout@1", Some(hub.account), Stamp::from_ms(due_at), body);
    say(hub, &draft.about(id).only_for(parties)).await.map(drop)
}
