//! What the hub holds of the chain's events about its deals: of each one the newest telling.
//!
//! For the price of a transaction a party adds to the events of its deal (what it shows, what it concedes) as often as it likes. So
//! nothing but [`all`], which is for a fold from the start, reads all of them.

use alloy::primitives::B256;
use protocol::{
    chain::{Address, event_order},
    wire::feed::{ChainEvent, EventBody, FeedEntry, Finality},
};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};

use super::store::{corrupt, json, text};
use crate::{error::Error, ledger};

/// Among how many of the final events that were told last the newest one is looked for: those of one slot of Solana are told in an
/// order that is not the chain's.
const NEWEST_AMONG: i64 = 100;

pub(super) const fn finality_name(finality: Finality) -> &'static str {
    match finality {
        Finality::Seen => "seen",
        Finality::Safe => "safe",
        Finality::Final => "final",
        Finality::Retracted => "retracted",
    }
}

fn finality(row: &AnyRow) -> Result<Finality, Error> {
    let name: String = row.try_get("finality")?;
    [Finality::Seen, Finality::Safe, Finality::Final, Finality::Retracted]
        .into_iter()
        .find(|finality| finality_name(*finality) == name)
        .ok_or_else(|| corrupt(format_args!("finality {name}")))
}

/// How settled an event of one of the hub's deals is to the hub.
pub(super) async fn told(on: &mut AnyConnection, event: B256) -> Result<Option<Finality>, Error> {
    let row = sqlx::query("SELECT finality FROM chain_events WHERE event = $1")
        .bind(event.to_string())
        .fetch_optional(on)
        .await?;
    row.as_ref().map(finality).transpose()
}

/// Whether it is on record that a final event left the chain.
pub(super) async fn is_undone(on: &mut AnyConnection, event: B256) -> Result<bool, Error> {
    let undone: Option<i64> = sqlx::query_scalar("SELECT undone FROM chain_events WHERE event = $1")
        .bind(event.to_string())
        .fetch_optional(on)
        .await?;
    Ok(undone == Some(1))
}

/// It is on record that a final event left the chain.
pub(super) async fn undo(on: &mut AnyConnection, event: B256) -> Result<(), Error> {
    sqlx::query("UPDATE chain_events SET undone = 1 WHERE event = $1")
        .bind(event.to_string())
        .execute(on)
        .await?;
    Ok(())
}

/// Whose word an event is by which a party shows something; empty for every other one.
fn party(body: &EventBody) -> Result<String, Error> {
    match body {
        EventBody::Disputed { by, .. } | EventBody::Evidence { by, .. } => text(by),
        _ => Ok(String::new()),
    }
}

/// Keeps the newest telling of an event of one of the hub's deals, which has the place `seq` in the log.
pub(super) async fn keep(
    on: &mut AnyConnection,
    deal: B256,
    entry: &FeedEntry,
    seq: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO chain_events (event, deal, finality, seq, body, name, party)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (event) DO UPDATE SET finality = excluded.finality, seq = excluded.seq",
    )
    .bind(entry.event.id.to_string())
    .bind(deal.to_string())
    .bind(finality_name(entry.finality))
    .bind(seq)
    .bind(text(&entry.event)?)
    .bind(entry.event.body.name())
    .bind(party(&entry.event.body)?)
    .execute(on)
    .await?;
    Ok(())
}

