//! What the relayer does when things fail, on a real chain and both databases.

use std::{sync::Arc, time::Instant};

use alloy::{
    primitives::{B256, U256},
    providers::{Provider as _, ext::AnvilApi as _},
    rpc::types::BlockNumberOrTag,
};
use fixture::Chain;
use protocol::{evm::call, wire::intent::IntentAction};
use serde_json::Value;
use service::db::testing::on_both;
use tokio_util::sync::CancellationToken;

use super::world::{RELAYS, World, attempts, show};
use crate::{
    config::Config,
    run::prepare,
    testing::{KEY, MovedClock, Running, Wire, intent, until},
};

#[tokio::test]
async fn a_crash_between_storing_and_sending_leads_to_one_effect_with_the_same_bytes() {
    for db in on_both().await {
        let world = World::new().await;
        let relayer = world.start_held(world.config(&db)).await;
        relayer.kill().await;
        assert_eq!(world.nonce().await, 0, "{:?}", db.engine);
        // The price falls: what is signed anew has other bytes.
        world.chain.mine(1).await;
        world.wire.cut(false);
        let relayer = world.start(world.config(&db)).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        let attempts = attempts(&shown);
        assert_eq!((attempts.len(), &attempts[0]["nonce"]), (1, &"0".into()), "{:?}", db.engine);
        let sent = world.wire.sent();
        assert!(sent.len() > 1 && sent.iter().all(|raw| *raw == sent[0]), "{sent:?}");
        assert_eq!(world.nonce().await, 1);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_database_that_is_lost_while_a_transaction_is_on_its_way_leads_to_one_effect() {
    for db in on_both().await {
        let world = World::new().await;
        let relayer = world.start_pooled(world.config(&db)).await;
        relayer.kill().await;
        let empty = service::db::testing::sqlite();
        let relayer = world.start(world.config(&empty)).await;
        until("it has the intent again", || async { show(&relayer, "open").await }).await;
        world.automine(true).await;
        world.comes_to(&relayer, "open", "done").await;
        assert_eq!(world.nonce().await, 1, "{:?}: one transaction, one effect", db.engine);
        assert_eq!(world.case(BlockNumberOrTag::Finalized).await.stage, 1);
        until("nothing is under way", || async {
            (relayer.get("/status").await.1["attempts_open"] == 0).then_some(())
        })
        .await;
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_at_its_nonce_within_the_budget() {
    for db in on_both().await {
        let world = World::new().await;
        let mut config = world.config(&db);
        config.bump_after_ms = 200;
        let relayer = world.start_cut_off(config).await;
        let pending = until("two replacements", || async {
            world.chain.mine(1).await;
            let shown = show(&relayer, "open").await?;
            (attempts(&shown).len() >= 3).then_some(shown)
        })
        .await;
        let fee = |attempt: &Value| attempt["max_fee"].as_str().unwrap().parse::<u128>().unwrap();
        for pair in attempts(&pending).windows(2) {
            assert_eq!(pair[0]["nonce"], pair[1]["nonce"], "{:?}", db.engine);
            assert!(fee(&pair[1]) * 8 >= fee(&pair[0]) * 9, "at least an eighth more");
        }
        world.wire.cut(false);
        let shown = world.comes_to(&relayer, "open", "done").await;
        let outcomes: Vec<_> =
            attempts(&shown).iter().map(|a| a["outcome"].as_str().unwrap().to_owned()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| *outcome == "succeeded").count(), 1, "{outcomes:?}");
        assert!(
            outcomes.iter().all(|outcome| outcome == "succeeded" || outcome == "replaced"),
            "{outcomes:?}"
        );
        assert!(attempts(&shown).iter().any(|attempt| attempt["hash"] == shown["done_by"]));
        assert_eq!(world.nonce().await, 1, "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_said_and_the_transaction_is_still_watched() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    let mut config = world.config(&db);
    config.bump_after_ms = 200;
    // Enough for the first transaction and not for an eighth more.
    config.max_fee_per_gas = world.price().await;
    let relayer = world.start_cut_off(config).await;
    world.chain.mine(1).await;
    // The highest fee, and not the intent's budget, is in the way.
    relayer.not_ready("the limits allow").await;
    let shown = show(&relayer, "open").await.unwrap();
    assert_eq!((&shown["state"], attempts(&shown).len()), (&"attempted".into(), 1));
    world.wire.cut(false);
    world.comes_to(&relayer, "open", "done").await;
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn a_transaction_that_reverts_because_another_was_quicker_is_done_by_the_other() {
    for db in on_both().await {
        let world = World::new().await;
        let relayer = world.start_pooled(world.config(&db)).await;
        world.outbid().await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        let attempts = attempts(&shown);
        assert_eq!((attempts.len(), &attempts[0]["outcome"]), (1, &"reverted".into()), "{:?}", db.engine);
        assert_eq!(shown["done_by"], Value::Null);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_reorganisation_opens_what_was_mined_and_what_was_final() {
    for db in on_both().await {
        let world = World::new().await;
        world.chain.mine(6).await;
        world.want_open();
        let relayer = world.start(world.config(&db)).await;
        let mined = until("it is mined", || async {
            let shown = show(&relayer, "open").await?;
            (shown["state"] == "mined").then_some(shown)
        })
        .await;
        // Its one block goes; the same bytes come back.
        world.chain.reorg(1).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!(
            (attempts(&shown).len(), &shown["done_by"]),
            (1, &attempts(&mined)[0]["hash"]),
            "{:?}",
            db.engine
        );

        // A reorganisation below the final block takes back what was done.
        let hash: B256 = shown["done_by"].as_str().unwrap().parse().unwrap();
        let receipt = world.chain.provider().get_transaction_receipt(hash).await.unwrap().unwrap();
        let depth = world.chain.height().await - receipt.block_number.unwrap() + 1;
        world.chain.reorg(depth).await;
        world.opened_again(&relayer, "open").await;
        world.comes_to(&relayer, "open", "done").await;
        assert_eq!(world.case(BlockNumberOrTag::Finalized).await.stage, 1, "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_reorganisation_opens_what_somebody_else_had_done() {
    for db in on_both().await {
        let world = World::new().await;
        world.chain.mine(6).await;
        world.call(5, call::open(&world.terms).unwrap()).await;
        let at = world.chain.height().await;
        world.want_open();
        let relayer = world.start(world.config(&db)).await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!(attempts(&shown).len(), 0, "{:?}", db.engine);
        world.chain.reorg(world.chain.height().await - at + 1).await;
        world.opened_again(&relayer, "open").await;
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!((attempts(&shown).len(), world.nonce().await), (1, 1), "{:?}", db.engine);
        relayer.stop().await;
    }
}

#[tokio::test]
async fn a_second_process_stands_by_until_the_first_is_gone() {
    for db in on_both().await {
        let world = World::new().await;
        let first = world.start(world.config(&db)).await;
        first.ready().await;
        let second = world.start(world.config(&db)).await;
        second.not_ready("another process works on this database").await;
        world.want_open();
        world.comes_to(&first, "open", "done").await;
        second.not_ready("another process works on this database").await;
        first.kill().await;
        second.ready().await;
        world.peers.want([intent(2, "draw", &world.terms, IntentAction::DrawJury { instance: 0, jury: 0 })]);
        world.comes_to(&second, "draw", "done").await;
        assert_eq!(world.nonce().await, 2, "{:?}", db.engine);
        second.stop().await;
    }
}

#[tokio::test]
async fn a_signer_without_coins_says_so() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    world.chain.provider().anvil_set_balance(world.chain.address(RELAYS), U256::from(5)).await.unwrap();
    world.want_open();
    let relayer = world.start(world.config(&db)).await;
    relayer.not_ready("has 5 wei").await;
    let rich = U256::from(10_u128.pow(18));
    world.chain.provider().anvil_set_balance(world.chain.address(RELAYS), rich).await.unwrap();
    world.comes_to(&relayer, "open", "done").await;
    relayer.ready().await;
    relayer.stop().await;
}

#[tokio::test]
async fn another_chain_is_refused() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    let mut config = world.config(&db);
    config.chain = protocol::chain::ChainId::Eip155(1);
    let relayer = world.start(config).await;
    relayer.not_ready("RPC endpoint serves eip155:31337, not eip155:1").await;
    relayer.stop().await;
}

/// One address of several leads to another chain, where every signer is new and no block is known.
#[tokio::test]
async fn a_node_of_another_chain_is_asked_nothing() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    let other = Chain::start_with(&["--chain-id", "1"]).await;
    let second = Wire::to(other.rpc_url()).await;
    let mut config = world.config(&db);
    config.rpc_urls.push(second.url.clone());
    world.want_open();
    let clock: Arc<MovedClock> = Arc::default();
    let relayer = Running::start(config, clock.clone()).await;
    world.comes_to(&relayer, "open", "done").await;
    let notice = async || relayer.get("/status").await.1["notices"]["nodes"]["reason"].clone();
    let said = until("it is said", || async { notice().await.as_str().map(str::to_owned) }).await;
    assert!(said.contains("127.0.0.1") && said.contains("RPC endpoint serves eip155:1"), "{said}");
    // While another one answers, all is done.
    relayer.ready().await;
    world.wire.away(true);
    relayer.not_ready("RPC endpoint serves eip155:1, not eip155:31337").await;
    // It is left alone for half a minute, however often it would have its turn.
    let (begun, asked) = (Instant::now(), second.asked("eth_chainId"));
    for head in 1..=4 {
        other.mine(1).await;
        let turns = world.wire.asked("eth_chainId");
        until(&format!("it looked at head {head}"), || async {
            (world.wire.asked("eth_chainId") > turns + 1).then_some(())
        })
        .await;
    }
    // A look that was under way, and one for every rest that was over.
    let looks = 1 + usize::try_from(begun.elapsed().as_secs() / 30).unwrap();
    assert!(second.asked("eth_chainId") <= asked + looks, "{asked}, then {}", second.asked("eth_chainId"));
    let asked = second.asked("eth_chainId");
    clock.pass_ms(30_001);
    until("it is looked at again", || async { (second.asked("eth_chainId") > asked).then_some(()) }).await;
    assert_eq!(show(&relayer, "open").await.unwrap()["state"], "done");
    // Who was right before it failed may be another one after that.
    let asked = world.wire.asked("eth_getTransactionCount");
    world.wire.lead_to(other.rpc_url());
    world.wire.away(false);
    let before = world.wire.asked("eth_chainId");
    until("it is asked its name again", || async {
        (world.wire.asked("eth_chainId") > before).then_some(())
    })
    .await;
    assert_eq!(world.wire.asked("eth_getTransactionCount"), asked);
    world.wire.lead_to(world.chain.rpc_url());
    clock.pass_ms(30_001);
    relayer.ready().await;
    assert_eq!((second.asked("eth_getTransactionCount"), second.sent().len()), (0, 0));
    relayer.stop().await;
}

#[tokio::test]
async fn who_works_no_longer_says_nothing_of_its_rounds() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    let other = Chain::start_with(&["--chain-id", "1"]).await;
    let mut config = world.config(&db);
    config.rpc_urls.insert(0, other.rpc_url());
    let (crew, _status) = prepare(&config, Arc::new(MovedClock::default())).await.unwrap();
    let (alarms, stop) = (crew.worker.alarms.clone(), CancellationToken::new());
    let said = async {
        until("the node is said", || async { alarms.notices().contains_key("nodes").then_some(()) }).await;
        alarms.raise("unread intents", "one cannot be read", 0);
        stop.cancel();
    };
    tokio::join!(crew.work(&stop), said);
    assert!(alarms.notices().is_empty());
    assert_eq!(alarms.all().into_keys().collect::<Vec<_>>(), ["lease"]);
}

#[tokio::test]
async fn who_stands_by_asks_a_node_again_that_was_of_another_chain() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    let first = world.start(world.config(&db)).await;
    first.ready().await;
    let other = Chain::start_with(&["--chain-id", "1"]).await;
    let wire = Wire::to(other.rpc_url()).await;
    let clock: Arc<MovedClock> = Arc::default();
    let config = Config { rpc_urls: vec![wire.url.clone()], ..world.config(&db) };
    let second = Running::start(config, clock.clone()).await;
    second.not_ready("another process works on this database").await;
    let open = intent(1, "open", &world.terms, IntentAction::OpenCase);
    let estimated = async || {
        let request = reqwest::Client::new().post(format!("{}/v1/estimates", second.url));
        request.bearer_auth(KEY).json(&open).send().await.unwrap().status().as_u16()
    };
    assert_eq!(estimated().await, 503);
    wire.lead_to(world.chain.rpc_url());
    clock.pass_ms(30_001);
    assert_eq!(estimated().await, 200);
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn a_node_that_fails_to_tell_its_chain_is_asked_again_at_once() {
    use crate::transactions::evm::chain::Chain;
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    let node = Chain::new(&world.config(&db)).unwrap();
    world.wire.stumble("eth_chainId", -32_603, "internal error");
    let words = node.hash_at(0).await.unwrap_err().to_string();
    assert!(words.contains("internal error"), "{words}");
    assert_eq!(node.strangers().words(), Vec::<String>::new());
    assert!(node.hash_at(0).await.unwrap().is_some());
    assert_eq!(world.wire.asked("eth_chainId"), 2);

    // One that serves no such method names no chain, and of its words not all are kept.
    let node = Chain::new(&world.config(&db)).unwrap();
    world.wire.stumble("eth_chainId", -32_601, &"no such method ".repeat(100));
    node.hash_at(0).await.unwrap_err();
    let said = node.strangers().words().join("; ");
    assert!(said.contains("no such method") && said.len() < 350, "{said}");
    node.hash_at(0).await.unwrap_err();
    assert_eq!(world.wire.asked("eth_chainId"), 3);
}

#[tokio::test]
async fn an_arbiter_that_is_no_pool_needs_a_person() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    let mut terms = world.terms.clone();
    terms.arbiter = world.chain.account(9);
    world.peers.want([
        intent(1, "nowhere", &terms, IntentAction::OpenCase),
        intent(2, "open", &world.terms, IntentAction::OpenCase),
    ]);
    let relayer = world.start(world.config(&db)).await;
    world.comes_to(&relayer, "open", "done").await;
    relayer.not_ready("1 intents need a person").await;
    let shown = show(&relayer, "nowhere").await.unwrap();
    assert_eq!((&shown["state"], attempts(&shown).len()), (&"quarantined".into(), 0));
    assert!(shown["reason"].as_str().unwrap().contains("caseOf"), "{shown}");
    relayer.stop().await;
}

#[tokio::test]
async fn the_address_of_the_node_is_not_shown() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    let mut config = world.config(&db);
    config.rpc_urls = vec!["http://127.0.0.1:9/v2/my-own-key".to_owned()];
    let relayer = world.start(config).await;
    let said = relayer.not_ready("transactions: RPC eth_getBlockByNumber").await;
    assert!(!said.contains("my-own-key"), "{said}");
    relayer.stop().await;
}

/// A machine of a balanced endpoint that lags knows no receipt: whoever takes that for a fact does everything twice.
#[tokio::test]
async fn a_receipt_that_is_missing_at_one_head_is_no_fact() {
    for db in on_both().await {
        let world = World::new().await;
        world.wire.blind(true);
        world.want_open();
        let relayer = world.start(world.config(&db)).await;
        until("it is in a block", || async { (world.nonce().await == 1).then_some(()) }).await;
        let provider = world.chain.provider();
        let final_nonce = || async {
            let count = provider.get_transaction_count(world.chain.address(RELAYS));
            count.block_id(BlockNumberOrTag::Finalized.into()).await.unwrap()
        };
        while final_nonce().await == 0 {
            world.chain.mine(1).await;
        }
        // Rounds at this head, and one at the next: after that the first are over.
        for mined in [0, 1] {
            world.chain.mine(mined).await;
            let head = provider.get_block_number().await.unwrap().to_string();
            until("it looked", || async {
                (relayer.get("/status").await.1["latest_block"] == head).then_some(())
            })
            .await;
        }
        assert_eq!(show(&relayer, "open").await.unwrap()["state"], "attempted", "{:?}", db.engine);
        world.wire.blind(false);
        let shown = world.comes_to(&relayer, "open", "done").await;
        assert_eq!(shown["done_by"], attempts(&shown)[0]["hash"], "{:?}", db.engine);
        relayer.stop().await;
    }
}

/// A machine that mixes up its answers says nothing about what it was asked: neither that something is there nor that it is gone.
#[tokio::test]
async fn an_answer_about_another_transaction_or_block_is_no_answer() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    world.wire.mistake("eth_getTransactionReceipt", |receipt| {
        receipt["transactionHash"] = B256::repeat_byte(7).to_string().into();
    });
    world.want_open();
    let relayer = world.start(world.config(&db)).await;
    until("it says so", || async {
        let shown = show(&relayer, "open").await?;
        shown["reason"].as_str()?.contains("an answer about another").then_some(())
    })
    .await;
    world.chain.mine(6).await;
    let head = world.chain.height().await.to_string();
    until("it looked", || async {
        (relayer.get("/status").await.1["latest_block"] == head.as_str()).then_some(())
    })
    .await;
    let shown = show(&relayer, "open").await.unwrap();
    assert_eq!((&shown["state"], attempts(&shown).len()), (&"attempted".into(), 1));
    world.wire.is_right();
    let shown = world.comes_to(&relayer, "open", "done").await;
    assert_eq!((&shown["done_by"], world.nonce().await), (&attempts(&shown)[0]["hash"], 1));
    relayer.stop().await;

    let node = crate::transactions::evm::chain::Chain::new(&world.config(&db)).unwrap();
    assert!(node.hash_at(3).await.unwrap().is_some());
    world.wire.mistake("eth_getBlockByNumber", |block| block["number"] = "0x1".into());
    for refused in [node.hash_at(3).await.map(drop), node.block(3_u64.into()).await.map(drop)] {
        let words = refused.unwrap_err().to_string();
        assert!(words.contains("0x3 was asked for"), "{words}");
    }
    // The same height in another writing is the same.
    world.wire.mistake("eth_getBlockByNumber", |block| {
        block["number"] = block["number"].as_str().unwrap().replacen("0x", "0x0", 1).into();
    });
    assert!(node.hash_at(3).await.unwrap().is_some());
}

/// What one machine mixes up another one tells.
#[tokio::test]
async fn a_node_that_answers_about_something_else_is_passed_over() {
    let db = service::db::testing::sqlite();
    let world = World::new().await;
    let second = Wire::to(world.chain.rpc_url()).await;
    let mut config = world.config(&db);
    config.rpc_urls.push(second.url.clone());
    world.wire.mistake("eth_getTransactionReceipt", |receipt| {
        receipt["transactionHash"] = B256::repeat_byte(7).to_string().into();
    });
    world.want_open();
    let relayer = world.start(config).await;
    let shown = world.comes_to(&relayer, "open", "done").await;
    assert_eq!((&shown["done_by"], world.nonce().await), (&attempts(&shown)[0]["hash"], 1));
    assert!(world.wire.asked("eth_getTransactionReceipt") > 0, "the first one was asked first");
    relayer.stop().await;
}
