//! The pure rules: the machine, the fees, the decisions.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolError,
};
use proptest::prelude::*;
use protocol::{
    evm::pools::ArbitrationPools,
    wire::intent::{IntentAction, SignedBallot},
};

use crate::{
    chain::Receipt,
    intents::State,
    testing::{intent, terms},
    transactions::{
        AttemptFacts, AttemptRules, Cure, Effect, Fees, Forbidden, Jury, Price, Resolution, Step,
        WaitingFacts, achieved, bump, case::payee_gas, cure, fees::ceiling, first_price, gas_limit, next,
        resolve::AttemptFact, with_attempts, without_attempts,
    },
};

#[test]
fn the_machine_is_this_table() {
    use State::{Attempted as A, Done as D, Failed as F, Mined as M, Quarantined as Q, Waiting as W};
    // Columns: Sign, Bump, Mine, Unmine, Release, Finish, Fail, Quarantine, Reopen.
    let table = [
        (W, [Some(A), None, None, None, None, Some(D), Some(F), Some(Q), Some(A)]),
        (A, [None, Some(A), Some(M), None, Some(W), Some(D), None, Some(Q), Some(A)]),
        (M, [None, None, Some(M), Some(A), Some(W), Some(D), None, None, Some(A)]),
        (D, [None, None, None, None, None, None, None, None, Some(A)]),
        (F, [None, None, None, None, None, None, None, None, Some(A)]),
        (Q, [Some(A), Some(A), Some(M), None, Some(W), Some(D), Some(F), Some(Q), Some(A)]),
    ];
    assert_eq!(table.map(|(state, _)| state).len(), State::ALL.len());
    for (state, row) in table {
        for (step, expected) in Step::ALL.into_iter().zip(row) {
            assert_eq!(next(state, step), expected.ok_or(Forbidden { state, step }), "{state} {step:?}");
        }
    }
}

const fn fees(max_fee: u128, priority_fee: u128) -> Fees {
    Fees { max_fee, priority_fee }
}

#[test]
fn a_bump_is_an_eighth_or_the_estimate_within_the_ceiling() {
    assert_eq!(bump(fees(800, 80), fees(0, 0), 1_250, 10_000), Price::Fees(fees(900, 90)));
    assert_eq!(bump(fees(801, 1), fees(0, 0), 1_250, 10_000), Price::Fees(fees(902, 2)), "rounded up");
    assert_eq!(bump(fees(800, 80), fees(5_000, 500), 1_250, 10_000), Price::Fees(fees(5_000, 500)));
    assert_eq!(bump(fees(800, 80), fees(5_000, 500), 1_250, 950), Price::Fees(fees(950, 500)));
    assert_eq!(bump(fees(800, 80), fees(0, 0), 1_250, 899), Price::TooDear { needed: 900, allowed: 899 });
    assert_eq!(first_price(fees(10, 1), 10), Price::Fees(fees(10, 1)));
    assert_eq!(first_price(fees(11, 1), 10), Price::TooDear { needed: 11, allowed: 10 });
    assert_eq!(ceiling(500, 1_000_000, 1_000), 500);
    assert_eq!(ceiling(5_000, 1_000_000, 1_000), 1_000);
    assert_eq!(ceiling(5_000, 1_000_000, 0), 0);
    assert_eq!(gas_limit(100_000, 300_000), 425_000);
}

#[test]
fn a_payee_that_spends_its_bound_starves_no_ruling() {
    let bounds = include_str!("../../../../contracts/src/libraries/Payments.sol");
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
        estimate in 0_u128..1 << 100,
        bps in 1_250_u32..=10_000,
        top in 0_u128..1 << 110,
    ) {
        let old = fees(max_fee, priority.min(max_fee));
        match bump(old, fees(estimate, estimate / 3), bps, top) {
            Price::Fees(new) => {
                prop_assert!(new.max_fee <= top && new.priority_fee <= new.max_fee);
                prop_assert!(new.max_fee * 10_000 >= old.max_fee * (10_000 + u128::from(bps)));
                prop_assert!(new.priority_fee * 10_000 >= old.priority_fee * (10_000 + u128::from(bps)));
                prop_assert!(new.max_fee > old.max_fee);
            }
            Price::TooDear { needed, allowed } => prop_assert!(needed > allowed && allowed == top),
        }
    }

    #[test]
    fn fees_never_overflow(max_fee: u128, priority: u128, bps: u32, top: u128) {
        match bump(fees(max_fee, priority), fees(priority, max_fee), bps, top) {
            Price::Fees(new) => prop_assert!(new.max_fee <= top),
            Price::TooDear { needed, .. } => prop_assert!(needed > top),
        }
    }
}

