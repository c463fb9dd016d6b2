//! Following a real chain through everything that chains and nodes do.

use std::collections::BTreeSet;

use alloy::{
    primitives::{Bytes, U256},
    providers::Provider,
};
use fixture::Chain;
use protocol::wire::{
    feed::{FeedEntry, Finality},
    view::{DealDetail, DealStatus, FaultKind},
};
use serde_json::{Value, json};
use service::db::testing::{on_both, sqlite};

use crate::testing::{
    Running, config,
    node::{Node, refuse},
    sound, with,
};

mod cases;
mod compared;
mod complaints;
mod forks;
mod headers;
mod peers;
mod proofs;
mod providers;
mod rules;

fn told_of(feed: &[FeedEntry], name: &str) -> Vec<Finality> {
    feed.iter().filter(|e| e.event.body.name() == name).map(|e| e.finality).collect()
}

async fn agrees(indexer: Running) {
    sound(&indexer.stop().await).await;
}

/// A contract whose every call emits a log without topics.
const BABBLER: &str = "0x6560006000a0006000526006601af3";

#[tokio::test]
async fn reorganisations_of_every_depth_are_retracted_and_replaced() {
    for db in on_both().await {
        let chain = Chain::start_with(&["--slots-in-an-epoch", "40"]).await;
        let indexer = Running::on(&chain, &db).await;
        // A step has 32 blocks at most.
        for depth in [1, 2, 3, 4, 5, 6, 31, 32, 33] {
            let terms = chain.terms(1_000, Default::default(), depth).await;
            let (deal, _) = chain.fund(&terms).await;
            chain.mine(depth - 1).await;
            indexer.caught_up(&chain).await;
            let path = format!("/v1/deals/{deal}");
            let before: DealDetail = indexer.get(&path).await;
            assert_eq!(before.view.deal.status, DealStatus::Funded);
            let funded = before.transactions[0].event;

            chain.reorg(depth).await;
            chain.mine(1).await;
            indexer.caught_up(&chain).await;
            assert_eq!(indexer.raw(&path).await.0, 404, "depth {depth} on {:?}", db.engine);
            let told: FeedEntry = indexer.get(&format!("/v1/events/{funded}")).await;
            assert_eq!(told.finality, Finality::Retracted);
        }
        let feed = indexer.feed().await;
        assert_eq!(told_of(&feed, "Funded"), [Finality::Seen, Finality::Retracted].repeat(9));
        agrees(indexer).await;
    }
}

#[tokio::test]
async fn a_head_swapped_at_its_own_height_is_noticed() {
    for db in on_both().await {
        let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
        let indexer = Running::on(&chain, &db).await;
        let terms = chain.terms(1_000, Default::default(), 1).await;
        chain.fund(&terms).await;
        let before = indexer.caught_up(&chain).await;
        chain.reorg(1).await;
        let after =
            indexer.until("the swap", |s| s.cursor != before.cursor && s.head == Some(s.cursor)).await;
        assert_eq!(after.cursor.number, before.cursor.number);
        assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Seen, Finality::Retracted]);
        agrees(indexer).await;
    }
}

#[tokio::test]
async fn a_node_that_goes_backwards_loses_nothing_until_its_chain_differs() {
    for db in on_both().await {
        let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
        let indexer = Running::on(&chain, &db).await;
        let terms = chain.terms(1_000, Default::default(), 1).await;
        let (deal, _) = chain.fund(&terms).await;
        chain.mine(3).await;
        let before = indexer.caught_up(&chain).await;
        let rolled = chain.provider().raw_request::<_, Value>("anvil_rollback".into(), (2,)).await;
        rolled.expect("anvil rolls back");
        let behind =
            indexer.until("the lower head", |s| s.head.is_some_and(|h| h.number < s.cursor.number)).await;
        assert_eq!(behind.cursor, before.cursor);
        let detail: DealDetail = indexer.get(&format!("/v1/deals/{deal}")).await;
        assert_eq!(detail.view.deal.status, DealStatus::Funded);
        // The same height as before, by other blocks.
        chain.deliver(&terms).await;
        chain.mine(1).await;
        indexer.caught_up(&chain).await;
        let detail: DealDetail = indexer.get(&format!("/v1/deals/{deal}")).await;
        assert_eq!(detail.view.deal.status, DealStatus::Delivered);
        assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Seen]);
        agrees(indexer).await;
    }
}

