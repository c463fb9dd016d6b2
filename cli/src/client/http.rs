//! JSON over HTTP with the services: problem details in words, and patience where a service is being started again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::events::Events;
use crate::exit::Failure;

/// The longest that one request may take; long polls of the services end before.
const REQUEST_WAIT: Duration = Duration::from_secs(35);
/// The longest that a stream is read: a hub ends it after ten minutes.
const STREAM_WAIT: Duration = Duration::from_secs(15 * 60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// A service behind a URL.
#[derive(Clone, Debug)]
pub struct Http {
    base: String,
    client: reqwest::Client,
    patience: Duration,
    token: Option<String>,
}

impl Http {
    /// `base` without a slash at the end. For as long as `patience` a service that does not answer, or says that it is
    /// not ready, is asked again; everything that is asked through this client may be asked twice.
    pub fn new(base: &str, patience: Duration) -> Result<Self> {
        reqwest::Url::parse(base).map_err(|error| anyhow!("`{base}` is not a URL of a service: {error}"))?;
        let client = reqwest::Client::builder().timeout(REQUEST_WAIT).build().context("the HTTP client")?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client, patience, token: None })
    }

    /// Where the service answers.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same service, asked with a bearer token.
    #[must_use]
    pub fn bearing(&self, token: String) -> Self {
        Self { token: Some(token), ..self.clone() }
    }

    /// `GET path`, whose answer is a `T`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.ask(Method::GET, path, None::<&()>).await
    }

    /// `POST path` with a JSON body.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.ask::<()>(Method::DELETE, path, None::<&()>).await
    }

    /// What happens at a hub after the event with this id.
    pub async fn events(&self, after: u64) -> Result<Events> {
        let path = format!("/v1/events?after={after}");
        let started = Instant::now();
        loop {
            let request = self.client.get(format!("{}{path}", self.base)).timeout(STREAM_WAIT);
            let request = match &self.token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            let again = match request.send().await {
                Ok(answer) if answer.status().is_success() => return Ok(Events::of(answer)),
                Ok(answer) if is_passing(answer.status()) => {
                    anyhow!("{} {path}: {}", self.base, answer.status())
                }
                Ok(answer) => {
                    let status = answer.status();
                    return Err(Refused::of(status, &answer.bytes().await.unwrap_or_default()).into());
                }
                Err(error) => self.nobody(&path, &error),
            };
            if started.elapsed() >= self.patience {
                return Err(again);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn nobody(&self, path: &str, error: &reqwest::Error) -> anyhow::Error {
        Failure::unreachable(format!(
            "nobody answers at {}{path}: {}: is the service running?",
            self.base,
            root_cause(error)
        ))
    }

    /// Whether the service says that it is ready, asked once.
    pub async fn is_ready(&self) -> bool {
        let answer = self.client.get(format!("{}/ready", self.base)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let started = Instant::now();
        loop {
            let mut request = self.client.request(method.clone(), format!("{}{path}", self.base));
            if let Some(token) = &self.token {
                request = request.bearer_auth(token);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            let again = match request.send().await {
                Ok(answer) if is_passing(answer.status()) => {
                    anyhow!("{} {}: {}", self.base, path, answer.status())
                }
                Ok(answer) => {
                    let status = answer.status();
                    match answer.bytes().await {
                        Ok(bytes) => return read(&method, &self.base, path, status, &bytes),
                        Err(error) => anyhow!("{} {path}: the answer broke off: {error}", self.base),
                    }
                }
                Err(error) => self.nobody(path, &error),
            };
            if started.elapsed() >= self.patience {
                return Err(again);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

const fn is_passing(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
}

fn read<T: DeserializeOwned>(
    method: &Method,
    base: &str,
    path: &str,
    status: StatusCode,
    bytes: &[u8],
) -> Result<T> {
    if status.is_success() {
        // An empty answer reads as null.
        let text = if bytes.is_empty() { b"null".as_slice() } else { bytes };
        return serde_json::from_slice(text)
            .with_context(|| format!("{method} {base}{path}: the answer is not what was expected"));
    }
    Err(Refused::of(status, bytes).into())
}

/// What a service answers when it does not do what it was asked for: problem details (RFC 9457).
#[derive(Debug, thiserror::Error)]
#[error("{line}")]
pub struct Refused {
    /// In one line: what, which rule, which field.
    line: String,
    /// The rule's name.
    pub rule: Option<String>,
    /// At which step a record was refused; then nothing of it is kept.
    pub step: Option<String>,
    /// Whether there is no such thing, or none that whoever asks may read.
    pub is_missing: bool,
    /// Whether the session or token does not stand.
    pub is_unauthenticated: bool,
}

impl Refused {
    fn of(status: StatusCode, bytes: &[u8]) -> Self {
        let problem: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let text = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            line: line(status, &problem),
            rule: text("rule"),
            step: text("step"),
            is_missing: status == StatusCode::NOT_FOUND,
            is_unauthenticated: status == StatusCode::UNAUTHORIZED,
        }
    }
}

fn line(status: StatusCode, problem: &Value) -> String {
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    let mut line = text("detail").map_or_else(|| format!("the service answers {status}"), str::to_owned);
    let marks: Vec<String> = [("rule", text("rule")), ("field", text("field"))]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name} {value}")))
        .collect();
    if !marks.is_empty() {
        line = format!("{line} ({})", marks.join(", "));
    }
    line
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
