//! Whether a deal on chain shows what an intent about the deal itself is for: what a party signed, or a time-out.

use protocol::{
    deal::{DealState, Status},
    terms::Terms,
    wire::{
        act::PartyAct,
        intent::{Intent, IntentAction},
    },
};

use super::resolve::{Effect, Resolution};

/// How a deal stands at one moment, as far as the effects of intents show in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// As its escrow keeps it.
    pub state: DealState,
    /// How often the creditor withdrew before; read for withdrawals alone.
    pub withdrawals: u64,
    /// Unix seconds.
    pub now: u64,
    /// Whether a transaction of ours for this intent went through: what emits an event and changes nothing else shows in
    /// nothing but that.
    pub sent: bool,
}

/// Whether a deal shows what an act or a time-out is for, or has gone on without it, so that there is nothing left to do.
/// A deal that is over and forgotten counts as closed. Steps of a case do not show in it.
pub fn achieved(action: &IntentAction, terms: &Terms, stand: &Stand) -> bool {
    let status = stand.state.status_at(terms, stand.now);
    let closed = status == Status::Closed;
    match action {
        IntentAction::TimeOut { .. } => closed,
        IntentAction::Act { act, .. } => match act {
            PartyAct::Withdraw { nonce, .. } => stand.withdrawals > *nonce,
            PartyAct::Evidence { .. } => closed || stand.sent,
            PartyAct::Settle { .. } => closed,
            PartyAct::Deliver { .. } => closed || status == Status::Delivered,
            PartyAct::Dispute { .. } => closed || status == Status::Disputed,
            PartyAct::Release { total } => {
                closed
                    || (status.is_open()
                        && reached(stand.state.released, *total, stand.state.refunded, terms))
            }
            PartyAct::Refund { total } => {
                closed
                    || (status.is_open()
                        && reached(stand.state.refunded, *total, stand.state.released, terms))
            }
        },
        _ => false,
    }
}

/// Whether naming that total would move nothing any more.
const fn reached(now: u128, total: u128, of_the_other: u128, terms: &Terms) -> bool {
    let most = terms.amount.saturating_sub(of_the_other);
    now >= if total < most { total } else { most }
}

/// What is decided about an intent that waits, where it is done in somebody's name: nobody is called to look at what one
/// account asked for. What cannot be tried with success has failed; an escrow that does not answer is asked again.
pub fn in_somebodys_name(intent: &Intent, effect: &Effect, decided: Resolution) -> Resolution {
    match decided {
        Resolution::Quarantine { reason } if intent.asked_by.is_some() => match effect {
            Effect::Unreadable(_) => Resolution::Wait { reason, refused_at_block: None },
            Effect::Present | Effect::Absent => Resolution::Fail { reason },
        },
        decided => decided,
    }
}
