//! A receiver of webhooks.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use protocol::wire::feed::{FeedEntry, Finality};
use serde_json::Value;
use service::{
    clock::{Clock, SystemClock},
    http::webhook::{ID, SIGNATURE, Secret, TIMESTAMP, verify},
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::WebhookConfig;

/// One request, whatever was answered to it.
#[derive(Clone, Debug)]
pub struct Got {
    pub path: String,
    pub id: String,
    pub kind: String,
    pub entry: FeedEntry,
    pub status: u16,
}

/// What the n-th request (from 0) is answered with.
type Answer = Arc<dyn Fn(usize) -> Response + Send + Sync>;

#[derive(Clone)]
struct Behaviour {
    secret: Secret,
    answer: Answer,
    got: Vec<Got>,
}

pub struct Receiver {
    pub base: String,
    pub secret: Secret,
    behaviour: Arc<Mutex<Behaviour>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    pub async fn start() -> Self {
        let secret = Secret::new(&[7; 32]).expect("a secret");
        let answer: Answer = Arc::new(|_| StatusCode::NO_CONTENT.into_response());
        let behaviour = Arc::new(Mutex::new(Behaviour { secret: secret.clone(), answer, got: Vec::new() }));
        let app = Router::new().fallback(receive).with_state(behaviour.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { base, secret, behaviour, task }
    }

    pub fn answers(&self, answer: impl Fn(usize) -> Response + Send + Sync + 'static) {
        self.behaviour.lock().unwrap().answer = Arc::new(answer);
    }

    /// Believes this secret from now on.
    pub fn believes(&self, secret: Secret) {
        self.behaviour.lock().unwrap().secret = secret;
    }

    /// Everything so far.
    pub fn got(&self) -> Vec<Got> {
        self.behaviour.lock().unwrap().got.clone()
    }

    /// What was accepted.
    pub fn accepted(&self) -> Vec<FeedEntry> {
        self.got().into_iter().filter(|got| got.status == 204).map(|got| got.entry).collect()
    }

    /// A webhook to here that is told everything.
    pub fn webhook(&self) -> WebhookConfig {
        let mut webhook = WebhookConfig {
            name: "shop".to_owned(),
            url: format!("{}/hook", self.base),
            secret: Some(self.secret.clone()),
            allow_private: true,
            retry_ms: 1,
            ..WebhookConfig::default()
        };
        webhook.filter.finality = Finality::Seen;
        webhook
    }
}

async fn receive(
    State(behaviour): State<Arc<Mutex<Behaviour>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut behaviour = behaviour.lock().unwrap();
    let header = |name| headers.get(name).expect("all three headers").to_str().expect("text");
    let signed = [header(ID), header(TIMESTAMP), header(SIGNATURE)];
    let now_s = SystemClock.now_ms() / 1_000;
    let answer = match verify(&behaviour.secret, signed, &body, now_s) {
        Ok(()) => (behaviour.answer)(behaviour.got.len()),
        Err(refusal) => (StatusCode::UNAUTHORIZED, refusal.to_string()).into_response(),
    };
    let message: Value = serde_json::from_slice(&body).expect("JSON");
    behaviour.got.push(Got {
        path: uri.path().to_owned(),
        id: signed[0].to_owned(),
        kind: message["type"].as_str().expect("a type").to_owned(),
        entry: serde_json::from_value(message["data"].clone()).expect("an entry"),
        status: answer.status().as_u16(),
    });
    answer
}
