//! The world outside a service, played by a test: what its HTTP requests are answered, which writes its database refuses, and
//! where the process dies. Compiled in with the feature `simulation` alone, and idle until a thread enters a world.
//!
//! A world belongs to one thread, so that many can be played at one time: the services of a world run on its thread alone.

use std::{
    cell::RefCell,
    pin::Pin,
    sync::{Arc, LazyLock},
};

use axum::http;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response};

/// What becomes true later.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One HTTP request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Where it goes.
    pub url: String,
    /// Its body; JSON or empty.
    pub body: Vec<u8>,
}

/// Status and body of the answer; none where the connection fails.
pub type Answer = Option<(u16, Vec<u8>)>;

/// What plays the world outside.
pub trait World: Send + Sync {
    /// Answers a request.
    fn answer(&self, request: Request) -> Later<Answer>;

    /// Called wherever a process may die. Unwinds where this one does.
    fn pass(&self, point: &str);

    /// Whether the database refuses what it is asked for here.
    fn refuses(&self, point: &str) -> bool;
}

/// How often the other tasks of a thread have their turn before a transaction begins.
const SETTLE: usize = 64;

thread_local! {
    static WORLD: RefCell<Option<Arc<dyn World>>> = const { RefCell::new(None) };
}

/// From now on this thread is in a world, or in none.
pub fn enter(world: Option<Arc<dyn World>>) {
    WORLD.set(world);
}

/// The world that this thread is in.
pub fn world() -> Option<Arc<dyn World>> {
    WORLD.with_borrow(Clone::clone)
}

/// Lets every task that can go on do so before the database is written: what comes first must not depend on how long the
/// database takes.
pub(crate) async fn settle() {
    if world().is_some() {
        for _ in 0..SETTLE {
            tokio::task::yield_now().await;
        }
    }
}

/// Makes a client. In a world nothing speaks TLS, and nobody reads the machine's certificates, which takes a hundredth of a second.
///
/// # Errors
/// The client's own.
pub(crate) fn client(builder: ClientBuilder) -> Result<Client, reqwest::Error> {
    if world().is_some() { builder.tls_certs_only([]).build() } else { builder.build() }
}

/// Sends a request, to the world that this thread is in or else as it is.
///
/// # Errors
/// The connection fails.
pub(crate) async fn send(request: RequestBuilder) -> Result<Response, reqwest::Error> {
    let Some(world) = world() else { return request.send().await };
    let request = request.build()?;
    let answer = world.answer(Request {
        method: if request.method() == Method::GET { "GET" } else { "POST" },
        url: request.url().to_string(),
        body: request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default().to_vec(),
    });
    let Some((status, body)) = answer.await else {
        // The one way to make such an error without a socket; a client for each would read the machine's certificates each time.
        static NOBODY: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);
        return NOBODY.get("http://").send().await;
    };
    let mut response = http::Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response.into())
}
