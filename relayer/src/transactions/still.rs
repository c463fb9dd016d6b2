//! For how long the newest block has been the same: a node that stands still answers as if nothing were wrong.

use super::rest::Rest;

/// After how long without a newer block other nodes are asked for theirs, in milliseconds.
const STILL_MS: i64 = 60_000;

/// The newest block that was seen, and how long nobody is asked whether there is a newer one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Still(Option<(u64, Rest)>);

impl Still {
    /// Whether a look that shows this block as the newest is one of many without a newer one, for a minute at least. It is said once
    /// in a minute.
    pub fn for_long(&mut self, newest: u64, now_ms: i64) -> bool {
        let still = match self.0 {
            Some((highest, rest)) if newest <= highest => {
                if rest.lasts(now_ms) {
                    return false;
                }
                true
            }
            _ => false,
        };
        self.0 = Some((newest, Rest::of(now_ms, STILL_MS)));
        still
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newest_block_that_stays_the_same_is_said_once_in_a_minute() {
        let mut still = Still::default();
        let looks =
            [(5, 0), (5, 59_999), (6, 60_000), (6, 119_999), (6, 120_000), (6, 120_001), (4, 180_000)];
        let said = looks.map(|(newest, now_ms)| still.for_long(newest, now_ms));
        assert_eq!(said, [false, false, false, false, true, false, true]);
        // What a node told once that went back does not count for ever.
        assert_eq!(
            [(5, 180_001), (5, 240_000)].map(|(newest, now_ms)| still.for_long(newest, now_ms)),
            [false; 2]
        );
        // The time that a clock was set back by is not waited for.
        assert!(still.for_long(5, 100));
    }
}
