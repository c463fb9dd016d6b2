//! Disputes: the case of a disputed deal as the arbiter's events tell it, what the parties show (`evidence@1`), and the
//! jurors' ballots (`ballot@1`), which stay hidden until their jury has voted or its voting has closed; a juror with an interest in
//! the case steps aside (`recusal@1`). The hub collects and
//! hands on; the ruling is made on chain, from ballots that anyone can count again. A party's signed appeal (`appeal@1`) is
//! carried to the chain in the same way.
//!
//! - `case.rs`: the case as a table and a fold, and what its ballots come to
//! - `moments.rs`: what comes next and when, from chain facts alone
//! - `model.rs`: the rules of evidence, ballots, recusals and appeals
//! - `room.rs`: what `submit` asks, and what an event or a moment that has come leads to
//! - `jurors.rs`: jurors who step aside, and what jurors are paid
//! - `timer.rs`: moments that come by the clock, for the scheduler
//! - `duties.rs`: the juries on which somebody sits
//! - `store.rs`, `api.rs`

pub(crate) mod api;
pub mod case;
mod duties;
mod jurors;
pub mod model;
pub mod moments;
mod room;
mod store;
#[cfg(test)]
mod tests;
mod timer;

pub use api::{BallotView, CaseView, EvidenceView, JuryView, Next, NextView, RulingView, SeatView};
pub use duties::DutyView;
pub(crate) use jurors::sits;
#[cfg(test)]
pub(crate) use room::Come;
pub(crate) use room::{TABLES, apply, check, follow, prepare};
pub(crate) use timer::{MOMENTS, TIME_OUTS, say_moment, say_time_out};
