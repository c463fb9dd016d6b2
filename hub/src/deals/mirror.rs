//! What a deal holds and paid, as entries of the one ledger.
//!
//! A member's account in a coin or token counts what lies in escrow for it: the buyer's from the funding on, and what is released
//! goes from the buyer to the seller and out. The other side of it is an account of the deal's own, which is at zero once the deal is
//! closed. What is booked follows from what the deal's final events add up to, so late ones, and several at once, book the same.

use alloy::primitives::B256;
use protocol::{chain::AssetId, wire::dec};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use super::{
    position::Position,
    store::{self, Purchase},
};
use crate::{
    error::Error,
    ledger::{
        self,
        model::{Asset, Key},
        post::Leg,
    },
    records::{Accepted, RecordId},
};

/// What went into a deal and out of it, in the asset's smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mirrored {
    /// In, by the buyer.
    #[serde(with = "dec")]
    pub funded: u128,
    /// Out, for the seller: paid, or owed to it by the escrow where a payment did not arrive.
    #[serde(with = "dec")]
    pub released: u128,
    /// Out, for the buyer: as `released`.
    #[serde(with = "dec")]
    pub refunded: u128,
}

impl Mirrored {
    /// What final events add up to, in a deal of this amount.
    pub(crate) const fn of(position: &Position, amount: u128) -> Self {
        let funded = if position.funded_at.is_some() { amount } else { 0 };
        Self { funded, released: position.released, refunded: position.refunded }
    }

    /// What is left in the deal; none where more went out than came in, which no event's totals allow.
    pub(crate) fn held(&self) -> Option<u128> {
        self.funded.checked_sub(self.released)?.checked_sub(self.refunded)
    }

    /// What came to it since; none where something of `before` is gone.
    fn since(&self, before: &Self) -> Option<Self> {
        Some(Self {
            funded: self.funded.checked_sub(before.funded)?,
            released: self.released.checked_sub(before.released)?,
            refunded: self.refunded.checked_sub(before.refunded)?,
        })
    }
}

/// The accounts that a deal moves something on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sides {
    /// The other side of what lies in the deal.
    pub deal: Key,
    /// The buyer's own.
    pub buyer: Key,
    /// The seller's own.
    pub seller: Key,
}

impl Sides {
    /// Of a purchase between these two.
    pub(crate) const fn new(purchase: RecordId, asset: AssetId, buyer: RecordId, seller: RecordId) -> Self {
        let asset = Asset::Chain(asset);
        Self {
            deal: Key::mirror(asset, purchase),
            buyer: Key::member(asset, buyer),
            seller: Key::member(asset, seller),
        }
    }

    /// From where to where how much goes, in the order in which nobody comes below zero.
    fn moves(&self, what: Mirrored) -> Vec<(Key, Key, u128)> {
        let Self { deal, buyer, seller } = *self;
        vec![
            (deal, buyer, what.funded),
            (buyer, seller, what.released),
            (seller, deal, what.released),
            (buyer, deal, what.refunded),
        ]
    }
}

/// The legs of each transfer that takes the ledger from what it has of a deal to what the deal's events add up to. Where an operator
/// let the indexer go on past what was final, events may add up to less than before: then what was booked is booked back, and what is
/// so now is booked. None where an amount is beyond what any ledger counts.
pub(crate) fn legs(sides: &Sides, before: Mirrored, after: Mirrored) -> Option<Vec<Vec<Leg>>> {
    let moves: Vec<(Key, Key, u128)> = match after.since(&before) {
        Some(added) => sides.moves(added),
        None => {
            let back = sides.moves(before).into_iter().rev().map(|(from, to, amount)| (to, from, amount));
            back.chain(sides.moves(after)).collect()
        }
    };
    moves
        .into_iter()
        .filter(|(_, _, amount)| *amount > 0)
        .map(|(from, to, amount)| {
            let amount = i128::try_from(amount).ok()?;
            let given = amount.checked_neg()?;
            Some(vec![Leg { account: from, amount: given }, Leg { account: to, amount }])
        })
        .collect()
}

/// Books what a final event moved, in the transaction in which the hub takes it. What the ledger cannot count stays out of it, is
/// tried again with the deal's next event, and is a fault to `verify`: the event itself stands, for a token with more units than the
/// ledger has digits is no reason to keep a delivery waiting.
///
/// # Errors
/// The database fails.
pub(super) async fn book(
    on: &mut AnyConnection,
    purchase: &mut Purchase,
    accepted: &Accepted,
) -> Result<(), Error> {
    let after = Mirrored::of(&purchase.position, purchase.terms.amount);
    if after == purchase.mirrored {
        return Ok(());
    }
    let asset = purchase.terms.asset;
    let sides = Sides::new(purchase.id, asset, purchase.buyer, purchase.seller);
    let refused = match legs(&sides, purchase.mirrored, after) {
        Some(transfers) => {
            let posted =
                ledger::mirrored(on, accepted.record.id, asset, transfers, accepted.received_at).await?;
            posted.err().map(|refusal| refusal.detail)
        }
        None => Some("an amount is beyond 38 digits".to_owned()),
    };
    if let Some(why) = refused {
        tracing::error!(deal = %purchase.deal, %asset, %why, "the ledger cannot count what a deal moved");
        metrics::counter!("hub_mirror_refused_total", "chain" => asset.chain.to_string()).increment(1);
        return Ok(());
    }
    purchase.mirrored = after;
    store::mirror(on, purchase).await
}

/// As a balance counts it; none where it is beyond that.
pub(super) fn left(held: Option<u128>) -> Option<i128> {
    held.and_then(|held| i128::try_from(held).ok())
}

/// An amount, or that there is none.
pub(super) fn in_words(amount: Option<i128>) -> String {
    amount.map_or_else(|| "an amount beyond 38 digits".to_owned(), |amount| amount.to_string())
}

/// In words, where the ledger has something else of a deal than the deal's final events add up to: the balance of the deal's own
/// account, or what was booked.
pub(crate) fn differs(
    deal: B256,
    asset: AssetId,
    (balance, booked): (i128, Mirrored),
    says: Mirrored,
) -> Vec<String> {
    let mut told = Vec::new();
    if booked != says {
        told.push(format!(
            "deal {deal}: the ledger has booked {} of {asset} in, {} to the seller and {} back, and its final events say \
             {}, {} and {}",
            booked.funded, booked.released, booked.refunded, says.funded, says.released, says.refunded
        ));
    }
    let (counted, left) = (balance.checked_neg(), left(says.held()));
    if counted != left {
        let (counted, left) = (in_words(counted), in_words(left));
        told.push(format!(
            "deal {deal}: the ledger counts {counted} of {asset} in it, and its final events leave {left}"
        ));
    }
    told
}
