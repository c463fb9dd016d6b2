//! Cases: the model and the pools agree on every history.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use equivalence::{
    World,
    cases::compare,
    history::{at_least, run},
};
use protocol::arbitration::case::apply;

/// What all histories together must have met; the rest is rare and needs no luck to be tested.
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
    "the first jury after the second, 0",
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

#[test]
fn model_and_contract_seat_and_count_alike() {
    let world = World::in_process();
    let told = run(at_least(400), 60, |history| compare(&mut world.clone(), history, &apply));
    told.unwrap_or_else(|difference| panic!("{difference}")).expect(EXPECTED);
}
