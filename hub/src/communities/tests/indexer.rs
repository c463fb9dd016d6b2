//! What an indexer is asked because of a `pool@1` of somebody who has no say in the matter.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use alloy::primitives::B256;
use axum::{
    Json, Router,
    http::Uri,
    response::{IntoResponse as _, Response},
};
use protocol::wire::{
    feed::Finality,
    view::{MemberList, Pool, PoolView},
};
use serde_json::json;
use service::http::Problem;
use tokio::net::TcpListener;

use crate::testing::{
    Person, TestHub,
    trade::{ARBITER, CHAIN, Ground},
};

/// An indexer that knows this pool and none of its members; counts what it is asked.
async fn indexer(known: PoolView, asked: Arc<AtomicUsize>) -> (String, tokio::task::JoinHandle<()>) {
    let answer = move |uri: Uri| {
        asked.fetch_add(1, Ordering::SeqCst);
        let answer: Response = if uri.path() == format!("/v1/pools/{}", known.pool.pool) {
            Json(known.clone()).into_response()
        } else {
            Problem::not_found("pool", uri.path()).into_response()
        };
        async move { answer }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() };
    (url, tokio::spawn(served))
}

#[tokio::test]
async fn an_indexer_is_asked_once_for_whoever_is_not_the_keeper() {
    let book = Ground::EVM.book();
    let panel = Ground::EVM.pool_id(&book);
    let list = MemberList { list: 0, size: 8, effective_at: 1, pages: Vec::new() };
    let pool = Pool { pool: panel, arbiter: ARBITER, book: Some(book), lists: vec![list] };
    let asked = Arc::new(AtomicUsize::new(0));
    let (url, served) = indexer(PoolView { pool, finality: Finality::Final }, asked.clone()).await;
    let change = |config: &mut crate::config::Config| {
        config.indexers.insert(CHAIN, url.clone());
        config.arbiters = vec![ARBITER];
    };
    for hub in TestHub::on_both_with(change).await {
        let anna = Person::arrive(&hub, 1).await;
        // Neither for its members, nor again and again for one that it may see yet.
        for (panel, rule) in [(panel, "keeper_only"), (B256::repeat_byte(1), "unknown_pool")] {
            let record = anna.record(&hub, "pool@1", json!({ "arbiter": ARBITER, "panel": panel }));
            assert_eq!(hub.refuses(&record).await.2, rule);
            assert_eq!(asked.swap(0, Ordering::SeqCst), 1, "{rule}");
        }
        hub.end().await;
    }
    served.abort();
}
