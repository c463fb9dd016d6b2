//! Blocks that a node makes up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use alloy::{primitives::B256, providers::Provider};
use fixture::Chain;
use protocol::wire::feed::Finality;
use serde_json::{Value, json};
use service::db::testing::sqlite;

use super::{agrees, told_of};
use crate::testing::{Running, config, node::Node, with};

/// The header of a made-up block.
fn made_up(number: u64, hash: B256, parent: B256) -> Value {
    json!({
        "number": format!("{number:#x}"), "hash": hash, "parentHash": parent, "timestamp": "0x65000000",
        "logsBloom": format!("0x{}", "00".repeat(256)), "receiptsRoot": B256::ZERO,
    })
}

#[tokio::test]
async fn a_block_that_one_node_made_up_is_never_final() {
    const HELD: usize = 1;
    const LYING: usize = 2;
    let db = sqlite();
    let chain = Chain::start_with(&["--slots-in-an-epoch", "2"]).await;
    let (liar, second) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
    let third = Node::before(&chain.rpc_url()).await;
    let indexer = Running::start(with(config(&chain, &db), |chain| {
        chain.rpc_urls = [&liar, &second, &third].map(|node| node.url.clone()).to_vec();
    }))
    .await;
    chain.mine(6).await;
    chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    let tip = indexer.caught_up(&chain).await.cursor.number;
    indexer.until("the final block", |s| s.finalized.is_some_and(|f| f.number < tip)).await;
    let below = chain
        .provider()
        .raw_request::<_, Value>("eth_getBlockByNumber".into(), (format!("{:#x}", tip - 1), false));
    let below: B256 = serde_json::from_value(below.await.expect("a block")["hash"].clone()).expect("a hash");
    let (one, two) = (B256::repeat_byte(0xa1), B256::repeat_byte(0xa2));
    let phase = Arc::new(AtomicUsize::new(HELD));
    for (at, node) in [&liar, &second, &third].into_iter().enumerate() {
        let held: Mutex<BTreeMap<String, Value>> = Mutex::default();
        let phase = phase.clone();
        node.lies(move |request, answer| {
            let of = request["params"][0].as_str().unwrap_or_default().to_owned();
            let by_number = request["method"] == "eth_getBlockByNumber";
            match phase.load(Ordering::SeqCst) {
                HELD if by_number && !of.starts_with("0x") => {
                    let mut held = held.lock().unwrap();
                    answer["result"] = held.entry(of).or_insert_with(|| answer["result"].clone()).clone();
                }
                LYING if at == 0 && by_number && of == format!("{:#x}", tip + 1) => {
                    answer["result"] = made_up(tip + 1, two, one);
                }
                LYING if at == 0 && request["method"] == "eth_getBlockByHash" && of == one.to_string() => {
                    answer["result"] = made_up(tip, one, below);
                }
                _ => {}
            }
        });
    }
    // All of them hold back what is new, so that the next look shows final blocks above the tip. Who begins a third look has
    // come to the end of the second: by then each has said what is final.
    let mut looks = indexer.until("a look", |s| s.polled_at.is_some()).await.polled_at;
    for which in ["another", "a third"] {
        looks = indexer.until(which, |s| s.polled_at > looks).await.polled_at;
    }
    chain.mine(12).await;
    phase.store(LYING, Ordering::SeqCst);
    indexer.until("the lie", |s| s.providers[0].lies > 0).await;
    indexer.caught_up(&chain).await;
    indexer.all_final().await;
    let told = told_of(&indexer.feed().await, "Funded");
    assert_eq!(told, [Finality::Seen, Finality::Final], "nobody else told it");
    agrees(indexer).await;
}

/// What leads down to none of ours by blocks whose numbers do not fall would never come there, nor to what is final.
#[tokio::test]
async fn a_branch_whose_parents_do_not_fall_by_one_is_left_at_once() {
    const NOWHERE: u64 = 1 << 40;
    let db = sqlite();
    let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
    chain.mine(20).await;
    let (first, second) = (Node::before(&chain.rpc_url()).await, Node::before(&chain.rpc_url()).await);
    let third = Node::before(&chain.rpc_url()).await;
    let nodes = [&first, &second, &third];
    let indexer = Running::start(with(config(&chain, &db), |chain| {
        chain.rpc_urls = nodes.iter().map(|node| node.url.clone()).collect();
    }))
    .await;
    indexer.caught_up(&chain).await;
    indexer.until("a final block", |s| s.finalized.is_some_and(|f| f.number > chain.start_block)).await;
    let parents = Arc::new(AtomicUsize::new(0));
    // Whichever is asked for the head.
    for (salt, liar) in (1..).zip(nodes) {
        let asked = parents.clone();
        liar.lies(move |request, answer| {
            let of = &request["params"][0];
            if request["method"] == "eth_getBlockByNumber" && *of == "latest" {
                let newest = answer["result"]["number"].as_str().expect("a number").trim_start_matches("0x");
                let newest = u64::from_str_radix(newest, 16).expect("a number");
                answer["result"] = made_up(newest + 1, B256::repeat_byte(0xa1), B256::repeat_byte(0xa2));
            } else if request["method"] == "eth_getBlockByHash" && answer["result"].is_null() {
                let count = asked.fetch_add(1, Ordering::SeqCst) + 1;
                let hash = serde_json::from_value(of.clone()).expect("a hash");
                answer["result"] = made_up(NOWHERE, hash, B256::left_padding_from(&count.to_be_bytes()));
            }
        });
        chain.fund(&chain.terms(1_000, Default::default(), salt).await).await;
        indexer.caught_up(&chain).await;
        liar.is_honest();
    }
    let parents = parents.load(Ordering::SeqCst);
    assert!((1..10).contains(&parents), "{parents} parents were asked for");
    assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Seen; 3]);
    assert_eq!(indexer.status().await.alarms, []);
    agrees(indexer).await;
}
