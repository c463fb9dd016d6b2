//! OpenID4VCI over HTTP: `POST /v1/credential-offers`, the two `/.well-known` documents, and the token, nonce and credential
//! endpoints. Their refusals are OAuth's, `error` and `error_description`, which is what wallets read.

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::http::{Json, Problem};
use sha2::{Digest, Sha256};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    heading,
    issuance::{
        self, Configuration, GRANT, NONCE_LIFE_MS, OFFER_LIFE_MS, TOKEN_LIFE_MS, TRIES_MAX, TX_CODE_DIGITS,
    },
    offers::{self, Offered},
    store::{self, Held},
};
use crate::{
    Hub,
    access::{Caller, Reader, may_read},
    communities,
    error::Error,
    idempotency::IdempotencyKey,
    identity::{
        self,
        nonce::{self, Purpose},
    },
    records::{RecordId, Stamp},
};

/// Which credential a wallet shall get.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferRequest {
    /// A credential about a wallet of your account.
    #[schema(value_type = String)]
    pub credential: RecordId,
    /// Whether the wallet must also know digits that only the answer to this tells.
    #[serde(default)]
    pub tx_code: bool,
}

/// An offer for a wallet.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Offer {
    /// The credential offer (OpenID4VCI 1.0, section 4.1.1). Whoever has it can take it up: show it to the wallet alone.
    #[schema(value_type = Object)]
    pub offer: Value,
    /// The same as a link, for a QR code.
    pub uri: String,
    /// The digits that the wallet will ask for, where they were asked for; do not send them the same way.
    pub tx_code: Option<String>,
    /// Until when.
    #[schema(value_type = String)]
    pub expires: Stamp,
}

/// What a wallet sends to the token endpoint; parameters beside these are passed over.
#[derive(Deserialize)]
struct TokenRequest {
    grant_type: Option<String>,
    #[serde(rename = "pre-authorized_code")]
    code: Option<String>,
    tx_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialRequest {
    credential_configuration_id: String,
    proofs: Proofs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proofs {
    jwt: Vec<String>,
}

/// A refusal in the words of OAuth, or a failure of the hub.
enum Refused {
    Oauth(StatusCode, &'static str, String),
    Failed(Box<Problem>),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(Box::new(error.into()))
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<service::db::DbError> for Refused {
    fn from(error: service::db::DbError) -> Self {
        Error::from(error).into()
    }
}

fn refuse(error: &'static str, description: impl Into<String>) -> Refused {
    Refused::Oauth(StatusCode::BAD_REQUEST, error, description.into())
}

fn no_token() -> Refused {
    let told = "there is no such access token, it has expired or was used";
    Refused::Oauth(StatusCode::UNAUTHORIZED, "invalid_token", told.to_owned())
}

/// JSON that nobody keeps.
fn fresh(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Failed(problem) => problem.into_response(),
            Self::Oauth(status, error, description) => {
                let told = json!({ "error": error, "error_description": description });
                let mut response = fresh(status, &told);
                if status == StatusCode::UNAUTHORIZED {
                    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                }
                response
            }
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(offer))
        .routes(routes!(issuer))
        .routes(routes!(authorization_server))
        .routes(routes!(token))
        .routes(routes!(nonce))
        .routes(routes!(credential))
}

/// Secrets are random, so a plain hash keeps them as safe as a slow one.
fn hash(parts: &[&str]) -> String {
    hex::encode(Sha256::digest(parts.concat()))
}

fn secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Why a credential cannot be had on somebody's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unofferable {
    /// The word ended: the session, the token, or what its device may say.
    #[error("the session of whoever offered it has ended")]
    Ended,
    /// There is none, or they may not read it, or it is about no wallet of theirs.
    #[error("whoever offered it has no such credential about a wallet of theirs")]
    NotTheirs,
    /// Its issuer took it back.
    #[error("the credential is revoked")]
    Revoked,
}

/// Whether what is offered may be had at this moment: asked when it is offered, when the token is, and when the credential is.
async fn offerable(
    on: &mut AnyConnection,
    offered: &Offered,
    now: i64,
) -> Result<Result<Held, Unofferable>, Error> {
    let Offered { credential, account, session } = offered;
    if !identity::session_stands(on, session, account, now).await? {
        return Ok(Err(Unofferable::Ended));
    }
    let reader = Reader { account: Some(*account), roles: communities::roles_of(on, account).await? };
    let held = store::one(on, credential).await?.filter(|held| may_read(&reader, &held.audience));
    let Some(held) = held else { return Ok(Err(Unofferable::NotTheirs)) };
    if identity::account_of_wallet(on, &held.subject).await? != Some(*account) {
        return Ok(Err(Unofferable::NotTheirs));
    }
    Ok(if held.revoked.is_some() { Err(Unofferable::Revoked) } else { Ok(held) })
}

/// Offers a credential about a wallet of your account to a wallet for credentials, for ten minutes and once.
#[utoipa::path(post, path = "/v1/credential-offers", tag = "reputation", params(IdempotencyKey), request_body = OfferRequest, responses(
    (status = 201, description = "The offer", body = Offer),
    (status = 401, description = "Sign in first", content_type = "application/problem+json"),
    (status = 404, description = "There is no such credential about a wallet of yours", content_type = "application/problem+json"),
    (status = 409, description = "It is revoked, or sixteen offers of yours are open; or the request with this key is being answered, or 256 answers are kept", content_type = "application/problem+json"),
    (status = 422, description = "The form is wrong, or the key came with another request", content_type = "application/problem+json"),
))]
async fn offer(
    State(hub): State<Hub>,
    caller: Caller,
    key: IdempotencyKey,
    Json(asked): Json<OfferRequest>,
) -> Result<Response, Problem> {
    let once = key.of(&hub, caller.account, &asked)?;
    let now = hub.clock.now_ms();
    let offered = Offered { credential: asked.credential, account: caller.account, session: caller.id };
    let mut write = hub.db.begin().await.map_err(Error::from)?;
    if let Some(answer) = once.answered(write.on(), now).await? {
        return Ok(answer);
    }
    let held = match offerable(write.on(), &offered, now).await? {
        Ok(held) => held,
        Err(Unofferable::Revoked) => {
            return Err(Problem::conflict("the credential is revoked").by_rule("credential_revoked"));
        }
        Err(Unofferable::Ended) => return Err(Problem::unauthenticated("the session has ended")),
        Err(Unofferable::NotTheirs) => {
            return Err(Problem::not_found("credential about a wallet of yours", asked.credential));
        }
    };
    let code = secret();
    let tx_code = asked.tx_code.then(|| {
        let number = u32::from_be_bytes(rand::random()) % 1_000_000;
        format!("{number:0TX_CODE_DIGITS$}")
    });
    let expires = now.saturating_add(OFFER_LIFE_MS);
    let tx_hash = tx_code.as_deref().map(|digits| hash(&[&code, digits]));
    let code_hash = hash(&[&code]);
    let tx = tx_hash.as_deref();
    if !offers::add(write.on(), &code_hash, &offered, tx, expires, now).await? {
        let told =
            format!("{} offers of yours are open: wait until they are taken up or over", offers::OPEN_MAX);
        return Err(Problem::conflict(told).by_rule("too_many_offers"));
    }
    let offer = issuance::offer(&hub.public.url, held.kind, &code, tx_code.is_some());
    let query = serde_urlencoded::to_string([("credential_offer", offer.to_string())]).unwrap_or_default();
    let uri = format!("openid-credential-offer://?{query}");
    let offer = Offer { offer, uri, tx_code, expires: Stamp::from_ms(expires) };
    let answer = once.answer(write.on(), now, StatusCode::CREATED, &offer).await?;
    write.commit().await.map_err(Error::from)?;
    Ok(answer)
}

