//! A BrightID node's word, by its node API v6 (`GET /verifications/{app}/{appUserId}?signed=nacl`), believed only where one
//! of the configured nodes has signed it.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use service::http::Problem;
use sha2::{Digest, Sha256};

use crate::{config::Config, error::Error};

/// The longest to wait for an answer.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const ANSWER_MAX: usize = 64 * 1024;
/// How far ahead of the hub's clock an answer may be dated, in milliseconds.
const AHEAD_MAX_MS: i64 = 5 * 60 * 1000;
/// How old one may be: an app whose verifications end by periods dates them with the period's beginning.
const AGE_MAX_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// A node that is asked.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    client: Client,
    url: String,
    app: String,
    signers: Vec<VerifyingKey>,
}

/// A public key as nodes write it.
///
/// # Errors
/// In words, why it is none.
pub(crate) fn signer(text: &str) -> Result<VerifyingKey, String> {
    let refuse = || format!("`{text:.60}` must be base64 of an Ed25519 public key");
    let bytes: [u8; 32] =
        STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(refuse)?;
    VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak()).ok_or_else(refuse)
}

/// One verification expression of the app, and what the node says of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    unique: bool,
    app: String,
    app_user_id: String,
    verification: String,
    #[serde(default)]
    verification_hash: Option<String>,
    #[serde(default)]
    timestamp: Option<i64>,
    /// Text when signed with Ed25519.
    #[serde(default)]
    sig: Value,
    #[serde(default)]
    public_key: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Verification>,
}

fn unusable(reason: impl std::fmt::Display) -> Error {
    Problem::unavailable(format!("the BrightID node's answer cannot be used: {reason}")).into()
}

impl Node {
    /// The node of a configuration that has been checked; none where it names none.
    pub(crate) fn new(config: &Config) -> Result<Option<Self>, Error> {
        if config.brightid_url.is_empty() {
            return Ok(None);
        }
        let client = Client::builder()
            .timeout(WAIT_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| Error::Config(format!("brightid_url: {error}")))?;
        let signers = config.brightid_signers.iter().map(|text| signer(text)).collect::<Result<_, _>>();
        Ok(Some(Self {
            client,
            url: config.brightid_url.trim_end_matches('/').to_owned(),
            app: config.brightid_app.clone(),
            signers: signers.map_err(Error::Config)?,
        }))
    }

    /// The name of the person behind a user of the app, which is the user's own: BrightID links a person to one at a time.
    pub(crate) async fn person(&self, user: &str, now: i64) -> Result<Option<String>, Error> {
        let url =
            format!("{}/verifications/{}/{user}?signed=nacl&timestamp=milliseconds", self.url, self.app);
        let silent = |error: reqwest::Error| -> Error {
            Problem::unavailable(format!("the BrightID node does not answer: {}", error.without_url())).into()
        };
        let mut answer = self.client.get(url).send().await.map_err(silent)?;
        match answer.status() {
            // The user is linked to nobody.
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::OK => {}
            status => return Err(unusable(format_args!("status {status}"))),
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(silent)? {
            if bytes.len().saturating_add(chunk.len()) > ANSWER_MAX {
                return Err(unusable(format_args!("more than {ANSWER_MAX} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        let Answer { data } = serde_json::from_slice(&bytes).map_err(unusable)?;
        for verification in data.iter().filter(|one| one.unique) {
            self.check(verification, user, now).map_err(unusable)?;
        }
        Ok(data.iter().any(|one| one.unique).then(|| user.to_owned()))
    }

    /// Whether what the node calls unique is about this user, fresh, and signed by a node that the hub believes.
    fn check(&self, said: &Verification, user: &str, now: i64) -> Result<(), String> {
        if said.app != self.app || said.app_user_id != user {
            return Err(format!("it is about {:.60} of {:.60}", said.app_user_id, said.app));
        }
        let hash = hex::encode(Sha256::digest(said.verification.as_bytes()));
        if said.verification_hash.as_deref() != Some(hash.as_str()) {
            return Err("verificationHash is not the SHA-256 of verification".to_owned());
        }
        let at = said.timestamp.ok_or("it has no timestamp")?;
        if at > now.saturating_add(AHEAD_MAX_MS) || at < now.saturating_sub(AGE_MAX_MS) {
            return Err(format!("its timestamp is {at}"));
        }
        let key = said.public_key.as_deref().ok_or("it has no publicKey")?;
        let key = signer(key)?;
        if !self.signers.contains(&key) {
            return Err("it is signed by a node that this hub does not know".to_owned());
        }
        let signature = said.sig.as_str().and_then(|text| STANDARD.decode(text).ok());
        let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
        let message = format!("{},{user},{hash},{at}", self.app);
        match signature {
            Some(signature) if key.verify_strict(message.as_bytes(), &signature).is_ok() => Ok(()),
            _ => Err("its signature does not match".to_owned()),
        }
    }
}
