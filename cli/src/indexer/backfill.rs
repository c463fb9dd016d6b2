//! `earnest indexer backfill`.

use std::sync::Arc;

use anyhow::{Result, bail};
use indexer::config::Config;
use serde_json::json;
use service::clock::SystemClock;

use super::{
    pace::grouped,
    progress::{At, Progress},
};
use crate::{output::Output, services::stop_signal};

/// Reads until the head of every chain is reached.
pub async fn run(output: Output, config: Config) -> Result<()> {
    let stop = stop_signal(false)?;
    let mut progress = Progress::new(output, "blocks");
    let tell = |chains: &[indexer::ChainProgress]| {
        for chain in chains {
            progress.tell(&At {
                name: chain.chain.to_string(),
                from: chain.start_block,
                done: chain.cursor,
                target: chain.head,
                events: Some(chain.events),
                trouble: chain.trouble.clone(),
            });
        }
    };
    let chains = indexer::backfill(config, Arc::new(SystemClock), stop, tell).await?;
    let took = progress.end();
    let reached = chains.iter().all(|chain| chain.reached);
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let rows = chains.iter().map(|chain| {
        let finalized = chain.finalized.map_or_else(|| "none".to_owned(), grouped);
        vec![chain.chain.to_string(), grouped(chain.cursor), finalized, grouped(chain.events)]
    });
    let value = json!({
        "reached": reached,
        "milliseconds": milliseconds,
        "chains": chains.iter().map(|chain| json!({
            "chain": chain.chain,
            "cursor": chain.cursor.to_string(),
            "finalized": chain.finalized.map(|number| number.to_string()),
            "events": chain.events.to_string(),
            "reached": chain.reached,
        })).collect::<Vec<_>>(),
    });
    output.many(&value, &["chain", "read up to", "final up to", "events"], rows.collect())?;
    if !reached {
        bail!("stopped before the head was reached; the next run goes on from there");
    }
    Ok(())
}
