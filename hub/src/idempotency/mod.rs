//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that is sent again because its answer was lost has its
//! effect once and gets the same answer, for a day. For what nothing else keeps from happening twice; records, deliveries and
//! reports of progress are known again by themselves.
//!
//! The answer is kept in the transaction of the effect, under an account and a hash of the key. It may hold a secret that the hub
//! does not know otherwise, so it is sealed, with a key that is made of the hub's own and the one that the request shows.

mod store;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use service::http::Problem;
use sha2::{Digest as _, Sha256};
use sqlx::AnyConnection;

use crate::{Hub, error::Error, records::RecordId};

/// The header.
pub(crate) const HEADER: &str = "Idempotency-Key";
/// How long an answer is kept, in milliseconds: a day.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// The most answers that are kept of an account.
const KEPT_MAX: i64 = 256;
/// The longest key, in characters.
const KEY_MAX: usize = 64;
/// The longest answer that is kept, in bytes.
const ANSWER_MAX: usize = 16 * 1024;
/// What the sealing key is for, so that no other use of the hub's key makes the same.
const PURPOSE: &[u8] = b"earnest hub: kept answers";

type Digest = [u8; 32];

/// What a request shows as its key, and where it goes.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IdempotencyKey {
    /// 1 to 64 letters, digits, `-`, `_`, `.` and `:`, best drawn at random. The same request with the same key has its effect once and
    /// the same answer for a day.
    #[param(rename = "Idempotency-Key", value_type = Option<String>)]
    key: Option<String>,
    #[param(ignore)]
    method: Method,
    #[param(ignore)]
    path: String,
}

impl FromRequestParts<Hub> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Hub) -> Result<Self, Problem> {
        let key = read(&parts.headers)?;
        Ok(Self { key, method: parts.method.clone(), path: parts.uri.path().to_owned() })
    }
}

/// The key of the request: a string of structured fields (RFC 9651), or the same without its quotes.
fn read(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut all = headers.get_all(HEADER).iter();
    let Some(first) = all.next() else { return Ok(None) };
    let refuse = || {
        let told =
            format!("{HEADER} must be one string of 1 to {KEY_MAX} letters, digits, `-`, `_`, `.` and `:`");
        Problem::malformed(told).at(HEADER).by_rule("idempotency_key_malformed")
    };
    let text = first.to_str().map_err(|_| refuse())?;
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    if all.next().is_some() || !(1..=KEY_MAX).contains(&key.len()) || !key.bytes().all(fits) {
        return Err(refuse());
    }
    Ok(Some(key.to_owned()))
}

/// The requests with a key that are being answered at this moment by this process.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashSet<Digest>>>);

impl UnderWay {
    /// Takes the place of a request; none while another has it.
    fn begin(&self, id: Digest) -> Option<Turn> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id).then(|| Turn { all: self.clone(), id })
    }
}

/// A request's place, given back at its end.
struct Turn {
    all: UnderWay,
    id: Digest,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// A request of an account that has its effect once. Without a key nothing is kept of it.
pub(crate) struct Once {
    account: RecordId,
    keyed: Option<Keyed>,
}

struct Keyed {
    /// Of account and key.
    hash: Digest,
    /// Of method, path and body.
    request: Digest,
    seal: LessSafeKey,
    _turn: Turn,
}

impl IdempotencyKey {
    /// The request with this key as one of the account.
    ///
    /// # Errors
    /// 409 while the same key is under way.
    pub(crate) fn of(self, hub: &Hub, account: RecordId, body: &impl Serialize) -> Result<Once, Problem> {
        let Some(key) = self.key else { return Ok(Once { account, keyed: None }) };
        let broken = |error: String| Problem::from(Error::Corrupt(format!("a kept answer: {error}")));
        let hash = digest(&[account.to_string().as_bytes(), key.as_bytes()]);
        let body = serde_json_canonicalizer::to_vec(body).map_err(|error| broken(error.to_string()))?;
        let request = digest(&[self.method.as_str().as_bytes(), self.path.as_bytes(), &body]);
        let seal = seal(&hub.key.seed(), &account, &key).map_err(broken)?;
        let turn = hub.under_way.begin(hash).ok_or_else(|| {
            Problem::conflict("the request with this key is being answered: ask again when it is done")
                .at(HEADER)
                .by_rule("idempotency_key_in_flight")
        })?;
        Ok(Once { account, keyed: Some(Keyed { hash, request, seal, _turn: turn }) })
    }
}

/// A hash of parts, of which none can run into the next.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn seal(seed: &[u8], account: &RecordId, key: &str) -> Result<LessSafeKey, String> {
    let about = [account.to_string().as_bytes(), b"\n", key.as_bytes()].concat();
    let secret = Salt::new(HKDF_SHA256, PURPOSE).extract(seed);
    let about = [about.as_slice()];
    let made = secret.expand(&about, &AES_256_GCM).map_err(|error| error.to_string())?;
    Ok(LessSafeKey::new(UnboundKey::from(made)))
}

