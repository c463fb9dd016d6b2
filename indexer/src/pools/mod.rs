//! Arbitration pools as the canonical events of their arbiter add up to them: the rule book and the member lists.

pub(crate) mod api;
mod filter;
pub(crate) mod model;
pub(crate) mod store;
