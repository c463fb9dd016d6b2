//! By which time windows end that people are to answer within: vetoes, votes, holds. The clock's; but where it goes ahead by more than
//! time has passed, what nobody has lived through does not count, for a week: until then somebody can look at the clock.

use std::sync::{Arc, Mutex, PoisonError};

use service::clock::Clock;

/// By how much the clock may part from the time that passes between two looks, in milliseconds: five minutes.
const APART_MAX_MS: i64 = 5 * 60 * 1000;
/// How long what was not lived through does not count, in milliseconds that pass: a week.
const KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Milliseconds that have passed since some moment: never back, and never ahead of themselves.
pub(crate) type Passing = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's own.
pub(crate) fn passing() -> Passing {
    let since = tokio::time::Instant::now();
    Arc::new(move || i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX))
}

/// What a look at the clock found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    /// The clock, in Unix milliseconds.
    clock: i64,
    /// What has passed.
    passed: i64,
    /// What the clock went ahead without.
    ahead: i64,
    /// For how long that still does not count.
    kept: i64,
}

impl Look {
    /// The next look.
    fn next(self, clock: i64, passed: i64) -> Self {
        let lived = passed.saturating_sub(self.passed).max(0);
        let parted = clock.saturating_sub(self.clock).saturating_sub(lived);
        let kept = self.kept.saturating_sub(lived).max(0);
        let ahead = if kept > 0 { self.ahead } else { 0 };
        if parted > APART_MAX_MS {
            return Self { clock, passed, ahead: ahead.saturating_add(parted), kept: KEPT_MS };
        }
        // Set back: what it went ahead by is made good.
        let ahead = if parted < -APART_MAX_MS { ahead.saturating_add(parted).max(0) } else { ahead };
        Self { clock, passed, ahead, kept }
    }
}

/// The clock as windows end by it.
#[derive(Clone)]
pub(crate) struct Windows {
    clock: Arc<dyn Clock>,
    passing: Passing,
    last: Arc<Mutex<Look>>,
}

impl Windows {
    pub(crate) fn new(clock: Arc<dyn Clock>, passing: Passing) -> Self {
        let first = Look { clock: clock.now_ms(), passed: passing(), ..Look::default() };
        Self { clock, passing, last: Arc::new(Mutex::new(first)) }
    }

    /// Windows whose end, in Unix milliseconds, is no later than this are over.
    pub(crate) fn now_ms(&self) -> i64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let next = last.next(self.clock.now_ms(), (self.passing)());
        if next.ahead > last.ahead {
            let by_seconds = next.ahead.saturating_sub(last.ahead).div_euclid(1000);
            metrics::counter!("hub_clock_ahead_total").increment(1);
            tracing::error!(
                by_seconds,
                "the clock went ahead by more than time has passed: for a week, or until it is set back, vetoes, votes and \
                 holds end later by as much"
            );
        }
        *last = next;
        next.clock.saturating_sub(next.ahead)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

    use proptest::prelude::*;

    use super::{APART_MAX_MS, KEPT_MS, Look};

    const DAY: i64 = 24 * 60 * 60 * 1000;

    fn begun() -> Look {
        Look { clock: 1_000 * DAY, ..Look::default() }
    }

    fn judged(look: Look) -> i64 {
        look.clock - look.ahead - 1_000 * DAY
    }

    #[test]
    fn a_leap_does_not_count_for_a_week() {
        let look = begun().next(1_000 * DAY + 500, 500);
        assert_eq!((judged(look), look.kept), (500, 0));
        // Little by little a clock is put right: that counts.
        let slow = look.next(look.clock + 1_000 + APART_MAX_MS, 1_500);
        assert_eq!(judged(slow), 1_500 + APART_MAX_MS);
        let leapt = look.next(look.clock + 30 * DAY + 500, 1_000);
        assert_eq!((judged(leapt), leapt.kept), (1_000, KEPT_MS));
        let later = leapt.next(leapt.clock + 6 * DAY, leapt.passed + 6 * DAY);
        assert_eq!(judged(later), 1_000 + 6 * DAY);
        // Set back, all is as it was; so it is when it goes ahead in two steps.
        let back = later.next(later.clock - 30 * DAY + 500, later.passed + 500);
        assert_eq!((judged(back), back.ahead), (1_500 + 6 * DAY, 0));
        let twice = later.next(later.clock + DAY, later.passed);
        assert_eq!((judged(twice), twice.kept), (1_000 + 6 * DAY, KEPT_MS));
        // After a week the clock is believed.
        let over = later.next(later.clock + DAY, later.passed + DAY);
        assert_eq!(judged(over), 30 * DAY + 1_000 + 7 * DAY);
    }

    proptest! {
        /// Whatever a clock does, a window of at most a week is open for its whole length, but for what looks do not notice.
        #[test]
        fn a_window_is_lived_through(
            steps in prop::collection::vec((500..DAY, prop_oneof![3 => Just(0), 1 => -40 * DAY..40 * DAY]), 1..40),
        ) {
            let mut look = begun();
            let mut real = 0;
            for (lived, leap) in steps {
                real += lived;
                look = look.next(look.clock + lived + leap, real);
                if real <= KEPT_MS {
                    prop_assert!(judged(look) <= real + 40 * APART_MAX_MS, "{look:?} {real}");
                }
            }
        }
    }
}
