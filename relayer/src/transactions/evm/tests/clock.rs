//! What rests, what lasts and what is counted from round to round, while a test's clock goes on or is set back.

use std::sync::Arc;

use protocol::{evm::call, wire::intent::IntentAction};
use service::db::testing::{on_both, sqlite};

use super::{
    quotas,
    rounds::{Moody, Rounds, key},
    world::{RELAYS, World},
};
use crate::{
    alarm::PAGE_AFTER_MS,
    intents::{self, State},
    testing::{MovedClock, Operator, PAGE_SECRET, Running, Wire, intent, until},
    transactions::{
        evm::{Manager, chain::Chain},
        resolve::{Effect, Resolution},
    },
};

/// After that nothing that waits rests any more.
const RESTED_MS: i64 = 15_001;

#[tokio::test]
async fn a_look_without_a_try_forgets_no_objection() {
    let (db, world) = (sqlite(), World::funded().await);
    world.peers.want([quotas::release(&world, "ann", 1)]);
    let rounds = Rounds::by(world.config(&db), vec![Arc::new(key(&world, RELAYS))]).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    for look in 1..=13 {
        // In one round no node tells the price, and nothing is tried for that.
        world.wire.lack(Some(if look == 6 { "eth_feeHistory" } else { "eth_estimateGas" }));
        assert_eq!(rounds.states().await, [State::Waiting], "before look {look}");
        worker.round(&mut manager, &mut desk).await.unwrap();
        rounds.clock.pass_ms(RESTED_MS);
    }
    assert_eq!(world.wire.asked("eth_estimateGas"), 12);
    assert_eq!(rounds.states().await, [State::Failed]);
}

#[tokio::test]
async fn a_key_that_failed_is_asked_again_when_the_clock_is_set_back() {
    let (db, world) = (sqlite(), World::new().await);
    world.want_opened(20..22).await;
    let moody = Moody::new(key(&world, RELAYS), |before| before == 0);
    let rounds = Rounds::by(world.config(&db), vec![moody]).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert!(worker.alarms.ready().unwrap_err().contains("the key is moody"));
    rounds.clock.pass_ms(RESTED_MS);
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.open().await.len(), 0, "it is out of turn");
    rounds.clock.pass_ms(-3_600_000);
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.open().await.len(), 2);
    assert!(!worker.alarms.all().contains_key("signer"));
}

#[tokio::test]
async fn what_was_seen_is_kept_while_a_node_is_behind_or_what_was_final_is_in_doubt() {
    let (db, world) = (sqlite(), World::new().await);
    world.want_open();
    let config = world.config(&db);
    let rounds = Rounds::by(config.clone(), vec![Arc::new(key(&world, RELAYS))]).await;
    let (_, _, mut desk) = rounds.begin();
    let chain = Chain::new(&config).unwrap();
    let mut manager = Manager::over(chain.clone(), Vec::new(), &config);
    let kept = intents::get(rounds.db.reader(), 1).await.unwrap().unwrap();
    let seen_at = chain.block(world.chain.height().await.into()).await.unwrap();
    manager.witness.saw(kept.id, &seen_at, &Effect::Present);
    let signer = world.chain.address(RELAYS);
    let nonce = manager.witness.nonce_final(&chain, signer, &seen_at, &seen_at).await.unwrap();
    assert_eq!(nonce, Some(0));

    // A node that has not come to that block says nothing against it.
    world.chain.mine(1).await;
    let newest = chain.block(world.chain.height().await.into()).await.unwrap();
    world.wire.mistake("eth_getBlockByNumber", |block| *block = serde_json::Value::Null);
    assert_eq!(manager.witness.effect_final(&chain, kept.id, &seen_at).await.unwrap(), None);
    assert_eq!(manager.witness.nonce_final(&chain, signer, &newest, &seen_at).await.unwrap(), None);
    world.wire.is_right();
    let nonce = manager.witness.nonce_final(&chain, signer, &newest, &seen_at).await.unwrap();
    assert_eq!(nonce, Some(0));

    // Nothing is over while there is a doubt.
    let done = || Resolution::Finish { transaction: None };
    desk.doubts(true);
    manager.apply(&mut desk, &kept, &[], done()).await.unwrap();
    let effect = manager.witness.effect_final(&chain, kept.id, &seen_at).await.unwrap();
    assert_eq!((effect, rounds.states().await), (Some(Effect::Present), vec![State::Waiting]));
    desk.doubts(false);
    manager.apply(&mut desk, &kept, &[], done()).await.unwrap();
    let effect = manager.witness.effect_final(&chain, kept.id, &seen_at).await.unwrap();
    assert_eq!((effect, rounds.states().await), (None, vec![State::Done]));
}

