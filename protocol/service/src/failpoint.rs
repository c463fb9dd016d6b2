//! Points at which a test makes the process die as `kill -9` would. Compiled in with the feature `failpoints` alone.

/// Dies here on the n-th passing when `EARNEST_ABORT_AT` reads `<name>:<n>` (n from 1), the name being the parts joined
/// by dots.
///
/// No destructor runs and nothing is flushed, so what survives is what the operating system already has.
#[cfg(feature = "failpoints")]
pub fn pass(parts: &[&str]) {
    use std::{
        collections::HashMap,
        sync::{LazyLock, Mutex, PoisonError},
    };

    static PASSED: LazyLock<Mutex<HashMap<String, u64>>> = LazyLock::new(Mutex::default);
    let Some((wanted, nth)) = std::env::var("EARNEST_ABORT_AT").ok().and_then(|at| {
        at.rsplit_once(':').and_then(|(name, nth)| Some((name.to_owned(), nth.parse::<u64>().ok()?)))
    }) else {
        return;
    };
    if wanted == parts.join(".") {
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        let count = passed.entry(wanted).or_default();
        *count = count.saturating_add(1);
        if *count == nth {
            eprintln!("aborting at {}:{nth}", parts.join("."));
            std::process::abort();
        }
    }
}

/// Nothing, in a build without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn pass(_parts: &[&str]) {}
