//! The pure rules of EVM chains: the fees, the decisions.

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::SolError,
};
use proptest::prelude::*;
use protocol::{evm::pools::ArbitrationPools, wire::intent::IntentAction};

use crate::{
    intents::State,
    testing::{intent, terms},
    transactions::{
        evm::{
            case::{cure, payee_gas},
            chain::Receipt,
            fees::{Fees, Market, Price, bump, ceiling, first_price, gas_limit, usual},
            resolve::{AttemptFact, AttemptFacts, AttemptRules, Next, with_attempts},
            store::Kind,
        },
        model::{Step, next},
        refusal::Cure,
        resolve::{Effect, Resolution},
        tests::{any_effect, step},
    },
};

const fn fees(max_fee: u128, priority_fee: u128) -> Fees {
    Fees { max_fee, priority_fee }
}

const fn market(base_fee: u128, priority_fee: u128) -> Market {
    Market { base_fee, priority_fee }
}

#[test]
fn a_bump_is_an_eighth_or_the_estimate_within_the_ceiling() {
    let still = market(0, 0);
    assert_eq!(bump(fees(800, 80), still, 1_250, 10_000), Price::Fees(fees(900, 90)));
    assert_eq!(bump(fees(801, 1), still, 1_250, 10_000), Price::Fees(fees(902, 2)), "rounded up");
    let busy = market(2_250, 500);
    assert_eq!(bump(fees(800, 80), busy, 1_250, 10_000), Price::Fees(fees(5_000, 500)));
    assert_eq!(bump(fees(800, 80), busy, 1_250, 3_000), Price::Fees(fees(3_000, 500)));
    assert_eq!(bump(fees(800, 80), still, 1_250, 899), Price::TooDear { needed: 900, allowed: 899 });
    // What the next block would not take is not worth its budget.
    assert_eq!(bump(fees(800, 80), busy, 1_250, 2_532), Price::TooDear { needed: 2_533, allowed: 2_532 });
    assert_eq!(first_price(market(80, 1), 200), Price::Fees(fees(161, 1)));
    assert_eq!(first_price(market(80, 1), 91), Price::Fees(fees(91, 1)), "less room, and still enough");
    assert_eq!(first_price(market(80, 1), 90), Price::TooDear { needed: 91, allowed: 90 });
    assert_eq!(ceiling(500, 1_000_000, 1_000), 500);
    assert_eq!(ceiling(5_000, 1_000_000, 1_000), 1_000);
    assert_eq!(ceiling(5_000, 1_000_000, 0), 0);
    assert_eq!(gas_limit(100_000, 300_000), 425_000);
}

#[test]
fn the_usual_priority_fee_is_the_median_of_what_was_paid() {
    let of = |paid: &[u128]| usual(&paid.iter().map(|paid| vec![*paid, 1_000]).collect::<Vec<_>>());
    assert_eq!([of(&[]), of(&[0, 0]), usual(&[Vec::new()])], [1, 1, 1]);
    assert_eq!([of(&[0, 5]), of(&[9, 1, 5]), of(&[9, 2, 0, 5, 4])], [5, 5, 4]);
    assert_eq!([of(&[u128::MAX; 10]), of(&[1, u128::MAX])], [u128::MAX, 1 << 127]);
}

#[test]
fn a_payee_that_spends_its_bound_starves_no_ruling() {
    let bounds = include_str!("../../../../../contracts/src/libraries/Payments.sol");
    assert!(bounds.contains("COIN_GAS = 50_000;") && bounds.contains("TOKEN_GAS = 300_000;"));
    let mut terms = terms();
    for (token, bound) in [(None, 50_000), (Some(Address::repeat_byte(9)), 300_000)] {
        terms.asset.token = token.map(Into::into);
        for (action, gas) in [
            (IntentAction::OpenCase, 0),
            (IntentAction::DrawJury { instance: 0, jury: 0 }, 0),
            (IntentAction::OpenSecondJury { instance: 0 }, 0),
            (IntentAction::SubmitBallots { instance: 0, jury: 0, ballots: Vec::new() }, bound),
            (IntentAction::Conclude { instance: 0 }, bound),
            (IntentAction::ExecuteRuling, bound),
        ] {
            assert_eq!(payee_gas(&intent(1, "key", &terms, action)), gas);
        }
    }
}