#[tokio::test]
async fn a_doubt_that_no_block_ends_is_an_alarm_after_five_minutes() {
    let (db, world) = (sqlite(), World::new().await);
    world.chain.mine(6).await;
    world.call(5, call::open(&world.terms).unwrap()).await;
    let at = world.chain.height().await;
    world.chain.mine(6).await;
    world.want_open();
    let rounds = Rounds::by(world.config(&db), vec![Arc::new(key(&world, RELAYS))]).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(rounds.states().await, [State::Done]);

    world.chain.reorg(world.chain.height().await - at + 1).await;
    for (passed_ms, alarmed) in [(0, false), (200_000, false), (100_000, true), (0, true)] {
        rounds.clock.pass_ms(passed_ms);
        worker.round(&mut manager, &mut desk).await.unwrap();
        assert!(worker.alarms.notices().contains_key("doubt"));
        assert_eq!(worker.alarms.all().contains_key("doubt"), alarmed);
    }
    for _ in 0..4 {
        world.chain.mine(1).await;
        worker.round(&mut manager, &mut desk).await.unwrap();
    }
    assert!(!worker.alarms.notices().contains_key("doubt") && !worker.alarms.all().contains_key("doubt"));
}

/// The first one answers all the while, and nothing is sent that the second one would be handed.
#[tokio::test]
async fn a_node_that_has_become_right_is_said_no_longer() {
    let (db, world) = (sqlite(), World::new().await);
    let other = fixture::Chain::start_with(&["--chain-id", "1"]).await;
    let second = Wire::to(other.rpc_url()).await;
    let mut config = world.config(&db);
    config.rpc_urls.push(second.url.clone());
    world.want_open();
    let rounds = Rounds::by(config, vec![Arc::new(key(&world, RELAYS))]).await;
    let (worker, mut manager, mut desk) = rounds.begin();
    for _ in 0..8 {
        worker.round(&mut manager, &mut desk).await.unwrap();
        world.chain.mine(1).await;
    }
    assert_eq!(rounds.states().await, [State::Done]);
    assert!(worker.alarms.notices()["nodes"].reason.contains("serves eip155:1,"));
    second.lead_to(world.chain.rpc_url());
    let asked = second.asked("eth_chainId");
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert_eq!(second.asked("eth_chainId"), asked, "it rests");
    rounds.clock.pass_ms(30_001);
    worker.round(&mut manager, &mut desk).await.unwrap();
    assert!(!worker.alarms.notices().contains_key("nodes"));
    assert_eq!(second.asked("eth_chainId"), asked + 1);
}

#[tokio::test]
async fn who_stood_by_for_long_pages_nobody_when_it_takes_over() {
    for db in on_both().await {
        let world = World::new().await;
        let operator = Operator::start().await;
        let first = world.start(world.config(&db)).await;
        first.ready().await;
        let mut config = world.config(&db);
        config.page_url = operator.url.clone();
        config.page_secret = PAGE_SECRET.to_owned().into();
        let clock: Arc<MovedClock> = Arc::default();
        let second = Running::start(config, clock.clone()).await;
        let said = second.not_ready("another process works on this database").await;
        assert!(!said.contains("starting"), "{said}");
        clock.pass_ms(PAGE_AFTER_MS);
        first.stop().await;
        second.ready().await;
        // Pages come in their order: any of its waiting would be before this one.
        let mut terms = world.terms.clone();
        terms.arbiter = world.chain.account(9);
        world.peers.want([intent(1, "nowhere", &terms, IntentAction::OpenCase)]);
        until("a page", || async { (!operator.pages().is_empty()).then_some(()) }).await;
        assert_eq!(operator.pages()[0].1["type"], "intent.quarantined", "{:?}", db.engine);
        second.stop().await;
    }
}
