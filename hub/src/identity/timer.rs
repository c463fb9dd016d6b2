//! Recoveries whose time is over, as a record of the hub says.

use serde_json::json;

use super::{room::readers, standing, store::parse};
use crate::{
    Hub,
    error::Error,
    records::{Draft, RecordId, Stamp, say},
    scheduler::Timetable,
};

/// Recoveries whose time ends.
pub(crate) const RECOVERIES: Timetable =
    Timetable { table: "recoveries", open: "stage IN ('asked', 'waiting')", at: "ends_at", key: "id" };

/// Says that the time of one is over.
pub(crate) async fn say_end(hub: &Hub, id: &str) -> Result<(), Error> {
    let id: RecordId = parse(id)?;
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
