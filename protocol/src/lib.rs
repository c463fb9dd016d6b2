//! The deal protocol: terms, ids, digests, the pure state machine of a deal and of an arbitration case, typed bindings
//! to the contracts, and the small wire types by which indexer, relayer and hub speak to each other.
//!
//! Pure: no I/O, no clock, no randomness. `docs/protocol.md` is the text that this crate implements.

pub mod arbitration;
pub mod chain;
pub mod deal;
pub mod evm;
pub mod refusal;
pub mod solana;
pub mod terms;
pub mod wire;
