//! A disputed deal in one file, and what two clients that share no code make of it when every server is gone.

use std::process::Command;

use serde_json::Value;

use crate::{Folder, json};

/// The independent client.
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ethers/verdict.mjs");
/// With which both clients end where something does not hold.
const DOES_NOT_HOLD: Option<i32> = Some(3);

/// The bundle of a disputed deal.
#[derive(Debug)]
pub struct Kept {
    bundle: Value,
    /// The hub whose word on the chain's events is taken, by its did:key.
    hub: String,
}

impl Kept {
    /// Asks the running hub for the bundle of this purchase of the buyer's.
    ///
    /// # Panics
    /// The hub does not give it.
    pub fn of(folder: &Folder, purchase: &str) -> Self {
        let bundle = folder.done("buyer", &["credential", "bundle", purchase]);
        // The last credential of a disputed trade is the hub's own.
        let hub = &folder.report()["trades"][1]["credentials"][0]["issuer"];
        Self { bundle, hub: hub.as_str().expect("an issuer").to_owned() }
    }

    /// Both clients find that it holds; what the independent one prints. Then any ballot is changed, and both say so.
    ///
    /// # Panics
    /// They do not.
    pub fn check(&self, folder: &Folder) -> Value {
        let (product, client, found) = self.both(folder, &self.bundle);
        assert_eq!((product, client), (Some(0), Some(0)), "{found}");
        let records = self.bundle["records"].as_array().expect("records");
        let ballots: Vec<usize> =
            (0..records.len()).filter(|at| records[*at]["type"] == "ballot@1").collect();
        assert!(!ballots.is_empty(), "nobody voted");
        for at in ballots {
            let said = &records[at]["body"]["share"];
            for (field, other) in [
                ("share", Value::from(if *said == 10_000 { 0 } else { 10_000 })),
                ("reason", Value::from("Somebody else's reason.")),
            ] {
                let mut changed = self.bundle.clone();
                changed["records"][at]["body"][field] = other;
                let (product, client, found) = self.both(folder, &changed);
                assert_eq!((product, client), (DOES_NOT_HOLD, DOES_NOT_HOLD), "{field}: {found}");
                let fault = found["faults"][0].as_str().expect("a fault");
                let id = records[at]["id"].as_str().expect("an id");
                assert!(fault.contains(id), "{field} of {id}: {fault}");
            }
        }
        found
    }

    /// The exit codes of the product and of the independent client, and what the latter prints.
    fn both(&self, folder: &Folder, bundle: &Value) -> (Option<i32>, Option<i32>, Value) {
        let file = folder.file("bundle.json");
        std::fs::write(&file, bundle.to_string()).expect("a file");
        let path = file.to_str().expect("a path");
        let product = folder.verb(&["verify", "bundle", path, "--trust", &self.hub]);
        let client = Command::new("node").arg(CLIENT).arg(&file).output().expect("node runs");
        let told = String::from_utf8_lossy(&client.stderr).into_owned();
        assert!(!client.stdout.is_empty(), "the client fails: {told}");
        (product.status.code(), client.status.code(), json(&client.stdout))
    }
}
