//! The state machine of a transaction: one table of (status, step), and the fold that reads a status from what the
//! chain said.
//!
//! The chain is the only truth about money, so a status is never stepped forward in place: it is folded, each time,
//! from the events known about the deal in the order of the chain. Deliveries may come late, twice or out of order, and
//! provisional ones may be taken back, without any effect on what the final ones add up to.

use alloy::primitives::B256;
use protocol::{
    terms::Terms,
    wire::{
        dec,
        feed::{ChainEvent, EventBody},
    },
};
use serde::{Deserialize, Serialize};

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The buyer has offered; the seller has not answered.
    Offered,
    /// The seller said no.
    Declined,
    /// A party stepped back before funding.
    Withdrawn,
    /// The seller's wallet has signed the terms.
    Created,
    /// The escrow holds the amount.
    Funded,
    /// The seller said on chain that it has delivered.
    Delivered,
    /// A party disputes.
    Disputed,
    /// An event emptied the deal and is not final yet: only ever shown as provisional.
    Confirmed,
    /// Closed, and the seller got something.
    Completed,
    /// Closed, and the seller got nothing.
    Refunded,
}

impl Status {
    /// All of them, in the order in which a transaction may pass through them.
    pub const ALL: [Self; 10] = [
        Self::Offered,
        Self::Declined,
        Self::Withdrawn,
        Self::Created,
        Self::Funded,
        Self::Delivered,
        Self::Disputed,
        Self::Confirmed,
        Self::Completed,
        Self::Refunded,
    ];

    /// As written in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
            Self::Created => "created",
            Self::Funded => "funded",
            Self::Delivered => "delivered",
            Self::Disputed => "disputed",
            Self::Confirmed => "confirmed",
            Self::Completed => "completed",
            Self::Refunded => "refunded",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// What can happen to a transaction. The first three are records of the parties, the last two say that the closing
/// event became final, the others are events of the escrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The seller's wallet signed the terms.
    Accept,
    /// The seller says no.
    Decline,
    /// The buyer steps back, or the seller after accepting.
    Withdraw,
    /// `Funded`.
    Fund,
    /// `Delivered`.
    Deliver,
    /// `Released` or `Refunded` that leaves something in escrow.
    Concede,
    /// `Released` or `Refunded` of everything left.
    ConcedeAll,
    /// `Disputed`.
    Dispute,
    /// `Evidence`.
    Argue,
    /// `Reclaimed`.
    Reclaim,
    /// `Claimed`.
    Claim,
    /// `Settled`.
    Settle,
    /// `Ruled`.
    Rule,
    /// `Lapsed`.
    Lapse,
    /// The closing event is final and the seller got something.
    PaySeller,
    /// The closing event is final and the seller got nothing.
    PayBuyer,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Accept,
        Self::Decline,
        Self::Withdraw,
        Self::Fund,
        Self::Deliver,
        Self::Concede,
        Self::ConcedeAll,
        Self::Dispute,
        Self::Argue,
        Self::Reclaim,
        Self::Claim,
        Self::Settle,
        Self::Rule,
        Self::Lapse,
        Self::PaySeller,
        Self::PayBuyer,
    ];
}

/// Why a step is not possible from a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// Already accepted.
    #[error("the seller has already accepted")]
    AlreadyAccepted,
    /// Declined or withdrawn.
    #[error("the offer was declined or withdrawn")]
    OfferGone,
    /// The seller has accepted: it can withdraw, not decline.
    #[error("an accepted offer can be withdrawn, not declined")]
    NotOffered,
    /// The escrow already holds the amount; from here on the chain alone decides.
    #[error("the deal is funded: from here on only the escrow moves it")]
    AlreadyFunded,
    /// Not funded, or the funding is not known yet.
    #[error("no funding of this deal is known")]
    NotFunded,
    /// Already delivered.
    #[error("the deal is already delivered")]
    AlreadyDelivered,
    /// Not delivered, or the delivery is not known yet.
    #[error("no delivery of this deal is known")]
    NotDelivered,
    /// Delivered: what was open before delivery no longer is.
    #[error("the deal is delivered: it can be claimed, not reclaimed")]
    Delivered,
    /// Disputed: only a concession, a settlement, a ruling or the lapse moves it.
    #[error("the deal is disputed")]
    Disputed,
    /// Not disputed, or the dispute is not known yet.
    #[error("no dispute of this deal is known")]
    NotDisputed,
    /// Something is still in escrow.
    #[error("the deal is not closed")]
    NotClosed,
    /// Closed: it never moves again.
    #[error("the deal is closed")]
    Closed,
}

impl Refused {
    /// The refusal's name.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::AlreadyAccepted => "already_accepted",
            Self::OfferGone => "offer_gone",
            Self::NotOffered => "not_offered",
            Self::AlreadyFunded => "already_funded",
            Self::NotFunded => "not_funded",
            Self::AlreadyDelivered => "already_delivered",
            Self::NotDelivered => "not_delivered",
            Self::Delivered => "delivered",
            Self::Disputed => "disputed",
            Self::NotDisputed => "not_disputed",
            Self::NotClosed => "not_closed",
            Self::Closed => "closed",
        }
    }
}

