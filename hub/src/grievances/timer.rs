//! Grievances whose time is over, as a record of the hub says. A jury's vote ends with its tally, which the governance room says.

use super::{
    model::TimeoutBody,
    store::{self, corrupt},
};
use crate::{
    Hub,
    access::Audience,
    error::Error,
    records::{Draft, RecordId, Stamp, say},
    scheduler::Timetable,
};

/// Grievances whose time ends.
pub(crate) const GRIEVANCES: Timetable =
    Timetable { table: "grievances", open: "due_at IS NOT NULL", at: "due_at", key: "id" };

/// Says that the time of one is over.
pub(crate) async fn say_timeout(hub: &Hub, grievance: &str) -> Result<(), Error> {
    let id: RecordId = grievance.parse().map_err(corrupt)?;
    let Some(found) = store::one(&mut *hub.db.reader().acquire().await?, &id).await? else { return Ok(()) };
    let Some(due_at) = found.due_at else { return Ok(()) };
    let body = serde_json::to_value(TimeoutBody { state: found.state }).map_err(corrupt)?;
    let parties = [found.complainant, found.body.respondent].map(Audience::Account).to_vec();
    // Dated when its time was over, so that whoever says it says the same record, which the log takes once.
    let draft = Draft::new("grievance-timeout@1", Some(hub.account), Stamp::from_ms(due_at), body);
    say(hub, &draft.about(id).only_for(parties)).await.map(drop)
}
