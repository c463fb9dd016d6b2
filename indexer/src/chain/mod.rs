//! From the chain to the database: follows the head block by block by hash, reads the final past by ranges, notices
//! replaced blocks, and commits every step (blocks, events, states, feed, cursor) in one transaction.

pub(crate) mod api;
pub(crate) mod follow;
pub(crate) mod model;
mod read;
pub(crate) mod rpc;
pub(crate) mod store;
#[cfg(test)]
mod tests;
