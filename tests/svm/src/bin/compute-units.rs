//! Compute units and bytes of every call of the Solana program, a JSON object a line: for `scripts/bench cu`.
//!
//! The machine is exact, so a figure changes only with the program, or with the addresses in hand: searching one costs
//! 1,500 units for each try. Figures with a spread are medians over as many trades as [`TRADES`], of other people each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "measures for tests"
)]

use svm::{
    ENDOWMENT, PACKET, Svm, TOKEN,
    calls::{CALLS, Call, LARGEST, most_ballots},
    key,
};

/// Over how many trades a spread is taken.
const TRADES: u64 = 32;
/// The figures with a spread.
const SPREAD: [&str; 7] =
    ["sol_fund", "sol_release", "sol_dispute", "ballot", "spl_fund", "token2022_fund", "sol_ruling_2_of_3"];

fn main() {
    let fresh = Svm::start();
    for call in CALLS.iter().chain(LARGEST) {
        let trades = if SPREAD.contains(&call.name) { TRADES } else { 1 };
        let mut measured: Vec<_> = (1..=trades).map(|number| measure(&fresh, call, number)).collect();
        measured.sort_unstable();
        let (least, most) = (measured.first().unwrap(), measured.last().unwrap());
        let (units, bytes) = measured.get(measured.len() / 2).unwrap();
        println!(
            r#"{{"name":"{}","units":{units},"least":{},"most":{},"bytes":{bytes},"headroom":{}}}"#,
            call.name,
            least.0,
            most.0,
            PACKET - bytes,
        );
    }
    for (name, token) in [("ballots_a_transaction", None), ("ballots_a_transaction_spl", Some(TOKEN))] {
        println!(r#"{{"name":"{name}","count":{}}}"#, most_ballots(&mut Svm::start(), token));
    }
}

/// Compute units of the whole transaction, and its bytes.
fn measure(fresh: &Svm, call: &Call, number: u64) -> (u64, usize) {
    let mut svm = fresh.clone();
    let made = (call.make)(&mut svm, number);
    let signers: Vec<_> = made.signers.iter().collect();
    // A transaction pays its fee itself, from whoever signs it first.
    if let Some(first) = signers.first() {
        svm.payer = first.insecure_clone();
        svm.endow(&key(first), ENDOWMENT);
    }
    let sent = svm.must(&made.instructions, &signers);
    assert!(sent.size <= PACKET, "{} has {} bytes", call.name, sent.size);
    (sent.compute_units, sent.size)
}
