//! Credentials (W3C Verifiable Credentials 2.0, secured by `eddsa-jcs-2022`): what the parties of a completed deal say of
//! one another, and what the hub says of a lost dispute. Every one rests on a deal that anyone can look up on chain;
//! nothing is added up into a score, and a deal is completed whether or not anyone issues one.
//!
//! - `model.rs`: the form, [`model::issue`] and [`model::verify`]; needs no server
//! - `room.rs`: what `submit` asks, and the hub's own credential
//! - `store.rs`, `api.rs`

pub(crate) mod api;
pub mod model;
mod room;
mod store;
#[cfg(test)]
mod tests;

pub use api::CredentialView;
pub(crate) use room::{TABLES, apply, check, follow, prepare};
