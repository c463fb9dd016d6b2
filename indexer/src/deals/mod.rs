//! Deals as the canonical events of their escrow add up to them: terms, status, what was paid, and whether every event
//! of the contract's own count was seen.

pub(crate) mod api;
mod filter;
pub(crate) mod model;
pub(crate) mod store;
#[cfg(test)]
mod tests;
