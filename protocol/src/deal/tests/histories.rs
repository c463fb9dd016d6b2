//! Random histories: what holds after every step, whatever is asked by whomever.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{table::*, *};
use crate::{refusal::Class, wire::feed::EventBody};

/// One attempt: how much later, and what; indices are resolved against the terms.
#[derive(Clone, Debug)]
struct Attempt {
    wait: u64,
    action: Action,
    actor: Actor,
    rulings: u8,
    receives: (bool, bool),
}

fn any_proof() -> impl Strategy<Value = Proof> {
    prop_oneof![
        8 => Just(Proof::Valid),
        1 => Just(Proof::Invalid),
        1 => Just(Proof::Revoked { digest: DEAL }),
    ]
}

fn any_account() -> impl Strategy<Value = Address> {
    select(vec![BUYER, BUYER, SELLER, SELLER, ARBITER, STRANGER])
}

fn any_actor() -> impl Strategy<Value = Actor> {
    prop_oneof![
        2 => any_account().prop_map(Actor::Caller),
        1 => (any_account(), any_account(), any_proof(), 0..4_000_u64).prop_map(
            |(caller, signer, proof, until)| Actor::Bearer { caller, signer, proof, valid_until: START + until }
        ),
    ]
}

fn any_consent() -> impl Strategy<Value = Consent> {
    prop_oneof![
        1 => Just(Consent::Unsigned),
        6 => (any_proof(), select(Status::ALL.to_vec())).prop_map(|(proof, status)| Consent::Signed { proof, status }),
    ]
}

fn any_total(amount: u128) -> impl Strategy<Value = u128> {
    prop_oneof![4 => 0..=amount, 1 => Just(amount), 1 => Just(amount + 1), 1 => 0..=amount.min(50)]
}

fn any_action(terms: &Terms) -> impl Strategy<Value = Action> + use<> {
    let amount = terms.amount;
    let funding = (any_consent(), 0..4_u8).prop_map(move |(seller, flaw)| Action::Fund {
        seller,
        sent: u128::from(flaw == 1),
        received: Some(amount).filter(|_| flaw != 2),
    });
    let coin_funding =
        any_consent().prop_map(move |seller| Action::Fund { seller, sent: amount, received: None });
    let offer = (any_total(amount), 0..2_u8, 0..4_000_u64, any_consent(), any_consent());
    prop_oneof![
        2 => funding,
        2 => coin_funding,
        1 => Just(Action::Retract),
        2 => Just(Action::Deliver { delivery: DEAL }),
        3 => any_total(amount).prop_map(|total| Action::Release { total }),
        3 => any_total(amount).prop_map(|total| Action::Refund { total }),
        2 => Just(Action::Dispute { evidence: DEAL }),
        1 => (0..300_usize).prop_map(|length| Action::Evidence { evidence: DEAL, uri: "x".repeat(length) }),
        1 => Just(Action::Reclaim),
        1 => Just(Action::Claim),
        1 => Just(Action::Lapse),
        1 => (0..=WHOLE + 1).prop_map(|share| Action::Rule { share }),
        2 => offer.prop_map(|(seller_total, rulings, until, buyer, seller)| Action::Settle {
            seller_total, rulings, valid_until: START + until, buyer, seller,
        }),
    ]
}

fn any_history(length: usize) -> impl Strategy<Value = (Terms, Vec<Attempt>)> {
    any_terms().prop_flat_map(move |terms| {
        let wait = prop_oneof![3 => Just(0), 3 => 0..60_u64, 1 => 0..1_200_u64];
        let attempt = (wait, any_action(&terms), any_actor(), 0..2_u8, any::<(bool, bool)>()).prop_map(
            |(wait, action, actor, rulings, receives)| Attempt { wait, action, actor, rulings, receives },
        );
        (Just(terms), vec(attempt, 1..length))
    })
}

/// A history that starts funded, so that most of it happens in an open deal.
fn open_history(length: usize) -> impl Strategy<Value = (Terms, DealState, u64, Vec<Attempt>)> {
    (any_history(length), 0..200_u64).prop_map(|((terms, attempts), delay)| {
        let now = START + delay % (terms.fund_by - START + 1);
        let state = DealState { status: Status::Funded, count: 1, funded_at: now, ..DealState::EMPTY };
        (terms, state, now, attempts)
    })
}

fn context(attempt: &Attempt, now: u64) -> Context {
    let (buyer_receives, seller_receives) = attempt.receives;
    Context { rulings: attempt.rulings, buyer_receives, seller_receives, ..at(now) }
}

