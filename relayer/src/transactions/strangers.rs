//! Nodes that serve another chain, or do not say which: each is left alone for a while, and said.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use super::rest::Rest;

/// For how long such a node is asked nothing, in milliseconds.
const REST_MS: i64 = 30_000;

#[derive(Clone, Debug)]
struct Stranger {
    host: String,
    words: String,
    /// How long it is left alone.
    rest: Rest,
    /// For how long it is not looked at beside what is asked.
    looked: Option<Rest>,
}

/// The nodes of one client that are none of its chain's, by their places.
#[derive(Clone, Debug, Default)]
pub struct Strangers {
    now_ms: Arc<AtomicI64>,
    all: Arc<Mutex<BTreeMap<usize, Stranger>>>,
}

impl Strangers {
    fn held(&self) -> MutexGuard<'_, BTreeMap<usize, Stranger>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the time (Unix milliseconds), by which they rest.
    pub fn tell(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Leaves a node alone for a while, and says why.
    pub fn put(&self, at: usize, host: String, words: &str) {
        let rest = Rest::of(self.now_ms.load(Ordering::Relaxed), REST_MS);
        self.held().insert(at, Stranger { host, words: words.to_owned(), rest, looked: None });
    }

    /// Notes that a node serves the right chain.
    pub fn forget(&self, at: usize) {
        self.held().remove(&at);
    }

    /// Why a node is left alone; none where it may be asked.
    pub fn rests(&self, at: usize) -> Option<String> {
        let now_ms = self.now_ms.load(Ordering::Relaxed);
        self.held()
            .get(&at)
            .filter(|stranger| stranger.rest.lasts(now_ms))
            .map(|stranger| stranger.words.clone())
    }

    /// Those whose rest is over and at which nobody has looked since: each is told once in as long as a rest takes, to whoever
    /// looks at it now.
    pub fn rested(&self) -> Vec<usize> {
        let now_ms = self.now_ms.load(Ordering::Relaxed);
        let mut all = self.held();
        let due = all.iter_mut().filter(|(_, stranger)| {
            !stranger.rest.lasts(now_ms) && stranger.looked.is_none_or(|looked| !looked.lasts(now_ms))
        });
        due.map(|(at, stranger)| {
            stranger.looked = Some(Rest::of(now_ms, REST_MS));
            *at
        })
        .collect()
    }

    /// Their places; that of one that rested is among them until it serves the right chain.
    pub fn places(&self) -> BTreeSet<usize> {
        self.held().keys().copied().collect()
    }

    /// What is said of them, with their hosts; one that rested is among them until it serves the right chain.
    pub fn words(&self) -> Vec<String> {
        self.held().values().map(|Stranger { host, words, .. }| format!("{host}: {words}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_another_chain_rests_for_half_a_minute_and_is_said_until_it_is_right() {
        let strangers = Strangers::default();
        strangers.tell(1_000);
        assert_eq!((strangers.rests(0), strangers.words()), (None, Vec::new()));
        strangers.put(0, "here".to_owned(), "elsewhere");
        strangers.tell(30_999);
        assert_eq!((strangers.rests(0), strangers.rests(1)), (Some("elsewhere".to_owned()), None));
        strangers.tell(31_000);
        assert_eq!((strangers.rests(0), strangers.words()), (None, vec!["here: elsewhere".to_owned()]));
        assert_eq!(strangers.places(), BTreeSet::from([0]));
        // The time that it was set back by is not waited for.
        strangers.tell(999);
        assert_eq!(strangers.rests(0), None);
        strangers.put(0, "here".to_owned(), "elsewhere");
        let looks = [999, 30_998, 30_999, 31_000, 60_999, 900].map(|now_ms| {
            strangers.tell(now_ms);
            strangers.rested().len()
        });
        assert_eq!(looks, [0, 0, 1, 0, 1, 1], "one look in half a minute");
        strangers.forget(0);
        assert_eq!(strangers.words(), Vec::<String>::new());
    }
}