/// What this hub issues to wallets, and where (OpenID4VCI 1.0, section 12.2).
#[utoipa::path(get, path = "/.well-known/openid-credential-issuer", tag = "reputation", responses(
    (status = 200, description = "Credential issuer metadata", body = Object),
))]
async fn issuer(State(hub): State<Hub>) -> Json<Value> {
    Json(issuance::metadata(&hub.public.url))
}

/// Where wallets get access tokens (RFC 8414).
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "reputation", responses(
    (status = 200, description = "Authorisation server metadata", body = Object),
))]
async fn authorization_server(State(hub): State<Hub>) -> Json<Value> {
    Json(issuance::authorization_server(&hub.public.url))
}

/// An access token for the code of an offer, once; with the digits where the offer asks for them. After five wrong ones the
/// offer is over.
#[utoipa::path(post, path = "/v1/openid/token", tag = "reputation",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 200, description = "The token, good for five minutes and one credential", body = Object),
    (status = 400, description = "OAuth's `error` and `error_description`", body = Object),
))]
async fn token(
    State(hub): State<Hub>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let body = body.map_err(|rejection| refuse("invalid_request", rejection.body_text()))?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
        return Err(refuse("invalid_request", "send Content-Type: application/x-www-form-urlencoded"));
    }
    let asked: TokenRequest =
        serde_urlencoded::from_bytes(&body).map_err(|error| refuse("invalid_request", error.to_string()))?;
    match asked.grant_type.as_deref() {
        Some(GRANT) => {}
        Some(_) => return Err(refuse("unsupported_grant_type", format!("grant_type must be {GRANT}"))),
        None => return Err(refuse("invalid_request", "grant_type is required")),
    }
    let code = asked.code.ok_or_else(|| refuse("invalid_request", "pre-authorized_code is required"))?;
    let code_hash = hash(&[&code]);
    let now = hub.clock.now_ms();
    let over = || refuse("invalid_grant", "the pre-authorized_code is unknown, has expired or was used");
    // Whoever guesses does not hold up who writes.
    offers::find(&mut *hub.db.reader().acquire().await?, &code_hash, now).await?.ok_or_else(over)?;
    let mut write = hub.db.begin().await?;
    let offer = offers::find(write.on(), &code_hash, now).await?.ok_or_else(over)?;
    match (&offer.tx_hash, &asked.tx_code) {
        (None, None) => {}
        (None, Some(_)) => return Err(refuse("invalid_request", "this offer takes no tx_code")),
        (Some(_), None) => return Err(refuse("invalid_request", "tx_code is required")),
        (Some(right), Some(given)) if *right == hash(&[&code, given]) => {}
        (Some(_), Some(_)) => {
            let tries = offer.tries.saturating_add(1);
            if tries >= TRIES_MAX {
                offers::remove(write.on(), &code_hash).await?;
            } else {
                offers::tried(write.on(), &code_hash, tries).await?;
            }
            write.commit().await?;
            return Err(refuse("invalid_grant", format!("tx_code is wrong: try {tries} of {TRIES_MAX}")));
        }
    }
    offers::remove(write.on(), &code_hash).await?;
    if let Err(why) = offerable(write.on(), &offer.offered, now).await? {
        write.commit().await?;
        return Err(refuse("invalid_grant", why.to_string()));
    }
    let token = secret();
    let expires = now.saturating_add(TOKEN_LIFE_MS);
    offers::grant(write.on(), &hash(&[&token]), &offer.offered, expires, now).await?;
    write.commit().await?;
    let told = json!({ "access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFE_MS / 1000 });
    Ok(fresh(StatusCode::OK, &told))
}

/// A nonce for a proof of possession: serves once, for five minutes.
#[utoipa::path(post, path = "/v1/openid/nonce", tag = "reputation", responses(
    (status = 200, description = "`c_nonce`", body = Object),
))]
async fn nonce(State(hub): State<Hub>) -> Response {
    let expires = hub.clock.now_ms().saturating_add(NONCE_LIFE_MS);
    let nonce = nonce::issue(&hub.key, Purpose::Possession, expires, rand::random());
    fresh(StatusCode::OK, &json!({ "c_nonce": nonce }))
}

