//! Moments that come by the clock, and that they have come, said by a record of the hub.

use alloy::primitives::B256;
use protocol::wire::act::TimeOut;

use super::{room::DueBody, store::Due};
use crate::{
    Hub,
    deals::{
        orders::TimeOutBody,
        store::{self as purchases, Purchase, corrupt},
    },
    error::Error,
    records::{Draft, Stamp, say},
    scheduler::Timetable,
};

/// Moments of cases.
pub(crate) const MOMENTS: Timetable = Timetable {
    table: "due",
    open: "TRUE",
    at: "at",
    key: "deal || ' ' || what || ' ' || CAST(instance AS TEXT) || ' ' || CAST(jury AS TEXT)",
};

/// Time-outs that parties asked for.
pub(crate) const TIME_OUTS: Timetable =
    Timetable { table: "time_outs", open: "TRUE", at: "at", key: "deal || ' ' || time_out" };

/// A moment as its key tells it.
fn moment(key: &str) -> Option<Due> {
    let mut parts = key.split(' ');
    let deal = parts.next()?.parse().ok()?;
    let what = parts.next()?.parse().ok()?;
    let instance = parts.next()?.parse().ok()?;
    let jury = parts.next()?.parse().ok()?;
    Some(Due { deal, what, instance, jury })
}

/// A time-out as its key tells it.
fn time_out(key: &str) -> Option<(B256, TimeOut)> {
    let (deal, time_out) = key.split_once(' ')?;
    Some((deal.parse().ok()?, time_out.parse().ok()?))
}

/// The moment of this key has come.
pub(crate) async fn say_moment(hub: &Hub, key: &str) -> Result<(), Error> {
    let Due { deal, what, instance, jury } =
        moment(key).ok_or_else(|| corrupt(format_args!("{key} is no moment")))?;
    let purchase = purchases::by_deal(&mut *hub.db.reader().acquire().await?, deal).await?;
    let Some(purchase) = purchase else {
        return Err(corrupt(format_args!("a moment is kept for the unknown deal {deal}")));
    };
    let body = serde_json::to_value(DueBody { what, instance, jury }).map_err(corrupt)?;
    say_due(hub, &purchase, body).await
}

/// The time-out of this key has come.
pub(crate) async fn say_time_out(hub: &Hub, key: &str) -> Result<(), Error> {
    let (deal, time_out) = time_out(key).ok_or_else(|| corrupt(format_args!("{key} is no time-out")))?;
    let purchase = purchases::by_deal(&mut *hub.db.reader().acquire().await?, deal).await?;
    let Some(purchase) = purchase else { return Ok(()) };
    let body = serde_json::to_value(TimeOutBody { time_out }).map_err(corrupt)?;
    say_due(hub, &purchase, body).await
}

async fn say_due(hub: &Hub, purchase: &Purchase, body: serde_json::Value) -> Result<(), Error> {
    let draft = Draft::new("due@1", Some(hub.account), Stamp::from_ms(hub.clock.now_ms()), body)
        .about(purchase.id)
        .only_for(purchase.parties());
    say(hub, &draft).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disputes::moments::What;

    #[test]
    fn a_key_tells_what_it_is_of() {
        let deal = B256::repeat_byte(7);
        let due = Due { deal, what: What::DrawJury, instance: 1, jury: 2 };
        assert_eq!(moment(&format!("{deal} draw_jury 1 2")), Some(due));
        assert_eq!(time_out(&format!("{deal} lapse")), Some((deal, TimeOut::Lapse)));
        let (short, long) = (format!("{deal} draw_jury 1"), format!("{deal} draw_jury 1 256"));
        for bad in ["", "x draw_jury 1 2", &short, &long] {
            assert_eq!(moment(bad), None, "{bad}");
            assert_eq!(time_out(bad), None, "{bad}");
        }
    }
}
