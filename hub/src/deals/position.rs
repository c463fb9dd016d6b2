//! The fold that reads where a deal stands from what the chain said.
//!
//! The chain is the only truth about money, so a status is never stepped forward in place: it is folded, each time,
//! from the events known about the deal in the order of the chain. Deliveries may come late, twice or out of order, and
//! provisional ones may be taken back, without any effect on what the final ones add up to. What follows on what was folded
//! before is folded over that (`follow`), which comes to the same.

use std::collections::HashMap;

use alloy::primitives::B256;
use protocol::{
    chain::{TransactionId, event_order},
    terms::Terms,
    wire::{
        dec,
        feed::{ChainEvent, EventBody, FeedEntry, Finality},
    },
};
use serde::{Deserialize, Serialize};

use super::status::{Refused, Status, Step, step};

/// What the escrow's events about a deal add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Where it stands. `confirmed` when an event emptied the deal.
    pub status: Status,
    /// The seller's total, in the asset's smallest unit.
    #[serde(with = "dec")]
    pub released: u128,
    /// The buyer's total, in the asset's smallest unit.
    #[serde(with = "dec")]
    pub refunded: u128,
    /// Events of the deal so far, modulo 256.
    pub count: u8,
    /// Unix seconds of the funding.
    pub funded_at: Option<u64>,
    /// Unix seconds of the delivery.
    pub delivered_at: Option<u64>,
    /// Unix seconds of the dispute.
    pub disputed_at: Option<u64>,
    /// The transaction that funded it.
    pub funding: Option<TransactionId>,
    /// The transaction that emptied it.
    pub closing: Option<TransactionId>,
}

impl Position {
    /// Before any event.
    pub const fn new(status: Status) -> Self {
        Self {
            status,
            released: 0,
            refunded: 0,
            count: 0,
            funded_at: None,
            delivered_at: None,
            disputed_at: None,
            funding: None,
            closing: None,
        }
    }

    /// The status once the closing event is final: `completed` or `refunded`; unchanged while the deal is open.
    pub const fn settled(mut self) -> Self {
        let by = if self.released > 0 { Step::PaySeller } else { Step::PayBuyer };
        if let Ok(status) = step(self.status, by) {
            self.status = status;
        }
        self
    }

    /// The seller's share of the whole in basis points, rounded down, once nothing is left in escrow.
    pub fn seller_share_bps(&self, amount: u128) -> Option<u16> {
        self.closing?;
        let share = self.released.checked_mul(10_000)?.checked_div(amount)?;
        u16::try_from(share).ok()
    }

    /// When this state ends by itself, in Unix seconds, and by what.
    pub fn next_deadline(&self, terms: &Terms) -> Option<(u64, Timeout)> {
        let after = |start: Option<u64>, seconds: u32| start?.checked_add(seconds.into());
        match self.status {
            Status::Offered | Status::Created => Some((terms.fund_by, Timeout::Void)),
            Status::Funded => {
                let inspection = if terms.metered { terms.inspection } else { 0 };
                Some((after(Some(terms.deliver_by), inspection)?, Timeout::Reclaim))
            }
            Status::Delivered => Some((after(self.delivered_at, terms.inspection)?, Timeout::Claim)),
            Status::Disputed => Some((after(self.disputed_at, terms.ruling)?, Timeout::Lapse)),
            Status::Declined
            | Status::Withdrawn
            | Status::Confirmed
            | Status::Completed
            | Status::Refunded => None,
        }
    }
}

/// How a state ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Timeout {
    /// The seller's signature is worthless: the deal cannot be funded any more.
    Void,
    /// Anyone may send everything left back to the buyer.
    Reclaim,
    /// Anyone may send everything left to the seller.
    Claim,
    /// Anyone may close the deal at its `lapse_share`.
    Lapse,
}

/// Why the fold stopped before the last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// The table has no such step from there.
    #[error("event {event}: {refused}")]
    Step {
        /// The event that did not fit.
        event: B256,
        /// Why.
        refused: Refused,
    },
    /// The deal's own count says that an event before this one is missing.
    #[error("event {event} is number {found} of its deal where {expected} comes next")]
    Missing {
        /// The event that did not fit.
        event: B256,
        /// Its count.
        found: u8,
        /// The count that would have followed.
        expected: u8,
    },
    /// Its totals contradict the deal's amount.
    #[error("event {event} carries totals that the deal's amount does not allow")]
    Totals {
        /// The event that did not fit.
        event: B256,
    },
}

/// What one event of the escrow does to a deal.
struct Effect {
    by: Step,
    count: u8,
    released: u128,
    refunded: u128,
}

