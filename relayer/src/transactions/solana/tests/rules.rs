//! The pure rules of Solana: prices, decisions, refusals, keys.

use proptest::prelude::*;
use protocol::chain::TransactionId;
use serde_json::{Value, json};

use crate::{
    config::Key,
    intents::State,
    testing::{intent, terms},
    transactions::{
        model::next,
        refusal::Cure,
        resolve::{Effect, Resolution},
        solana::{
            case::{Refused, refused},
            fees::{Offer, fee, price, units_limit, usual},
            node::{Commitment, Known, Status},
            resolve::{AttemptFact, Finality, outcome, with_attempts},
            sign::keypair,
        },
        store::Outcome,
        tests::{any_effect, step},
    },
};

#[test]
fn a_price_is_the_usual_one_or_more_than_the_last_within_the_budget() {
    let offer =
        Offer { usual: 700, before: None, rise_bps: 1_250, price_max: 50_000, budget_left: 1_000_000 };
    assert_eq!(price(&offer, 1, 100_000), Ok(700));
    assert_eq!(price(&Offer { before: Some(0), ..offer }, 1, 100_000), Ok(1_000), "it rises from nothing");
    assert_eq!(price(&Offer { before: Some(16_000), ..offer }, 1, 100_000), Ok(18_000));
    assert_eq!(price(&Offer { before: Some(49_000), ..offer }, 1, 100_000), Ok(50_000));
    // 1,000 lamports beside the signature pay 10,000 millionths for each of 100,000 units.
    assert_eq!(price(&Offer { before: Some(40_000), budget_left: 6_000, ..offer }, 1, 100_000), Ok(10_000));
    assert_eq!(price(&Offer { budget_left: 14_999, ..offer }, 3, 100_000), Err(15_000));
    assert_eq!(fee(3, 100_000, 10_000), 16_000);
    assert_eq!(fee(1, 1, 1), 5_001, "rounded up");
    assert_eq!((units_limit(100_000), units_limit(u64::MAX)), (130_000, 1_400_000));
    assert_eq!((usual(vec![]), usual(vec![4]), usual(vec![9, 1, 3, 2])), (0, 4, 3));
}

proptest! {
    #[test]
    fn no_price_breaks_the_budget(
        recent: u64,
        before in proptest::option::of(any::<u64>()),
        rise_bps: u32,
        price_max: u64,
        budget_left in prop_oneof![any::<u64>(), 0_u64..2_000_000],
        signatures in 1_u64..40,
        units in 1_u32..=1_400_000,
    ) {
        let offer = Offer { usual: recent, before, rise_bps, price_max, budget_left };
        match price(&offer, signatures, units) {
            Ok(price) => prop_assert!(price <= price_max && fee(signatures, units, price) <= budget_left),
            Err(needed) => prop_assert!(needed > budget_left && needed == fee(signatures, units, 0)),
        }
    }
}

const FINALITY: Finality = Finality { height: 1_000, slot: 1_100 };

fn tx(byte: u8) -> TransactionId {
    TransactionId::Solana([byte; 64])
}

fn fact(last_valid_height: u64, slot: u64, status: Option<(Option<Commitment>, bool)>) -> AttemptFact {
    let status = status.map(|(commitment, success)| Status { slot: 1_050, success, commitment });
    AttemptFact { transaction: tx(1), last_valid_height, known: Known { slot, status } }
}

#[test]
fn a_transaction_is_dead_only_when_the_final_chain_is_past_it_without_it() {
    let (final_, confirmed) = (Some(Commitment::Finalized), Some(Commitment::Confirmed));
    let over = |fact| outcome(&fact, FINALITY);
    assert_eq!(over(fact(999, 1_100, None)), Outcome::Expired);
    assert_eq!(over(fact(1_000, 1_100, None)), Outcome::Open, "the block of that height may hold it");
    assert_eq!(over(fact(999, 1_099, None)), Outcome::Open, "that node does not know the final chain");
    assert_eq!(over(fact(999, 1_100, Some((confirmed, true)))), Outcome::Open);
    assert_eq!(over(fact(999, 1_100, Some((None, true)))), Outcome::Open);
    assert_eq!(over(fact(999, 1_100, Some((final_, true)))), Outcome::Succeeded);
    assert_eq!(over(fact(2_000, 1_100, Some((final_, false)))), Outcome::Reverted);
}

