//! Messages over HTTP, signed as Standard Webhooks says.

use std::{error::Error as _, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{
    Client, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
    redirect::Policy,
};
use service::{
    clock::Clock,
    http::webhook::{Secret, headers, is_public},
};

use super::{Failure, config::WebhookConfig, message::Message};
use crate::Error;

/// Bytes of an answer that are read, so that its connection can be used again.
const ANSWER_MAX: usize = 64 * 1024;

/// One receiver.
pub(super) struct Webhook {
    client: Client,
    url: String,
    secrets: Vec<Secret>,
    clock: Arc<dyn Clock>,
}

impl Webhook {
    pub fn new(config: &WebhookConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        // Neither a redirect nor a proxy may lead elsewhere.
        let mut client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_millis(config.timeout_ms));
        if !config.allow_private {
            client = client.dns_resolver(Arc::new(PublicAlone));
        }
        let client = client.build().map_err(|error| Error::Config {
            key: format!("webhooks.{}.url", config.name),
            value: error.without_url().to_string(),
            rule: "what an HTTP client can be made for",
        })?;
        Ok(Self { client, url: config.url.clone(), secrets: config.secrets(), clock })
    }

    /// Whether the receiver has it: it answered with a status from 200 to 299.
    pub async fn send(&self, message: &Message) -> Result<(), Failure> {
        let now_s = self.clock.now_ms().div_euclid(1_000);
        let mut request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("earnest/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers(&self.secrets, &message.id, now_s, &message.body) {
            request = request.header(name, value);
        }
        let mut answer =
            request.body(message.body.clone()).send().await.map_err(|error| unreached(&error))?;
        let status = answer.status();
        if !status.is_success() {
            let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            return Err(Failure {
                reason: format!("the receiver answers {}", status.as_u16()),
                retry_after_s: asked.filter(|_| busy),
            });
        }
        let mut read = 0_usize;
        while let Ok(Some(chunk)) = answer.chunk().await {
            read = read.saturating_add(chunk.len());
            if read > ANSWER_MAX {
                break;
            }
        }
        Ok(())
    }
}

/// The cause at the bottom, which says most, and not the URL, which may hold a key.
fn unreached(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::new("the receiver does not answer in time");
    }
    let mut cause = error.source();
    let mut reason = "the request failed".to_owned();
    while let Some(error) = cause {
        reason = error.to_string();
        cause = error.source();
    }
    Failure::new(format!("the receiver is not reached: {reason:.200}"))
}

/// Finds public addresses and no others, at the moment at which the connection is made.
struct PublicAlone;

impl Resolve for PublicAlone {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(public_addresses(name))
    }
}

async fn public_addresses(name: Name) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
    let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
    if public.is_empty() {
        return Err("its name has no public address, and allow_private is not set".into());
    }
    Ok(Box::new(public.into_iter()))
}
