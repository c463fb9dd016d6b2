//! Whoever has the file of a disputed deal reaches its verdict by themselves.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::time::Duration;

use end_to_end::{Folder, TRADES_WAIT, anything_runs_over, bundle::Kept};
use serde_json::Value;

#[test]
fn a_stranger_reaches_the_same_verdict_from_one_file() {
    let folder = Folder::new();
    let mut up = folder.up(&[], &[]);
    up.wait_for("Everything runs until", TRADES_WAIT);
    let trade = folder.report()["trades"][1].clone();
    let kept = Kept::of(&folder, trade["purchase"].as_str().expect("a purchase"));
    up.interrupt();
    let (code, said) = up.wait(Duration::from_secs(60));
    assert_eq!(code, Some(0), "{}", said.join("\n"));
    assert!(!anything_runs_over(&folder.data()), "something was left running");

    let found = kept.check(&folder);
    assert_eq!(found["deal"], trade["deal"]);
    assert_eq!((&found["share"], &found["rulings"][0]["by"]), (&Value::from(0), &Value::from("ballots")));
    for party in ["seller", "buyer"] {
        assert_eq!(found[party], trade["payouts"][party], "{party}");
    }
    let events = trade["events"].as_array().expect("events");
    let ruled = events.iter().find(|event| event["name"] == "Ruled").expect("a ruling");
    assert_eq!(found["ruled"], ruled["transaction"]);
}
