//! Who may read: the audience of a record, the roles of a reader, and the one function that decides. And what a token is
//! for: `scope.rs` (scopes and the table of routes), `guard.rs` (before every route). What only persons may do is in `person.rs`.
//!
//! Every read of the hub asks [`may_read`]; what a reader may not read is answered as if it were not there. Lists ask in their queries
//! too (`lists.rs`).

mod guard;
mod lists;
mod model;
mod person;
mod scope;
#[cfg(test)]
mod tests;

pub(crate) use guard::{guard, strays};
pub(crate) use lists::{List, Order, TABLES, belongs_to, hide_from, readable, show_also, show_to};
pub use model::{Audience, Reader, Role, may_read};
pub(crate) use person::persons_only;
pub use scope::{Area, Scope};
pub(crate) use scope::{Caller, Need, need};