#[test]
fn attempts_are_resolved_by_status_then_height_then_case() {
    let resolve =
        |state, fact, effect: Option<Effect>| with_attempts(state, &[fact], FINALITY, effect.as_ref());
    let (final_, confirmed) = (Some(Commitment::Finalized), Some(Commitment::Confirmed));
    let (present, absent) = (Some(Effect::Present), Some(Effect::Absent));
    assert_eq!(resolve(State::Attempted, fact(1_200, 1_130, None), None), Resolution::Resend);
    assert_eq!(resolve(State::Mined, fact(1_200, 1_130, None), None), Resolution::Unmine);
    for success in [true, false] {
        let held = fact(1_200, 1_130, Some((confirmed, success)));
        assert_eq!(resolve(State::Attempted, held, None), Resolution::Mine { transaction: tx(1) });
    }
    assert_eq!(
        resolve(State::Attempted, fact(1_200, 1_130, Some((None, true))), None),
        Resolution::Resend,
        "a block that is only processed counts for nothing"
    );
    let done = fact(1_200, 1_130, Some((final_, true)));
    let by_us = Resolution::Finish { transaction: Some(tx(1)) };
    assert_eq!(resolve(State::Mined, done, present.clone()), by_us);
    let expired = fact(900, 1_130, None);
    let by_others = Resolution::Finish { transaction: None };
    assert_eq!(resolve(State::Attempted, expired, present.clone()), by_others);
    let failed = fact(1_200, 1_130, Some((final_, false)));
    assert_eq!(resolve(State::Mined, failed, present), by_others);
    for (fact, why) in [(done, "not there yet"), (expired, "expired"), (failed, "failed")] {
        match resolve(State::Attempted, fact, absent.clone()) {
            Resolution::Release { reason } => assert!(reason.contains(why), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}

fn any_status() -> impl Strategy<Value = Option<(Option<Commitment>, bool)>> {
    let commitment =
        prop_oneof![Just(None), Just(Some(Commitment::Confirmed)), Just(Some(Commitment::Finalized))];
    proptest::option::of((commitment, any::<bool>()))
}

proptest! {
    #[test]
    fn whatever_is_known_of_attempts_the_step_is_allowed_and_finality_comes_first(
        state in prop_oneof![Just(State::Attempted), Just(State::Mined), Just(State::Quarantined)],
        known in proptest::collection::vec((995_u64..1_005, 1_095_u64..1_105, any_status()), 1..4),
        effect_final in any_effect(),
    ) {
        let facts: Vec<_> = known.into_iter().map(|(height, slot, status)| fact(height, slot, status)).collect();
        let resolution = with_attempts(state, &facts, FINALITY, effect_final.as_ref());
        if let Some(step) = step(&resolution) {
            prop_assert!(next(state, step).is_ok(), "{state} {resolution:?}");
        }
        let over = facts.iter().all(|fact| outcome(fact, FINALITY) != Outcome::Open);
        match resolution {
            Resolution::Finish { .. } => prop_assert!(over && effect_final == Some(Effect::Present)),
            Resolution::Release { .. } => prop_assert!(over && effect_final == Some(Effect::Absent)),
            Resolution::Resend | Resolution::Mine { .. } | Resolution::Unmine => prop_assert!(!over),
            Resolution::Sign | Resolution::Fail { .. } => {
                prop_assert!(false, "while a transaction may be in a block");
            }
            _ => {}
        }
    }
}

#[test]
fn a_failure_is_read_as_its_refusal() {
    let wanted = intent(1, "open", &terms(), protocol::wire::intent::IntentAction::OpenCase);
    let read = |error: Value| refused(&error, &wanted, wanted.terms.fund_by);
    let custom = |code: u32| json!({ "InstructionError": [2, { "Custom": code }] });
    let at = |name| 6_000 + u32::try_from(name_index(name)).unwrap();
    assert_eq!(read(custom(at("TooEarly"))), Refused::By(Cure::Time, "TooEarly".to_owned()));
    assert_eq!(read(custom(at("CaseExists"))), Refused::By(Cure::Event, "CaseExists".to_owned()));
    assert_eq!(read(custom(at("InvalidBallot"))), Refused::By(Cure::Nothing, "InvalidBallot".to_owned()));
    assert_eq!(read(json!("AccountNotFound")), Refused::Poor);
    assert_eq!(read(json!({ "InsufficientFundsForRent": { "account_index": 0 } })), Refused::Poor);
    assert_eq!(read(custom(1)), Refused::Poor, "the rent of what is opened");
    assert!(matches!(
        read(json!({ "InstructionError": [2, "ComputationalBudgetExceeded"] })),
        Refused::By(Cure::Unknown, _)
    ));
    assert!(matches!(read(Value::Null), Refused::By(Cure::Unknown, _)));
}

/// The number of one of the program's refusals, by the IDL that stands beside the committed program.
fn name_index(name: &str) -> u64 {
    let idl: Value =
        serde_json::from_str(include_str!("../../../../../programs/artefacts/earnest.json")).unwrap();
    let errors = idl["errors"].as_array().unwrap();
    let found = errors.iter().find(|error| error["name"] == name).unwrap();
    found["code"].as_u64().unwrap() - 6_000
}

#[test]
fn a_key_is_a_file_of_solanas_tools_or_text() {
    let seed = [7_u8; 32];
    let key = ed25519_dalek::SigningKey::from_bytes(&seed);
    let pair = key.to_keypair_bytes();
    let given = |text: String| keypair(&Key { private_key: text.into(), ..Key::default() });
    let texts = [
        hex::encode(seed),
        format!("0x{}", hex::encode(pair)),
        bs58::encode(pair).into_string(),
        bs58::encode(seed).into_string(),
    ];
    for text in texts {
        assert_eq!(given(text.clone()).unwrap(), key, "{text}");
    }
    let mut wrong = pair;
    wrong[40] ^= 1;
    for text in [bs58::encode(wrong).into_string(), "00ff".to_owned(), "no key".to_owned()] {
        assert!(given(text.clone()).unwrap_err().to_string().contains("relayer.private_key"), "{text}");
    }
    assert!(given(String::new()).unwrap_err().to_string().contains("relayer.signers"));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id.json");
    let config = Key { keystore: Some(file.clone()), ..Key::default() };
    assert!(keypair(&config).unwrap_err().to_string().contains("relayer.keystore"));
    std::fs::write(&file, serde_json::to_string(&pair.to_vec()).unwrap()).unwrap();
    assert_eq!(keypair(&config).unwrap(), key);
    std::fs::write(&file, "[1, 2, 3]").unwrap();
    assert!(keypair(&config).unwrap_err().to_string().contains("3 bytes"));
}
