//! HTTP to the hub and the indexer: bounded in time and size, and every answer sorted by what it means for the sender.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use service::failpoint;

use crate::error::Error;

/// The largest answer that is read: 16 MiB.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// Beyond the time that a long poll asks for.
const ANSWER_TIME: Duration = Duration::from_secs(15);

/// What an HTTP status means for the one who sent the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Taken,
    /// What was sent is at fault; sending it again changes nothing.
    RefusesContent,
    /// The sender is at fault: its key, or the address.
    RefusesSender,
    /// The other side cannot answer now.
    Later,
}

/// Sorts a status.
pub fn verdict(status: StatusCode) -> Verdict {
    match status {
        s if s.is_success() => Verdict::Taken,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Verdict::Later,
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED => Verdict::RefusesSender,
        s if s.is_client_error() => Verdict::RefusesContent,
        // Redirections are not followed: the address in the configuration is the address.
        s if s.is_redirection() => Verdict::RefusesSender,
        _ => Verdict::Later,
    }
}

/// Whether a page continues a list: numbers ascend from above the cursor, and the page's cursor is the last of them.
///
/// # Errors
/// It does not.
pub fn in_order(
    after: u64,
    seqs: impl IntoIterator<Item = u64>,
    cursor: u64,
    peer: &'static str,
) -> Result<(), PeerError> {
    let mut last = after;
    for seq in seqs {
        if seq <= last {
            return Err(PeerError::Unreadable { peer, reason: format!("entry {seq} comes after {last}") });
        }
        last = seq;
    }
    if cursor == last {
        return Ok(());
    }
    Err(PeerError::Unreadable {
        peer,
        reason: format!("a page that ends at {last} names the cursor {cursor}"),
    })
}

/// How long to pause after so many failures in a row: 0.25 s, doubling, at most 10 s.
pub fn pause(failures: u32) -> Duration {
    Duration::from_millis(250_u64.saturating_mul(1_u64 << failures.saturating_sub(1).min(6)))
        .min(Duration::from_secs(10))
}

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// No answer, or one that says to come again later.
    #[error("{peer} does not answer: {reason}")]
    Away {
        /// `hub` or `indexer`.
        peer: &'static str,
        /// In words.
        reason: String,
    },
    /// The key or the address is wrong.
    #[error("{peer} refuses this relayer: {reason}; check its address and key")]
    RefusesSender {
        /// `hub` or `indexer`.
        peer: &'static str,
        /// Status and detail.
        reason: String,
    },
    /// What was sent is at fault.
    #[error("{peer} refuses: {reason}")]
    RefusesContent {
        /// `hub` or `indexer`.
        peer: &'static str,
        /// The `rule` of the problem details, where the answer is 409 (Conflict).
        conflict: Option<String>,
        /// Status and detail.
        reason: String,
    },
    /// The answer is not what was agreed.
    #[error("{peer} answers what cannot be read: {reason}")]
    Unreadable {
        /// `hub` or `indexer`.
        peer: &'static str,
        /// In words.
        reason: String,
    },
}

/// One of the other services.
#[derive(Clone, Debug)]
pub struct Peer {
    name: &'static str,
    base: String,
    key: Option<String>,
    client: Client,
}

