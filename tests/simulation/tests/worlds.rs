//! Worlds by the hundred, each by its seed. `EARNEST_SEEDS` says how many (200), `EARNEST_FIRST_SEED` from which on (1),
//! `EARNEST_UNTIL_FAILED` begins none after one that fails, `EARNEST_SEED` plays a single one aloud.

#![allow(clippy::panic, clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "test code")]

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use simulation::play::{Played, counts, play};

/// What an environment variable says, or else `otherwise`.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Keeps this thread, and those of the databases that it opens, on one processor: each waits for another all the time, and to wake
/// one on another processor takes longer than what it does then.
#[cfg(target_os = "linux")]
fn stay_on(processor: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let ours = sched_getaffinity(None).unwrap();
    let Some(ours) = (0..CpuSet::MAX_CPU).filter(|at| ours.is_set(*at)).nth(processor) else { return };
    let mut one = CpuSet::new();
    one.set(ours);
    sched_setaffinity(None, &one).unwrap();
}

/// Where it cannot be chosen, worlds are slower and the same.
#[cfg(not(target_os = "linux"))]
const fn stay_on(_processor: usize) {}

/// Plays the worlds of these seeds, as many at one time as there are processors.
fn all(first: u64, count: u64) -> Vec<Played> {
    let (next, done) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    let until_failed = std::env::var_os("EARNEST_UNTIL_FAILED").is_some();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, done) = (&next, &done);
    std::thread::scope(|scope| {
        for processor in 0..processors {
            scope.spawn(move || {
                stay_on(processor);
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let played = play(seed);
                    for failure in &played.failures {
                        println!("seed {seed}: {failure}");
                    }
                    if until_failed && !played.failures.is_empty() {
                        next.store(first + count, Ordering::Relaxed);
                    }
                    done.lock().unwrap().push(played);
                }
            });
        }
    });
    let mut done = std::mem::take(&mut *done.lock().unwrap());
    done.sort_by_key(|played| played.seed);
    done
}

fn sum(worlds: &[Played], of: impl Fn(&Played) -> u64) -> u64 {
    worlds.iter().map(of).sum()
}

#[test]
fn nothing_is_lost_and_nothing_happens_twice() {
    let one = std::env::var_os("EARNEST_SEED").is_some();
    let (first, count) = if one {
        (number("EARNEST_SEED", 1), 1)
    } else {
        (number("EARNEST_FIRST_SEED", 1), number("EARNEST_SEEDS", 200))
    };
    let began = Instant::now();
    let worlds = all(first, count);
    for line in counts(&worlds) {
        println!("{line}");
    }
    println!(
        "{} blocks, {} final events ({} told late), {} retracted, {} intents, {} transactions of the relayer ({} beyond the first of an intent), {} boundaries passed",
        sum(&worlds, |world| world.blocks),
        sum(&worlds, |world| world.events),
        sum(&worlds, |world| world.late),
        sum(&worlds, |world| world.retracted),
        sum(&worlds, |world| world.intents),
        sum(&worlds, |world| world.transactions),
        sum(&worlds, |world| world.extra_transactions),
        sum(&worlds, |world| world.boundaries),
    );
    let failed: Vec<u64> =
        worlds.iter().filter(|world| !world.failures.is_empty()).map(|world| world.seed).collect();
    let (lost, duplicated) = (sum(&worlds, |world| world.lost), sum(&worlds, |world| world.duplicated));
    println!("seeds {first} to {} in {} s", first + count - 1, began.elapsed().as_secs());
    println!(
        "{} seeds, {} steps, {lost} lost, {duplicated} duplicated",
        worlds.len(),
        sum(&worlds, |world| world.steps)
    );
    assert!(failed.is_empty(), "replay with EARNEST_SEED=…: {failed:?}");
    assert_eq!((lost, duplicated), (0, 0));
}

#[test]
fn a_seed_is_one_world() {
    if std::env::var_os("EARNEST_SEED").is_some() {
        return;
    }
    let first = number("EARNEST_FIRST_SEED", 1);
    let (once, again) = (all(first, 4), all(first, 4));
    for (once, again) in once.iter().zip(&again) {
        let mut steps = 0..once.trace.len().max(again.trace.len());
        let differs = steps.find(|step| once.trace.get(*step) != again.trace.get(*step));
        assert_eq!(differs, None, "seed {} is two worlds from this step on", once.seed);
    }
    assert!(once.windows(2).all(|two| two[0].trace != two[1].trace), "every seed is a world of its own");
}
