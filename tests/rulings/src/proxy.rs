//! Between the relayer and those whom it asks: requests and answers are lost, late, and handed on twice.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Client;
use serde::Serialize;
use tokio::net::TcpListener;

/// The largest request that is handed on.
const BODY_MAX: usize = 4 * 1024 * 1024;
/// Of a thousand requests, so many meet each of the faults.
const PER_MILLE: u32 = 20;
/// The longest that an answer is held back.
const LATE_MAX_MS: u64 = 3_000;

/// How often each fault happened.
#[derive(Debug, Default, Serialize)]
pub struct Faults {
    /// The request went nowhere.
    pub requests_lost: AtomicU64,
    /// The request was answered, and the answer went nowhere.
    pub answers_lost: AtomicU64,
    /// Either came late.
    pub late: AtomicU64,
    /// The request was handed on twice.
    pub twice: AtomicU64,
}

/// A proxy to one upstream. It works until the runtime ends.
pub struct Proxy {
    /// Where it listens.
    pub url: String,
    /// What it did.
    pub faults: Arc<Faults>,
    at_work: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Way {
    to: String,
    client: Client,
    dice: Arc<Mutex<StdRng>>,
    faults: Arc<Faults>,
    at_work: Arc<AtomicBool>,
}

impl Proxy {
    /// To an upstream's base URL; it hands on faithfully until it is told to begin.
    ///
    /// # Panics
    /// No port is free.
    pub async fn to(upstream: &str, seed: u64) -> Self {
        let (faults, at_work) = (Arc::<Faults>::default(), Arc::<AtomicBool>::default());
        let way = Way {
            to: upstream.trim_end_matches('/').to_owned(),
            client: Client::new(),
            dice: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))),
            faults: faults.clone(),
            at_work: at_work.clone(),
        };
        let routes = Router::new().fallback(pass).with_state(way);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, routes).await.expect("it serves") });
        Self { url, faults, at_work }
    }

    /// Whether faults happen.
    pub fn fail(&self, at_work: bool) {
        self.at_work.store(at_work, Ordering::SeqCst);
    }
}

async fn pass(State(way): State<Way>, request: Request) -> Response {
    let (fault, late_ms) = if way.at_work.load(Ordering::SeqCst) {
        let mut dice = way.dice.lock().expect("not poisoned");
        (dice.random_range(0..1_000) / PER_MILLE, dice.random_range(10..LATE_MAX_MS))
    } else {
        (u32::MAX, 0)
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let hand_on = async || -> Option<(StatusCode, Bytes)> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = way.client.request(parts.method.clone(), format!("{}{path}", way.to));
        for name in [header::CONTENT_TYPE, header::AUTHORIZATION] {
            if let Some(value) = parts.headers.get(&name) {
                request = request.header(&name, value);
            }
        }
        let answer = request.body(body.clone()).send().await.ok()?;
        Some((answer.status(), answer.bytes().await.ok()?))
    };
    let count = |counter: &AtomicU64| {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let answer = match fault {
        0 => {
            count(&way.faults.requests_lost);
            None
        }
        1 => {
            count(&way.faults.answers_lost);
            hand_on().await;
            None
        }
        2 => {
            count(&way.faults.late);
            tokio::time::sleep(Duration::from_millis(late_ms)).await;
            hand_on().await
        }
        3 => {
            count(&way.faults.late);
            let answer = hand_on().await;
            tokio::time::sleep(Duration::from_millis(late_ms)).await;
            answer
        }
        4 => {
            count(&way.faults.twice);
            hand_on().await;
            hand_on().await
        }
        _ => hand_on().await,
    };
    match answer {
        Some((status, bytes)) => {
            (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response()
        }
        None => StatusCode::BAD_GATEWAY.into_response(),
    }
}
