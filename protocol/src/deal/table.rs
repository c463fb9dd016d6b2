//! The transition table: every pair of status and action, with its window and its actors, as data.

use std::fmt;

use super::{
    action::ActionKind::{self, *},
    refusal::Refusal,
    state::{DealState, Status},
};
use crate::terms::Terms;

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// From which status; a deal that is empty and late counts as [`Status::Closed`].
    pub status: Status,
    /// What is asked.
    pub action: ActionKind,
    /// What comes of it.
    pub outcome: Outcome,
}

/// Whether an action is allowed in a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Yes, by this actor within this window.
    Allowed {
        /// By whom.
        by: Who,
        /// When.
        when: Window,
        /// Where it leads. Whatever it says, a deal whose amount is all paid is Closed.
        to: Status,
    },
    /// No, by this name.
    Refused(Refusal),
}

/// Who may ask for an action, in person or by signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The buyer.
    Buyer,
    /// The seller.
    Seller,
    /// The buyer or the seller.
    Party,
    /// The buyer or the seller, never by signature.
    PartyItself,
    /// The buyer and the seller.
    BothParties,
    /// The arbiter of the terms, in person alone.
    Arbiter,
    /// Anyone.
    Anyone,
}

/// When an action is allowed. Both ends of a window belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// At any time.
    Always,
    /// Until `fund_by`. Later the deal counts as closed, so that no refusal of time is needed.
    UntilFundBy,
    /// Until `deliver_by`.
    UntilDeliverBy,
    /// From the second after `deliver_by`; metered deals after `inspection` more.
    AfterDeliverBy,
    /// Until `inspection` after the delivery.
    UntilInspectionEnds,
    /// From the second after that.
    AfterInspection,
    /// Until `ruling` after the dispute.
    UntilRulingEnds,
    /// From the second after that.
    AfterRuling,
}

impl Window {
    /// The window's first and last second for a deal of these terms in this state.
    pub const fn span(self, terms: &Terms, state: &DealState) -> (u64, u64) {
        let grace = if terms.metered { terms.inspection } else { 0 };
        let undelivered = terms.deliver_by.saturating_add(grace as u64);
        let inspected = state.since.saturating_add(terms.inspection as u64);
        let ruled = state.since.saturating_add(terms.ruling as u64);
        match self {
            Self::Always => (0, u64::MAX),
            Self::UntilFundBy => (0, terms.fund_by),
            Self::UntilDeliverBy => (0, terms.deliver_by),
            Self::AfterDeliverBy => (undelivered.saturating_add(1), u64::MAX),
            Self::UntilInspectionEnds => (0, inspected),
            Self::AfterInspection => (inspected.saturating_add(1), u64::MAX),
            Self::UntilRulingEnds => (0, ruled),
            Self::AfterRuling => (ruled.saturating_add(1), u64::MAX),
        }
    }

    /// Whether `now` lies in the window.
    ///
    /// # Errors
    /// `TooEarly` or `TooLate`, with the end that was missed.
    pub const fn check(self, terms: &Terms, state: &DealState, now: u64) -> Result<(), Refusal> {
        let (opens_at, closed_at) = self.span(terms, state);
        if now < opens_at {
            Err(Refusal::TooEarly { opens_at })
        } else if now > closed_at {
            Err(Refusal::TooLate { closed_at })
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Buyer => "buyer",
            Self::Seller => "seller",
            Self::Party => "either party",
            Self::PartyItself => "either party itself",
            Self::BothParties => "both parties",
            Self::Arbiter => "arbiter",
            Self::Anyone => "anyone",
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "at any time",
            Self::UntilFundBy => "until fund_by",
            Self::UntilDeliverBy => "until deliver_by",
            Self::AfterDeliverBy => "after deliver_by (metered: + inspection)",
            Self::UntilInspectionEnds => "until delivery + inspection",
            Self::AfterInspection => "after delivery + inspection",
            Self::UntilRulingEnds => "until dispute + ruling",
            Self::AfterRuling => "after dispute + ruling",
        })
    }
}

/// Whether a metered deal refuses the action in every open status, before anything else of its state counts.
pub const fn never_metered(action: ActionKind) -> bool {
    matches!(action, Deliver | Claim)
}

/// What may be done with a deal, now or later, as long as nothing else happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// What.
    pub action: ActionKind,
    /// By whom.
    pub by: Who,
    /// The first second, not before `now`; Unix seconds.
    pub from: u64,
    /// The last second; none where it never ends.
    pub until: Option<u64>,
}

/// What may be done with a deal of these terms in this state, at `now` or later: the table's rows whose window has not
/// passed. Whether the actor has the means, and signatures where it takes two, is not asked here.
pub fn ahead(terms: &Terms, state: &DealState, now: u64) -> impl Iterator<Item = Move> {
    let status = state.status_at(terms, now);
    ActionKind::ALL.into_iter().filter_map(move |action| {
        let Outcome::Allowed { by, when, .. } = outcome(status, action) else { return None };
        let (first, last) = when.span(terms, state);
        if last < now || terms.metered && never_metered(action) {
            return None;
        }
        Some(Move { action, by, from: first.max(now), until: Some(last).filter(|last| *last < u64::MAX) })
    })
}

/// Every pair of status and action, once.
pub fn rows() -> impl Iterator<Item = Row> {
    Status::ALL.into_iter().flat_map(|status| {
        ActionKind::ALL.into_iter().map(move |action| Row {
            status,
            action,
            outcome: outcome(status, action),
        })
    })
}

