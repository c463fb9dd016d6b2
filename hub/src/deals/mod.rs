//! Transactions: an offer to buy (`purchase@1`), the seller's signature of its terms (`acceptance@1`), stepping back
//! before funding (`withdrawal@1`), and from then on what the escrow says (`chain-event@1`, by the hub itself).
//!
//! - `status.rs`: the state machine as a table
//! - `position.rs`: the fold of the chain's events over it
//! - `model.rs`: agreements, the rules of an offer, whether a telling of the relayer is true
//! - `room.rs`: what `submit` asks
//! - `chain.rs`: the relayer's door and the effects of an event; `events.rs`: what is held of the events
//! - `mirror.rs`, `reconcile.rs`: what a deal holds and paid, in the ledger, and whether the chain says the same
//! - `acts.rs`, `orders.rs`: what parties sign for the hub to have done (`act@1`), and what it is to do for them when the
//!   time has come (`standing@1`)
//! - `intents.rs`: what the hub wants done on chain
//! - `store.rs`, `api.rs`

pub mod acts;
pub(crate) mod api;
mod chain;
pub(crate) mod events;
pub(crate) mod intents;
pub(crate) mod mirror;
pub mod model;
pub(crate) mod orders;
pub mod position;
pub(crate) mod reconcile;
mod room;
pub mod status;
pub(crate) mod store;
#[cfg(test)]
mod tests;

pub use api::{
    ActView, DeadlineView, IntentView, ProvisionalView, PurchaseDetails, PurchaseView, StandingView,
};
pub(crate) use room::{TABLES, apply, check, prepare};
