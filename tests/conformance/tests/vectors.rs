//! Every vector on the model and on every chain; and that they are today's and leave nothing out.
#![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects, reason = "test code")]

use std::{cell::RefCell, collections::BTreeSet, ops::DerefMut};

use conformance::{
    chain::Chain,
    evm::Evm,
    paper::Paper,
    scenarios,
    solana::Solana,
    vector::{committed, play, text},
    words::Vector,
};
use protocol::{arbitration, deal};

/// Refusals that no history of a deal or a case can meet, each with its reason.
const UNREACHABLE: &[(&str, &str)] = &[
    ("NothingToWithdraw", "of withdrawing credit, which each chain keeps in its own way"),
    (
        "IntakeMismatch",
        "of a token that moves another sum than it is told to; vectors have one that does not",
    ),
    ("NotEnoughGas", "of a transaction's limits, which each chain has of its own"),
    ("Reentered", "of a call from within a call, which a history of transactions does not make"),
    ("BadJurySize", "of making a pool"),
    ("BadPeriod", "of making a pool"),
    ("BadParent", "of making a pool"),
    ("PoolExists", "of making a pool"),
    ("UnknownPool", "of publishing a list for a pool that is not there, or of a deal that names none"),
    ("NotKeeper", "of publishing a list"),
    ("ListNotAscending", "of publishing a list"),
    ("BadPage", "of publishing a list, on chains that take it in pages"),
    ("TooFewMembers", "of publishing a list"),
    ("NotAppealable", "a ruling that cannot be appealed is executed in the transaction that accepts it"),
];

fn vectors() -> Vec<Vector> {
    committed().iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect()
}

/// Plays all that are for this kind of chain, each on a chain that `chain` gives.
fn all<H: DerefMut<Target: Chain + Sized>>(name: &str, chain: impl Fn() -> H) {
    let mut differences = Vec::new();
    let (mut played, mut steps) = (0, 0);
    for vector in vectors() {
        let mut chain = chain();
        let namespace = chain.escrow().chain.to_string().split(':').next().unwrap().to_owned();
        if !vector.only.is_empty() && !vector.only.contains(&namespace) {
            continue;
        }
        match play(&vector, &mut *chain) {
            Ok(count) => (played, steps) = (played + 1, steps + count),
            Err(difference) => differences.push(difference),
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    println!("{name}: {played} vectors, {steps} steps, 0 differences");
}

#[test]
fn every_vector_holds_on_the_model() {
    all("model", || Box::new(Paper::default()));
}

#[test]
fn every_vector_holds_on_the_contracts() {
    let evm = Evm::in_process();
    all("revm", || Box::new(evm.clone()));
}

#[test]
fn every_vector_holds_on_a_real_node() {
    let node = RefCell::new(Evm::on_a_node());
    all("anvil", || node.borrow_mut());
}

#[test]
fn every_vector_holds_on_the_program() {
    let solana = Solana::default();
    all("litesvm", || Box::new(solana.clone()));
}

#[test]
fn the_committed_vectors_are_the_models() {
    let expected: Vec<_> =
        scenarios::vectors().iter().map(|vector| (vector.name.clone(), text(vector))).collect();
    let names = |all: &[(String, String)]| all.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
    let written = committed();
    assert_eq!(names(&written), names(&expected), "run `cargo run -p conformance --bin vectors`");
    assert_eq!(names(&expected).len(), expected.len(), "two scenarios have one name");
    for (name, text) in &expected {
        assert!(
            written.contains(&(name.clone(), text.clone())),
            "{name}: run `cargo run -p conformance --bin vectors`"
        );
    }
}

#[test]
fn every_refusal_is_covered_or_answered() {
    let met: BTreeSet<String> = vectors()
        .into_iter()
        .flat_map(|vector| vector.steps)
        .filter_map(|step| step.expect.refused)
        .collect();
    let names = deal::Refusal::ALL.iter().chain(arbitration::Refusal::ALL).map(|(name, _)| *name);
    for name in names {
        let answered = UNREACHABLE.iter().any(|(unreachable, _)| *unreachable == name);
        assert!(
            met.contains(name) != answered,
            "{name}: covered {}, answered {answered}",
            met.contains(name)
        );
    }
}