fn agrees(actor: Actor, account: Address) -> bool {
    match actor {
        Actor::Caller(caller) => caller == account,
        Actor::Bearer { signer, proof, .. } => signer == account && proof == Proof::Valid,
    }
}

fn consents(consent: Consent, caller: Address, account: Address) -> bool {
    match consent {
        Consent::Unsigned => caller == account,
        Consent::Signed { proof, .. } => caller == account || proof == Proof::Valid,
    }
}

/// Whether everybody whose money or duty an action touches wanted it, by the table of the protocol page.
fn authorised(terms: &Terms, attempt: &Attempt) -> bool {
    let (actor, caller) = (attempt.actor, attempt.actor.caller());
    match attempt.action {
        Action::Fund { seller, .. } => agrees(actor, BUYER) && consents(seller, caller, SELLER),
        // What was signed in a metered deal stays signed.
        Action::Release { .. } => {
            agrees(actor, BUYER)
                || (terms.metered
                    && matches!(actor, Actor::Bearer { signer: BUYER, proof: Proof::Revoked { .. }, .. }))
        }
        Action::Deliver { .. } | Action::Refund { .. } => agrees(actor, SELLER),
        Action::Dispute { .. } | Action::Evidence { .. } => agrees(actor, BUYER) || agrees(actor, SELLER),
        Action::Settle { buyer, seller, .. } => {
            consents(buyer, caller, BUYER) && consents(seller, caller, SELLER)
        }
        Action::Retract => [BUYER, SELLER].map(Actor::Caller).contains(&actor),
        Action::Rule { .. } => actor == Actor::Caller(ARBITER),
        Action::Reclaim | Action::Claim | Action::Lapse => true,
    }
}

/// The deal as the events alone tell it.
fn replay(before: DealState, terms: &Terms, event: &EventBody, now: u64) -> DealState {
    let mut state = before;
    match *event {
        EventBody::Funded { .. } => {
            state = DealState { status: Status::Funded, funded_at: now, count: 1, ..DealState::EMPTY };
            return state;
        }
        EventBody::Retracted { .. } => return DealState { status: Status::Closed, ..DealState::EMPTY },
        EventBody::Delivered { count, .. } => {
            state = DealState { status: Status::Delivered, since: now, count, ..state };
        }
        EventBody::Disputed { count, .. } => {
            state = DealState { status: Status::Disputed, since: now, count, ..state };
        }
        EventBody::Evidence { count, .. } => state.count = count,
        EventBody::Released { released, count, .. } | EventBody::Claimed { released, count, .. } => {
            state = DealState { released, count, ..state };
        }
        EventBody::Refunded { refunded, count, .. } | EventBody::Reclaimed { refunded, count, .. } => {
            state = DealState { refunded, count, ..state };
        }
        EventBody::Settled { released, refunded, count, .. }
        | EventBody::Ruled { released, refunded, count, .. }
        | EventBody::Lapsed { released, refunded, count, .. } => {
            state = DealState { released, refunded, count, ..state };
        }
        ref other => panic!("{} is no transition", other.name()),
    }
    if state.released + state.refunded == terms.amount {
        state = DealState { status: Status::Closed, since: 0, ..state };
    }
    state
}

/// Checks one step against everything that must hold, and gives the state after it.
fn step(terms: &Terms, before: DealState, attempt: &Attempt, now: u64) -> Result<DealState, TestCaseError> {
    let context = context(attempt, now);
    let kind = attempt.action.kind();
    let listed = outcome(before.status_at(terms, now), kind);
    let moved = match apply(terms, &before, &attempt.action, attempt.actor, &context) {
        Ok(moved) => moved,
        Err(refusal) => {
            if let Outcome::Refused(by_table) = listed
                && refusal.class() > Class::Terms
                && refusal != Refusal::MeteredDeal
            {
                prop_assert_eq!(refusal, by_table);
            }
            return Ok(before);
        }
    };
    let after = moved.state;
    let Outcome::Allowed { when, to, .. } = listed else {
        return Err(TestCaseError::fail(format!("{kind} went through although the table refuses it")));
    };
    prop_assert!(when.check(terms, &before, now).is_ok());
    prop_assert!(authorised(terms, attempt), "{:?} went through", attempt);
    prop_assert!(!(terms.metered && matches!(kind, ActionKind::Deliver | ActionKind::Claim)));
    prop_assert!(after.status == to || after.status == Status::Closed);
    prop_assert_eq!(replay(before, terms, &moved.event, now), after);
    if kind == ActionKind::Retract {
        prop_assert_eq!((before, moved.payouts.len()), (DealState::EMPTY, 0));
        return Ok(after);
    }
    prop_assert_eq!(after.count, before.count.wrapping_add(1));

    // Conservation and monotone totals.
    prop_assert!(after.released >= before.released && after.refunded >= before.refunded);
    prop_assert_eq!(after.released + after.refunded + after.remaining(terms), terms.amount);
    prop_assert_eq!(after.status == Status::Closed, after.remaining(terms) == 0);
    let paid =
        |payee| moved.payouts.iter().filter(|payout| payout.to == payee).map(|payout| payout.amount).sum();
    prop_assert_eq!(after.released - before.released, paid(Payee::Seller));
    prop_assert_eq!(after.refunded - before.refunded, paid(Payee::Buyer));
    for payout in &moved.payouts {
        prop_assert!(payout.amount > 0);
        let receives =
            if payout.to == Payee::Buyer { context.buyer_receives } else { context.seller_receives };
        prop_assert_eq!(payout.credited, !receives);
    }
    Ok(after)
}

