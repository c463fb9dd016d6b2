//! The client verbs, as somebody uses them in another terminal beside `earnest up`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::time::Duration;

use end_to_end::{Folder, TRADES_WAIT, json};
use serde_json::Value;

/// Runs a verb that must succeed and answers its JSON.
fn done(folder: &Folder, who: &str, verb: &[&str]) -> Value {
    folder.done(who, verb)
}

/// Runs a verb that must fail and answers its exit code and what it says, which is one line.
fn refused(folder: &Folder, arguments: &[&str]) -> (i32, String) {
    let output = folder.verb(arguments);
    let told = String::from_utf8(output.stderr).expect("text");
    assert!(told.starts_with("earnest: ") && told.trim_end().lines().count() == 1, "{told}");
    assert!(output.stdout.is_empty());
    (output.status.code().expect("an exit code"), told)
}

fn until_status(folder: &Folder, purchase: &str, wanted: &str) -> Value {
    let started = std::time::Instant::now();
    loop {
        let view = done(folder, "buyer", &["purchase", "show", purchase]);
        if view["status"] == wanted {
            return view;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{view}");
    }
}

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn two_people_trade_by_hand() {
    let folder = Folder::new();
    let mut up = folder.up(&[], &[]);
    up.wait_for("Everything runs until", TRADES_WAIT);

    let title = "Ten jars of honey";
    let create = ["listing", "create", title, "--kind", "physical", "--price", "5000", "--tag", "honey"];
    let listing = id(&done(&folder, "seller", &create));
    let found = done(&folder, "buyer", &["listing", "list", "--tag", "honey"]);
    assert_eq!(found["items"][0]["body"]["title"], title);
    let purchase = id(&done(&folder, "buyer", &["purchase", "offer", &listing]));

    let (code, told) = refused(&folder, &["--as", "buyer", "deal", "fund", &purchase]);
    assert!(code == 1 && told.contains("the seller has not signed"), "{told}");
    let (code, told) = refused(&folder, &["--as", "buyer", "purchase", "accept", &purchase]);
    assert!(code == 1 && told.contains("not your wallet"), "{told}");
    done(&folder, "seller", &["purchase", "accept", &purchase]);
    done(&folder, "buyer", &["deal", "fund", &purchase]);
    let (code, told) = refused(&folder, &["--as", "buyer", "deal", "deliver", &purchase]);
    assert!(code == 1 && told.contains("NotSeller"), "{told}");
    done(&folder, "seller", &["deal", "deliver", &purchase]);
    done(&folder, "buyer", &["deal", "release", &purchase, "--total", "2000"]);
    done(&folder, "buyer", &["deal", "release", &purchase]);
    let view = until_status(&folder, &purchase, "completed");
    assert_eq!(view["details"]["released"], "5000");

    done(&folder, "buyer", &["credential", "issue", &purchase]);
    done(&folder, "seller", &["credential", "issue", &purchase]);
    let (code, told) = refused(&folder, &["--as", "buyer", "credential", "issue", &purchase]);
    assert!(code == 1 && told.contains("credential_exists"), "{told}");
    let seller = done(&folder, "seller", &["account", "show"]);
    let account = seller["account"].as_str().expect("an account");
    let found = done(&folder, "buyer", &["reputation", "account", account]);
    let brought = &found["computed"]["wallets"][0];
    let wallet = seller["wallet"].as_str().expect("a wallet");
    assert_eq!(brought["subject"], format!("did:pkh:{wallet}"));
    assert_eq!((&found["computed"], &found["computed"]["score"]), (&found["told"], &brought["brings"]));
    assert!(brought["brings"]["points"].as_u64().is_some_and(|points| points > 0), "{found}");

    let terms = folder.file("terms.json");
    std::fs::write(&terms, view["details"]["terms"].to_string()).expect("a file");
    let terms = terms.to_str().expect("a path");
    let deal = view["deal"].as_str().expect("a deal");
    let checked = done(&folder, "buyer", &["verify", "deal", terms, "--deal", deal]);
    assert_eq!((checked["status"].as_str(), checked["released"].as_str()), (Some("closed"), Some("5000")));
    let other = format!("0x{}", "7".repeat(64));
    let output = folder.verb(&["verify", "deal", terms, "--deal", &other]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && told.contains("is not the id of these terms"), "{told}");

    done(&folder, "buyer", &["verify", "contracts"]);
    let market = json(&std::fs::read(folder.data().join("market.json")).expect("market.json"));
    let pools = market["sides"][0]["arbiter"].as_str().expect("an account").to_owned();
    let (code, told) = refused(&folder, &["verify", "contracts", "--escrow", &pools]);
    assert!(code == 3 && told.contains("is not the code in this binary"), "{told}");

    let regretted = id(&done(&folder, "buyer", &["purchase", "offer", &listing]));
    done(&folder, "seller", &["purchase", "accept", &regretted]);
    let (code, told) = refused(&folder, &["--as", "steward", "deal", "retract", "--terms", terms]);
    assert!(code == 1 && told.contains("DealClosed"), "{told}");
    done(&folder, "seller", &["deal", "retract", &regretted]);
    let (code, told) = refused(&folder, &["--as", "buyer", "deal", "fund", &regretted]);
    assert!(code == 1 && told.contains("DealClosed"), "{told}");

    done(&folder, "seller", &["listing", "set-status", &listing, "sold"]);
    let (code, told) = refused(&folder, &["--as", "buyer", "purchase", "offer", &listing]);
    assert!(code == 1 && told.contains("listing_inactive"), "{told}");

    people_and_mistakes(&folder);
    up.interrupt();
    let (code, said) = up.wait(Duration::from_secs(60));
    assert_eq!(code, Some(0), "{}", said.join("\n"));
}

fn people_and_mistakes(folder: &Folder) {
    let ida = done(folder, "ida", &["account", "new"]);
    let account = ida["account"].as_str().expect("an account");
    let (code, told) = refused(folder, &["--as", "ida", "account", "new"]);
    assert!(code == 1 && told.contains("exists already"), "{told}");
    let community = id(&done(folder, "ida", &["community", "create", "Beekeepers"]));
    let buyer = done(folder, "buyer", &["account", "show"]);
    let did = buyer["did"].clone();
    let buyer = buyer["account"].as_str().expect("an account");
    assert_eq!(done(folder, "ida", &["account", "show", buyer])["did"], did);
    assert!(did.as_str().is_some_and(|did| did.ends_with(&format!(":accounts:{buyer}"))), "{did}");
    done(folder, "ida", &["community", "add-member", &community, buyer]);
    let waiting = done(folder, "buyer", &["community", "invitations"]);
    assert_eq!(waiting["items"][0]["community"], community);
    done(folder, "buyer", &["community", "join", &community]);
    let members = done(folder, "ida", &["community", "show", &community]);
    let did = members["did"].as_str().expect("a name");
    assert!(did.starts_with("did:web:") && did.ends_with(&format!(":communities:{community}")), "{did}");
    let members: Vec<&Value> =
        members["members"].as_array().expect("members").iter().map(|one| &one["account"]).collect();
    assert_eq!(members, [account, buyer]);
    let listed = done(folder, "ida", &["community", "members", &community]);
    assert_eq!((&listed["items"][1]["account"], &listed["next"]), (&Value::from(buyer), &Value::Null));
    let settings = done(folder, "ida", &["community", "settings", &community]);
    assert!(settings.as_array().expect("settings").iter().any(|one| one["setting"] == "window_min_seconds"));
    let first = done(folder, "buyer", &["events", "--limit", "1"]);
    assert_eq!((&first["id"], &first["event"]), (&Value::from(1), &Value::from("account")));
    let treasury = done(folder, "ida", &["community", "treasury", &community]);
    assert!(treasury["items"].is_array(), "{treasury}");

    let mut person = done(folder, "buyer", &["identity", "credential"]);
    let file = folder.file("person.json");
    let file = file.to_str().expect("a path");
    std::fs::write(file, person.to_string()).expect("a file");
    let held = done(folder, "buyer", &["verify", "credential", file]);
    assert_eq!(
        (&held["kind"], &held["account"]),
        (&Value::from("ProofOfPersonhoodCredential"), &Value::from(buyer))
    );
    person["credentialSubject"]["account"] = Value::from(account);
    std::fs::write(file, person.to_string()).expect("a file");
    let (code, told) = refused(folder, &["verify", "credential", file]);
    assert!(code == 3 && told.contains("does not match"), "{told}");
    let (code, told) = refused(folder, &["--as", "buyer", "community", "add-member", &community, buyer]);
    assert!(code == 1 && told.contains("steward_only"), "{told}");

    let (code, told) = refused(folder, &["--as", "nobody", "account", "show"]);
    assert!(code == 1 && told.contains("no such person"), "{told}");
    let (code, told) = refused(folder, &["--hub", "http://127.0.0.1:9", "listing", "list"]);
    assert!(code == 4 && told.contains("nobody answers"), "{told}");
    let usage = folder.verb(&["listing", "show", "not-an-id"]);
    assert_eq!(usage.status.code(), Some(2));
}
