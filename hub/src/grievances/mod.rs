//! Disputes of a community's members: what was paid in the ledger, deals on a chain, credentials, memberships, and what members
//! say. A steward mediates; what is not settled goes to a jury of members drawn by lot, whose decision is a vote of the governance
//! room, and a deal to the jury of its chain. The path and its bounds: `docs/grievances.md`.
//!
//! - `table.rs`: where a grievance stands and what may be done, by whom
//! - `model.rs`: bodies, what may come of a grievance; `subject.rs`: what it may be about, and when again
//! - `jury.rs`: the draw, a jury's rule, and what its ballots come to
//! - `room.rs`: what `submit` asks; `filing.rs`: what may be filed, and what may be erased meanwhile; `rulings.rs`: juries, and what an outcome does; `timer.rs`: grievances whose time is over
//! - `settlement.rs`: deals on a chain, whose events end a grievance
//! - `store.rs`: grievances, who has a part in them, what was done; `draws.rs`: each draw of jurors as it was
//! - `api.rs`: grievances and their steps; `told.rs`: what the bundle of one has, which `reputation` makes and checks, and who has lost

pub(crate) mod api;
mod draws;
mod filing;
pub mod jury;
pub mod model;
mod room;
mod rulings;
mod settlement;
mod store;
pub mod subject;
pub mod table;
#[cfg(test)]
pub(crate) mod tests;
mod timer;
mod told;

pub use api::{
    GrievanceView, JuryVoteView, NextStep, ProposedView, ResolutionView, SettlementView, StepView, UndoneView,
};
pub(crate) use filing::may_erase;
pub(crate) use room::{TABLES, apply, check};
pub(crate) use rulings::{rewarded, ruled, seated};
pub(crate) use settlement::{follow, signed};
pub(crate) use store::was_rewarded;
pub(crate) use timer::{GRIEVANCES, say_timeout};
pub(crate) use told::{lost, told};
