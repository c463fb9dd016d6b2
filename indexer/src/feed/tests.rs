//! The feed on a real chain, over HTTP, on both databases.

use fixture::Chain;
use protocol::wire::{
    feed::Finality::{Final, Safe, Seen},
    view::{DealDetail, DealStatus},
};
use service::db::testing::on_both;

use crate::testing::Running;

#[tokio::test]
async fn a_deal_is_told_from_seen_to_final() {
    for db in on_both().await {
        let chain = Chain::start().await;
        let indexer = Running::on(&chain, &db).await;
        indexer.caught_up(&chain).await;
        let terms = chain.terms(1_000, Default::default(), 1).await;
        let (deal, _) = chain.fund(&terms).await;
        indexer.caught_up(&chain).await;
        let detail: DealDetail = indexer.get(&format!("/v1/deals/{deal}")).await;
        assert_eq!(detail.view.finality, Seen, "{:?}", db.engine);
        assert_eq!(detail.view.deal.status, DealStatus::Funded);
        assert_eq!(detail.view.deal.terms, terms);
        chain.deliver(&terms).await;
        chain.release(&terms, 1_000).await;
        chain.mine(3).await;
        indexer.caught_up(&chain).await;
        indexer.all_final().await;
        let feed = indexer.feed().await;
        assert!(feed.iter().map(|e| e.seq).eq(1..=u64::try_from(feed.len()).unwrap()));
        for name in ["Funded", "Delivered", "Released"] {
            let told: Vec<_> =
                feed.iter().filter(|e| e.event.body.name() == name).map(|e| e.finality).collect();
            assert!(told == [Seen, Final] || told == [Seen, Safe, Final], "{name}: {told:?}");
        }
        let detail: DealDetail = indexer.get(&format!("/v1/deals/{deal}")).await;
        assert_eq!(detail.view.deal.status, DealStatus::Closed);
        assert_eq!(detail.view.deal.released, 1_000);
        assert_eq!(detail.view.deal.closed_by.as_deref(), Some("Released"));
        assert_eq!(detail.view.finality, Final);
        assert_eq!(detail.transactions.len(), 3);
        indexer.stop().await;
    }
}
