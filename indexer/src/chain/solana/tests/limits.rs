//! Nodes whose lists do not end, and nodes that answer only so much at once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::http::StatusCode;
use protocol::chain::TransactionId;
use serde_json::json;
use service::db::testing::sqlite;
use surfnet::{Ports, SLOT_MS, Surfnet};

use super::{
    World, agrees,
    lies::{before, behind, count_final},
    until_told,
};
use crate::testing::{Running, node::Node, with};

/// Whatever it is asked for, there is one more transaction below the last one, far above the head.
fn never_ends(node: &Node) {
    let next = AtomicU64::new(1 << 60);
    let made_up = TransactionId::Solana([7; 64]);
    node.lies(move |request, answer| {
        if request["method"] == "getSignaturesForAddress" {
            let page =
                json!([{"signature": made_up, "slot": next.fetch_sub(1, Ordering::SeqCst), "err": null}]);
            *answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": page});
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_never_ends_is_left_and_what_the_others_list_is_told() {
    let world = World::start().await;
    let db = sqlite();
    let nodes: [Node; 3] = before(&world).await;
    // The one that is asked first.
    never_ends(&nodes[0]);
    let indexer = Running::start(behind(&world, &db, &nodes)).await;
    world.funded(1).await;
    until_told(&indexer, "the deal", |feed| count_final(feed, "Funded") == 1).await;
    let status = indexer.status().await;
    assert!(status.providers[0].failures > 0, "it was not asked: {:?}", status.providers);
    assert!(status.providers.iter().all(|node| node.lies == 0), "{:?}", status.providers);
    agrees(indexer).await;
}

/// Tells so many final transactions of one look, and no more before the next.
fn tells_at_once(node: &Node, most: usize) {
    let told = AtomicUsize::new(0);
    node.denies(move |request| {
        if request["method"] == "getSlot" {
            told.store(0, Ordering::SeqCst);
        }
        let asked =
            request["method"] == "getTransaction" && request["params"][1]["commitment"] == "finalized";
        let beyond = asked && told.fetch_add(1, Ordering::SeqCst) >= most;
        beyond.then_some(StatusCode::TOO_MANY_REQUESTS)
    });
}

/// What a quorum told in one look is not asked for in the next, so that a slot with more than nodes tell at once is final too.
#[tokio::test(flavor = "multi_thread")]
async fn what_nodes_tell_a_few_at_a_time_becomes_final() {
    const DEALS: u8 = 30;
    // In slots as long as a cluster's, some hold more of them than is told at once.
    let net = Surfnet::launch(Ports::free(), SLOT_MS).await.expect("a node");
    let world = World::on(net).await;
    let db = sqlite();
    let nodes: [Node; 2] = before(&world).await;
    nodes.iter().for_each(|node| tells_at_once(node, 5));
    let config = with(behind(&world, &db, &nodes), |chain| chain.signatures_max = 1_000);
    let indexer = Running::start(config).await;
    futures::future::join_all((0..DEALS).map(|salt| world.funded(salt))).await;
    until_told(&indexer, "all of them", |feed| count_final(feed, "Funded") == usize::from(DEALS)).await;
    let status = indexer.until("the quorum", |s| s.alarms.is_empty()).await;
    assert!(status.providers.iter().all(|node| node.failures > 0), "nobody refused: {:?}", status.providers);
    assert!(status.providers.iter().all(|node| node.lies == 0), "{:?}", status.providers);
    agrees(indexer).await;
}
