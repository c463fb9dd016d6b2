//! From the chain to the database: a source reads the chain, and every step (blocks, events, states, feed, cursor) is
//! committed in one transaction.

pub(crate) mod api;
mod batch;
mod evm;
pub(crate) mod follow;
mod quorum;
mod reconcile;
mod refusals;
pub(crate) mod rpc;
mod solana;
pub(crate) mod source;
pub(crate) mod step;
pub(crate) mod store;
#[cfg(test)]
mod tests;
pub(crate) mod trust;
