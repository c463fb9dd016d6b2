//! Histories find a rule that is wrong: one rule of the model at a time is changed, and model and chain must differ.
#![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects, reason = "test code")]

use conformance::{
    cases::Cases,
    deals::Deals,
    evm::Evm,
    history::differ,
    play::{CaseRule, DealRule, Rules},
};
use protocol::{
    arbitration::{
        self,
        case::{self, Case, Context, Moved},
    },
    deal::{self, Actor, DealState, Refusal, Transition},
    refusal::{Class, Refused},
    terms::Terms,
};

/// Far more than any of these needs.
const HISTORIES: u32 = 300;

fn of_deals(name: &str, wrong: DealRule<'_>) {
    let rules = Rules { deal: wrong, ..Rules::default() };
    assert!(differ::<Deals, _>(HISTORIES, &Evm::in_process(), rules), "nobody saw that {name}");
}

fn of_cases(name: &str, wrong: CaseRule<'_>) {
    let rules = Rules { case: wrong, ..Rules::default() };
    assert!(differ::<Cases, _>(HISTORIES, &Evm::in_process(), rules), "nobody saw that {name}");
}

type OfDeal = Result<Transition, Refusal>;
type OfCase = Result<Moved, Refused>;

#[test]
fn a_window_that_is_a_second_longer_is_found() {
    let longer =
        |terms: &Terms, state: &DealState, action: &deal::Action, actor, context: &deal::Context| -> OfDeal {
            let more = u64::from(!matches!(action, deal::Action::Fund { .. }));
            deal::apply(
                &Terms { deliver_by: terms.deliver_by + more, ..terms.clone() },
                state,
                action,
                actor,
                context,
            )
        };
    of_deals("delivery may come a second late", &longer);
}

#[test]
fn a_share_that_is_rounded_up_is_found() {
    let generous =
        |terms: &Terms, state: &DealState, action: &deal::Action, actor, context: &deal::Context| -> OfDeal {
            let lapse_share = terms.lapse_share.saturating_sub(u16::from(*action == deal::Action::Lapse));
            deal::apply(&Terms { lapse_share, ..terms.clone() }, state, action, actor, context)
        };
    of_deals("a lapse gives the seller a basis point less", &generous);
}

#[test]
fn refusals_in_another_order_are_found() {
    let swapped = |terms: &Terms,
                   state: &DealState,
                   action: &deal::Action,
                   actor: Actor,
                   context: &deal::Context|
     -> OfDeal {
        let told = deal::apply(terms, state, action, actor, context);
        let Actor::Bearer { caller, signer, proof, .. } = actor else { return told };
        let Err(Refusal::SignatureExpired { .. }) = told else { return told };
        let fresh = Actor::Bearer { caller, signer, proof, valid_until: u64::MAX };
        match deal::apply(terms, state, action, fresh, context) {
            Err(other) if other.class() == Class::Authority => Err(other),
            _ => told,
        }
    };
    of_deals("authority is asked before the signature's time", &swapped);
}

#[test]
fn a_second_jury_that_comes_a_second_early_is_found() {
    let early = |terms: &Terms, case: &Case, action: &case::Action, actor, context: &Context<'_>| -> OfCase {
        let more = u64::from(*action == case::Action::OpenSecondJury);
        let deal = deal::Context { now: context.deal.now + more, ..context.deal };
        case::apply(terms, case, action, actor, &Context { deal, ..*context })
    };
    of_cases("the second jury opens a second early", &early);
}

#[test]
fn a_last_word_that_starts_elsewhere_is_found() {
    let other = |terms: &Terms, case: &Case, action: &case::Action, actor, context: &Context<'_>| -> OfCase {
        let concluding = *action == case::Action::Conclude;
        let lapse_share = if concluding { 10_000 - terms.lapse_share } else { terms.lapse_share };
        case::apply(&Terms { lapse_share, ..terms.clone() }, case, action, actor, context)
    };
    of_cases("the last word starts from the buyer's share", &other);
}

#[test]
fn parties_who_sit_on_their_own_jury_are_found() {
    let partial =
        |terms: &Terms, case: &Case, action: &case::Action, actor, context: &Context<'_>| -> OfCase {
            let mut terms = terms.clone();
            if *action == case::Action::Draw {
                terms.seller = terms.buyer;
            }
            case::apply(&terms, case, action, actor, context)
        };
    of_cases("the seller may sit", &partial);
}

#[test]
fn an_appeal_that_comes_too_late_is_found() {
    let late = |terms: &Terms, case: &Case, action: &case::Action, actor, context: &Context<'_>| -> OfCase {
        let told = case::apply(terms, case, action, actor, context);
        match (&told, action) {
            (Err(Refused::Pools(arbitration::Refusal::TooLate { closed_at })), case::Action::Appeal) => {
                let deal = deal::Context { now: *closed_at, ..context.deal };
                case::apply(terms, case, action, actor, &Context { deal, ..*context })
            }
            _ => told,
        }
    };
    of_cases("an appeal is heard however late it comes", &late);
}
