//! `[[indexer.webhooks]]` and `[indexer.nats]` of the configuration.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use protocol::{
    chain::ChainId,
    wire::feed::{EventBody, Finality},
};
use serde::{Deserialize, Serialize};
use service::http::webhook::{Secret, is_public};

use crate::{
    Error,
    feed::{select::Selection, store::Filter},
};

/// The name of the delivery to NATS in the database and in `/status`.
pub(crate) const NATS: &str = "nats";
const WEBHOOKS_MAX: usize = 32;
const NAME_MAX: usize = 64;

/// What of the feed a receiver is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterConfig {
    /// Events of this chain alone.
    pub chain: Option<ChainId>,
    /// From which level on: `seen`, `safe` or `final`, each with the retractions of what was told.
    pub finality: Finality,
    /// Names of events; every event where it is empty.
    pub events: BTreeSet<String>,
    /// Events of this deal and its cases alone.
    pub deal: Option<B256>,
}

impl Default for FilterConfig {
    /// Everything that is final.
    fn default() -> Self {
        Self { chain: None, finality: Finality::Final, events: BTreeSet::new(), deal: None }
    }
}

impl FilterConfig {
    pub(crate) fn selection(&self) -> Selection {
        Selection {
            filter: Filter { chain: self.chain, level: self.finality },
            names: self.events.clone(),
            deal: self.deal,
        }
    }

    fn check(&self, of: &str) -> Result<(), Error> {
        if self.finality == Finality::Retracted {
            return refuse(of, "filter.finality", "retracted", "seen, safe or final");
        }
        match self.events.iter().find(|name| !EventBody::NAMES.contains(&name.as_str())) {
            Some(name) => refuse(of, "filter.events", name, "names of the contracts' events, such as Funded"),
            None => Ok(()),
        }
    }
}

/// One receiver of signed messages over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// What its cursor is kept by: another name begins anew, another URL does not. 1 to 64 of a to z, 0 to 9, `-`.
    pub name: String,
    /// Where to POST to: `https`, or also `http` with `allow_private`. It is never followed elsewhere.
    pub url: String,
    /// Signs every message: `whsec_` and 24 to 64 bytes in base64.
    pub secret: Option<Secret>,
    /// Signs every message too, while the receiver changes to another secret.
    pub previous_secret: Option<Secret>,
    /// What it is told.
    pub filter: FilterConfig,
    /// The entry of the feed to begin after, the first time; 0 for everything.
    pub after: u64,
    /// Milliseconds that one try may take; 100 to 60,000.
    pub timeout_ms: u64,
    /// Milliseconds to wait after the first failure, twice as many after each further one; 1 to 60,000.
    pub retry_ms: u64,
    /// Whether it may lie on this machine, in a private network or at a cloud's own addresses.
    pub allow_private: bool,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            secret: None,
            previous_secret: None,
            filter: FilterConfig::default(),
            after: 0,
            timeout_ms: 15_000,
            retry_ms: 1_000,
            allow_private: false,
        }
    }
}

/// A stream of NATS JetStream. A message of it has the subject `<subject>.<chain>.<event>.<finality>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsConfig {
    /// `nats://` or `tls://`, host and port, perhaps with user and password.
    pub url: String,
    /// File with the credentials of a NATS account.
    pub credentials: Option<String>,
    /// The stream: made if there is none, and otherwise taken as it is. 1 to 64 of A to Z, a to z, 0 to 9, `-` and `_`.
    pub stream: String,
    /// What subjects begin with.
    pub subject: String,
    /// What it is told.
    pub filter: FilterConfig,
    /// The entry of the feed to begin after, the first time; 0 for everything.
    pub after: u64,
    /// Milliseconds until a message must be acknowledged; 100 to 60,000.
    pub timeout_ms: u64,
    /// Milliseconds to wait after the first failure, twice as many after each further one; 1 to 60,000.
    pub retry_ms: u64,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            credentials: None,
            stream: "EARNEST".to_owned(),
            subject: "earnest".to_owned(),
            filter: FilterConfig::default(),
            after: 0,
            timeout_ms: 5_000,
            retry_ms: 1_000,
        }
    }
}

