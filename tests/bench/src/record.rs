//! Between a subject and its node: passes every request on, and writes it down.

use std::{
    fs::File,
    io::Write as _,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use anyhow::Result;
use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::watch::now;

/// Pass requests on to a node and write down every one.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[arg(long)]
    listen: SocketAddr,
    /// The node's URL
    #[arg(long)]
    rpc: String,
    /// Where to write the requests, one JSON object a line
    #[arg(long)]
    file: PathBuf,
}

/// One request.
#[derive(Debug, Serialize, Deserialize)]
pub struct Recorded {
    /// When it was sent, in nanoseconds of the Unix epoch.
    pub from: u64,
    /// When it was answered.
    pub to: u64,
    pub body: String,
    /// Bytes of the answer.
    pub answer: u64,
}

struct Recorder {
    client: reqwest::Client,
    rpc: String,
    file: Mutex<File>,
}

/// Serves until it is stopped from outside.
pub async fn run(arguments: Arguments) -> Result<Value> {
    let recorder = Recorder {
        client: reqwest::Client::new(),
        rpc: arguments.rpc,
        file: Mutex::new(File::create(arguments.file)?),
    };
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    axum::serve(listener, Router::new().route("/", post(pass)).with_state(Arc::new(recorder))).await?;
    Ok(json!({}))
}

async fn pass(State(recorder): State<Arc<Recorder>>, body: Bytes) -> Result<Bytes, StatusCode> {
    let from = now();
    let sent = recorder.client.post(&recorder.rpc).header("content-type", "application/json");
    let answer = sent.body(body.clone()).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let answer = answer.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let line = Recorded {
        from,
        to: now(),
        body: String::from_utf8(body.to_vec()).expect("JSON"),
        answer: u64::try_from(answer.len()).expect("a length"),
    };
    let mut file = recorder.file.lock().expect("a writer that did not panic");
    writeln!(file, "{}", serde_json::to_string(&line).expect("JSON")).expect("the recording is written");
    Ok(answer)
}