impl Once {
    /// [`Once::answered`] outside the transaction, so that a request whose answer is kept waits for no writer.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn answered_before(&self, hub: &Hub) -> Result<Option<Response>, Problem> {
        if self.keyed.is_none() {
            return Ok(None);
        }
        let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
        self.answered(&mut on, hub.clock.now_ms()).await
    }

    /// The answer that the request had before; none where it is made for the first time. To be asked in the transaction of the
    /// effect, before it.
    ///
    /// # Errors
    /// 422 where the key came with another request; the database fails.
    pub(crate) async fn answered(
        &self,
        on: &mut AnyConnection,
        now: i64,
    ) -> Result<Option<Response>, Problem> {
        let Some(keyed) = &self.keyed else { return Ok(None) };
        let Some(kept) = store::find(on, &hex::encode(keyed.hash), now).await? else { return Ok(None) };
        if kept.request != hex::encode(keyed.request) {
            let told = "this key came with another request before: each request has a key of its own";
            return Err(Problem::invalid(told).at(HEADER).by_rule("idempotency_key_reused"));
        }
        let broken = |what: &str| Error::Corrupt(format!("idempotency_keys: {what}"));
        let sealed = hex::decode(&kept.answer).map_err(|error| broken(&error.to_string()))?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(|| broken("too short"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken("the nonce"))?;
        let mut text = sealed.to_vec();
        let opened = keyed.seal.open_in_place(nonce, Aad::from(keyed.request), &mut text);
        let opened = opened.map_err(|_| broken("an answer cannot be opened"))?.to_vec();
        let status = StatusCode::from_u16(kept.status).map_err(|_| broken("a status"))?;
        Ok(Some(json(status, opened)))
    }

    /// The answer, kept in the transaction of the effect where the request has a key. The request is under way until this is
    /// dropped, which is for after the commit.
    ///
    /// # Errors
    /// 409 where 256 answers of the account are kept; the database fails.
    pub(crate) async fn answer(
        &self,
        on: &mut AnyConnection,
        now: i64,
        status: StatusCode,
        body: &impl Serialize,
    ) -> Result<Response, Problem> {
        let broken = |what: String| Error::Corrupt(format!("an answer: {what}"));
        let text = serde_json::to_vec(body).map_err(|error| broken(error.to_string()))?;
        let Some(keyed) = &self.keyed else { return Ok(json(status, text)) };
        if text.len() > ANSWER_MAX {
            return Err(broken(format!("{} bytes are too many to keep", text.len())).into());
        }
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = text.clone();
        keyed
            .seal
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(keyed.request),
                &mut sealed,
            )
            .map_err(|error| broken(error.to_string()))?;
        let kept = store::Kept {
            request: hex::encode(keyed.request),
            status: status.as_u16(),
            answer: hex::encode([nonce.as_slice(), &sealed].concat()),
        };
        let expires = now.saturating_add(KEPT_MS);
        if !store::keep(on, &self.account, &hex::encode(keyed.hash), &kept, expires, now).await? {
            let told =
                format!("{KEPT_MAX} answers of this account are kept, each for a day: ask without {HEADER}");
            return Err(Problem::conflict(told).at(HEADER).by_rule("idempotency_keys_full"));
        }
        Ok(json(status, text))
    }
}

fn json(status: StatusCode, text: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], text)
        .into_response()
}
