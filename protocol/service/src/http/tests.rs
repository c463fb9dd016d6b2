//! What a stop does to requests under way, and what becomes of those that take too long.

use std::{convert::Infallible, future::pending};

use axum::response::{
    Sse,
    sse::{Event, KeepAlive},
};
use futures::stream;
use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use tower::ServiceExt as _;

use super::*;

/// The longest that anything may take here.
const DEADLINE: Duration = Duration::from_secs(60);

/// A service with a stream that tells one event and no other, and a request that is never answered, which it says when it
/// has come.
async fn start(
    patience: Duration,
) -> (String, CancellationToken, std::sync::Arc<Notify>, JoinHandle<std::io::Result<()>>) {
    let asked = std::sync::Arc::new(Notify::new());
    let (stop, came) = (CancellationToken::new(), asked.clone());
    let events = || async {
        let events = stream::once(async { Ok::<_, Infallible>(Event::default().data("one")) });
        Sse::new(events.chain(stream::pending())).keep_alive(KeepAlive::new())
    };
    let never = move || {
        came.notify_one();
        pending::<()>()
    };
    let app = Router::new().route("/events", get(events)).route("/never", get(never));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = tokio::spawn(serve_until(listener, app, stop.clone(), patience));
    (base, stop, asked, serving)
}

#[tokio::test]
async fn an_open_stream_ends_with_the_service_and_does_not_hold_it_up() {
    // Nobody waits for so long.
    let (base, stop, _, serving) = start(DEADLINE * 100).await;
    let mut stream = reqwest::get(format!("{base}/events")).await.expect("an answer");
    assert_eq!(stream.chunk().await.expect("a chunk").expect("an event"), "data: one\n\n");
    stop.cancel();
    timeout(DEADLINE, serving).await.expect("it ends").expect("no panic").expect("no error");
    assert_eq!(stream.chunk().await.expect("a clean end"), None);
}

#[tokio::test]
async fn a_request_without_end_is_not_waited_for_without_end() {
    let (base, stop, asked, serving) = start(Duration::from_millis(10)).await;
    let asking = tokio::spawn(reqwest::get(format!("{base}/never")));
    asked.notified().await;
    stop.cancel();
    timeout(DEADLINE, serving).await.expect("it ends").expect("no panic").expect("no error");
    asking.abort();
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_answered_for() {
    let most = Duration::from_millis(20);
    let app = Router::new()
        .route("/slow", get(pending::<()>))
        .layer(middleware::from_fn(move |request, next| in_time(most, request, next)));
    let answer = app.oneshot(Request::get("/slow").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), axum::http::StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
}

#[tokio::test]
async fn samples_are_put_together_though_nobody_asks_for_metrics() {
    let (_, stop, _, serving) = start(DEADLINE).await;
    let recorder = telemetry::metrics();
    let name = "a_sample_of_a_test";
    metrics::histogram!(name).record(1.0);
    // Whatever else shows what is put together puts it together.
    let put_together = async {
        while !format!("{recorder:?}").contains(&format!("{name:?}: {{")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, put_together).await.expect("they are put together");
    stop.cancel();
    timeout(DEADLINE, serving).await.expect("it ends").expect("no panic").expect("no error");
}
