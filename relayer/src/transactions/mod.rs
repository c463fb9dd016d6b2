//! Transactions: an intent becomes a transaction, and is watched until the chain has settled it.
//!
//! Every signed transaction is stored, with its nonce reserved in the same database transaction, before it is first sent;
//! sending the same bytes again is free, and a crash anywhere loses nothing. What became of an intent is read from facts
//! alone, in this order: a receipt of any of its transactions, the signer's nonce at finality, the case on chain. A node's
//! words about a transaction decide nothing. Only what is final is final: until then a reorganisation opens everything
//! again. An effect that somebody else brought about is done as well.

mod api;
mod case;
mod fees;
mod model;
mod pursue;
mod report;
mod resolve;
mod sign;
mod store;
#[cfg(test)]
mod tests;
mod worker;

pub use api::routes;
pub use case::{Cure, Effect, Jury, achieved, calldata, cure};
pub use fees::{Fees, Price, bump, first_price, gas_limit};
pub use model::{Forbidden, Step, next};
pub use report::{Reporter, reporter};
pub use resolve::{AttemptFacts, AttemptRules, Resolution, WaitingFacts, with_attempts, without_attempts};
pub use sign::{Draft, Signed, sign};
pub use store::{Attempt, Outcome, Standing, standing};
pub use worker::{Rules, Worker};
