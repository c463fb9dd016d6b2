// The arithmetic of protocol.md, section 2.
export const WHOLE = 10_000n;

const clamp = (value, low, high) => (value < low ? low : value > high ? high : value);

/** A running total after release or refund. */
export const raised = (total, amount, other) => (total < amount - other ? total : amount - other);

/** Both totals when the deal closes by the seller's total. */
export function closedBy(sellerTotal, { amount }, { released, refunded }) {
  const seller = clamp(sellerTotal, released, amount - refunded);
  return { released: seller, refunded: amount - seller };
}

/** Both totals when the deal closes by the seller's share of the whole, in basis points. */
export const closedByShare = (share, terms, totals) => closedBy((terms.amount * BigInt(share)) / WHOLE, terms, totals);
