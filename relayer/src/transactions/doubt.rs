//! What one look at the chain is not enough for: one machine of a balanced endpoint may lag, or be wrong.

use std::{collections::HashMap, hash::Hash};

/// At how many different heads something must have been seen before it is believed.
pub const HEADS: u32 = 3;

/// What was seen, at which head last, and at how many different ones in a row.
#[derive(Clone, Debug)]
pub struct Doubts<K, H>(HashMap<K, (H, u32)>);

impl<K, H> Default for Doubts<K, H> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, H: Copy + PartialEq> Doubts<K, H> {
    /// Notes that something was seen at a head; whether that is enough to believe it. The same head counts once.
    pub fn believed(&mut self, what: K, head: H) -> bool {
        let (last, heads) = self.0.entry(what).or_insert((head, 1));
        if *last != head {
            (*last, *heads) = (head, heads.saturating_add(1));
        }
        *heads >= HEADS
    }

    /// Notes that something was not seen.
    pub fn forget(&mut self, what: &K) {
        self.0.remove(what);
    }

    /// Forgets what was not seen.
    pub fn keep_only(&mut self, seen: impl Fn(&K) -> bool) {
        self.0.retain(|what, _| seen(what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_at_three_different_heads_in_a_row_is_believed() {
        let mut doubts: Doubts<&str, u8> = Doubts::default();
        for head in [1, 1, 1, 2, 2] {
            assert!(!doubts.believed("gap", head), "{head}");
        }
        assert!(!doubts.believed("other", 3));
        assert!(doubts.believed("gap", 3) && doubts.believed("gap", 3));
        doubts.forget(&"gap");
        assert!(!doubts.believed("gap", 4) && !doubts.believed("gap", 5));
        doubts.keep_only(|what| *what == "other");
        assert!(!doubts.believed("gap", 6), "begun anew");
    }
}
