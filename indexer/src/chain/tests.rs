//! Following a real chain through everything that chains and nodes do.

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
    Running,
    node::{Node, refuse},
};

mod rules;

fn told_of(feed: &[FeedEntry], name: &str) -> Vec<Finality> {
    feed.iter().filter(|e| e.event.body.name() == name).map(|e| e.finality).collect()
}

async fn agrees(indexer: Running) {
    let config = indexer.stop().await;
    let report = crate::verify(&config).await.expect("a report");
    assert_eq!(report.differences, Vec::<String>::new());
}

#[tokio::test]
async fn reorganisations_of_every_depth_are_retracted_and_replaced() {
    for db in on_both().await {
        let chain = Chain::start_with(&["--slots-in-an-epoch", "8"]).await;
        chain.mine(20).await;
        let indexer = Running::on(&chain, &db).await;
        for depth in 1..=6_u64 {
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
        assert_eq!(told_of(&feed, "Funded"), [Finality::Seen, Finality::Retracted].repeat(6));
        agrees(indexer).await;
    }
}
