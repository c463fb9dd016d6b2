//! What can be asked of a deal, and by whom.

use std::fmt;

use alloy::primitives::B256;

use super::state::Status;
use crate::chain::Address;

/// Everything that can be asked of a deal. Amounts in the asset's smallest unit, shares in basis points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The buyer pays the amount in.
    Fund {
        /// The seller's consent: its signature of the terms, or that it sends the buyer's signed consent itself.
        seller: Consent,
        /// The native coin sent along.
        sent: u128,
        /// By how much the escrow's balance of the token grew; none where the transfer failed. Not read for coin.
        received: Option<u128>,
    },
    /// Buyer or seller makes the terms worthless before they are funded. There is no signed form.
    Retract,
    /// The seller says that it delivered.
    Deliver {
        /// Hash of what was delivered.
        delivery: B256,
    },
    /// The buyer raises the seller's total. A signed one is good for ever.
    Release {
        /// The seller's new total.
        total: u128,
    },
    /// The seller raises the buyer's total. A signed one is good for ever.
    Refund {
        /// The buyer's new total.
        total: u128,
    },
    /// A party disputes.
    Dispute {
        /// Hash of its statement.
        evidence: B256,
    },
    /// A party adds to the dispute.
    Evidence {
        /// Hash of the document.
        evidence: B256,
        /// Where it is; at most 256 bytes.
        uri: String,
    },
    /// Not delivered in time: the rest goes back.
    Reclaim,
    /// Delivered and nobody objected: the rest goes to the seller.
    Claim,
    /// Both parties close the deal as they agreed.
    Settle {
        /// What the seller has in the end, before clamping.
        seller_total: u128,
        /// How many rulings the arbiter had accepted when it was signed; zero outside a dispute.
        rulings: u8,
        /// Unix seconds.
        valid_until: u64,
        /// The buyer's consent.
        buyer: Consent,
        /// The seller's consent.
        seller: Consent,
    },
    /// The arbiter rules.
    Rule {
        /// The seller's share of the whole amount.
        share: u16,
    },
    /// The arbiter did not rule in time.
    Lapse,
}

/// The actions by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActionKind {
    /// [`Action::Fund`].
    Fund,
    /// [`Action::Retract`].
    Retract,
    /// [`Action::Deliver`].
    Deliver,
    /// [`Action::Release`].
    Release,
    /// [`Action::Refund`].
    Refund,
    /// [`Action::Dispute`].
    Dispute,
    /// [`Action::Evidence`].
    Evidence,
    /// [`Action::Reclaim`].
    Reclaim,
    /// [`Action::Claim`].
    Claim,
    /// [`Action::Settle`].
    Settle,
    /// [`Action::Rule`].
    Rule,
    /// [`Action::Lapse`].
    Lapse,
}

impl ActionKind {
    /// Every action in the order of `docs/protocol.md`.
    pub const ALL: [Self; 12] = [
        Self::Fund,
        Self::Retract,
        Self::Deliver,
        Self::Release,
        Self::Refund,
        Self::Dispute,
        Self::Reclaim,
        Self::Claim,
        Self::Settle,
        Self::Rule,
        Self::Lapse,
        Self::Evidence,
    ];
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl Action {
    /// Which action it is.
    pub const fn kind(&self) -> ActionKind {
        match self {
            Self::Fund { .. } => ActionKind::Fund,
            Self::Retract => ActionKind::Retract,
            Self::Deliver { .. } => ActionKind::Deliver,
            Self::Release { .. } => ActionKind::Release,
            Self::Refund { .. } => ActionKind::Refund,
            Self::Dispute { .. } => ActionKind::Dispute,
            Self::Evidence { .. } => ActionKind::Evidence,
            Self::Reclaim => ActionKind::Reclaim,
            Self::Claim => ActionKind::Claim,
            Self::Settle { .. } => ActionKind::Settle,
            Self::Rule { .. } => ActionKind::Rule,
            Self::Lapse => ActionKind::Lapse,
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The account that calls the escrow, for itself.
    Caller(Address),
    /// Anyone, with the signature of `signer` over the action. There is none of retract and of rule.
    Bearer {
        /// The account that calls the escrow.
        caller: Address,
        /// Who is said to have signed.
        signer: Address,
        /// What checking the signature found.
        proof: Proof,
        /// Unix seconds; part of every signed action but release and refund, where it is not read.
        valid_until: u64,
    },
}

impl Actor {
    /// The account that calls the escrow, for itself or for somebody else.
    pub const fn caller(&self) -> Address {
        match self {
            Self::Caller(caller) | Self::Bearer { caller, .. } => *caller,
        }
    }

    /// The account in whose name the action is asked.
    pub const fn account(&self) -> Address {
        match self {
            Self::Caller(account) | Self::Bearer { signer: account, .. } => *account,
        }
    }
}

/// What checking a signature over exactly this action found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The account's own.
    Valid,
    /// Another account's, or over something else.
    Invalid,
    /// The account's own, and taken back.
    Revoked {
        /// What was signed.
        digest: B256,
    },
}

/// How a party agrees to fund or to settle. Where it is the caller it agrees by that, whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Without a signature.
    Unsigned,
    /// With a signature.
    Signed {
        /// What checking it found.
        proof: Proof,
        /// The status that an offer to settle was signed for: part of what is signed, so that one for another status is
        /// no signature of this offer. Not read for fund.
        status: Status,
    },
}
