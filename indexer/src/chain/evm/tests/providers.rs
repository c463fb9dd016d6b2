//! Several providers, and one that is not to be believed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use alloy::{primitives::B256, providers::Provider};
use fixture::Chain;
use protocol::wire::{
    feed::Finality,
    view::{DealDetail, DealStatus, FaultKind},
};
use serde_json::{Value, json};
use service::{
    clock::Clock,
    db::testing::{on_both, sqlite},
};

use super::{agrees, told_of};
use crate::{
    chain::{follow::Ground, source::Following},
    config::Config,
    shared::Shared,
    testing::{
        Running, config,
        node::{Node, refuse},
        with,
    },
};

/// Tells another hash of every final block than the chain has.
fn another_hash(request: &Value, answer: &mut Value) {
    let tag = request["params"][0].as_str().unwrap_or_default();
    if request["method"] == "eth_getBlockByNumber" && tag != "latest" && !answer["result"].is_null() {
        answer["result"]["hash"] = json!(B256::repeat_byte(0xbb));
    }
}

#[tokio::test]
async fn what_a_quorum_agrees_on_is_final_and_who_says_otherwise_is_asked_no_more() {
    for db in on_both().await {
        let chain = Chain::start().await;
        let liar = Node::before(&chain.rpc_url()).await;
        let (second, third) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
        let config = with(config(&chain, &db), |chain| {
            chain.rpc_urls = [&liar, &second, &third].map(|node| node.url.clone()).to_vec();
        });
        let indexer = Running::start(config).await;
        chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
        chain.mine(4).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        assert_eq!(indexer.status().await.providers.iter().map(|p| p.lies).sum::<u64>(), 0);

        liar.lies(another_hash);
        chain.fund(&chain.terms(1_000, Default::default(), 2).await).await;
        chain.mine(4).await;
        let status = indexer.until("the lie", |s| s.providers[0].lies > 0).await;
        assert!(!status.providers[0].trusted && status.providers[1].trusted, "{:?}", status.providers);
        indexer.until("the fault", |s| s.alarms == [FaultKind::ProviderLies]).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        assert_eq!(told_of(&indexer.feed().await, "Funded").last(), Some(&Finality::Final));
        assert_eq!(indexer.raw("/ready").await.0, 200, "one of three is no reason to stop");

        liar.is_honest();
        chain.mine(1).await;
        indexer.until("its return", |s| s.providers[0].trusted && s.alarms.is_empty()).await;
        agrees(indexer).await;
    }
}

#[tokio::test]
async fn without_a_quorum_nothing_more_is_final() {
    let db = sqlite();
    let chain = Chain::start().await;
    let (first, second) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
    let config = with(config(&chain, &db), |chain| {
        chain.rpc_urls = [&first, &second].map(|node| node.url.clone()).to_vec();
        chain.quorum = Some(2);
    });
    let indexer = Running::start(config).await;
    chain.mine(4).await;
    indexer.caught_up(&chain).await;
    let before = indexer.status().await.finalized;
    assert!(before.is_some());
    second.becomes(None);
    chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    chain.mine(6).await;
    indexer.until("the fault", |s| s.alarms.contains(&FaultKind::NoQuorum)).await;
    let status = indexer.caught_up(&chain).await;
    assert_eq!(status.finalized, before);
    assert!(!told_of(&indexer.feed().await, "Funded").contains(&Finality::Final));
    second.becomes(Some(&chain.rpc_url()));
    indexer.until("the quorum", |s| s.alarms.is_empty() && s.finalized != before).await;
    indexer.all_final().await;
    agrees(indexer).await;
}

#[tokio::test]
async fn a_fault_about_a_provider_that_is_no_longer_configured_is_cleared() {
    let db = sqlite();
    let chain = Chain::start().await;
    chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    chain.mine(4).await;
    let liar = Node::before(&chain.rpc_url()).await;
    liar.lies(|request, answer| {
        if request["method"] == "eth_getLogs" && request["params"][0].get("fromBlock").is_some() {
            answer["result"] = json!([]);
        }
    });
    let indexer = Running::behind(&liar, &chain, &db).await;
    indexer.until("the fault", |s| s.alarms == [FaultKind::ProviderLies]).await;
    indexer.stop().await;
    let indexer = Running::on(&chain, &db).await;
    indexer.until("no fault", |s| s.alarms.is_empty() && s.head.is_some()).await;
    agrees(indexer).await;
}

