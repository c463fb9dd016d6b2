//! Arbitration cases as the canonical events of their arbiter add up to them. Anyone can open a case for a deal of an
//! escrow that it made itself, under any id: a case is known by arbiter, escrow and deal together.

pub(crate) mod api;
mod filter;
pub(crate) mod model;
pub(crate) mod store;
#[cfg(test)]
mod tests;
