//! Tells the hub how far its intents are. Information only: it is never waited for, and lost when the hub is away.

use std::time::Duration;

use protocol::wire::intent::{IntentProgress, ProgressReport};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::peer::{Peer, PeerError};

/// How many reports may wait.
const WAITING_MAX: usize = 256;

/// Takes reports.
#[derive(Clone, Debug)]
pub struct Reporter(mpsc::Sender<ProgressReport>);

impl Reporter {
    /// Reports, unless too many wait already.
    pub fn say(&self, key: String, progress: IntentProgress) {
        if self.0.try_send(ProgressReport { key, progress }).is_err() {
            metrics::counter!("relayer_reports_dropped_total").increment(1);
        }
    }
}

/// A reporter and the task that hands its reports to the hub until `stop`.
pub fn reporter(hub: Peer, stop: CancellationToken) -> (Reporter, impl Future<Output = ()>) {
    let (sender, mut receiver) = mpsc::channel::<ProgressReport>(WAITING_MAX);
    let task = async move {
        loop {
            let report = tokio::select! {
                () = stop.cancelled() => return,
                report = receiver.recv() => report,
            };
            let Some(report) = report else { return };
            tokio::select! {
                () = stop.cancelled() => return,
                () = deliver(&hub, &report) => {}
            }
        }
    };
    (Reporter(sender), task)
}

async fn deliver(hub: &Peer, report: &ProgressReport) {
    for pause in [1, 5] {
        match hub.tell("/v1/intents/progress", report).await {
            Ok(()) => return,
            Err(PeerError::Away { .. }) => tokio::time::sleep(Duration::from_secs(pause)).await,
            Err(error) => {
                tracing::warn!(key = report.key, %error, "progress report");
                return;
            }
        }
    }
    metrics::counter!("relayer_reports_dropped_total").increment(1);
}
