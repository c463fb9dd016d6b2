//! What a buyer and a seller agree on, in the one JSON form that records, HTTP and files use.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use crate::{
    chain::{AccountId, AssetId},
    wire::dec,
};

/// The terms of a deal (`docs/protocol.md`, section 1). Its digest is the deal's id: [`crate::chain::deal_id`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The escrow contract, which fixes the chain too.
    pub escrow: AccountId,
    /// Who pays.
    pub buyer: AccountId,
    /// Who delivers.
    pub seller: AccountId,
    /// The contract or account that may rule on a dispute.
    pub arbiter: AccountId,
    /// The native coin or one token.
    pub asset: AssetId,
    /// In the asset's smallest unit; 1 to [`crate::chain::amount_cap`].
    #[serde(with = "dec")]
    pub amount: u128,
    /// Unix seconds; the seller's signature is worthless after it.
    #[serde(with = "dec")]
    pub fund_by: u64,
    /// Unix seconds; not delivered by then, everything left goes back to the buyer.
    #[serde(with = "dec")]
    pub deliver_by: u64,
    /// Seconds after delivery in which to release or dispute; 1 to 366 days.
    pub inspection: u32,
    /// Seconds after a dispute in which the arbiter must have ruled; 1 to 366 days.
    pub ruling: u32,
    /// The seller's share of the whole amount if no ruling arrives in time; basis points, at most 10,000.
    pub lapse_share: u16,
    /// A payment channel: no `deliver`, no `claim`.
    pub metered: bool,
    /// The pool of the arbiter that may rule: the hash of its rule book.
    pub panel: B256,
    /// SHA-256 of the JCS-canonical agreement.
    pub agreement: B256,
    /// Makes equal deals distinct.
    pub salt: B256,
}