#[tokio::test]
async fn a_reorganisation_deeper_than_finality_freezes_everything_until_the_chain_is_back() {
    for db in on_both().await {
        let chain = Chain::start().await;
        let node = Node::before(&chain.rpc_url()).await;
        let indexer = Running::behind(&node, &chain, &db).await;
        let terms = chain.terms(1_000, Default::default(), 1).await;
        chain.fund(&terms).await;
        chain.mine(5).await;
        let before = indexer.caught_up(&chain).await;
        indexer.all_final().await;
        let feed = indexer.feed().await;
        assert_eq!(indexer.raw("/ready").await.0, 200);

        // The same contracts at the same addresses on a chain with other blocks.
        let other = Chain::start_with(&["--timestamp", "1700000000"]).await;
        other.mine(9).await;
        node.becomes(Some(&other.rpc_url()));
        let frozen = indexer.until("the alarm", |s| s.alarms == [FaultKind::DeepReorg]).await;
        assert_eq!(frozen.cursor, before.cursor);
        other.mine(3).await;
        let (status, text) = indexer.raw("/ready").await;
        assert_eq!(status, 503, "{text}");
        assert!(text.contains("deep_reorg"), "{text}");
        // The value is the process's, which other tests share.
        assert!(indexer.raw("/metrics").await.1.contains("kind=\"deep_reorg\"}"));
        assert_eq!(indexer.feed().await, feed);

        node.becomes(Some(&chain.rpc_url()));
        chain.mine(2).await;
        indexer.until("going on", |s| s.alarms.is_empty() && s.head == Some(s.cursor)).await;
        let height = chain.height().await;
        indexer.until("the head", |s| s.cursor.number == height).await;
        assert_eq!(indexer.raw("/ready").await.0, 200);
        agrees(indexer).await;
    }
}

#[tokio::test]
async fn a_log_that_does_not_decode_stops_below_its_block_until_it_is_gone() {
    for db in on_both().await {
        let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
        let babbler = chain.deploy(BABBLER.parse().unwrap()).await;
        let config = with(crate::testing::config(&chain, &db), |chain| chain.contracts.push(babbler.into()));
        let indexer = Running::start(config).await;
        indexer.caught_up(&chain).await;
        let below = chain.height().await;
        chain.send(3, babbler, Bytes::new(), U256::ZERO).await;
        let terms = chain.terms(1_000, Default::default(), 1).await;
        let stuck = indexer.until("the quarantine", |s| s.alarms == [FaultKind::Quarantine]).await;
        assert_eq!(stuck.cursor.number, below);
        assert_eq!(stuck.faults.len(), 1, "{:?}", stuck.faults);
        assert!(stuck.faults[0].detail.contains(&babbler.to_string()), "{:?}", stuck.faults);
        assert_eq!(indexer.raw("/ready").await.0, 503);
        // Restarted, it stands at the same place.
        let indexer = Running::start(indexer.stop().await).await;
        let again = indexer.until("the quarantine", |s| s.head.is_some() && !s.alarms.is_empty()).await;
        assert_eq!((again.cursor, &again.faults), (stuck.cursor, &stuck.faults));
        chain.reorg(1).await;
        let (deal, _) = chain.fund(&terms).await;
        indexer.caught_up(&chain).await;
        indexer.until("no alarm", |s| s.alarms.is_empty()).await;
        let detail: DealDetail = indexer.get(&format!("/v1/deals/{deal}")).await;
        assert_eq!(detail.view.deal.status, DealStatus::Funded);
        agrees(indexer).await;
    }
}

#[tokio::test]
async fn a_backfill_that_stands_still_ends_and_says_why() {
    let db = sqlite();
    let chain = Chain::start().await;
    let babbler = chain.deploy(BABBLER.parse().unwrap()).await;
    chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    chain.send(3, babbler, Bytes::new(), U256::ZERO).await;
    chain.mine(4).await;
    let config = with(crate::testing::config(&chain, &db), |chain| chain.contracts.push(babbler.into()));
    let mut told = Vec::new();
    let clock = std::sync::Arc::new(service::clock::SystemClock);
    let ended = crate::backfill(config, clock, Default::default(), |chains| told = chains.to_vec()).await;
    let error = ended.expect_err("it cannot go on").to_string();
    assert!(
        error.contains("indexing stands still: quarantine") && error.contains(&babbler.to_string()),
        "{error}"
    );
    assert!(told[0].trouble.as_ref().is_some_and(|trouble| trouble.contains("quarantine")), "{told:?}");
    assert_eq!((told[0].events, told[0].reached), (1, false));
}

