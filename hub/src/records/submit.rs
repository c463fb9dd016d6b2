//! The one way in: size and schema → proof → access → what must be read from outside → the room's rule and its effects,
//! in one transaction with the log entry. A refused record leaves nothing behind.

use std::collections::VecDeque;

use serde_json::Value;
use service::{db::Write, failpoint};

use super::{
    erasure,
    log::{self, Accepted},
    record::{Draft, Record},
    schema,
};
use crate::{
    Hub,
    error::{Error, Refusal},
    identity,
    rooms::Room,
};

/// How far ahead of the hub's clock a record may be dated, in milliseconds.
const AHEAD_MAX_MS: i64 = 5 * 60 * 1000;
/// How far back the hub's clock may step without entries going back with it, in milliseconds.
const BACK_MAX_MS: i64 = 5 * 60 * 1000;
/// How many records of the hub may follow from one record.
const FOLLOW_UPS_MAX: usize = 64;

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submitted {
    /// Its entry.
    pub accepted: Accepted,
    /// Whether it was new.
    pub new: bool,
}

/// Takes a signed record. The same record again answers its first entry and changes nothing.
///
/// # Errors
/// [`Error::Refused`] with step, rule and field; the database or the indexer fails.
pub(crate) async fn submit(hub: &Hub, received: &Value) -> Result<Submitted, Error> {
    let submitted = take(hub, received).await;
    match &submitted {
        Ok(Submitted { accepted, new: true }) => {
            metrics::counter!("hub_records_total", "type" => accepted.record.kind.clone()).increment(1);
        }
        Ok(_) => {}
        Err(Error::Refused(refusal)) => {
            metrics::counter!("hub_records_refused_total", "step" => refusal.step.name()).increment(1);
        }
        Err(_) => metrics::counter!("hub_records_failed_total").increment(1),
    }
    submitted
}

async fn take(hub: &Hub, received: &Value) -> Result<Submitted, Error> {
    let (record, canonical) = schema::read(received)?;
    let room = Room::of(&record.kind).ok_or_else(|| {
        Refusal::schema("type", "/type", format!("`{:.60}` is not a type of this hub", record.kind))
    })?;
    room.check(&record)?;
    schema::genuine(&record, received)?;
    let now = hub.clock.now_ms();
    {
        let mut reader = hub.db.reader().acquire().await?;
        if let Some(accepted) = log::find(&mut reader, &record.id).await? {
            return Ok(Submitted { accepted, new: false });
        }
        if record.created.ms() > now.saturating_add(AHEAD_MAX_MS) {
            return Err(Refusal::schema(
                "created",
                "/created",
                format!("{} is more than 5 minutes ahead of this hub's clock", record.created),
            )
            .into());
        }
        if let Some(limit) = Room::good_for_ms(&record.kind)
            && record.created.ms() < now.saturating_sub(limit)
        {
            let minutes = limit.checked_div(60_000).unwrap_or(limit);
            let told = format!(
                "{} is more than {minutes} minutes ago, too old for a {}: sign it anew",
                record.created, record.kind
            );
            return Err(Refusal::schema("too_old", "/created", told).into());
        }
        if record.about.is_some() && Room::is_about_nothing(&record.kind) {
            let told = format!("a {} is about no other record: null", record.kind);
            return Err(Refusal::schema("about", "/about", told).into());
        }
        // Before any read from outside, so that only those who may speak cause one; decided again below.
        identity::admit(&mut reader, hub, &record, now).await?;
    }
    let facts = room.prepare(hub, &record).await?;
    let mut write = hub.db.begin().await?;
    if let Some(accepted) = log::find(write.on(), &record.id).await? {
        return Ok(Submitted { accepted, new: false });
    }
    let now = not_before(log::last_received(write.on()).await?, hub.clock.now_ms());
    identity::admit(write.on(), hub, &record, now).await?;
    room.admit(write.on(), &record).await?;
    identity::use_up_nonce(write.on(), hub, &record, now).await?;
    let accepted = accept(hub, &mut write, room, record, &canonical, facts, now).await?;
    failpoint::pass(&["hub", &accepted.record.kind, "before"]);
    write.commit().await?;
    failpoint::pass(&["hub", &accepted.record.kind, "after"]);
    hub.wake();
    if accepted.record.kind == erasure::KIND {
        erasure::settle(hub).await;
    }
    Ok(Submitted { accepted, new: true })
}

/// The time of an entry: the clock's, or that of the entry before while the clock stands a little behind it, so that what was over
/// is not open again. A clock that was far ahead is not believed for ever.
const fn not_before(last: i64, now: i64) -> i64 {
    if last > now && last.saturating_sub(now) <= BACK_MAX_MS { last } else { now }
}

/// The hub says something of its own, signed with its key and under its account.
///
/// # Errors
/// As [`submit`].
pub(crate) async fn say(hub: &Hub, draft: &Draft) -> Result<Submitted, Error> {
    let signed = draft.sign(&hub.key).map_err(|error| Error::Corrupt(error.to_string()))?;
    submit(hub, &signed).await
}

/// Log entry and effects; then, in the same transaction, the records of the hub that follow from it. A replay finds
/// those in the log, so it does not say them again.
async fn accept(
    hub: &Hub,
    write: &mut Write,
    room: Room,
    record: Record,
    canonical: &str,
    facts: Value,
    now: i64,
) -> Result<Accepted, Error> {
    if record.kind == erasure::KIND || Room::is_erasable(&record.kind) {
        erasure::overwrite(hub.db.engine(), write.on()).await?;
    }
    let accepted = log::append(write.on(), record, canonical, facts, now, rand::random()).await?;
    let mut following = VecDeque::from(room.apply(hub, write, &accepted).await?);
    if accepted.record.kind == erasure::KIND {
        erasure::take_away(write.on(), &accepted.record).await?;
    }
    let mut said = 0_usize;
    while let Some(draft) = following.pop_front() {
        said = said.saturating_add(1);
        if said > FOLLOW_UPS_MAX {
            return Err(Error::Corrupt(format!("more than {FOLLOW_UPS_MAX} records follow from one")));
        }
        let signed = draft.sign(&hub.key).map_err(|error| Error::Corrupt(error.to_string()))?;
        let (record, canonical) = schema::read(&signed)?;
        let room = Room::of(&record.kind)
            .ok_or_else(|| Error::Corrupt(format!("the hub says {} and has no room for it", record.kind)))?;
        room.check(&record)?;
        let next = log::append(write.on(), record, &canonical, Value::Null, now, rand::random()).await?;
        following.extend(room.apply(hub, write, &next).await?);
    }
    Ok(accepted)
}
