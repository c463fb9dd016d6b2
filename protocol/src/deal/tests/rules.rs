//! The rules one by one: table, windows, shares, validity, order of refusals.

use std::collections::HashSet;

use alloy::primitives::U256;
use proptest::prelude::*;

use super::{table::*, *};
use crate::{refusal::Class, wire::feed::EventBody};

fn inside(when: Window, terms: &Terms, state: &DealState) -> u64 {
    let (first, last) = when.span(terms, state);
    first.max(START).min(last)
}

fn act(
    terms: &Terms,
    state: &DealState,
    action: &Action,
    actor: Actor,
    now: u64,
) -> Result<Transition, Refusal> {
    apply(terms, state, action, actor, &at(now))
}

#[test]
fn every_pair_is_listed_once_and_behaves_as_listed() {
    let pairs: HashSet<_> = rows().map(|row| (row.status, row.action)).collect();
    assert_eq!((pairs.len(), rows().count()), (60, 60));
    for terms in [terms(), metered()] {
        for Row { status, action, outcome } in rows() {
            if terms.metered && status == Status::Delivered {
                continue; // no metered deal gets there
            }
            let state = state(status);
            let asked = good(action, &terms, status);
            let label = format!("{action} from {status:?}, metered {}", terms.metered);
            if terms.metered && status.is_open() && never_metered(action) {
                let refused = act(&terms, &state, &asked, Actor::Caller(STRANGER), START + 30);
                assert_eq!(refused, Err(Refusal::MeteredDeal), "{label}");
                continue;
            }
            match outcome {
                Outcome::Refused(refusal) => {
                    let refused = act(&terms, &state, &asked, Actor::Caller(BUYER), START + 30);
                    assert_eq!(refused, Err(refusal), "{label}");
                    assert_eq!(refusal.class(), Class::State, "{label}");
                }
                Outcome::Allowed { by, when, to } => {
                    let now = inside(when, &terms, &state);
                    let moved = act(&terms, &state, &asked, allowed_actor(by), now).unwrap();
                    assert_eq!(moved.state.status, to, "{label}");
                    if action == ActionKind::Retract {
                        // Nothing was funded, so nothing is counted.
                        assert_eq!(moved.state, DealState { status: to, ..DealState::EMPTY }, "{label}");
                        assert_eq!(moved.event, EventBody::Retracted { deal: DEAL, by: BUYER }, "{label}");
                        continue;
                    }
                    assert_eq!(moved.state.count, state.count + 1, "{label}");
                    assert_eq!(moved.event.deal(), Some(DEAL), "{label}");
                }
            }
        }
    }
}

#[test]
fn every_window_has_both_its_ends() {
    for terms in [terms(), metered()] {
        for Row { status, action, outcome } in rows() {
            let Outcome::Allowed { by, when, .. } = outcome else { continue };
            if terms.metered && (status == Status::Delivered || never_metered(action)) {
                continue;
            }
            let (state, actor) = (state(status), allowed_actor(by));
            let asked = good(action, &terms, status);
            let (opens_at, closed_at) = when.span(&terms, &state);
            for now in [opens_at, closed_at] {
                // Validity at fund depends on the distance of deliver_by as well.
                let now = if action == ActionKind::Fund { now.max(START) } else { now };
                assert!(act(&terms, &state, &asked, actor, now).is_ok(), "{action} from {status:?} at {now}");
            }
            if opens_at > 0 {
                let early = act(&terms, &state, &asked, actor, opens_at - 1);
                assert_eq!(early, Err(Refusal::TooEarly { opens_at }), "{action} from {status:?}");
            }
            if closed_at < u64::MAX {
                let late = act(&terms, &state, &asked, actor, closed_at + 1);
                let refusal = if when == Window::UntilFundBy {
                    Refusal::DealClosed
                } else {
                    Refusal::TooLate { closed_at }
                };
                assert_eq!(late, Err(refusal), "{action} from {status:?}");
            }
        }
    }
}