const RULES: AttemptRules = AttemptRules { bump_after_ms: 1_000, bump_bps: 1_250, can_sign: true };

fn tx(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

fn attempt(byte: u8, nonce: u64, age_ms: i64, receipt: Option<bool>) -> AttemptFact {
    AttemptFact {
        hash: tx(byte),
        nonce,
        fees: fees(800 + u128::from(byte), 80),
        age_ms,
        receipt: receipt.map(|success| Receipt { block_number: 5, block_hash: tx(9), success }),
    }
}

fn attempted(attempts: Vec<AttemptFact>, nonce_latest: u64, nonce_final: u64) -> AttemptFacts {
    AttemptFacts {
        state: State::Attempted,
        attempts,
        nonce_latest,
        nonce_final,
        effect_final: None,
        estimate: fees(0, 0),
        ceiling: 10_000,
    }
}

#[test]
fn attempts_are_resolved_by_receipt_then_nonce_then_case() {
    // In the pool: the same bytes again, and dearer ones when it is stuck and in front.
    assert_eq!(with_attempts(&attempted(vec![attempt(1, 7, 0, None)], 7, 7), &RULES), Resolution::Resend);
    assert_eq!(
        with_attempts(&attempted(vec![attempt(1, 7, 5_000, None), attempt(2, 7, 1_000, None)], 7, 7), &RULES),
        Resolution::Bump { nonce: 7, fees: fees(903, 90) }
    );
    assert_eq!(
        with_attempts(&attempted(vec![attempt(1, 7, 5_000, None), attempt(2, 7, 999, None)], 7, 7), &RULES),
        Resolution::Resend,
        "the dearest is young"
    );
    assert_eq!(
        with_attempts(&attempted(vec![attempt(1, 8, 5_000, None)], 7, 7), &RULES),
        Resolution::Resend,
        "in line behind another"
    );
    let other_key = AttemptRules { can_sign: false, ..RULES };
    assert_eq!(
        with_attempts(&attempted(vec![attempt(1, 7, 5_000, None)], 7, 7), &other_key),
        Resolution::Resend
    );

    // In a block that is not final: nothing is decided, reverted or not.
    for success in [true, false] {
        let facts = attempted(vec![attempt(1, 7, 0, None), attempt(2, 7, 0, Some(success))], 8, 7);
        assert_eq!(with_attempts(&facts, &RULES), Resolution::Mine { transaction: tx(2) });
    }
    let mut facts = attempted(vec![attempt(1, 7, 0, None)], 7, 7);
    facts.state = State::Mined;
    assert_eq!(with_attempts(&facts, &RULES), Resolution::Unmine);

    // Final: the case has the last word.
    let mut facts = attempted(vec![attempt(1, 7, 0, Some(true)), attempt(2, 7, 0, None)], 8, 8);
    facts.effect_final = Some(Effect::Present);
    assert_eq!(with_attempts(&facts, &RULES), Resolution::Finish { transaction: Some(tx(1)) });
    facts.effect_final = Some(Effect::Absent);
    assert!(
        matches!(with_attempts(&facts, &RULES), Resolution::Release { reason } if reason.contains("not there yet"))
    );
    let mut facts = attempted(vec![attempt(1, 7, 0, Some(false))], 8, 8);
    facts.effect_final = Some(Effect::Present);
    assert_eq!(with_attempts(&facts, &RULES), Resolution::Finish { transaction: None }, "by somebody else");
    facts.effect_final = Some(Effect::Absent);
    assert!(
        matches!(with_attempts(&facts, &RULES), Resolution::Release { reason } if reason.contains("reverted"))
    );
    let mut facts = attempted(vec![attempt(1, 7, 0, None)], 8, 8);
    facts.effect_final = Some(Effect::Absent);
    assert!(
        matches!(with_attempts(&facts, &RULES), Resolution::Release { reason } if reason.contains("another"))
    );
    facts.effect_final = Some(Effect::Unreadable("gone".to_owned()));
    assert_eq!(with_attempts(&facts, &RULES), Resolution::Quarantine { reason: "gone".to_owned() });

    // One nonce of two is final: the other may still be mined, so nothing is over.
    let mut facts = attempted(vec![attempt(1, 7, 0, Some(true)), attempt(2, 9, 0, None)], 9, 8);
    facts.effect_final = Some(Effect::Present);
    assert_eq!(with_attempts(&facts, &RULES), Resolution::Mine { transaction: tx(1) });
}

#[test]
fn a_stuck_transaction_without_budget_is_said_once_and_sent_on() {
    let mut facts = attempted(vec![attempt(1, 7, 5_000, None)], 7, 7);
    facts.ceiling = 850;
    match with_attempts(&facts, &RULES) {
        Resolution::Quarantine { reason } => {
            assert!(reason.contains("902") && reason.contains("850"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
    facts.state = State::Quarantined;
    assert_eq!(with_attempts(&facts, &RULES), Resolution::Resend);
    facts.ceiling = 10_000;
    assert!(matches!(with_attempts(&facts, &RULES), Resolution::Bump { .. }), "the budget was raised");
}

fn waiting() -> WaitingFacts {
    WaitingFacts {
        state: State::Waiting,
        effect_latest: Effect::Absent,
        effect_final: None,
        dry_run: Some(Ok(50_000)),
        deadline: 1_000,
        latest_time: 1_000,
        latest_number: 20,
        final_number: 18,
        refused_at_block: None,
        reason: String::new(),
        nonces_used: 0,
        nonces_max: 5,
    }
}

fn refused(cure: Cure) -> Option<Result<u64, (Cure, String)>> {
    Some(Err((cure, "why".to_owned())))
}

#[test]
fn what_waits_is_signed_only_when_the_call_would_succeed() {
    assert_eq!(without_attempts(&waiting()), Resolution::Sign);
    let mut facts = waiting();
    facts.nonces_used = 5;
    assert!(
        matches!(without_attempts(&facts), Resolution::Quarantine { reason } if reason.contains("5 transactions"))
    );
    for curable in [Cure::Time, Cure::Event] {
        facts = WaitingFacts { dry_run: refused(curable), ..waiting() };
        let expected = Resolution::Wait { reason: "why".to_owned(), refused_at_block: None };
        assert_eq!(without_attempts(&facts), expected);
    }
    facts = WaitingFacts { dry_run: refused(Cure::Unknown), ..waiting() };
    assert_eq!(without_attempts(&facts), Resolution::Quarantine { reason: "why".to_owned() });
    facts.state = State::Quarantined;
    assert!(matches!(without_attempts(&facts), Resolution::Wait { .. }));
}

#[test]
fn a_refusal_for_good_fails_the_intent_once_it_is_final() {
    let mut facts = WaitingFacts { dry_run: refused(Cure::Nothing), ..waiting() };
    let Resolution::Wait { refused_at_block, .. } = without_attempts(&facts) else { panic!() };
    assert_eq!(refused_at_block, Some(20));
    facts.refused_at_block = refused_at_block;
    (facts.latest_number, facts.final_number) = (21, 19);
    assert!(matches!(without_attempts(&facts), Resolution::Wait { refused_at_block: Some(20), .. }));
    (facts.latest_number, facts.final_number) = (22, 20);
    assert_eq!(without_attempts(&facts), Resolution::Fail { reason: "why".to_owned() });
}

#[test]
fn what_somebody_else_did_is_done_once_it_is_final() {
    let mut facts = WaitingFacts { effect_latest: Effect::Present, dry_run: None, ..waiting() };
    facts.effect_final = Some(Effect::Absent);
    assert!(matches!(without_attempts(&facts), Resolution::Wait { .. }));
    facts.effect_final = Some(Effect::Present);
    // Even after its deadline.
    facts.latest_time = 2_000;
    assert_eq!(without_attempts(&facts), Resolution::Finish { transaction: None });
}

#[test]
fn a_deadline_that_passed_fails_what_is_not_begun() {
    let mut facts = WaitingFacts { latest_time: 1_001, dry_run: None, ..waiting() };
    facts.reason = "NotDisputed".to_owned();
    assert!(matches!(
        without_attempts(&facts),
        Resolution::Fail { reason } if reason.contains("1000") && reason.contains("NotDisputed")
    ));
}

#[test]
fn refusals_are_named_and_sorted_by_what_helps() {
    let words = |data: Vec<u8>| cure(&data);
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

fn case(stage: u8, ballots: U256) -> Vec<Jury> {
    if stage == 0 { Vec::new() } else { vec![Jury { stage, ballots, ..Jury::default() }] }
}

#[test]
fn an_effect_is_read_from_the_stage_and_the_ballots() {
    let ballot = |seat, share| SignedBallot { seat, share, reason: B256::ZERO, signature: Bytes::new() };
    let submit =
        IntentAction::SubmitBallots { instance: 0, jury: 0, ballots: vec![ballot(0, 0), ballot(2, 10_000)] };
    let stages =
        |action: &IntentAction| [0, 1, 2, 3, 4].map(|stage| achieved(action, &case(stage, U256::ZERO)));
    assert_eq!(stages(&IntentAction::OpenCase), [false, true, true, true, true]);
    assert_eq!(stages(&IntentAction::DrawJury { instance: 0, jury: 0 }), [false, false, true, true, true]);
    assert_eq!(stages(&submit), [false, false, false, true, true]);
    assert_eq!(stages(&IntentAction::ExecuteRuling), [false, false, false, false, true]);

    let field = |seat: usize, value: u64| U256::from(value) << (5 * seat);
    let counted = |ballots| achieved(&submit, &case(2, ballots));
    assert!(counted(field(0, 1) | field(2, 21)));
    assert!(!counted(field(0, 1)), "seat 2 is missing");
    assert!(!counted(field(0, 1) | field(2, 20)), "another share is counted");
    assert!(counted(field(0, 1) | field(2, 31)), "seat 2 is void");
    assert!(counted(field(0, 1) | field(2, 3) | (U256::from(1) << (155 + 2))), "seat 2 voted on chain");
    let beyond = IntentAction::SubmitBallots { instance: 0, jury: 0, ballots: vec![ballot(31, 0)] };
    assert!(!achieved(&beyond, &case(2, U256::MAX)), "there is no seat 31");
}

/// A case whose last jury is the second of the first instance, or one of an appeal.
fn later(instance: u8, jury: u8, stage: u8) -> Vec<Jury> {
    let first = Jury { stage: 2, ..Jury::default() };
    let last = Jury { instance, jury, stage, ..Jury::default() };
    vec![first, last]
}

#[test]
fn an_effect_is_that_of_its_own_instance_and_jury() {
    let draw = |instance, jury| IntentAction::DrawJury { instance, jury };
    assert!(achieved(&draw(0, 0), &later(0, 1, 1)), "the case went on");
    assert!(!achieved(&draw(0, 1), &case(2, U256::ZERO)), "a node that lags shows the first jury's drawing");
    assert!(!achieved(&draw(1, 0), &later(1, 0, 1)) && achieved(&draw(1, 0), &later(1, 0, 2)));

    let second = |instance| IntentAction::OpenSecondJury { instance };
    assert!(!achieved(&second(0), &case(2, U256::ZERO)) && achieved(&second(0), &later(0, 1, 1)));
    assert!(achieved(&second(0), &case(3, U256::ZERO)), "a ruling leaves nothing to do");
    assert!(achieved(&second(0), &later(1, 0, 1)) && !achieved(&second(1), &later(1, 0, 2)));
    assert!(!achieved(&second(1), &later(0, 1, 2)), "the second jury of the pool is not that of its parent");

    let conclude = |instance| IntentAction::Conclude { instance };
    assert!(!achieved(&conclude(0), &later(0, 1, 2)) && achieved(&conclude(0), &later(0, 1, 3)));
    assert!(achieved(&conclude(0), &later(1, 0, 1)) && !achieved(&conclude(1), &later(1, 0, 2)));
    assert!(!achieved(&conclude(1), &case(4, U256::ZERO)), "the first ruling is not the appeal's");

    let ballot = SignedBallot { seat: 0, share: 500, reason: B256::ZERO, signature: Bytes::new() };
    let submit =
        |instance, jury| IntentAction::SubmitBallots { instance, jury, ballots: vec![ballot.clone()] };
    let mut counted = later(0, 1, 2);
    counted[0].ballots = U256::from(2);
    assert!(achieved(&submit(0, 0), &counted) && !achieved(&submit(0, 1), &counted));
    assert!(achieved(&submit(0, 1), &later(1, 0, 2)), "the appeal has begun");
    assert!(!achieved(&submit(1, 0), &counted));

    let signature = Bytes::new();
    let appeal = IntentAction::Appeal { party: Address::ZERO.into(), valid_until: 0, signature };
    assert!(!achieved(&appeal, &later(0, 1, 3)) && achieved(&appeal, &later(1, 0, 1)));
    assert!(!achieved(&IntentAction::ExecuteRuling, &later(1, 0, 2)), "the appealed ruling is not executed");
}

fn any_effect() -> impl Strategy<Value = Option<Effect>> {
    prop_oneof![
        Just(None),
        Just(Some(Effect::Present)),
        Just(Some(Effect::Absent)),
        Just(Some(Effect::Unreadable("odd".to_owned()))),
    ]
}

prop_compose! {
    fn any_attempt()(
        byte: u8,
        nonce in 5_u64..9,
        age_ms in 0_i64..2_000,
        receipt in proptest::option::of(any::<bool>()),
    ) -> AttemptFact {
        attempt(byte, nonce, age_ms, receipt)
    }
}

/// The step that a resolution takes, where it takes one.
const fn step(resolution: &Resolution) -> Option<Step> {
    match resolution {
        Resolution::Wait { .. } | Resolution::Resend => None,
        Resolution::Sign => Some(Step::Sign),
        Resolution::Bump { .. } => Some(Step::Bump),
        Resolution::Mine { .. } => Some(Step::Mine),
        Resolution::Unmine => Some(Step::Unmine),
        Resolution::Release { .. } => Some(Step::Release),
        Resolution::Finish { .. } => Some(Step::Finish),
        Resolution::Fail { .. } => Some(Step::Fail),
        Resolution::Quarantine { .. } => Some(Step::Quarantine),
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
    ) {
        let nonce_final = nonce_latest.saturating_sub(behind);
        let mut facts = attempted(attempts, nonce_latest, nonce_final);
        (facts.state, facts.effect_final, facts.ceiling) = (state, effect_final, top);
        let resolution = with_attempts(&facts, &RULES);
        if let Some(step) = step(&resolution) {
            prop_assert!(next(state, step).is_ok(), "{state} {resolution:?}");
        }
        let all_final = facts.attempts.iter().all(|attempt| attempt.nonce < nonce_final);
        match resolution {
            Resolution::Finish { .. } => prop_assert!(all_final && facts.effect_final == Some(Effect::Present)),
            Resolution::Release { .. } => prop_assert!(all_final && facts.effect_final == Some(Effect::Absent)),
            Resolution::Bump { nonce, fees } => prop_assert!(!all_final && nonce == nonce_latest && fees.max_fee <= top),
            Resolution::Sign | Resolution::Fail { .. } => prop_assert!(false, "while a transaction may be mined"),
            _ => {}
        }
    }

    #[test]
    fn whatever_is_known_of_what_waits_the_step_is_allowed(
        state in prop_oneof![Just(State::Waiting), Just(State::Quarantined)],
        effect_latest in any_effect(),
        effect_final in any_effect(),
        dry_run in prop_oneof![
            Just(None),
            Just(Some(Ok(50_000))),
            prop_oneof![Just(Cure::Time), Just(Cure::Event), Just(Cure::Nothing), Just(Cure::Unknown)]
                .prop_map(refused),
        ],
        latest_time in 999_u64..1_003,
        refused_at_block in proptest::option::of(15_u64..25),
        nonces_used in 0_usize..7,
    ) {
        let facts = WaitingFacts {
            state,
            effect_latest: effect_latest.unwrap_or(Effect::Absent),
            effect_final,
            dry_run,
            latest_time,
            refused_at_block,
            nonces_used,
            ..waiting()
        };
        let resolution = without_attempts(&facts);
        if let Some(step) = step(&resolution) {
            prop_assert!(next(state, step).is_ok(), "{state} {resolution:?}");
        }
        if resolution == Resolution::Sign {
            prop_assert!(facts.dry_run == Some(Ok(50_000)) && latest_time <= 1_000 && nonces_used < 5);
        }
    }
}
