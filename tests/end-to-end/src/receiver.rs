//! Who is told of the feed by signed messages over HTTP, and remembers all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{Folder, json};

/// What signs; any would do.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What it was told, by the ids of the messages.
type Told = BTreeMap<String, Vec<Value>>;

/// A receiver of webhooks. It works until the test's runtime ends.
#[derive(Debug)]
pub struct Receiver {
    url: String,
    told: Arc<Mutex<Told>>,
}

impl Receiver {
    /// Starts it.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start() -> Self {
        let told: Arc<Mutex<Told>> = Arc::default();
        let kept = told.clone();
        let take = move |headers: HeaderMap, body: Bytes| async move {
            let id = headers.get("webhook-id").expect("an id").to_str().expect("a text").to_owned();
            kept.lock().expect("what it was told").entry(id).or_default().push(json(&body));
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let routes = Router::new().route("/", post(take));
        tokio::spawn(async move { axum::serve(listener, routes).await.expect("it serves") });
        Self { url, told }
    }

    /// The indexer's `webhooks`, as its environment has them.
    pub fn webhooks(&self) -> String {
        format!(r#"[{{name="receiver",url="{}",secret="{SECRET}",allow_private=true}}]"#, self.url)
    }

    /// Waits until it was told all that the indexer tells as final; what came again is what came before.
    ///
    /// # Panics
    /// A minute passes before, or something else came.
    pub async fn check(&self, folder: &Folder) {
        let (url, begun) = (format!("{}/v1/feed?after=0&limit=500", folder.indexer()), Instant::now());
        // It may be dying at a message just now.
        let feed = loop {
            if let Ok(answer) = reqwest::get(&url).await
                && let Ok(bytes) = answer.bytes().await
            {
                break json(&bytes);
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "the indexer does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let entries = feed["entries"].as_array().expect("entries");
        let finals: BTreeSet<&str> = entries
            .iter()
            .filter(|entry| entry["finality"] == "final")
            .map(|entry| entry["event"]["id"].as_str().expect("an id"))
            .collect();
        let started = Instant::now();
        loop {
            let told = self.told.lock().expect("what it was told").clone();
            let events: BTreeSet<&str> = told
                .values()
                .map(|bodies| bodies[0]["data"]["event"]["id"].as_str().expect("an id"))
                .collect();
            if events.is_superset(&finals) {
                assert_eq!(events.len(), told.len(), "an event was told under two ids");
                for (id, bodies) in &told {
                    assert!(bodies.iter().all(|body| *body == bodies[0]), "{id}: {bodies:?}");
                }
                return;
            }
            let missing = finals.difference(&events).count();
            assert!(started.elapsed() < Duration::from_secs(60), "{missing} final events were never told");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
