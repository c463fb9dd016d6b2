//! `earnest indexer status`.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::Args;
use protocol::wire::view::{ChainStatus, IndexerStatus};

use super::{
    ConfigArg,
    pace::grouped,
    progress::{At, Progress},
};
use crate::{
    client::http::Http,
    commands::Session,
    exit::{Failure, one_line},
    output::{print, time},
    services::stop_signal,
};

/// Which indexer.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Where it answers [default: that of the market in DIR, else `indexer.listen` of the configuration]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Configuration file (TOML) [default: DIR/earnest.toml where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show it again and again until Ctrl-C, with rate and time left
    #[arg(long)]
    watch: bool,
}

/// Between two looks.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// Shows it.
pub async fn run(session: &Session, arguments: StatusArgs) -> Result<()> {
    let url = match (&arguments.url, &arguments.config) {
        (Some(url), _) => url.clone(),
        (None, None) if session.side()?.is_some() => {
            session.side()?.map(|side| side.urls.indexer).unwrap_or_default()
        }
        (None, config) => {
            format!("http://{}", ConfigArg { config: config.clone() }.load(session)?.listen)
        }
    };
    let http = Http::new(&url, Duration::ZERO)?;
    if arguments.watch {
        return watch(session, &http).await;
    }
    let status: IndexerStatus = http.get("/status").await?;
    let output = session.output;
    let rows = status.chains.iter().map(row).collect();
    output.many(&status, &["chain", "head", "read up to", "lag", "safe", "final", "state"], rows)?;
    if output.json {
        return Ok(());
    }
    for chain in &status.chains {
        for line in trust(chain) {
            print(&format!("{} {line}", chain.chain))?;
        }
    }
    for chain in &status.unfollowed {
        print(&format!("{chain}: in the database, and not in the configuration"))?;
    }
    print(&format!("feed: {} entries", grouped(status.feed)))?;
    for delivery in &status.deliveries {
        let trouble = delivery.trouble.as_ref().map_or_else(String::new, |trouble| {
            let alarm = if delivery.alarm { ", ALARM" } else { "" };
            format!("; {} failures in a row{alarm}: {trouble}", grouped(delivery.failures))
        });
        print(&format!("delivery {}: {} behind{trouble}", delivery.name, grouped(delivery.lag)))?;
    }
    Ok(())
}

/// Open faults, what is proven, when it was compared with the contracts, and what to think of each provider.
fn trust(chain: &ChainStatus) -> Vec<String> {
    let faults = chain.faults.iter().map(|fault| format!("{}: {}", fault.kind.name(), fault.detail));
    let mut lines: Vec<String> = faults.collect();
    let missed = match chain.missed {
        0 => String::new(),
        missed => format!("; {} logs had been left out and were added", grouped(missed)),
    };
    let proven = chain.proven.map_or_else(
        || "no block is proven".to_owned(),
        |block| format!("proven up to {}", grouped(block.number)),
    );
    let unproven = chain.unproven.as_ref().map_or_else(String::new, |why| format!("; no further: {why}"));
    lines.push(format!("{proven}{missed}{unproven}"));
    let compared = chain.reconciled_at.and_then(|at| u64::try_from(at / 1_000).ok());
    lines.push(compared.map_or_else(
        || "not compared with the contracts yet".to_owned(),
        |at| format!("compared with the contracts at {}", time(at)),
    ));
    lines.extend(chain.providers.iter().map(|provider| {
        let trusted = if provider.trusted { "trusted" } else { "NOT TRUSTED" };
        let (failures, lies) = (grouped(provider.failures), grouped(provider.lies));
        format!(
            "provider {}: {trusted}, {failures} requests failed, {lies} answers proven wrong",
            provider.node
        )
    }));
    lines
}

fn row(chain: &ChainStatus) -> Vec<String> {
    let number = |block: Option<protocol::wire::view::BlockRef>| {
        block.map_or_else(|| "-".to_owned(), |block| grouped(block.number))
    };
    let state = match (chain.alarms.as_slice(), &chain.trouble, chain.caught_up) {
        ([], None, true) => "follows".to_owned(),
        ([], None, false) => "reads the past".to_owned(),
        ([], Some(trouble), _) => format!("{trouble:.100}"),
        (alarms, _, _) => alarms.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", "),
    };
    vec![
        chain.chain.to_string(),
        number(chain.head),
        grouped(chain.cursor.number),
        grouped(chain.lag),
        number(chain.safe),
        number(chain.finalized),
        state,
    ]
}

/// How far a chain is, on the way that began at `first`.
pub(super) fn at(first: &IndexerStatus, chain: &ChainStatus) -> At {
    let from = first.chains.iter().find(|one| one.chain == chain.chain);
    At {
        name: chain.chain.to_string(),
        from: from.map_or(0, |one| one.cursor.number),
        done: chain.cursor.number,
        target: chain.head.map(|head| head.number),
        events: None,
        trouble: chain.trouble.clone(),
    }
}

async fn watch(session: &Session, http: &Http) -> Result<()> {
    let stop = stop_signal(false)?;
    let mut progress = Progress::new(session.output, "blocks");
    let mut first: Option<IndexerStatus> = None;
    loop {
        match http.get::<IndexerStatus>("/status").await {
            Ok(status) => {
                progress.forget(http.base());
                let first = first.get_or_insert_with(|| status.clone());
                for chain in &status.chains {
                    progress.tell(&at(first, chain));
                }
            }
            // It is perhaps being started again.
            Err(error) if matches!(error.downcast_ref(), Some(Failure::Unreachable(_))) => {
                progress.tell(&At {
                    name: http.base().to_owned(),
                    from: 0,
                    done: 0,
                    target: None,
                    events: None,
                    trouble: Some(one_line(&error)),
                });
            }
            Err(error) => {
                progress.end();
                return Err(error);
            }
        }
        tokio::select! {
            () = stop.cancelled() => {
                progress.end();
                return Ok(());
            }
            () = tokio::time::sleep(WATCH_EVERY) => {}
        }
    }
}
