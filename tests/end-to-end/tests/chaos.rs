//! Indexer, hub and relayer die as by `kill -9` at chosen points of the two trades. Whatever dies when, the market ends
//! in the same state: nothing twice, nothing lost.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::{collections::BTreeMap, time::Duration};

use alloy::providers::Provider;
use end_to_end::{
    Folder, Running, TRADES_WAIT,
    chain::{connect, events},
    json, kill_service,
    proxy::{Proxy, Strike},
};
use serde_json::Value;

const COMPLETED: [&str; 3] = ["Funded", "Delivered", "Released"];
const DISPUTED: [&str; 6] = ["Funded", "Disputed", "CaseOpened", "JuryDrawn", "Ruled", "RulingAccepted"];

/// The whole state that the two trades must leave, whatever happened on the way.
async fn check(folder: &Folder) {
    let report = folder.report();
    let provider = connect(&folder.rpc()).await;
    let purchases = json(&folder.verb(&["--as", "buyer", "--json", "purchase", "list"]).stdout);
    assert_eq!(purchases["items"].as_array().expect("purchases").len(), 2, "{purchases}");
    let mut on_chain = 0;
    for (trade, status, names, credentials) in
        [(0, "completed", &COMPLETED[..], 2), (1, "refunded", &DISPUTED[..], 1)]
    {
        let trade = &report["trades"][trade];
        let deal = trade["deal"].as_str().expect("a deal");
        assert_eq!(events(&provider, deal).await, names, "the chain's events of the {status} deal");
        on_chain += names.len();
        let purchase = trade["purchase"].as_str().expect("a purchase");
        let view = json(&folder.verb(&["--as", "buyer", "--json", "purchase", "show", purchase]).stdout);
        assert_eq!(view["status"], status);
        let told = view["details"]["transactions"].as_array().expect("transactions");
        let told_names: Vec<&str> =
            told.iter().map(|event| event["name"].as_str().expect("a name")).collect();
        assert_eq!(told_names, names, "the hub's events of the {status} deal");
        assert!(told.iter().all(|event| event["finality"] == "final"), "{view}");
        let held: Value = ask(&format!("{}/v1/purchases/{purchase}/credentials", folder.hub())).await;
        assert_eq!(held.as_array().expect("credentials").len(), credentials, "{held}");
    }
    check_feed(folder).await;
    check_log(folder, on_chain).await;
    check_intents(folder, &provider).await;
    check_progress(folder, report["trades"][1]["purchase"].as_str().expect("a purchase"));
}

/// The hub is told that its three intents are done.
fn check_progress(folder: &Folder, purchase: &str) {
    let started = std::time::Instant::now();
    loop {
        let view = json(&folder.verb(&["--as", "buyer", "--json", "purchase", "show", purchase]).stdout);
        let intents = view["details"]["intents"].as_array().expect("intents");
        assert_eq!(intents.len(), 3, "{view}");
        if intents.iter().all(|intent| intent["progress"]["state"] == "done") {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{view}");
    }
}

/// Every event is told as final once and only once, and sequence numbers have no gap.
async fn check_feed(folder: &Folder) {
    let feed: Value = ask(&format!("{}/v1/feed?after=0&limit=500", folder.indexer())).await;
    let entries = feed["entries"].as_array().expect("entries");
    let mut finals: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        assert_eq!(entry["seq"], (at + 1).to_string(), "the feed has a gap");
        let id = entry["event"]["id"].as_str().expect("an id");
        *finals.entry(id).or_default() += usize::from(entry["finality"] == "final");
    }
    assert!(finals.values().all(|count| *count == 1), "{finals:?}");
}

