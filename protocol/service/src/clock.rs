//! Time as a value that is handed in.

use std::time::{SystemTime, UNIX_EPOCH};

/// Where a service gets the time from.
pub trait Clock: Send + Sync + 'static {
    /// Unix milliseconds.
    fn now_ms(&self) -> i64;
}

/// The machine's clock. In a build with the feature `failpoints` it runs ahead by the seconds that the file named by
/// `EARNEST_CLOCK_AHEAD` holds, so that tests can let days pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(ahead_ms())
    }
}

#[cfg(feature = "failpoints")]
fn ahead_ms() -> i64 {
    let file = std::env::var_os("EARNEST_CLOCK_AHEAD");
    let seconds = file.and_then(|file| std::fs::read_to_string(file).ok()?.trim().parse::<i64>().ok());
    seconds.unwrap_or(0).saturating_mul(1000)
}

/// Nothing, in a build without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
const fn ahead_ms() -> i64 {
    0
}