#[test]
fn retracted_terms_are_closed_for_good_and_hold_nothing() {
    let terms = terms();
    for party in [BUYER, SELLER] {
        let retracted =
            act(&terms, &DealState::EMPTY, &Action::Retract, Actor::Caller(party), terms.fund_by).unwrap();
        assert_eq!(retracted.event, EventBody::Retracted { deal: DEAL, by: party });
        assert!(retracted.payouts.is_empty());
        assert_eq!(retracted.state.remaining(&terms), 0);
        for now in [START, terms.fund_by, terms.fund_by + 1] {
            for action in ActionKind::ALL {
                let asked = good(action, &terms, Status::None);
                let refused = act(&terms, &retracted.state, &asked, Actor::Caller(BUYER), now);
                assert_eq!(refused, Err(Refusal::DealClosed), "{action} at {now}");
            }
        }
    }
    // Unlike funding it asks nothing of the terms themselves.
    let invalid = Terms { amount: 0, ..terms };
    assert!(act(&invalid, &DealState::EMPTY, &Action::Retract, Actor::Caller(SELLER), START).is_ok());
}

#[test]
fn a_batch_has_one_purse_and_happens_whole_or_not_at_all() {
    let coin = |salt| Terms { asset: AssetId::native(CHAIN), salt: B256::with_last_byte(salt), ..terms() };
    let (one, two) = (coin(1), coin(2));
    let amount = one.amount;
    let fund = Action::Fund { seller: signed(Status::None), sent: 0, received: None };
    let contexts = [1, 2].map(|deal| Context { deal: B256::with_last_byte(deal), ..at(START) });
    let call = |number: usize, action| Call {
        terms: if number == 0 { &one } else { &two },
        state: &DealState::EMPTY,
        action,
        actor: Actor::Caller(BUYER),
        context: &contexts[number],
    };
    let both = [call(0, &fund), call(1, &fund)];
    let funded = batch(2 * amount, &both).unwrap();
    assert_eq!(funded.iter().filter(|moved| moved.state.status == Status::Funded).count(), 2);
    let wrong = |sent, needed| Err(Stopped::Refused(Refusal::WrongValue { sent, needed }));
    // No unit of coin pays twice, and none is left behind.
    assert_eq!(batch(2 * amount - 1, &both), wrong(amount - 1, amount));
    assert_eq!(batch(2 * amount + 1, &both), wrong(2 * amount + 1, 2 * amount));
    assert_eq!(batch(1, &[]), wrong(1, 0));
    assert_eq!(batch(0, &[]), Ok(Vec::new()));
    // Later calls see what earlier ones did.
    let dispute = Action::Dispute { evidence: DEAL };
    assert_eq!(batch(amount, &[call(0, &fund), call(0, &dispute)]), Err(Stopped::NotPayable));
    assert_eq!(batch(2 * amount, &[call(0, &fund), call(0, &fund)]), Err(Refusal::AlreadyFunded.into()));
    assert_eq!(batch(0, &[call(0, &dispute)]), Err(Refusal::UnknownDeal.into()));
    let retract = Action::Retract;
    assert_eq!(batch(0, &[call(0, &retract), call(0, &fund)]), Err(Refusal::DealClosed.into()));
}

#[test]
fn a_voucher_of_a_metered_deal_cannot_be_revoked() {
    let revoked = Proof::Revoked { digest: DEAL };
    let refused = Err(Refusal::SignatureRevoked { digest: DEAL });
    for metered in [false, true] {
        let terms = Terms { metered, ..terms() };
        for status in [Status::Funded, Status::Disputed] {
            let state = state(status);
            let asks = |kind, signer, proof| {
                act(&terms, &state, &good(kind, &terms, status), bearer(signer, proof, u64::MAX), START)
            };
            let voucher = asks(ActionKind::Release, BUYER, revoked);
            if metered {
                assert_eq!(voucher, asks(ActionKind::Release, BUYER, Proof::Valid));
                assert!(voucher.is_ok());
            } else {
                assert_eq!(voucher, refused);
            }
            assert_eq!(asks(ActionKind::Refund, SELLER, revoked), refused);
        }
    }
}

