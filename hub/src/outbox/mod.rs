//! What happened, appended once in the transaction of the effect and told from a cursor: server-sent events now,
//! every other way out later. Consumers are idempotent by `seq`.

pub(crate) mod api;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use store::{TABLES, append};