/// The hub's log holds one final `chain-event@1` for each event about its deals.
async fn check_log(folder: &Folder, on_chain: usize) {
    let rows = log(folder).await;
    let finals = rows
        .iter()
        .filter(|record| record["type"] == "chain-event@1" && record["body"]["finality"] == "final");
    let mut ids: Vec<&str> =
        finals.map(|record| record["body"]["event"]["id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), on_chain, "final chain events in the hub's log");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), on_chain, "an event was applied twice");
}

/// Every record in the hub's log.
async fn log(folder: &Folder) -> Vec<Value> {
    let url = format!("sqlite:{}?mode=ro", folder.data().join("hub.sqlite").display());
    let pool = sqlx::SqlitePool::connect(&url).await.expect("the hub's database");
    let rows: Vec<(String,)> =
        sqlx::query_as("SELECT record FROM log ORDER BY seq").fetch_all(&pool).await.expect("the log");
    rows.into_iter().map(|(record,)| json(record.as_bytes())).collect()
}

/// Three intents, each done; the relayer's wallet sent exactly their three transactions.
async fn check_intents(folder: &Folder, provider: &alloy::providers::DynProvider) {
    let started = std::time::Instant::now();
    let intents = loop {
        let page: Value = ask(&format!("{}/v1/intents", folder.relayer())).await;
        let intents = page["intents"].as_array().expect("intents").clone();
        if intents.iter().all(|intent| intent["state"] == "done") {
            break intents;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{page}");
        tokio::task::yield_now().await;
    };
    let mut kinds: Vec<String> = intents
        .iter()
        .map(|intent| {
            intent["intent"]["key"].as_str().expect("a key").split('/').next().unwrap_or_default().to_owned()
        })
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["ballots", "draw", "open"]);
    let wallet = std::fs::read_to_string(folder.data().join("profiles/relayer/wallet.key"))
        .expect("the relayer's key");
    let signer: alloy::signers::local::PrivateKeySigner = wallet.trim().parse().expect("a key");
    let sent = provider.get_transaction_count(signer.address()).await.expect("a nonce");
    assert_eq!(sent, 3, "transactions of the relayer");
}

async fn ask(url: &str) -> Value {
    let answer = reqwest::get(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    json(&answer.bytes().await.expect("an answer"))
}

/// Runs the trades while each service dies once at its point, and compares the state.
async fn survive(points: &[&str]) {
    let folder = Folder::new();
    let arguments: Vec<&str> = points.iter().flat_map(|point| ["--abort", point]).collect();
    let mut up = folder.up(&arguments, &[]);
    up.wait_for("Everything runs until", TRADES_WAIT);
    for point in points {
        let service = point.split('=').next().expect("a service");
        let died =
            up.said.iter().filter(|line| line.contains(&format!("{service} ended unexpectedly (signal 6)")));
        assert_eq!(died.count(), 1, "{point} was never reached:\n{}", up.said.join("\n"));
    }
    check(&folder).await;
    finish(up);
}

fn finish(up: Running) {
    up.interrupt();
    let (code, said) = up.wait(Duration::from_secs(60));
    assert_eq!(code, Some(0), "{}", said.join("\n"));
}

macro_rules! deaths {
    ($($name:ident: $($point:literal),+;)+) => {$(
        #[tokio::test]
        async fn $name() {
            survive(&[$($point),+]).await;
        }
    )+};
}

// The counts lie within the trades: before them the indexer has committed 7 times, and the relayer delivered 4 entries.
deaths! {
    before_commits: "hub=hub.purchase@1.before:1", "indexer=indexer.commit.before:9", "relayer=relayer.commit.before:12";
    after_commits: "hub=hub.acceptance@1.after:1", "indexer=indexer.commit.after:12", "relayer=relayer.commit.after:20";
    before_the_first_broadcast: "hub=hub.chain-event@1.after:4", "indexer=indexer.commit.after:16", "relayer=relayer.broadcast.before:1";
    after_the_first_broadcast: "hub=hub.credential@1.before:2", "indexer=indexer.head.read:30", "relayer=relayer.broadcast.after:1";
    after_the_draw: "hub=hub.evidence@1.before:2", "indexer=indexer.commit.before:20", "relayer=relayer.broadcast.after:2";
    after_the_ballots: "hub=hub.ballot@1.after:2", "indexer=indexer.logs.read:6", "relayer=relayer.broadcast.after:3";
    before_a_delivery: "relayer=relayer.delivery.before:9";
    after_a_delivery: "relayer=relayer.delivery.after:14";
}

#[derive(Clone, Copy, Debug)]
enum Between {
    IndexerAndChain,
    RelayerAndChain,
    RelayerAndHub,
    HubAndIndexer,
}

/// An answer is lost between two parts, and the part that waits for it dies at that moment.
async fn lose_an_answer(between: Between, strike: Strike) {
    let folder = Folder::new();
    let port =
        |url: String| url.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).expect("a port");
    let (upstream, waiting, variable) = match between {
        Between::IndexerAndChain => (folder.chain_port, "indexer", "EARNEST_INDEXER_RPC_URLS"),
        Between::RelayerAndChain => (folder.chain_port, "relayer", "EARNEST_RELAYER_RPC_URL"),
        Between::RelayerAndHub => (port(folder.hub()), "relayer", "EARNEST_RELAYER_HUB_URL"),
        Between::HubAndIndexer => (port(folder.indexer()), "hub", "EARNEST_HUB_INDEXERS"),
    };
    let Proxy { url, mut struck } = Proxy::to(upstream, strike).await;
    let value = match variable {
        "EARNEST_INDEXER_RPC_URLS" => format!("[\"{url}\"]"),
        "EARNEST_HUB_INDEXERS" => format!("{{\"eip155:31337\"=\"{url}\"}}"),
        _ => url,
    };
    let up = folder.up(&[], &[(variable, value)]);
    let id = up.id();
    let killed = tokio::spawn(async move { struck.recv().await.is_some() && kill_service(id, waiting) });
    let up = tokio::task::spawn_blocking(move || {
        let mut up = up;
        up.wait_for("Everything runs until", TRADES_WAIT);
        up
    })
    .await
    .expect("the market runs");
    assert!(killed.is_finished() && killed.await.expect("the strike"), "{strike:?} never came");
    let died = format!("{waiting} ended unexpectedly (signal 9)");
    assert!(up.said.iter().any(|line| line.contains(&died)), "{}", up.said.join("\n"));
    check(&folder).await;
    finish(up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_takes_a_transaction_and_its_answer_is_lost() {
    lose_an_answer(Between::RelayerAndChain, Strike { text: "eth_sendRawTransaction", nth: 2 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hub_takes_events_and_its_answer_is_lost() {
    lose_an_answer(Between::RelayerAndHub, Strike { text: "/v1/chain-events", nth: 6 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_tells_logs_and_its_answer_is_lost() {
    lose_an_answer(Between::IndexerAndChain, Strike { text: "eth_getLogs", nth: 5 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hub_reads_an_event_again_and_the_answer_is_lost() {
    lose_an_answer(Between::HubAndIndexer, Strike { text: "/v1/events/", nth: 5 }).await;
}