#[tokio::test]
async fn batches_shrink_until_the_node_takes_them() {
    let db = sqlite();
    let chain = Chain::start().await;
    for salt in 0..10 {
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
    }
    chain.mine(20).await;
    let node = Node::before(&chain.rpc_url()).await;
    node.takes_batches_of(8);
    let config = with(config(&chain, &db), |chain| {
        chain.rpc_urls = vec![node.url.clone()];
        chain.reconcile_ms = 1_000;
    });
    let indexer = Running::start(config).await;
    indexer
        .until("the proof and the comparison", |s| {
            s.proven.is_some() && s.proven == s.finalized && s.reconciled_at.is_some()
        })
        .await;
    assert!(node.batches_refused() > 0, "no batch was too large: the test tells nothing");
    agrees(indexer).await;
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_asked_for_in_parts() {
    let db = sqlite();
    let chain = Chain::start().await;
    for salt in 0..60 {
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
    }
    chain.mine(4).await;
    let node = Node::before(&chain.rpc_url()).await;
    let longest = Arc::new(AtomicUsize::new(0));
    let most = longest.clone();
    node.lies(move |request, answer| {
        if request["method"] == "eth_getLogs" {
            most.fetch_max(answer.to_string().len(), Ordering::SeqCst);
        }
    });
    let config = with(config(&chain, &db), |chain| {
        chain.rpc_urls = vec![node.url.clone()];
        chain.range_blocks_max = 1_000;
        chain.answer_bytes_max = 65_536;
    });
    let indexer = Running::start(config).await;
    indexer.caught_up(&chain).await;
    indexer.all_final().await;
    assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Final].repeat(60));
    assert!(longest.load(Ordering::SeqCst) > 65_536, "no answer was too long: the test tells nothing");
    agrees(indexer).await;
}

#[tokio::test]
async fn a_reorganisation_while_the_past_is_read_is_followed() {
    let db = sqlite();
    let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
    for salt in 0..10 {
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
        chain.mine(5).await;
    }
    let last = chain.terms(1_000, Default::default(), 99).await;
    let (gone, _) = chain.fund(&last).await;
    let node = Node::before(&chain.rpc_url()).await;
    let config = with(config(&chain, &db), |chain| {
        chain.rpc_urls = vec![node.url.clone()];
        chain.range_blocks_max = 2;
    });
    let indexer = Running::start(config).await;
    indexer.until("some of it", |s| s.cursor.number > chain.start_block + 4).await;
    chain.reorg(3).await;
    let (deal, _) = chain.fund(&chain.terms(2_000, Default::default(), 100).await).await;
    chain.mine(2).await;
    indexer.caught_up(&chain).await;
    assert_eq!(indexer.raw(&format!("/v1/deals/{gone}")).await.0, 404);
    let detail: DealDetail = indexer.get(&format!("/v1/deals/{deal}")).await;
    assert_eq!(detail.view.deal.status, DealStatus::Funded);
    agrees(indexer).await;
}

#[tokio::test]
async fn reorganisations_of_hundreds_of_blocks_are_followed() {
    let db = sqlite();
    let chain = Chain::start_with(&["--slots-in-an-epoch", "400"]).await;
    chain.mine(20).await;
    let indexer = Running::on(&chain, &db).await;
    // Below what is final 256 blocks are kept.
    for depth in [255, 256, 257, 300] {
        let (deal, _) = chain.fund(&chain.terms(1_000, Default::default(), depth).await).await;
        chain.mine(depth - 1).await;
        indexer.caught_up(&chain).await;
        assert_eq!(indexer.raw(&format!("/v1/deals/{deal}")).await.0, 200);
        chain.reorg(depth).await;
        chain.mine(1).await;
        indexer.caught_up(&chain).await;
        assert_eq!(indexer.raw(&format!("/v1/deals/{deal}")).await.0, 404, "depth {depth}");
    }
    assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Seen, Finality::Retracted].repeat(4));
    agrees(indexer).await;
}

