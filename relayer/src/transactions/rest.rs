//! For how long something is left alone, by a clock that may be set back meanwhile.

/// A rest, in Unix milliseconds. A clock that is set back to before its beginning ends it: it would last as long again as the
/// clock was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Since when.
    pub from_ms: i64,
    /// Until when.
    pub until_ms: i64,
}

impl Rest {
    /// So many milliseconds from now on.
    pub const fn of(now_ms: i64, length_ms: i64) -> Self {
        Self { from_ms: now_ms, until_ms: now_ms.saturating_add(length_ms) }
    }

    /// Whether it lasts.
    pub const fn lasts(self, now_ms: i64) -> bool {
        self.from_ms <= now_ms && now_ms < self.until_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_ends_a_rest() {
        let rest = Rest::of(1_000, 50);
        assert_eq!([999, 1_000, 1_049, 1_050].map(|now_ms| rest.lasts(now_ms)), [false, true, true, false]);
        assert!(Rest::of(i64::MAX, 50).until_ms == i64::MAX && !Rest::of(1_000, 0).lasts(1_000));
    }
}
