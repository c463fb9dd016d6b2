//! The two trades.

use anyhow::Result;

use super::{progress::Progress, sample::Sample};

pub(super) async fn run(_sample: &Sample, _progress: &Progress) -> Result<Vec<serde_json::Value>> {
    Ok(Vec::new())
}
