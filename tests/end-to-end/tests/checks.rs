//! What a hub says of a chain, held against the chain: the list of a pool that a vote decided, and what the ledger counts in deals.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::time::{Duration, Instant};

use end_to_end::{Folder, Running, TRADES_WAIT, json, kill_service};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

/// The longest that what was sent may take to be known everywhere.
const WAIT: Duration = Duration::from_secs(60);
/// A proposal's window where the command line names none, and a minute.
const WINDOW_SECONDS: u64 = 4 * 86_400 + 60;

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

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// What a verb shows once it is as it should be; it may fail before that.
fn until(folder: &Folder, verb: &[&str], what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let arguments = [["--as", "buyer", "--json"].as_slice(), verb].concat();
    let started = Instant::now();
    loop {
        let output = folder.verb(&arguments);
        if output.status.success() {
            let shown = json(&output.stdout);
            if holds(&shown) {
                return shown;
            }
        }
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(started.elapsed() < WAIT, "{what}: {}{told}", String::from_utf8_lossy(&output.stdout));
    }
}

/// What `pool check` finds once it ends with this code: 0 where chain and vote agree, 3 where they do not.
fn checked(folder: &Folder, pool: &str, wanted: i32) -> Value {
    let started = Instant::now();
    loop {
        let output = folder.verb(&["--as", "buyer", "--json", "pool", "check", pool]);
        let (code, told) = (output.status.code(), String::from_utf8_lossy(&output.stderr));
        if code == Some(wanted) {
            return json(&output.stdout);
        }
        // The other of both, until the indexer has seen what was published.
        assert!(matches!(code, Some(0 | 3)) && started.elapsed() < WAIT, "{code:?}: {told}");
    }
}

