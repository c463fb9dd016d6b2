//! Several nodes of which one tells what is not so, or too few answer.

use std::sync::Arc;

use alloy::{primitives::Bytes, rpc::types::BlockNumberOrTag, sol_types::SolError as _};
use fixture::Chain;
use protocol::{
    evm::{call, escrow::Escrow},
    wire::intent::{Intent, IntentAction},
};
use service::db::testing::{FreshDb, sqlite};

use super::{
    quotas,
    rounds::{Rounds, key},
    world::{RELAYS, World},
};
use crate::{
    config::Config,
    intents::State,
    testing::{Wire, intent},
};

/// After that nothing that waits rests any more.
const RESTED_MS: i64 = 15_001;
/// More than it takes until what is done first is final.
const ROUNDS: usize = 12;

/// Three nodes, of which the world's is asked first.
pub async fn three(world: &World, db: &FreshDb) -> (Config, [Wire; 2]) {
    let others = [Wire::to(world.chain.rpc_url()).await, Wire::to(world.chain.rpc_url()).await];
    let mut config = world.config(db);
    config.rpc_urls.extend(others.iter().map(|other| other.url.clone()));
    (config, others)
}

pub async fn rounds(world: &World, config: Config) -> Rounds {
    Rounds::by(config, vec![Arc::new(key(world, RELAYS))]).await
}

/// What the pools answer of a case that is opened, in words of 32 bytes: where the juries are told, how many, and of the one its
/// stage and twelve more fields.
fn opened() -> String {
    let words = [32, 1, 1].into_iter().chain([0; 12]);
    std::iter::once("0x".to_owned()).chain(words.map(|word| format!("{word:064x}"))).collect()
}

/// A release with a signature of something else.
fn forged(world: &World) -> Intent {
    let (mut forged, other) = (quotas::release(world, "ann", 1), quotas::release(world, "ann", 2));
    if let (IntentAction::Act { signed, .. }, IntentAction::Act { signed: others, .. }) =
        (&mut forged.action, other.action)
    {
        *signed = others;
    }
    forged
}

#[tokio::test]
async fn one_node_of_three_that_shows_what_is_not_there_ends_nothing() {
    let (db, world) = (sqlite(), World::new().await);
    let (config, _others) = three(&world, &db).await;
    world.wire.mistake("eth_call", |answer| *answer = opened().into());
    world.want_open();
    let rounds = rounds(&world, config).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    for _ in 0..ROUNDS {
        worker.round(&mut manager, &mut desk).await.unwrap();
        world.chain.mine(1).await;
        rounds.clock.pass_ms(RESTED_MS);
    }
    assert_eq!((rounds.states().await, world.nonce().await), (vec![State::Done], 1));
    assert_eq!(world.case(BlockNumberOrTag::Finalized).await.stage, 1);
}

#[tokio::test]
async fn one_node_of_three_that_refuses_what_the_others_do_not_ends_nothing() {
    let (db, world) = (sqlite(), World::new().await);
    let (config, _others) = three(&world, &db).await;
    world.wire.revert("eth_estimateGas", &Bytes::from(Escrow::DealClosed {}.abi_encode()).to_string());
    world.want_open();
    let rounds = rounds(&world, config).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    for _ in 0..ROUNDS {
        worker.round(&mut manager, &mut desk).await.unwrap();
        world.chain.mine(1).await;
        rounds.clock.pass_ms(RESTED_MS);
    }
    assert_eq!(rounds.states().await, [State::Waiting]);
    let reason = rounds.reason(1).await;
    assert!(reason.contains("DealClosed") && reason.contains("too few nodes say so"), "{reason}");
    rounds.clock.pass_ms(300_000);
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert!(worker.alarms.all().contains_key("agreement"));
    world.wire.is_right();
    for _ in 0..ROUNDS {
        worker.round(&mut manager, &mut desk).await.unwrap();
        world.chain.mine(1).await;
        rounds.clock.pass_ms(RESTED_MS);
    }
    assert_eq!(rounds.states().await, [State::Done]);
    assert!(!worker.alarms.all().contains_key("agreement"));
}

#[tokio::test]
async fn what_most_nodes_refuse_has_failed() {
    let (db, world) = (sqlite(), World::new().await);
    let (config, others) = three(&world, &db).await;
    others[1].away(true);
    world.peers.want([forged(&world)]);
    let rounds = rounds(&world, config).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    for _ in 0..ROUNDS {
        worker.round(&mut manager, &mut desk).await.unwrap();
        world.chain.mine(1).await;
        rounds.clock.pass_ms(RESTED_MS);
    }
    assert_eq!((rounds.states().await, world.nonce().await), (vec![State::Failed], 0));
}

#[tokio::test]
async fn what_too_few_nodes_tell_is_not_over_and_an_alarm_after_five_minutes() {
    let (db, world) = (sqlite(), World::new().await);
    let (config, others) = three(&world, &db).await;
    world.call(5, call::open(&world.terms).unwrap()).await;
    world.chain.mine(6).await;
    world.want_open();
    let rounds = rounds(&world, config).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    others.iter().for_each(|other| other.away(true));
    for (passed_ms, alarmed) in [(0, false), (200_000, false), (100_000, true)] {
        rounds.clock.pass_ms(passed_ms);
        worker.round(&mut manager, &mut desk).await.unwrap();
        assert_eq!(rounds.states().await, [State::Waiting]);
        assert_eq!(worker.alarms.all().contains_key("agreement"), alarmed);
    }
    others[0].away(false);
    rounds.clock.pass_ms(RESTED_MS);
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.states().await, [State::Done]);
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert!(!worker.alarms.all().contains_key("agreement"));
}

/// What none of them has kept the state for is what most of them told while it was new.
#[tokio::test]
async fn nodes_without_the_state_of_their_final_block_agree_while_it_is_new() {
    let db = sqlite();
    // Its final block is 64 blocks down.
    let world = World::on(Chain::start_with(&["--slots-in-an-epoch", "32"]).await).await;
    world.chain.mine(70).await;
    let (config, others) = three(&world, &db).await;
    for node in others.iter().chain([&world.wire]) {
        node.forget(true);
    }
    let other = world.another(2).await;
    world.call(5, call::open(&other).unwrap()).await;
    world.peers.want([forged(&world), intent(2, "other", &other, IntentAction::OpenCase)]);
    let rounds = rounds(&world, config).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    // It is final that the one is done, and that the other is refused; then, that most of them said so.
    for states in
        [[State::Waiting, State::Waiting], [State::Waiting, State::Done], [State::Failed, State::Done]]
    {
        worker.round(&mut manager, &mut desk).await.unwrap();
        assert_eq!(rounds.states().await, states);
        world.chain.mine(70).await;
        rounds.clock.pass_ms(RESTED_MS);
    }
    assert_eq!(world.nonce().await, 0);
    assert!(!worker.alarms.all().contains_key("agreement"));
}