/// Events of whichever deals that are neither final nor taken back, each with its place, from behind `after` in the log, ascending.
pub(super) async fn unsettled(
    on: &mut AnyConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, ChainEvent)>, Error> {
    let rows = sqlx::query(
        "SELECT seq, body FROM chain_events WHERE finality IN ('seen', 'safe') AND seq > $1 ORDER BY seq LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("seq")?, json(row, "body")?))).collect()
}

/// The deal's events with how settled each is, in the order in which they were told, without those that were taken back. What is more
/// settled comes first, for the feed tells events of a block again as they settle, in their order.
pub(super) async fn all(on: &mut AnyConnection, deal: B256) -> Result<Vec<(Finality, ChainEvent)>, Error> {
    first(on, deal, &[Finality::Final, Finality::Safe, Finality::Seen], i64::MAX).await
}

/// As [`all`], of events of these levels, one level after the other, and `limit` at most.
pub(super) async fn first(
    on: &mut AnyConnection,
    deal: B256,
    levels: &[Finality],
    limit: i64,
) -> Result<Vec<(Finality, ChainEvent)>, Error> {
    let (mut found, mut left) = (Vec::new(), limit);
    for level in levels {
        let rows = sqlx::query(
            "SELECT body FROM chain_events WHERE deal = $1 AND finality = $2 ORDER BY seq LIMIT $3",
        )
        .bind(deal.to_string())
        .bind(finality_name(*level))
        .bind(left)
        .fetch_all(&mut *on)
        .await?;
        left = left.saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        for row in &rows {
            found.push((*level, json(row, "body")?));
        }
    }
    Ok(found)
}

/// The deal's final events of these names, in the order in which they were told.
pub(crate) async fn named(
    on: &mut AnyConnection,
    deal: B256,
    names: &[&str],
) -> Result<Vec<ChainEvent>, Error> {
    // How settled they are is no condition, or SQLite would look at all final ones.
    let sql = format!(
        "SELECT finality, body FROM chain_events WHERE deal = $2 AND name IN {} ORDER BY seq",
        ledger::texts(on)
    );
    let rows =
        sqlx::query(AssertSqlSafe(sql)).bind(text(&names)?).bind(deal.to_string()).fetch_all(on).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        if finality(row)? == Finality::Final {
            found.push(json(row, "body")?);
        }
    }
    Ok(found)
}

/// What a party has shown by final events of this name, in the order in which they were told, the first `limit`.
pub(crate) async fn shown_by(
    on: &mut AnyConnection,
    deal: B256,
    (party, name): (&Address, &str),
    limit: i64,
) -> Result<Vec<ChainEvent>, Error> {
    let rows = sqlx::query(
        "SELECT body FROM chain_events WHERE deal = $1 AND name = $2 AND party = $3 AND finality = 'final'
         ORDER BY seq LIMIT $4",
    )
    .bind(deal.to_string())
    .bind(name)
    .bind(text(party)?)
    .bind(limit)
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| json(row, "body")).collect()
}

/// Events of a deal without those that were taken back, each with its place, in the order in which they were told last, from behind
/// `after` in the log.
pub(super) async fn page(
    on: &mut AnyConnection,
    deal: B256,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Finality, ChainEvent)>, Error> {
    // One level after the other, each in its order, or all of the deal's would be looked at.
    let of = |level: Finality| {
        let level = finality_name(level);
        format!(
            "SELECT * FROM (SELECT seq, finality, body FROM chain_events
             WHERE deal = $1 AND finality = '{level}' AND seq > $2 ORDER BY seq LIMIT $3) AS told_{level}"
        )
    };
    let levels = [Finality::Final, Finality::Safe, Finality::Seen].map(of).join(" UNION ALL ");
    let rows = sqlx::query(AssertSqlSafe(format!("{levels} ORDER BY seq LIMIT $3")))
        .bind(deal.to_string())
        .bind(after)
        .bind(limit)
        .fetch_all(on)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("seq")?, finality(row)?, json(row, "body")?))).collect()
}

/// The newest final event of a deal, in the chain's order.
pub(super) async fn newest(on: &mut AnyConnection, deal: B256) -> Result<Option<B256>, Error> {
    let rows = sqlx::query(
        "SELECT body FROM chain_events WHERE deal = $1 AND finality = 'final' ORDER BY seq DESC LIMIT $2",
    )
    .bind(deal.to_string())
    .bind(NEWEST_AMONG)
    .fetch_all(on)
    .await?;
    // The one that was told last, among several of the same place.
    let told = rows.iter().rev().map(|row| json(row, "body")).collect::<Result<Vec<ChainEvent>, _>>()?;
    let order = |event: &ChainEvent| event_order(event.chain(), event.block_number, event.log_index);
    Ok(told.into_iter().max_by_key(order).map(|event| event.id))
}
