//! What votes decide of a community's pools: whether a pool is the community's, and who is on its member list. The hub keeps the
//! list as it was decided; the keeper publishes it, and whoever reads both sees whether they are the same.
//!
//! - `model.rs`: from a community's candidates to a list, pure
//! - `store.rs`: candidates, decisions and lists; `decide.rs`: what an acceptance does
//! - `api.rs`: one's own candidacies, the list that was decided, and whether the chain has it

pub(crate) mod api;
mod decide;
mod model;
pub(super) mod store;
#[cfg(test)]
mod tests;

pub use api::{
    CandidaciesView, CandidacyView, DecidedListView, DecisionView, EarlierListView, PublishedView,
};
pub(crate) use decide::{decide_list, decide_pool, known_pool, roll, served_pool};
pub use model::LIST_MAX;
