//! Lists over HTTP, of a real chain, on both databases.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use alloy::primitives::B256;
use protocol::wire::{
    query::{BallotPage, CasePage, PoolPage},
    view::{DealPage, DealStatus, DealView},
};
use reqwest::{StatusCode, header};
use serde_json::Value;
use service::{
    clock::SystemClock,
    db::testing::{on_both, sqlite},
};

use fixture::Chain;

use sqlx::any::AnyRow;

use super::scan::{Among, Takes, scan};
use crate::{states::store::Stored, testing::Running};

async fn listed(indexer: &Running, query: &str, limit: u32) -> Vec<DealView> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page: DealPage = indexer.get(&format!("/v1/deals?limit={limit}{query}{after}")).await;
        all.extend(page.deals);
        match page.cursor {
            Some(cursor) => after = format!("&after={cursor}"),
            None => return all,
        }
    }
}

#[tokio::test]
async fn deals_are_found_by_what_they_are_in_pages_of_every_size() {
    for db in on_both().await {
        let chain = Chain::start().await;
        for salt in 0..5 {
            let terms = chain.terms(1_000, Default::default(), salt).await;
            if salt == 4 {
                chain.pass_time(60).await;
            }
            chain.fund(&terms).await;
            if salt < 2 {
                chain.release(&terms, 1_000).await;
            }
        }
        let indexer = Running::on(&chain, &db).await;
        indexer.caught_up(&chain).await;
        let all = listed(&indexer, "", 200).await;
        assert_eq!(all.len(), 5);
        assert!(all.is_sorted_by_key(|view| view.deal.deal));
        let (buyer, seller, stranger) = (chain.account(1), chain.account(2), chain.account(3));
        let funded_last = all.iter().map(|view| view.deal.funded_at).max().unwrap();
        for (query, count) in [
            (format!("&party={buyer}"), 5),
            (format!("&party={seller}"), 5),
            (format!("&party={stranger}"), 0),
            (format!("&buyer={buyer}&seller={seller}"), 5),
            (format!("&buyer={seller}"), 0),
            ("&status=closed".to_owned(), 2),
            (format!("&party={buyer}&status=funded"), 3),
            (format!("&chain={}", chain.chain), 5),
            ("&chain=eip155:1".to_owned(), 0),
            (format!("&escrow={}&arbiter={}", chain.escrow, chain.pools), 5),
            (format!("&arbiter={}", chain.escrow), 0),
            (format!("&asset={}", all[0].deal.terms.asset), 5),
            (format!("&pool={}", all[0].deal.terms.panel), 5),
            (format!("&pool={}", all[0].deal.deal), 0),
            (format!("&funded_before={funded_last}"), 4),
            (format!("&funded_from={funded_last}"), 1),
        ] {
            for limit in [1, 2, 200] {
                let found = listed(&indexer, &query, limit).await;
                assert_eq!(found.len(), count, "{query} by {limit} on {:?}", db.engine);
                assert!(found.iter().all(|view| all.contains(view)));
            }
        }
        assert!(
            listed(&indexer, "&status=closed", 1).await.iter().all(|v| v.deal.status == DealStatus::Closed)
        );
        indexer.stop().await;
    }
}

#[tokio::test]
async fn who_has_it_already_is_told_so_until_something_happens() {
    let (db, chain) = (sqlite(), Chain::start().await);
    let indexer = Running::on(&chain, &db).await;
    indexer.caught_up(&chain).await;
    let ask = |tag: Option<header::HeaderValue>| {
        let mut request = indexer.http.get(format!("{}/v1/deals", indexer.base));
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        async { request.send().await.expect("an answer") }
    };
    let first = ask(None).await;
    let tag = first.headers()[header::ETAG].clone();
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(ask(Some(tag.clone())).await.status(), StatusCode::NOT_MODIFIED);
    chain.fund(&chain.terms(1_000, Default::default(), 1).await).await;
    indexer.caught_up(&chain).await;
    let second = ask(Some(tag.clone())).await;
    assert_eq!(second.status(), StatusCode::OK);
    assert_ne!(second.headers()[header::ETAG], tag);
    // What is refused or not there is not in anybody's hands.
    for (path, status) in [("/v1/deals?limit=201", 422), (&*format!("/v1/deals/{}", B256::ZERO), 404)] {
        let request = indexer.http.get(format!("{}{path}", indexer.base)).header(header::IF_NONE_MATCH, "*");
        assert_eq!(request.send().await.expect("an answer").status(), status, "{path}");
    }
    let config = indexer.stop().await;
    let tag = second.headers()[header::ETAG].clone();
    crate::reindex(&config, &SystemClock, |_| {}).await.expect("a re-index");
    let indexer = Running::start(config).await;
    let request = indexer.http.get(format!("{}/v1/deals", indexer.base)).header(header::IF_NONE_MATCH, tag);
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::OK);
    indexer.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_by_name() {
    let (db, chain) = (sqlite(), Chain::start().await);
    let indexer = Running::on(&chain, &db).await;
    for (path, words) in [
        ("/v1/deals?party=0x00", "party is `0x00`"),
        ("/v1/deals?status=open", "funded, delivered, disputed or closed"),
        ("/v1/deals?limit=201", "1 to 200"),
        ("/v1/deals?limit=1&limit=2", "given twice"),
        ("/v1/deals?size=1", "size is not a parameter here"),
        ("/v1/deals?funded_from=-1", "Unix seconds"),
        ("/v1/cases?stage=done", "opened, drawn, accepted or executed"),
        ("/v1/cases?after=deal/x", "the `cursor` of the page before"),
        ("/v1/ballots?juror=me", "juror is `me`"),
        ("/v1/pools?keeper=me", "keeper is `me`"),
        ("/v1/feed?event=Fund", "event is `Fund`"),
        ("/v1/feed?finality=retracted", "seen, safe or final"),
        ("/v1/feed/stream?limit=1", "limit is not a parameter here"),
    ] {
        let (status, text) = indexer.raw(path).await;
        assert_eq!(status, 422, "{path}: {text}");
        assert!(text.contains(words), "{path}: {text}");
    }
    for path in ["/v1/cases", "/v1/ballots"] {
        assert_eq!(indexer.raw(path).await.0, 200, "{path}");
    }
    let (cases, ballots): (CasePage, BallotPage) =
        (indexer.get("/v1/cases").await, indexer.get("/v1/ballots").await);
    let pools: PoolPage = indexer.get("/v1/pools").await;
    assert!(cases.cases.is_empty() && ballots.ballots.is_empty() && pools.pools.is_empty());
    indexer.stop().await;
}

