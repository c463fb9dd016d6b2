//! What proves logs, who left some out, and what was told and is not so.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use alloy::providers::Provider as _;
use axum::http::StatusCode;
use fixture::Chain;
use protocol::wire::{feed::Finality, view::FaultKind};
use serde_json::{Value, json};
use service::{
    clock::SystemClock,
    db::testing::{FreshDb, on_both, sqlite},
};

use super::{agrees, told_of};
use crate::testing::{
    Running, config,
    node::{Node, refuse},
    sound, with,
};

#[tokio::test]
async fn receipts_that_are_not_the_headers_are_not_believed() {
    let db = sqlite();
    let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
    let node = Node::before(&chain.rpc_url()).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    // The receipts are without their logs, and so is every other way to ask for them.
    node.lies(move |request, answer| {
        if request["method"] == "eth_getBlockReceipts" {
            counted.fetch_add(1, Ordering::SeqCst);
            for receipt in answer["result"].as_array_mut().into_iter().flatten() {
                receipt["logs"] = json!([]);
            }
        }
        if request["method"] == "eth_getLogs" {
            answer["result"] = json!([]);
        }
    });
    let indexer = Running::behind(&node, &chain, &db).await;
    let before = indexer.caught_up(&chain).await;
    chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    let doubted =
        indexer.until("the doubt", |s| s.trouble.as_ref().is_some_and(|t| t.contains("bloom"))).await;
    assert_eq!(doubted.cursor, before.cursor);
    assert!(asked.load(Ordering::SeqCst) > 0);
    // Of a node that refuses the method, in whatever words, the logs make up the filter.
    let refusals = [
        (-32601, "the method eth_getBlockReceipts does not exist/is not available"),
        (-32600, "eth_getBlockReceipts is not part of your plan"),
        (-32000, "unsupported"),
        (-32005, "response size exceeded"),
    ];
    for (salt, (code, message)) in (2..).zip(refusals) {
        node.lies(move |request, answer| {
            if request["method"] == "eth_getBlockReceipts" {
                refuse(answer, code, message);
            }
        });
        indexer.caught_up(&chain).await;
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
        indexer.caught_up(&chain).await;
    }
    // So do those of one that forbids it, or calls it too much, without a word.
    for (salt, status) in [(6, StatusCode::FORBIDDEN), (7, StatusCode::PAYLOAD_TOO_LARGE)] {
        node.is_honest();
        node.denies(move |request| (request["method"] == "eth_getBlockReceipts").then_some(status));
        indexer.caught_up(&chain).await;
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
        indexer.caught_up(&chain).await;
    }
    let funded = told_of(&indexer.feed().await, "Funded");
    assert_eq!(funded.iter().filter(|finality| **finality == Finality::Seen).count(), 7, "{funded:?}");
    agrees(indexer).await;
}

/// Its hashes are those of the others all the time.
#[tokio::test]
async fn who_left_out_logs_is_asked_no_more_until_the_indexer_is_restarted() {
    for db in on_both().await {
        let chain = Chain::start().await;
        for salt in 0..5 {
            chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
        }
        chain.mine(4).await;
        let liar = Node::before(&chain.rpc_url()).await;
        let (second, third) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
        let asked = Arc::new(AtomicUsize::new(0));
        let ranges = asked.clone();
        liar.lies(move |request, answer| {
            if request["method"] == "eth_getLogs" && request["params"][0].get("fromBlock").is_some() {
                ranges.fetch_add(1, Ordering::SeqCst);
                answer["result"] = json!([]);
            }
        });
        let of = |nodes: &[&Node]| {
            let urls = nodes.iter().map(|node| node.url.clone()).collect();
            with(config(&chain, &db), |chain| chain.rpc_urls = urls)
        };
        let indexer = Running::start(of(&[&liar, &second, &third])).await;
        indexer.caught_up(&chain).await;
        let status = indexer.until("the proof", |s| s.proven.is_some() && s.proven == s.finalized).await;
        assert_eq!((status.missed, status.providers[0].lies > 0), (0, true), "on {:?}", db.engine);
        let before = asked.load(Ordering::SeqCst);
        for salt in 5..8 {
            chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
            chain.mine(4).await;
            indexer.caught_up(&chain).await;
            let status = indexer.until("the proof", |s| s.proven == s.finalized).await;
            assert!(!status.providers[0].trusted && status.providers[1].trusted, "{:?}", status.providers);
            assert_eq!(status.alarms, [FaultKind::ProviderLies]);
        }
        assert_eq!(asked.load(Ordering::SeqCst), before, "it was asked again");
        assert_eq!(indexer.status().await.missed, 0);
        indexer.all_final().await;

        // After a restart it is trusted when it agrees, and the fault is cleared with that.
        liar.is_honest();
        indexer.stop().await;
        let indexer = Running::start(of(&[&liar, &second, &third])).await;
        indexer.until("its return", |s| s.providers[0].trusted && s.alarms.is_empty()).await;
        agrees(indexer).await;
    }
}