/// The credential, bound to the key that the proof shows; the access token serves once.
#[utoipa::path(post, path = "/v1/openid/credential", tag = "reputation", request_body = Object, responses(
    (status = 200, description = "`credentials` with one entry", body = Object),
    (status = 400, description = "OAuth's `error` and `error_description`", body = Object),
    (status = 401, description = "The access token is not good", body = Object),
))]
async fn credential(
    State(hub): State<Hub>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(no_token)?;
    let token_hash = hash(&[bearer]);
    let now = hub.clock.now_ms();
    offers::granted(&mut *hub.db.reader().acquire().await?, &token_hash, now).await?.ok_or_else(no_token)?;
    let body = body.map_err(|rejection| refuse("invalid_credential_request", rejection.body_text()))?;
    let asked: CredentialRequest = serde_json::from_slice(&body)
        .map_err(|error| refuse("invalid_credential_request", error.to_string()))?;
    let configuration = Configuration::of_id(&asked.credential_configuration_id).ok_or_else(|| {
        let told = format!("credential_configuration_id `{:.100}`", asked.credential_configuration_id);
        refuse("unknown_credential_configuration", told)
    })?;
    let [proof] = asked.proofs.jwt.as_slice() else {
        return Err(refuse("invalid_proof", "proofs.jwt must have one entry"));
    };
    let stamp = Stamp::from_ms(now);
    let (holder, nonce) = issuance::check_proof(proof, &hub.public.url, stamp)
        .map_err(|error| refuse("invalid_proof", error.to_string()))?;
    let mut write = hub.db.begin().await?;
    let offered = offers::granted(write.on(), &token_hash, now).await?.ok_or_else(no_token)?;
    let id = offered.credential;
    let good = match nonce::expires_at(&hub.key, Purpose::Possession, &nonce, now) {
        Some(expires) => identity::use_nonce(write.on(), &nonce, expires, now).await?,
        None => false,
    };
    if !good {
        let told =
            "the nonce was not issued here, has expired or was used: POST /v1/openid/nonce gives another";
        return Err(refuse("invalid_nonce", told));
    }
    let held = offerable(write.on(), &offered, now)
        .await?
        .map_err(|why| refuse("credential_request_denied", why.to_string()))?;
    if held.kind != configuration.kind {
        return Err(refuse(
            "unknown_credential_configuration",
            format!("the offer is of a {}", held.kind.name()),
        ));
    }
    offers::use_up(write.on(), &token_hash).await?;
    write.commit().await?;
    let corrupt = |error: &dyn std::fmt::Display| Error::Corrupt(format!("credential {id}: {error}"));
    let read = heading::read(&held.credential).map_err(|error| corrupt(&error))?;
    let document = issuance::bound(&read, held.id, &holder, hub.key.device(), stamp);
    let issued = document.secure(configuration.form, &hub.key, stamp).map_err(|error| corrupt(&error))?;
    Ok(fresh(StatusCode::OK, &json!({ "credentials": [{ "credential": issued }] })))
}
