//! What the canonical events add up to: one state for each subject (a deal, a case, a pool), folded event by event and
//! written in the transaction of the events themselves. States hold nothing that the events do not: `verify` folds them
//! again and compares.

pub(crate) mod model;
pub(crate) mod store;
#[cfg(test)]
mod tests;