fn refuse(of: &str, key: &str, value: &str, rule: &'static str) -> Result<(), Error> {
    Err(Error::Config { key: format!("{of}.{key}"), value: value.chars().take(100).collect(), rule })
}

fn check_times(of: &str, timeout_ms: u64, retry_ms: u64) -> Result<(), Error> {
    if !(100..=60_000).contains(&timeout_ms) {
        return refuse(of, "timeout_ms", &timeout_ms.to_string(), "100 to 60,000");
    }
    if !(1..=60_000).contains(&retry_ms) {
        return refuse(of, "retry_ms", &retry_ms.to_string(), "1 to 60,000");
    }
    Ok(())
}

fn is_word(text: &str, of: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.len() <= NAME_MAX && text.chars().all(of)
}

/// # Errors
/// A key is out of its range, or two webhooks have one name.
pub(crate) fn check(webhooks: &[WebhookConfig], nats: Option<&NatsConfig>) -> Result<(), Error> {
    if webhooks.len() > WEBHOOKS_MAX {
        return Err(Error::Config {
            key: "webhooks".to_owned(),
            value: format!("{} webhooks", webhooks.len()),
            rule: "at most 32",
        });
    }
    let mut names = BTreeSet::from([NATS]);
    for webhook in webhooks {
        webhook.check()?;
        if !names.insert(webhook.name.as_str()) {
            return refuse("webhooks", "name", &webhook.name, "of one webhook alone, and not `nats`");
        }
    }
    nats.map_or(Ok(()), NatsConfig::check)
}

impl WebhookConfig {
    fn check(&self) -> Result<(), Error> {
        if !is_word(&self.name, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            return refuse("webhooks", "name", &self.name, "1 to 64 of a to z, 0 to 9 and -");
        }
        let of = format!("webhooks.{}", self.name);
        // Not the URL itself, which may hold a key.
        let shown = format!("{} characters", self.url.len());
        let Ok(url) = reqwest::Url::parse(&self.url) else {
            return refuse(&of, "url", &shown, "an http:// or https:// URL");
        };
        match (url.scheme(), self.allow_private) {
            ("https", _) | ("http", true) => {}
            _ => return refuse(&of, "url", &shown, "an https:// URL, or http:// with allow_private"),
        }
        let host = url.host_str().unwrap_or_default();
        if let Ok(address) = host.trim_matches(['[', ']']).parse()
            && !self.allow_private
            && !is_public(address)
        {
            return refuse(&of, "url", host, "at a public address, unless allow_private");
        }
        if self.secret.is_none() {
            return refuse(&of, "secret", "none", "whsec_ and 24 to 64 bytes in base64");
        }
        check_times(&of, self.timeout_ms, self.retry_ms)?;
        self.filter.check(&of)
    }

    /// What signs: the secret, and the one before it while that lasts.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        self.secret.iter().chain(&self.previous_secret).cloned().collect()
    }
}

impl NatsConfig {
    fn check(&self) -> Result<(), Error> {
        if !self.url.starts_with("nats://") && !self.url.starts_with("tls://") {
            let shown = format!("{} characters", self.url.len());
            return refuse(NATS, "url", &shown, "a nats:// or tls:// URL");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !is_word(&self.stream, plain) {
            return refuse(NATS, "stream", &self.stream, "1 to 64 of A to Z, a to z, 0 to 9, - and _");
        }
        if !self.subject.split('.').all(|token| is_word(token, plain)) || self.subject.len() > NAME_MAX {
            return refuse(
                NATS,
                "subject",
                &self.subject,
                "words with full stops between them, at most 64 characters",
            );
        }
        check_times(NATS, self.timeout_ms, self.retry_ms)?;
        self.filter.check(NATS)
    }
}
