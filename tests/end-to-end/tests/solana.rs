//! `earnest up --solana`: the same trades on both chains, and what anyone can check of them at the Solana node.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::time::Duration;

use end_to_end::{Folder, TRADES_WAIT, anything_runs_over, bundle::Kept, json};
use serde_json::{Value, json as value};

/// A quarter of a coin in wei, and in lamports.
const PRICES: [&str; 2] = ["250000000000000000", "250000000"];

fn trades_of(report: &Value) -> &[Value] {
    report["trades"].as_array().expect("trades")
}

fn check_report(report: &Value) {
    let trades = trades_of(report);
    assert_eq!(trades.len(), 4);
    for (pair, (price, namespace)) in trades.chunks(2).zip(PRICES.iter().zip(["eip155:", "solana:"])) {
        for (trade, name, status, seller, buyer, credentials) in [
            (&pair[0], "completed", "completed", *price, "0", 2),
            (&pair[1], "disputed", "refunded", "0", price, 1),
        ] {
            assert!(trade["chain"].as_str().expect("a chain").starts_with(namespace), "{trade}");
            assert_eq!((&trade["name"], &trade["status"]), (&value!(name), &value!(status)));
            assert_eq!(trade["payouts"], value!({ "seller": seller, "buyer": buyer }));
            assert_eq!(trade["credentials"].as_array().expect("credentials").len(), credentials);
        }
    }
    // The same course on both: the same events in the same order, ballots of the same number of jurors among them.
    let names = |trade: &Value| -> Vec<String> {
        let events = trade["events"].as_array().expect("events");
        events.iter().map(|event| event["name"].as_str().expect("a name").to_owned()).collect()
    };
    for (evm, solana) in trades[..2].iter().zip(&trades[2..]) {
        assert_eq!(names(evm), names(solana));
    }
}

/// What a Solana node says, asked without any code of the product.
async fn ask(rpc: &str, method: &str, params: Value) -> Value {
    let body = value!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = reqwest::Client::new().post(rpc).json(&body).send().await.expect("the node answers");
    let answer: Value = answer.json().await.expect("JSON");
    assert!(answer["error"].is_null(), "{answer}");
    answer["result"].clone()
}

/// What the report says of the parties' money is what the node says, and after = before + change - fees - rent.
async fn check_balances(rpc: &str, report: &Value) {
    let [completed, disputed] = &trades_of(report)[2..] else { panic!("two trades on Solana") };
    for party in ["buyer", "seller"] {
        let number = |trade: &Value, name: &str| -> i128 {
            trade["balances"][party][name].as_str().expect("a number").parse().expect("a number")
        };
        for trade in [completed, disputed] {
            let spent = number(trade, "fees_paid") + number(trade, "rent_paid");
            assert_eq!(number(trade, "after"), number(trade, "before") + number(trade, "change") - spent);
        }
        assert_eq!(number(completed, "after"), number(disputed, "before"));
        let wallet = &disputed["balances"][party]["wallet"];
        let told = ask(rpc, "getBalance", value!([wallet, { "commitment": "confirmed" }])).await;
        assert_eq!(told["value"].as_u64().map(i128::from), Some(number(disputed, "after")), "{party}");
    }
    // Every transaction of the parties is in a block and went through.
    for sent in completed["transactions"].as_array().expect("transactions") {
        let config = value!({ "searchTransactionHistory": true });
        let told = ask(rpc, "getSignatureStatuses", value!([[sent["transaction"]], config])).await;
        assert!(told["value"][0]["err"].is_null() && told["value"][0]["slot"] == sent["block"], "{told}");
    }
}

/// Credentials hold by the node alone, and none holds when a byte of it is another.
fn check_credentials(folder: &Folder, report: &Value) {
    let trades = &trades_of(report)[2..];
    let credentials: Vec<&Value> =
        trades.iter().flat_map(|trade| trade["credentials"].as_array().expect("credentials")).collect();
    assert_eq!(credentials.len(), 3);
    let hub = credentials[2]["issuer"].as_str().expect("an issuer");
    let (file, rpc) = (folder.file("credential.json"), folder.solana_rpc());
    let verify = |credential: &[u8]| {
        std::fs::write(&file, credential).expect("a file");
        let file = file.to_str().expect("a path");
        folder.verb(&["--rpc", &rpc, "verify", "credential", file, "--trust", hub]).status.code()
    };
    for credential in &credentials {
        let bytes = serde_json::to_vec(credential).expect("JSON");
        assert_eq!(verify(&bytes), Some(0), "{credential}");
        for at in (0..bytes.len()).step_by(151) {
            let mut other = bytes.clone();
            other[at] = if other[at] == b'1' { b'2' } else { b'1' };
            assert_eq!(verify(&other), Some(3), "byte {at} of {credential}");
        }
    }
}

