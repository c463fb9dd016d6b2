//! What people sign and the hub's relayer sends: a sponsored release, a settlement, and a time-out by standing order, on both
//! kinds of chain.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::time::{Duration, Instant};

use end_to_end::{Folder, TRADES_WAIT, json};
use serde_json::Value;

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

/// A purchase that is funded on one of the chains.
fn funded(folder: &Folder, on: &str, offer: &[&str]) -> String {
    let create = ["--on", on, "listing", "create", "Honey", "--kind", "physical", "--price", "5000000"];
    let listing = id(&folder.done("seller", &create));
    let purchase = id(&folder.done("buyer", &[&["purchase", "offer", &listing], offer].concat()));
    folder.done("seller", &["purchase", "accept", &purchase]);
    folder.done("buyer", &["deal", "fund", &purchase]);
    // What is signed is taken once the hub has seen the funding.
    let started = Instant::now();
    loop {
        let view = folder.done("buyer", &["purchase", "show", &purchase]);
        if view["status"] == "funded" || view["provisional"]["status"] == "funded" {
            return purchase;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{view}");
    }
}

fn until_status(folder: &Folder, purchase: &str, wanted: &str) -> Value {
    let started = Instant::now();
    loop {
        let view = folder.done("buyer", &["purchase", "show", purchase]);
        if view["status"] == wanted {
            return view;
        }
        assert!(started.elapsed() < Duration::from_secs(120), "{view}");
    }
}

/// What the relayer says of the intent whose key begins so, once it is done.
fn done(folder: &Folder, purchase: &str, key: &str) -> Value {
    let started = Instant::now();
    loop {
        let view = folder.done("seller", &["purchase", "show", purchase]);
        let intents = view["details"]["intents"].as_array().expect("intents");
        let found = intents.iter().find(|one| one["key"].as_str().is_some_and(|text| text.starts_with(key)));
        if let Some(intent) = found.filter(|intent| intent["progress"]["state"] == "done") {
            assert!(!intent["progress"]["transaction"].is_null(), "the relayer sent it: {intent}");
            return intent.clone();
        }
        assert!(started.elapsed() < Duration::from_secs(120), "{view}");
    }
}

#[tokio::test]
async fn what_people_sign_is_sent_for_them_and_time_outs_come_by_themselves() {
    let folder = Folder::new();
    let mut up = folder.up(&["--solana"], &[]);
    up.wait_for("Everything runs until", TRADES_WAIT);
    for on in ["evm", "solana"] {
        // The seller is asleep from the delivery on; the hub acts for it when the time has come.
        let claimed = funded(&folder, on, &["--inspection", "5"]);
        folder.done("seller", &["deal", "standing", &claimed, "--claim"]);
        folder.done("seller", &["deal", "deliver", &claimed, "--sponsored"]);

        let released = funded(&folder, on, &[]);
        folder.done("buyer", &["deal", "release", &released, "--total", "2000000", "--sponsored"]);
        let again = ["--as", "buyer", "deal", "release", &released, "--total", "2000000", "--sponsored"];
        done(&folder, &released, "act/");
        let refused = folder.verb(&again);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        // The relayer may know of the release before the hub does; then it is the same act once more.
        let words = ["nothing moves", "handed in before"];
        let named = words.iter().any(|words| told.contains(words));
        assert!(refused.status.code() == Some(1) && named, "{told}");
        let other = folder.verb(&["--as", "seller", "deal", "release", &released, "--sponsored"]);
        let told = String::from_utf8_lossy(&other.stderr).into_owned();
        assert!(other.status.code() == Some(1) && told.contains("other party"), "{told}");
        folder.done("buyer", &["deal", "settle", &released, "--total", "3000000"]);
        folder.done("seller", &["deal", "settle", &released, "--total", "3000000"]);
        let view = until_status(&folder, &released, "completed");
        let details = &view["details"];
        assert_eq!((&details["released"], &details["refunded"]), (&"3000000".into(), &"2000000".into()));
        assert_eq!(details["acts"].as_array().map(Vec::len), Some(3), "{details}");

        let view = until_status(&folder, &claimed, "completed");
        assert_eq!(view["details"]["released"], "5000000");
        assert_eq!(view["details"]["standing"][0]["time_out"], "claim");
        done(&folder, &claimed, "time-out/");
    }

    // What it would cost, by the relayer's own configuration: there is nothing left to do.
    let hub = std::fs::read_to_string(folder.data().join("earnest.toml")).expect("the configuration");
    assert!(hub.contains("[relayer]"));
    let config = folder.data().join("earnest.toml");
    let settled = funded(&folder, "evm", &[]);
    let terms = folder.done("buyer", &["deal", "show", &settled])["terms"].clone();
    let intent = serde_json::json!({
        "seq": "1", "key": "k", "arbiter": terms["arbiter"], "terms": terms, "deadline": "99999999999",
        "action": { "do": "time_out", "time_out": "reclaim" }, "asked_by": "somebody",
    });
    let arguments = ["--json", "relayer", "estimate", "-", "--config", config.to_str().expect("a path")];
    let asked = folder.verb_with(&arguments, &[], &intent.to_string());
    assert_eq!(asked.status.code(), Some(0), "{}", String::from_utf8_lossy(&asked.stderr));
    let outlook = json(&asked.stdout);
    assert_eq!((&outlook["would_succeed"], &outlook["refusal"]["rule"]), (&false.into(), &"TooEarly".into()));
    up.interrupt();
    assert_eq!(up.wait(Duration::from_secs(60)).0, Some(0));
}
