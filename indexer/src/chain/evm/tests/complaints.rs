//! What users of other indexers complain about, each brought about here.

use alloy::primitives::B256;
use fixture::Chain;
use protocol::wire::{
    feed::{FeedEntry, Finality},
    view::DealDetail,
};
use serde_json::Value;
use service::db::testing::{on_both, sqlite};

use super::{agrees, told_of};
use crate::testing::{Running, config, node::Node, with};

/// Tells the first log of every answer twice, at the same place.
fn one_twice(request: &Value, answer: &mut Value) {
    if request["method"] == "eth_getLogs"
        && let Some(logs) = answer["result"].as_array_mut()
        && let Some(first) = logs.first().cloned()
    {
        logs.push(first);
    }
}

/// erigon#16339: two logs of one block have the same index. Who has no other node to ask stands below that block and says why,
/// whether it is read by a range or by its hash; who has one goes on.
#[tokio::test]
async fn a_log_that_is_told_twice_is_not_believed_and_another_node_is_asked() {
    let doubled =
        |trouble: &Option<String>| trouble.as_ref().is_some_and(|words| words.contains("is not sound"));
    let chain = Chain::start().await;
    let (_, receipt) = chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    let at = receipt.block_number.expect("a block");
    chain.mine(4).await;
    let node = Node::before(&chain.rpc_url()).await;
    node.lies(one_twice);
    let (alone, db) = (sqlite(), sqlite());
    let indexer = Running::behind(&node, &chain, &alone).await;
    indexer.until("the trouble", |s| doubled(&s.trouble) && s.cursor.number == at - 1).await;
    assert_eq!(indexer.feed().await, []);
    let with_another = Running::start(with(config(&chain, &db), |config| {
        config.rpc_urls = vec![node.url.clone(), chain.rpc_url()];
        config.quorum = Some(1);
    }))
    .await;
    with_another.caught_up(&chain).await;
    assert_eq!(told_of(&with_another.feed().await, "Funded"), [Finality::Final]);
    agrees(with_another).await;
    node.is_honest();
    indexer.caught_up(&chain).await;
    assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Final]);
    agrees(indexer).await;

    let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
    let node = Node::before(&chain.rpc_url()).await;
    let db = sqlite();
    let config = with(config(&chain, &db), |config| {
        config.rpc_urls = vec![node.url.clone()];
        // Receipts have no place for a log twice.
        config.prove = false;
    });
    let indexer = Running::start(config).await;
    let before = indexer.caught_up(&chain).await;
    node.lies(one_twice);
    chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    let doubted = indexer.until("the trouble", |s| doubled(&s.trouble)).await;
    assert_eq!((doubted.cursor, indexer.feed().await), (before.cursor, vec![]));
    node.is_honest();
    indexer.caught_up(&chain).await;
    assert_eq!(told_of(&indexer.feed().await, "Funded"), [Finality::Seen]);
    agrees(indexer).await;
}

/// hyperindex#1026, fuel-explorer#674: what reorganisations in a row take back is taken back twice, or keeps the hash of a block
/// that is gone. Here the same transaction comes into one block after another.
#[tokio::test]
async fn the_same_bytes_in_another_block_are_another_event_and_count_once() {
    for db in on_both().await {
        let chain = Chain::start_with(&["--slots-in-an-epoch", "32"]).await;
        let indexer = Running::on(&chain, &db).await;
        let terms = chain.terms(1_000, Default::default(), 1).await;
        let (deal, _) = chain.fund(&terms).await;
        let release = chain.signed_release(&terms, 100).await;
        let mut gone: Vec<B256> = Vec::new();
        for round in 0..4 {
            if round > 0 {
                chain.reorg(1).await;
            }
            let receipt = chain.broadcast(&release).await;
            indexer.caught_up(&chain).await;
            let detail: DealDetail = indexer.get(&format!("/v1/deals/{deal}")).await;
            assert_eq!((detail.view.deal.released, detail.view.deal.count), (100, 2), "{round}");
            let now = detail.transactions.last().expect("the release").event;
            let told: FeedEntry = indexer.get(&format!("/v1/events/{now}")).await;
            assert_eq!((told.finality, Some(told.event.block_hash)), (Finality::Seen, receipt.block_hash));
            assert!(!gone.contains(&now), "{round} on {:?}: another block, another event", db.engine);
            for event in &gone {
                let told: FeedEntry = indexer.get(&format!("/v1/events/{event}")).await;
                assert_eq!(told.finality, Finality::Retracted, "{round}");
            }
            gone.push(now);
        }
        let told = told_of(&indexer.feed().await, "Released");
        assert_eq!(told, [[Finality::Seen, Finality::Retracted].repeat(3), vec![Finality::Seen]].concat());
        agrees(indexer).await;
    }
}
