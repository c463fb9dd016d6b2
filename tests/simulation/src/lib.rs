//! A world in one process: chain, nodes, people, hub and clock by a seed, and the real indexer and the real relayer in it.
//!
//! `README.md` says what goes wrong in it and what must hold all the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

mod chain;
mod database;
mod dice;
pub mod faults;
mod hub;
mod node;
mod oracle;
mod people;
pub mod play;
mod scene;
mod services;
mod world;
