//! From the relayer's delivery to the status of a purchase.
//!
//! Every telling about a deal of this hub is read again from the hub's own indexer first, and becomes a `chain-event@1`
//! of the hub, so that a replay of the log needs neither relayer nor indexer. One about anyone else's deal is let go: the
//! contracts are shared by everybody, and a hub that stored what strangers do there would let them fill its tables.

use axum::http::StatusCode;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use protocol::{
    chain::{ChainId, event_id},
    wire::feed::{Brought, ChainEvent, Delivery, DeliveryReceipt, EventBody, FeedEntry, Finality},
};
use service::{db::Write, http::Problem};
use sqlx::AnyConnection;

use super::{
    events, mirror,
    model::{self, Told},
    orders,
    position::{self, Position},
    store::{self, Provisional, Purchase},
};
use crate::{
    Hub,
    error::Error,
    outbox,
    records::{Accepted, Draft, Stamp, say},
};

/// The most entries of a delivery.
pub(super) const DELIVERY_MAX: usize = 100;
/// Events that the indexer is asked about at one time.
const ASKED_AT_ONCE: usize = 16;
/// How many events that are not final are looked at before the next.
const UNSETTLED_PAGE: i64 = 100;
/// How many events of a deal that are not final make up what is shown as provisional: the first of them.
const UNSETTLED_MAX: i64 = 256;

fn refused(status: StatusCode, rule: &str, detail: String) -> Error {
    Problem::new(status, "delivery", "The delivery is refused at this entry", detail)
        .at("/entries")
        .by_rule(rule)
        .into()
}

/// Takes a delivery entry by entry, in its order. What was taken before a refused entry stays taken: delivering the
/// same again is harmless.
///
/// # Errors
/// An entry that the hub's indexer does not confirm: 425 when the event is not that settled yet, 409 when it does not
/// know the event, 422 when it says otherwise.
pub(super) async fn deliver(hub: &Hub, delivery: &Delivery) -> Result<DeliveryReceipt, Error> {
    // One that its sender gave up may still be under way.
    let _turn = hub.deliveries.lock().await;
    let mut receipt = DeliveryReceipt { applied: 0, duplicates: 0, has: None };
    if let Some(told) = &delivery.brought {
        let has = store::brought(&mut *hub.db.reader().acquire().await?, told.chain).await?;
        receipt.has = Some(has);
        if has.deliveries < told.deliveries {
            tracing::error!(
                chain = %told.chain, has = has.deliveries, brought = told.deliveries,
                "the relayer brought more of the feed than this database has"
            );
            return Ok(receipt);
        }
    }
    for entry in &delivery.entries {
        let count = match take(hub, entry).await? {
            Taken::New => &mut receipt.applied,
            Taken::Known => &mut receipt.duplicates,
            Taken::Foreign => continue,
        };
        *count = count.saturating_add(1);
    }
    if let (Some(told), Some(has)) = (&delivery.brought, &mut receipt.has)
        && !delivery.entries.is_empty()
    {
        let ours = receipt.applied > 0 || receipt.duplicates > 0;
        *has = brought(hub, told, *has, ours).await?;
    }
    Ok(receipt)
}

/// Keeps, after all of it was taken, that a delivery was: whoever has this has the rest. Those about this hub are counted, so that
/// a database that was put back is behind what the relayer knows, also where an entry is refused and `through` stands still.
async fn brought(hub: &Hub, told: &Brought, has: Brought, ours: bool) -> Result<Brought, Error> {
    let goes_on = has.feed == told.feed && has.through <= told.through;
    if !ours && goes_on && has.through == told.through {
        return Ok(has);
    }
    if has.deliveries > 0 && !goes_on {
        let_go(hub, told.chain).await?;
    }
    let has = Brought { deliveries: has.deliveries.saturating_add(1), ..*told };
    let mut write = hub.db.begin().await?;
    store::bring(write.on(), &has).await?;
    write.commit().await?;
    Ok(has)
}

