//! Why the program refuses: the names and the order of `docs/protocol.md`, section 4, and what only Solana knows.

use anchor_lang::prelude::*;

/// Every refusal. When several apply the first class of terms, state, time, authority, amount, intake is given. What is
/// malformed rather than refused (a wrong account, a wrong owner) comes before all of them, with an error of Anchor or one
/// of the last group. Values that the EVM's refusals carry are not part of a program error.
#[error_code]
pub enum Refusal {
    // The escrow: terms
    #[msg("buyer and seller must not be the zero address")]
    ZeroParty,
    #[msg("buyer, seller, arbiter, program and mint must differ from one another")]
    SameParty,
    #[msg("the amount must be at least 1")]
    AmountOutOfRange,
    #[msg("inspection and ruling must be 1 second to 366 days")]
    WindowOutOfRange,
    #[msg("a share must be at most 10,000 basis points")]
    ShareOutOfRange,
    #[msg("fund_by must be before deliver_by")]
    DeadlinesOutOfOrder,
    #[msg("deliver_by must be within ten years")]
    DeadlineTooFar,
    // The escrow: state
    #[msg("the deal is not funded")]
    UnknownDeal,
    #[msg("the deal is funded already")]
    AlreadyFunded,
    #[msg("the deal is closed, or was never funded and its fund_by has passed")]
    DealClosed,
    #[msg("a metered deal knows no delivery and no claim")]
    MeteredDeal,
    #[msg("the deal is delivered already")]
    AlreadyDelivered,
    #[msg("the deal is not delivered")]
    NotDelivered,
    #[msg("the deal is disputed")]
    DealDisputed,
    #[msg("the deal is not disputed")]
    NotDisputed,
    #[msg("the offer to settle was signed for another number of rulings")]
    StateChanged,
    // Both: time
    #[msg("the window has not opened yet")]
    TooEarly,
    #[msg("the window is over")]
    TooLate,
    #[msg("the signature's valid_until has passed")]
    SignatureExpired,
    // The escrow: authority
    #[msg("the caller is not the buyer")]
    NotBuyer,
    #[msg("the caller is not the seller")]
    NotSeller,
    #[msg("only the buyer or the seller may do this")]
    NotParty,
    #[msg("the caller is not the arbiter of the terms")]
    NotArbiter,
    #[msg("not a valid signature of the named account over exactly this")]
    InvalidSignature,
    #[msg("the signature was revoked by its signer")]
    SignatureRevoked,
    // The escrow: amount
    #[msg("the total is above the deal's amount, or the withdrawal above the credit")]
    TotalTooHigh,
    #[msg("the total moves nothing")]
    NothingMoves,
    #[msg("there is no credit to withdraw")]
    NothingToWithdraw,
    #[msg("an evidence URI has at most 256 bytes")]
    UriTooLong,
    // The escrow: intake
    #[msg("the token delivered another sum than the amount")]
    IntakeMismatch,
    #[msg("the transfer cannot be made: too little balance or allowance, or an account that is frozen")]
    TransferFailed,

    // The pools: terms
    #[msg("a jury has an odd number of seats, 1 to 31")]
    BadJurySize,
    #[msg("delay must be at most 366 days, opening 60 seconds to 30 days, voting 1 second to 90 days, appeal at most 90 days")]
    BadPeriod,
    #[msg("a parent must exist, and parent and appeal period come together or not at all")]
    BadParent,
    #[msg("the terms name another arbiter")]
    NotMyDeal,
    // The pools: state
    #[msg("the pool exists already")]
    PoolExists,
    #[msg("there is no such pool")]
    UnknownPool,
    #[msg("the case is not open")]
    UnknownCase,
    #[msg("the case is open already")]
    CaseExists,
    #[msg("the jury is not drawn yet")]
    NotDrawn,
    #[msg("the jury is drawn already")]
    AlreadyDrawn,
    #[msg("no ruling is accepted yet")]
    NotAccepted,
    #[msg("a ruling is accepted already")]
    AlreadyAccepted,
    #[msg("the ruling is executed already")]
    AlreadyExecuted,
    #[msg("the instance has its second jury already")]
    NoFurtherJury,
    #[msg("the ruling cannot be appealed")]
    NotAppealable,
    #[msg("no member list was in effect when the deal was funded")]
    NoList,
    // The pools: authority
    #[msg("the caller is not the pool's keeper")]
    NotKeeper,
    #[msg("the jury has no such seat")]
    BadSeat,
    #[msg("the caller does not hold the seat")]
    NotJuror,
    #[msg("the ballot carries no valid signature of the seat's juror")]
    InvalidBallot,
    // The pools: amount
    #[msg("a ballot's share is a multiple of 500 up to 10,000 basis points")]
    BadShare,
    #[msg("the seat is void")]
    SeatVoid,
    #[msg("the seat's ballot was cast on chain and is final")]
    SeatFinal,
    #[msg("an entry of the list is not above the one before it")]
    ListNotAscending,
    #[msg("the list has too few members")]
    TooFewMembers,
    #[msg("there are no ballots that change anything")]
    NoBallots,

    // Solana alone
    #[msg("the mint has an extension that can move, withhold or change what is held")]
    UnsafeMint,
    #[msg("an account is not the one that the deal, the jury or the pool names")]
    WrongAccount,
    #[msg("a deal of tokens needs its vault, mint and token program; a deal of coin takes none")]
    WrongAsset,
    #[msg("the Ed25519 instruction is not one, or does not carry all of its parts itself")]
    BadEd25519,
    #[msg("the deal is not closed, or owes credit, or its fund_by has not passed")]
    StillOpen,
    #[msg("the list is published and never changes, or is not published yet")]
    ListPublished,
    #[msg("members must be added where the list ends, within its largest size")]
    BadChunk,
    #[msg("the digest is approved or revoked already")]
    ConsentExists,
    #[msg("the accounts would not add up: a defect of the program")]
    Broken,
}
