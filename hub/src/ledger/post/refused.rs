//! Why nothing of a batch happened, by name. Pure.

use alloy::primitives::I256;

use crate::ledger::{
    model::{Asset, HoldState, Key, OperationId},
    rules::Purpose,
};

/// Why nothing of a batch happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// None or too many.
    #[error("a batch has {0} operations and must have 1 to 64")]
    Operations(usize),
    /// Too few or too many.
    #[error("a transfer has {0} entries and must have 2 to 64")]
    Legs(usize),
    /// Zero, beyond the bound, or a hold's below zero.
    #[error(
        "the amount {0} must not be zero and at most 38 digits long; of a hold and its capture it is above zero"
    )]
    Amount(i128),
    /// Twice in a transfer, or on both sides of a hold.
    #[error("the account {0} stands on both sides, or twice")]
    SameAccount(Box<Key>),
    /// Not of this hub.
    #[error("there is no asset {0}")]
    UnknownAsset(Asset),
    /// The two sides of a hold.
    #[error("a hold is of one asset, and these are {0} and {1}")]
    OtherAsset(Asset, Asset),
    /// Something would come from nothing.
    #[error("the entries in {asset} sum to {sum} and must sum to 0")]
    Unbalanced {
        /// In which asset.
        asset: Asset,
        /// What they sum to.
        sum: I256,
    },
    /// The table has no such entry.
    #[error("{} may not {} {account}", purpose.name(), if *gives { "take from" } else { "add to" })]
    NotAllowed {
        /// What for.
        purpose: Purpose,
        /// On which account.
        account: Box<Key>,
        /// Whether it gives.
        gives: bool,
    },
    /// It needs somebody else's word.
    #[error("this needs another word than that of whoever signed: {needs} for {account}")]
    NotYours {
        /// Whose.
        needs: &'static str,
        /// On which account.
        account: Box<Key>,
    },
    /// Not enough.
    #[error("{account} has {available} available and may not go below {floor}, so it cannot give {amount}")]
    BelowFloor {
        /// On which account.
        account: Box<Key>,
        /// The balance without what is held.
        available: i128,
        /// How low it may go.
        floor: i128,
        /// What it was to give.
        amount: i128,
    },
    /// Too much.
    #[error("{account} may have {has} already and not more than {ceiling}, so it cannot take {amount}")]
    AboveCeiling {
        /// On which account.
        account: Box<Key>,
        /// The balance with what holds may bring.
        has: i128,
        /// How high it may go.
        ceiling: i128,
        /// What it was to take.
        amount: i128,
    },
    /// No number of ours.
    #[error("{0} would go beyond 38 digits")]
    OutOfRange(Box<Key>),
    /// Another content.
    #[error("the operation {0} is known with another content")]
    OtherContent(OperationId),
    /// Twice in a batch.
    #[error("the operation {0} stands in the batch twice")]
    Twice(OperationId),
    /// Some of the batch happened before, and some did not.
    #[error("the operation {0} is known and others of its batch are not")]
    PartlyKnown(OperationId),
    /// No such hold.
    #[error("there is no hold {0}")]
    UnknownHold(OperationId),
    /// Ended before.
    #[error("the hold {hold} is {} already", state.name())]
    HoldEnded {
        /// Which.
        hold: OperationId,
        /// How.
        state: HoldState,
    },
    /// Its time is over.
    #[error("the hold {0} expired at {1} (Unix milliseconds)")]
    HoldOver(OperationId, i64),
    /// Its time is not over.
    #[error("the hold {0} expires at {1} (Unix milliseconds) and not before")]
    HoldNotOver(OperationId, i64),
    /// More than was set aside.
    #[error("the hold {hold} is of {amount}, less than {wanted}")]
    OverHold {
        /// Which.
        hold: OperationId,
        /// What was set aside.
        amount: i128,
        /// What was to be paid.
        wanted: i128,
    },
    /// Its purpose is reversal, and it names nothing that it reverses.
    #[error("a reversal names the operation that it reverses")]
    NamesNothing,
    /// Nothing that can be undone.
    #[error(
        "{0} is no operation that moved one amount from one account to one other, or it is a reversal itself"
    )]
    NotReversible(OperationId),
    /// Undone before, in part or as a whole.
    #[error("the operation {reversed} is reversed already, by {by}")]
    Reversed {
        /// Which.
        reversed: OperationId,
        /// By which.
        by: OperationId,
    },
    /// More than it moved.
    #[error("the operation {reversed} moved {amount}, less than {wanted}")]
    OverMoved {
        /// Which.
        reversed: OperationId,
        /// What it moved.
        amount: i128,
        /// What was to be given back.
        wanted: i128,
    },
    /// In the past, or too far ahead.
    #[error(
        "a hold must expire later than now and within 400 days, and this one expires at {0} (Unix milliseconds)"
    )]
    Expiry(i64),
}

impl Refused {
    /// The rule's name.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Operations(_) => "operations",
            Self::Legs(_) => "legs",
            Self::Amount(_) => "amount",
            Self::SameAccount(_) => "same_account",
            Self::UnknownAsset(_) => "unknown_asset",
            Self::OtherAsset(..) => "other_asset",
            Self::Unbalanced { .. } => "unbalanced",
            Self::NotAllowed { .. } => "not_allowed",
            Self::NotYours { .. } => "not_yours",
            Self::BelowFloor { .. } => "below_floor",
            Self::AboveCeiling { .. } => "above_ceiling",
            Self::OutOfRange(_) => "out_of_range",
            Self::OtherContent(_) => "other_content",
            Self::Twice(_) => "twice",
            Self::PartlyKnown(_) => "partly_known",
            Self::UnknownHold(_) => "unknown_hold",
            Self::HoldEnded { .. } => "hold_ended",
            Self::HoldOver(..) => "hold_over",
            Self::HoldNotOver(..) => "hold_not_over",
            Self::OverHold { .. } => "over_hold",
            Self::NamesNothing => "names_nothing",
            Self::NotReversible(_) => "not_reversible",
            Self::Reversed { .. } => "reversed",
            Self::OverMoved { .. } => "over_moved",
            Self::Expiry(_) => "expiry",
        }
    }
}
