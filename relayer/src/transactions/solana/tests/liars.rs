//! Several nodes of which one tells what is not so, or too few answer.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use protocol::wire::{act::PartyAct, intent::IntentAction};
use serde_json::{Value, json};
use service::db::testing::{FreshDb, sqlite};

use super::{
    acts::asked,
    world::{BUYER, SELLER, World, attempts, show},
};
use crate::{
    config::Config,
    testing::{MovedClock, Running, Wire, intent, until},
};

const DRAW: IntentAction = IntentAction::DrawJury { instance: 0, jury: 0 };
/// How many accounts show a case: the clock, the deal and four juries.
const CASE: usize = 6;
/// For how long too few nodes may agree before that is said.
const UNAGREED_MS: i64 = 300_000;
/// After that nothing that waits rests any more.
const RESTED_MS: i64 = 15_001;

/// Three nodes, of which the world's is asked first.
async fn three(world: &World, db: &FreshDb) -> (Config, [Wire; 2]) {
    let others = [Wire::to(world.net.rpc_url()).await, Wire::to(world.net.rpc_url()).await];
    let mut config = world.config(db);
    config.rpc_urls.extend(others.iter().map(|other| other.url.clone()));
    (config, others)
}

/// Sets the clock among a case's accounts ahead by so many seconds.
fn set_ahead(accounts: &mut [Value], seconds: i64) {
    let mut clock = STANDARD.decode(accounts[0]["data"][0].as_str().unwrap()).unwrap();
    let time = i64::from_le_bytes(clock[32..40].try_into().unwrap()) + seconds;
    clock[32..40].copy_from_slice(&time.to_le_bytes());
    accounts[0]["data"][0] = STANDARD.encode(clock).into();
}

/// There is no account of the deal, and the time for its funding is over: nothing seems to be left to do.
fn gone(answer: &mut Value) {
    let accounts = answer["value"].as_array_mut().unwrap();
    if accounts.len() == CASE {
        set_ahead(accounts, 2_000);
        accounts[1..].fill(Value::Null);
    }
}

/// It is later than the deadline of any intent here.
fn late(answer: &mut Value) {
    let accounts = answer["value"].as_array_mut().unwrap();
    if accounts.len() == CASE {
        set_ahead(accounts, 2_000_000);
    }
}

/// Waits until an intent is in this state for a reason that says this.
async fn stays(relayer: &Running, key: &str, state: &str, because: &str) -> Value {
    until(&format!("{key} is {state}: {because}"), || async {
        let shown = show(relayer, key).await?;
        (shown["state"] == state && shown["reason"].as_str()?.contains(because)).then_some(shown)
    })
    .await
}

