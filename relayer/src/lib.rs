//! The relayer: feed → hub, hub's intents → chain.
//!
//! It carries and decides nothing: the hub believes the chain, and every call that it sends is one that anybody may
//! send. Four tasks share one database:
//! - [`bridge`] hands every entry of the indexer's feed to the hub, in order, each until the hub has taken it;
//! - [`intents`] fetches what the hub wants done;
//! - [`transactions`] turns that into transactions, and watches each until the chain has settled it;
//! - [`outbox`] tells the hub how far that is, and the operator what needs a person.
//!
//! One process at a time works on a database ([`lease`]); a second one stands by.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails"))]

pub mod alarm;
pub mod bridge;
pub mod config;
pub mod cursor;
mod error;
pub mod estimate;
pub mod intents;
pub mod lease;
pub mod outbox;
pub mod page;
pub mod peer;
pub mod quota;
mod run;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod status;
#[cfg(test)]
mod testing;
pub mod transactions;

pub use error::Error;
pub use run::run;
