//! Cases: the model and every chain agree on every history.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use conformance::{
    cases::Cases,
    chain::Chain,
    evm::Evm,
    history::{at_least, run},
    play::Rules,
    solana::Solana,
};

/// What all histories together must have met on each chain; the rest is rare and needs no luck to be tested.
const EXPECTED: &[&str] = &[
    "CaseOpened",
    "TargetMoved",
    "JuryDrawn",
    "BallotCast",
    "BallotsCounted",
    "RulingAccepted",
    "Appealed",
    "RulingExecuted",
    "jury 0/0",
    "jury 0/1",
    "jury 1/0",
    "jury 1/1",
    "straight to the parent",
    "last word 0",
    "last word 1",
    "NotMyDeal",
    "UnknownCase",
    "CaseExists",
    "NotDisputed",
    "NotDrawn",
    "AlreadyDrawn",
    "NotAccepted",
    "AlreadyAccepted",
    "AlreadyExecuted",
    "NoFurtherJury",
    "NoList",
    "TooEarly",
    "TooLate",
    "SignatureExpired",
    "NotParty",
    "NotJuror",
    "InvalidBallot",
    "InvalidSignature",
    "BadShare",
    "BadSeat",
    "SeatVoid",
    "SeatFinal",
    "NoBallots",
];

fn agree<C: Chain + Clone>(name: &str, chain: &C) {
    let told = run::<Cases, _>(at_least(300), Rules::default(), || Box::new(chain.clone()));
    let report = told.unwrap_or_else(|difference| panic!("{difference}"));
    report.tally.expect(EXPECTED);
    report.tell(name, "cases");
}

#[test]
fn model_and_contract_seat_and_count_alike() {
    agree("revm", &Evm::in_process());
}

#[test]
fn model_and_program_seat_and_count_alike() {
    agree("litesvm", &Solana::default());
}
