//! Logs and metrics of a service.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Starts logging to standard error: `EARNEST_LOG` holds the filter (default `info`), `EARNEST_LOG_FORMAT=json` makes
/// every line a JSON object. A second call changes nothing.
pub fn start_logging() {
    start_logging_to(std::io::stderr);
}

/// The same, to somewhere else.
pub fn start_logging_to<W: for<'w> MakeWriter<'w> + Send + Sync + 'static>(writer: W) {
    let filter = EnvFilter::try_from_env("EARNEST_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A subscriber that is already set (several services in one process) stays.
    let _ = if std::env::var("EARNEST_LOG_FORMAT").as_deref() == Ok("json") {
        builder.json().try_init()
    } else {
        builder.with_target(false).try_init()
    };
}

/// The process-wide metrics recorder, installed on first use.
pub fn metrics() -> &'static PrometheusHandle {
    METRICS.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // Another recorder can only be a test's own; ours then renders empty.
        let _ = metrics::set_global_recorder(recorder);
        handle
    })
}
