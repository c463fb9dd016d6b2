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
/// So has a withdrawal whose number another one took, unless a transaction of ours did it (`sent`).
pub fn in_somebodys_name(intent: &Intent, effect: &Effect, sent: bool, decided: Resolution) -> Resolution {
    match decided {
        Resolution::Finish { transaction: None } if !sent && is_withdrawal(intent) => {
            Resolution::Fail { reason: TAKEN.to_owned() }
        }
        Resolution::Quarantine { reason } if intent.asked_by.is_some() => match effect {
            Effect::Unreadable(_) => Resolution::Wait { reason, refused_at_block: None },
            Effect::Present | Effect::Absent => Resolution::Fail { reason },
        },
        decided => decided,
    }
}

/// What is decided about an intent whose transactions are over: the same, where they did nothing and the withdrawal's number
/// is taken.
pub fn of_ours(intent: &Intent, sent: bool, decided: Resolution) -> Resolution {
    match decided {
        Resolution::Finish { transaction: None } if !sent && is_withdrawal(intent) => {
            Resolution::Release { reason: TAKEN.to_owned() }
        }
        decided => decided,
    }
}

/// The chain counts withdrawals, and does not keep which they were.
const TAKEN: &str = "another withdrawal of this creditor has the number that was signed";

/// Whether a transaction of ours shows more of what an intent is for than the chain keeps: that evidence was shown, or which withdrawal
/// took the number.
pub const fn rests_on_ours(intent: &Intent) -> bool {
    matches!(&intent.action, IntentAction::Act { act: PartyAct::Evidence { .. }, .. })
        || is_withdrawal(intent)
}

const fn is_withdrawal(intent: &Intent) -> bool {
    matches!(&intent.action, IntentAction::Act { act: PartyAct::Withdraw { .. }, .. })
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]
mod tests {
    use alloy::primitives::B256;
    use proptest::prelude::*;
    use protocol::{
        chain::amount_cap,
        deal::{Action, Actor, Consent, Context, Proof, Refusal, apply},
        wire::act::TimeOut,
    };

    use super::*;
    use crate::testing::{intent, terms};

    /// What an intent asks for, as the protocol's model has it, and by whom.
    fn action(asked: &IntentAction, status: Status, now: u64) -> (Action, bool) {
        let agreed = Consent::Signed { proof: Proof::Valid, status };
        match asked {
            IntentAction::TimeOut { time_out: TimeOut::Reclaim } => (Action::Reclaim, true),
            IntentAction::TimeOut { time_out: TimeOut::Claim } => (Action::Claim, true),
            IntentAction::TimeOut { time_out: TimeOut::Lapse } => (Action::Lapse, true),
            IntentAction::Act { act, .. } => match act {
                PartyAct::Deliver { delivery, .. } => (Action::Deliver { delivery: *delivery }, false),
                PartyAct::Release { total } => (Action::Release { total: *total }, true),
                PartyAct::Refund { total } => (Action::Refund { total: *total }, false),
                PartyAct::Dispute { evidence, .. } => (Action::Dispute { evidence: *evidence }, true),
                PartyAct::Evidence { evidence, uri, .. } => {
                    (Action::Evidence { evidence: *evidence, uri: uri.clone() }, true)
                }
                PartyAct::Settle { seller_total, .. } => {
                    let (seller_total, valid_until) = (*seller_total, now);
                    let (buyer, seller) = (agreed, agreed);
                    (Action::Settle { seller_total, rulings: 0, valid_until, buyer, seller }, true)
                }
                PartyAct::Withdraw { .. } => unreachable!("the model has no credit"),
            },
            _ => unreachable!("no step of a case"),
        }
    }

    fn asked() -> impl Strategy<Value = IntentAction> {
        let act = |act| IntentAction::Act { act, signed: Vec::new() };
        let (delivery, evidence, valid_until) = (B256::ZERO, B256::ZERO, u64::MAX);
        prop_oneof![
            Just(act(PartyAct::Deliver { delivery, valid_until })),
            Just(act(PartyAct::Dispute { evidence, valid_until })),
            Just(act(PartyAct::Evidence { evidence, uri: String::new(), valid_until })),
            (1_u128..=1_000).prop_map(move |total| act(PartyAct::Release { total })),
            (1_u128..=1_000).prop_map(move |total| act(PartyAct::Refund { total })),
            (0_u128..=1_000).prop_map(move |seller_total| {
                act(PartyAct::Settle { seller_total, status: 1, rulings: 0, valid_until })
            }),
            prop_oneof![Just(TimeOut::Reclaim), Just(TimeOut::Claim), Just(TimeOut::Lapse)]
                .prop_map(|time_out| IntentAction::TimeOut { time_out }),
        ]
    }

