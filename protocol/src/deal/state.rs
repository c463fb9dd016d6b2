//! Where a deal stands.

use std::fmt;

use crate::terms::Terms;

/// The states of a deal, numbered as in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// Never funded.
    None,
    /// The escrow holds the amount.
    Funded,
    /// The seller said that it delivered.
    Delivered,
    /// A party disputed.
    Disputed,
    /// Everything is paid.
    Closed,
}

impl Status {
    /// Every status in the order of a deal's life.
    pub const ALL: [Self; 5] = [Self::None, Self::Funded, Self::Delivered, Self::Disputed, Self::Closed];

    /// Whether the escrow keeps anything of the deal.
    pub const fn is_kept(self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether the escrow holds something for the deal.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Funded | Self::Delivered | Self::Disputed)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Funded => "funded",
            Self::Delivered => "delivered",
            Self::Disputed => "disputed",
            Self::Closed => "closed",
        })
    }
}

/// What the escrow keeps of a deal. Amounts in the asset's smallest unit, times in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DealState {
    /// Where it stands.
    pub status: Status,
    /// Its events so far, modulo 256.
    pub count: u8,
    /// When it was delivered (Delivered) or disputed (Disputed), else zero.
    pub since: u64,
    /// When it was funded.
    pub funded_at: u64,
    /// Paid or credited to the seller.
    pub released: u128,
    /// Paid or credited to the buyer.
    pub refunded: u128,
}

impl DealState {
    /// A deal that was never funded, and what the chain keeps of one that closed after its `fund_by`.
    pub const EMPTY: Self =
        Self { status: Status::None, count: 0, since: 0, funded_at: 0, released: 0, refunded: 0 };

    /// What the status comes to at `now`: an empty state whose `fund_by` has passed is as good as Closed, whether the deal
    /// was never funded or closed and forgotten.
    pub const fn status_at(&self, terms: &Terms, now: u64) -> Status {
        match self.status {
            Status::None if now > terms.fund_by => Status::Closed,
            status => status,
        }
    }

    /// What the escrow still holds for the deal.
    pub const fn remaining(&self, terms: &Terms) -> u128 {
        match self.status {
            // Retracted terms are Closed and never held anything.
            Status::None | Status::Closed => 0,
            _ => terms.amount.saturating_sub(self.released).saturating_sub(self.refunded),
        }
    }
}