#[tokio::test]
async fn a_node_of_three_that_shows_no_deal_or_tells_another_time_ends_nothing() {
    let (db, world) = (sqlite(), World::new(1).await);
    let (config, _others) = three(&world, &db).await;
    let relayer = world.start(config).await;
    let lies: [fn(&mut Value); 2] = [gone, late];
    let wanted = [("open", IntentAction::OpenCase), ("draw", DRAW)];
    for ((seq, lie), (key, action)) in (1..).zip(lies).zip(wanted) {
        world.wire.mistake("getMultipleAccounts", lie);
        world.peers.want([intent(seq, key, &world.terms, action)]);
        let shown = world.comes_to(&relayer, key, "done").await;
        assert_eq!((attempts(&shown).len(), &attempts(&shown)[0]["signature"]), (1, &shown["done_by"]));
    }
    assert_eq!(world.paid().await, 2);
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn what_two_nodes_differ_about_is_not_over_and_an_alarm_after_five_minutes() {
    let (db, world) = (sqlite(), World::new(1).await);
    let other = Wire::to(world.net.rpc_url()).await;
    let mut config = world.config(&db);
    config.rpc_urls.push(other.url.clone());
    world.wire.mistake("getMultipleAccounts", gone);
    world.peers.want([intent(1, "open", &world.terms, IntentAction::OpenCase)]);
    let clock: Arc<MovedClock> = Arc::default();
    let relayer = Running::start(config, clock.clone()).await;
    stays(&relayer, "open", "waiting", "too few nodes tell that alike").await;
    clock.pass_ms(UNAGREED_MS);
    relayer.not_ready("agreement: 1 intents may be over").await;
    let shown = show(&relayer, "open").await.unwrap();
    assert_eq!((&shown["state"], attempts(&shown).len()), (&"waiting".into(), 0), "{shown}");
    world.wire.is_right();
    clock.pass_ms(RESTED_MS);
    let shown = world.comes_to(&relayer, "open", "done").await;
    assert_eq!((attempts(&shown).len(), world.paid().await), (1, 1));
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn a_node_of_three_that_refuses_what_the_others_do_not_ends_nothing_and_is_an_alarm() {
    let (db, world) = (sqlite(), World::undisputed().await);
    let (config, _others) = three(&world, &db).await;
    world.wire.mistake("simulateTransaction", |answer| {
        answer["value"]["err"] = json!({ "InstructionError": [1, "InvalidArgument"] });
    });
    world.peers.want([asked(&world, 1, "half", PartyAct::Release { total: 500_000_000 }, &[BUYER])]);
    let clock: Arc<MovedClock> = Arc::default();
    let relayer = Running::start(config, clock.clone()).await;
    let shown = stays(&relayer, "half", "waiting", "too few nodes say so").await;
    assert!(shown["reason"].as_str().unwrap().contains("InvalidArgument"), "{shown}");
    clock.pass_ms(UNAGREED_MS);
    relayer.not_ready("agreement: 1 intents may be over").await;
    assert_eq!(world.paid().await, 0);
    world.wire.is_right();
    clock.pass_ms(RESTED_MS);
    let shown = world.comes_to(&relayer, "half", "done").await;
    assert_eq!((attempts(&shown).len(), world.paid().await), (1, 1));
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn what_two_of_three_nodes_refuse_for_good_has_failed() {
    let (db, world) = (sqlite(), World::undisputed().await);
    let (config, others) = three(&world, &db).await;
    others[1].away(true);
    let mut forged = asked(&world, 1, "forged", PartyAct::Release { total: 1 }, &[SELLER]);
    let IntentAction::Act { signed, .. } = &mut forged.action else { panic!() };
    signed[0].party = world.terms.buyer.address;
    world.peers.want([forged]);
    let relayer = world.start(config).await;
    let shown = world.comes_to(&relayer, "forged", "failed").await;
    assert!(shown["reason"].as_str().unwrap().contains("InvalidSignature"), "{shown}");
    assert_eq!(world.paid().await, 0);
    relayer.stop().await;
}

/// That evidence was shown is in no account.
#[tokio::test]
async fn what_a_transaction_alone_shows_is_not_done_by_what_one_node_says_of_it() {
    let (db, world) = (sqlite(), World::new(1).await);
    let (config, others) = three(&world, &db).await;
    let cut = |cut| [&world.wire, &others[0], &others[1]].into_iter().for_each(|wire| wire.cut(cut));
    cut(true);
    world.wire.mistake("getSignatureStatuses", |answer| {
        let done =
            json!({ "slot": 1, "confirmations": null, "err": null, "confirmationStatus": "finalized" });
        answer["value"].as_array_mut().unwrap().fill(done);
    });
    let (evidence, valid_until) = ([3; 32].into(), world.terms.deliver_by);
    let evidence = PartyAct::Evidence { evidence, uri: "ipfs://receipt".to_owned(), valid_until };
    world.peers.want([asked(&world, 1, "evidence", evidence, &[BUYER])]);
    let clock: Arc<MovedClock> = Arc::default();
    let relayer = Running::start(config, clock.clone()).await;
    stays(&relayer, "evidence", "attempted", "the final case is not read yet").await;
    clock.pass_ms(UNAGREED_MS);
    relayer.not_ready("agreement: 1 intents may be over").await;
    assert_eq!(
        (world.paid().await, &show(&relayer, "evidence").await.unwrap()["done_by"]),
        (0, &Value::Null)
    );
    cut(false);
    world.wire.is_right();
    world.comes_to(&relayer, "evidence", "done").await;
    assert_eq!(world.paid().await, 1);
    relayer.ready().await;
    relayer.stop().await;
}

/// It knows of no jury that was opened since, so that none can be drawn.
#[tokio::test]
async fn a_node_that_stands_still_holds_nothing_up_for_longer_than_a_minute() {
    let (db, world) = (sqlite(), World::new(1).await);
    let (config, others) = three(&world, &db).await;
    world.wire.stand_still().await;
    world.peers.want([intent(1, "draw", &world.terms, DRAW)]);
    let clock: Arc<MovedClock> = Arc::default();
    let relayer = Running::start(config, clock.clone()).await;
    stays(&relayer, "draw", "waiting", "UnknownCase").await;
    world.other(|payer| world.case().open(payer)).await;
    clock.pass_ms(60_001);
    world.comes_to(&relayer, "draw", "done").await;
    assert!(others[0].asked("getSlot") > 0);
    relayer.ready().await;
    relayer.stop().await;
}
