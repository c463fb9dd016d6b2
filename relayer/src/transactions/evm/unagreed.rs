//! Intents that may be over, and too few nodes tell alike whether they are.

use std::collections::{BTreeMap, BTreeSet};

use super::manager::Manager;
use crate::transactions::desk::Desk;

/// The alarm of such intents.
const AGREEMENT: &str = "agreement";
/// For how long that is nothing to speak of, in milliseconds, as a doubt is.
const UNAGREED_MAX_MS: i64 = 300_000;

/// Since when (Unix milliseconds) too few nodes agree about which intent.
#[derive(Clone, Debug, Default)]
pub(super) struct Unagreed(BTreeMap<i64, i64>);

impl Unagreed {
    /// Notes that too few agree about an intent.
    pub fn put(&mut self, intent: i64, now_ms: i64) {
        let since_ms = self.0.entry(intent).or_insert(now_ms);
        // A clock that is set back begins it anew.
        *since_ms = now_ms.min(*since_ms);
    }

    /// Notes that enough agree about an intent, or that there is nothing to agree about.
    pub fn forget(&mut self, intent: i64) {
        self.0.remove(&intent);
    }

    /// Of how many that has been so for too long.
    fn too_long(&self, now_ms: i64) -> usize {
        let old = |since_ms: &&i64| now_ms.saturating_sub(**since_ms) >= UNAGREED_MAX_MS;
        self.0.values().filter(old).count()
    }
}

impl Manager {
    /// Says of how many of these intents too few nodes have agreed for too long.
    pub(super) fn say_unagreed(&mut self, desk: &Desk<'_>, open: &BTreeSet<i64>) {
        self.unagreed.0.retain(|intent, _| open.contains(intent));
        match self.unagreed.too_long(desk.now_ms()) {
            0 => desk.alarms.clear(AGREEMENT),
            count => {
                let words = format!(
                    "{count} intents may be over, and no more than half of the nodes tell that alike: see whether they answer, \
                     and whether one tells what is not so"
                );
                desk.alarms.raise(AGREEMENT, words, desk.now_ms());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_too_few_agree_about_is_said_after_five_minutes() {
        let mut unagreed = Unagreed::default();
        unagreed.put(1, 1_000);
        unagreed.put(2, 2_000);
        unagreed.put(1, 300_999);
        assert_eq!(unagreed.too_long(300_999), 0);
        assert_eq!(unagreed.too_long(301_000), 1);
        assert_eq!(unagreed.too_long(302_000), 2);
        unagreed.forget(1);
        assert_eq!(unagreed.too_long(302_000), 1);
        // The clock is set back.
        unagreed.put(2, 500);
        assert_eq!(unagreed.too_long(300_499), 0);
        assert_eq!(unagreed.too_long(300_500), 1);
    }
}
