//! Who is paged by the relayer, and a node that gives it a reason to: in a market where all goes well nobody is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{json, receiver::SECRET};

/// The pages, by their ids.
type Pages = Arc<Mutex<BTreeMap<String, Vec<Value>>>>;

/// Somebody who is paged, and a node before the chain's. They work until the test's runtime ends.
#[derive(Debug)]
pub struct Operator {
    url: String,
    pages: Pages,
}

impl Operator {
    /// Starts both; `upstream` is the chain's JSON-RPC, which need not answer yet.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start(upstream: String) -> Self {
        let pages = Pages::default();
        let (kept, known) = (pages.clone(), pages.clone());
        let take = move |headers: HeaderMap, body: Bytes| async move {
            let id = headers.get("webhook-id").expect("an id").to_str().expect("a text").to_owned();
            kept.lock().expect("the pages").entry(id).or_default().push(json(&body));
        };
        let client = reqwest::Client::new();
        let ask = move |body: Bytes| pass_on(known, client, upstream, body);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let routes = Router::new().route("/pages", post(take)).route("/rpc", post(ask));
        tokio::spawn(async move { axum::serve(listener, routes).await.expect("it serves") });
        Self { url, pages }
    }

    /// What the relayer has to know, as its environment has it.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("EARNEST_RELAYER_RPC_URLS", format!("[\"{}/rpc\"]", self.url)),
            ("EARNEST_RELAYER_PAGE_URL", format!("{}/pages", self.url)),
            ("EARNEST_RELAYER_PAGE_SECRET", SECRET.to_owned()),
        ]
    }

    /// Somebody was paged; what came again came under the same id, and about no intent under two.
    ///
    /// # Panics
    /// It is not so.
    pub fn check(&self) {
        let pages = self.pages.lock().expect("the pages").clone();
        let mut keys = BTreeSet::new();
        for (id, pages) in pages.iter().filter(|(_, pages)| pages[0]["type"] == "intent.quarantined") {
            assert!(pages.iter().all(|page| page["data"] == pages[0]["data"]), "{id}: {pages:?}");
            let key = pages[0]["data"]["page"]["key"].as_str().expect("a key");
            assert!(keys.insert(key), "{key} under two ids: {pages:?}");
        }
        assert!(!keys.is_empty(), "nobody was paged: {pages:?}");
    }
}

/// Until somebody was paged, every call that is tried reverts with what no contract of ours says: that is for a person to look at.
async fn pass_on(pages: Pages, client: reqwest::Client, upstream: String, body: Bytes) -> Response {
    let asked = json(&body);
    if asked["method"] == "eth_estimateGas" && pages.lock().expect("the pages").is_empty() {
        let error = serde_json::json!({ "code": 3, "message": "execution reverted", "data": "0xdeadbeef" });
        let answer = serde_json::json!({ "jsonrpc": "2.0", "id": asked["id"], "error": error });
        return answer.to_string().into_response();
    }
    let request = client.post(upstream).header("content-type", "application/json").body(body);
    let answer = match request.send().await {
        Ok(answer) => answer.bytes().await,
        Err(error) => Err(error),
    };
    answer.map_or_else(|_| StatusCode::BAD_GATEWAY.into_response(), IntoResponse::into_response)
}
