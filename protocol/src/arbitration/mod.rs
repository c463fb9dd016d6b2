//! Arbitration: pools, juries, ballots and rulings.

mod refusal;

pub use refusal::Refusal;
