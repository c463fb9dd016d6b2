//! `docs/protocol.md` says what the code does: its tables and lists are compared with the code's own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use alloy::{json_abi::JsonAbi, sol_types::SolStruct};
use protocol::{
    arbitration,
    deal::{
        self, ActionKind, Status,
        table::{Outcome, outcome},
    },
    evm::typed,
};

const PAGE: &str = include_str!("../../docs/protocol.md");

fn cell(status: Status, action: ActionKind) -> String {
    match outcome(status, action) {
        Outcome::Refused(refusal) => format!("`{}`", refusal.name()),
        Outcome::Allowed { by, when, to } => format!("{by}, {when} → {to:?}"),
    }
}

#[test]
fn the_page_has_the_transition_table() {
    let mut table = String::from("| action |");
    for status in Status::ALL {
        table += &format!(" {status:?} |");
    }
    table += "\n|---|---|---|---|---|---|\n";
    for action in ActionKind::ALL {
        table += &format!("| {action} |");
        for status in Status::ALL {
            table += &format!(" {} |", cell(status, action));
        }
        table += "\n";
    }
    assert!(PAGE.contains(&table), "section 2 should have this table:\n{table}");
}

#[test]
fn the_page_has_every_refusal_in_order() {
    for (contract, all) in [("Escrow", deal::Refusal::ALL), ("ArbitrationPools", arbitration::Refusal::ALL)] {
        let heading = format!("### {contract}\n");
        let section = PAGE.split(&heading).nth(1).unwrap().split("\n#").next().unwrap();
        let rows: Vec<(String, String)> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split_once(" | `"))
            .map(|(class, rest)| (class.to_owned(), rest.split(['(', '`']).next().unwrap().to_owned()))
            .collect();
        let listed: Vec<(String, String)> = all
            .iter()
            .map(|(name, class)| (format!("{class:?}").to_lowercase(), (*name).to_owned()))
            .collect();
        assert_eq!(rows, listed, "{contract}");
    }
}

#[test]
fn the_page_has_every_signed_type() {
    let types = [
        typed::Terms::eip712_encode_type(),
        typed::Fund::eip712_encode_type(),
        typed::Deliver::eip712_encode_type(),
        typed::Release::eip712_encode_type(),
        typed::Refund::eip712_encode_type(),
        typed::Dispute::eip712_encode_type(),
        typed::Evidence::eip712_encode_type(),
        typed::Settle::eip712_encode_type(),
        typed::Withdraw::eip712_encode_type(),
        typed::Ballot::eip712_encode_type(),
        typed::Appeal::eip712_encode_type(),
    ];
    for text in types {
        assert!(PAGE.lines().any(|line| line == text), "section 6 should have the line {text}");
    }
}

#[test]
fn the_page_has_every_event() {
    for artefact in [include_str!("../abi/Escrow.json"), include_str!("../abi/ArbitrationPools.json")] {
        let mut artefact: serde_json::Value = serde_json::from_str(artefact).unwrap();
        let abi: JsonAbi = serde_json::from_value(artefact["abi"].take()).unwrap();
        for name in abi.events.keys().filter(|name| *name != "EIP712DomainChanged") {
            assert!(PAGE.contains(&format!("| `{name}(")), "section 5 should list {name}");
        }
    }
}