#[test]
fn only_whom_the_table_names_may_ask() {
    let accounts = [BUYER, SELLER, ARBITER, STRANGER];
    let revoked = Proof::Revoked { digest: DEAL };
    for Row { status, action, outcome } in rows() {
        let Outcome::Allowed { by, when, .. } = outcome else { continue };
        let (terms, state) = (terms(), state(status));
        let now = inside(when, &terms, &state);
        let asked = good(action, &terms, status);
        let (members, name): (&[Address], _) = match by {
            Who::Buyer => (&[BUYER], Refusal::NotBuyer),
            Who::Seller => (&[SELLER], Refusal::NotSeller),
            Who::Party | Who::PartyItself => (&[BUYER, SELLER], Refusal::NotParty),
            Who::Arbiter => (&[ARBITER], Refusal::NotArbiter),
            Who::BothParties | Who::Anyone => {
                for caller in accounts {
                    assert!(act(&terms, &state, &asked, Actor::Caller(caller), now).is_ok());
                }
                continue;
            }
        };
        for caller in accounts {
            let result = act(&terms, &state, &asked, Actor::Caller(caller), now);
            if members.contains(&caller) {
                assert!(result.is_ok(), "{action} by {caller}");
            } else {
                assert_eq!(result, Err(name), "{action} by {caller}");
            }
        }
        if matches!(by, Who::Arbiter | Who::PartyItself) {
            for signer in members.iter().copied() {
                let result = act(&terms, &state, &asked, bearer(signer, Proof::Valid, u64::MAX), now);
                assert_eq!(result, Err(name));
            }
            continue;
        }
        for signer in members.iter().copied() {
            let by_signature = |proof, until| act(&terms, &state, &asked, bearer(signer, proof, until), now);
            assert!(by_signature(Proof::Valid, now).is_ok(), "{action}");
            assert_eq!(by_signature(Proof::Invalid, now), Err(Refusal::InvalidSignature { signer }));
            assert_eq!(by_signature(revoked, now), Err(Refusal::SignatureRevoked { digest: DEAL }));
            let expired = by_signature(Proof::Invalid, now - 1);
            if matches!(action, ActionKind::Release | ActionKind::Refund) {
                assert_eq!(expired, Err(Refusal::InvalidSignature { signer }));
            } else {
                assert_eq!(expired, Err(Refusal::SignatureExpired { valid_until: now - 1 }));
            }
        }
        let foreign = act(&terms, &state, &asked, bearer(STRANGER, Proof::Valid, u64::MAX), now);
        let refusal = if by == Who::Party { name } else { Refusal::InvalidSignature { signer: members[0] } };
        assert_eq!(foreign, Err(refusal));
    }
}

#[test]
fn both_parties_must_agree_to_settle_and_to_this_state() {
    let terms = terms();
    let offer = |rulings, valid_until, buyer, seller| Action::Settle {
        seller_total: 1,
        rulings,
        valid_until,
        buyer,
        seller,
    };
    let state = state(Status::Disputed);
    let here = signed(Status::Disputed);
    let ask = |action: &Action, caller| act(&terms, &state, action, Actor::Caller(caller), START + 30);
    assert!(ask(&offer(0, START + 30, here, here), STRANGER).is_ok());
    assert!(ask(&offer(0, START + 30, Consent::Unsigned, here), BUYER).is_ok());
    let not_buyer = Err(Refusal::InvalidSignature { signer: BUYER });
    let not_seller = Err(Refusal::InvalidSignature { signer: SELLER });
    assert_eq!(ask(&offer(0, START + 30, Consent::Unsigned, here), SELLER), not_buyer);
    assert_eq!(ask(&offer(0, START + 30, here, Consent::Unsigned), BUYER), not_seller);
    assert_eq!(ask(&offer(0, START + 30, here, signed(Status::Delivered)), STRANGER), not_seller);
    assert!(ask(&offer(0, START + 30, here, signed(Status::Delivered)), SELLER).is_ok(), "calling is enough");
    assert_eq!(ask(&offer(0, START + 30, signed(Status::Funded), here), STRANGER), not_buyer);
    assert_eq!(
        ask(&offer(0, START + 29, here, here), STRANGER),
        Err(Refusal::SignatureExpired { valid_until: START + 29 })
    );
    assert_eq!(ask(&offer(1, START + 30, here, here), STRANGER), Err(Refusal::StateChanged));

    let ruled = Context { rulings: 1, ..at(START + 30) };
    let after_ruling = |rulings| {
        apply(&terms, &state, &offer(rulings, u64::MAX, here, here), Actor::Caller(STRANGER), &ruled)
    };
    assert_eq!(after_ruling(0), Err(Refusal::StateChanged));
    assert!(after_ruling(1).is_ok());
    let funded = self::state(Status::Funded);
    let here = signed(Status::Funded);
    let outside = offer(0, u64::MAX, here, here);
    assert!(apply(&terms, &funded, &outside, Actor::Caller(STRANGER), &ruled).is_ok());
}

