//! The feed on a real chain, over HTTP, on both databases.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fixture::Chain;
use futures::FutureExt as _;
use protocol::wire::{
    feed::{
        FeedEntry, FeedPage,
        Finality::{Final, Safe, Seen},
    },
    view::{DealDetail, DealStatus},
};
use service::{
    clock::SystemClock,
    db::testing::{FreshDb, on_both, sqlite},
};
use tokio::net::TcpListener;

use super::select::Selection;
use crate::{
    shared::{SCANS_AT_ONCE_MAX, Shared, WAITS_MAX},
    testing::{Running, config},
};

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
        indexer.caught_up(&chain).await;
        chain.release(&terms, 1_000).await;
        indexer.caught_up(&chain).await;
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

#[tokio::test]
async fn pages_of_every_size_add_up_to_the_same_feed() {
    for db in on_both().await {
        let chain = Chain::start().await;
        for salt in 0..4 {
            let terms = chain.terms(1_000, Default::default(), salt).await;
            chain.fund(&terms).await;
            chain.release(&terms, 500).await;
        }
        let indexer = Running::on(&chain, &db).await;
        indexer.caught_up(&chain).await;
        let whole = indexer.feed().await;
        for limit in [1, 3, 7] {
            let (mut after, mut entries) = (0, Vec::new());
            loop {
                let page: FeedPage = indexer.get(&format!("/v1/feed?after={after}&limit={limit}")).await;
                assert!(page.entries.len() <= limit);
                assert_eq!(page.cursor, page.entries.last().map_or(after, |e| e.seq));
                if page.entries.is_empty() {
                    break;
                }
                after = page.cursor;
                entries.extend(page.entries);
            }
            assert_eq!(entries, whole, "limit {limit} on {:?}", db.engine);
        }
        for entry in &whole {
            let newest: FeedEntry = indexer.get(&format!("/v1/events/{}", entry.event.id)).await;
            assert_eq!(newest.event, entry.event);
            assert!(newest.seq >= entry.seq);
        }
        indexer.stop().await;
    }
}

#[tokio::test]
async fn a_long_poll_wakes_when_something_is_told_and_ends_with_the_service() {
    for db in on_both().await {
        let chain = Chain::start().await;
        let indexer = Running::on(&chain, &db).await;
        indexer.caught_up(&chain).await;
        let poll = |base: String, http: reqwest::Client| async move {
            let started = Instant::now();
            let page = http.get(format!("{base}/v1/feed?wait=25")).send().await.expect("an answer");
            (page.json::<FeedPage>().await.expect("a page"), started.elapsed())
        };
        let waiting = tokio::spawn(poll(indexer.base.clone(), indexer.http.clone()));
        let terms = chain.terms(1_000, Default::default(), 1).await;
        chain.fund(&terms).await;
        let (page, took) = waiting.await.unwrap();
        assert_eq!(page.entries[0].event.body.name(), "Funded");
        assert!(took < Duration::from_secs(20), "{took:?}");

        let (empty, took) = {
            let started = Instant::now();
            let page: FeedPage = indexer.get(&format!("/v1/feed?after={}&wait=1", page.cursor)).await;
            (page, started.elapsed())
        };
        assert_eq!((empty.entries.len(), empty.cursor), (0, page.cursor));
        assert!(took >= Duration::from_secs(1), "{took:?}");

        let (base, http) = (indexer.base.clone(), indexer.http.clone());
        let waiting = tokio::spawn(async move {
            http.get(format!("{base}/v1/feed?after={}&wait=25", page.cursor)).send().await
        });
        // Whether or not the request has arrived by now, it must not hold the end up.
        tokio::time::timeout(Duration::from_secs(20), indexer.stop()).await.expect("a prompt end");
        let _ = waiting.await.unwrap();
    }
}

