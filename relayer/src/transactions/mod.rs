//! Transactions: an intent becomes a transaction, and is watched until the chain has settled it.
//!
//! Every signed transaction is stored before it is first sent; sending the same bytes again is free, and a crash anywhere
//! loses nothing. What became of an intent is read from facts alone: first what the chain shows of its transactions, up to
//! finality, then the case on chain. A node's words about a transaction decide nothing. Only what is final is final: until
//! then a reorganisation opens everything again. An effect that somebody else brought about is done as well.
//!
//! How a transaction is made and followed is a manager's, one for each kind of chain ([`Manager`]).

mod acts;
mod api;
mod case;
mod desk;
mod doubt;
mod evm;
mod holds;
mod manager;
mod model;
mod nodes;
mod refusal;
mod resolve;
mod rest;
mod solana;
mod still;
mod store;
mod strangers;
#[cfg(test)]
mod tests;
mod turns;
mod unagreed;
mod worker;

pub use api::routes;
pub use desk::Desk;
pub use manager::{ChainError, Manager, Seen, SeenSigner};
pub use model::{Forbidden, Step, next};
pub use rest::Rest;
pub use store::{Outcome, Standing, standing};
pub use worker::{TASK, Worker};
