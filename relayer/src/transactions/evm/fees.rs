//! What a transaction may cost (EIP-1559), and by how much a stuck one rises. All in wei.

use serde::Serialize;

/// The fees of one transaction for a unit of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fees {
    /// The most that is paid, base fee included.
    #[serde(with = "protocol::wire::dec")]
    pub max_fee: u128,
    /// The part of it that goes to the block's producer at most.
    #[serde(with = "protocol::wire::dec")]
    pub priority_fee: u128,
}

/// A price that the limits allow, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// These fees.
    Fees(Fees),
    /// The limits allow no more than this for a unit of gas, and that is too little.
    TooDear {
        /// What it would take.
        needed: u128,
        /// What is allowed.
        allowed: u128,
    },
}

/// The gas that a transaction is given: the estimate and a quarter, and what a payee may spend more than it did when the
/// estimate was made. What is not used costs nothing.
pub const fn gas_limit(estimate: u64, payee: u64) -> u64 {
    estimate.saturating_add(estimate / 4).saturating_add(payee)
}

/// The highest fee for a unit of gas: the configured one, or what is left of the intent's budget over its gas.
pub fn ceiling(max_fee_per_gas: u128, budget_left: u128, gas: u64) -> u128 {
    max_fee_per_gas.min(budget_left.checked_div(gas.into()).unwrap_or(0))
}

/// The fees of a first transaction: the estimate, when the ceiling allows it.
pub const fn first_price(estimate: Fees, ceiling: u128) -> Price {
    if estimate.max_fee > ceiling {
        return Price::TooDear { needed: estimate.max_fee, allowed: ceiling };
    }
    Price::Fees(estimate)
}

/// The fees of a replacement: both raised by `bump_bps` (rounded up, at least by 1 wei), or the estimate where that is
/// higher, but not above the ceiling. Nodes take no replacement that raises less than 10 %.
pub fn bump(old: Fees, estimate: Fees, bump_bps: u32, ceiling: u128) -> Price {
    let least =
        Fees { max_fee: raised(old.max_fee, bump_bps), priority_fee: raised(old.priority_fee, bump_bps) };
    if least.max_fee > ceiling {
        return Price::TooDear { needed: least.max_fee, allowed: ceiling };
    }
    let max_fee = least.max_fee.max(estimate.max_fee).min(ceiling);
    let priority_fee = least.priority_fee.max(estimate.priority_fee).min(max_fee);
    Price::Fees(Fees { max_fee, priority_fee })
}

fn raised(fee: u128, bump_bps: u32) -> u128 {
    let more = fee.saturating_mul(bump_bps.into()).div_ceil(10_000).max(1);
    fee.saturating_add(more)
}