#[tokio::test]
async fn a_backfill_that_cannot_begin_ends_and_says_why() {
    let (db, chain) = (sqlite(), Chain::start().await);
    let stranger = Chain::start_with(&["--chain-id", "77"]).await;
    let config = with(crate::testing::config(&chain, &db), |chain| chain.rpc_urls = vec![stranger.rpc_url()]);
    let mut told = Vec::new();
    let clock = std::sync::Arc::new(service::clock::SystemClock);
    let ended = crate::backfill(config, clock, Default::default(), |chains| told = chains.to_vec()).await;
    let error = ended.expect_err("it cannot go on").to_string();
    assert!(error.contains("indexing stands still: wrong_chain: ") && error.contains("eip155:77"), "{error}");
    assert!(told[0].trouble.as_ref().is_some_and(|trouble| trouble.contains("wrong_chain")), "{told:?}");
    assert_eq!((told[0].events, told[0].reached, told[0].head), (0, false, None));
}

#[tokio::test]
async fn a_time_that_no_clock_shows_is_not_believed() {
    let db = sqlite();
    let chain = Chain::start().await;
    for salt in 0..3 {
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
    }
    chain.mine(4).await;
    let node = Node::before(&chain.rpc_url()).await;
    // Of logs in ranges, but for those of the ends, whose headers are known.
    let logs = |request: &Value, answer: &mut Value| {
        if request["method"] == "eth_getLogs" {
            for log in answer["result"].as_array_mut().into_iter().flatten() {
                log["blockTimestamp"] = json!("0x8000000000000000");
            }
        }
    };
    let headers = |request: &Value, answer: &mut Value| {
        if request["method"] == "eth_getBlockByNumber" && !answer["result"].is_null() {
            answer["result"]["timestamp"] = json!("0x8000000000000000");
        }
    };
    let indexer = Running::behind(&node, &chain, &db).await;
    indexer.until("the head", |s| s.caught_up).await;
    let config = indexer.stop().await;
    for (lie, words) in [
        (
            Box::new(logs) as Box<dyn Fn(&Value, &mut Value) + Send + Sync>,
            "the time 9223372036854775808 of block",
        ),
        (Box::new(headers), "the time 9223372036854775808 of a block is beyond 63 bits"),
    ] {
        node.lies(lie);
        let fresh = sqlite();
        let indexer =
            Running::start(crate::config::Config { database: fresh.url.clone(), ..config.clone() }).await;
        indexer.until(words, |s| s.trouble.as_ref().is_some_and(|trouble| trouble.contains(words))).await;
        assert_eq!(indexer.feed().await, []);
        node.is_honest();
        indexer.caught_up(&chain).await;
        agrees(indexer).await;
    }
}

#[tokio::test]
async fn a_missing_event_of_a_deal_is_a_fault() {
    for db in on_both().await {
        let chain = Chain::start().await;
        let node = Node::before(&chain.rpc_url()).await;
        let terms = chain.terms(1_000, Default::default(), 1).await;
        let (deal, _) = chain.fund(&terms).await;
        chain.release(&terms, 100).await;
        chain.release(&terms, 200).await;
        chain.mine(4).await;
        // Two topics: the event and the deal. The second release of the range is left out of every range.
        node.lies(|request, answer| {
            if request["method"] == "eth_getLogs"
                && let Some(logs) = answer["result"].as_array_mut()
                && logs.len() > 2
            {
                logs.remove(1);
            }
        });
        // A proof would find it, and add it.
        let config = with(config(&chain, &db), |chain| {
            chain.rpc_urls = vec![node.url.clone()];
            chain.prove = false;
        });
        let indexer = Running::start(config).await;
        let status = indexer.until("the alarm", |s| s.alarms == [FaultKind::CountGap]).await;
        assert!(status.faults[0].detail.contains("number 2 was to come next"), "{:?}", status.faults);
        let detail: DealDetail = indexer.get(&format!("/v1/deals/{deal}")).await;
        assert!(!detail.view.deal.complete);
        agrees(indexer).await;
    }
}

