//! The model and the contracts put through the same random histories.
//!
//! A history is numbers alone ([`history`]); [`deals`] and [`cases`] read them as attempts, sound and unsound, tell each to
//! the model and to the real bytecode, and compare state, payouts, events and refusal after every one. The bytecode runs on
//! a [`Ground`]: an EVM in this process ([`Evm`]), or a real node ([`Node`]).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

mod attempt;
pub mod cases;
mod court;
pub mod deals;
mod dice;
mod evm;
mod ground;
pub mod history;
mod node;
mod world;

pub use evm::Evm;
pub use ground::{Call, Ground};
pub use node::Node;
pub use world::World;
