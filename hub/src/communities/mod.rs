//! Communities, who belongs to them, and the arbitration pools that serve them or everyone.
//!
//! `community@1` begins one with its author as steward; a steward adds and removes members (`membership@1`, by which
//! members also leave) and says which pool serves the community (`pool@1` about it). A `pool@1` about nothing makes a pool
//! known as public, which only the account of its keeper's wallet may. What a pool is — rule book, worst case, members —
//! is read from its contract, never taken from a person.

pub(crate) mod api;
mod model;
mod room;
mod store;
#[cfg(test)]
mod tests;

pub use api::{CommunityView, MemberView, PoolView};
pub use model::{CommunityBody, MembershipBody, PoolBody, PoolFacts, Scope, common_or_public};
pub(crate) use room::{TABLES, apply, change_member, check, prepare};
pub(crate) use store::{Pool, community, pool, role_of, roles_of, with_roles};
