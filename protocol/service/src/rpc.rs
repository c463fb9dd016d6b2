//! JSON-RPC over HTTP for alloy's clients, with a limit for the size of every answer and no address in any message.

use std::{
    fmt,
    task::{Context, Poll},
    time::Duration,
};

use alloy::{
    rpc::json_rpc::{RequestPacket, ResponsePacket, RpcError},
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use reqwest::{Client, Url, header, redirect};

/// The most characters of an answer that an error repeats.
const SHOWN_MAX: usize = 300;

/// One node.
#[derive(Clone)]
pub struct Http {
    client: Client,
    url: Url,
    answer_bytes_max: usize,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The path and the query may carry a key.
        f.debug_struct("Http").field("host", &self.host()).finish_non_exhaustive()
    }
}

impl Http {
    /// A node at a URL. `timeout` is for one request with its answer.
    ///
    /// # Errors
    /// It is no http or https URL; the words do not repeat it.
    pub fn new(url: &str, timeout: Duration, answer_bytes_max: usize) -> Result<Self, String> {
        let url: Url = url.parse().map_err(|error| format!("{error}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err("must begin with http:// or https://, and name a host".to_owned());
        }
        let client = Client::builder().timeout(timeout).redirect(redirect::Policy::none());
        let client = crate::http::client(client).map_err(|error| error.to_string())?;
        Ok(Self { client, url, answer_bytes_max })
    }

    /// Host and port, for messages.
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    async fn ask(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let body = serde_json::to_vec(&packet).map_err(RpcError::ser_err)?;
        let (status, body) = self.post(body).await?;
        let read = serde_json::from_slice::<ResponsePacket>(&body);
        if (200..300).contains(&status) {
            return read.map_err(|error| RpcError::deser_err(error, shown(&body)));
        }
        // Some nodes refuse a call with a status of HTTP's as well.
        match read {
            Ok(refusal) if refusal.is_error() => Ok(refusal),
            _ => Err(TransportErrorKind::http_error(status, shown(&body))),
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<(u16, Vec<u8>), TransportError> {
        let failed = |error: reqwest::Error| TransportErrorKind::custom(error.without_url());
        let request = self.client.post(self.url.clone()).header(header::CONTENT_TYPE, "application/json");
        let mut response = crate::http::send(request.body(body)).await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut answer = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if answer.len().saturating_add(part.len()) > self.answer_bytes_max {
                let words = format!("the answer has more than {} bytes", self.answer_bytes_max);
                // As if the node had said so itself: what is too long is asked for in parts.
                return Err(TransportErrorKind::http_error(413, words));
            }
            answer.extend_from_slice(&part);
        }
        Ok((status, answer))
    }
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(SHOWN_MAX).collect()
}

impl tower::Service<RequestPacket> for Http {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().ask(packet))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use alloy::rpc::client::RpcClient;
    use axum::{Router, http::StatusCode, routing::post};
    use tokio::net::TcpListener;

    use super::Http;

    const TIME: Duration = Duration::from_secs(10);

    async fn serve(status: StatusCode, body: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v2/my-own-key", listener.local_addr().unwrap());
        let routes = Router::new().fallback(post(move || async move { (status, body) }));
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        url
    }

    async fn asked(status: StatusCode, body: &str, bytes_max: usize) -> Result<String, String> {
        let url = serve(status, body.to_owned()).await;
        let client = RpcClient::new(Http::new(&url, TIME, bytes_max).unwrap(), false);
        client.request_noparams::<String>("eth_test").await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_the_limit() {
        let answer = r#"{"jsonrpc":"2.0","id":0,"result":"yes"}"#;
        assert_eq!(asked(StatusCode::OK, answer, answer.len()).await.unwrap(), "yes");
        let refused = asked(StatusCode::OK, answer, answer.len() - 1).await.unwrap_err();
        assert!(refused.contains("more than 38 bytes"), "{refused}");
    }

    #[tokio::test]
    async fn a_refusal_is_told_with_or_without_a_status_of_http_and_an_error_is_cut() {
        let refusal = r#"{"jsonrpc":"2.0","id":0,"error":{"code":3,"message":"execution reverted"}}"#;
        for status in [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::INTERNAL_SERVER_ERROR] {
            let refused = asked(status, refusal, 1_000).await.unwrap_err();
            assert!(refused.contains("execution reverted"), "{status} {refused}");
        }
        let long = asked(StatusCode::BAD_GATEWAY, &"x".repeat(10_000), 100_000).await.unwrap_err();
        assert!(long.contains("502") && long.len() < 1_000, "{long}");
        let html = asked(StatusCode::OK, &"<html>".repeat(10_000), 100_000).await.unwrap_err();
        assert!(html.len() < 1_000, "{html}");
    }

    #[tokio::test]
    async fn the_address_shows_its_host_alone() {
        let http = Http::new("http://127.0.0.1:9/v2/my-own-key", TIME, 1_000).unwrap();
        assert_eq!(http.host(), "127.0.0.1:9");
        assert!(!format!("{http:?}").contains("my-own-key"));
        let refused = RpcClient::new(http, false).request_noparams::<String>("eth_test").await.unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("my-own-key"), "{refused:?}");
        for wrong in ["ftp://node", "node:8545", ""] {
            assert!(Http::new(wrong, TIME, 1_000).is_err(), "{wrong}");
        }
    }
}