proptest! {
    #[test]
    fn every_bump_is_one_that_nodes_take(
        max_fee in 0_u128..1 << 100,
        priority in 0_u128..1 << 100,
        base in 0_u128..1 << 100,
        bps in 1_250_u32..=10_000,
        top in 0_u128..1 << 110,
    ) {
        let old = fees(max_fee, priority.min(max_fee));
        let market = market(base, base / 3);
        match bump(old, market, bps, top) {
            Price::Fees(new) => {
                prop_assert!(new.max_fee <= top && new.priority_fee <= new.max_fee);
                prop_assert!(new.max_fee * 10_000 >= old.max_fee * (10_000 + u128::from(bps)));
                prop_assert!(new.priority_fee * 10_000 >= old.priority_fee * (10_000 + u128::from(bps)));
                prop_assert!(new.max_fee > old.max_fee && new.max_fee >= market.least());
            }
            Price::TooDear { needed, allowed } => prop_assert!(needed > allowed && allowed == top),
        }
    }

    #[test]
    fn fees_never_overflow(max_fee: u128, priority: u128, bps: u32, top: u128) {
        match bump(fees(max_fee, priority), market(priority, max_fee), bps, top) {
            Price::Fees(new) => prop_assert!(new.max_fee <= top),
            Price::TooDear { needed, .. } => prop_assert!(needed > top),
        }
        if let Price::Fees(new) = first_price(market(max_fee, priority), top) {
            prop_assert!(new.max_fee <= top && new.priority_fee <= new.max_fee);
        }
    }
}

const RULES: AttemptRules = AttemptRules { bump_after_ms: 1_000, bump_bps: 1_250 };

