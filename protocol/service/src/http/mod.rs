//! The HTTP shell of a service: limits, health, metrics, problem details, graceful stop.

mod body;
mod params;
mod problem;
pub mod webhook;

use std::{
    future::{Future, IntoFuture as _},
    net::SocketAddr,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::StreamExt as _;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use body::Json;
pub use params::{Path, Query};
pub use problem::Problem;

use crate::telemetry;

/// The largest request body unless a route says otherwise: 64 KiB.
pub const BODY_MAX: usize = 64 * 1024;
/// The longest a request may take: long polls wait at most 25 s.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// Between the times when samples of metrics are put together.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// The longest that requests under way are waited for at a stop.
pub const STOP_TIME_MAX: Duration = Duration::from_secs(10);

/// Makes a client of HTTP.
///
/// # Errors
/// The client's own: the machine has no certificates that could be read.
pub fn client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, reqwest::Error> {
    #[cfg(feature = "simulation")]
    return crate::simulation::client(builder);
    #[cfg(not(feature = "simulation"))]
    builder.build()
}

/// Sends a request of ours; in a build for simulations, to the world that the thread is in, if it is in one.
///
/// # Errors
/// No answer begins.
pub async fn send(request: reqwest::RequestBuilder) -> Result<reqwest::Response, reqwest::Error> {
    #[cfg(feature = "simulation")]
    return crate::simulation::send(request).await;
    #[cfg(not(feature = "simulation"))]
    request.send().await
}

/// Adds `/health` (the process lives), `/ready` (`ready` decides), `/metrics` (Prometheus text), the body limit, the
/// request time limit, request metrics, and problem details for unknown paths.
pub fn shell<F, R>(service: &'static str, routes: Router, ready: F) -> Router
where
    F: Fn() -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<(), String>> + Send + 'static,
{
    routes
        .route("/health", get(|| async { "ok" }))
        .route(
            "/ready",
            get(move || {
                let ready = ready.clone();
                async move {
                    match ready().await {
                        Ok(()) => Ok("ready"),
                        Err(reason) => Err(Problem::unavailable(reason)),
                    }
                }
            }),
        )
        .route("/metrics", get(|| async { telemetry::metrics().render() }))
        .fallback(|request: Request| async move { Problem::unknown_path(request.uri().path()) })
        .method_not_allowed_fallback(|request: Request| async move {
            Problem::method_not_allowed(request.method())
        })
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn(|request, next| in_time(REQUEST_TIME_MAX, request, next)))
        .layer(middleware::from_fn(move |request, next| measure(service, request, next)))
}

/// Answers in the place of a handler that takes longer than `most`, and is dropped where it stands.
async fn in_time(most: Duration, request: Request, next: Next) -> Response {
    tokio::time::timeout(most, next.run(request)).await.unwrap_or_else(|_| {
        let seconds = most.as_secs();
        Problem::unavailable(format!("this took more than {seconds} seconds; try again later"))
            .into_response()
    })
}

async fn measure(service: &'static str, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |p| p.as_str().to_owned());
    let started = std::time::Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    metrics::histogram!("http_request_seconds", "service" => service, "route" => route, "status" => status)
        .record(started.elapsed());
    response
}

/// Serves until `stop`, then ends the streams of events and finishes the other requests under way; who takes longer than
/// [`STOP_TIME_MAX`] is not waited for.
///
/// # Errors
/// The listener fails.
pub async fn serve(listener: TcpListener, app: Router, stop: CancellationToken) -> std::io::Result<()> {
    serve_until(listener, app, stop, STOP_TIME_MAX).await
}

async fn serve_until(
    listener: TcpListener,
    app: Router,
    stop: CancellationToken,
    patience: Duration,
) -> std::io::Result<()> {
    let ends = stop.clone();
    let app = app.layer(middleware::map_response(move |response: Response| {
        let ends = ends.clone();
        async move { ending(response, ends) }
    }));
    let served = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(patience).await;
    };
    tokio::select! {
        served = served.into_future() => served,
        () = upkeep() => Ok(()),
        () = late => {
            tracing::warn!(patience_s = patience.as_secs(), "requests are not finished at the stop, and waited for no more");
            Ok(())
        }
    }
}

/// Puts samples of metrics together, without end: whom nobody asks for metrics would keep each of them.
async fn upkeep() {
    loop {
        tokio::time::sleep(UPKEEP_EVERY).await;
        telemetry::metrics().run_upkeep();
    }
}

/// A stream of events has no end of its own: it ends with the service.
fn ending(response: Response, stop: CancellationToken) -> Response {
    let streams = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == HeaderValue::from_static("text/event-stream"));
    if !streams {
        return response;
    }
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(stop.cancelled_owned())))
}

/// Whether the `Authorization` header carries `Bearer <key>`, compared in constant time.
pub fn bears(headers: &axum::http::HeaderMap, key: &str) -> bool {
    headers
        .get(axum::http::header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .is_some_and(|given| !key.is_empty() && bool::from(given.as_bytes().ct_eq(key.as_bytes())))
}

#[cfg(test)]
mod tests;
