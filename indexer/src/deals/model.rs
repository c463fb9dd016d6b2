//! How events add up to a deal.

use protocol::wire::{
    feed::{ChainEvent, EventBody},
    view::{Deal, DealStatus},
};

/// A gap in a deal's count of events: what came next is not what was to come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub expected: u8,
    pub found: u8,
}

/// The number that the contract gave the event within its deal, modulo 256; none for events that are not counted.
pub(crate) const fn count_of(body: &EventBody) -> Option<u8> {
    match body {
        EventBody::Funded { .. } => Some(1),
        EventBody::Delivered { count, .. }
        | EventBody::Released { count, .. }
        | EventBody::Refunded { count, .. }
        | EventBody::Disputed { count, .. }
        | EventBody::Evidence { count, .. }
        | EventBody::Reclaimed { count, .. }
        | EventBody::Claimed { count, .. }
        | EventBody::Settled { count, .. }
        | EventBody::Ruled { count, .. }
        | EventBody::Lapsed { count, .. } => Some(*count),
        _ => None,
    }
}

/// The deal after the event, and the gap before it if there is one. An event of a deal whose funding was never seen
/// leaves nothing.
pub(crate) fn fold(before: Option<Deal>, event: &ChainEvent) -> (Option<Deal>, Option<Gap>) {
    let Some(found) = count_of(&event.body) else { return (before, None) };
    let expected = before.as_ref().map_or(1, |deal| deal.count.wrapping_add(1));
    let gap = (found != expected).then_some(Gap { expected, found });
    if let EventBody::Funded { deal, terms } = &event.body {
        let funded = Deal {
            deal: *deal,
            terms: terms.clone(),
            status: DealStatus::Funded,
            closed_by: None,
            released: 0,
            refunded: 0,
            funded_at: event.block_time,
            since: event.block_time,
            share: None,
            count: found,
            complete: gap.is_none(),
        };
        return (Some(funded), gap);
    }
    let Some(mut deal) = before else { return (None, gap) };
    deal.count = found;
    deal.complete = deal.complete && gap.is_none();
    let mut status = deal.status;
    match &event.body {
        EventBody::Delivered { .. } => status = DealStatus::Delivered,
        EventBody::Disputed { .. } => status = DealStatus::Disputed,
        EventBody::Released { released, .. } | EventBody::Claimed { released, .. } => {
            deal.released = *released;
        }
        EventBody::Refunded { refunded, .. } | EventBody::Reclaimed { refunded, .. } => {
            deal.refunded = *refunded;
        }
        EventBody::Settled { released, refunded, .. } | EventBody::Lapsed { released, refunded, .. } => {
            deal.released = *released;
            deal.refunded = *refunded;
        }
        EventBody::Ruled { share, released, refunded, .. } => {
            deal.share = Some(*share);
            deal.released = *released;
            deal.refunded = *refunded;
        }
        _ => {}
    }
    if deal.released.checked_add(deal.refunded) == Some(deal.terms.amount) && deal.terms.amount > 0 {
        status = DealStatus::Closed;
    }
    if status != deal.status {
        deal.status = status;
        deal.since = event.block_time;
        if status == DealStatus::Closed {
            deal.closed_by = Some(event.body.name().to_owned());
        }
    }
    (Some(deal), gap)
}
