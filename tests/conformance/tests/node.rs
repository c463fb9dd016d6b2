//! A few of the same histories on a real node, which need not be told what a block or a revert is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::cell::RefCell;

use conformance::{cases::Cases, deals::Deals, evm::Evm, history::run, play::Rules};

/// Histories of each kind: a node takes a tenth of a second for what the machine in the process does in a hundredth.
const HISTORIES: u32 = 8;

#[test]
fn model_and_contract_agree_on_a_real_node() {
    let node = RefCell::new(Evm::on_a_node());
    let told = run::<Deals, _>(HISTORIES, Rules::default(), || node.borrow_mut());
    let report = told.unwrap_or_else(|difference| panic!("{difference}"));
    report.tally.expect(&["Fund", "DealClosed"]);
    report.tell("anvil", "deals");
    let told = run::<Cases, _>(HISTORIES, Rules::default(), || node.borrow_mut());
    let report = told.unwrap_or_else(|difference| panic!("{difference}"));
    report.tally.expect(&["CaseOpened", "JuryDrawn"]);
    report.tell("anvil", "cases");
}
