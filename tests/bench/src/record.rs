//! Between a subject and its node: passes every request on, and writes it down. By itself it adds nothing; it can answer as a node
//! that is far away would.

use std::{
    fs::File,
    io::Write as _,
    net::SocketAddr,
    num::NonZeroU64,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
    serve::ListenerExt as _,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{far::Far, watch::now};

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
    /// Milliseconds by which every answer is late
    #[arg(long, requires = "bytes_per_second")]
    delay_ms: Option<u64>,
    /// Bytes of answers a second, of all that are under way together
    #[arg(long, requires = "delay_ms")]
    bytes_per_second: Option<NonZeroU64>,
}

/// One request.
#[derive(Debug, Serialize, Deserialize)]
pub struct Recorded {
    /// When it was sent, in nanoseconds of the Unix epoch.
    pub from: u64,
    /// When it was answered, to the last byte.
    pub to: u64,
    pub body: String,
    /// Bytes of the answer.
    pub answer: u64,
}

struct Recorder {
    client: reqwest::Client,
    rpc: String,
    file: Mutex<File>,
    far: Option<Far>,
}

impl Recorder {
    /// Writes down a request that is answered now.
    fn write(&self, from: u64, body: &Bytes, answer: u64) {
        let line =
            Recorded { from, to: now(), body: String::from_utf8(body.to_vec()).expect("JSON"), answer };
        let mut file = self.file.lock().expect("a writer that did not panic");
        writeln!(file, "{}", serde_json::to_string(&line).expect("JSON")).expect("the recording is written");
    }
}

/// Serves until it is stopped from outside.
pub async fn run(arguments: Arguments) -> Result<Value> {
    let far = arguments.delay_ms.map(Duration::from_millis).zip(arguments.bytes_per_second);
    let recorder = Recorder {
        client: reqwest::Client::new(),
        rpc: arguments.rpc,
        file: Mutex::new(File::create(arguments.file)?),
        far: far.map(|(delay, bytes_per_second)| Far::new(delay, bytes_per_second)),
    };
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?.tap_io(|stream| {
        // Or a chunk waits until the one before it is acknowledged, for tens of milliseconds.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, Router::new().route("/", post(pass)).with_state(Arc::new(recorder))).await?;
    Ok(json!({}))
}

async fn pass(State(recorder): State<Arc<Recorder>>, body: Bytes) -> Result<Response, StatusCode> {
    let from = now();
    let sent = recorder.client.post(&recorder.rpc).header("content-type", "application/json");
    let answer = sent.body(body.clone()).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let answer = answer.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let length = u64::try_from(answer.len()).expect("a length");
    let Some(far) = &recorder.far else {
        recorder.write(from, &body, length);
        return Ok(answer.into_response());
    };
    let writer = recorder.clone();
    let answer = far.deliver(answer, move || writer.write(from, &body, length)).await;
    Ok(([(header::CONTENT_LENGTH, length)], answer).into_response())
}
