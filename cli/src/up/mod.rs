//! `earnest up`: a whole market on this machine. Starts a chain (`--solana`: two) and the services over it, fills a sample
//! community, runs one completed and one disputed trade on each chain as its members would, and keeps everything running until it is told to stop.
//!
//! - `local.rs`: the chains, the contracts, the services
//! - `settings.rs`: the configuration of the services
//! - `supervise.rs`: the processes
//! - `sample.rs`: the people, their community, pool and listing
//! - `trades.rs`: the two trades and what they prove
//! - `ports.rs`, `progress.rs`: addresses, and what is said meanwhile

mod local;
mod ports;
mod progress;
mod sample;
mod settings;
mod supervise;
mod trades;

use anyhow::{Result, anyhow};
use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    output::print,
    place::{Place, write_secret},
    services::stop_signal,
};
use progress::Progress;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  earnest up                      runs until Ctrl-C; a second run goes on from there
  earnest up --once               ends after the two trades; the last line is JSON
  earnest up --solana             the same two trades on a local Solana chain, too
  earnest up --fresh --data /tmp/market";

/// How `up` works.
#[derive(Args, Debug)]
pub struct UpArgs {
    /// End after the trades; the last line is JSON
    #[arg(long)]
    once: bool,
    /// Beside the EVM chain run a local Solana chain, with an indexer and a relayer of its own. It keeps nothing: every start
    /// is another chain, and what was on the last one is forgotten
    #[arg(long)]
    solana: bool,
    /// Forget what earlier runs left in the data folder and start over
    #[arg(long)]
    fresh: bool,
    /// Port of the chain's JSON-RPC [default: 8545, or a free one]
    #[arg(long, value_name = "PORT")]
    chain_port: Option<u16>,
    /// Port of the hub [default: 7401, or a free one]
    #[arg(long, value_name = "PORT")]
    hub_port: Option<u16>,
    /// Port of the indexer [default: 7402, or a free one]
    #[arg(long, value_name = "PORT")]
    indexer_port: Option<u16>,
    /// Port of the relayer [default: 7403, or a free one]
    #[arg(long, value_name = "PORT")]
    relayer_port: Option<u16>,
    /// Port of the Solana chain's JSON-RPC; WebSocket is at the next one [default: 8899, or a free one]
    #[arg(long, value_name = "PORT", requires = "solana")]
    solana_port: Option<u16>,
    /// Port of the Solana chain's indexer [default: 7412, or a free one]
    #[arg(long, value_name = "PORT", requires = "solana")]
    solana_indexer_port: Option<u16>,
    /// Port of the Solana chain's relayer [default: 7413, or a free one]
    #[arg(long, value_name = "PORT", requires = "solana")]
    solana_relayer_port: Option<u16>,
    /// For tests: the first process of a service dies at its n-th passing of a fail point
    #[cfg(feature = "failpoints")]
    #[arg(long, value_name = "SERVICE=POINT:N", hide = true)]
    abort: Vec<String>,
}

impl UpArgs {
    /// The fail point at which the first process of a service dies.
    #[cfg(feature = "failpoints")]
    fn abort_at(&self, service: &str) -> Option<String> {
        self.abort.iter().find_map(|given| {
            given.split_once('=').filter(|(name, _)| *name == service).map(|(_, at)| at.to_owned())
        })
    }

    #[cfg(not(feature = "failpoints"))]
    #[allow(clippy::unused_self, reason = "the other form has one")]
    const fn abort_at(&self, _service: &str) -> Option<String> {
        None
    }
}

/// Runs until the trades are done (`--once`) or a signal comes.
pub async fn up(place: &Place, arguments: UpArgs) -> Result<()> {
    let stop = stop_signal(false)?;
    let progress = Progress::new();
    place.create()?;
    let lock = place.lock()?;
    if arguments.fresh {
        place.clear()?;
        place.create()?;
        progress.say(&format!("  {} is empty again", place.root().display()));
    }
    let (given_up, mut given_ups) = mpsc::channel(4);
    let mut local = local::Local::new(place.clone(), progress.clone(), given_up)?;
    let outcome = tokio::select! {
        outcome = work(&mut local, &arguments) => outcome,
        Some(reason) = given_ups.recv() => Err(anyhow!("{reason}")),
        () = stop.cancelled() => Ok(None),
    };
    let outcome = match outcome {
        Ok(report) if !arguments.once && !stop.is_cancelled() => {
            progress.say("\nEverything runs until Ctrl-C.");
            tokio::select! {
                Some(reason) = given_ups.recv() => Err(anyhow!("{reason}")),
                () = stop.cancelled() => Ok(report),
            }
        }
        other => other,
    };
    let stopped = async {
        local.stop().await;
        Ok(())
    };
    progress.step("stop the services and the chains", stopped).await?;
    drop(lock);
    match outcome? {
        Some(report) if arguments.once => print(&report.to_string()),
        None if arguments.once => Err(anyhow!("stopped before the trades were done")),
        Some(_) | None => Ok(()),
    }
}

async fn work(local: &mut local::Local, arguments: &UpArgs) -> Result<Option<serde_json::Value>> {
    let mut market = local.start(arguments).await?;
    let progress = local.progress.clone();
    let running = if arguments.solana { market.sides.len() } else { 1 };
    let samples = sample::fill(&local.place, &mut market, running, &progress).await?;
    let mut trades = Vec::new();
    for sample in &samples {
        if running > 1 {
            progress.say(&format!("\nOn {}", sample.chain.id()));
        }
        trades.extend(trades::run(sample, &progress).await?);
    }
    let sides: Vec<_> = samples.iter().map(|sample| &sample.side).collect();
    let chains: Vec<_> = sides.iter().map(|side| json!({ "chain": side.chain, "urls": side.urls })).collect();
    let report = json!({
        "trades": trades,
        "steps": progress.steps(),
        "block_seconds": local::BLOCK_SECONDS,
        "hub": market.hub,
        "chains": chains,
    });
    write_secret(&local.place.report(), &report.to_string())?;
    progress.say("");
    progress.say(&format!("  {:<17} {}", "hub", market.hub));
    progress.say(&format!("  {:<17} {}/docs", "API in a browser", market.hub));
    for side in sides {
        progress.say(&format!("  {}", side.chain));
        for (name, url) in [
            ("chain (JSON-RPC)", &side.urls.rpc),
            ("indexer", &side.urls.indexer),
            ("relayer", &side.urls.relayer),
        ] {
            progress.say(&format!("  {name:<17} {url}"));
        }
    }
    Ok(Some(report))
}