fn effect(body: &EventBody, amount: u128, now: &Position) -> Option<Effect> {
    let keep = |by, count| Effect { by, count, released: now.released, refunded: now.refunded };
    let concede = |count, released: u128, refunded: u128| {
        let all = released.checked_add(refunded) == Some(amount);
        Effect { by: if all { Step::ConcedeAll } else { Step::Concede }, count, released, refunded }
    };
    Some(match *body {
        EventBody::Funded { .. } => keep(Step::Fund, 1),
        EventBody::Delivered { count, .. } => keep(Step::Deliver, count),
        EventBody::Disputed { count, .. } => keep(Step::Dispute, count),
        EventBody::Evidence { count, .. } => keep(Step::Argue, count),
        EventBody::Released { released, count, .. } => concede(count, released, now.refunded),
        EventBody::Refunded { refunded, count, .. } => concede(count, now.released, refunded),
        EventBody::Reclaimed { refunded, count, .. } => {
            Effect { by: Step::Reclaim, count, released: now.released, refunded }
        }
        EventBody::Claimed { released, count, .. } => {
            Effect { by: Step::Claim, count, released, refunded: now.refunded }
        }
        EventBody::Settled { released, refunded, count, .. } => {
            Effect { by: Step::Settle, count, released, refunded }
        }
        EventBody::Ruled { released, refunded, count, .. } => {
            Effect { by: Step::Rule, count, released, refunded }
        }
        EventBody::Lapsed { released, refunded, count, .. } => {
            Effect { by: Step::Lapse, count, released, refunded }
        }
        EventBody::Credited { .. }
        | EventBody::Withdrawn { .. }
        | EventBody::Revoked { .. }
        | EventBody::Approved { .. }
        | EventBody::Retracted { .. }
        | EventBody::PoolCreated { .. }
        | EventBody::ListPublished { .. }
        | EventBody::CaseOpened { .. }
        | EventBody::TargetMoved { .. }
        | EventBody::JuryDrawn { .. }
        | EventBody::BallotCast { .. }
        | EventBody::BallotsCounted { .. }
        | EventBody::RulingAccepted { .. }
        | EventBody::Appealed { .. }
        | EventBody::RulingExecuted { .. } => return None,
    })
}

fn apply(now: &Position, event: &ChainEvent, amount: u128) -> Result<Position, Gap> {
    let Some(effect) = effect(&event.body, amount, now) else { return Ok(*now) };
    let status = step(now.status, effect.by).map_err(|refused| Gap::Step { event: event.id, refused })?;
    let expected = now.count.wrapping_add(1);
    if effect.count != expected {
        return Err(Gap::Missing { event: event.id, found: effect.count, expected });
    }
    let total = effect.released.checked_add(effect.refunded);
    let closes = status == Status::Confirmed;
    let grows = effect.released >= now.released && effect.refunded >= now.refunded;
    if !grows || total.is_none_or(|total| if closes { total != amount } else { total >= amount }) {
        return Err(Gap::Totals { event: event.id });
    }
    let mut next =
        Position { status, released: effect.released, refunded: effect.refunded, count: expected, ..*now };
    match effect.by {
        Step::Fund => {
            next.funded_at = Some(event.block_time);
            next.funding = Some(event.transaction);
        }
        Step::Deliver => next.delivered_at = Some(event.block_time),
        Step::Dispute => next.disputed_at = Some(event.block_time),
        _ => {}
    }
    if closes {
        next.closing = Some(event.transaction);
    }
    Ok(next)
}

/// Where a telling leaves a deal by its final events, from where those that were told before leave it: all of them, unless some `wait`
/// for one that is missing. None where it does not follow on them: then all have to be folded anew.
pub(crate) fn follow(from: (&Position, bool), terms: &Terms, told: &FeedEntry) -> Option<Position> {
    let (position, waits) = from;
    match told.finality {
        _ if waits => None,
        Finality::Final if told.event.contract == terms.escrow => {
            apply(position, &told.event, terms.amount).ok()
        }
        _ => Some(*position),
    }
}

/// Puts what tells of events of one chain in its order. Transactions of one slot of Solana, whose order no event tells, stay as
/// they are, each where its first event is. The feed tells an event again when it settles: that parts no events of one
/// transaction.
pub(crate) fn put_in_order<T>(told: &mut [T], event: impl Fn(&T) -> &ChainEvent) {
    let mut first = HashMap::new();
    for (at, one) in told.iter().enumerate() {
        first.entry(event(one).transaction).or_insert(at);
    }
    told.sort_by_key(|one| {
        let event = event(one);
        let order = event_order(event.chain(), event.block_number, event.log_index);
        (order, first.get(&event.transaction).copied(), event.log_index)
    });
}

/// Folds what the deal's escrow said over where the parties' records left the transaction. `events` may hold anything:
/// events of other contracts are passed over, and the order of the chain is restored here ([`put_in_order`]). Stops at the
/// first event that does not fit, which is then named: what it waits for has not been delivered yet.
pub fn fold<'a>(
    before: Status,
    terms: &Terms,
    events: impl IntoIterator<Item = &'a ChainEvent>,
) -> (Position, Option<Gap>) {
    fold_on(Position::new(before), terms, events)
}

/// As [`fold`], over what was folded before.
pub(crate) fn fold_on<'a>(
    from: Position,
    terms: &Terms,
    events: impl IntoIterator<Item = &'a ChainEvent>,
) -> (Position, Option<Gap>) {
    let mut ordered: Vec<&ChainEvent> =
        events.into_iter().filter(|event| event.contract == terms.escrow).collect();
    put_in_order(&mut ordered, |event| event);
    let mut position = from;
    for event in ordered {
        match apply(&position, event, terms.amount) {
            Ok(next) => position = next,
            Err(gap) => return (position, Some(gap)),
        }
    }
    (position, None)
}
