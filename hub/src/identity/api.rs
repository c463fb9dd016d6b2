//! Sign-in, sessions, accounts; and who is asking, for every other handler.

use axum::{
    extract::{FromRequestParts, State},
    http::{StatusCode, header, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::chain::{AccountId, ChainId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::http::{Json, Path, Problem};
use sha2::{Digest, Sha256};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{nonce, store};
use crate::{
    Hub,
    access::Reader,
    communities,
    error::Error,
    records::{Device, ProofError, RecordId, Stamp, proof},
};

/// How long a nonce may be used, in milliseconds.
const NONCE_LIFE_MS: i64 = 10 * 60 * 1000;
/// How long a session lasts, in milliseconds.
const SESSION_LIFE_MS: i64 = 12 * 60 * 60 * 1000;

/// What to put into a CAIP-122 message (EIP-4361, or Sign In With Solana) or a session request for this hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignInFields {
    /// `Nonce`; serves once.
    pub nonce: String,
    /// The domain on the first line.
    pub domain: String,
    /// `URI`.
    pub uri: String,
    /// `Version`.
    pub version: String,
    /// `Chain ID` must name one of these (CAIP-2): by its reference, and a Solana cluster that has one by its name, such as
    /// `mainnet`.
    #[schema(value_type = Vec<String>)]
    pub chains: Vec<ChainId>,
    /// `Issued At`: this hub's clock.
    #[schema(value_type = String)]
    pub issued_at: Stamp,
    /// `Expiration Time`: when the nonce expires.
    #[schema(value_type = String)]
    pub expiration_time: Stamp,
    /// `Resources` must hold the did:key of the device and no other did:key.
    pub resources: Vec<String>,
}

/// A device's request for a session: [`super::session_request`] makes it.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the proof is read where it is verified")]
struct SessionRequest {
    #[schema(value_type = String)]
    account: RecordId,
    domain: String,
    nonce: String,
    #[schema(value_type = Object)]
    proof: Value,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionToken {
    /// To be sent as `Authorization: Bearer <token>`.
    pub token: String,
    /// When it ends.
    #[schema(value_type = String)]
    pub expires: Stamp,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AccountView {
    /// The id of its first record.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// What it calls itself.
    pub name: String,
    /// Since when.
    #[schema(value_type = String)]
    pub created: Stamp,
    /// CAIP-10.
    #[schema(value_type = Vec<String>)]
    pub wallets: Vec<AccountId>,
    /// Which devices it has, and which of them may speak.
    pub devices: Vec<DeviceView>,
}

/// A device of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceView {
    /// did:key.
    #[schema(value_type = String)]
    pub device: Device,
    /// False once revoked.
    pub authorised: bool,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(fresh_nonce))
        .routes(routes!(open_session))
        .routes(routes!(close_session))
        .routes(routes!(account))
}

/// A fresh nonce, with everything that a sign-in message for this hub must say.
#[utoipa::path(get, path = "/v1/sign-in/nonce", tag = "identity", responses(
    (status = 200, description = "Serves once, for ten minutes", body = SignInFields),
))]
async fn fresh_nonce(State(hub): State<Hub>) -> Json<SignInFields> {
    let now = hub.clock.now_ms();
    let expires = now.saturating_add(NONCE_LIFE_MS);
    Json(SignInFields {
        nonce: nonce::issue(&hub.key, expires, rand::random()),
        domain: hub.public.domain.clone(),
        uri: hub.public.url.clone(),
        version: "1".to_owned(),
        chains: hub.config.chains(),
        issued_at: Stamp::from_ms(now),
        expiration_time: Stamp::from_ms(expires),
        resources: vec!["did:key:<the device>".to_owned()],
    })
}

