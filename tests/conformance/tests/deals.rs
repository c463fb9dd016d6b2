//! Deals: the model and every chain agree on every history.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use conformance::{
    chain::Chain,
    deals::Deals,
    evm::Evm,
    history::{at_least, run},
    play::Rules,
    solana::Solana,
};

/// What all histories together must have met on each chain; the rest is rare and needs no luck to be tested.
const EXPECTED: &[&str] = &[
    "Fund",
    "Retract",
    "Deliver",
    "Release",
    "Refund",
    "Dispute",
    "Evidence",
    "Reclaim",
    "Claim",
    "Settle",
    "Rule",
    "Lapse",
    "credit",
    "UnknownDeal",
    "AlreadyFunded",
    "DealClosed",
    "MeteredDeal",
    "AlreadyDelivered",
    "NotDelivered",
    "DealDisputed",
    "NotDisputed",
    "StateChanged",
    "TooEarly",
    "TooLate",
    "SignatureExpired",
    "NotBuyer",
    "NotSeller",
    "NotParty",
    "NotArbiter",
    "InvalidSignature",
    "SignatureRevoked",
    "TotalTooHigh",
    "NothingMoves",
    "UriTooLong",
    "TransferFailed",
];
/// What is met where coin is sent along.
const WITH_A_PURSE: &[&str] = &["batch", "forgotten", "WrongValue", "NotPayable", "batch: WrongValue"];

fn agree<C: Chain + Clone>(name: &str, chain: &C) {
    let told = run::<Deals, _>(at_least(300), Rules::default(), || Box::new(chain.clone()));
    let report = told.unwrap_or_else(|difference| panic!("{difference}"));
    report.tally.expect(EXPECTED);
    if chain.limits().purse {
        report.tally.expect(WITH_A_PURSE);
    }
    report.tell(name, "deals");
}

#[test]
fn model_and_contract_agree_on_every_history() {
    agree("revm", &Evm::in_process());
}

#[test]
fn model_and_program_agree_on_every_history() {
    agree("litesvm", &Solana::default());
}