#[tokio::test]
async fn a_contract_that_says_otherwise_than_its_events_is_a_fault_while_it_does() {
    for db in on_both().await {
        let chain = Chain::start().await;
        let node = Node::before(&chain.rpc_url()).await;
        let terms = chain.terms(1_000, Default::default(), 1).await;
        let (deal, _) = chain.fund(&terms).await;
        chain.mine(4).await;
        let lies = Arc::new(AtomicBool::new(true));
        let lying = lies.clone();
        node.lies(move |request, answer| {
            if request["method"] == "eth_call"
                && lying.load(Ordering::SeqCst)
                && let Some(told) = answer["result"].as_str()
            {
                // The second word of a deal's state is the count of its events.
                let mut told = told.to_owned();
                told.replace_range(2 + 127..2 + 128, "7");
                answer["result"] = json!(told);
            }
        });
        let config = with(config(&chain, &db), |chain| {
            chain.rpc_urls = vec![node.url.clone()];
            chain.reconcile_ms = 1_000;
        });
        let indexer = Running::start(config).await;
        let status = indexer.until("the fault", |s| s.alarms == [FaultKind::StateDiffers]).await;
        assert_eq!(status.faults[0].subject, format!("deal/{deal}"));
        assert!(
            status.faults[0].detail.contains("count is 1 by the events, and 7 by the contract"),
            "{:?}",
            status.faults
        );
        // It is asked about until it agrees, also when the deal is closed.
        chain.release(&terms, 1_000).await;
        chain.mine(4).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        lies.store(false, Ordering::SeqCst);
        indexer.until("the agreement", |s| s.alarms.is_empty() && s.reconciled_at.is_some()).await;
        agrees(indexer).await;
    }
}

#[tokio::test]
async fn a_node_that_stands_still_or_is_on_another_fork_holds_nothing_up() {
    let db = sqlite();
    let chain = Chain::start().await;
    let (first, second) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
    let third = Node::before(&chain.rpc_url()).await;
    let indexer = Running::start(with(config(&chain, &db), |chain| {
        chain.rpc_urls = [&first, &second, &third].map(|node| node.url.clone()).to_vec();
    }))
    .await;
    chain.mine(4).await;
    indexer.caught_up(&chain).await;
    // Whoever is asked first stands still at what it said last.
    let stands_still = |node: &Node| {
        let held: Mutex<BTreeMap<String, Value>> = Mutex::default();
        node.lies(move |request, answer| {
            let of = request["params"][0].as_str().unwrap_or_default().to_owned();
            if request["method"] == "eth_getBlockByNumber" && !of.starts_with("0x") {
                let mut held = held.lock().unwrap();
                answer["result"] = held.entry(of).or_insert_with(|| answer["result"].clone()).clone();
            }
        });
    };
    for (salt, node) in (1..).zip([&first, &second, &third]) {
        stands_still(node);
        let looks = indexer.status().await.polled_at;
        indexer.until("two looks", |s| s.polled_at > looks).await;
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
        chain.mine(8).await;
        indexer.caught_up(&chain).await;
        node.is_honest();
    }
    // The same contracts on a chain with other blocks.
    let other = Chain::start_with(&["--timestamp", "1700000000"]).await;
    other.mine(60).await;
    for node in [&first, &second, &third] {
        node.becomes(Some(&other.rpc_url()));
        chain.mine(6).await;
        let status = indexer.caught_up(&chain).await;
        assert!(!status.alarms.contains(&FaultKind::DeepReorg), "{:?}", status.alarms);
        node.becomes(Some(&chain.rpc_url()));
        chain.mine(1).await;
        indexer.until("its return", |s| s.providers.iter().all(|p| p.trusted) && s.alarms.is_empty()).await;
    }
    agrees(indexer).await;
}

/// Goes on when it is told to.
#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What follows the chain, a tick at a time, and what it stands on.
async fn by_hand(config: &Config, clock: Arc<Hand>) -> (Following, Ground) {
    let (db, chains) = crate::open(config, &*clock).await.unwrap();
    let shared = Shared::new(db, chains, clock, Default::default(), 0);
    let chain = shared.chains.values().next().unwrap().clone();
    let source = chain.source.following(&chain.config, chain.id, chain.contracts.clone());
    (source, Ground { shared, chain, stopped: true })
}

async fn tip(ground: &Ground) -> u64 {
    ground.position().await.unwrap().unwrap().tip.number
}