/// The table. A deal may be funded from every status before `funded`, declined and withdrawn included: the seller's
/// signature may have reached the buyer by another way, and a record at a hub does not revoke it on chain.
///
/// # Errors
/// The step is not possible from that status; the refusal says why.
pub const fn step(from: Status, by: Step) -> Result<Status, Refused> {
    use Refused as R;
    use Status as S;
    match by {
        Step::Accept => match from {
            S::Offered => Ok(S::Created),
            S::Created => Err(R::AlreadyAccepted),
            S::Declined | S::Withdrawn => Err(R::OfferGone),
            S::Funded | S::Delivered | S::Disputed => Err(R::AlreadyFunded),
            S::Confirmed | S::Completed | S::Refunded => Err(R::Closed),
        },
        Step::Decline => match from {
            S::Offered => Ok(S::Declined),
            S::Created => Err(R::NotOffered),
            S::Declined | S::Withdrawn => Err(R::OfferGone),
            S::Funded | S::Delivered | S::Disputed => Err(R::AlreadyFunded),
            S::Confirmed | S::Completed | S::Refunded => Err(R::Closed),
        },
        Step::Withdraw => match from {
            S::Offered | S::Created => Ok(S::Withdrawn),
            S::Declined | S::Withdrawn => Err(R::OfferGone),
            S::Funded | S::Delivered | S::Disputed => Err(R::AlreadyFunded),
            S::Confirmed | S::Completed | S::Refunded => Err(R::Closed),
        },
        Step::Fund => match from {
            S::Offered | S::Created | S::Declined | S::Withdrawn => Ok(S::Funded),
            S::Funded | S::Delivered | S::Disputed => Err(R::AlreadyFunded),
            S::Confirmed | S::Completed | S::Refunded => Err(R::Closed),
        },
        Step::Deliver => match from {
            S::Funded => Ok(S::Delivered),
            S::Offered | S::Created | S::Declined | S::Withdrawn => Err(R::NotFunded),
            S::Delivered => Err(R::AlreadyDelivered),
            S::Disputed => Err(R::Disputed),
            S::Confirmed | S::Completed | S::Refunded => Err(R::Closed),
        },
        Step::Concede => match from {
            S::Funded | S::Delivered | S::Disputed => Ok(from),
            S::Offered | S::Created | S::Declined | S::Withdrawn => Err(R::NotFunded),
            S::Confirmed | S::Completed | S::Refunded => Err(R::Closed),
        },
        Step::ConcedeAll | Step::Settle => match from {
            S::Funded | S::Delivered | S::Disputed => Ok(S::Confirmed),
            S::Offered | S::Created | S::Declined | S::Withdrawn => Err(R::NotFunded),
            S::Confirmed | S::Completed | S::Refunded => Err(R::Closed),
        },
        Step::Dispute => match from {
            S::Funded | S::Delivered => Ok(S::Disputed),
            S::Offered | S::Created | S::Declined | S::Withdrawn => Err(R::NotFunded),
            S::Disputed => Err(R::Disputed),
            S::Confirmed | S::Completed | S::Refunded => Err(R::Closed),
        },
        Step::Argue => match from {
            S::Disputed => Ok(S::Disputed),
            S::Offered | S::Created | S::Declined | S::Withdrawn => Err(R::NotFunded),
            S::Funded | S::Delivered => Err(R::NotDisputed),
            S::Confirmed | S::Completed | S::Refunded => Err(R::Closed),
        },
        Step::Reclaim => match from {
            S::Funded => Ok(S::Confirmed),
            S::Offered | S::Created | S::Declined | S::Withdrawn => Err(R::NotFunded),
            S::Delivered => Err(R::Delivered),
            S::Disputed => Err(R::Disputed),
            S::Confirmed | S::Completed | S::Refunded => Err(R::Closed),
        },
        Step::Claim => match from {
            S::Delivered => Ok(S::Confirmed),
            S::Offered | S::Created | S::Declined | S::Withdrawn => Err(R::NotFunded),
            S::Funded => Err(R::NotDelivered),
            S::Disputed => Err(R::Disputed),
            S::Confirmed | S::Completed | S::Refunded => Err(R::Closed),
        },
        Step::Rule | Step::Lapse => match from {
            S::Disputed => Ok(S::Confirmed),
            S::Offered | S::Created | S::Declined | S::Withdrawn => Err(R::NotFunded),
            S::Funded | S::Delivered => Err(R::NotDisputed),
            S::Confirmed | S::Completed | S::Refunded => Err(R::Closed),
        },
        Step::PaySeller | Step::PayBuyer => match from {
            S::Confirmed => Ok(if matches!(by, Step::PaySeller) { S::Completed } else { S::Refunded }),
            S::Offered | S::Created | S::Declined | S::Withdrawn => Err(R::NotFunded),
            S::Funded | S::Delivered | S::Disputed => Err(R::NotClosed),
            S::Completed | S::Refunded => Err(R::Closed),
        },
    }
}

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
    pub funding: Option<B256>,
    /// The transaction that emptied it.
    pub closing: Option<B256>,
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
        | EventBody::PoolCreated { .. }
        | EventBody::ListPublished { .. }
        | EventBody::CaseOpened { .. }
        | EventBody::TargetMoved { .. }
        | EventBody::JuryDrawn { .. }
        | EventBody::BallotCast { .. }
        | EventBody::BallotsCounted { .. }
        | EventBody::RulingAccepted { .. }
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

/// Folds what the deal's escrow said over where the parties' records left the transaction. `events` may hold anything:
/// events of other contracts are passed over, and the order of the chain is restored here. Stops at the first event
/// that does not fit, which is then named: what it waits for has not been delivered yet.
pub fn fold<'a>(
    before: Status,
    terms: &Terms,
    events: impl IntoIterator<Item = &'a ChainEvent>,
) -> (Position, Option<Gap>) {
    let mut ordered: Vec<&ChainEvent> =
        events.into_iter().filter(|event| event.contract == terms.escrow).collect();
    ordered.sort_by_key(|event| (event.block_number, event.log_index));
    let mut position = Position::new(before);
    for event in ordered {
        match apply(&position, event, terms.amount) {
            Ok(next) => position = next,
            Err(gap) => return (position, Some(gap)),
        }
    }
    (position, None)
}
