//! `earnest indexer run`: the service, and how far it is until it has caught up.

use std::{
    io::{IsTerminal, Write},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use indicatif::MultiProgress;
use protocol::wire::view::IndexerStatus;
use service::clock::SystemClock;
use tokio_util::sync::CancellationToken;

use super::{progress::Progress, status::at};
use crate::{
    client::http::Http,
    services::{ServiceArgs, listen, load, stop_signal},
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Standard error beside the bars, which are drawn again below what was written.
struct BesideBars(MultiProgress);

impl Write for BesideBars {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.suspend(|| std::io::stderr().lock().write_all(text))?;
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Runs it until it is told to stop.
pub async fn run(arguments: ServiceArgs) -> Result<()> {
    let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
    match bars.clone() {
        Some(bars) => service::telemetry::start_logging_to(move || BesideBars(bars.clone())),
        None => service::telemetry::start_logging(),
    }
    let stop = stop_signal(arguments.with_parent)?;
    let config = load::<indexer::config::Config>("indexer", &arguments)?;
    let listener = listen("indexer", &config.listen).await?;
    let http = Http::new(&format!("http://{}", listener.local_addr()?), Duration::ZERO)?;
    let ended = stop.child_token();
    let served = async {
        let served = indexer::run(config, listener, Arc::new(SystemClock), stop).await;
        ended.cancel();
        served
    };
    let (served, ()) = tokio::join!(served, show(http, bars, &ended));
    Ok(served?)
}

/// Shows how far every chain is, until all have been read up to their heads: on a terminal as bars, else in the log.
async fn show(http: Http, bars: Option<MultiProgress>, ended: &CancellationToken) {
    let mut progress = match bars {
        Some(bars) => Progress::with(bars, "blocks"),
        None => Progress::logged("blocks"),
    };
    let mut began: Option<IndexerStatus> = None;
    loop {
        let status = tokio::select! {
            () = ended.cancelled() => break,
            status = http.get::<IndexerStatus>("/status") => status,
        };
        if let Ok(status) = status {
            let first = began.get_or_insert_with(|| status.clone());
            for chain in &status.chains {
                progress.tell(&at(first, chain));
            }
            if status.chains.iter().all(|chain| chain.caught_up) {
                break;
            }
        }
        tokio::select! {
            () = ended.cancelled() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    progress.end();
}
