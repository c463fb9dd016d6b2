//! One suite for every chain: random histories and written scenarios, told to the model and to the chain, with everything
//! that comes of each step compared.
//!
//! A history is numbers alone ([`history`]); [`deals`] and [`cases`] read them as steps in [`words`] of no chain. A
//! [`play::Play`] tells each step to the model and to a [`chain::Chain`] and compares refusal, events, payouts, state and
//! holdings. Chains: the contracts' bytecode on an EVM in this process or on a node ([`evm`]), the program in litesvm
//! ([`solana`]), and the model itself ([`paper`]), with which [`vector`]s are written. `README.md` is the format of vectors.
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
pub mod chain;
pub mod deals;
mod dice;
pub mod evm;
pub mod history;
pub mod paper;
pub mod play;
pub mod scenarios;
pub mod solana;
mod tell;
pub mod vector;
pub mod words;
