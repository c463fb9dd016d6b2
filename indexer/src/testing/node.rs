//! A node between the indexer and the real one that can be away, lie, or turn into another chain.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// Changes the answer to a request, or the answers to a batch of them; they are the whole JSON-RPC responses.
type Lie = Arc<dyn Fn(&Value, &mut Value) + Send + Sync>;
/// Whether a request, or a batch of them, is not answered but by a status.
type Denial = Arc<dyn Fn(&Value) -> Option<StatusCode> + Send + Sync>;
/// Whether a request, or a batch of them, is never answered.
type Silence = Arc<dyn Fn(&Value) -> bool + Send + Sync>;

#[derive(Clone, Default)]
struct Behaviour {
    /// None: the node is away.
    upstream: Option<String>,
    lie: Option<Lie>,
    denial: Option<Denial>,
    silence: Option<Silence>,
    /// Longer batches are refused.
    batch_max: Option<usize>,
    batches_refused: usize,
}

pub(crate) struct Node {
    pub url: String,
    behaviour: Arc<Mutex<Behaviour>>,
    task: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    /// Passes everything on to `upstream`.
    pub async fn before(upstream: &str) -> Self {
        let behaviour =
            Arc::new(Mutex::new(Behaviour { upstream: Some(upstream.to_owned()), ..Behaviour::default() }));
        let app = Router::new().route("/", post(answer)).with_state(behaviour.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { url, behaviour, task }
    }

    pub fn becomes(&self, upstream: Option<&str>) {
        self.behaviour.lock().unwrap().upstream = upstream.map(str::to_owned);
    }

    /// Changes the answer to each request.
    pub fn lies(&self, lie: impl Fn(&Value, &mut Value) + Send + Sync + 'static) {
        self.lies_of_batches(move |request, answer| each(request, answer, &lie));
    }

    /// Changes the answer to a request, or the answers to a batch of them together.
    pub fn lies_of_batches(&self, lie: impl Fn(&Value, &mut Value) + Send + Sync + 'static) {
        self.behaviour.lock().unwrap().lie = Some(Arc::new(lie));
    }

    /// Answers some requests by a status of HTTP alone, until it is honest.
    pub fn denies(&self, denial: impl Fn(&Value) -> Option<StatusCode> + Send + Sync + 'static) {
        self.behaviour.lock().unwrap().denial = Some(Arc::new(denial));
    }

    /// Never answers some requests, until it is honest.
    pub fn hangs(&self, silence: impl Fn(&Value) -> bool + Send + Sync + 'static) {
        self.behaviour.lock().unwrap().silence = Some(Arc::new(silence));
    }

    pub fn takes_batches_of(&self, most: usize) {
        self.behaviour.lock().unwrap().batch_max = Some(most);
    }

    /// Batches that were longer.
    pub fn batches_refused(&self) -> usize {
        self.behaviour.lock().unwrap().batches_refused
    }

    pub fn is_honest(&self) {
        let mut behaviour = self.behaviour.lock().unwrap();
        (behaviour.lie, behaviour.denial, behaviour.silence) = (None, None, None);
    }
}

async fn answer(
    State(behaviour): State<Arc<Mutex<Behaviour>>>,
    Json(request): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let now = behaviour.lock().unwrap().clone();
    let Some(upstream) = now.upstream else { return Err(StatusCode::BAD_GATEWAY) };
    if let Some(status) = now.denial.and_then(|denies| denies(&request)) {
        return Err(status);
    }
    if now.silence.is_some_and(|is_silent| is_silent(&request)) {
        std::future::pending::<()>().await;
    }
    if let Value::Array(requests) = &request
        && now.batch_max.is_some_and(|most| requests.len() > most)
    {
        behaviour.lock().unwrap().batches_refused += 1;
        let mut answers: Vec<Value> = requests.iter().map(|request| json!({"id": request["id"]})).collect();
        answers.iter_mut().for_each(|answer| refuse(answer, -32000, "batch too large"));
        return Ok(Json(Value::Array(answers)));
    }
    let response = reqwest::Client::new()
        .post(upstream)
        .json(&request)
        .send()
        .await
        .map_err(|_| StatusCode::BAD_GATEWAY)?;
    let mut answers: Value = response.json().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    if let Some(lie) = now.lie {
        lie(&request, &mut answers);
    }
    Ok(Json(answers))
}

/// Does something with each request of a batch, or the only one, and its answer.
pub(crate) fn each(request: &Value, answer: &mut Value, mut with: impl FnMut(&Value, &mut Value)) {
    match (request, answer) {
        (Value::Array(requests), Value::Array(answers)) => {
            for request in requests {
                let answer = answers.iter_mut().find(|a| a["id"] == request["id"]);
                with(request, answer.expect("an answer to every request"));
            }
        }
        (request, answer) => with(request, answer),
    }
}

/// An error in place of the answer's result.
pub(crate) fn refuse(answer: &mut Value, code: i64, message: &str) {
    *answer = json!({"jsonrpc": "2.0", "id": answer["id"], "error": {"code": code, "message": message}});
}