impl Peer {
    /// A peer at a base URL, with the key to show it.
    ///
    /// # Errors
    /// The URL is not http or https.
    pub fn new(
        name: &'static str,
        config_key: &'static str,
        base: &str,
        key: Option<&str>,
    ) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Config { key: config_key, reason };
        let url: reqwest::Url = base.parse().map_err(|error| refuse(format!("`{base:.200}`: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse(format!("`{base:.200}` must begin with http:// or https://")));
        }
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none());
        let client = service::http::client(client).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { name, base: base.trim_end_matches('/').to_owned(), key: key.map(str::to_owned), client })
    }

    /// Asks for a path (with query); the answer may take `wait` longer than usual.
    ///
    /// # Errors
    /// As [`PeerError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> Result<T, PeerError> {
        self.ask(self.client.get(format!("{}{path}", self.base)), wait).await
    }

    /// Hands JSON in.
    ///
    /// # Errors
    /// As [`PeerError`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, PeerError> {
        self.ask(self.client.post(format!("{}{path}", self.base)).json(body), Duration::ZERO).await
    }

    /// Hands JSON in and does not read the answer.
    ///
    /// # Errors
    /// As [`PeerError`].
    pub async fn tell(&self, path: &str, body: &impl Serialize) -> Result<(), PeerError> {
        let request = self.client.post(format!("{}{path}", self.base)).json(body);
        self.answer(request, Duration::ZERO).await.map(drop)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        wait: Duration,
    ) -> Result<T, PeerError> {
        let body = self.answer(request, wait).await?;
        serde_json::from_slice(&body)
            .map_err(|error| PeerError::Unreadable { peer: self.name, reason: error.to_string() })
    }

    async fn answer(&self, request: RequestBuilder, wait: Duration) -> Result<Vec<u8>, PeerError> {
        let peer = self.name;
        let away = |error: reqwest::Error| PeerError::Away { peer, reason: chain_of(&error.without_url()) };
        let mut request = request.timeout(ANSWER_TIME.saturating_add(wait));
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        failpoint::pass(&["relayer", peer, "before"]);
        let response = service::http::send(request).await;
        failpoint::pass(&["relayer", peer, "after"]);
        let mut response = response.map_err(away)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(away)? {
            if body.len().saturating_add(part.len()) > ANSWER_MAX {
                return Err(PeerError::Unreadable { peer, reason: format!("more than {ANSWER_MAX} bytes") });
            }
            body.extend_from_slice(&part);
        }
        let reason = || format!("{status}: {}", detail(&body));
        match verdict(status) {
            Verdict::Taken => Ok(body),
            Verdict::Later => Err(PeerError::Away { peer, reason: reason() }),
            Verdict::RefusesSender => Err(PeerError::RefusesSender { peer, reason: reason() }),
            Verdict::RefusesContent => {
                let conflict = (status == StatusCode::CONFLICT).then(|| member(&body, "rule")).flatten();
                Err(PeerError::RefusesContent { peer, conflict, reason: reason() })
            }
        }
    }
}

/// A text of problem details (RFC 9457), at most 300 characters.
fn member(body: &[u8], name: &str) -> Option<String> {
    let problem = serde_json::from_slice::<serde_json::Value>(body).ok()?;
    Some(problem.get(name)?.as_str()?.chars().take(300).collect())
}

/// The `detail` of problem details, or the beginning of the body.
fn detail(body: &[u8]) -> String {
    member(body, "detail").unwrap_or_else(|| String::from_utf8_lossy(body).chars().take(300).collect())
}

fn chain_of(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_verdict() {
        for code in 100..600 {
            let status = StatusCode::from_u16(code).unwrap();
            let expected = match code {
                200..=299 => Verdict::Taken,
                408 | 425 | 429 | 500..=599 | 100..=199 => Verdict::Later,
                300..=399 | 401 | 403 | 404 | 405 => Verdict::RefusesSender,
                _ => Verdict::RefusesContent,
            };
            assert_eq!(verdict(status), expected, "{code}");
        }
    }

    #[test]
    fn a_page_that_does_not_continue_the_list_is_refused() {
        in_order(4, [5, 9], 9, "hub").unwrap();
        in_order(4, [], 4, "hub").unwrap();
        for (seqs, cursor) in [(vec![4], 4), (vec![5, 5], 5), (vec![6, 5], 5), (vec![5], 6), (vec![], 3)] {
            assert!(in_order(4, seqs.clone(), cursor, "hub").is_err(), "{seqs:?} {cursor}");
        }
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let pauses: Vec<u128> =
            [1, 2, 3, 6, 7, 1_000, u32::MAX].map(|failures| pause(failures).as_millis()).into();
        assert_eq!(pauses, [250, 500, 1_000, 8_000, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn only_http_addresses() {
        let refused = Peer::new("hub", "hub_url", "ftp://hub", None).unwrap_err().to_string();
        assert!(refused.contains("relayer.hub_url") && refused.contains("ftp://hub"), "{refused}");
        assert!(Peer::new("hub", "hub_url", "hub", None).is_err());
    }

    #[test]
    fn a_problem_is_told_by_its_detail() {
        assert_eq!(detail(br#"{"detail":"seq 4 names another chain"}"#), "seq 4 names another chain");
        assert_eq!(detail(b"<html>"), "<html>");
    }
}