#[tokio::test]
async fn logs_that_were_told_in_other_places_are_not_told_twice_and_stop_everything() {
    for db in on_both().await {
        let chain = Chain::start().await;
        chain.mine(3).await;
        chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
        let block = chain.height().await;
        chain.mine(4).await;
        let node = Node::before(&chain.rpc_url()).await;
        node.lies(|request, answer| {
            if request["method"] == "eth_getLogs" && request["params"][0].get("fromBlock").is_some() {
                for log in answer["result"].as_array_mut().into_iter().flatten() {
                    log["logIndex"] = json!("0x7");
                }
            }
        });
        let indexer = Running::behind(&node, &chain, &db).await;
        let status = indexer.until("the fault", |s| s.alarms.contains(&FaultKind::Disproven)).await;
        let fault = status.faults.iter().find(|fault| fault.kind == FaultKind::Disproven).expect("it");
        assert!(fault.detail.contains(&format!("log 7 of block {block} is kept")), "{fault:?}");
        assert!(status.proven.is_none_or(|proven| proven.number < block), "{:?}", status.proven);
        assert_eq!((status.missed, told_of(&indexer.feed().await, "Funded")), (0, vec![Finality::Final]));
        chain.mine(3).await;
        let head = chain.height().await;
        let still = indexer.until("the new head", |s| s.head.is_some_and(|h| h.number == head)).await;
        assert_eq!(still.cursor, status.cursor, "nothing more is told");
        // Nor does a backfill wait for ever, or go on.
        let config = indexer.stop().await;
        let clock = Arc::new(SystemClock);
        let ended = crate::backfill(config.clone(), clock, Default::default(), |_| {}).await;
        let error = ended.expect_err("it cannot go on").to_string();
        assert!(error.contains("indexing stands still: disproven: log 7"), "{error}");
        sound(&config).await;
    }
}

#[tokio::test]
async fn what_was_disproven_stops_everything_over_a_restart_until_a_proof_bears_it_out() {
    for db in on_both().await {
        let chain = Chain::start().await;
        chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
        chain.mine(4).await;
        let node = Node::before(&chain.rpc_url()).await;
        // The ranges are right. What is to prove them is not, and passes: a filter says nothing of places.
        node.lies(|request, answer| {
            if request["method"] == "eth_getBlockReceipts" {
                refuse(answer, -32601, "the method does not exist");
            }
            if request["method"] == "eth_getLogs" && request["params"][0].get("blockHash").is_some() {
                for log in answer["result"].as_array_mut().into_iter().flatten() {
                    log["logIndex"] = json!("0x7");
                }
            }
        });
        let indexer = Running::behind(&node, &chain, &db).await;
        let before = indexer.until("the fault", |s| s.alarms.contains(&FaultKind::Disproven)).await;
        // The filter alone says so, and that may be by chance.
        assert_eq!(before.providers[0].lies, 0, "{:?}", db.engine);
        let feed = indexer.feed().await;
        let config = indexer.stop().await;
        chain.fund(&chain.terms(1_000, Default::default(), 2).await).await;
        chain.mine(4).await;
        let head = chain.height().await;
        for _ in 0..2 {
            let indexer = Running::start(config.clone()).await;
            indexer.until("a look", |s| s.head.is_some_and(|h| h.number == head)).await;
            // It tried to prove it again, and found the same.
            let still = indexer.until("a proof", |s| s.unproven.is_some()).await;
            assert_eq!(still.cursor, before.cursor, "{:?}", db.engine);
            assert_eq!(still.alarms, [FaultKind::Disproven], "{:?}", db.engine);
            let (ready, words) = indexer.raw("/ready").await;
            assert!(ready == 503 && words.contains("disproven"), "{ready} {words}");
            assert_eq!(indexer.feed().await, feed);
            indexer.stop().await;
        }
        node.is_honest();
        let indexer = Running::start(config).await;
        indexer.until("going on", |s| s.alarms.is_empty() && s.cursor.number == head).await;
        indexer.until("the proof", |s| s.proven.is_some() && s.proven == s.finalized).await;
        assert_eq!(indexer.raw("/ready").await.0, 200);
        indexer.all_final().await;
        assert_eq!(told_of(&indexer.feed().await, "Funded").len(), 2);
        agrees(indexer).await;
    }
}

