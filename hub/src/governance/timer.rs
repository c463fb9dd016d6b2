//! Proposals whose window is over: they are counted, and a record of the hub says what came of it.

use super::{
    room,
    store::{self, corrupt},
};
use crate::{
    Hub,
    error::Error,
    records::{Draft, RecordId, Stamp, say},
    scheduler::Timetable,
};

/// Proposals whose window ends.
pub(crate) const PROPOSALS: Timetable =
    Timetable { table: "proposals", open: "state = 'open'", at: "closes_at", key: "id" };

/// Says what has been decided.
pub(crate) async fn say_tally(hub: &Hub, id: &str) -> Result<(), Error> {
    let id: RecordId = id.parse().map_err(corrupt)?;
    let (proposal, body) = {
        let mut on = hub.db.reader().acquire().await?;
        let Some(proposal) = store::proposal(&mut on, &id).await? else { return Ok(()) };
        let body = room::count(&mut on, &proposal, proposal.body.closes.ms()).await?;
        (proposal, body)
    };
    let body = serde_json::to_value(body).map_err(corrupt)?;
    let draft = Draft::new("tally@1", Some(hub.account), Stamp::from_ms(hub.clock.now_ms()), body)
        .about(id)
        .only_for(proposal.audience);
    say(hub, &draft).await.map(drop)
}
