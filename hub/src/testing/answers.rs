//! Somebody whom the hub asks over HTTP, and who answers what a test says, whatever was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// Status, content type and body of an answer.
pub(crate) type Said = (u16, &'static str, Vec<u8>);

/// Serves on a port of its own until it is dropped.
pub(crate) struct Answers {
    pub url: String,
    next: Arc<Mutex<VecDeque<Said>>>,
    task: JoinHandle<()>,
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Answers {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let next = Arc::<Mutex<VecDeque<Said>>>::default();
        let app = Router::new().fallback(answer).with_state(next.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, next, task }
    }

    /// What it answers next, in this order; the last one from then on.
    pub(crate) fn say(&self, next: impl IntoIterator<Item = Said>) {
        *self.next.lock().unwrap() = next.into_iter().collect();
    }
}

async fn answer(State(next): State<Arc<Mutex<VecDeque<Said>>>>) -> Response {
    let mut next = next.lock().unwrap();
    let said = if next.len() > 1 { next.pop_front() } else { next.front().cloned() };
    let (status, kind, body) = said.expect("an answer");
    (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, kind)], body).into_response()
}
