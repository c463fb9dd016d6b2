//! How many events a second the indexer commits, and writes anew by a re-index, without chain, node or HTTP:
//! `throughput <database URL> [events] [events a step]` on an empty database, one JSON object on standard output.
#![allow(clippy::float_arithmetic, reason = "seconds")]

use std::{error::Error, io::Write, time::Instant};

use indexer::config::{ChainConfig, Config};
use service::clock::SystemClock;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let database = arguments.next().ok_or("which database?")?;
    let number = |text: Option<String>, usual: u64| text.map_or(Ok(usual), |text| text.parse());
    let events = number(arguments.next(), 100_000)?;
    let a_step = number(arguments.next(), 10_000)?;
    let chain = ChainConfig {
        // Nobody is asked.
        rpc_urls: vec!["http://127.0.0.1:9".to_owned()],
        contracts: vec!["0x00000000000000000000000000000000000000e5".parse()?],
        ..ChainConfig::default()
    };
    let chains = [("eip155:1".parse()?, chain)].into();
    let config = Config { database, chains, ..Config::default() };
    let commits =
        indexer::throughput::fill(&config, &SystemClock, events.div_ceil(10), a_step.div_ceil(10)).await?;
    let began = Instant::now();
    let reindexed = indexer::reindex(&config, &SystemClock, |_| {}).await?;
    let again = began.elapsed();
    let rate = |seconds: f64| reindexed.events as f64 / seconds;
    writeln!(
        std::io::stdout(),
        "{}",
        serde_json::json!({
            "events": reindexed.events,
            "states": reindexed.states,
            "events_a_step": a_step,
            "commit_events_per_s": rate(commits.as_secs_f64()).round(),
            "reindex_events_per_s": rate(again.as_secs_f64()).round(),
            "reindex_s": again.as_secs_f64(),
        })
    )?;
    Ok(())
}
