//! The feed: every event of the watched contracts in commit order, told again whenever its finality changes.

pub(crate) mod api;
pub(crate) mod select;
pub(crate) mod store;
pub(crate) mod stream;
pub(crate) mod teller;
#[cfg(test)]
mod tests;