/// Leaves the logs out of every range.
fn empty_ranges(request: &Value, answer: &mut Value) {
    if request["method"] == "eth_getLogs" && request["params"][0].get("fromBlock").is_some() {
        answer["result"] = json!([]);
    }
}

#[tokio::test]
async fn what_a_quorum_does_not_tell_of_a_range_is_not_told_as_final() {
    let chain = Chain::start().await;
    for salt in 0..5 {
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
    }
    chain.mine(4).await;
    let (liar, second) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
    let third = Node::before(&chain.rpc_url()).await;
    // No proof that comes afterwards helps here.
    let of = |db: &FreshDb, nodes: &[&Node]| {
        with(config(&chain, db), |chain| {
            chain.rpc_urls = nodes.iter().map(|node| node.url.clone()).collect();
            chain.prove = false;
        })
    };
    for db in on_both().await {
        liar.lies(empty_ranges);
        let indexer = Running::start(of(&db, &[&liar, &second, &third])).await;
        let status = indexer.until("the head", |s| s.caught_up).await;
        assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Final].repeat(5), "{:?}", db.engine);
        assert!(status.providers[0].lies > 0 && !status.providers[0].trusted, "{:?}", status.providers);
        assert_eq!(status.alarms, [FaultKind::ProviderLies]);
        agrees(indexer).await;
    }
    // Of two that must both say so, neither is believed alone.
    let db = sqlite();
    let indexer = Running::start(of(&db, &[&liar, &second])).await;
    let doubts = |words: &str| words.contains("no 2 nodes tell the same of blocks");
    let status = indexer.until("the doubt", |s| s.trouble.as_deref().is_some_and(doubts)).await;
    assert_eq!((status.finalized, indexer.feed().await), (None, vec![]));
    liar.is_honest();
    indexer.until("the head", |s| s.caught_up && s.alarms.is_empty()).await;
    assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Final].repeat(5));
    agrees(indexer).await;
}

#[tokio::test]
async fn the_filter_alone_accuses_nobody_and_the_receipts_of_any_node_do() {
    let chain = Chain::start().await;
    for salt in 0..2 {
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
    }
    chain.mine(4).await;
    let (teller, other) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
    teller.lies(|request, answer| {
        empty_ranges(request, answer);
        if request["method"] == "eth_getBlockReceipts" {
            refuse(answer, -32601, "the method does not exist");
        }
    });
    for nodes in [vec![&teller], vec![&teller, &other]] {
        let db = sqlite();
        let config = with(config(&chain, &db), |chain| {
            chain.rpc_urls = nodes.iter().map(|node| node.url.clone()).collect();
            chain.quorum = Some(1);
        });
        let indexer = Running::start(config).await;
        let status = indexer.until("the proof", |s| s.proven.is_some() && s.proven == s.finalized).await;
        assert_eq!((status.missed, status.providers[0].lies > 0), (2, nodes.len() > 1), "{status:?}");
        agrees(indexer).await;
    }
}

/// A filter says nothing of data, places or transactions: one node alone could tell whatever makes it up.
#[tokio::test]
async fn what_the_filter_alone_hints_at_is_told_when_a_quorum_tells_it_alike() {
    for db in on_both().await {
        let chain = Chain::start().await;
        chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
        chain.mine(4).await;
        let (one, other) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
        let lies = |node: &Node, alone: bool| {
            node.lies(move |request, answer| {
                empty_ranges(request, answer);
                if request["method"] == "eth_getBlockReceipts" {
                    refuse(answer, -32601, "the method does not exist");
                }
                if alone
                    && request["method"] == "eth_getLogs"
                    && request["params"][0].get("blockHash").is_some()
                {
                    for log in answer["result"].as_array_mut().into_iter().flatten() {
                        log["logIndex"] = json!("0x7");
                    }
                }
            });
        };
        lies(&one, true);
        lies(&other, false);
        let config = with(config(&chain, &db), |chain| {
            chain.rpc_urls = [&one, &other].map(|node| node.url.clone()).to_vec();
        });
        let indexer = Running::start(config).await;
        let doubts = |words: &str| words.contains("no 2 nodes tell the same of it");
        let status = indexer.until("the doubt", |s| s.unproven.as_deref().is_some_and(doubts)).await;
        assert_eq!((status.missed, indexer.feed().await), (0, vec![]), "{:?}", db.engine);
        assert_eq!(status.alarms, [], "{:?}", db.engine);
        // The value is the process's, which other tests share.
        assert!(indexer.raw("/metrics").await.1.contains("indexer_unproven{chain=\"eip155:31337\"} "));
        lies(&one, false);
        let status = indexer.until("the proof", |s| s.proven.is_some() && s.proven == s.finalized).await;
        assert_eq!((status.missed, status.unproven), (1, None), "{:?}", db.engine);
        assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Final], "{:?}", db.engine);
        agrees(indexer).await;
    }
}