fn tx(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

/// What is next where that is no replacement.
fn settle(facts: &AttemptFacts, rules: &AttemptRules) -> Resolution {
    match with_attempts(facts, rules) {
        Next::Do(resolution) => resolution,
        bump => panic!("{bump:?}"),
    }
}

fn attempt(byte: u8, nonce: u64, age_ms: i64, receipt: Option<bool>) -> AttemptFact {
    AttemptFact {
        hash: tx(byte),
        signer: Address::ZERO,
        over: false,
        front: false,
        kind: Kind::Call,
        nonce,
        fees: fees(800 + u128::from(byte), 80),
        age_ms,
        passed_over: true,
        can_sign: true,
        receipt: receipt.map(|success| Receipt { block_number: 5, block_hash: tx(9), success }),
    }
}

fn attempted(mut attempts: Vec<AttemptFact>, nonce_latest: u64, nonce_final: u64) -> AttemptFacts {
    for attempt in &mut attempts {
        (attempt.front, attempt.over) = (attempt.nonce == nonce_latest, attempt.nonce < nonce_final);
    }
    AttemptFacts {
        state: State::Attempted,
        attempts,
        effect_final: None,
        pointless: false,
        market: Some(market(0, 0)),
        price_max: 10_000,
        ceiling: 10_000,
        cancel_ceiling: 10_000,
    }
}

#[test]
fn attempts_are_resolved_by_receipt_then_nonce_then_case() {
    // In the pool: the same bytes again, and dearer ones when it is stuck and in front.
    assert_eq!(
        with_attempts(&attempted(vec![attempt(1, 7, 0, None)], 7, 7), &RULES),
        Next::Do(Resolution::Resend)
    );
    assert_eq!(
        with_attempts(&attempted(vec![attempt(1, 7, 5_000, None), attempt(2, 7, 1_000, None)], 7, 7), &RULES),
        replaced(7, Kind::Call, fees(903, 90))
    );
    assert_eq!(
        with_attempts(&attempted(vec![attempt(1, 7, 5_000, None), attempt(2, 7, 999, None)], 7, 7), &RULES),
        Next::Do(Resolution::Resend),
        "the dearest is young"
    );
    assert_eq!(
        with_attempts(&attempted(vec![attempt(1, 8, 5_000, None)], 7, 7), &RULES),
        Next::Do(Resolution::Resend),
        "in line behind another"
    );
    let mut facts = attempted(vec![attempt(1, 7, 5_000, None)], 7, 7);
    facts.attempts[0].can_sign = false;
    assert!(
        matches!(settle(&facts, &RULES), Resolution::Quarantine { reason } if reason.contains("not here"))
    );
    facts.state = State::Quarantined;
    assert_eq!(with_attempts(&facts, &RULES), Next::Do(Resolution::Resend), "said once");
    let mut facts = attempted(vec![attempt(1, 7, 5_000, None)], 7, 7);
    facts.attempts[0].passed_over = false;
    assert_eq!(with_attempts(&facts, &RULES), Next::Do(Resolution::Resend), "no block came");

    // In a block that is not final: nothing is decided, reverted or not.
    for success in [true, false] {
        let facts = attempted(vec![attempt(1, 7, 0, None), attempt(2, 7, 0, Some(success))], 8, 7);
        assert_eq!(settle(&facts, &RULES), Resolution::Mine { transaction: tx(2).into() });
    }
    let mut facts = attempted(vec![attempt(1, 7, 0, None)], 7, 7);
    facts.state = State::Mined;
    assert_eq!(settle(&facts, &RULES), Resolution::Unmine);

    // Final: the case has the last word.
    let mut facts = attempted(vec![attempt(1, 7, 0, Some(true)), attempt(2, 7, 0, None)], 8, 8);
    facts.effect_final = Some(Effect::Present);
    assert_eq!(settle(&facts, &RULES), Resolution::Finish { transaction: Some(tx(1).into()) });
    facts.effect_final = Some(Effect::Absent);
    assert!(
        matches!(settle(&facts, &RULES), Resolution::Release { reason } if reason.contains("not there yet"))
    );
    let mut facts = attempted(vec![attempt(1, 7, 0, Some(false))], 8, 8);
    facts.effect_final = Some(Effect::Present);
    assert_eq!(settle(&facts, &RULES), Resolution::Finish { transaction: None }, "by somebody else");
    facts.effect_final = Some(Effect::Absent);
    assert!(matches!(settle(&facts, &RULES), Resolution::Release { reason } if reason.contains("reverted")));
    let mut facts = attempted(vec![attempt(1, 7, 0, None)], 8, 8);
    facts.effect_final = Some(Effect::Absent);
    assert!(matches!(settle(&facts, &RULES), Resolution::Release { reason } if reason.contains("another")));
    facts.effect_final = Some(Effect::Unreadable("gone".to_owned()));
    assert_eq!(settle(&facts, &RULES), Resolution::Quarantine { reason: "gone".to_owned() });

    // One nonce of two is final: the other may still be mined, so nothing is over.
    let mut facts = attempted(vec![attempt(1, 7, 0, Some(true)), attempt(2, 9, 0, None)], 9, 8);
    facts.effect_final = Some(Effect::Present);
    assert_eq!(settle(&facts, &RULES), Resolution::Mine { transaction: tx(1).into() });
}

#[test]
fn a_nonce_that_is_stuck_beside_one_that_was_mined_is_freed() {
    // After a deep reorganisation two nonces of an intent may be open; those behind the first wait for it.
    let other = Address::repeat_byte(1);
    let mut facts = attempted(vec![attempt(1, 7, 5_000, None), attempt(2, 3, 5_000, Some(true))], 7, 3);
    facts.attempts[1].signer = other;
    assert_eq!(with_attempts(&facts, &RULES), replaced(7, Kind::Cancel, fees(902, 90)), "it is done");
    facts.attempts[1].receipt = Some(Receipt { block_number: 5, block_hash: tx(9), success: false });
    assert_eq!(with_attempts(&facts, &RULES), replaced(7, Kind::Call, fees(902, 90)), "it did nothing");
    facts.attempts[0].age_ms = 0;
    assert_eq!(settle(&facts, &RULES), Resolution::Mine { transaction: tx(2).into() });
}

#[test]
fn a_price_above_the_highest_is_waited_for_and_calls_nobody_to_the_intent() {
    let mut facts = attempted(vec![attempt(1, 7, 5_000, None)], 7, 7);
    (facts.ceiling, facts.cancel_ceiling, facts.price_max) = (850, 850, 850);
    assert!(matches!(with_attempts(&facts, &RULES), Next::TooDear { reason } if reason.contains("902")));
    facts.price_max = 902;
    assert!(matches!(settle(&facts, &RULES), Resolution::Quarantine { .. }), "the budget is in the way");
}

fn replaced(nonce: u64, kind: Kind, fees: Fees) -> Next {
    Next::Replace { signer: Address::ZERO, nonce, kind, fees }
}

#[test]
fn what_is_not_wanted_any_more_is_cancelled_at_its_nonce() {
    let mut facts = attempted(vec![attempt(1, 7, 5_000, None)], 7, 7);
    facts.pointless = true;
    assert_eq!(with_attempts(&facts, &RULES), replaced(7, Kind::Cancel, fees(902, 90)));
    facts.attempts[0].age_ms = 999;
    assert_eq!(with_attempts(&facts, &RULES), Next::Do(Resolution::Resend), "it may still be mined soon");

    // A budget that has enough for nothing else frees the nonce for those behind it.
    let mut facts = attempted(vec![attempt(1, 7, 5_000, None)], 7, 7);
    facts.ceiling = 850;
    assert_eq!(with_attempts(&facts, &RULES), replaced(7, Kind::Cancel, fees(902, 90)));

    // What was begun to be cancelled is not called again.
    let mut facts = attempted(vec![attempt(1, 7, 9_000, None), attempt(2, 7, 5_000, None)], 7, 7);
    facts.attempts[1].kind = Kind::Cancel;
    assert_eq!(with_attempts(&facts, &RULES), replaced(7, Kind::Cancel, fees(903, 90)));

    // A cancellation that was mined did nothing.
    let mut facts = attempted(vec![attempt(1, 7, 0, None), attempt(2, 7, 0, Some(true))], 8, 8);
    facts.attempts[1].kind = Kind::Cancel;
    facts.effect_final = Some(Effect::Absent);
    assert!(matches!(settle(&facts, &RULES), Resolution::Release { reason } if reason.contains("cancelled")));
    facts.effect_final = Some(Effect::Present);
    assert_eq!(settle(&facts, &RULES), Resolution::Finish { transaction: None }, "by somebody else");
}

#[test]
fn a_stuck_transaction_without_budget_is_said_once_and_sent_on() {
    let mut facts = attempted(vec![attempt(1, 7, 5_000, None)], 7, 7);
    (facts.ceiling, facts.cancel_ceiling) = (850, 850);
    match settle(&facts, &RULES) {
        Resolution::Quarantine { reason } => {
            assert!(reason.contains("902") && reason.contains("850"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
    facts.state = State::Quarantined;
    assert_eq!(settle(&facts, &RULES), Resolution::Resend);
    facts.ceiling = 10_000;
    assert!(
        matches!(with_attempts(&facts, &RULES), Next::Replace { kind: Kind::Call, .. }),
        "the budget was raised"
    );
}

#[test]
fn refusals_are_named_and_sorted_by_what_helps() {
    let about = intent(1, "k", &terms(), IntentAction::OpenCase);
    let words = |data: Vec<u8>| cure(&about, &data);
    let (what, said) = words(ArbitrationPools::TooEarly { opensAt: U256::from(77) }.abi_encode());
    assert!(what == Cure::Time && said.contains("TooEarly") && said.contains("77"), "{said}");
    let (what, said) = words(ArbitrationPools::InvalidBallot { seat: U256::from(2) }.abi_encode());
    assert!(what == Cure::Nothing && said.contains("InvalidBallot"), "{said}");
    assert_eq!(words(ArbitrationPools::UnknownCase {}.abi_encode()).0, Cure::Event);
    assert_eq!(words(ArbitrationPools::NotDisputed {}.abi_encode()).0, Cure::Event);
    assert_eq!(words(ArbitrationPools::TooLate { closedAt: U256::from(1) }.abi_encode()).0, Cure::Nothing);
    assert_eq!(words(Vec::new()).0, Cure::Unknown);
    let (what, said) = words(vec![0xab; 500]);
    assert!(what == Cure::Unknown && said.len() < 200, "{said}");
}

prop_compose! {
    fn any_attempt()(
        byte: u8,
        nonce in 5_u64..9,
        age_ms in 0_i64..2_000,
        receipt in proptest::option::of(any::<bool>()),
        kind in prop_oneof![Just(Kind::Call), Just(Kind::Cancel)],
        passed_over: bool,
    ) -> AttemptFact {
        AttemptFact { kind, passed_over, ..attempt(byte, nonce, age_ms, receipt) }
    }
}

proptest! {
    #[test]
    fn whatever_is_known_of_attempts_the_step_is_allowed_and_finality_comes_first(
        state in prop_oneof![Just(State::Attempted), Just(State::Mined), Just(State::Quarantined)],
        attempts in proptest::collection::vec(any_attempt(), 1..5),
        nonce_latest in 4_u64..10,
        behind in 0_u64..4,
        effect_final in any_effect(),
        top in 0_u128..2_000,
        more in 0_u128..2_000,
        pointless: bool,
        base in 0_u128..1_000,
        told: bool,
    ) {
        let nonce_final = nonce_latest.saturating_sub(behind);
        let mut facts = attempted(attempts, nonce_latest, nonce_final);
        (facts.state, facts.effect_final, facts.pointless) = (state, effect_final, pointless);
        (facts.ceiling, facts.cancel_ceiling, facts.market) = (top, top + more, told.then(|| market(base, 1)));
        let what = with_attempts(&facts, &RULES);
        let taken = match &what {
            Next::Replace { .. } => Some(Step::Bump),
            Next::TooDear { .. } => None,
            Next::Do(resolution) => step(resolution),
        };
        if let Some(step) = taken {
            prop_assert!(next(state, step).is_ok(), "{state} {what:?}");
        }
        let all_final = facts.attempts.iter().all(|attempt| attempt.over);
        match what {
            Next::Do(Resolution::Finish { .. }) => prop_assert!(all_final && facts.effect_final == Some(Effect::Present)),
            Next::Do(Resolution::Release { .. }) => prop_assert!(all_final && facts.effect_final == Some(Effect::Absent)),
            Next::Replace { nonce, kind, fees, .. } => {
                prop_assert!(!all_final && nonce == nonce_latest && told);
                let most = if kind == Kind::Call { top } else { top + more };
                prop_assert!(fees.max_fee <= most);
                prop_assert!(kind == Kind::Cancel || !pointless);
            }
            Next::Do(Resolution::Sign | Resolution::Fail { .. }) => {
                prop_assert!(false, "while a transaction may be mined");
            }
            _ => {}
        }
    }
}
