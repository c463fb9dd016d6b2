//! Why the program refuses: the names and the order of `docs/protocol.md`, section 4, and what only Solana knows.

use anchor_lang::prelude::*;

macro_rules! refusals {
    ($($name:ident = $message:literal),* $(,)?) => {
        /// Every refusal. When several apply the first class of terms, state, time, authority, amount, intake is given.
        /// What is malformed rather than refused (a wrong account, a wrong owner) comes before all of them, with an error
        /// of Anchor or one of the last group. Values that the EVM's refusals carry are not part of a program error.
        #[error_code]
        #[derive(PartialEq, Eq)]
        pub enum Refusal {
            $(#[msg($message)] $name,)*
        }

        impl Refusal {
            /// The names in the order of their numbers, the first of which is 6000.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];
        }
    };
}

refusals! {

    // The escrow: terms
    ZeroParty = "buyer and seller must not be the zero address",
    SameParty = "buyer, seller, arbiter, program and mint must differ from one another",
    AmountOutOfRange = "the amount must be at least 1",
    WindowOutOfRange = "inspection and ruling must be 1 second to 366 days",
    ShareOutOfRange = "a share must be at most 10,000 basis points",
    DeadlinesOutOfOrder = "fund_by must be before deliver_by",
    DeadlineTooFar = "deliver_by must be within ten years",
    // The escrow: state
    UnknownDeal = "the deal is not funded",
    AlreadyFunded = "the deal is funded already",
    DealClosed = "the deal is closed, or was never funded and its fund_by has passed",
    MeteredDeal = "a metered deal knows no delivery and no claim",
    AlreadyDelivered = "the deal is delivered already",
    NotDelivered = "the deal is not delivered",
    DealDisputed = "the deal is disputed",
    NotDisputed = "the deal is not disputed",
    StateChanged = "the offer to settle was signed for another number of rulings",
    // Both: time
    TooEarly = "the window has not opened yet",
    TooLate = "the window is over",
    SignatureExpired = "the signature's valid_until has passed",
    // The escrow: authority
    NotBuyer = "the caller is not the buyer",
    NotSeller = "the caller is not the seller",
    NotParty = "only the buyer or the seller may do this",
    NotArbiter = "the caller is not the arbiter of the terms",
    InvalidSignature = "not a valid signature of the named account over exactly this",
    SignatureRevoked = "the signature was revoked by its signer",
    // The escrow: amount
    TotalTooHigh = "the total is above the deal's amount, or the withdrawal above the credit",
    NothingMoves = "the total moves nothing",
    NothingToWithdraw = "there is no credit to withdraw",
    UriTooLong = "an evidence URI has at most 256 bytes",
    // The escrow: intake
    IntakeMismatch = "the token delivered another sum than the amount",
    TransferFailed = "the transfer cannot be made: too little balance or allowance, or an account that is frozen",

    // The pools: terms
    BadJurySize = "a jury has an odd number of seats, 1 to 31",
    BadPeriod = "delay must be at most 366 days, opening 60 seconds to 30 days, voting 1 second to 90 days, appeal at most 90 days",
    BadParent = "a parent must exist, and parent and appeal period come together or not at all",
    NotMyDeal = "the terms name another arbiter",
    // The pools: state
    PoolExists = "the pool exists already",
    UnknownPool = "there is no such pool",
    UnknownCase = "the case is not open",
    CaseExists = "the case is open already",
    NotDrawn = "the jury is not drawn yet",
    AlreadyDrawn = "the jury is drawn already",
    NotAccepted = "no ruling is accepted yet",
    AlreadyAccepted = "a ruling is accepted already",
    AlreadyExecuted = "the ruling is executed already",
    NoFurtherJury = "the instance has its second jury already",
    NotAppealable = "the ruling cannot be appealed",
    NoList = "no member list was in effect when the deal was funded",
    // The pools: authority
    NotKeeper = "the caller is not the pool's keeper",
    BadSeat = "the jury has no such seat",
    NotJuror = "the caller does not hold the seat",
    InvalidBallot = "the ballot carries no valid signature of the seat's juror",
    // The pools: amount
    BadShare = "a ballot's share is a multiple of 500 up to 10,000 basis points",
    SeatVoid = "the seat is void",
    SeatFinal = "the seat's ballot was cast on chain and is final",
    ListNotAscending = "an entry of the list is not above the one before it",
    TooFewMembers = "the list has too few members",
    NoBallots = "there are no ballots that change anything",

    // Solana alone
    UnsafeMint = "the mint has an extension that can move, withhold or change what is held",
    WrongAccount = "an account is not the one that the deal, the jury or the pool names",
    WrongAsset = "a deal of tokens needs its vault, mint and token program; a deal of coin takes none",
    BadEd25519 = "the Ed25519 instruction is not one, or does not carry all of its parts itself",
    StillOpen = "the deal is not closed, or owes credit, or its fund_by has not passed",
    ListPublished = "the list is published and never changes, or is not published yet",
    ListExists = "the pool's next list is begun already",
    BadChunk = "members must be added where the list ends, within its largest size",
    ConsentExists = "the digest is approved or revoked already",
    Broken = "the accounts would not add up: a defect of the program",
}
