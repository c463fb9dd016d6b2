//! How much is asked for at once: blocks of a range by how dense events are, ranges at one time by how the node bears it.

use crate::chain::refusals::Hint;

/// Events that one answer should hold: some 900 bytes of JSON each, and twice as much when they are decoded. Larger answers take
/// memory for as many of them as are asked for at one time, and save nothing.
const EVENTS_AIM: u64 = 500;
/// Blocks of the first range, before anything is known of how dense events are.
const FIRST: u64 = 100;
/// A range grows at most so many times over the one before.
const GROWTH: u64 = 5;
/// Ranges in a row that must be answered before more is tried again than a provider took once.
const FORGETS: u32 = 50;

/// How many blocks the next range has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizer {
    size: u64,
    max: u64,
    /// What the provider takes, as far as is known.
    cap: u64,
    answered: u32,
}

impl Sizer {
    /// At most `max` blocks a range, at least one.
    pub fn new(max: u64) -> Self {
        let max = max.max(1);
        Self { size: FIRST.min(max), max, cap: max, answered: 0 }
    }

    /// Blocks of the next range: 1 to the largest.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// A range was answered with so many events.
    pub fn answered(&mut self, blocks: u64, events: u64) {
        self.answered = self.answered.saturating_add(1);
        if self.answered >= FORGETS {
            self.answered = 0;
            self.cap = self.cap.saturating_mul(2).min(self.max);
        }
        let fits = blocks.saturating_mul(EVENTS_AIM).checked_div(events).unwrap_or(u64::MAX);
        // Answers come in late, of ranges that were sized before: no one of them lets the size jump.
        let grown = self.size.max(blocks).saturating_mul(GROWTH);
        self.size = fits.min(grown).min(self.cap).max(1);
    }

    /// A range was not answered, and nobody knows why.
    pub fn doubted(&mut self) {
        self.answered = 0;
        self.size = (self.size / 2).max(1);
    }

    /// A range from `from` on was refused as too large: answers how many blocks of it to ask for next, fewer than before
    /// wherever it had more than one.
    pub fn refused(&mut self, from: u64, blocks: u64, hint: Option<Hint>) -> u64 {
        self.answered = 0;
        let suggested = match hint {
            Some(Hint::Blocks(most)) => Some(most),
            Some(Hint::Range(first, last)) if first == from => {
                last.checked_sub(first).map(|more| more.saturating_add(1))
            }
            _ => None,
        };
        let less = match suggested {
            Some(suggested) if suggested >= 1 && suggested < blocks => suggested,
            _ => (blocks / 2).max(1),
        };
        // A number of blocks is the provider's rule; what would do this once is not.
        if matches!(hint, Some(Hint::Blocks(_))) {
            self.cap = self.cap.min(less);
        }
        self.size = self.size.min(less).max(1);
        less
    }
}

/// How many ranges are asked for at one time: one more for every round that is answered, half as many after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Width {
    now: u32,
    max: u32,
    /// Answers since it grew.
    answered: u32,
}

impl Width {
    pub fn new(max: u32) -> Self {
        let max = max.max(1);
        Self { now: 2.min(max), max, answered: 0 }
    }

    /// 1 to the largest.
    pub fn now(&self) -> usize {
        usize::try_from(self.now).unwrap_or(1)
    }

    pub fn answered(&mut self) {
        self.answered = self.answered.saturating_add(1);
        if self.answered >= self.now {
            self.answered = 0;
            self.now = self.now.saturating_add(1).min(self.max);
        }
    }

    pub fn failed(&mut self) {
        self.answered = 0;
        self.now = (self.now / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{EVENTS_AIM, FIRST, Sizer, Width};
    use crate::chain::refusals::Hint;

    #[test]
    fn ranges_follow_the_density_of_events() {
        let mut sizer = Sizer::new(100_000);
        assert_eq!(sizer.size(), FIRST);
        sizer.answered(100, 0);
        assert_eq!(sizer.size(), 500, "nothing in it: it grows, but does not jump");
        sizer.answered(500, 5_000);
        assert_eq!(sizer.size(), EVENTS_AIM / 10, "ten a block");
        sizer.answered(50, 50 * 10_000);
        assert_eq!(sizer.size(), 1, "never less than a block");
    }

    #[test]
    fn a_providers_rule_is_kept_and_tried_again_after_a_while() {
        let mut sizer = Sizer::new(2_000);
        assert_eq!(sizer.refused(7, 2_000, Some(Hint::Blocks(800))), 800);
        for _ in 0..49 {
            sizer.answered(800, 0);
            assert!(sizer.size() <= 800);
        }
        sizer.answered(800, 0);
        assert_eq!(sizer.size(), 1_600);
        // What would do this once says nothing of the next range.
        assert_eq!(sizer.refused(7, 1_600, Some(Hint::Range(7, 16))), 10);
        sizer.answered(10, 0);
        assert_eq!(sizer.size(), 50);
        // Nor does a half that nobody named.
        assert_eq!(sizer.refused(7, 50, None), 25);
        sizer.answered(25, 0);
        assert_eq!(sizer.size(), 125);
    }

    #[test]
    fn a_hint_that_does_not_help_is_a_half() {
        for hint in [
            None,
            Some(Hint::Blocks(100)),
            Some(Hint::Blocks(0)),
            Some(Hint::Range(8, 9)),
            Some(Hint::Range(7, 900)),
        ] {
            assert_eq!(Sizer::new(100).refused(7, 100, hint), 50, "{hint:?}");
        }
    }

    #[test]
    fn failures_halve_what_is_asked_at_one_time_and_answers_win_it_back() {
        let mut width = Width::new(8);
        for _ in 0..100 {
            width.answered();
        }
        assert_eq!(width.now(), 8);
        width.failed();
        assert_eq!(width.now(), 4);
        for _ in 0..4 {
            width.answered();
        }
        assert_eq!(width.now(), 5);
        for _ in 0..10 {
            width.failed();
        }
        assert_eq!(width.now(), 1);
    }

    proptest! {
        #[test]
        fn sizes_stay_within_bounds_and_every_refusal_asks_for_less(
            max in 0_u64..200_000,
            steps in prop::collection::vec((any::<bool>(), 1_u64..1 << 40, 0_u64..1 << 40, 0_u64..1 << 40), 0..60),
        ) {
            let mut sizer = Sizer::new(max);
            for (refused, from, a, b) in steps {
                if refused {
                    let blocks = sizer.size();
                    let hint = [None, Some(Hint::Blocks(a)), Some(Hint::Range(from, b))][usize::try_from(a % 3).unwrap()];
                    let less = sizer.refused(from, blocks, hint);
                    prop_assert!(less >= 1 && (less < blocks || blocks == 1));
                } else {
                    sizer.answered(a, b);
                }
                prop_assert!((1..=max.max(1)).contains(&sizer.size()));
            }
        }
    }
}