/// A filter that takes nothing, or everything, and counts what it was shown.
struct Counting {
    takes: bool,
    shown: AtomicUsize,
}

/// A state that is not looked into.
struct Whatever;

impl Stored for Whatever {
    fn stored(_: &AnyRow) -> Result<Self, crate::Error> {
        Ok(Self)
    }
}

impl Takes<Whatever> for Counting {
    fn takes(&self, _: &Whatever) -> bool {
        self.shown.fetch_add(1, Ordering::SeqCst);
        self.takes
    }
}

#[tokio::test]
async fn a_filter_that_takes_nothing_costs_no_more_for_a_page_of_one() {
    for db in on_both().await {
        let chain = Chain::start().await;
        let config = crate::testing::config(&chain, &db);
        let (db, _) = crate::open(&config, &SystemClock).await.unwrap();
        let mut write = db.begin().await.unwrap();
        for made_up in [
            "INSERT INTO logs (number, chain, block_number, log_index, canonical, finality, told, block_time, block_hash, \
             transaction_hash, contract, topics, data) VALUES (1, 1, 1, 0, 1, 'final', 1, 1, $1, $1, $1, $1, $1)",
            "INSERT INTO states (subject, chain, newest, terms, state, buyer, seller, status) \
             WITH RECURSIVE n(i) AS (SELECT 10001 UNION ALL SELECT i + 1 FROM n WHERE i < 12500) \
             SELECT 'deal/' || CAST(i AS TEXT), 1, 1, 0, '{}', 0, 0, '' FROM n",
        ] {
            let mut statement = sqlx::query(made_up);
            if made_up.contains("$1") {
                statement = statement.bind(Vec::<u8>::new());
            }
            statement.execute(write.on()).await.unwrap();
        }
        write.commit().await.unwrap();
        let mut reader = db.reader().acquire().await.unwrap();
        let none = Counting { takes: false, shown: AtomicUsize::new(0) };
        let mut look = async |after: Option<String>, limit, filter: &Counting| {
            let before = filter.shown.load(Ordering::SeqCst);
            let found = scan(&mut reader, "deal/", after, &Among::All, limit, filter).await.unwrap();
            (found.items.len(), found.next, filter.shown.load(Ordering::SeqCst) - before)
        };
        // It goes as far at once as any, says how far that was, and then comes to the end.
        let first = look(None, 1, &none).await;
        assert_eq!(first, (0, Some("deal/12000".to_owned()), 2_000), "{:?}", config.database);
        assert_eq!(look(first.1, 1, &none).await, (0, None, 500));
        let all = Counting { takes: true, shown: AtomicUsize::new(0) };
        assert_eq!(look(None, 1, &all).await, (1, Some("deal/10001".to_owned()), 1));
    }
}

/// `METHOD /path` of everything that docs/indexer.md lists.
fn documented() -> BTreeSet<String> {
    let page = include_str!("../../../docs/indexer.md");
    let list = page.split_once("The routes, beside").unwrap().1.split_once("\n\n").unwrap().0;
    let routes = list.split('`').filter(|code| code.starts_with("GET ") || code.starts_with("POST "));
    routes.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_description_has_every_route_and_the_docs_have_them_too() {
    let (db, chain) = (sqlite(), Chain::start().await);
    let indexer = Running::on(&chain, &db).await;
    let description: Value = indexer.get("/openapi.json").await;
    let mut described = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            described.insert(format!("{} {path}", method.to_uppercase()));
            assert!(operation["summary"].as_str().is_some(), "{path}");
        }
    }
    assert_eq!(described, documented());
    indexer.stop().await;
}