#[test]
fn the_first_class_wins() {
    let valid = terms();
    let late = Actor::Bearer { caller: STRANGER, signer: STRANGER, proof: Proof::Invalid, valid_until: 0 };
    let too_much = Action::Release { total: u128::MAX };
    let class = |terms: &Terms, status, action: &Action, actor, now| {
        act(terms, &state(status), action, actor, now).unwrap_err().class()
    };
    // Everything is wrong: then one class after another is put right.
    let bad_share = Action::Rule { share: WHOLE + 1 };
    assert_eq!(class(&valid, Status::Closed, &bad_share, late, START), Class::Terms);
    let fund = |received| Action::Fund { seller: signed(Status::None), sent: 1, received };
    let invalid = Terms { amount: 0, ..terms() };
    assert_eq!(class(&invalid, Status::Funded, &fund(None), late, START + 101), Class::Terms);
    assert_eq!(class(&valid, Status::Funded, &fund(None), late, START + 101), Class::State);
    assert_eq!(class(&valid, Status::None, &fund(None), late, START), Class::Time);
    let stranger = bearer(STRANGER, Proof::Invalid, START);
    assert_eq!(class(&valid, Status::None, &fund(None), stranger, START), Class::Authority);
    let buyer = bearer(BUYER, Proof::Valid, START);
    assert_eq!(class(&valid, Status::None, &fund(None), buyer, START), Class::Intake);

    assert_eq!(class(&valid, Status::Closed, &too_much, late, START), Class::State);
    assert_eq!(class(&valid, Status::Funded, &too_much, late, START), Class::Authority);
    assert_eq!(class(&valid, Status::Funded, &too_much, buyer, START), Class::Amount);
    let long = Action::Evidence { evidence: DEAL, uri: "x".repeat(257) };
    assert_eq!(class(&valid, Status::Funded, &long, late, START + 30), Class::State);
    assert_eq!(class(&valid, Status::Disputed, &long, late, START + 30), Class::Time);
    assert_eq!(class(&valid, Status::Disputed, &long, Actor::Caller(STRANGER), START + 30), Class::Authority);
    let refused = act(&valid, &state(Status::Disputed), &long, Actor::Caller(BUYER), START + 30);
    assert_eq!(refused, Err(Refusal::UriTooLong { length: 257 }));
}

#[test]
fn intake_is_exact() {
    let token = terms();
    let coin = Terms { asset: AssetId::native(CHAIN), ..terms() };
    let fund = |terms: &Terms, sent, received| {
        let action = Action::Fund { seller: signed(Status::None), sent, received };
        act(terms, &DealState::EMPTY, &action, Actor::Caller(BUYER), START).map(|moved| moved.state.status)
    };
    let amount = token.amount;
    assert_eq!(fund(&token, 0, Some(amount)), Ok(Status::Funded));
    assert_eq!(fund(&coin, amount, None), Ok(Status::Funded));
    assert_eq!(fund(&token, 1, Some(amount)), Err(Refusal::WrongValue { sent: 1, needed: 0 }));
    assert_eq!(fund(&coin, 0, None), Err(Refusal::WrongValue { sent: 0, needed: amount }));
    assert_eq!(fund(&token, 0, None), Err(Refusal::TransferFailed));
    for received in [0, amount - 1, amount + 1] {
        assert_eq!(
            fund(&token, 0, Some(received)),
            Err(Refusal::IntakeMismatch { received, needed: amount })
        );
    }
}

