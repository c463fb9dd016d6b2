//! Deals with many more events than any honest one: whatever a party adds on the chain, it is read and shown in parts.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use protocol::{
    chain::Address,
    wire::feed::{Brought, ChainEvent, EventBody, FeedId, Finality},
};
use serde_json::json;

use crate::testing::trade::{Bought, Trade, everywhere};

/// What a party shows on the chain, as the next events of a deal that had so many: so far told to nobody.
fn shows(trade: &Trade, bought: &Bought, by: Address, after: usize, count: usize) -> Vec<ChainEvent> {
    let shown = |nth: usize| EventBody::Evidence {
        deal: bought.deal,
        by,
        evidence: B256::repeat_byte(3),
        uri: String::new(),
        count: (nth % 256) as u8,
    };
    (1..=count).map(|nth| trade.script.happens(trade.ground.escrow, shown(after + nth))).collect()
}

async fn tell(trade: &Trade, events: &[ChainEvent], finality: Finality) {
    let entries: Vec<_> = events.iter().map(|event| trade.script.tells(event, finality)).collect();
    for some in entries.chunks(100) {
        let answer = trade.deliver(some).await;
        assert_eq!((answer.status, &answer.body["applied"]), (200, &json!(some.len())), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_much_one_party_shows_on_the_chain_the_other_is_heard_and_nothing_is_lost() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (bought, _) = trade.disputed_before(1, &ground.book()).await;
        let (buyer, seller) = (trade.buyer.wallet.address(), trade.seller.wallet.address());
        tell(&trade, &shows(&trade, &bought, seller, 2, 270), Finality::Final).await;
        tell(&trade, &shows(&trade, &bought, buyer, 272, 1), Finality::Final).await;

        let token = trade.buyer.sign_in(&trade.hub).await;
        let purchase = format!("/v1/purchases/{}", bought.id);
        let case = trade.hub.get_as(&token, &format!("{purchase}/case")).await.body;
        let shown = |by: Address| {
            let evidence = case["evidence"].as_array().unwrap();
            evidence.iter().filter(|one| one["wallet"] == json!(by)).count()
        };
        // What the buyer disputed with, and its answer.
        assert_eq!((shown(seller), shown(buyer)), (200, 2));

        let view = trade.view(&token, &bought).await;
        assert_eq!(view["status"], "disputed");
        let first = view["details"]["transactions"].as_array().unwrap().clone();
        assert_eq!(
            (first.len(), &first[0]["name"], &first[1]["name"]),
            (100, &json!("Funded"), &json!("Disputed"))
        );
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page =
                trade.hub.get_as(&token, &format!("{purchase}/transactions?limit=100{after}")).await.body;
            all.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!((all.len(), &all[..100]), (273, first.as_slice()));
        let events: BTreeSet<String> = all.iter().map(|one| one["event"].to_string()).collect();
        assert_eq!(events.len(), 273);

        // And it goes on where it stands, which its own count of events says is whole.
        let settled = EventBody::Settled { deal: bought.deal, released: 400, refunded: 600, count: 18 };
        trade.final_event(ground.escrow, settled).await;
        let view = trade.view(&token, &bought).await;
        assert_eq!((&view["status"], &view["seller_share_bps"]), (&json!("completed"), &json!(4000)));
        trade.hub.end().await;
    }
}

/// More events than are looked at together, of which nothing is left.
#[tokio::test(flavor = "multi_thread")]
async fn however_much_another_feed_does_not_know_is_let_go() {
    for (db, ground) in everywhere().await {
        let trade = Trade::start(db, ground).await;
        let (bought, _) = trade.disputed_before(1, &ground.book()).await;
        let brought = |feed: u8, through| {
            let chain = ground.escrow.chain;
            Brought { chain, deliveries: 0, feed: FeedId::repeat_byte(feed), through }
        };
        let known = trade.script.tells(&trade.script.newest(), Finality::Final);
        trade.brought(Some(&known), &brought(1, 900)).await;
        let shown = shows(&trade, &bought, trade.seller.wallet.address(), 2, 148);
        tell(&trade, &shown, Finality::Seen).await;
        for event in &shown {
            trade.script.forgets(event);
        }
        trade.brought(Some(&known), &brought(2, 1)).await;
        let left: i64 = sqlx::query_scalar(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM chain_events WHERE finality IN ('seen', 'safe')",
        )
        .fetch_one(&trade.hub.eyes)
        .await
        .unwrap();
        assert_eq!(left, 0);
        trade.hub.end().await;
    }
}
