//! Runbooks of docs/operations.md that take a whole market to drill; the others are drilled in the services' own tests.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::time::{Duration, Instant};

use alloy::{primitives::Address, providers::Provider, signers::local::PrivateKeySigner};
use end_to_end::{Folder, Running, TRADES_WAIT, chain::connect, json, kill_service, oracle::check};
use serde_json::Value;

/// The last of the accounts that every local chain endows.
const ANOTHER_KEY: &str = "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6";

async fn ask(url: &str) -> Option<Value> {
    let answer = reqwest::get(url).await.ok()?;
    answer.status().is_success().then_some(())?;
    Some(json(&answer.bytes().await.ok()?))
}

/// Asks until the answer is as it should be, a minute at most.
async fn until(url: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let answer = ask(url).await;
        match answer {
            Some(answer) if holds(&answer) => return answer,
            answer => {
                assert!(started.elapsed() < Duration::from_secs(60), "{what}: {url} answers {answer:?}")
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Takes a service's database away for good, and the service with it: it comes back with an empty one.
fn lose_database(folder: &Folder, up: &Running, service: &str) {
    for suffix in ["sqlite", "sqlite-wal", "sqlite-shm"] {
        let file = folder.data().join(format!("{service}.{suffix}"));
        match std::fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && suffix != "sqlite" => {}
            Err(error) => panic!("{}: {error}", file.display()),
        }
    }
    assert!(kill_service(up.id(), service), "the {service} does not run");
}

fn started(folder: &Folder, environment: &[(&str, String)]) -> Running {
    let mut up = folder.up(&[], environment);
    up.wait_for("Everything runs until", TRADES_WAIT);
    up
}

fn finish(up: Running) {
    up.interrupt();
    let (code, said) = up.wait(Duration::from_secs(60));
    assert_eq!(code, Some(0), "{}", said.join("\n"));
}

fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test]
async fn an_indexer_that_lost_its_database_reads_the_chain_again() {
    let folder = Folder::new();
    let up = started(&folder, &[]);
    check(&folder).await;
    lose_database(&folder, &up, "indexer");
    let status = format!("{}/status", folder.relayer());
    let told =
        until(&status, "the relayer begins the feed anew", |status| status["feed"]["restarts"] == 1).await;
    assert!(told["feed"]["refused_entries"] == 0, "{told}");
    // All events of the past are final when they are read again: told once, delivered once more, applied no second time.
    let feed = format!("{}/v1/feed?after=0&limit=500", folder.indexer());
    let finals = |feed: &Value| {
        let entries = feed["entries"].as_array().expect("entries");
        let of_deals = entries.iter().filter(|entry| !entry["event"]["body"]["deal"].is_null());
        of_deals.filter(|entry| entry["finality"] == "final").count()
    };
    let on_chain = 9; // of the two trades
    let feed = until(&feed, "everything is read again", |feed| finals(feed) >= on_chain).await;
    let last = number(&feed["cursor"]);
    until(&status, "everything is delivered again", |status| number(&status["feed"]["cursor"]) >= last).await;
    check(&folder).await;
    finish(up);
}

#[tokio::test]
async fn a_relayer_that_lost_its_database_does_nothing_twice() {
    let folder = Folder::new();
    let up = started(&folder, &[]);
    check(&folder).await;
    lose_database(&folder, &up, "relayer");
    let intents = format!("{}/v1/intents", folder.relayer());
    let done = |page: &Value| {
        let intents = page["intents"].as_array().expect("intents");
        intents.len() == 3
            && intents
                .iter()
                .all(|intent| intent["state"] == "done" && intent["attempts"] == Value::Array(Vec::new()))
    };
    until(&intents, "what is done is found done", done).await;
    check(&folder).await;
    finish(up);
}

fn until_status(folder: &Folder, purchase: &str, wanted: &str) {
    let started = Instant::now();
    loop {
        let view = folder.done("buyer", &["purchase", "show", purchase]);
        if view["status"] == wanted {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(120), "{view}");
    }
}

#[tokio::test]
async fn a_hub_from_an_older_backup_is_brought_what_it_lacks() {
    let folder = Folder::new();
    let up = started(&folder, &[]);
    let create = ["listing", "create", "Honey", "--kind", "physical", "--price", "5000000"];
    let id = |value: Value| value["id"].as_str().expect("an id").to_owned();
    let listing = id(folder.done("seller", &create));
    let purchase = id(folder.done("buyer", &["purchase", "offer", &listing]));
    folder.done("seller", &["purchase", "accept", &purchase]);
    finish(up);
    let (database, backup) = (folder.data().join("hub.sqlite"), folder.file("hub.backup"));
    assert!(!folder.data().join("hub.sqlite-wal").exists(), "a hub that ended leaves one file");
    std::fs::copy(&database, &backup).expect("a backup");

    let up = started(&folder, &[]);
    folder.done("buyer", &["deal", "fund", &purchase]);
    until_status(&folder, &purchase, "funded");
    folder.done("buyer", &["deal", "release", &purchase]);
    until_status(&folder, &purchase, "completed");
    let status = format!("{}/status", folder.relayer());
    assert_eq!(until(&status, "a status", |_| true).await["feed"]["restarts"], 0);
    finish(up);

    std::fs::copy(&backup, &database).expect("the old one is back");
    let up = started(&folder, &[]);
    until_status(&folder, &purchase, "completed");
    let told = until(&status, "a status", |_| true).await;
    assert_eq!(
        (&told["feed"]["restarts"], &told["feed"]["refused_entries"]),
        (&1.into(), &0.into()),
        "{told}"
    );
    finish(up);
}

#[tokio::test]
async fn another_key_takes_over_and_what_the_old_one_did_stands() {
    let folder = Folder::new();
    finish(started(&folder, &[]));
    let up = started(&folder, &[("EARNEST_RELAYER_PRIVATE_KEY", ANOTHER_KEY.to_owned())]);
    let provider = connect(&folder.rpc()).await;
    let old = std::fs::read_to_string(folder.data().join("profiles/relayer/wallet.key")).expect("a key");
    for key in [old.trim(), ANOTHER_KEY] {
        let address: Address = key.parse::<PrivateKeySigner>().expect("a key").address();
        let sent = provider.get_transaction_count(address).await.expect("a nonce");
        assert_eq!(sent, 3, "transactions of {address}: each key did the three of one dispute");
    }
    let intents = format!("{}/v1/intents", folder.relayer());
    let done = |page: &Value| {
        let intents = page["intents"].as_array().expect("intents");
        intents.len() == 6 && intents.iter().all(|intent| intent["state"] == "done")
    };
    until(&intents, "the intents of both", done).await;
    finish(up);
}
