//! Several signers, several nodes, and what the operator is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{primitives::U256, providers::ext::AnvilApi as _};
use protocol::{
    evm::call,
    wire::intent::{IntentAction, IntentProgress, ProgressReport},
};
use service::db::testing::{on_both, sqlite};

use super::world::{RELAYS, World, attempts, show};
use crate::{
    alarm::PAGE_AFTER_MS,
    config::Config,
    testing::{MovedClock, Operator, PAGE_SECRET, Running, Wire, intent, until},
};

/// How many of the intents have attempts of a signer, by signer.
pub async fn signers(relayer: &Running, keys: &[String]) -> BTreeMap<String, usize> {
    let mut signers = BTreeMap::new();
    for key in keys {
        let shown = show(relayer, key).await.unwrap();
        let of: BTreeSet<String> =
            attempts(&shown).iter().map(|one| one["signer"].as_str().unwrap().to_lowercase()).collect();
        for signer in of {
            *signers.entry(signer).or_default() += 1;
        }
    }
    signers
}

#[tokio::test]
async fn work_is_spread_over_the_signers_and_who_cannot_pay_is_out_of_turn() {
    for db in on_both().await {
        let world = World::new().await;
        let mut config = world.config(&db);
        config.signers = vec![world.key(6), world.key(7)];
        let relayer = world.start(config).await;

        // With nothing in a block everybody has to help.
        world.wire.cut(true);
        let keys = world.want_opened(20..26).await;
        for key in &keys {
            world.signed(&relayer, key).await;
        }
        let all: BTreeMap<String, usize> =
            [RELAYS, 6, 7].map(|wallet| (world.chain.address(wallet).to_string().to_lowercase(), 2)).into();
        assert_eq!(signers(&relayer, &keys).await, all, "{:?}", db.engine);
        world.wire.cut(false);
        for key in &keys {
            world.comes_to(&relayer, key, "done").await;
        }

        world.chain.provider().anvil_set_balance(world.chain.address(6), U256::from(5)).await.unwrap();
        // What was chosen for it by an earlier look would be stuck.
        until("its balance is seen", || async {
            let (_, status) = relayer.get("/status").await;
            status["signers"].as_array()?.iter().any(|signer| signer["balance"] == "5").then_some(())
        })
        .await;
        let keys = world.want_opened(30..34).await;
        for key in &keys {
            world.comes_to(&relayer, key, "done").await;
        }
        let poor = world.chain.address(6).to_string().to_lowercase();
        assert!(!signers(&relayer, &keys).await.contains_key(&poor), "{:?}", db.engine);
        relayer.ready().await;
        relayer.stop().await;
    }
}