#[tokio::test]
async fn a_majority_that_leaves_out_logs_does_not_outvote_receipts() {
    let chain = Chain::start().await;
    for salt in 0..5 {
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
    }
    chain.mine(4).await;
    let honest = Node::before(&chain.rpc_url()).await;
    let (liar, second) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
    let of = |db: &FreshDb, prove: bool| {
        with(config(&chain, db), |chain| {
            chain.rpc_urls = [&honest, &liar, &second].map(|node| node.url.clone()).to_vec();
            chain.prove = prove;
        })
    };
    for node in [&liar, &second] {
        node.lies(empty_ranges);
    }
    for (db, prove) in [(sqlite(), true), (sqlite(), false)] {
        let indexer = Running::start(of(&db, prove)).await;
        let status = indexer.until("the head", |s| s.caught_up && !s.alarms.is_empty()).await;
        assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Final].repeat(5));
        assert_eq!(status.providers.iter().map(|p| p.lies > 0).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!((status.alarms, status.missed), (vec![FaultKind::ProviderLies], 0));
        agrees(indexer).await;
    }
    // Where nobody tells receipts, the more are believed, and nobody is called a liar.
    for node in [&honest, &liar, &second] {
        let lies = !std::ptr::eq(node, &honest);
        node.lies(move |request, answer| {
            if request["method"] == "eth_getBlockReceipts" {
                refuse(answer, -32601, "the method does not exist");
            } else if lies {
                empty_ranges(request, answer);
            }
        });
    }
    let db = sqlite();
    let indexer = Running::start(of(&db, false)).await;
    let status = indexer.until("the head", |s| s.caught_up).await;
    assert_eq!(indexer.feed().await, []);
    assert_eq!(status.providers.iter().map(|p| p.lies).collect::<Vec<_>>(), [0, 0, 0]);
    let (_, metrics) = indexer.raw("/metrics").await;
    let name = "indexer_disputes_unproven_total{chain=\"eip155:31337\"} ";
    let disputes = metrics.lines().find_map(|line| line.strip_prefix(name)?.parse::<u64>().ok());
    assert!(disputes.is_some_and(|disputes| disputes > 0), "{metrics}");
    agrees(indexer).await;
}

#[tokio::test]
async fn what_was_read_is_proven_and_compared_while_there_is_always_more_to_read() {
    const BLOCKS: u64 = 2_000;
    let db = sqlite();
    let chain = Chain::start().await;
    chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    chain.mine(BLOCKS).await;
    let mut blocks = Vec::new();
    for number in 1..=BLOCKS {
        let asked = (format!("{number:#x}"), false);
        let block: Value =
            chain.provider().raw_request("eth_getBlockByNumber".into(), asked).await.expect("a block");
        blocks.push(block);
    }
    // Whenever it is asked for its head there is one more block.
    let node = Node::before(&chain.rpc_url()).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let head = asked.clone();
    node.lies(move |request, answer| {
        let at = |below: usize| {
            blocks[head.load(Ordering::SeqCst).min(blocks.len()).saturating_sub(below)].clone()
        };
        match request["params"][0].as_str() {
            Some("latest") if request["method"] == "eth_getBlockByNumber" => {
                answer["result"] = at(1);
                head.fetch_add(1, Ordering::SeqCst);
            }
            Some("safe" | "finalized") => answer["result"] = at(3),
            _ => {}
        }
    });
    let indexer = Running::behind(&node, &chain, &db).await;
    indexer
        .until("a proof and a comparison", |s| {
            s.proven.is_some_and(|block| block.number > 1) && s.reconciled_at.is_some()
        })
        .await;
    let asked = asked.load(Ordering::SeqCst);
    assert!(asked < usize::try_from(BLOCKS).unwrap(), "it came to an end of what there is to read");
    agrees(indexer).await;
}