#[tokio::test]
async fn refusals_name_the_parameter_its_value_and_the_rule() {
    let db = sqlite();
    let chain = Chain::start().await;
    let indexer = Running::on(&chain, &db).await;
    indexer.caught_up(&chain).await;
    let unknown = alloy::primitives::B256::repeat_byte(9);
    for (path, status, field, words) in [
        ("/v1/feed?after=x".to_owned(), 422, "after", "`x`"),
        ("/v1/feed?after=-1".to_owned(), 422, "after", "whole number"),
        ("/v1/feed?limit=0".to_owned(), 422, "limit", "1 to 500"),
        ("/v1/feed?limit=501".to_owned(), 422, "limit", "`501`"),
        ("/v1/feed?wait=26".to_owned(), 422, "wait", "0 to 25"),
        ("/v1/feed?limit=1&limit=2".to_owned(), 422, "limit", "twice"),
        ("/v1/feed?colour=red".to_owned(), 422, "colour", "after, feed, limit, wait"),
        ("/v1/deals?status=gone".to_owned(), 422, "status", "funded, delivered"),
        ("/v1/deals?buyer=0x12".to_owned(), 422, "buyer", "CAIP-10"),
        ("/v1/deals?after=7".to_owned(), 422, "after", "64 hexadecimal"),
        ("/v1/deals/7".to_owned(), 422, "deal", "64 hexadecimal"),
        ("/v1/cases/7".to_owned(), 422, "deal", "64 hexadecimal"),
        ("/v1/pools/7".to_owned(), 422, "pool", "64 hexadecimal"),
        ("/v1/events/0x".to_owned(), 422, "id", "64 hexadecimal"),
        (format!("/v1/deals/{unknown}"), 404, "", "no deal"),
        (format!("/v1/cases/{unknown}"), 404, "", "no case"),
        (format!("/v1/pools/{unknown}"), 404, "", "no pool"),
        (format!("/v1/events/{unknown}"), 404, "", "no event"),
        ("/v1/nothing".to_owned(), 404, "", "no path"),
    ] {
        let (code, text) = indexer.raw(&path).await;
        let problem: serde_json::Value = serde_json::from_str(&text).expect("problem details");
        assert_eq!(code, status, "{path}: {text}");
        assert_eq!(problem["field"].as_str().unwrap_or_default(), field, "{path}: {text}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{path}: {text}");
    }
    indexer.stop().await;
}

/// What is shared of an indexer that follows nothing.
async fn shared(chain: &Chain, db: &FreshDb) -> Shared {
    let (database, chains) = crate::open(&config(chain, db), &SystemClock).await.unwrap();
    Shared::new(database, chains, Arc::new(SystemClock), Default::default(), 0)
}

#[tokio::test]
async fn no_more_requests_wait_for_entries_than_there_are_places_for() {
    let (chain, db) = (Chain::start().await, sqlite());
    let shared = shared(&chain, &db).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(axum::serve(listener, crate::app(shared.clone())).into_future());
    let asked = async |path: &str| reqwest::get(format!("{base}{path}")).await.unwrap().status().as_u16();
    let all = shared.waits.acquire_many(WAITS_MAX.try_into().unwrap()).await.unwrap();
    assert_eq!(asked("/v1/feed?wait=1").await, 503);
    assert_eq!(asked("/v1/feed").await, 200, "who does not wait needs no place");
    drop(all);
    assert_eq!(asked("/v1/feed?wait=1").await, 200);
    assert_eq!(shared.waits.available_permits(), WAITS_MAX);
    served.abort();
}

#[tokio::test]
async fn who_looks_through_the_feed_waits_for_a_turn_and_nobody_else() {
    let (chain, db) = (Chain::start().await, sqlite());
    let shared = shared(&chain, &db).await;
    let picks = Selection { names: ["Funded".to_owned()].into(), ..Selection::default() };
    let mut turns = Vec::new();
    for _ in 0..SCANS_AT_ONCE_MAX {
        turns.push(shared.turn(&picks).await);
    }
    assert!(turns.iter().all(Option::is_some));
    assert!(shared.turn(&Selection::default()).now_or_never().is_some_and(|turn| turn.is_none()));
    assert!(shared.turn(&picks).now_or_never().is_none());
    turns.pop();
    assert!(shared.turn(&picks).now_or_never().is_some_and(|turn| turn.is_some()));
}
