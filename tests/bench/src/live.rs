//! Latency at the head: a block with one event at a steady pace, and how long each takes to be seen in the database.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{
    corpus::Corpus,
    generate::Anvil,
    rows::Rows,
    watch::{Reader, now},
};

/// Mine events at a steady pace and measure how long each takes to be seen in a database.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[arg(long)]
    rpc: String,
    /// What anvil wrote with --config-out
    #[arg(long)]
    config: PathBuf,
    /// The subject's database, which it opens once the contracts are there
    #[arg(long)]
    database: String,
    /// Answers how many events are in it
    #[arg(long)]
    query: String,
    #[arg(long, default_value_t = 2_000)]
    blocks: usize,
    /// Milliseconds between blocks
    #[arg(long, default_value_t = 200)]
    pace_ms: u64,
}

/// Between two looks at the database.
const LOOK: Duration = Duration::from_millis(1);
/// How long the subject may take to begin, and to see the last block.
const PATIENCE: Duration = Duration::from_secs(60);

/// Mines and watches.
pub async fn run(arguments: &Arguments) -> Result<Value> {
    let (anvil, place) = Anvil::furnish(&arguments.rpc, &arguments.config).await?;
    eprintln!("{}", json!({"escrow": place.escrow, "pools": place.arbiter}));
    let mut corpus = Corpus::new(place.clone(), 2, 1);
    // The first is not counted: with it the subject has begun.
    let (mut rows, mut block) = (Rows::default(), 2);
    let mut plan = || {
        let planned = corpus.next()?;
        block += 1;
        for (index, (name, fields)) in planned.events.iter().enumerate() {
            rows.add((block, u64::try_from(index)?), name, fields)?;
        }
        anyhow::Ok(planned)
    };
    let first = plan()?;
    let from = |wallet: usize| place.wallets[wallet].address();
    anvil.send(from(first.wallet), place.escrow, &first.data, first.value).await?;
    anvil.mine().await?;
    let mut reader = Reader::new(arguments.database.clone(), arguments.query.clone());
    let limit = Instant::now() + PATIENCE;
    while reader.look().await < 1 {
        anyhow::ensure!(Instant::now() < limit, "the subject does not begin");
        tokio::time::sleep(LOOK).await;
    }

    let watched = arguments.blocks;
    let watcher = tokio::spawn(async move {
        let mut seen: Vec<u64> = Vec::with_capacity(watched);
        while seen.len() < watched {
            let found = usize::try_from(reader.look().await).unwrap_or(0).saturating_sub(1);
            let at = now();
            while seen.len() < found {
                seen.push(at);
            }
            tokio::time::sleep(LOOK).await;
        }
        seen
    });
    let pace = Duration::from_millis(arguments.pace_ms);
    let mut ticks = interval_at(Instant::now() + pace, pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut mined = Vec::with_capacity(watched);
    for _ in 0..watched {
        let planned = plan()?;
        anvil.send(from(planned.wallet), place.escrow, &planned.data, planned.value).await?;
        ticks.tick().await;
        anvil.mine().await?;
        mined.push(now());
    }
    let seen = tokio::time::timeout(PATIENCE, watcher).await??;
    let mut took: Vec<f64> =
        mined.iter().zip(&seen).map(|(mined, seen)| seen.saturating_sub(*mined) as f64 / 1e6).collect();
    took.sort_by(f64::total_cmp);
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    Ok(json!({
        "blocks": watched,
        "p50_ms": at(50),
        "p99_ms": at(99),
        "max_ms": at(100),
        "events": rows.count,
        "hash": rows.hash(),
    }))
}