#[tokio::test]
async fn a_list_that_a_vote_decided_is_published_and_another_one_is_noticed() {
    let folder = Folder::new();
    let clock = folder.file("clock");
    let up = started(&folder, &[("EARNEST_CLOCK_AHEAD", clock.to_str().expect("a path").to_owned())]);
    let market = json(&std::fs::read(folder.data().join("market.json")).expect("market.json"));
    let community = text(&market["community"]);
    let (arbiter, pool) = (text(&market["sides"][0]["arbiter"]), text(&market["sides"][0]["panel"]));
    let people = ["steward", "buyer", "seller"].map(str::to_owned).into_iter();
    let people: Vec<String> = people.chain((1..=8).map(|number| format!("juror-{number}"))).collect();
    let wallet = |who: &String| {
        let wallet = text(&folder.done(who, &["account", "show"])["wallet"]);
        wallet.rsplit(':').next().expect("an address").to_owned()
    };
    // Those of whom the steward made the first list. Somebody joins, whom the next one is to have as well.
    let before: Vec<String> = people.iter().map(wallet).collect();
    let ida = text(&folder.done("ida", &["account", "new"])["account"]);
    folder.done("steward", &["community", "add-member", &community, &ida]);
    folder.done("ida", &["community", "join", &community]);
    for who in people.iter().map(String::as_str).chain(["ida"]) {
        let wallet = text(&folder.done(who, &["account", "show"])["wallet"]);
        folder.done(who, &["community", "stand", &community, &wallet]);
    }

    let effect = json!({ "pool_list": { "arbiter": arbiter, "panel": pool } }).to_string();
    let open = ["proposal", "open", &community, "Who sits on our juries", "--effect", &effect];
    let proposal = id(&folder.done("steward", &open));
    for who in people.iter().take(7) {
        folder.done(who, &["proposal", "vote", &proposal, "yes"]);
    }
    // The hub believes a clock that is ahead when it starts, and not one that leaps.
    std::fs::write(&clock, WINDOW_SECONDS.to_string()).expect("the clock's file");
    assert!(kill_service(up.id(), "hub"), "the hub does not run");
    let show = ["proposal", "show", &proposal];
    until(&folder, &show, "the tally", |shown| shown["state"] == "executed");
    folder.done("buyer", &["proposal", "tally", &proposal]);

    // The chain has the list from before.
    checked(&folder, &pool, 3);
    let publish = |who: &str, more: &[&str]| {
        let verb = ["--as", who, "--json", "pool", "publish", &pool];
        let output = folder.verb(&[verb.as_slice(), more].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let (code, told) = publish("steward", &before);
    assert!(code == Some(1) && told.contains("--against-the-vote"), "{told}");
    let (code, told) = publish("buyer", &[]);
    assert!(code == Some(1) && told.contains("NotKeeper"), "{told}");
    checked(&folder, &pool, 3);
    let (code, told) = publish("steward", &[]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(checked(&folder, &pool, 0)["holds"], true);

    // The keeper publishes the old list again.
    let (code, told) = publish("steward", &[before.as_slice(), &["--against-the-vote"]].concat());
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(checked(&folder, &pool, 3)["holds"], false);
    finish(up);
}

/// What `ledger verify` ends with and finds.
fn verified(folder: &Folder, more: &[&str]) -> (Option<i32>, Value) {
    let config = folder.data().join("earnest.toml");
    let verb = ["--json", "ledger", "verify", "--config", config.to_str().expect("a path")];
    let output = folder.verb(&[verb.as_slice(), more].concat());
    (output.status.code(), json(&output.stdout))
}

/// Sets what a deal's own account in the hub's ledger is at.
async fn set_balance(folder: &Folder, purchase: &str, balance: i128) {
    let url = format!("sqlite:{}", folder.data().join("hub.sqlite").display());
    let mut database = SqliteConnection::connect(&url).await.expect("the hub's database");
    let done = sqlx::query("UPDATE ledger_accounts SET balance = $1 WHERE id LIKE $2")
        .bind(format!("{balance:+039}"))
        .bind(format!("%|mirror|{purchase}"))
        .execute(&mut database)
        .await
        .expect("a statement");
    assert_eq!(done.rows_affected(), 1, "accounts that mirror {purchase}");
    database.close().await.expect("closed");
}

#[tokio::test]
async fn a_ledger_that_counts_another_amount_than_the_chain_holds_names_the_deal() {
    let folder = Folder::new();
    let up = started(&folder, &[]);
    let create = ["listing", "create", "Honey", "--kind", "physical", "--price", "5000"];
    let listing = id(&folder.done("seller", &create));
    let purchase = id(&folder.done("buyer", &["purchase", "offer", &listing]));
    folder.done("seller", &["purchase", "accept", &purchase]);
    folder.done("buyer", &["deal", "fund", &purchase]);
    let show = ["purchase", "show", &purchase];
    let view = until(&folder, &show, "the funding", |view| view["status"] == "funded");
    let (deal, asset) = (text(&view["deal"]), text(&view["details"]["terms"]["asset"]));

    // The deals of the sample are closed, and what was booked of this one is what the chain holds.
    let (code, sound) = verified(&folder, &["--chain"]);
    assert_eq!((code, &sound["told"]), (Some(0), &json!([])), "{sound}");
    assert_eq!((&sound["asked"], &sound["unsettled"]), (&json!("1"), &json!("0")), "{sound}");

    set_balance(&folder, &purchase, -4_999).await;
    let (code, alone) = verified(&folder, &[]);
    assert_eq!(code, Some(3), "{alone}");
    let (code, found) = verified(&folder, &["--chain"]);
    assert_eq!(code, Some(3), "{found}");
    // What the chain says of it comes to what the database says of itself.
    let lines = |found: &Value| found["told"].as_array().expect("lines").clone();
    let known = lines(&alone);
    let more: Vec<String> = lines(&found).iter().filter(|line| !known.contains(line)).map(text).collect();
    let named = |line: &String| {
        [deal.as_str(), asset.as_str(), "4999", "5000"].into_iter().all(|part| line.contains(part))
    };
    assert!(more.len() == 1 && more.iter().all(named), "{deal} of {asset}: {more:?}");

    set_balance(&folder, &purchase, -5_000).await;
    let (code, sound) = verified(&folder, &["--chain"]);
    assert_eq!((code, &sound["told"]), (Some(0), &json!([])), "{sound}");
    finish(up);
}