#[test]
fn concessions_clamp_and_name_what_moves_nothing() {
    let terms = terms();
    let amount = terms.amount;
    let release = |state: &DealState, total| {
        act(&terms, state, &Action::Release { total }, Actor::Caller(BUYER), START + 30)
    };
    let funded = state(Status::Funded);
    assert_eq!(release(&funded, 0), Err(Refusal::NothingMoves));
    assert_eq!(release(&funded, amount + 1), Err(Refusal::TotalTooHigh { total: amount + 1, amount }));
    let half = release(&funded, 400).unwrap().state;
    assert_eq!(release(&half, 400), Err(Refusal::NothingMoves));
    assert_eq!(release(&half, 399), Err(Refusal::NothingMoves));
    let action = Action::Refund { total: amount };
    let closed = act(&terms, &half, &action, Actor::Caller(SELLER), START + 30).unwrap();
    assert_eq!((closed.state.released, closed.state.refunded), (400, amount - 400));
    assert_eq!((closed.state.status, closed.state.since), (Status::Closed, 0));
}

#[test]
fn validity_has_all_its_edges() {
    type Change = fn(&mut Terms);
    let cases: &[(Change, Result<(), Refusal>)] = &[
        (|_| (), Ok(())),
        (|t| t.buyer.address = CHAIN.zero(), Err(Refusal::ZeroParty)),
        (|t| t.seller.address = CHAIN.zero(), Err(Refusal::ZeroParty)),
        (|t| t.arbiter.address = CHAIN.zero(), Ok(())),
        (|t| t.seller.address = BUYER, Err(Refusal::SameParty)),
        (|t| t.arbiter.address = SELLER, Err(Refusal::SameParty)),
        (|t| t.buyer.address = ESCROW, Err(Refusal::SameParty)),
        (|t| t.asset.token = Some(ARBITER), Err(Refusal::SameParty)),
        (|t| t.asset.token = Some(ESCROW), Err(Refusal::SameParty)),
        (|t| t.amount = 0, Err(Refusal::AmountOutOfRange)),
        (|t| t.amount = 1, Ok(())),
        (|t| t.amount = AMOUNT_MAX, Ok(())),
        (|t| t.amount = AMOUNT_MAX + 1, Err(Refusal::AmountOutOfRange)),
        (|t| t.inspection = 0, Err(Refusal::WindowOutOfRange)),
        (|t| t.ruling = 0, Err(Refusal::WindowOutOfRange)),
        (|t| t.inspection = LONGEST_WINDOW, Ok(())),
        (|t| t.ruling = LONGEST_WINDOW + 1, Err(Refusal::WindowOutOfRange)),
        (|t| t.lapse_share = WHOLE, Ok(())),
        (|t| t.lapse_share = WHOLE + 1, Err(Refusal::ShareOutOfRange)),
        (|t| t.fund_by = t.deliver_by, Err(Refusal::DeadlinesOutOfOrder)),
        (|t| t.fund_by = t.deliver_by - 1, Ok(())),
        (|t| t.deliver_by = START + FARTHEST_DEADLINE, Ok(())),
        (|t| t.deliver_by = START + FARTHEST_DEADLINE + 1, Err(Refusal::DeadlineTooFar)),
    ];
    for (number, (change, expected)) in cases.iter().enumerate() {
        let mut terms = terms();
        change(&mut terms);
        assert_eq!(validate(&terms, START, AMOUNT_MAX), *expected, "case {number}");
    }
    let mut native = terms();
    native.asset.token = None;
    native.arbiter.address = CHAIN.zero();
    assert_eq!(validate(&native, START, AMOUNT_MAX), Err(Refusal::SameParty));
}