#[tokio::test]
async fn an_empty_answer_is_not_believed_against_the_bloom_filter() {
    let db = sqlite();
    let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
    let node = Node::before(&chain.rpc_url()).await;
    let indexer = Running::behind(&node, &chain, &db).await;
    let before = indexer.caught_up(&chain).await;
    node.lies(|request, answer| {
        if request["method"] == "eth_getLogs" {
            answer["result"] = json!([]);
        }
        if request["method"] == "eth_getBlockReceipts" {
            refuse(answer, -32601, "the method does not exist");
        }
    });
    let terms = chain.terms(1_000, Default::default(), 1).await;
    chain.fund(&terms).await;
    let doubted =
        indexer.until("the doubt", |s| s.trouble.as_ref().is_some_and(|t| t.contains("bloom"))).await;
    assert_eq!(doubted.cursor, before.cursor);
    node.is_honest();
    indexer.caught_up(&chain).await;
    assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Seen]);
    agrees(indexer).await;
}

#[tokio::test]
async fn ranges_shrink_until_the_node_takes_them_and_failures_end_nothing() {
    let db = sqlite();
    let chain = Chain::start().await;
    for salt in 0..20 {
        let terms = chain.terms(1_000, Default::default(), salt).await;
        chain.fund(&terms).await;
    }
    let node = Node::before(&chain.rpc_url()).await;
    node.lies(|request, answer| {
        let number = |key: &str| {
            let text = request["params"][0][key].as_str()?.strip_prefix("0x")?.to_owned();
            u64::from_str_radix(&text, 16).ok()
        };
        if let (Some(from), Some(to)) = (number("fromBlock"), number("toBlock"))
            && to - from >= 3
        {
            refuse(answer, -32005, "query returned more than 3 results");
        }
    });
    let indexer = Running::behind(&node, &chain, &db).await;
    indexer.caught_up(&chain).await;
    let feed = indexer.feed().await;
    let funded: BTreeSet<_> =
        feed.iter().filter(|e| e.event.body.name() == "Funded").map(|e| e.event.id).collect();
    assert_eq!(funded.len(), 20);
    node.becomes(None);
    indexer.until("the trouble", |s| s.trouble.is_some()).await;
    chain.mine(1).await;
    node.becomes(Some(&chain.rpc_url()));
    indexer.caught_up(&chain).await;
    agrees(indexer).await;
}

#[tokio::test]
async fn the_next_node_is_asked_when_one_is_away_or_of_another_chain() {
    let db = sqlite();
    let chain = Chain::start().await;
    let stranger = Chain::start_with(&["--chain-id", "77"]).await;
    let urls = vec!["http://127.0.0.1:9".to_owned(), stranger.rpc_url(), chain.rpc_url()];
    let config = with(crate::testing::config(&chain, &db), |chain| chain.rpc_urls = urls);
    let indexer = Running::start(config).await;
    indexer.caught_up(&chain).await;
    agrees(indexer).await;
}

#[tokio::test]
async fn without_tags_depth_settles() {
    let db = sqlite();
    let chain = Chain::start().await;
    let node = Node::before(&chain.rpc_url()).await;
    node.lies(|request, answer| {
        if matches!(request["params"][0].as_str(), Some("safe" | "finalized")) {
            refuse(answer, -32602, "unknown tag");
        }
    });
    let config = with(crate::testing::config(&chain, &db), |chain| {
        chain.rpc_urls = vec![node.url.clone()];
        chain.finality_depth = 6;
    });
    let indexer = Running::start(config).await;
    let terms = chain.terms(1_000, Default::default(), 1).await;
    chain.fund(&terms).await;
    chain.mine(5).await;
    indexer.caught_up(&chain).await;
    assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Seen]);
    chain.mine(1).await;
    indexer.caught_up(&chain).await;
    assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Seen, Finality::Final]);
    agrees(indexer).await;
}

#[tokio::test]
async fn where_there_are_tags_depth_settles_nothing_when_one_is_left_out() {
    let db = sqlite();
    let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
    let node = Node::before(&chain.rpc_url()).await;
    let config = with(crate::testing::config(&chain, &db), |chain| {
        chain.rpc_urls = vec![node.url.clone()];
        chain.finality_depth = 6;
    });
    let indexer = Running::start(config).await;
    indexer.caught_up(&chain).await;
    node.lies(|request, answer| {
        if matches!(request["params"][0].as_str(), Some("safe" | "finalized")) {
            refuse(answer, -39001, "finalized block not found");
        }
    });
    let terms = chain.terms(1_000, Default::default(), 1).await;
    chain.fund(&terms).await;
    chain.mine(7).await;
    indexer.caught_up(&chain).await;
    assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Seen]);
    node.is_honest();
    chain.mine(16).await;
    indexer.caught_up(&chain).await;
    indexer.all_final().await;
    agrees(indexer).await;
}
