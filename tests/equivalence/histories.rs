//! The model and the contract agree on every history: random attempts, sound and unsound, are put to `protocol::deal` and
//! to the `Escrow` on a real chain, and state, event, payouts and refusals are compared after every one.
//!
//! `EARNEST_SEED` runs another set of histories, `EARNEST_LONG` more of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

mod attempt;
mod juries;
mod world;

use std::collections::BTreeMap;

use alloy::primitives::U256;
use protocol::{
    deal::{DealState, Payee, Status, apply},
    evm::{Refused, deal_id, decode_event, decode_refusal},
    wire::feed::EventBody,
};
use rand::{SeedableRng, rngs::StdRng};

use crate::{attempt::Attempt, world::World};

/// Attempts at one deal, at most, and how many of them after it is closed.
const STEPS: usize = 40;
const AFTERWARDS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn model_and_contract_agree_on_every_history() {
    let seed = std::env::var("EARNEST_SEED").map_or(1, |seed| seed.parse().unwrap());
    let histories = if std::env::var_os("EARNEST_LONG").is_some() { 2_000 } else { 120 };
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::start().await;
    // How often each action went through and each refusal was given, so that a generator gone blind is seen.
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for history in 0..histories {
        let label = format!("seed {seed}, history {history}");
        run(&mut world, &mut random, history, &label, &mut seen).await;
    }
    for name in EXPECTED {
        assert!(seen.get(*name).is_some_and(|times| *times > 0), "no history met {name}: {seen:?}");
    }
}

/// What all histories together must have met; the rest is rare and needs no luck to be tested.
const EXPECTED: &[&str] = &[
    "Fund",
    "Retract",
    "Deliver",
    "Release",
    "Refund",
    "Dispute",
    "Evidence",
    "Reclaim",
    "Claim",
    "Settle",
    "Rule",
    "Lapse",
    "credit",
    "forgotten",
    "UnknownDeal",
    "AlreadyFunded",
    "DealClosed",
    "MeteredDeal",
    "AlreadyDelivered",
    "NotDelivered",
    "DealDisputed",
    "NotDisputed",
    "StateChanged",
    "TooEarly",
    "TooLate",
    "SignatureExpired",
    "NotBuyer",
    "NotSeller",
    "NotParty",
    "NotArbiter",
    "InvalidSignature",
    "SignatureRevoked",
    "TotalTooHigh",
    "NothingMoves",
    "UriTooLong",
    "WrongValue",
    "TransferFailed",
];

async fn run(
    world: &mut World,
    random: &mut StdRng,
    history: u64,
    label: &str,
    seen: &mut BTreeMap<String, u32>,
) {
    let terms = world.terms(random, history).await;
    let deal = deal_id(&terms).unwrap();
    let escrow = terms.escrow;
    let held = world.balance(&terms, escrow.address).await;
    let mut state = DealState::EMPTY;
    let mut owed = 0;
    let mut forgotten = false;
    let mut afterwards = 0;
    for step in 0..STEPS {
        if state.status == Status::Closed {
            afterwards += 1;
        }
        if afterwards > AFTERWARDS {
            break;
        }
        let now = world.later(random, &terms, &state).await;
        let attempt = Attempt::any(world, random, &terms, &state, now).await;
        let label = format!("{label}, step {step}: {:?} by {:?} in {state:?}", attempt.action, attempt.actor);
        let context = world.context(&terms, deal, now);
        let model = apply(&terms, &state, &attempt.action, attempt.actor, &context);
        let chain = world
            .execute(attempt.actor.caller(), escrow.address, attempt.calldata.clone(), attempt.value, now)
            .await;
        match (model, chain) {
            (Ok(moved), Ok(logs)) => {
                *seen.entry(format!("{:?}", attempt.action.kind())).or_default() += 1;
                let mut events: Vec<EventBody> = logs
                    .iter()
                    .filter(|log| log.address == escrow.address)
                    .map(|log| decode_event(escrow, log).unwrap())
                    .collect();
                assert_eq!(events.remove(0), moved.event, "{label}");
                let asset = terms.asset.token.unwrap_or_default();
                let credited: Vec<EventBody> = moved
                    .payouts
                    .iter()
                    .filter(|payout| payout.credited)
                    .map(|payout| {
                        let creditor = match payout.to {
                            Payee::Buyer => terms.buyer.address,
                            Payee::Seller => terms.seller.address,
                        };
                        EventBody::Credited { deal, creditor, asset, amount: payout.amount }
                    })
                    .collect();
                owed += moved
                    .payouts
                    .iter()
                    .filter(|payout| payout.credited)
                    .map(|payout| payout.amount)
                    .sum::<u128>();
                *seen.entry("credit".into()).or_default() += u32::from(!credited.is_empty());
                assert_eq!(events, credited, "{label}");
                state = moved.state;
                // The contract clears the storage of what closes once nothing can be funded under its id.
                forgotten = state.status == Status::Closed && now > terms.fund_by;
                *seen.entry("forgotten".into()).or_default() += u32::from(forgotten);
            }
            (Err(refusal), Err(data)) => {
                *seen.entry(refusal.name().into()).or_default() += 1;
                assert_eq!(decode_refusal(&data), Some(Refused::Escrow(refusal)), "{label}");
            }
            (model, chain) => panic!("{label}: the model says {model:?}, the contract {chain:?}"),
        }
        let kept = if forgotten { DealState::EMPTY } else { state };
        assert_eq!(world.state_of(deal).await, kept, "{label}");
        let holds = held + U256::from(state.remaining(&terms)) + U256::from(owed);
        assert_eq!(world.balance(&terms, escrow.address).await, holds, "{label}");
    }
}
