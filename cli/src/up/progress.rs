//! What `up` says while it works: a spinner on a terminal, plain lines elsewhere, and how long each part took.

use std::{
    future::Future,
    io::{IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

/// Where `up` tells what it does; clones tell the same story.
#[derive(Clone, Debug)]
pub struct Progress {
    bars: Option<MultiProgress>,
    steps: Arc<Mutex<Vec<Step>>>,
}

/// A part that is done.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
}

impl Progress {
    /// Spinners where standard error is a terminal.
    pub fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { bars, steps: Arc::default() }
    }

    /// Says a line. When nobody listens any more, the work goes on.
    pub fn say(&self, line: &str) {
        let print = || drop(writeln!(std::io::stdout().lock(), "{line}"));
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }

    /// Does a part of the work and says so, before and after.
    pub async fn step<T>(&self, name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let started = Instant::now();
        let spinner = self.bars.as_ref().map(|bars| {
            let spinner = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                spinner.set_style(style);
            }
            spinner.set_message(name.to_owned());
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        if spinner.is_none() {
            self.say(&format!("… {name}"));
        }
        let outcome = work.await;
        if let Some(spinner) = spinner {
            spinner.finish_and_clear();
        }
        let took = started.elapsed();
        let mark = if outcome.is_ok() { "✓" } else { "✗" };
        self.say(&format!("{mark} {name} ({:.1} s)", took.as_secs_f64()));
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let step = Step { name: name.to_owned(), milliseconds };
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(step);
        outcome
    }

    /// Every part so far.
    pub fn steps(&self) -> Vec<Step> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