/// Takes back what is not final and unknown to the indexer, whose feed may be another one: it would never be told as retracted.
/// What happened all the same is told again, as final at the latest.
async fn let_go(hub: &Hub, chain: ChainId) -> Result<(), Error> {
    let mut after = 0;
    loop {
        let page = events::unsettled(&mut *hub.db.reader().acquire().await?, after, UNSETTLED_PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        let unsettled = page.into_iter().map(|(_, event)| event).filter(|event| event.chain() == chain);
        let asked = unsettled.map(|event| async {
            let indexed = hub.indexers.event(chain, event.id).await?;
            let there = indexed.is_some_and(|entry| entry.finality != Finality::Retracted);
            Ok::<_, Error>((!there).then_some(event))
        });
        // In their order, so that the records stand in it.
        let left: Vec<ChainEvent> = stream::iter(asked)
            .buffered(ASKED_AT_ONCE)
            .try_filter_map(async |left| Ok(left))
            .try_collect()
            .await?;
        for event in left {
            let purchase = ours(&mut *hub.db.reader().acquire().await?, &event).await?;
            if let Some(purchase) = purchase {
                tracing::warn!(event = %event.id, purchase = %purchase.id, "an event is unknown to another feed");
                // Of no feed: it has no place there.
                record(hub, &purchase, &FeedEntry { seq: 0, finality: Finality::Retracted, event }).await?;
            }
        }
    }
}

/// Says on record what was told of an event of a purchase.
async fn record(hub: &Hub, purchase: &Purchase, entry: &FeedEntry) -> Result<(), Error> {
    let body = serde_json::to_value(recordable(entry)).map_err(store::corrupt)?;
    let now = Stamp::from_ms(hub.clock.now_ms());
    let draft = Draft::new("chain-event@1", Some(hub.account), now, body)
        .about(purchase.id)
        .only_for(purchase.parties());
    say(hub, &draft).await.map(drop)
}

/// What an entry was to the hub.
enum Taken {
    New,
    /// It had it, or what overtook it.
    Known,
    /// About nothing of this hub.
    Foreign,
}

async fn take(hub: &Hub, entry: &FeedEntry) -> Result<Taken, Error> {
    let event = &entry.event;
    let (purchase, held, on_record) = {
        let mut on = hub.db.reader().acquire().await?;
        let held = events::told(&mut on, event.id).await?;
        (ours(&mut on, event).await?, held, events::is_undone(&mut on, event.id).await?)
    };
    let Some(purchase) = purchase else { return Ok(Taken::Foreign) };
    // An operator let the indexer go on past what was final: that is on record, and for people to deal with. Nothing that the
    // final event brought about is undone by itself.
    let undone = held.is_some_and(|held| model::undoes(held, entry.finality));
    if (undone && on_record) || (!undone && !model::supersedes(held, entry.finality)) {
        return Ok(Taken::Known);
    }
    let id = event.id;
    if event_id(event.chain(), event.block_hash, event.transaction, event.log_index) != Ok(id) {
        let detail = format!("event {id}: the id is not that of its chain, block and log index");
        return Err(refused(StatusCode::UNPROCESSABLE_ENTITY, "event_id", detail));
    }
    let Some(indexed) = hub.indexers.event(event.chain(), id).await? else {
        let detail = format!("event {id}: the hub's indexer does not know it");
        return Err(refused(StatusCode::CONFLICT, "event_unknown", detail));
    };
    match model::compare(entry, &indexed) {
        Told::True => {}
        Told::Stale => return Ok(Taken::Known),
        Told::Early => {
            let detail = format!(
                "event {id} is {} to the hub's indexer, not {} yet: deliver it again later",
                events::finality_name(indexed.finality),
                events::finality_name(entry.finality)
            );
            return Err(refused(StatusCode::TOO_EARLY, "event_early", detail));
        }
        Told::False => {
            let detail = format!("event {id}: the hub's indexer says otherwise");
            return Err(refused(StatusCode::UNPROCESSABLE_ENTITY, "event_false", detail));
        }
    }
    if undone {
        tracing::error!(event = %id, purchase = %purchase.id, "a final event left the chain");
        metrics::counter!("hub_final_retracted_total", "chain" => event.chain().to_string()).increment(1);
    }
    record(hub, &purchase, entry).await?;
    Ok(Taken::New)
}

/// As a record can hold it: no record has U+0000 in a text, and a party may have put it into a URI on chain, which must
/// not keep the deal's later events away.
fn recordable(entry: &FeedEntry) -> FeedEntry {
    let mut entry = entry.clone();
    if let EventBody::Evidence { uri, .. } = &mut entry.event.body {
        *uri = uri.replace('\0', "\u{fffd}");
    }
    entry
}

/// The purchase that the event is about; none when it is about nothing of this hub.
async fn ours(on: &mut AnyConnection, event: &ChainEvent) -> Result<Option<Purchase>, Error> {
    let Some(deal) = event.body.deal() else { return Ok(None) };
    let purchase = store::by_deal(on, deal).await?;
    Ok(purchase.filter(|purchase| model::concerns(&purchase.terms, event)))
}

/// The effect of a `chain-event@1`: the newest telling is kept, the purchase stands where all of them put it, and the ledger counts
/// what final ones moved.
pub(super) async fn apply(write: &mut Write, accepted: &Accepted) -> Result<(), Error> {
    let entry: FeedEntry = accepted.record.body_as()?;
    let on = write.on();
    let about = accepted.record.about()?;
    let Some(mut purchase) = store::by_id(on, &about).await? else {
        return Err(store::corrupt(format_args!("chain-event about {about}, which is no purchase")));
    };
    let held = events::told(on, entry.event.id).await?;
    if held.is_some_and(|held| model::undoes(held, entry.finality)) {
        events::undo(on, entry.event.id).await?;
    }
    if model::supersedes(held, entry.finality) {
        events::keep(on, purchase.deal, &entry, accepted.seq).await?;
        let from = (&purchase.position, purchase.waits);
        match position::follow(from, &purchase.terms, &entry) {
            Some(position) => go_on(on, &mut purchase, position, accepted.received_at).await?,
            None => refold(on, &mut purchase, accepted.received_at).await?,
        }
        // Nothing but an event that is final moves what final events add up to.
        mirror::book(on, &mut purchase, accepted).await?;
    }
    Ok(())
}

/// Keeps where final events leave the deal, folds those that are not final over it, and tells both parties.
async fn go_on(
    on: &mut AnyConnection,
    purchase: &mut Purchase,
    position: Position,
    now: i64,
) -> Result<(), Error> {
    let unsettled =
        events::first(on, purchase.deal, &[Finality::Safe, Finality::Seen], UNSETTLED_MAX).await?;
    let (likely, _) = position::fold_on(position, &purchase.terms, unsettled.iter().map(|(_, event)| event));
    let least = unsettled.iter().map(|(finality, _)| *finality).min();
    purchase.waits = false;
    stand(on, purchase, (position, likely), least, now).await
}

/// Folds all of the chain's events over what the parties said, keeps the outcome and tells both parties.
pub(super) async fn refold(on: &mut AnyConnection, purchase: &mut Purchase, now: i64) -> Result<(), Error> {
    let events = events::all(on, purchase.deal).await?;
    let finals = events.iter().filter(|(finality, _)| *finality == Finality::Final);
    let (position, gap) = position::fold(purchase.said, &purchase.terms, finals.map(|(_, event)| event));
    if let Some(gap) = gap {
        tracing::warn!(deal = %purchase.deal, %gap, "the deal's events wait for one that is missing");
    }
    let (likely, _) = position::fold(purchase.said, &purchase.terms, events.iter().map(|(_, event)| event));
    let least = events.iter().map(|(finality, _)| *finality).filter(|f| *f != Finality::Final).min();
    purchase.waits = gap.is_some();
    stand(on, purchase, (position, likely), least, now).await
}

/// Keeps where a deal stands by final events, and where it is likely to, by others that are at least this settled.
async fn stand(
    on: &mut AnyConnection,
    purchase: &mut Purchase,
    (position, likely): (Position, Position),
    least: Option<Finality>,
    now: i64,
) -> Result<(), Error> {
    purchase.provisional =
        least.filter(|_| likely != position).map(|finality| Provisional { position: likely, finality });
    purchase.position = position.settled();
    purchase.updated_at = now;
    store::update(on, purchase).await?;
    orders::schedule(on, purchase, u64::try_from(now.div_euclid(1000)).unwrap_or_default()).await?;
    outbox::append(
        on,
        "purchase",
        &purchase.parties(),
        &serde_json::json!({
            "purchase": purchase.id,
            "deal": purchase.deal,
            "status": purchase.position.status,
            "provisional": purchase.provisional.map(|provisional| provisional.position.status),
        }),
    )
    .await
}