    fn state() -> impl Strategy<Value = DealState> {
        let status = prop_oneof![Just(Status::Funded), Just(Status::Delivered), Just(Status::Disputed)];
        (status, 0_u128..500, 0_u128..500).prop_map(|(status, released, refunded)| DealState {
            status,
            count: 1,
            since: if status == Status::Funded { 0 } else { 1_800_050_000 },
            funded_at: 1_800_000_000,
            released,
            refunded,
        })
    }

    proptest! {
        #[test]
        fn an_act_is_achieved_exactly_when_the_protocol_has_done_it(
            state in state(),
            asked in asked(),
            now in 1_800_050_001_u64..1_802_000_000,
        ) {
            let terms = terms();
            let (action, by_buyer) = action(&asked, state.status, now);
            let signer = if by_buyer { terms.buyer.address } else { terms.seller.address };
            let caller = terms.arbiter.address;
            let actor = match &asked {
                IntentAction::TimeOut { .. } => Actor::Caller(caller),
                _ => Actor::Bearer { caller, signer, proof: Proof::Valid, valid_until: now },
            };
            let context = Context {
                deal: B256::ZERO,
                now,
                cap: amount_cap(terms.escrow.chain),
                rulings: 0,
                buyer_receives: true,
                seller_receives: true,
            };
            let shows = |state, sent| achieved(&asked, &terms, &Stand { state, withdrawals: 0, now, sent });
            match apply(&terms, &state, &action, actor, &context) {
                Ok(done) => {
                    prop_assert!(!shows(state, false), "{asked:?} is still to do in {state:?}");
                    prop_assert!(shows(done.state, true), "{asked:?} was done: {:?}", done.state);
                    // A chain may forget what closed.
                    if done.state.status == Status::Closed {
                        prop_assert!(shows(DealState::EMPTY, false));
                    }
                }
                Err(Refusal::NothingMoves) => prop_assert!(shows(state, false), "{asked:?} in {state:?}"),
                Err(_) => {}
            }
        }
    }

    #[test]
    fn nobody_is_called_for_what_one_account_asked() {
        let mut mine = intent(1, "k", &terms(), IntentAction::TimeOut { time_out: TimeOut::Claim });
        let reason = || "odd".to_owned();
        let decided = || Resolution::Quarantine { reason: reason() };
        assert_eq!(
            in_somebodys_name(&mine, &Effect::Absent, false, decided()),
            decided(),
            "a step of a case"
        );
        mine.asked_by = Some("ann".to_owned());
        let failed = Resolution::Fail { reason: reason() };
        assert_eq!(in_somebodys_name(&mine, &Effect::Absent, false, decided()), failed);
        let waits = Resolution::Wait { reason: reason(), refused_at_block: None };
        assert_eq!(in_somebodys_name(&mine, &Effect::Unreadable(reason()), false, decided()), waits);
        assert_eq!(in_somebodys_name(&mine, &Effect::Absent, false, Resolution::Sign), Resolution::Sign);
    }

    #[test]
    fn a_withdrawal_whose_number_another_one_took_has_failed() {
        let to = alloy::primitives::Address::ZERO.into();
        let act = PartyAct::Withdraw { amount: 1, to, nonce: 0, valid_until: 9 };
        let mine = intent(1, "k", &terms(), IntentAction::Act { act, signed: Vec::new() });
        let done = || Resolution::Finish { transaction: None };
        let failed = Resolution::Fail { reason: TAKEN.to_owned() };
        assert_eq!(in_somebodys_name(&mine, &Effect::Present, false, done()), failed);
        assert_eq!(in_somebodys_name(&mine, &Effect::Present, true, done()), done(), "it was ours");
        assert_eq!(of_ours(&mine, false, done()), Resolution::Release { reason: TAKEN.to_owned() });
        assert_eq!(of_ours(&mine, true, done()), done());
        let other = intent(1, "k", &terms(), IntentAction::TimeOut { time_out: TimeOut::Claim });
        assert_eq!(of_ours(&other, false, done()), done());
        assert_eq!(in_somebodys_name(&other, &Effect::Present, false, done()), done());
    }
}
