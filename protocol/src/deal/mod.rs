//! A deal as a pure state machine: `docs/protocol.md`, sections 1, 2 and 4.
//!
//! [`validate`] says which terms may be funded. [`apply`] is the one function by which a deal moves: from terms, state,
//! action, actor and [`Context`] to a [`Transition`] or a [`Refusal`]. What it allows is data, [`table`]: every pair of
//! status and action, each with its window and its actors. Time, the chain's cap, what signature checks found, how many
//! rulings the arbiter accepted and whether a payee can receive are inputs, so that the Solidity contract and this model
//! can be driven through the same histories.

mod action;
mod apply;
mod batch;
mod refusal;
mod share;
mod state;
pub mod table;
mod validity;

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests;

pub use action::{Action, ActionKind, Actor, Consent, Proof};
pub use apply::{Context, Payee, Payout, Transition, apply};
pub use batch::{Call, Stopped, batch};
pub use refusal::Refusal;
pub use share::{WHOLE, clamp, seller_total};
pub use state::{DealState, Status};
pub use validity::{FARTHEST_DEADLINE, LONGEST_URI, LONGEST_WINDOW, validate, violations};