/// The verbs of a person with both wallets, and a deal with terms that were never seen by the sample.
fn check_verbs(folder: &Folder, report: &Value) {
    let rpc = folder.solana_rpc();
    let held = folder.verb(&["--json", "--rpc", &rpc, "verify", "contracts"]);
    assert_eq!(held.status.code(), Some(0), "{}", String::from_utf8_lossy(&held.stderr));
    assert_eq!(json(&held.stdout)["contracts"][0]["upgrade_authority"], Value::Null);

    let subject = &trades_of(report)[2]["credentials"][0]["credentialSubject"];
    let (terms, deal) = (subject["terms"].to_string(), subject["deal"]["deal_id"].as_str().expect("an id"));
    for (arguments, code) in [
        (vec!["verify", "deal", "-", "--deal", deal, "--offline"], 0),
        (vec!["--rpc", &rpc, "verify", "deal", "-", "--deal", deal], 0),
        (vec!["verify", "deal", "-", "--deal", &format!("0x{}", "07".repeat(32)), "--offline"], 3),
    ] {
        let output = folder.verb_with(&[&["--json"], arguments.as_slice()].concat(), &[], &terms);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stdout));
    }

    let wallets = folder.done("buyer", &["account", "show"])["wallets"].clone();
    assert_eq!(wallets.as_array().map(Vec::len), Some(2), "{wallets}");
    let otto = folder.done("otto", &["account", "new", "--solana"]);
    let only = otto["wallets"].as_array().expect("wallets");
    assert!(
        only.len() == 1 && only[0]["wallet"].as_str().is_some_and(|one| one.starts_with("solana:")),
        "{otto}"
    );
    let both = folder.done("otto", &["account", "add-wallet"]);
    assert_eq!(
        (both["wallets"].as_array().map(Vec::len), &both["account"]),
        (Some(2), &otto["account"]),
        "{both}"
    );
    let deployed = folder.verb(&["--as", "otto", "--rpc", &rpc, "deploy"]);
    let told = String::from_utf8_lossy(&deployed.stderr).into_owned();
    assert!(deployed.status.code() == Some(1) && told.contains("docs/solana.md"), "{told}");

    let listing = folder.done(
        "seller",
        &[
            "--on",
            "solana",
            "listing",
            "create",
            "Ten jars of honey",
            "--kind",
            "physical",
            "--price",
            "5000000",
        ],
    );
    let id = |told: &Value| told["id"].as_str().expect("an id").to_owned();
    let purchase = id(&folder.done("buyer", &["purchase", "offer", &id(&listing)]));
    folder.done("seller", &["purchase", "accept", &purchase]);
    let early = folder.verb(&["--as", "seller", "deal", "deliver", &purchase]);
    let told = String::from_utf8_lossy(&early.stderr).into_owned();
    assert!(early.status.code() == Some(1) && told.contains("the program refuses: UnknownDeal"), "{told}");
    let funded = folder.done("buyer", &["deal", "fund", &purchase]);
    assert_eq!(funded["transactions"].as_array().map(Vec::len), Some(1), "{funded}");
    let stranger = folder.verb(&["--as", "juror-1", "deal", "deliver", &purchase]);
    assert_eq!(stranger.status.code(), Some(1), "a stranger cannot act");
    folder.done("seller", &["deal", "refund", &purchase]);
    let shown = folder.done("buyer", &["deal", "show", &purchase]);
    assert_eq!((&shown["status"], &shown["refunded"]), (&value!("closed"), &value!("5000000")), "{shown}");
}

#[tokio::test]
async fn both_chains_have_the_same_trades_and_another_start_is_another_solana_chain() {
    let folder = Folder::new();
    let mut up = folder.up(&["--solana"], &[]);
    up.wait_for("Everything runs until", TRADES_WAIT);
    let report = folder.report();
    check_report(&report);
    check_balances(&folder.solana_rpc(), &report).await;
    check_credentials(&folder, &report);
    check_verbs(&folder, &report);
    let disputed = &trades_of(&report)[3];
    let kept = Kept::of(&folder, disputed["purchase"].as_str().expect("a purchase"));
    up.interrupt();
    let (code, said) = up.wait(Duration::from_secs(60));
    assert_eq!(code, Some(0), "{}", said.join("\n"));
    assert!(!anything_runs_over(&folder.data()), "something was left running");
    let found = kept.check(&folder);
    assert_eq!((&found["deal"], &found["share"]), (&disputed["deal"], &value!(0)));
    assert_eq!(value!({ "seller": found["seller"], "buyer": found["buyer"] }), disputed["payouts"]);

    let mut again = folder.up(&["--solana"], &[]);
    again.wait_for("the contracts of earlier runs are there", TRADES_WAIT);
    again.wait_for("it is another chain than that of the last run", TRADES_WAIT);
    again.wait_for("start the solana-relayer (", TRADES_WAIT);
}
