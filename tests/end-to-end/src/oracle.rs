//! The whole state that the two trades must leave on each chain, whatever happened on the way: nothing twice, nothing
//! lost.

use std::{collections::BTreeMap, time::Duration};

use alloy::providers::Provider;
use serde_json::Value;

use crate::{
    Folder,
    chain::{connect, events},
    json,
};

const COMPLETED: [&str; 3] = ["Funded", "Delivered", "Released"];
/// What the chain says of a deal that a jury ends.
pub const DISPUTED: [&str; 6] = ["Funded", "Disputed", "CaseOpened", "JuryDrawn", "Ruled", "RulingAccepted"];

/// One chain of a market.
struct Side<'a> {
    trades: &'a [Value],
    indexer: String,
    relayer: String,
    evm: bool,
}

/// Compares chain, indexer, relayer and hub with what two trades on each chain leave.
///
/// # Panics
/// Anything differs.
pub async fn check(folder: &Folder) {
    let report = folder.report();
    let trades = report["trades"].as_array().expect("trades");
    let sides = trades.chunks(2).enumerate().map(|(at, trades)| {
        let (indexer, relayer) = match at {
            0 => (folder.indexer(), folder.relayer()),
            _ => (folder.solana_indexer(), folder.solana_relayer()),
        };
        Side { trades, indexer, relayer, evm: at == 0 }
    });
    let provider = connect(&folder.rpc()).await;
    let purchases = json(&folder.verb(&["--as", "buyer", "--json", "purchase", "list"]).stdout);
    assert_eq!(purchases["items"].as_array().expect("purchases").len(), trades.len(), "{purchases}");
    let mut on_chain = 0;
    for side in sides {
        check_feed(&side).await;
        for (trade, status, names, credentials) in
            [(0, "completed", &COMPLETED[..], 2), (1, "refunded", &DISPUTED[..], 1)]
        {
            let trade = &side.trades[trade];
            let deal = trade["deal"].as_str().expect("a deal");
            if side.evm {
                assert_eq!(events(&provider, deal).await, names, "the chain's events of the {status} deal");
            }
            assert_eq!(told(&side, deal).await, names, "the indexer's final events of the {status} deal");
            on_chain += names.len();
            let purchase = trade["purchase"].as_str().expect("a purchase");
            let view = settled(folder, purchase, names);
            assert_eq!(view["status"], status);
            let told = view["details"]["transactions"].as_array().expect("transactions");
            let told_names: Vec<&str> =
                told.iter().map(|event| event["name"].as_str().expect("a name")).collect();
            assert_eq!(told_names, names, "the hub's events of the {status} deal");
            assert!(told.iter().all(|event| event["finality"] == "final"), "{view}");
            let held: Value = ask(&format!("{}/v1/purchases/{purchase}/credentials", folder.hub())).await;
            assert_eq!(held.as_array().expect("credentials").len(), credentials, "{held}");
        }
        check_intents(&side).await;
        check_progress(folder, side.trades[1]["purchase"].as_str().expect("a purchase"));
    }
    check_log(folder, on_chain).await;
    let wallet = std::fs::read_to_string(folder.data().join("profiles/relayer/wallet.key"))
        .expect("the relayer's key");
    let signer: alloy::signers::local::PrivateKeySigner = wallet.trim().parse().expect("a key");
    let sent = provider.get_transaction_count(signer.address()).await.expect("a nonce");
    assert_eq!(sent, 3, "transactions of the relayer");
}

/// The purchase, once all of these events are told to the hub as final: the status follows from the payout, and what stands
/// behind that in its transaction is taken after it.
///
/// # Panics
/// A minute passes before.
pub fn settled(folder: &Folder, purchase: &str, names: &[&str]) -> Value {
    let started = std::time::Instant::now();
    loop {
        let view = json(&folder.verb(&["--as", "buyer", "--json", "purchase", "show", purchase]).stdout);
        let told = view["details"]["transactions"].as_array().expect("transactions");
        let finals = told.iter().filter(|event| event["finality"] == "final");
        if finals.map(|event| event["name"].as_str().expect("a name")).eq(names.iter().copied()) {
            return view;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{names:?}: {view}");
    }
}

/// What the indexer tells as final of a deal, in its order.
async fn told(side: &Side<'_>, deal: &str) -> Vec<String> {
    let feed: Value = ask(&format!("{}/v1/feed?after=0&limit=500", side.indexer)).await;
    let entries = feed["entries"].as_array().expect("entries");
    let of =
        entries.iter().filter(|entry| entry["finality"] == "final" && entry["event"]["body"]["deal"] == deal);
    of.map(|entry| entry["event"]["body"]["name"].as_str().expect("a name").to_owned()).collect()
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
async fn check_feed(side: &Side<'_>) {
    let feed: Value = ask(&format!("{}/v1/feed?after=0&limit=500", side.indexer)).await;
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

/// Three intents, each done.
async fn check_intents(side: &Side<'_>) {
    let started = std::time::Instant::now();
    let intents = loop {
        let page: Value = ask(&format!("{}/v1/intents", side.relayer)).await;
        let intents = page["intents"].as_array().expect("intents").clone();
        if intents.iter().all(|intent| intent["state"] == "done") {
            break intents;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{page}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let mut kinds: Vec<String> = intents
        .iter()
        .map(|intent| {
            intent["intent"]["key"].as_str().expect("a key").split('/').next().unwrap_or_default().to_owned()
        })
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["ballots", "draw", "open"]);
}

/// What a service answers within a minute: it may be dying just now, at a point that it is to die at.
async fn ask(url: &str) -> Value {
    let started = std::time::Instant::now();
    loop {
        if let Ok(answer) = reqwest::get(url).await
            && let Ok(bytes) = answer.bytes().await
        {
            return json(&bytes);
        }
        assert!(started.elapsed() < Duration::from_secs(60), "nobody answers at {url}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
