//! What nodes that are always a little behind have come to: what most of them tell is told of these slots or later ones.

use std::collections::{BTreeMap, VecDeque};

use crate::transactions::doubt::Doubts;

/// By how much a node may be behind the one that is asked first, in milliseconds.
pub(super) const BEHIND_MS: i64 = 10_000;
/// Looks that come sooner after one another than this are remembered as one, in milliseconds.
const APART_MS: i64 = 1_000;

/// The newest slot and the final one of looks of late, oldest first, each with its time in Unix milliseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Reached(VecDeque<(i64, (u64, u64))>);

impl Reached {
    /// Notes the newest slot and the final one of a look; those that a node which is not too far behind has come to.
    pub(super) fn look(&mut self, (newest, settled): (u64, u64), now_ms: i64) -> (u64, u64) {
        // A clock that is set back begins it anew.
        self.0.retain(|(at_ms, _)| *at_ms <= now_ms);
        let age_ms = |at_ms: i64| now_ms.saturating_sub(at_ms);
        while self.0.get(1).is_some_and(|(at_ms, _)| age_ms(*at_ms) >= BEHIND_MS) {
            self.0.pop_front();
        }
        let (old_newest, old_settled) = self.0.front().map_or((newest, settled), |(_, ends)| *ends);
        if self.0.back().is_none_or(|(at_ms, _)| age_ms(*at_ms) >= APART_MS) {
            self.0.push_back((now_ms, (newest, settled)));
        }
        (old_newest.min(newest), old_settled.min(settled))
    }
}

/// Intents whose transactions no block seems to have held, by the final slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Expired {
    heads: Doubts<i64, u64>,
    /// The lowest final slot at which that was seen of which.
    since: BTreeMap<i64, u64>,
}

impl Expired {
    /// Notes that it was seen of an intent at this final slot. Once that is enough to believe it, the slot that whoever is asked
    /// about it must have come to: before it a block may still have held one of them.
    pub(super) fn believed(&mut self, intent: i64, slot: u64) -> Option<u64> {
        let since = self.since.entry(intent).or_insert(slot);
        // One that told a slot far ahead is not waited for.
        *since = slot.min(*since);
        self.heads.believed(intent, slot).then_some(*since)
    }

    /// Notes that it was not seen, or that the intent is over.
    pub(super) fn forget(&mut self, intent: i64) {
        self.since.remove(&intent);
        self.heads.forget(&intent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_ten_seconds_behind_has_come_to_what_is_asked_of_it() {
        let mut reached = Reached::default();
        // A look in 400 milliseconds, each with a newer slot.
        for look in 0_u64..100 {
            let now_ms = i64::try_from(look).unwrap() * 400;
            let (newest, settled) = reached.look((1_000 + look, 900 + look), now_ms);
            // 25 looks ago, and as far as marks are apart before that.
            let least = look.saturating_sub(25 + 3);
            assert!((least..=look.saturating_sub(25)).contains(&(newest - 1_000)), "{look}: {newest}");
            assert_eq!(newest - 1_000, settled - 900);
            assert!(reached.0.len() <= 12, "{look}: {}", reached.0.len());
        }
    }

    #[test]
    fn slots_and_clocks_that_go_back_are_followed() {
        let mut reached = Reached::default();
        assert_eq!(reached.look((100, 90), 50_000), (100, 90));
        assert_eq!(reached.look((99, 95), 50_400), (99, 90));
        // The only look before was long ago.
        assert_eq!(reached.look((200, 190), 500_000), (100, 90));
        assert_eq!(reached.look((201, 191), 509_999), (100, 90));
        assert_eq!(reached.look((202, 192), 510_000), (200, 190));
        // The clock is set back.
        assert_eq!(reached.look((300, 290), 1_000), (300, 290));
        assert_eq!(reached.look((400, 390), 11_000), (300, 290));
    }

    #[test]
    fn what_expired_is_asked_about_from_the_slot_on_at_which_that_was_first_seen() {
        let mut expired = Expired::default();
        let told = [50, 50, 51, 52, 60].map(|slot| expired.believed(1, slot));
        assert_eq!(told, [None, None, None, Some(50), Some(50)]);
        assert_eq!(expired.believed(2, 60), None);
        expired.forget(1);
        let told = [1_000, 70, 71].map(|slot| expired.believed(1, slot));
        assert_eq!(told, [None, None, Some(70)], "a slot far ahead is not waited for");
    }
}