fn run(
    terms: &Terms,
    mut state: DealState,
    mut now: u64,
    attempts: &[Attempt],
) -> Result<(DealState, u64), TestCaseError> {
    for attempt in attempts {
        now += attempt.wait;
        state = step(terms, state, attempt, now)?;
    }
    Ok((state, now))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1_000), ..Default::default() })]

    #[test]
    fn every_step_from_nothing_holds((terms, attempts) in any_history(40)) {
        run(&terms, DealState::EMPTY, START, &attempts)?;
    }

    #[test]
    fn every_step_of_an_open_deal_holds((terms, state, now, attempts) in open_history(40)) {
        run(&terms, state, now, &attempts)?;
    }

    /// A closed deal refuses everything as closed, and so does the nothing that the chain may keep of it.
    #[test]
    fn a_closed_deal_never_moves(
        (terms, _, now, attempts) in open_history(20), part in any::<u128>(), late in 0..5_000_u64,
    ) {
        let released = part % (terms.amount + 1);
        let closed = DealState {
            status: Status::Closed, count: 3, since: 0, funded_at: now, released, refunded: terms.amount - released,
        };
        for attempt in &attempts {
            let now = now + late + attempt.wait;
            let context = context(attempt, now);
            let refused = apply(&terms, &closed, &attempt.action, attempt.actor, &context).unwrap_err();
            prop_assert!(refused == Refusal::DealClosed || refused.class() == Class::Terms);
            if now > terms.fund_by {
                let forgotten = apply(&terms, &DealState::EMPTY, &attempt.action, attempt.actor, &context);
                prop_assert_eq!(forgotten.unwrap_err(), refused);
            }
        }
    }

    /// Whatever happened, and with nobody but a stranger left, the funds leave by a time that the terms fix.
    #[test]
    fn the_funds_leave_in_time((terms, state, now, attempts) in open_history(30)) {
        let (state, now) = run(&terms, state, now, &attempts)?;
        prop_assume!(state.status.is_open());
        let last = terms.deliver_by + u64::from(terms.inspection) + u64::from(terms.ruling) + 1;
        let silence = match state.status {
            Status::Funded => Action::Reclaim,
            Status::Delivered => Action::Claim,
            _ => Action::Lapse,
        };
        let nobody_receives = Context { buyer_receives: false, seller_receives: false, ..at(now.max(last)) };
        let closed = apply(&terms, &state, &silence, Actor::Caller(STRANGER), &nobody_receives).unwrap();
        prop_assert_eq!(closed.state.status, Status::Closed);
        prop_assert_eq!(closed.payouts.iter().map(|payout| payout.amount).sum::<u128>(), state.remaining(&terms));
    }

    /// A signed total is idempotent, and of several the largest counts in whatever order they arrive.
    #[test]
    fn vouchers_commute(terms in any_terms(), mut totals in vec(any::<u128>(), 1..8)) {
        let funded = DealState { status: Status::Funded, count: 1, funded_at: START, ..DealState::EMPTY };
        for total in &mut totals {
            *total %= terms.amount + 1;
        }
        let buyer = bearer(BUYER, Proof::Valid, 0);
        let redeem = |state: DealState, total: u128| {
            match apply(&terms, &state, &Action::Release { total }, buyer, &at(START)) {
                Ok(moved) => moved.state,
                Err(refusal) => {
                    assert!(matches!(refusal, Refusal::NothingMoves | Refusal::DealClosed));
                    state
                }
            }
        };
        let forward = totals.iter().fold(funded, |state, total| redeem(redeem(state, *total), *total));
        let backward = totals.iter().rev().fold(funded, |state, total| redeem(state, *total));
        prop_assert_eq!(forward.released, backward.released);
        prop_assert_eq!(Some(&forward.released), totals.iter().max());
    }
}
