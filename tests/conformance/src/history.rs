//! Random histories, how they are run, and what is told of them. `PROPTEST_CASES` makes them more, `PROPTEST_RNG_SEED`
//! makes them others.

use std::{cell::RefCell, collections::BTreeMap, ops::DerefMut};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngSeed, TestError, TestRunner},
};

use crate::{
    chain::{Chain, Limits},
    dice::Dice,
    play::{Play, Rules},
    vector,
    words::{Setting, Step},
};

/// Numbers that are read as choices: first of what is there, then of each step.
#[derive(Clone, Debug)]
pub struct History {
    pub setting: Vec<u16>,
    pub steps: Vec<Vec<u16>>,
}

/// A kind of histories: how numbers are read as a setting and as steps.
pub trait Source {
    /// Steps of the longest.
    const STEPS: usize;

    fn setting(history: &History, limits: Limits) -> Setting;
    /// What comes before the random steps.
    fn opening<C: Chain>(history: &History, play: &Play<'_, C>) -> Vec<Step>;
    fn step<C: Chain>(dice: &mut Dice<'_>, play: &Play<'_, C>) -> Step;
    /// Whether enough was tried; called after every step.
    fn is_over<C: Chain>(play: &Play<'_, C>, afterwards: &mut u32) -> bool;
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

/// What happened in histories: every step that model and chain agreed on.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub histories: u32,
    pub steps: u32,
    pub tally: Tally,
}

impl Report {
    fn add(&mut self, other: Self) {
        self.histories += other.histories;
        self.steps += other.steps;
        for (what, times) in other.tally.0 {
            *self.tally.0.entry(what).or_default() += times;
        }
    }

    /// The line that `scripts/test conformance` adds up.
    pub fn tell(&self, chain: &str, kind: &str) {
        println!("{chain}, {kind}: {} histories, {} steps, 0 differences", self.histories, self.steps);
    }
}

/// Where model and chain differ.
pub type Difference = String;

/// As many histories as `PROPTEST_CASES` says, at least `least`.
pub fn at_least(least: u32) -> u32 {
    if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { least }
}

/// What a history turned out to be: its setting and its steps so far.
type Noted = Option<(Setting, Vec<Step>)>;

/// Plays one history, and notes its steps.
fn play<S: Source, C: Chain>(
    chain: &mut C,
    history: &History,
    rules: Rules<'_>,
    noted: &mut Noted,
) -> Result<Report, Difference> {
    let setting = S::setting(history, chain.limits());
    let mut play = Play::begin(chain, &setting, rules);
    let (_, steps) = noted.insert((setting, Vec::new()));
    let mut one = |play: &mut Play<'_, C>, step: Step| {
        let told = play.step(&step).map(drop);
        steps.push(step);
        told.map_err(|difference| format!("step {}: {difference}", steps.len()))
    };
    for step in S::opening(history, &play) {
        one(&mut play, step)?;
    }
    let mut afterwards = 0;
    for numbers in &history.steps {
        let step = S::step(&mut Dice::new(numbers), &play);
        one(&mut play, step)?;
        if S::is_over(&play, &mut afterwards) {
            break;
        }
    }
    Ok(Report { histories: 1, steps: u32::try_from(steps.len()).unwrap(), tally: play.tally })
}

/// Plays histories of a kind until model and chain differ, and tells what they met. `chain` gives one for each history.
///
/// # Errors
/// The first difference, by a history that is shrunk to a plain one and written as a vector.
pub fn run<S: Source, H: DerefMut<Target: Chain + Sized>>(
    histories: u32,
    rules: Rules<'_>,
    chain: impl Fn() -> H,
) -> Result<Report, Difference> {
    let total = RefCell::new(Report::default());
    // Of the last history that differed, which is the plainest.
    let plainest = RefCell::new(None);
    let found = first_difference(histories, S::STEPS, 300, |history| {
        let mut noted = None;
        let mut chain = chain();
        let told = play::<S, _>(&mut *chain, history, rules, &mut noted);
        if told.is_err() {
            *plainest.borrow_mut() = noted.map(|noted| (noted, chain.limits()));
        }
        total.borrow_mut().add(told?);
        Ok(())
    });
    if let (Err(difference), Some(((setting, steps), limits))) = (&found, plainest.into_inner()) {
        let path = vector::write_difference(setting, steps, limits, difference);
        return Err(format!("{difference}\nthe history as a vector: {path}"));
    }
    found.map(|()| total.into_inner())
}

/// Whether some of these histories differ.
pub fn differ<S: Source, C: Chain + Clone>(histories: u32, chain: &C, rules: Rules<'_>) -> bool {
    let one = |history: &History| play::<S, C>(&mut chain.clone(), history, rules, &mut None).map(drop);
    first_difference(histories, S::STEPS, 0, one).is_err()
}

fn any_history(steps: usize) -> impl Strategy<Value = History> {
    let numbers = || vec(any::<u16>(), 0..40);
    (numbers(), vec(numbers(), steps / 4..=steps)).prop_map(|(setting, steps)| History { setting, steps })
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
        TestError::Fail(reason, _) => reason.to_string(),
        TestError::Abort(reason) => format!("gave up: {reason}"),
    })
}
