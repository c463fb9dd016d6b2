//! What a transaction may cost (EIP-1559), and by how much a stuck one rises. All in wei.

use protocol::wire::intent::Estimate;
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

/// What a place in one of the next blocks costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Market {
    /// The next block's base fee.
    pub base_fee: u128,
    /// What others lately gave the producer on top.
    pub priority_fee: u128,
}

impl Market {
    /// What to offer: enough for a base fee that doubles.
    pub const fn fees(self) -> Fees {
        let max_fee = self.base_fee.saturating_mul(2).saturating_add(self.priority_fee);
        Fees { max_fee, priority_fee: self.priority_fee }
    }

    /// What the next two blocks ask for at the very least: a base fee rises by an eighth a block at most.
    pub const fn least(self) -> u128 {
        self.base_fee.saturating_add(self.base_fee.div_ceil(8)).saturating_add(1)
    }
}

/// The median of what blocks of late were paid on top (the first of each row), of those that were paid something; at least
/// 1 wei.
pub fn usual(rewards: &[Vec<u128>]) -> u128 {
    let mut paid: Vec<u128> =
        rewards.iter().filter_map(|row| row.first().copied()).filter(|paid| *paid > 0).collect();
    paid.sort_unstable();
    let (low, high) = (paid.get(paid.len().saturating_sub(1) / 2), paid.get(paid.len() / 2));
    low.zip(high).map_or(1, |(low, high)| low.midpoint(*high))
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

/// The fees of a first transaction: what to offer, or less where the ceiling asks for it and the next block would still take
/// it.
pub fn first_price(market: Market, ceiling: u128) -> Price {
    if market.least() > ceiling {
        return Price::TooDear { needed: market.least(), allowed: ceiling };
    }
    let wanted = market.fees();
    let max_fee = wanted.max_fee.min(ceiling);
    Price::Fees(Fees { max_fee, priority_fee: wanted.priority_fee.min(max_fee) })
}

/// What a transaction of so much gas costs now, and at most.
pub fn estimate(gas: u64, market: Market, ceiling: u128) -> Estimate {
    let units = u128::from(gas);
    let now = market.base_fee.saturating_add(market.priority_fee);
    Estimate { units: gas, cost_now: now.saturating_mul(units), cost_max: ceiling.saturating_mul(units) }
}

/// The fees of a replacement: both raised by `bump_bps` (rounded up, at least by 1 wei), or what to offer now where that is
/// higher, but not above the ceiling. Nodes take no replacement that raises less than 10 %. What the next block would not
/// take is not worth the budget that it uses up.
pub fn bump(old: Fees, market: Market, bump_bps: u32, ceiling: u128) -> Price {
    let raised_max = raised(old.max_fee, bump_bps);
    let needed = raised_max.max(market.least());
    if needed > ceiling {
        return Price::TooDear { needed, allowed: ceiling };
    }
    let wanted = market.fees();
    let max_fee = raised_max.max(wanted.max_fee).min(ceiling);
    let priority_fee = raised(old.priority_fee, bump_bps).max(wanted.priority_fee).min(max_fee);
    Price::Fees(Fees { max_fee, priority_fee })
}

fn raised(fee: u128, bump_bps: u32) -> u128 {
    let more = fee.saturating_mul(bump_bps.into()).div_ceil(10_000).max(1);
    fee.saturating_add(more)
}
