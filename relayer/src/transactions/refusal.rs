//! What helps against a refusal of the protocol, whose names are the same on every chain.

/// What helps against a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// Time alone.
    Time,
    /// Something else on chain may come first: another step of the case, or a node that lags.
    Event,
    /// Nothing, once it is final.
    Nothing,
    /// It is no refusal of a call that an intent makes.
    Unknown,
}

/// What helps against the refusal of this name.
pub fn cure(name: &str) -> Cure {
    match name {
        "TooEarly" => Cure::Time,
        // The effect of another's call is read from the case; what is still missing comes with the step before.
        "UnknownPool" | "UnknownCase" | "UnknownDeal" | "CaseExists" | "NotDisputed" | "NotDrawn"
        | "AlreadyDrawn" | "NotAccepted" | "AlreadyAccepted" | "AlreadyExecuted" | "NoFurtherJury"
        | "NoBallots" | "NotDelivered"
        // The next try estimates anew, and names the accounts as they are then.
        | "NotEnoughGas" | "WrongAccount" => Cure::Event,
        "NotMyDeal" | "NoList" | "NotAppealable" | "TooFewMembers" | "TooLate" | "SignatureExpired"
        | "NotParty" | "NotJuror" | "InvalidBallot" | "InvalidSignature" | "BadShare" | "BadSeat"
        | "SeatVoid" | "SeatFinal" | "DealClosed" | "NotArbiter" | "MeteredDeal" | "AlreadyDelivered"
        | "DealDisputed" | "StateChanged" | "NothingMoves" | "TotalTooHigh" | "UriTooLong"
        | "SignatureRevoked" | "NothingToWithdraw" | "TransferFailed" | "ZeroParty" | "SameParty"
        | "NotBuyer" | "NotSeller" => Cure::Nothing,
        _ => Cure::Unknown,
    }
}
