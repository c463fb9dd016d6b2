//! Deals: the model and the escrow agree on every history.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use equivalence::{
    World,
    deals::compare,
    history::{at_least, run},
};
use protocol::deal::apply;

/// What all histories together must have met; the rest is rare and needs no luck to be tested.
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
    "batch",
    "credit",
    "forgotten",
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
    "WrongValue",
    "TransferFailed",
    "NotPayable",
    "batch: WrongValue",
];

#[test]
fn model_and_contract_agree_on_every_history() {
    let world = World::in_process();
    let told = run(at_least(400), 40, |history| compare(&mut world.clone(), history, &apply));
    told.unwrap_or_else(|difference| panic!("{difference}")).expect(EXPECTED);
}
