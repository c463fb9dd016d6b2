//! The state machine of a transaction: one table of (status, step).

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