#[test]
fn every_broken_rule_is_told() {
    let mut worst = terms();
    (worst.buyer.address, worst.seller.address) = (CHAIN.zero(), CHAIN.zero());
    (worst.amount, worst.ruling, worst.lapse_share) = (0, 0, WHOLE + 1);
    worst.deliver_by = START + FARTHEST_DEADLINE + 1;
    worst.fund_by = worst.deliver_by;
    let told: Vec<&str> = violations(&worst, START, AMOUNT_MAX).map(|one| one.name()).collect();
    let all = Refusal::ALL.iter().filter(|(_, class)| *class == Class::Terms);
    assert_eq!(told, all.map(|(name, _)| *name).collect::<Vec<_>>());
    assert_eq!(violations(&terms(), START, AMOUNT_MAX).count(), 0);
}

#[test]
fn what_lies_ahead_is_what_may_be_done() {
    for terms in [terms(), metered()] {
        for (status, action) in rows().map(|row| (row.status, row.action)) {
            if terms.metered && status == Status::Delivered {
                continue; // no metered deal gets there
            }
            let (state, asked) = (state(status), good(action, &terms, status));
            for now in (START..START + 2_000).step_by(50).flat_map(|time| [time, time + 1]) {
                let label = format!("{action} from {status:?} at {now}");
                let Some(next) = ahead(&terms, &state, now).find(|next| next.action == action) else {
                    for actor in [BUYER, SELLER, ARBITER].map(Actor::Caller) {
                        assert!(act(&terms, &state, &asked, actor, now).is_err(), "{label}");
                    }
                    continue;
                };
                let actor = allowed_actor(next.by);
                let result = act(&terms, &state, &asked, actor, now);
                assert_eq!(result.is_ok(), next.from == now, "{label}");
                assert!(act(&terms, &state, &asked, actor, next.from).is_ok(), "{label}");
                if let Some(last) = next.until {
                    assert!(act(&terms, &state, &asked, actor, last).is_ok(), "{label}");
                    assert!(act(&terms, &state, &asked, actor, last + 1).is_err(), "{label}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn shares_are_exact_and_clamped(
        share in 0..=WHOLE, amount in any::<u128>(), one in any::<u128>(), other in any::<u128>(),
    ) {
        let released = one % amount.max(1);
        let refunded = other % (amount - released).max(1);
        let exact = U256::from(amount) * U256::from(share) / U256::from(WHOLE);
        let expected = exact.max(U256::from(released)).min(U256::from(amount - refunded));
        prop_assert_eq!(U256::from(seller_total(share, amount, released, refunded)), expected);
    }

    #[test]
    fn windows_never_overlap_and_leave_no_gap(
        terms in any_terms(), since in 0..3_000_u64, status in 1..4_usize, offset in 0..6_000_u64,
    ) {
        let status = Status::ALL[status];
        prop_assume!(!(terms.metered && status == Status::Delivered));
        let state = DealState { since: START + since, ..state(status) };
        let open = |action, now| match outcome(status, action) {
            Outcome::Allowed { when, .. } if !(terms.metered && never_metered(action)) => {
                when.check(&terms, &state, now).is_ok()
            }
            _ => false,
        };
        let ends = [terms.deliver_by, state.since + u64::from(terms.inspection), state.since + u64::from(terms.ruling)];
        for now in ends.iter().flat_map(|end| [end - 1, *end, end + 1]).chain([START + offset]) {
            let answer = match status {
                Status::Disputed => open(ActionKind::Rule, now),
                _ => open(ActionKind::Dispute, now),
            };
            let silence = [ActionKind::Reclaim, ActionKind::Claim, ActionKind::Lapse]
                .into_iter()
                .filter(|action| open(*action, now))
                .count();
            prop_assert!(silence <= 1);
            prop_assert!(!(answer && silence > 0), "both open at {}", now);
            // A metered deal leaves the seller its time to redeem: there neither is open.
            prop_assert!(terms.metered && status == Status::Funded || answer || silence == 1, "gap at {}", now);
        }
    }
}
