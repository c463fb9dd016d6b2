//! Disputes: the case of a disputed deal as the arbiter's events tell it, what the parties show (`evidence@1`), and the
//! jurors' ballots (`ballot@1`), which stay hidden until all have voted or voting has closed. The hub collects and hands
//! on; the ruling is made on chain, from ballots that anyone can count again.
//!
//! - `case.rs`: the case as a table and a fold, when voting ends and what its ballots come to
//! - `model.rs`: the rules of evidence and ballots
//! - `room.rs`: what `submit` asks, and what an event or a moment that has come leads to
//! - `timer.rs`: moments that come by the clock, kept in a table so that a restart loses none
//! - `store.rs`, `api.rs`

pub(crate) mod api;
pub mod case;
pub mod model;
mod room;
mod store;
#[cfg(test)]
mod tests;
mod timer;

pub use api::{BallotView, CaseView, DutyView, EvidenceView, SeatView};
pub(crate) use room::{TABLES, apply, check, follow};
pub(crate) use timer::run as run_timer;