#[tokio::test]
async fn a_range_of_a_branch_that_was_left_is_read_again_and_no_alarm() {
    let db = sqlite();
    let chain = Chain::start().await;
    chain.mine(60).await;
    let node = Node::before(&chain.rpc_url()).await;
    let config = with(config(&chain, &db), |chain| {
        chain.rpc_urls = vec![node.url.clone()];
        chain.range_blocks_max = 3;
    });
    let (mut source, mut ground) = by_hand(&config, Arc::default()).await;
    // The second range begins upon a block that the first does not end with.
    let second = format!("{:#x}", chain.start_block + 3);
    node.lies(move |request, answer| {
        if request["method"] == "eth_getBlockByNumber" && request["params"][0] == second.as_str() {
            answer["result"]["parentHash"] = json!(B256::repeat_byte(0xbb));
        }
    });
    source.tick(&mut ground).await.unwrap();
    let first = tip(&ground).await;
    assert_eq!(first, chain.start_block + 2);
    let torn = source.tick(&mut ground).await.unwrap_err().to_string();
    assert!(torn.contains("which a quorum still has") && !ground.stopped, "{torn}");
    node.is_honest();
    source.tick(&mut ground).await.unwrap();
    assert!(tip(&ground).await > first);
}

#[tokio::test]
async fn a_late_head_does_not_hold_up_the_past_that_is_read() {
    for nodes in [1, 2] {
        let db = sqlite();
        let chain = Chain::start().await;
        chain.mine(60).await;
        let (node, other) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
        let config = with(config(&chain, &db), |chain| {
            chain.rpc_urls = [&node, &other].iter().take(nodes).map(|node| node.url.clone()).collect();
            chain.range_blocks_max = 3;
            chain.reconcile_ms = 600_000;
        });
        let clock = Arc::new(Hand::default());
        let (mut source, mut ground) = by_hand(&config, clock.clone()).await;
        source.tick(&mut ground).await.unwrap();
        let first = tip(&ground).await;
        let ours = chain
            .provider()
            .raw_request::<_, Value>("eth_getBlockByNumber".into(), (format!("{first:#x}"), false))
            .await
            .unwrap();

        // The next look meets a machine that has come as far as the indexer and no further, and whoever looks again another.
        clock.0.fetch_add(60_000, Ordering::SeqCst);
        let looks = AtomicUsize::new(0);
        node.lies(move |request, answer| {
            if request["params"][0] == "latest" && looks.fetch_add(1, Ordering::SeqCst) == 0 {
                answer["result"] = ours.clone();
            }
        });
        source.tick(&mut ground).await.unwrap();
        let second = tip(&ground).await;
        assert_eq!(second > first, nodes > 1, "of several nodes one is asked again at once");
        source.tick(&mut ground).await.unwrap();
        assert!(tip(&ground).await > second, "{nodes} nodes");
    }
}

#[tokio::test]
async fn another_node_is_asked_for_what_one_refuses_or_lacks() {
    let chain = Chain::start().await;
    for salt in 0..3 {
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
    }
    chain.mine(4).await;
    // All ranges, however short, and later what is to prove the blocks.
    let refusals = [(-32005, "query returned more than 0 results"), (-32602, "unknown block")];
    for (code, words) in refusals {
        let (first, second) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
        let db = sqlite();
        let config = with(config(&chain, &db), |chain| {
            chain.rpc_urls = [&first, &second].map(|node| node.url.clone()).to_vec();
            chain.quorum = Some(1);
        });
        let of = |field: &'static str, receipts: bool| {
            move |request: &Value, answer: &mut Value| {
                let logs = request["method"] == "eth_getLogs" && request["params"][0].get(field).is_some();
                if logs || receipts && request["method"] == "eth_getBlockReceipts" {
                    refuse(answer, code, words);
                }
            }
        };
        first.lies(of("fromBlock", false));
        second.lies(of("blockHash", true));
        let indexer = Running::start(config).await;
        indexer.caught_up(&chain).await;
        indexer.until("the proof", |s| s.proven.is_some() && s.proven == s.finalized).await;
        assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Final].repeat(3));
        assert_eq!(indexer.status().await.alarms, []);
        agrees(indexer).await;
    }
}
