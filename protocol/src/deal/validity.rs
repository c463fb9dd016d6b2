//! Which terms may be funded.

use super::{refusal::Refusal, share::WHOLE};
use crate::terms::Terms;

/// Seconds; the longest `inspection` and `ruling`: 366 days.
pub const LONGEST_WINDOW: u32 = 366 * 86_400;
/// Seconds from funding to the farthest `deliver_by`: 3,650 days.
pub const FARTHEST_DEADLINE: u64 = 3_650 * 86_400;
/// Bytes of an evidence URI.
pub const LONGEST_URI: usize = 256;

/// Whether these terms may be funded at `now`, on a chain that takes amounts up to `cap`. That `now` is not after
/// `fund_by` is a matter of state: such a deal counts as closed.
///
/// # Errors
/// The first rule that is broken, in the order of [`Refusal`].
pub fn validate(terms: &Terms, now: u64, cap: u128) -> Result<(), Refusal> {
    violations(terms, now, cap).next().map_or(Ok(()), Err)
}

/// Every rule that these terms break, in the order of [`Refusal`]; as [`validate`].
pub fn violations(terms: &Terms, now: u64, cap: u128) -> impl Iterator<Item = Refusal> {
    let asset = terms.asset.address();
    let (buyer, seller) = (terms.buyer.address, terms.seller.address);
    let mut accounts = [buyer, seller, terms.arbiter.address, terms.escrow.address, asset];
    accounts.sort_unstable();
    let windows = [terms.inspection, terms.ruling];
    let rules = [
        (buyer.is_zero() || seller.is_zero(), Refusal::ZeroParty),
        (accounts.array_windows().any(|[one, next]| one == next), Refusal::SameParty),
        (terms.amount == 0 || terms.amount > cap, Refusal::AmountOutOfRange),
        (windows.iter().any(|window| !(1..=LONGEST_WINDOW).contains(window)), Refusal::WindowOutOfRange),
        (terms.lapse_share > WHOLE, Refusal::ShareOutOfRange),
        (terms.fund_by >= terms.deliver_by, Refusal::DeadlinesOutOfOrder),
        (terms.deliver_by > now.saturating_add(FARTHEST_DEADLINE), Refusal::DeadlineTooFar),
    ];
    rules.into_iter().filter_map(|(broken, refusal)| broken.then_some(refusal))
}
