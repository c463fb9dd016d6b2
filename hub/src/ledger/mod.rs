//! What everybody has: double entry for every unit there is. How it is built and what comes next: `docs/ledger.md`.
//!
//! - `model.rs`: assets, accounts, entries, holds
//! - `rules.rs`: what may move where, and on whose word, as a table
//! - `post.rs`: the one posting function, pure
//! - `store.rs`, `write.rs`, `rows.rs`, `reversals.rs`, `sql.rs`: loading, locking, writing
//! - `verify.rs`: reads everything and says where it is not what it must be
//! - `room.rs`: what `submit` asks; `timer.rs`: holds whose time is over
//! - `doors.rs`: what other rooms have posted
//! - `api.rs`: accounts, statements, open holds

pub(crate) mod api;
#[cfg(feature = "bench")]
pub mod bench;
mod doors;
pub mod model;
pub mod post;
mod reversals;
mod room;
mod rows;
pub mod rules;
mod sql;
mod store;
#[cfg(test)]
mod tests;
mod timer;
mod verify;
mod write;

pub(crate) use api::treasury;
pub use api::{EntryView, HoldView, Side, StandingView, StatementView};
pub(crate) use doors::{counted, decided, governor, mirrored, moved, owes, reversed, set_floor, signed};
pub use room::{AssetBody, CaptureBody, HoldBody, ReleaseBody, TransferBody};
pub(crate) use room::{GOOD_FOR_MS, TABLES, apply, check, needs_credit, payable, prepare, say_assets};
pub(crate) use sql::{postgres, texts};
pub(crate) use timer::{HOLDS, say_expiry};
pub use verify::Verified;
pub(crate) use verify::verify;
