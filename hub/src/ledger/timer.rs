//! Holds whose time is over, as a record of the hub says.

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
    scheduler::Timetable,
};

/// Holds whose time ends.
pub(crate) const HOLDS: Timetable =
    Timetable { table: "ledger_holds", open: "state = 'open'", at: "expires_at", key: "id" };

/// Says that a hold is over.
pub(crate) async fn say_expiry(hub: &Hub, hold: &str) -> Result<(), Error> {
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
