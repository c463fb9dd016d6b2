//! The pure rules that are the same on every chain: the machine, effects, what waits.

use alloy::primitives::{Address, B256, Bytes, U256};
use proptest::prelude::*;
use protocol::{
    arbitration, deal,
    wire::intent::{IntentAction, SignedBallot},
};

use super::{
    case::{Jury, achieved},
    model::{Forbidden, Step, next},
    refusal::{Cure, cure},
    resolve::{Effect, Resolution, WaitingFacts, without_attempts},
};
use crate::intents::State;

#[test]
fn the_machine_is_this_table() {
    use State::{Attempted as A, Done as D, Failed as F, Mined as M, Quarantined as Q, Waiting as W};
    // Columns: Sign, Bump, Mine, Unmine, Release, Finish, Fail, Quarantine, Reopen, Resume.
    let table = [
        (W, [Some(A), None, None, None, None, Some(D), Some(F), Some(Q), Some(A), None]),
        (A, [None, Some(A), Some(M), None, Some(W), Some(D), None, Some(Q), Some(A), None]),
        (M, [None, Some(A), Some(M), Some(A), Some(W), Some(D), None, Some(Q), Some(A), None]),
        (D, [None, None, None, None, None, None, None, None, Some(A), Some(W)]),
        (F, [None, None, None, None, None, None, None, None, Some(A), Some(W)]),
        (Q, [Some(A), Some(A), Some(M), None, Some(W), Some(D), Some(F), Some(Q), Some(A), None]),
    ];
    assert_eq!(table.map(|(state, _)| state).len(), State::ALL.len());
    for (state, row) in table {
        for (step, expected) in Step::ALL.into_iter().zip(row) {
            assert_eq!(next(state, step), expected.ok_or(Forbidden { state, step }), "{state} {step:?}");
        }
    }
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
        tried: 0,
        tries_max: 5,
    }
}

fn refused(cure: Cure) -> Option<Result<u64, (Cure, String)>> {
    Some(Err((cure, "why".to_owned())))
}

#[test]
fn what_waits_is_signed_only_when_the_call_would_succeed() {
    assert_eq!(without_attempts(&waiting()), Resolution::Sign);
    let mut facts = waiting();
    facts.tried = 5;
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

/// Refusals of the pools that no call of an intent meets.
const OF_OTHER_CALLS: [&str; 8] = [
    "BadJurySize",
    "BadPeriod",
    "BadParent",
    "PoolExists",
    "NotKeeper",
    "ListNotAscending",
    "BadPage",
    "Reentered",
];

#[test]
fn every_refusal_of_a_case_is_known() {
    for (name, _) in arbitration::Refusal::ALL {
        assert_eq!(cure(name) == Cure::Unknown, OF_OTHER_CALLS.contains(name), "{name}");
    }
    for (name, _) in arbitration::Refusal::ALL.iter().chain(deal::Refusal::ALL) {
        assert_eq!(cure(name) == Cure::Time, *name == "TooEarly", "{name}");
    }
}

pub fn any_effect() -> impl Strategy<Value = Option<Effect>> {
    prop_oneof![
        Just(None),
        Just(Some(Effect::Present)),
        Just(Some(Effect::Absent)),
        Just(Some(Effect::Unreadable("odd".to_owned()))),
    ]
}

/// The step that a resolution takes, where it takes one.
pub const fn step(resolution: &Resolution) -> Option<Step> {
    match resolution {
        Resolution::Wait { .. } | Resolution::Resend => None,
        Resolution::Sign => Some(Step::Sign),
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
        tried in 0_usize..7,
    ) {
        let facts = WaitingFacts {
            state,
            effect_latest: effect_latest.unwrap_or(Effect::Absent),
            effect_final,
            dry_run,
            latest_time,
            refused_at_block,
            tried,
            ..waiting()
        };
        let resolution = without_attempts(&facts);
        if let Some(step) = step(&resolution) {
            prop_assert!(next(state, step).is_ok(), "{state} {resolution:?}");
        }
        if resolution == Resolution::Sign {
            prop_assert!(facts.dry_run == Some(Ok(50_000)) && latest_time <= 1_000 && tried < 5);
        }
    }
}
