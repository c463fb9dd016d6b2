//! What a transaction costs on Solana, and what is offered for priority. Prices are in millionths of a lamport for a compute
//! unit, fees in lamports.

use protocol::wire::intent::Estimate;

/// What the cluster takes for every signature that it checks, those of Ed25519 instructions included.
pub const LAMPORTS_PER_SIGNATURE: u64 = 5_000;
/// The most compute units that a transaction may ask for.
pub const UNITS_MAX: u32 = 1_400_000;
/// The least by which a price rises.
const LEAST_RISE: u64 = 1_000;
const MILLION: u64 = 1_000_000;
const WHOLE_BPS: u64 = 10_000;

/// The compute units that a transaction asks for: what it took when it was tried and a quarter, for the chain moves on
/// until it runs.
pub fn units_limit(tried: u64) -> u32 {
    let units = tried.saturating_add(tried / 4).saturating_add(5_000);
    u32::try_from(units).unwrap_or(UNITS_MAX).min(UNITS_MAX)
}

/// What a transaction costs.
pub const fn fee(signatures: u64, units: u32, price: u64) -> u64 {
    let priority = (units as u128).saturating_mul(price as u128).div_ceil(MILLION as u128);
    let priority = if priority > u64::MAX as u128 { u64::MAX } else { priority as u64 };
    LAMPORTS_PER_SIGNATURE.saturating_mul(signatures).saturating_add(priority)
}

/// What a transaction costs now, and at most.
pub fn estimate(units: u32, fee: u64, budget_left: u64) -> Estimate {
    Estimate { units: units.into(), cost_now: fee.into(), cost_max: budget_left.into() }
}

/// The price that three quarters of the recent ones do not exceed; zero without any.
pub fn usual(mut recent: Vec<u64>) -> u64 {
    recent.sort_unstable();
    let at = recent.len().saturating_mul(3).div_ceil(4).saturating_sub(1);
    recent.get(at).copied().unwrap_or(0)
}

/// What decides a price.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// The usual price of late.
    pub usual: u64,
    /// That of the intent's transaction before this one, which was not taken in time.
    pub before: Option<u64>,
    /// By how much to rise above that, in basis points.
    pub rise_bps: u32,
    /// The highest price by configuration.
    pub price_max: u64,
    /// What is left of the intent's budget.
    pub budget_left: u64,
}

/// The price to offer for a transaction of that many signatures and units; or, where the budget does not even cover its
/// signatures, what that would take.
///
/// # Errors
/// The lamports that are missing to do it at all.
pub fn price(offer: &Offer, signatures: u64, units: u32) -> Result<u64, u64> {
    let base = LAMPORTS_PER_SIGNATURE.saturating_mul(signatures);
    let Some(left) = offer.budget_left.checked_sub(base) else { return Err(base) };
    let risen = offer.before.map_or(0, |before| {
        let more = before.saturating_mul(offer.rise_bps.into()).div_ceil(WHOLE_BPS);
        before.saturating_add(more.max(LEAST_RISE))
    });
    let allowed = left.saturating_mul(MILLION).checked_div(units.into()).unwrap_or(0);
    Ok(offer.usual.max(risen).min(offer.price_max).min(allowed))
}
