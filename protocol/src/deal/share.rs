//! What a share of a deal comes to. A share is always of the whole amount, in basis points.

/// Basis points of a whole.
pub const WHOLE: u16 = 10_000;

/// The seller's total at `share` basis points (at most [`WHOLE`]): rounded down, never below what it has nor above what
/// the buyer left. Exact for every 128-bit amount.
pub fn seller_total(share: u16, amount: u128, released: u128, refunded: u128) -> u128 {
    const PARTS: u128 = WHOLE as u128;
    let share = u128::from(share.min(WHOLE));
    // amount = q·10,000 + r, so ⌊amount·share / 10,000⌋ = q·share + ⌊r·share / 10,000⌋, and nothing overflows.
    let (quotient, rest) = (amount / PARTS, amount % PARTS);
    let total = quotient.saturating_mul(share).saturating_add(rest.saturating_mul(share) / PARTS);
    clamp(total, amount, released, refunded)
}

/// `total` moved into `released ..= amount - refunded`.
pub fn clamp(total: u128, amount: u128, released: u128, refunded: u128) -> u128 {
    total.max(released).min(amount.saturating_sub(refunded))
}