/// The table itself. The compiler sees to it that no pair is missing or listed twice.
#[rustfmt::skip]
#[deny(unreachable_patterns)]
pub const fn outcome(status: Status, action: ActionKind) -> Outcome {
    use Outcome::{Allowed, Refused};
    use Refusal::{AlreadyDelivered, AlreadyFunded, DealClosed, DealDisputed, NotDelivered, NotDisputed, UnknownDeal};
    use Who::{Anyone, Arbiter, BothParties, Buyer, Party, PartyItself, Seller};
    use Window::{
        AfterDeliverBy, AfterInspection, AfterRuling, Always, UntilDeliverBy, UntilFundBy, UntilInspectionEnds,
        UntilRulingEnds,
    };
    const fn allowed(by: Who, when: Window, to: Status) -> Outcome {
        Allowed { by, when, to }
    }
    match (status, action) {
        (Status::None, Fund) => allowed(Buyer, UntilFundBy, Status::Funded),
        (Status::None, Retract) => allowed(PartyItself, UntilFundBy, Status::Closed),
        (Status::None, Deliver) => Refused(UnknownDeal),
        (Status::None, Release) => Refused(UnknownDeal),
        (Status::None, Refund) => Refused(UnknownDeal),
        (Status::None, Dispute) => Refused(UnknownDeal),
        (Status::None, Reclaim) => Refused(UnknownDeal),
        (Status::None, Claim) => Refused(UnknownDeal),
        (Status::None, Settle) => Refused(UnknownDeal),
        (Status::None, Rule) => Refused(UnknownDeal),
        (Status::None, Lapse) => Refused(UnknownDeal),
        (Status::None, Evidence) => Refused(UnknownDeal),

        (Status::Funded, Fund) => Refused(AlreadyFunded),
        (Status::Funded, Retract) => Refused(AlreadyFunded),
        (Status::Funded, Deliver) => allowed(Seller, UntilDeliverBy, Status::Delivered),
        (Status::Funded, Release) => allowed(Buyer, Always, Status::Funded),
        (Status::Funded, Refund) => allowed(Seller, Always, Status::Funded),
        (Status::Funded, Dispute) => allowed(Party, UntilDeliverBy, Status::Disputed),
        (Status::Funded, Reclaim) => allowed(Anyone, AfterDeliverBy, Status::Closed),
        (Status::Funded, Claim) => Refused(NotDelivered),
        (Status::Funded, Settle) => allowed(BothParties, Always, Status::Closed),
        (Status::Funded, Rule) => Refused(NotDisputed),
        (Status::Funded, Lapse) => Refused(NotDisputed),
        (Status::Funded, Evidence) => Refused(NotDisputed),

        (Status::Delivered, Fund) => Refused(AlreadyFunded),
        (Status::Delivered, Retract) => Refused(AlreadyFunded),
        (Status::Delivered, Deliver) => Refused(AlreadyDelivered),
        (Status::Delivered, Release) => allowed(Buyer, Always, Status::Delivered),
        (Status::Delivered, Refund) => allowed(Seller, Always, Status::Delivered),
        (Status::Delivered, Dispute) => allowed(Party, UntilInspectionEnds, Status::Disputed),
        (Status::Delivered, Reclaim) => Refused(AlreadyDelivered),
        (Status::Delivered, Claim) => allowed(Anyone, AfterInspection, Status::Closed),
        (Status::Delivered, Settle) => allowed(BothParties, Always, Status::Closed),
        (Status::Delivered, Rule) => Refused(NotDisputed),
        (Status::Delivered, Lapse) => Refused(NotDisputed),
        (Status::Delivered, Evidence) => Refused(NotDisputed),

        (Status::Disputed, Fund) => Refused(AlreadyFunded),
        (Status::Disputed, Retract) => Refused(AlreadyFunded),
        (Status::Disputed, Deliver) => Refused(DealDisputed),
        (Status::Disputed, Release) => allowed(Buyer, Always, Status::Disputed),
        (Status::Disputed, Refund) => allowed(Seller, Always, Status::Disputed),
        (Status::Disputed, Dispute) => Refused(DealDisputed),
        (Status::Disputed, Reclaim) => Refused(DealDisputed),
        (Status::Disputed, Claim) => Refused(DealDisputed),
        (Status::Disputed, Settle) => allowed(BothParties, Always, Status::Closed),
        (Status::Disputed, Rule) => allowed(Arbiter, UntilRulingEnds, Status::Closed),
        (Status::Disputed, Lapse) => allowed(Anyone, AfterRuling, Status::Closed),
        (Status::Disputed, Evidence) => allowed(Party, Always, Status::Disputed),

        (Status::Closed, Fund) => Refused(DealClosed),
        (Status::Closed, Retract) => Refused(DealClosed),
        (Status::Closed, Deliver) => Refused(DealClosed),
        (Status::Closed, Release) => Refused(DealClosed),
        (Status::Closed, Refund) => Refused(DealClosed),
        (Status::Closed, Dispute) => Refused(DealClosed),
        (Status::Closed, Reclaim) => Refused(DealClosed),
        (Status::Closed, Claim) => Refused(DealClosed),
        (Status::Closed, Settle) => Refused(DealClosed),
        (Status::Closed, Rule) => Refused(DealClosed),
        (Status::Closed, Lapse) => Refused(DealClosed),
        (Status::Closed, Evidence) => Refused(DealClosed),
    }
}
