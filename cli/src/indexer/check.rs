//! `earnest indexer verify` and `reindex`.

use anyhow::Result;
use indexer::{Progress as Done, config::Config};
use serde_json::json;
use service::clock::SystemClock;

use super::{
    pace::grouped,
    progress::{At, Progress},
};
use crate::{exit::Failure, output::Output};

fn at(name: &str, done: Done) -> At {
    At {
        name: name.to_owned(),
        from: 0,
        done: done.done,
        target: Some(done.total),
        events: None,
        trouble: None,
    }
}

/// Compares; ends with 3 where something differs.
pub async fn verify(output: Output, config: &Config) -> Result<()> {
    let mut progress = Progress::new(output, "logs");
    let report = indexer::verify(config, |done| progress.tell(&at("verify", done))).await?;
    let took = progress.end();
    let value = json!({
        "events": report.events.to_string(),
        "entries": report.entries.to_string(),
        "states": report.states.to_string(),
        "final_retracted": report.final_retracted.to_string(),
        "differences": report.differences,
        "faults": report.faults.iter().map(|(chain, fault)| json!({"chain": chain, "fault": fault})).collect::<Vec<_>>(),
        "milliseconds": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    });
    let mut lines = vec![
        ("events", grouped(report.events)),
        ("feed entries", grouped(report.entries)),
        ("states", grouped(report.states)),
        ("final, then retracted", grouped(report.final_retracted)),
        ("took", format!("{:.1} s", took.as_secs_f64())),
    ];
    lines.extend(report.differences.iter().map(|difference| ("differs", difference.clone())));
    let faults = report.faults.iter();
    lines.extend(
        faults.map(|(chain, fault)| ("fault", format!("{chain} {}: {}", fault.kind.name(), fault.detail))),
    );
    output.one(&value, &lines)?;
    match report.differences.len() {
        0 => Ok(()),
        count => {
            Err(Failure::does_not_hold(format!("{count} differences between the database and its own logs")))
        }
    }
}

/// Makes events and states anew.
pub async fn reindex(output: Output, config: &Config) -> Result<()> {
    let mut progress = Progress::new(output, "logs");
    let tell = |done| progress.tell(&at("reindex", done));
    let written = indexer::reindex(config, &SystemClock, tell).await?;
    let took = progress.end();
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let per_second = written.events.saturating_mul(1_000).checked_div(milliseconds.max(1)).unwrap_or(0);
    output.one(
        &json!({
            "events": written.events.to_string(),
            "states": written.states.to_string(),
            "milliseconds": milliseconds,
            "per_second": per_second,
        }),
        &[
            ("events", grouped(written.events)),
            ("states", grouped(written.states)),
            ("took", format!("{:.1} s", took.as_secs_f64())),
            ("rate", format!("{}/s", grouped(per_second))),
        ],
    )
}
