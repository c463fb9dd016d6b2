//! A few of the same histories on a real node, which need not be told what a block or a revert is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::cell::RefCell;

use equivalence::{World, cases, deals, history::run};
use protocol::{arbitration, deal};

/// Histories of each kind: a node takes a tenth of a second for what the machine in the process does in a hundredth.
const HISTORIES: u32 = 8;

#[test]
fn model_and_contract_agree_on_a_real_node() {
    let world = RefCell::new(World::on_a_node());
    let told = run(HISTORIES, 40, |history| deals::compare(&mut world.borrow_mut(), history, &deal::apply));
    told.unwrap_or_else(|difference| panic!("{difference}")).expect(&["Fund", "DealClosed"]);
    let told = run(HISTORIES, 60, |history| {
        cases::compare(&mut world.borrow_mut(), history, &arbitration::case::apply)
    });
    told.unwrap_or_else(|difference| panic!("{difference}")).expect(&["CaseOpened", "JuryDrawn"]);
}
