//! Progress of something long: bars on a terminal, a line now and then elsewhere, lines of JSON for scripts, lines of the log
//! for services.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;

use super::pace::{Pace, grouped, span};
use crate::output::Output;

/// Between two lines where there is no terminal.
const LINES_EVERY: Duration = Duration::from_secs(5);

/// How far one thing is: a chain, or a run over the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// What it is.
    pub name: String,
    /// Where it began.
    pub from: u64,
    /// How far it is.
    pub done: u64,
    /// How far it is to go; none while that is not known.
    pub target: Option<u64>,
    /// Events or the like that were found on the way, where they are counted apart.
    pub events: Option<u64>,
    /// What is wrong, while it lasts.
    pub trouble: Option<String>,
}

struct Line {
    bar: Option<ProgressBar>,
    pace: Pace,
    events: Pace,
    told: Option<Duration>,
}

/// What a line is where there is no bar.
#[derive(Clone, Copy, Debug)]
enum Lines {
    Words,
    Json,
    Logged,
}

/// Where it is told: standard error, so that standard output holds the result alone.
pub struct Progress {
    lines_are: Lines,
    /// What is counted, as in `blocks`.
    unit: &'static str,
    bars: Option<MultiProgress>,
    started: Instant,
    lines: BTreeMap<String, Line>,
}

impl Progress {
    /// Bars where standard error is a terminal and nobody asked for JSON.
    pub fn new(output: Output, unit: &'static str) -> Self {
        let bars = (!output.json && std::io::stderr().is_terminal()).then(MultiProgress::new);
        Self::of(if output.json { Lines::Json } else { Lines::Words }, unit, bars)
    }

    /// These bars.
    pub fn with(bars: MultiProgress, unit: &'static str) -> Self {
        Self::of(Lines::Words, unit, Some(bars))
    }

    /// Lines of the log.
    pub fn logged(unit: &'static str) -> Self {
        Self::of(Lines::Logged, unit, None)
    }

    fn of(lines_are: Lines, unit: &'static str, bars: Option<MultiProgress>) -> Self {
        Self { lines_are, unit, bars, started: Instant::now(), lines: BTreeMap::new() }
    }

    /// Takes away what is shown of one thing.
    pub fn forget(&mut self, name: &str) {
        if let Some(bar) = self.lines.remove(name).and_then(|line| line.bar) {
            bar.finish_and_clear();
        }
    }

    /// Tells how far one thing is.
    pub fn tell(&mut self, at: &At) {
        let now = self.started.elapsed();
        let bars = self.bars.as_ref();
        let line = self.lines.entry(at.name.clone()).or_insert_with(|| Line {
            bar: bars.map(|bars| bars.add(bar(&at.name))),
            pace: Pace::default(),
            events: Pace::default(),
            told: None,
        });
        line.pace.note(now, at.done);
        if let Some(events) = at.events {
            line.events.note(now, events);
        }
        if let Some(bar) = &line.bar {
            if let Some(target) = at.target {
                bar.set_length(target.saturating_sub(at.from));
            }
            bar.set_position(at.done.saturating_sub(at.from));
            bar.set_message(words(at, line, self.unit));
        } else if line.told.is_none_or(|told| now.saturating_sub(told) >= LINES_EVERY) {
            line.told = Some(now);
            let text = match self.lines_are {
                Lines::Json => json!({
                    "name": at.name,
                    self.unit: at.done.to_string(),
                    "target": at.target.map(|target| target.to_string()),
                    "per_second": line.pace.rate(),
                    "events_per_second": line.events.rate(),
                    "seconds_left": at.target.and_then(|target| line.pace.seconds_to(target)),
                    "trouble": at.trouble,
                })
                .to_string(),
                Lines::Words => format!("{}: {}", at.name, words(at, line, self.unit)),
                Lines::Logged => {
                    tracing::info!("{}: {}", at.name, words(at, line, self.unit));
                    return;
                }
            };
            // When nobody listens any more, the work goes on.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Takes the bars away, for what is printed afterwards.
    pub fn end(self) -> Duration {
        for line in self.lines.into_values() {
            if let Some(bar) = line.bar {
                bar.finish_and_clear();
            }
        }
        self.started.elapsed()
    }
}

fn bar(name: &str) -> ProgressBar {
    let bar = ProgressBar::new(1).with_prefix(name.to_owned());
    match ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3} %  {msg}") {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

fn words(at: &At, line: &Line, unit: &str) -> String {
    let mut words = match at.target {
        Some(target) => format!("{} of {} {unit}", grouped(at.done), grouped(target)),
        None => format!("{} {unit}", grouped(at.done)),
    };
    if let Some(rate) = line.pace.rate() {
        words.push_str(&format!(", {}/s", grouped(rate)));
    }
    if let Some(events) = at.events {
        words.push_str(&format!(", {} events", grouped(events)));
    }
    if let Some(rate) = line.events.rate().filter(|_| at.events.is_some()) {
        words.push_str(&format!(", {}/s", grouped(rate)));
    }
    if let Some(target) = at.target {
        let lag = target.saturating_sub(at.done);
        if lag > 0 {
            words.push_str(&format!(", {} behind", grouped(lag)));
        }
        if let Some(seconds) = line.pace.seconds_to(target).filter(|_| lag > 0) {
            words.push_str(&format!(", {} left", span(seconds)));
        }
    }
    if let Some(trouble) = &at.trouble {
        words.push_str(&format!("; {trouble:.200}"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_rate_lag_and_time_left() {
        let mut line = Line { bar: None, pace: Pace::default(), events: Pace::default(), told: None };
        for (second, done) in [(0, 1_000), (2, 3_000)] {
            line.pace.note(Duration::from_secs(second), done);
            line.events.note(Duration::from_secs(second), done / 10);
        }
        let at = At {
            name: "eip155:1".to_owned(),
            from: 1_000,
            done: 3_000,
            target: Some(123_000),
            events: Some(300),
            trouble: Some("a node is away".to_owned()),
        };
        assert_eq!(
            words(&at, &line, "blocks"),
            "3,000 of 123,000 blocks, 1,000/s, 300 events, 100/s, 120,000 behind, 2 min 0 s left; a node is away"
        );
        let at = At { target: Some(3_000), events: None, trouble: None, ..at };
        assert_eq!(words(&at, &line, "blocks"), "3,000 of 3,000 blocks, 1,000/s");
        assert_eq!(words(&At { target: None, ..at }, &line, "logs"), "3,000 logs, 1,000/s");
    }
}
