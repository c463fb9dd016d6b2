//! `earnest rebuild`: whether a hub's tables are what its records say.

use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use hub::records::Progress as Done;
use serde_json::json;
use service::clock::SystemClock;

use super::Session;
use crate::{
    exit::Failure,
    indexer::{
        pace::grouped,
        progress::{At, Progress},
    },
    services::{self, ServiceArgs},
};

/// For `--help`.
pub const ABOUT: &str = "\
Replay a hub's records and compare: are its tables what its records say?

Every record of the log is applied again to temporary tables, which are then compared with the real ones, row by row. The hub may be
running, and nothing is changed; it ends with 3 where a row differs. With --repair the tables that differ are filled anew, in one
transaction, while a running hub's writers wait.

On the way the Merkle tree over the log is grown again and compared with the one that is kept. Where they differ the log itself was \
changed: that is told, ends with 3 and is not repaired.";

/// For `--help`.
pub const EXAMPLES: &str = "Examples:
  earnest rebuild --config data/earnest.toml
  earnest rebuild --config data/earnest.toml --repair";

/// Which hub, and what to do.
#[derive(Args, Debug)]
pub struct RebuildArgs {
    #[command(flatten)]
    service: ServiceArgs,
    /// Fill the tables that differ with what the records say
    #[arg(long)]
    repair: bool,
}

fn at(done: Done) -> At {
    let (name, done, total) = match done {
        Done::Replayed { done, total } => ("records", done, total),
        Done::Compared { done, total } => ("tables", done, total),
    };
    At { name: name.to_owned(), from: 0, done, target: Some(total), events: None, trouble: None }
}

/// Replays and compares; ends with 3 where something differs and is not repaired.
pub async fn run(session: &Session, arguments: RebuildArgs) -> Result<()> {
    let config = services::hub_config(&arguments.service)?;
    let mut progress = Progress::new(session.output, "done");
    let found =
        hub::rebuild(config, Arc::new(SystemClock), arguments.repair, |done| progress.tell(&at(done)))
            .await
            .context("rebuild")?;
    let took = progress.end();
    let told: Vec<String> = found.told.iter().map(ToString::to_string).collect();
    let value = json!({
        "records": found.records.to_string(),
        "tables": found.tables.to_string(),
        "differences": found.differences.to_string(),
        "repaired": found.repaired,
        "root": found.root,
        "told": told,
        "milliseconds": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    });
    let mut lines = vec![
        ("records", grouped(found.records)),
        ("tables", grouped(found.tables)),
        ("differences", grouped(found.differences)),
        ("repaired", if found.repaired { "yes" } else { "no" }.to_owned()),
        ("root of the log", found.root.map_or_else(|| "none that holds".to_owned(), |root| root.to_string())),
        ("took", format!("{:.1} s", took.as_secs_f64())),
    ];
    lines.extend(told.into_iter().map(|told| ("differs", told)));
    session.output.one(&value, &lines)?;
    let count = found.differences;
    if found.root.is_none() && count > 0 {
        return Err(Failure::does_not_hold(format!(
            "the log cannot be replayed as it was: {count} differences"
        )));
    }
    if count == 0 || found.repaired {
        return Ok(());
    }
    Err(Failure::does_not_hold(format!("the tables are not what the records say: {count} differences")))
}
