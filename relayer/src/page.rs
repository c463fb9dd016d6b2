//! Pages: what the operator is told of at `page_url`, signed as Standard Webhooks says.

use std::{fmt, time::Duration};

use protocol::{chain::ChainId, wire::intent::Intent};
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::{
    failpoint,
    http::webhook::{self, Secret},
};

use crate::{
    error::Error,
    peer::{PeerError, Verdict, verdict},
};

/// The longest that the operator's side may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(15);

/// What a person has to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Page {
    /// An intent that facts decide nothing about.
    Quarantined {
        /// Its business key.
        key: String,
        /// Why.
        reason: String,
    },
    /// An intent that was over, until the chain took back what was final.
    Reopened {
        /// Its business key.
        key: String,
    },
    /// Something that does not go away.
    Alarm {
        /// Which, as `/status` names it.
        task: String,
        /// In words.
        reason: String,
        /// Unix milliseconds.
        since_ms: i64,
    },
}

impl Page {
    /// A page about an intent that facts decide nothing about.
    pub fn quarantined(intent: &Intent, reason: &str) -> Self {
        Self::Quarantined { key: intent.key.clone(), reason: reason.to_owned() }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Quarantined { .. } => "intent.quarantined",
            Self::Reopened { .. } => "intent.reopened",
            Self::Alarm { .. } => "alarm.raised",
        }
    }
}

/// Sends pages.
#[derive(Clone)]
pub struct Pager {
    url: reqwest::Url,
    secret: Secret,
    chain: ChainId,
    client: reqwest::Client,
}

impl fmt::Debug for Pager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may carry a key.
        f.debug_struct("Pager").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Pager {
    /// A pager for an address, whose pages the secret signs.
    ///
    /// # Errors
    /// The address is not http or https, or the secret is none.
    pub fn new(url: &str, secret: &str, chain: ChainId) -> Result<Self, Error> {
        let refuse = |key, reason: String| Error::Config { key, reason };
        let url: reqwest::Url = url.parse().map_err(|error| refuse("page_url", format!("{error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("page_url", "must begin with http:// or https://".to_owned()));
        }
        let secret =
            secret.parse().map_err(|error: webhook::NoSecret| refuse("page_secret", error.to_string()))?;
        let client = reqwest::Client::builder()
            .timeout(ANSWER_TIME)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| refuse("page_url", error.to_string()))?;
        Ok(Self { url, secret, chain, client })
    }

    /// Sends a page; `id` names it among all that this relayer ever sends, so that one sent twice is known.
    ///
    /// # Errors
    /// It was not taken.
    pub async fn tell(&self, id: &str, page: &Page, now_ms: i64) -> Result<(), PeerError> {
        let away = |reason: String| PeerError::Away { peer: "page_url", reason };
        let body = json!({
            "type": page.name(),
            "timestamp": now_ms,
            "data": { "service": "relayer", "chain": self.chain, "page": page },
        })
        .to_string();
        let id = format!("{}-{id}", self.chain).replace('.', "-");
        let mut request = self.client.post(self.url.clone()).header("content-type", "application/json");
        for (name, value) in webhook::headers(
            std::slice::from_ref(&self.secret),
            &id,
            now_ms.div_euclid(1_000),
            body.as_bytes(),
        ) {
            request = request.header(name, value);
        }
        failpoint::pass(&["relayer.page", "before"]);
        let answer = request.body(body).send().await;
        failpoint::pass(&["relayer.page", "after"]);
        let status = answer.map_err(|error| away(error.without_url().to_string()))?.status();
        metrics::counter!("relayer_pages_total").increment(1);
        // Whatever is not taken is sent again: nobody else will tell the operator.
        if verdict(status) == Verdict::Taken { Ok(()) } else { Err(away(status.to_string())) }
    }
}
