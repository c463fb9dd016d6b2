//! Quotas of what is done in somebody's name: how many transactions an account, and all accounts together, may have signed
//! in an hour and in a day, and what these may cost. Steps of a case are done for everybody, come first, and are held to
//! none.
//!
//! What is over a quota waits, with the quota named, until the window has moved on or its own time is over. What was signed
//! counts as dear as it was signed, whether it came to cost that or not.

mod model;
mod store;
#[cfg(test)]
mod tests;

pub use model::{BILLION, Over, Quotas, Use, Used, billionths};
pub use store::{Totals, charge, of_steps, over, over_beside, raise, totals, used};
