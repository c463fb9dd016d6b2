//! Communities, who belongs to them, and the arbitration pools that serve them or everyone.
//!
//! `community@1` begins one with its author as steward; whoever a steward and they themselves say so of belongs to it
//! (`membership@1`, by which stewards also remove members, and members leave), and a steward says which pool serves the community (`pool@1` about it). A `pool@1` about nothing makes a pool
//! known as public, which only the account of its keeper's wallet may. Who belongs to a community says whether a vote may put them on
//! its pools' lists, and with which wallet (`candidacy@1`). What a pool is — rule book, worst case, members —
//! is read from its contract, never taken from a person. What votes decide of a community's pools and their member lists: `lists`.

pub(crate) mod api;
pub(crate) mod lists;
mod model;
mod pools;
mod room;
mod store;
#[cfg(test)]
mod tests;

pub use api::{CommunityView, InvitationView, MemberView, PoolView};
pub use lists::{
    CandidaciesView, CandidacyView, DecidedListView, DecisionView, EarlierListView, LIST_MAX, PublishedView,
};
pub(crate) use model::Word;
pub use model::{
    CandidacyBody, CommunityBody, MembershipBody, PoolBody, PoolFacts, SaidBy, Scope, common_or_public,
};
pub(crate) use pools::{Pool, owners, pool};
pub(crate) use room::{TABLES, apply, check, decide_member, prepare, restore_member, settled_member};
pub(crate) use store::{community, count, last_word, member_since, numbered, role_of, roles_of, with_roles};
