//! The null fetcher: the indexer's own requests, byte for byte and as many at one time, with nothing done about the
//! answers. No indexer that asks this node these questions can be faster.

use std::path::PathBuf;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::record::Recorded;

/// Send the requests that were written down again, byte for byte, and throw the answers away.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[arg(long)]
    rpc: String,
    /// The recording
    #[arg(long)]
    file: PathBuf,
    /// Only what was sent from this moment on, in nanoseconds of the Unix epoch
    #[arg(long)]
    since: u64,
    /// Only what was sent up to this moment
    #[arg(long)]
    until: u64,
}

/// The most requests that were under way at one time.
fn at_once(recorded: &[Recorded]) -> usize {
    let mut edges: Vec<(u64, i64)> = recorded.iter().flat_map(|r| [(r.from, 1), (r.to, -1)]).collect();
    edges.sort_unstable();
    let (mut now, mut most) = (0_i64, 1_i64);
    for (_, step) in edges {
        now += step;
        most = most.max(now);
    }
    usize::try_from(most).expect("a count above zero")
}

/// Replays the recording.
pub async fn run(arguments: &Arguments) -> Result<Value> {
    let text = std::fs::read_to_string(&arguments.file)?;
    let mut recorded: Vec<Recorded> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    recorded.retain(|request| (arguments.since..=arguments.until).contains(&request.from));
    recorded.sort_by_key(|request| request.from);
    let at_once = at_once(&recorded);
    let requests = recorded.len();
    let client = reqwest::Client::new();
    let bytes: Vec<usize> = stream::iter(recorded)
        .map(|request| {
            let post =
                client.post(&arguments.rpc).header("content-type", "application/json").body(request.body);
            async move {
                let answer = post.send().await?.error_for_status()?.bytes().await?;
                let (found, wanted) = (answer.len(), request.answer);
                anyhow::ensure!(
                    u64::try_from(found)? == wanted,
                    "an answer has {found} bytes, and had {wanted}"
                );
                anyhow::Ok(found)
            }
        })
        .buffer_unordered(at_once)
        .try_collect()
        .await
        .context("the node answers as it did when the requests were written down")?;
    Ok(json!({"requests": requests, "at_once": at_once, "bytes": bytes.iter().sum::<usize>()}))
}
