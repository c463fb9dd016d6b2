//! Grievances whose time is over. When that is stands in their table from the transaction that began it; this loop only looks
//! which are over and says so by a record of the hub. A jury's vote ends with its tally, which the governance room says.

use std::time::Duration;

use super::{
    model::TimeoutBody,
    store::{self, corrupt},
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

/// Looks at the clock until the hub stops. What fails is tried again at the next look.
pub(crate) async fn run(hub: Hub) {
    while hub.stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        if let Err(error) = go_on(&hub).await {
            tracing::error!(%error, "grievances whose time is over could not be read; it is tried again");
        }
    }
}

/// Says whose time is over.
pub(super) async fn go_on(hub: &Hub) -> Result<(), Error> {
    let over = {
        let mut on = hub.db.reader().acquire().await?;
        store::over(&mut on, hub.windows.now_ms(), AT_ONCE).await?
    };
    for grievance in over {
        if let Err(error) = tell(hub, &grievance).await {
            metrics::counter!("hub_due_failures_total").increment(1);
            tracing::error!(%error, %grievance, "that a grievance's time is over could not be said; it is tried again");
        }
    }
    Ok(())
}

async fn tell(hub: &Hub, id: &RecordId) -> Result<(), Error> {
    let Some(found) = store::one(&mut *hub.db.reader().acquire().await?, id).await? else { return Ok(()) };
    let Some(due_at) = found.due_at else { return Ok(()) };
    let body = serde_json::to_value(TimeoutBody { state: found.state }).map_err(corrupt)?;
    let parties = [found.complainant, found.body.respondent].map(Audience::Account).to_vec();
    // Dated when its time was over, so that whoever says it says the same record, which the log takes once.
    let draft = Draft::new("grievance-timeout@1", Some(hub.account), Stamp::from_ms(due_at), body);
    say(hub, &draft.about(*id).only_for(parties)).await.map(drop)
}
