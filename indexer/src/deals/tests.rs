//! How events add up to a deal, and the listing of deals.

use alloy::primitives::{Address, B256};
use fixture::Chain;
use proptest::prelude::*;
use protocol::{
    chain::{AccountId, AssetId, ChainId},
    terms::Terms,
    wire::{
        feed::{ChainEvent, EventBody},
        view::{Deal, DealPage, DealStatus},
    },
};
use service::db::testing::on_both;

use super::model::{Gap, count_of, fold};
use crate::testing::Running;

const DEAL: B256 = B256::repeat_byte(1);

fn terms() -> Terms {
    let chain = ChainId::Eip155(1);
    let account = |n| AccountId { chain, address: Address::repeat_byte(n).into() };
    Terms {
        escrow: account(1),
        buyer: account(2),
        seller: account(3),
        arbiter: account(4),
        asset: AssetId::native(chain),
        amount: 1_000,
        fund_by: 1,
        deliver_by: 2,
        inspection: 1,
        ruling: 1,
        lapse_share: 5_000,
        metered: false,
        panel: B256::ZERO,
        agreement: B256::ZERO,
        salt: B256::ZERO,
    }
}

fn at(time: u64, body: EventBody) -> ChainEvent {
    ChainEvent {
        id: B256::with_last_byte(9),
        contract: terms().escrow,
        block_number: time,
        block_hash: B256::ZERO,
        block_time: time,
        transaction: B256::ZERO.into(),
        log_index: 0,
        body,
    }
}

fn funded() -> Deal {
    let (deal, gap) = fold(None, &at(10, EventBody::Funded { deal: DEAL, terms: terms() }));
    assert_eq!(gap, None);
    deal.expect("a deal")
}

#[test]
fn every_event_moves_a_deal_as_it_says() {
    use EventBody as E;
    let (deal, count, hash) = (DEAL, 2, B256::ZERO);
    let by = Address::ZERO.into();
    for (body, status, released, refunded) in [
        (E::Delivered { deal, delivery: hash, count }, DealStatus::Delivered, 0, 0),
        (E::Disputed { deal, by, evidence: hash, count }, DealStatus::Disputed, 0, 0),
        (E::Evidence { deal, by, evidence: hash, uri: String::new(), count }, DealStatus::Funded, 0, 0),
        (E::Released { deal, released: 400, count }, DealStatus::Funded, 400, 0),
        (E::Released { deal, released: 1_000, count }, DealStatus::Closed, 1_000, 0),
        (E::Refunded { deal, refunded: 400, count }, DealStatus::Funded, 0, 400),
        (E::Refunded { deal, refunded: 1_000, count }, DealStatus::Closed, 0, 1_000),
        (E::Reclaimed { deal, refunded: 1_000, count }, DealStatus::Closed, 0, 1_000),
        (E::Claimed { deal, released: 1_000, count }, DealStatus::Closed, 1_000, 0),
        (E::Settled { deal, released: 300, refunded: 700, count }, DealStatus::Closed, 300, 700),
        (E::Ruled { deal, share: 2_500, released: 250, refunded: 750, count }, DealStatus::Closed, 250, 750),
        (E::Lapsed { deal, released: 500, refunded: 500, count }, DealStatus::Closed, 500, 500),
    ] {
        let name = body.name();
        let (after, gap) = fold(Some(funded()), &at(20, body.clone()));
        let after = after.expect("a deal");
        assert_eq!(gap, None, "{name}");
        assert_eq!((after.status, after.released, after.refunded), (status, released, refunded), "{name}");
        assert_eq!(after.since, if status == DealStatus::Funded { 10 } else { 20 }, "{name}");
        let closed_by = (status == DealStatus::Closed).then_some(name);
        assert_eq!(after.closed_by.as_deref(), closed_by, "{name}");
        assert_eq!(after.share, if name == "Ruled" { Some(2_500) } else { None });
        assert!(after.complete);
        // Without its funding it leaves nothing but the gap.
        let (nothing, gap) = fold(None, &at(20, body));
        assert_eq!((nothing, gap), (None, Some(Gap { expected: 1, found: 2 })), "{name}");
    }
    let credit = E::Credited { deal, creditor: by, asset: by, amount: 5 };
    assert_eq!(fold(Some(funded()), &at(20, credit)), (Some(funded()), None));
}

proptest! {
    /// A history of any length has no gap; with one event left out it has exactly one, found at the next.
    #[test]
    fn a_left_out_event_is_found_at_the_next(length in 2_u64..600, left_out in 0_u64..600) {
        let body = |n: u64| match n {
            0 => EventBody::Funded { deal: DEAL, terms: terms() },
            n => EventBody::Released { deal: DEAL, released: u128::from(n), count: u8::try_from((n + 1) % 256).unwrap() },
        };
        let run = |skip: Option<u64>| {
            let mut gaps = Vec::new();
            let mut deal = None;
            for n in (0..length).filter(|n| Some(*n) != skip) {
                let (after, gap) = fold(deal, &at(n, body(n)));
                deal = after;
                gaps.extend(gap.map(|_| n));
            }
            (gaps, deal)
        };
        let (gaps, deal) = run(None);
        prop_assert!(gaps.is_empty() && deal.is_some_and(|d| d.complete));
        let left_out = left_out % (length - 1);
        let (gaps, deal) = run(Some(left_out));
        prop_assert_eq!(gaps.first(), Some(&(left_out + 1)));
        prop_assert_eq!(gaps.len() == 1, left_out > 0 || length == 2);
        prop_assert!(deal.is_none_or(|d| !d.complete));
        prop_assert_eq!(count_of(&body(left_out)).is_some(), true);
    }
}

#[tokio::test]
async fn deals_are_listed_by_party_and_status_in_pages() {
    for db in on_both().await {
        let chain = Chain::start().await;
        let indexer = Running::on(&chain, &db).await;
        for salt in 0..5 {
            let terms = chain.terms(1_000, B256::ZERO, salt).await;
            chain.fund(&terms).await;
            if salt < 2 {
                chain.release(&terms, 1_000).await;
            }
        }
        indexer.caught_up(&chain).await;
        let ids = |page: &DealPage| page.deals.iter().map(|view| view.deal.deal).collect::<Vec<_>>();
        let all: DealPage = indexer.get("/v1/deals").await;
        assert_eq!((all.deals.len(), all.cursor), (5, None), "{:?}", db.engine);
        assert!(ids(&all).is_sorted());
        let mut paged = Vec::new();
        let mut path = "/v1/deals?limit=2".to_owned();
        loop {
            let page: DealPage = indexer.get(&path).await;
            paged.extend(ids(&page));
            let Some(cursor) = page.cursor else { break };
            path = format!("/v1/deals?limit=2&after={cursor}");
        }
        assert_eq!(paged, ids(&all));
        for (query, found) in [
            (format!("buyer={}", chain.account(1)), 5),
            (format!("buyer={}", chain.account(2)), 0),
            (format!("seller={}&status=closed", chain.account(2)), 2),
            (format!("buyer={}&seller={}&status=funded", chain.account(1), chain.account(2)), 3),
            ("status=disputed".to_owned(), 0),
        ] {
            let page: DealPage = indexer.get(&format!("/v1/deals?{query}")).await;
            assert_eq!(page.deals.len(), found, "{query} on {:?}", db.engine);
        }
        indexer.stop().await;
    }
}
