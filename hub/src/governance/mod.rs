//! One vote for everything that a community decides: an electorate, frozen when the proposal opens, a rule, a window and a
//! typed effect. How it is built and what comes next: `docs/governance.md`.
//!
//! - `rule.rs`: electorates, rules, what a ballot may say
//! - `model.rs`: bodies, effects, and what a community's settings ask of a proposal; `settings.rs`: what they are
//! - `tally.rs`: from ballots to a result, pure
//! - `table.rs`: where a proposal stands and what may be done
//! - `room.rs`: what `submit` asks; `effects.rs`: what an acceptance does; `timer.rs`: proposals whose window is over
//! - `store.rs`: proposals, electors, ballots, settings
//! - `api.rs`: proposals, electors, ballots

pub(crate) mod api;
mod effects;
pub mod model;
mod room;
pub mod rule;
pub mod settings;
mod store;
pub mod table;
pub mod tally;
#[cfg(test)]
pub(crate) mod tests;
mod timer;

pub use api::{ProposalView, SettingView, UnexecutedView, VoteView};
pub(crate) use room::{TABLES, admit, apply, check, prepare};
pub(crate) use store::{asked_about, last_ballots, of_grievance, settings};
pub(crate) use timer::{PROPOSALS, say_tally};
