//! How fast something goes, and when it will be done.

use std::{collections::VecDeque, time::Duration};

/// The rate is that of the last so many seconds.
const WINDOW: Duration = Duration::from_secs(10);

/// How a count grew.
#[derive(Debug, Default)]
pub struct Pace {
    seen: VecDeque<(Duration, u64)>,
}

impl Pace {
    /// The count `at` so long after the beginning.
    pub fn note(&mut self, at: Duration, count: u64) {
        self.seen.push_back((at, count));
        // One older than the window stays, so that the window is always covered.
        while self.seen.get(1).is_some_and(|(second, _)| at.saturating_sub(*second) >= WINDOW) {
            self.seen.pop_front();
        }
    }

    fn grown(&self) -> Option<(u64, u64)> {
        let ((from, before), (to, after)) = (self.seen.front()?, self.seen.back()?);
        let ms = u64::try_from(to.saturating_sub(*from).as_millis()).unwrap_or(u64::MAX);
        Some((after.saturating_sub(*before), ms)).filter(|(_, ms)| *ms > 0)
    }

    /// How many in a second; none before there are two counts.
    pub fn rate(&self) -> Option<u64> {
        let (grown, ms) = self.grown()?;
        grown.saturating_mul(1_000).checked_div(ms)
    }

    /// Seconds until there are `target`, at this rate; none while nothing grows.
    pub fn seconds_to(&self, target: u64) -> Option<u64> {
        let (grown, ms) = self.grown()?;
        let (_, count) = self.seen.back()?;
        let left = u128::from(target.saturating_sub(*count));
        let ms = left.saturating_mul(u128::from(ms)).checked_div(u128::from(grown))?;
        u64::try_from(ms.div_ceil(1_000)).ok()
    }
}

/// Seconds for people: `2 d 3 h`, `3 h 4 min`, `4 min 5 s`, `5 s`.
pub fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A number with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(index);
        if index > 0 && left.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_ten_seconds() {
        let mut pace = Pace::default();
        assert_eq!((pace.rate(), pace.seconds_to(10)), (None, None));
        pace.note(Duration::ZERO, 100);
        assert_eq!((pace.rate(), pace.seconds_to(200)), (None, None));
        pace.note(Duration::from_secs(2), 300);
        assert_eq!((pace.rate(), pace.seconds_to(1_000)), (Some(100), Some(7)));
        for second in 3..=20 {
            pace.note(Duration::from_secs(second), 300);
        }
        assert_eq!((pace.rate(), pace.seconds_to(1_000)), (Some(0), None), "it stands still");
        pace.note(Duration::from_secs(21), 299);
        assert_eq!(pace.rate(), Some(0), "a reorganisation is no negative rate");
        assert_eq!(pace.seconds_to(299), None);
    }

    #[test]
    fn spans_and_numbers_are_read_by_people() {
        let spans = [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_600, "1 h 0 min"), (90_000, "1 d 1 h")];
        for (seconds, text) in spans {
            assert_eq!(span(seconds), text);
        }
        let numbers =
            [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567"), (100_000, "100,000")];
        for (number, text) in numbers {
            assert_eq!(grouped(number), text);
        }
    }
}
