//! `earnest up`: from nothing, again on what is there, and afresh.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::time::Duration;

use end_to_end::{
    Folder, TRADES_WAIT, anything_runs_over,
    chain::{balance, connect, number},
    json,
};
use serde_json::Value;

const PRICE: &str = "250000000000000000";

fn once(folder: &Folder, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = ["--once"].iter().chain(arguments).copied().collect();
    let (code, said) = folder.up(&arguments, &[]).wait(TRADES_WAIT);
    assert_eq!(code, Some(0), "{}", said.join("\n"));
    assert!(!anything_runs_over(&folder.data()), "something was left running");
    json(said.last().expect("a last line").as_bytes())
}

fn check_report(report: &Value) {
    let trades = report["trades"].as_array().expect("trades");
    assert_eq!(trades.len(), 2);
    for (trade, name, status, seller, buyer, kinds) in [
        (
            &trades[0],
            "completed",
            "completed",
            PRICE,
            "0",
            vec!["TrustedSellerCredential", "ReliablePayerCredential"],
        ),
        (&trades[1], "disputed", "refunded", "0", PRICE, vec!["DisputeLostCredential"]),
    ] {
        assert_eq!(trade["name"], name);
        assert_eq!(trade["status"], status);
        assert_eq!(trade["payouts"]["seller"], seller);
        assert_eq!(trade["payouts"]["buyer"], buyer);
        let told: Vec<&Value> =
            trade["credentials"].as_array().expect("credentials").iter().map(|c| &c["type"][1]).collect();
        assert_eq!(told, kinds);
    }
}

#[tokio::test]
async fn a_market_starts_goes_on_and_starts_over() {
    let folder = Folder::new();
    let first = once(&folder, &[]);
    check_report(&first);

    let mut up = folder.up(&[], &[]);
    up.wait_for("Everything runs until", TRADES_WAIT);
    let second = folder.report();
    check_report(&second);
    for trade in 0..2 {
        assert_ne!(
            first["trades"][trade]["deal"], second["trades"][trade]["deal"],
            "a second run makes new deals"
        );
    }
    for party in ["buyer", "seller"] {
        assert_eq!(
            first["trades"][1]["balances"][party]["after"], second["trades"][0]["balances"][party]["before"],
            "the second run goes on from the first"
        );
    }
    check_balances(&folder, &second).await;
    check_credentials(&folder, &first);
    check_credentials(&folder, &second);
    up.interrupt();
    let (code, said) = up.wait(Duration::from_secs(60));
    assert_eq!(code, Some(0), "{}", said.join("\n"));

    pretend_other_contracts(&folder);
    let (code, said) = folder.up(&["--once"], &[]).wait(TRADES_WAIT);
    assert_eq!(code, Some(1), "{}", said.join("\n"));
    assert!(!said.iter().any(|line| line.contains("start the hub")), "{said:?}");

    let third = once(&folder, &["--fresh"]);
    check_report(&third);
    let wallet = |report: &Value| report["trades"][0]["balances"]["buyer"]["wallet"].clone();
    assert_eq!(wallet(&first), wallet(&second), "the people stay");
    assert_ne!(wallet(&first), wallet(&third), "--fresh makes new people");
}

/// The folder as another version would have left it: contracts whose code is not this binary's.
fn pretend_other_contracts(folder: &Folder) {
    let path = folder.data().join("market.json");
    let mut market = json(&std::fs::read(&path).expect("the market"));
    market["sides"][0]["arbiter"] = market["sides"][0]["escrow"].clone();
    std::fs::write(path, market.to_string()).expect("the market");
}

/// What the report says about money is what the chain says.
async fn check_balances(folder: &Folder, report: &Value) {
    let provider = connect(&folder.rpc()).await;
    for trade in report["trades"].as_array().expect("trades") {
        let transactions = trade["transactions"].as_array().expect("transactions");
        let before = transactions[0]["block"].as_u64().expect("a block") - 1;
        let events = trade["events"].as_array().expect("events");
        let after = number(&events[events.len() - 1]["block_number"]).to::<u64>();
        for party in ["buyer", "seller"] {
            let told = &trade["balances"][party];
            let wallet = told["wallet"].as_str().expect("a wallet");
            assert_eq!(balance(&provider, wallet, before).await, number(&told["before"]));
            assert_eq!(balance(&provider, wallet, after).await, number(&told["after"]));
        }
    }
}

/// Every credential holds by the chain alone, and none holds when a byte of it is another.
fn check_credentials(folder: &Folder, report: &Value) {
    let verify_at = |credential: &[u8], trust: &str, more: &[&str]| {
        let file = folder.file("credential.json");
        std::fs::write(&file, credential).expect("a file");
        let file = file.to_str().expect("a path");
        let rpc = folder.rpc();
        let verb = ["--rpc", &rpc, "verify", "credential", file, "--trust", trust];
        folder.verb(&[verb.as_slice(), more].concat()).status.code()
    };
    let verify = |credential: &[u8], trust: &str| verify_at(credential, trust, &[]);
    let trades = report["trades"].as_array().expect("trades");
    let credentials: Vec<&Value> =
        trades.iter().flat_map(|trade| trade["credentials"].as_array().expect("credentials")).collect();
    assert_eq!(credentials.len(), 3);
    let hub = credentials[2]["issuer"].as_str().expect("an issuer").to_owned();
    let somebody = credentials[0]["issuer"].as_str().expect("an issuer").to_owned();
    for credential in &credentials {
        let bytes = serde_json::to_vec(credential).expect("JSON");
        assert_eq!(verify(&bytes, &hub), Some(0), "{credential}");
        for at in (0..bytes.len()).step_by(61) {
            let mut other = bytes.clone();
            other[at] = if other[at] == b'1' { b'2' } else { b'1' };
            assert_eq!(verify(&other, &hub), Some(3), "byte {at} of {credential}");
        }
    }
    let lost = serde_json::to_vec(credentials[2]).expect("JSON");
    let subject = &credentials[2]["credentialSubject"];
    for (escrow, code) in [(&subject["terms"]["escrow"], 0), (&subject["terms"]["arbiter"], 3)] {
        let escrow = escrow.as_str().expect("a contract");
        assert_eq!(verify_at(&lost, &hub, &["--escrow", escrow]), Some(code), "with {escrow} for an escrow");
    }
    assert_eq!(
        verify(&lost, &somebody),
        Some(3),
        "a lost dispute is the word of a hub that the verifier trusts"
    );
}

#[tokio::test]
async fn interrupting_stops_everything_and_one_folder_holds_one_market() {
    let folder = Folder::new();
    let mut up = folder.up(&[], &[]);
    up.wait_for("start the relayer (", TRADES_WAIT);
    let second = folder.verb(&["up", "--once"]);
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("another `earnest up`"), "{told}");
    up.interrupt();
    let (code, said) = up.wait(Duration::from_secs(60));
    assert_eq!(code, Some(0), "{}", said.join("\n"));
    assert!(!anything_runs_over(&folder.data()), "something was left running");
}

#[tokio::test]
async fn nothing_outlives_a_killed_supervisor() {
    let folder = Folder::new();
    let mut up = folder.up(&[], &[]);
    up.wait_for("start the relayer (", TRADES_WAIT);
    up.kill();
    let started = std::time::Instant::now();
    while anything_runs_over(&folder.data()) {
        assert!(started.elapsed().as_secs() < 60, "a service outlives its supervisor");
        std::thread::sleep(Duration::from_millis(20));
    }
}
