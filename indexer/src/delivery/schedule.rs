//! When a message that did not arrive is tried again.

/// Failures in a row after which there is an alarm and tries become rare.
pub(super) const RETRIES: u64 = 8;
/// The longest that a receiver may ask to be left alone, in seconds.
const RETRY_AFTER_S_MAX: u64 = 3_600;

/// Milliseconds to wait after the n-th failure in a row (from 1): `first_ms`, doubled by each one, and from [`RETRIES`] on
/// 256 times `first_ms` for ever; never less than what the receiver asks for, up to an hour. With `first_ms` = 1,000 the
/// alarm comes after two minutes, and every try after that four minutes after the one before.
pub(super) fn pause_ms(first_ms: u64, failures: u64, retry_after_s: Option<u64>) -> u64 {
    let doublings = if failures >= RETRIES { 8 } else { failures.saturating_sub(1) };
    let pause = first_ms.saturating_mul(1 << doublings);
    let asked = retry_after_s.unwrap_or(0).min(RETRY_AFTER_S_MAX).saturating_mul(1_000);
    pause.max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_then_stay() {
        let pauses: Vec<_> = (1..=10).map(|failures| pause_ms(1_000, failures, None)).collect();
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 256_000, 256_000, 256_000]);
        let until_alarm: u64 = (1..RETRIES).map(|failures| pause_ms(1_000, failures, None)).sum();
        assert_eq!(until_alarm, 127_000, "two minutes");
        assert_eq!(pause_ms(60_000, u64::MAX, None), 15_360_000);
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_up_to_an_hour() {
        assert_eq!(pause_ms(1_000, 1, Some(30)), 30_000);
        assert_eq!(pause_ms(1_000, 7, Some(30)), 64_000);
        assert_eq!(pause_ms(1_000, 1, Some(u64::MAX)), 3_600_000);
    }
}
