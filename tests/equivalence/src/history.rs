//! Random histories, how they are run, and what is told of them. `PROPTEST_CASES` makes them more, `PROPTEST_RNG_SEED`
//! makes them others.

use std::{cell::RefCell, collections::BTreeMap};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngSeed, TestError, TestRunner},
};

/// Numbers that are read as choices: first of what is there, then of each step.
#[derive(Clone, Debug)]
pub struct History {
    pub setting: Vec<u16>,
    pub steps: Vec<Vec<u16>>,
}

/// Histories of at most `steps` steps.
pub fn any_history(steps: usize) -> impl Strategy<Value = History> {
    let numbers = || vec(any::<u16>(), 0..40);
    (numbers(), vec(numbers(), steps / 4..=steps)).prop_map(|(setting, steps)| History { setting, steps })
}

/// How often each action went through and each refusal was given, so that a generator gone blind is seen.
#[derive(Clone, Debug, Default)]
pub struct Tally(pub BTreeMap<String, u32>);

impl Tally {
    pub fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    /// Panics unless every one of these was met.
    pub fn expect(&self, names: &[&str]) {
        let missing: Vec<_> = names.iter().filter(|name| !self.0.contains_key(**name)).collect();
        assert!(missing.is_empty(), "no history met {missing:?}: {:?}", self.0);
    }
}

/// What happened in one history: every step that model and contracts agreed on.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub steps: u32,
    pub tally: Tally,
}

/// Where model and contracts differ.
pub type Difference = String;

/// As many histories as `PROPTEST_CASES` says, at least `least`.
pub fn at_least(least: u32) -> u32 {
    Config::default().cases.max(least)
}

/// Runs histories of at most `steps` steps until they differ, and tells what they met.
///
/// # Errors
/// The first difference, by a history that is shrunk to a plain one.
pub fn run(
    histories: u32,
    steps: usize,
    one: impl Fn(&History) -> Result<Report, Difference>,
) -> Result<Tally, Difference> {
    let total = RefCell::new(Report::default());
    first_difference(histories, steps, 300, |history| {
        let report = one(history)?;
        let mut total = total.borrow_mut();
        total.steps += report.steps;
        for (what, times) in report.tally.0 {
            *total.tally.0.entry(what).or_default() += times;
        }
        Ok(())
    })?;
    let Report { steps, tally } = total.into_inner();
    println!("{histories} histories, {steps} steps, 0 differences");
    Ok(tally)
}

/// Whether some of these histories differ.
pub fn differ(histories: u32, steps: usize, one: impl Fn(&History) -> Result<Report, Difference>) -> bool {
    first_difference(histories, steps, 0, |history| one(history).map(drop)).is_err()
}

fn first_difference(
    cases: u32,
    steps: usize,
    max_shrink_iters: u32,
    one: impl Fn(&History) -> Result<(), Difference>,
) -> Result<(), Difference> {
    let config = Config::default();
    // The same histories every time, unless another seed is asked for, so that what they meet can be relied on.
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        fixed @ RngSeed::Fixed(_) => fixed,
    };
    let config = Config { cases, failure_persistence: None, max_shrink_iters, rng_seed, ..config };
    let told = TestRunner::new(config)
        .run(&any_history(steps), |history| one(&history).map_err(TestCaseError::fail));
    told.map_err(|error| match error {
        TestError::Fail(reason, history) => format!("{reason}\nby {history:?}"),
        TestError::Abort(reason) => format!("gave up: {reason}"),
    })
}
