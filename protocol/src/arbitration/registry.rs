//! The pools that a contract keeps: rule books and the lists published for them.

use std::collections::BTreeMap;

use alloy::primitives::B256;

use super::{pool::smallest_list, refusal::Refusal};
use crate::{chain::Address, wire::feed::RuleBook};

/// A published list of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Unix seconds from which it counts.
    pub effective_at: u64,
    /// Strictly ascending; see [`super::check_list`].
    pub members: Vec<Address>,
}

/// A pool: its rules and its lists in the order of their publication, which is that of their effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its rules.
    pub book: RuleBook,
    /// Its lists.
    pub lists: Vec<List>,
}

impl Pool {
    /// The newest list in effect at `time`, in Unix seconds.
    pub fn list_at(&self, time: u64) -> Option<(u32, &List)> {
        let index = self.lists.iter().rposition(|list| list.effective_at <= time)?;
        Some((u32::try_from(index).ok()?, self.lists.get(index)?))
    }
}

/// Every pool of one contract, by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry(pub BTreeMap<B256, Pool>);

impl Registry {
    /// The pool of this id.
    ///
    /// # Errors
    /// `UnknownPool`.
    pub fn pool(&self, id: B256) -> Result<&Pool, Refusal> {
        self.0.get(&id).ok_or(Refusal::UnknownPool)
    }

    /// The members of a list; none where there is no such list.
    pub fn members(&self, pool: B256, list: u32) -> &[Address] {
        let found = self.0.get(&pool).zip(usize::try_from(list).ok());
        found.and_then(|(pool, list)| pool.lists.get(list)).map_or(&[], |list| &list.members)
    }

    /// Whether two juries of the pool can be seated whomever the parties and `seated` earlier jurors leave, by the list in
    /// effect at `time`.
    pub fn could_seat(&self, pool: B256, time: u64, seated: usize) -> bool {
        let Some(pool) = self.0.get(&pool) else { return false };
        let needed = smallest_list(pool.book.jury_size).saturating_add(seated);
        pool.list_at(time).is_some_and(|(_, list)| list.members.len() >= needed)
    }
}