#[tokio::test]
async fn what_a_key_signed_is_sent_without_it_and_done() {
    for db in on_both().await {
        let world = World::new().await;
        let relayer = world.start_cut_off(world.config(&db)).await;
        relayer.stop().await;
        let before = world.wire.sent();
        world.wire.cut(false);
        let relayer =
            world.start(Config { private_key: world.key(6).private_key, ..world.config(&db) }).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!(attempts(&shown).len(), 1, "{:?}: the other key signed nothing", db.engine);
        let sent = world.wire.sent();
        assert!(sent.len() > before.len() && sent.iter().all(|raw| *raw == sent[0]), "{sent:?}");
        assert_eq!(world.nonce().await, 1, "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn what_is_stuck_without_its_key_pages_and_is_done_when_the_key_is_back() {
    for db in on_both().await {
        let world = World::new().await;
        let operator = Operator::start().await;
        let with_key = Config {
            bump_after_ms: 200,
            page_url: operator.url.clone(),
            page_secret: PAGE_SECRET.to_owned().into(),
            ..world.config(&db)
        };
        let relayer = world.start_cut_off(with_key.clone()).await;
        relayer.stop().await;
        // The key is out of the configuration, blocks come, and none of them takes what it signed.
        let without = Config { private_key: world.key(6).private_key, ..with_key.clone() };
        let relayer = world.start(without).await;
        let shown = world.comes_to(&relayer, "open", "quarantined").await;
        assert_eq!(attempts(&shown).len(), 1, "{:?}: nothing else was signed", db.engine);
        let page = until("a page", || async {
            operator.pages().into_iter().find(|(_, page)| page["type"] == "intent.quarantined")
        })
        .await;
        assert_eq!(page.1["data"]["page"]["key"], "open");
        let sent = world.wire.sent();
        assert!(sent.len() > 1 && sent.iter().all(|raw| *raw == sent[0]), "{sent:?}");
        relayer.stop().await;
        world.wire.cut(false);
        let relayer = world.start(with_key).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        let done = attempts(&shown).iter().filter(|one| one["outcome"] == "succeeded").count();
        assert_eq!((done, world.nonce().await), (1, 1), "{:?}", db.engine);
        relayer.ready().await;
        relayer.stop().await;
    }
}

#[tokio::test]
async fn what_somebody_else_did_meanwhile_is_cancelled_at_its_nonce() {
    for db in on_both().await {
        let world = World::new().await;
        let mut config = world.config(&db);
        config.bump_after_ms = 200;
        let relayer = world.start_cut_off(config).await;
        world.call(5, call::open(&world.terms).unwrap()).await;
        until("it is cancelled", || async {
            world.chain.mine(1).await;
            let kinds = attempts(&show(&relayer, "open").await?);
            kinds.iter().any(|attempt| attempt["kind"] == "cancel").then_some(())
        })
        .await;
        world.wire.cut(false);
        let shown = world.comes_to(&relayer, "open", "done").await;
        let attempts = attempts(&shown);
        assert!(shown["done_by"].is_null() && attempts.iter().all(|one| one["nonce"] == "0"), "{shown}");
        let done = attempts.iter().find(|attempt| attempt["outcome"] == "succeeded").unwrap();
        assert_eq!((&done["kind"], world.nonce().await), (&"cancel".into(), 1), "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_node_that_fails_is_passed_over_and_every_node_is_handed_the_transaction() {
    let db = sqlite();
    let world = World::new().await;
    let second = Wire::to(world.chain.rpc_url()).await;
    let mut config = world.config(&db);
    config.rpc_urls = vec!["http://127.0.0.1:9".to_owned(), world.wire.url.clone(), second.url.clone()];
    world.wire.cut(true);
    world.want_open();
    let relayer = world.start(config).await;
    world.comes_to(&relayer, "open", "done").await;
    assert_eq!(world.wire.sent().first(), second.sent().first());
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn an_answer_of_a_node_that_is_too_large_is_not_read() {
    let db = sqlite();
    let world = World::new().await;
    let large = axum::Router::new().fallback(|| async { "x".repeat(200_000) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = world.config(&db);
    config.rpc_urls = vec![format!("http://{}", listener.local_addr().unwrap())];
    config.answer_bytes_max = 100_000;
    let serving = tokio::spawn(async move { axum::serve(listener, large).await.unwrap() });
    let relayer = world.start(config).await;
    relayer.not_ready("more than 100000 bytes").await;
    relayer.stop().await;
    serving.abort();
}

#[tokio::test]
async fn a_price_above_the_limits_is_said_and_waited_for() {
    let db = sqlite();
    let world = World::new().await;
    let mut config = world.config(&db);
    config.max_fee_per_gas = 2_000_000_000;
    world.chain.provider().anvil_set_next_block_base_fee_per_gas(3_000_000_000).await.unwrap();
    world.chain.mine(1).await;
    world.want_open();
    let relayer = world.start(config).await;
    relayer.not_ready("price: the chain asks").await;
    assert_eq!(attempts(&show(&relayer, "open").await.unwrap()).len(), 0);
    // The base fee falls by an eighth with every empty block.
    world.comes_to(&relayer, "open", "done").await;
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn the_alarms_of_price_and_coins_end_with_what_could_not_be_paid() {
    let db = sqlite();
    let world = World::new().await;
    let mut config = world.config(&db);
    config.max_fee_per_gas = 2_000_000_000;
    let provider = world.chain.provider();
    // What waits for others, and is open all the time.
    let early = world.another(2).await;
    world.peers.want([intent(1, "early", &early, IntentAction::DrawJury { instance: 0, jury: 0 })]);
    let relayer = world.start(config).await;
    until("it waits", || async {
        let shown = show(&relayer, "early").await?;
        shown["reason"].as_str()?.contains("UnknownCase").then_some(())
    })
    .await;

    provider.anvil_set_next_block_base_fee_per_gas(4_000_000_000).await.unwrap();
    world.chain.mine(1).await;
    world.peers.want([intent(2, "open", &world.terms, IntentAction::OpenCase)]);
    until("it has arrived", || async { show(&relayer, "open").await }).await;
    relayer.not_ready("price: the chain asks").await;
    world.call(5, call::open(&world.terms).unwrap()).await;
    world.comes_to(&relayer, "open", "done").await;
    until("the price falls, and nothing more waits for that", || async {
        world.chain.mine(1).await;
        (relayer.get("/ready").await.0 == 200).then_some(())
    })
    .await;

    provider.anvil_set_balance(world.chain.address(RELAYS), U256::from(5)).await.unwrap();
    let other = world.another(3).await;
    world.peers.want([intent(3, "other", &other, IntentAction::OpenCase)]);
    relayer.not_ready("balance: ").await;
    world.call(5, call::open(&other).unwrap()).await;
    world.comes_to(&relayer, "other", "done").await;
    relayer.ready().await;
    assert_eq!(show(&relayer, "early").await.unwrap()["state"], "waiting");
    relayer.stop().await;
}

#[tokio::test]
async fn without_a_price_nothing_is_signed_and_all_else_goes_on() {
    let db = sqlite();
    let world = World::new().await;
    world.want_open();
    let relayer = world.start(world.config(&db)).await;
    world.signed(&relayer, "open").await;
    world.wire.lack(Some("eth_feeHistory"));
    let (theirs, ours) = (world.another(2).await, world.another(3).await);
    world.call(5, call::open(&theirs).unwrap()).await;
    world.peers.want([
        intent(2, "theirs", &theirs, IntentAction::OpenCase),
        intent(3, "ours", &ours, IntentAction::OpenCase),
    ]);
    world.comes_to(&relayer, "open", "done").await;
    let shown = world.comes_to(&relayer, "theirs", "done").await;
    assert_eq!(attempts(&shown).len(), 0);
    let said = relayer.not_ready("price: no node tells the price: RPC eth_feeHistory").await;
    assert!(!said.contains("transactions:"), "{said}");
    let shown = show(&relayer, "ours").await.unwrap();
    assert_eq!(attempts(&shown).len(), 0, "{shown}");
    assert!(shown["reason"].as_str().unwrap().contains("no node tells"), "{shown}");
    world.wire.lack(None);
    world.comes_to(&relayer, "ours", "done").await;
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn the_operator_is_paged_by_what_is_signed_and_once() {
    for db in on_both().await {
        let world = World::new().await;
        let operator = Operator::start().await;
        let mut terms = world.terms.clone();
        terms.arbiter = world.chain.account(9);
        world.peers.want([intent(1, "nowhere", &terms, IntentAction::OpenCase)]);
        let mut config = world.config(&db);
        config.page_url = operator.url.clone();
        config.page_secret = PAGE_SECRET.to_owned().into();
        let clock: Arc<MovedClock> = Arc::default();
        let relayer = Running::start(config.clone(), clock.clone()).await;
        let about = |name: &str| {
            let pages = operator.pages();
            pages.into_iter().filter(|(_, page)| page["type"] == name).collect::<Vec<_>>()
        };
        let page = until("a page", || async { about("intent.quarantined").pop() }).await;
        assert_eq!(page.1["data"]["page"]["key"], "nowhere", "{:?}", db.engine);
        assert_eq!(page.1["data"]["chain"], "eip155:31337");
        relayer.not_ready("1 intents need a person").await;
        clock.pass_ms(PAGE_AFTER_MS);
        until("a page about the alarm", || async {
            let pages = about("alarm.raised");
            pages.iter().any(|page| page.1["data"]["page"]["task"] == "quarantined intents").then_some(())
        })
        .await;
        relayer.stop().await;
        let relayer = Running::start(config, clock).await;
        relayer.not_ready("1 intents need a person").await;
        assert_eq!(about("intent.quarantined").len(), 1, "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_page_whose_answer_is_lost_in_a_crash_comes_again_under_its_id() {
    for db in on_both().await {
        let world = World::new().await;
        let operator = Operator::start().await;
        operator.mute(true);
        let mut terms = world.terms.clone();
        terms.arbiter = world.chain.account(9);
        world.peers.want([intent(1, "nowhere", &terms, IntentAction::OpenCase)]);
        let mut config = world.config(&db);
        config.page_url = operator.url.clone();
        config.page_secret = PAGE_SECRET.to_owned().into();
        let relayer = world.start(config.clone()).await;
        until("a page", || async { (!operator.pages().is_empty()).then_some(()) }).await;
        relayer.kill().await;
        operator.mute(false);
        let relayer = world.start(config).await;
        let pages = until("it comes again", || async {
            let pages = operator.pages();
            (pages.len() > 1).then_some(pages)
        })
        .await;
        let about = |at: usize| (&pages[at].0, &pages[at].1["data"]["page"]["key"]);
        assert_eq!((about(0), about(0).1), (about(1), &"nowhere".into()), "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn progress_waits_for_a_hub_that_is_away_and_survives_a_restart() {
    for db in on_both().await {
        let world = World::new().await;
        world.want_open();
        let relayer = world.start(world.config(&db)).await;
        until("it has arrived", || async { show(&relayer, "open").await }).await;
        world.peers.go_away(true);
        world.comes_to(&relayer, "open", "done").await;
        relayer.kill().await;
        let relayer = world.start(world.config(&db)).await;
        relayer.not_ready("hub does not answer").await;
        world.peers.go_away(false);
        let reports = until("the hub knows", || async {
            let reports = world.peers.reports();
            let done = |report: &protocol::wire::intent::ProgressReport| {
                matches!(report.progress, IntentProgress::Done { transaction: Some(_) })
            };
            reports.iter().any(done).then_some(reports)
        })
        .await;
        let sent = |report: &protocol::wire::intent::ProgressReport| {
            matches!(report.progress, IntentProgress::Sent { .. })
        };
        assert!(sent(&reports[0]) && reports.len() == 2, "{:?} {reports:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_node_that_hangs_is_waited_for_once_and_not_with_every_transaction() {
    let db = sqlite();
    let world = World::new().await;
    let hanging = Wire::to(world.chain.rpc_url()).await;
    hanging.hang("eth_sendRawTransaction", "");
    let mut config = world.config(&db);
    config.rpc_urls.push(hanging.url.clone());
    let keys = world.want_opened(20..24).await;
    let relayer = world.start(config).await;
    let begun = Instant::now();
    for key in &keys {
        world.comes_to(&relayer, key, "done").await;
    }
    // It is handed each of them all the same.
    assert_eq!((world.wire.sent().len(), hanging.unanswered()), (4, 4));
    // Twice as long as one call of a node may take; with every transaction it would be four times.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    relayer.stop().await;
}

#[tokio::test]
async fn a_node_that_counts_wrongly_jams_no_signer() {
    let db = sqlite();
    let world = World::new().await;
    let keys = world.want_opened(20..21).await;
    let relayer = world.start(world.config(&db)).await;
    world.comes_to(&relayer, &keys[0], "done").await;
    let (terms, keys) = (world.another(21).await, ["open/21".to_owned()]);
    // Heads that came before the lie would be heads that it was seen at.
    world.looked(&relayer).await;
    world.wire.count(Some(1_000));
    world.peers.want([intent(21, &keys[0], &terms, IntentAction::OpenCase)]);
    relayer.not_ready("the chain counts 1000 transactions").await;
    until("it has arrived", || async { show(&relayer, &keys[0]).await }).await;
    // At one head after the other it is believed no sooner than at the third.
    world.chain.mine(1).await;
    world.looked(&relayer).await;
    assert_eq!(attempts(&show(&relayer, &keys[0]).await.unwrap()), Vec::<serde_json::Value>::new());
    world.wire.count(None);
    let shown = world.comes_to(&relayer, &keys[0], "done").await;
    assert_eq!((&attempts(&shown)[0]["nonce"], world.nonce().await), (&"1".into(), 2));
    relayer.ready().await;
    relayer.stop().await;
}

/// Of a signer that signed nothing yet there is nothing to compare with: a wrong nonce would be signed with all the same.
#[tokio::test]
async fn a_node_that_counts_wrongly_at_the_first_look_jams_no_signer() {
    let (db, world) = (sqlite(), World::new().await);
    world.wire.count(Some(1_000));
    world.want_open();
    let relayer = world.start(world.config(&db)).await;
    relayer.not_ready("the chain counts 1000 transactions").await;
    until("it has arrived", || async { show(&relayer, "open").await }).await;
    world.chain.mine(1).await;
    world.looked(&relayer).await;
    assert_eq!(attempts(&show(&relayer, "open").await.unwrap()), Vec::<serde_json::Value>::new());
    world.wire.count(None);
    let shown = world.comes_to(&relayer, "open", "done").await;
    assert_eq!((&attempts(&shown)[0]["nonce"], world.nonce().await), (&"0".into(), 1));
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn a_key_that_was_used_elsewhere_signs_after_three_heads() {
    let (db, world) = (sqlite(), World::new().await);
    world.chain.provider().anvil_set_nonce(world.chain.address(RELAYS), 1_000).await.unwrap();
    world.want_open();
    let relayer = world.start(world.config(&db)).await;
    relayer.not_ready("the chain counts 1000 transactions").await;
    let shown = world.comes_to(&relayer, "open", "done").await;
    assert_eq!((&attempts(&shown)[0]["nonce"], world.nonce().await), (&"1000".into(), 1_001));
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn a_report_that_the_hub_does_not_know_what_to_do_with_holds_up_no_other() {
    for db in on_both().await {
        let world = World::new().await;
        let keys = world.want_opened(20..22).await;
        world.peers.lose(&keys[0]);
        let relayer = world.start(world.config(&db)).await;
        for key in &keys {
            world.comes_to(&relayer, key, "done").await;
        }
        until("the other is reported", || async {
            let reports = world.peers.reports();
            let done = |report: &ProgressReport| matches!(report.progress, IntentProgress::Done { .. });
            reports.iter().any(|report| report.key == keys[1] && done(report)).then_some(())
        })
        .await;
        until("nothing is left to tell", || async {
            (relayer.get("/status").await.1["outbox"] == 0).then_some(())
        })
        .await;
        relayer.ready().await;
        relayer.stop().await;
    }
}