/// Opens a session for a device: the body is signed by it (`eddsa-jcs-2022`, purpose `authentication`).
#[utoipa::path(post, path = "/v1/sessions", tag = "identity", request_body = SessionRequest, responses(
    (status = 201, description = "Lasts twelve hours", body = SessionToken),
    (status = 401, description = "The proof, the nonce or the device is not good", content_type = "application/problem+json"),
    (status = 422, description = "The form is wrong", content_type = "application/problem+json"),
))]
async fn open_session(
    State(hub): State<Hub>,
    Json(document): Json<Value>,
) -> Result<(StatusCode, Json<SessionToken>), Problem> {
    let asked =
        SessionRequest::deserialize(&document).map_err(|error| Problem::invalid(error.to_string()))?;
    if asked.domain != hub.public.domain {
        return Err(Problem::unauthenticated(format!("domain must be {}", hub.public.domain)).at("/domain"));
    }
    if asked.nonce.len() > 64 || !asked.nonce.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Problem::invalid("nonce must be as GET /v1/sign-in/nonce gave it").at("/nonce"));
    }
    let device = proof::verify(&document, proof::AUTHENTICATION).map_err(|error| {
        let field = match &error {
            ProofError::Malformed { field, .. } => *field,
            ProofError::Mismatch { .. } => "/proof/proofValue",
        };
        Problem::unauthenticated(error.to_string()).at(field)
    })?;
    let now = hub.clock.now_ms();
    let expires = now.saturating_add(SESSION_LIFE_MS);
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let mut write = hub.db.begin().await.map_err(Error::from)?;
    let serves = match nonce::expires_at(&hub.key, &asked.nonce, now) {
        Some(expires_at) => store::use_nonce(write.on(), &asked.nonce, expires_at, now).await?,
        None => false,
    };
    if !serves {
        return Err(
            Problem::unauthenticated("the nonce was not issued here, has expired or was used").at("/nonce")
        );
    }
    if store::device_speaks(write.on(), &asked.account, &device).await? != Some(true) {
        return Err(Problem::unauthenticated(format!(
            "{device} is not an authorised device of account {}",
            asked.account
        ))
        .at("/account"));
    }
    store::add_session(write.on(), &hash(&token), &asked.account, &device, expires, now).await?;
    write.commit().await.map_err(Error::from)?;
    Ok((StatusCode::CREATED, Json(SessionToken { token, expires: Stamp::from_ms(expires) })))
}

/// Ends the session of the bearer token.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "identity", responses(
    (status = 204, description = "Ended"),
    (status = 401, description = "There is no such session", content_type = "application/problem+json"),
))]
async fn close_session(
    State(hub): State<Hub>,
    headers: axum::http::HeaderMap,
) -> Result<StatusCode, Problem> {
    let token = bearer(&headers)?.ok_or_else(no_session)?;
    let mut write = hub.db.begin().await.map_err(Error::from)?;
    if !store::end_session(write.on(), &hash(token)).await? {
        return Err(no_session());
    }
    write.commit().await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// An account, its wallets and its devices.
#[utoipa::path(get, path = "/v1/accounts/{id}", tag = "identity", params(("id" = String, Path)), responses(
    (status = 200, description = "The account", body = AccountView),
    (status = 404, description = "There is none", content_type = "application/problem+json"),
))]
async fn account(State(hub): State<Hub>, Path(id): Path<RecordId>) -> Result<Json<AccountView>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = store::account(&mut on, &id).await?.ok_or_else(|| Problem::not_found("account", id))?;
    Ok(Json(AccountView {
        id: found.id,
        name: found.name,
        created: Stamp::from_ms(found.created_at),
        wallets: found.wallets,
        devices: found
            .devices
            .into_iter()
            .map(|(device, authorised)| DeviceView { device, authorised })
            .collect(),
    }))
}

fn no_session() -> Problem {
    Problem::unauthenticated("there is no such session, or it has ended; POST /v1/sessions opens one")
}

/// Tokens are random, so a plain hash keeps them as safe as a slow one.
fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

fn bearer(headers: &axum::http::HeaderMap) -> Result<Option<&str>, Problem> {
    headers
        .get(header::AUTHORIZATION)
        .map(|value| {
            value.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(no_session)
        })
        .transpose()
}

/// Who is asking: a stranger without a token; with one, the account of a session that stands, or 401.
impl FromRequestParts<Hub> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, hub: &Hub) -> Result<Self, Problem> {
        let Some(token) = bearer(&parts.headers)? else { return Ok(Self::stranger()) };
        let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
        let session =
            store::session(&mut on, &hash(token), hub.clock.now_ms()).await?.ok_or_else(no_session)?;
        let roles = communities::roles_of(&mut on, &session.account).await?;
        Ok(Self { account: Some(session.account), roles })
    }
}
