//! Intents that may be over, and too few nodes tell alike whether they are.

use std::collections::{BTreeMap, BTreeSet};

use super::desk::Desk;

/// The alarm of such intents.
const AGREEMENT: &str = "agreement";
/// For how long that is nothing to speak of, in milliseconds, as a doubt is.
const UNAGREED_MAX_MS: i64 = 300_000;

/// For how long that counts of an intent that is not asked about again, in milliseconds: something else holds it up, which is said.
const UNASKED_MAX_MS: i64 = 600_000;

/// Since when, and when last (Unix milliseconds), too few nodes agreed about which intent.
#[derive(Clone, Debug, Default)]
pub struct Unagreed(BTreeMap<i64, (i64, i64)>);

impl Unagreed {
    /// Notes that too few agree about an intent.
    pub fn put(&mut self, intent: i64, now_ms: i64) {
        let (since_ms, last_ms) = self.0.entry(intent).or_insert((now_ms, now_ms));
        // A clock that is set back begins it anew.
        *since_ms = now_ms.min(*since_ms);
        *last_ms = now_ms;
    }

    /// Notes that enough agree about an intent, or that there is nothing to agree about.
    pub fn forget(&mut self, intent: i64) {
        self.0.remove(&intent);
    }

    /// Whether too few have agreed about an intent for so many milliseconds.
    pub fn lasts(&self, intent: i64, length_ms: i64, now_ms: i64) -> bool {
        self.0.get(&intent).is_some_and(|(since_ms, _)| now_ms.saturating_sub(*since_ms) >= length_ms)
    }

    /// Forgets the intents that are not open any more, and those that nothing was asked about for long.
    fn keep_only(&mut self, open: &BTreeSet<i64>, now_ms: i64) {
        let lately = |last_ms: i64| now_ms.saturating_sub(last_ms).saturating_abs() < UNASKED_MAX_MS;
        self.0.retain(|intent, (_, last_ms)| open.contains(intent) && lately(*last_ms));
    }

    /// Of how many that has been so for too long.
    fn too_long(&self, now_ms: i64) -> usize {
        let old = |since_ms: i64| now_ms.saturating_sub(since_ms) >= UNAGREED_MAX_MS;
        self.0.values().filter(|(since_ms, _)| old(*since_ms)).count()
    }

    /// Says of how many of these intents too few nodes have agreed for too long.
    pub fn say(&mut self, desk: &Desk<'_>, open: &BTreeSet<i64>) {
        self.keep_only(open, desk.now_ms());
        match self.too_long(desk.now_ms()) {
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
        let lasts = [(1, 299_999), (1, 300_000), (2, 299_000), (3, 0)];
        let lasts = lasts.map(|(intent, length_ms)| unagreed.lasts(intent, length_ms, 300_999));
        assert_eq!(lasts, [true, false, false, false]);
        assert_eq!(unagreed.too_long(301_000), 1);
        assert_eq!(unagreed.too_long(302_000), 2);
        unagreed.forget(1);
        assert_eq!(unagreed.too_long(302_000), 1);
        // The clock is set back.
        unagreed.put(2, 500);
        assert_eq!(unagreed.too_long(300_499), 0);
        assert_eq!(unagreed.too_long(300_500), 1);
    }

    #[test]
    fn what_is_held_up_and_not_asked_about_any_more_is_said_for_ten_minutes_at_most() {
        let open = BTreeSet::from([1, 2]);
        let mut unagreed = Unagreed::default();
        unagreed.put(1, 1_000);
        unagreed.put(2, 1_000);
        unagreed.put(2, 400_000);
        unagreed.keep_only(&open, 600_999);
        assert_eq!(unagreed.too_long(600_999), 2);
        unagreed.keep_only(&open, 601_000);
        assert_eq!(unagreed.too_long(601_000), 1);
        // Where they still do not agree when it is asked about again, that is so since then.
        unagreed.put(1, 601_000);
        unagreed.put(2, 601_000);
        assert_eq!(unagreed.too_long(601_000), 1);
        // The clock is set back by more.
        unagreed.keep_only(&open, 1_000);
        assert_eq!(unagreed.0.len(), 0);
    }
}
