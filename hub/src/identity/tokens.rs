//! Sessions and API tokens over HTTP: opened, listed, ended. A session is for everything its person may do; a token is
//! for its scopes.

use std::collections::BTreeSet;

use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::http::{Json, Path, Problem};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    model::check_name,
    nonce::{self, Purpose},
    sessions::{self, Fresh, Held, TOKENS_MAX},
    store,
};
use crate::{
    Hub,
    access::{Caller, Scope},
    error::Error,
    idempotency::IdempotencyKey,
    records::{Device, ProofError, RecordId, Stamp, proof},
};

/// How long a session lasts, in milliseconds.
const SESSION_LIFE_MS: i64 = 12 * 60 * 60 * 1000;
/// The most days that a token lasts.
const TOKEN_DAYS_MAX: u16 = 366;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

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

/// A session or an API token, as it is shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionToken {
    /// Names it where it is listed and ended.
    pub id: String,
    /// To be sent as `Authorization: Bearer <token>`. The hub keeps its hash, and the token itself, sealed, for a day where the
    /// request had an `Idempotency-Key`.
    pub token: String,
    /// When it ends.
    #[schema(value_type = String)]
    pub expires: Stamp,
}

/// A device's request for an API token: [`super::token_request`] makes it.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the proof is read where it is verified")]
struct SignedTokenRequest {
    #[schema(value_type = String)]
    account: RecordId,
    domain: String,
    nonce: String,
    /// As in [`TokenRequest`].
    label: String,
    #[schema(value_type = Vec<String>)]
    scopes: BTreeSet<Scope>,
    days: u16,
    #[schema(value_type = Object)]
    proof: Value,
}

/// What an API token is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// What it is called: 1 to 80 characters on one line.
    pub label: String,
    /// What it is for: `read:<room>`, `write:<room>`, `read:all` or `write:all`; at least one. Rooms are identity, records,
    /// ledger, communities, governance, market, deals, disputes, reputation, events.
    pub scopes: BTreeSet<Scope>,
    /// How many days it lasts: 1 to 366.
    pub days: u16,
}

/// What a device has signed to be let in: for whom, for which hub, under which nonce.
struct Said {
    account: RecordId,
    domain: String,
    nonce: String,
}

fn stale_nonce() -> Problem {
    Problem::unauthenticated("the nonce was not issued here, has expired or was used").at("/nonce")
}

impl Said {
    /// The device that has signed, for this hub.
    fn signed(&self, hub: &Hub, document: &Value) -> Result<Device, Problem> {
        if self.domain != hub.public.domain {
            return Err(
                Problem::unauthenticated(format!("domain must be {}", hub.public.domain)).at("/domain")
            );
        }
        if self.nonce.len() > 64 || !self.nonce.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Problem::invalid("nonce must be as GET /v1/sign-in/nonce gave it").at("/nonce"));
        }
        proof::verify(document, proof::AUTHENTICATION).map_err(|error| {
            let field = match &error {
                ProofError::Malformed { field, .. } => *field,
                ProofError::Mismatch { .. } => "/proof/proofValue",
            };
            Problem::unauthenticated(error.to_string()).at(field)
        })
    }

    /// Whether the device speaks for the account under a nonce that may serve. Reads alone: whoever is nobody here keeps no writer
    /// waiting.
    async fn may_serve(&self, hub: &Hub, device: &Device) -> Result<(), Problem> {
        let known = nonce::expires_at(&hub.key, Purpose::SignIn, &self.nonce, hub.clock.now_ms()).is_some();
        let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
        if !known || store::nonce_used(&mut on, &self.nonce).await? {
            return Err(stale_nonce());
        }
        self.speaks(&mut on, device).await
    }

    async fn speaks(&self, on: &mut AnyConnection, device: &Device) -> Result<(), Problem> {
        if store::device_speaks(on, &self.account, device).await? == Some(true) {
            return Ok(());
        }
        let told = format!("{device} is not an authorised device of account {}", self.account);
        Err(Problem::unauthenticated(told).at("/account"))
    }

    /// Decides again in the writer's turn, and uses the nonce up.
    async fn stands(
        &self,
        hub: &Hub,
        on: &mut AnyConnection,
        device: &Device,
        now: i64,
    ) -> Result<(), Problem> {
        let serves = match nonce::expires_at(&hub.key, Purpose::SignIn, &self.nonce, now) {
            Some(expires_at) => store::use_nonce(on, &self.nonce, expires_at, now).await?,
            None => false,
        };
        if !serves {
            return Err(stale_nonce());
        }
        self.speaks(on, device).await
    }
}

/// A session or an API token that stands, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenView {
    /// Names it.
    pub id: String,
    /// What it is called; null of a session.
    pub label: Option<String>,
    /// What it is for; null of a session: everything.
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<BTreeSet<Scope>>,
    /// The device that opened it, and with whose word it ends.
    #[schema(value_type = String)]
    pub device: Device,
    /// Since when.
    #[schema(value_type = String)]
    pub created: Stamp,
    /// When it ends.
    #[schema(value_type = String)]
    pub expires: Stamp,
    /// Whether it is the one that asks.
    pub current: bool,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(open_session))
        .routes(routes!(close_session))
        .routes(routes!(tokens, make_token))
        .routes(routes!(end_token))
}

/// Opens a session for a device: the body is signed by it (`eddsa-jcs-2022`, purpose `authentication`).
#[utoipa::path(post, path = "/v1/sessions", tag = "identity", params(IdempotencyKey), request_body = SessionRequest, responses(
    (status = 201, description = "Lasts twelve hours", body = SessionToken),
    (status = 400, description = "Not JSON, or no key of idempotency", content_type = "application/problem+json"),
    (status = 401, description = "The proof, the nonce or the device is not good", content_type = "application/problem+json"),
    (status = 409, description = "The request with this key is being answered, or 256 answers are kept", content_type = "application/problem+json"),
    (status = 422, description = "The form is wrong, or the key came with another request", content_type = "application/problem+json"),
))]
async fn open_session(
    State(hub): State<Hub>,
    key: IdempotencyKey,
    Json(document): Json<Value>,
) -> Result<Response, Problem> {
    let asked =
        SessionRequest::deserialize(&document).map_err(|error| Problem::invalid(error.to_string()))?;
    let SessionRequest { account, domain, nonce, .. } = asked;
    let said = Said { account, domain, nonce };
    let device = said.signed(&hub, &document)?;
    // Who does not speak for the account hears nothing about its keys.
    said.speaks(&mut *hub.db.reader().acquire().await.map_err(Error::from)?, &device).await?;
    let once = key.of(&hub, account, &document)?;
    let now = hub.clock.now_ms();
    if let Some(answer) = once.answered_before(&hub).await? {
        return Ok(answer);
    }
    if let Err(refused) = said.may_serve(&hub, &device).await {
        // The first of two may have been answered since.
        return once.answered_before(&hub).await?.ok_or(refused);
    }
    let mut write = hub.db.begin().await.map_err(Error::from)?;
    if let Some(answer) = once.answered(write.on(), now).await? {
        return Ok(answer);
    }
    said.stands(&hub, write.on(), &device, now).await?;
    let fresh = Fresh::new(rand::random(), rand::random());
    let expires_at = now.saturating_add(SESSION_LIFE_MS);
    let held = Held { id: fresh.id.clone(), device, label: None, scopes: None, created_at: now, expires_at };
    sessions::open(write.on(), &account, &fresh, &held).await?;
    let answer = once.answer(write.on(), now, StatusCode::CREATED, &shown(fresh, expires_at)).await?;
    write.commit().await.map_err(Error::from)?;
    Ok(answer)
}

fn shown(fresh: Fresh, expires_at: i64) -> SessionToken {
    SessionToken { id: fresh.id, token: fresh.token, expires: Stamp::from_ms(expires_at) }
}

/// Ends the session that is shown. A token is ended by its id.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "identity", responses(
    (status = 204, description = "Ended"),
    (status = 401, description = "There is no such session", content_type = "application/problem+json"),
))]
async fn close_session(State(hub): State<Hub>, caller: Caller) -> Result<StatusCode, Problem> {
    end(&hub, &caller, &caller.id).await
}

async fn end(hub: &Hub, caller: &Caller, id: &str) -> Result<StatusCode, Problem> {
    let mut write = hub.db.begin().await.map_err(Error::from)?;
    if !sessions::end(write.on(), &caller.account, id).await? {
        return Err(Problem::not_found("session or token", id));
    }
    write.commit().await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Your sessions and API tokens, the newest first: at most 16 sessions of each device, and 32 tokens.
#[utoipa::path(get, path = "/v1/tokens", tag = "identity", responses(
    (status = 200, description = "All that stand", body = Vec<TokenView>),
    (status = 401, description = "Sign in first", content_type = "application/problem+json"),
    (status = 403, description = "This needs a session", content_type = "application/problem+json"),
))]
async fn tokens(State(hub): State<Hub>, caller: Caller) -> Result<Json<Vec<TokenView>>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let all = sessions::of(&mut on, &caller.account, hub.clock.now_ms()).await?;
    let view = |held: Held| TokenView {
        current: held.id == caller.id,
        id: held.id,
        label: held.label,
        scopes: held.scopes,
        device: held.device,
        created: Stamp::from_ms(held.created_at),
        expires: Stamp::from_ms(held.expires_at),
    };
    Ok(Json(all.into_iter().map(view).collect()))
}

/// Makes an API token for some of what your session may do: the body is signed by the session's device, for a session alone does
/// not outlast itself. The token is shown once.
#[utoipa::path(post, path = "/v1/tokens", tag = "identity", params(IdempotencyKey), request_body = SignedTokenRequest, responses(
    (status = 201, description = "The token, shown once", body = SessionToken),
    (status = 401, description = "Sign in first", content_type = "application/problem+json"),
    (status = 403, description = "This needs a session", content_type = "application/problem+json"),
    (status = 409, description = "There are 32 tokens; or the request with this key is being answered, or 256 answers are kept", content_type = "application/problem+json"),
    (status = 422, description = "The form is wrong, or the key came with another request", content_type = "application/problem+json"),
))]
async fn make_token(
    State(hub): State<Hub>,
    caller: Caller,
    key: IdempotencyKey,
    Json(document): Json<Value>,
) -> Result<Response, Problem> {
    let asked =
        SignedTokenRequest::deserialize(&document).map_err(|error| Problem::invalid(error.to_string()))?;
    let SignedTokenRequest { account, domain, nonce, label, scopes, days, .. } = asked;
    check_name(&label, "/label").map_err(|told| Problem::invalid(told.detail).at("/label"))?;
    if scopes.is_empty() {
        return Err(Problem::invalid("scopes must name at least one").at("/scopes"));
    }
    if !(1..=TOKEN_DAYS_MAX).contains(&days) {
        let told = format!("days {days} must be 1 to {TOKEN_DAYS_MAX}");
        return Err(Problem::invalid(told).at("/days"));
    }
    if account != caller.account {
        return Err(
            Problem::unauthenticated(format!("the session is of account {}", caller.account)).at("/account")
        );
    }
    let said = Said { account, domain, nonce };
    let device = said.signed(&hub, &document)?;
    if device != caller.device {
        let told = format!("the session is of {}, and {device} has signed", caller.device);
        return Err(Problem::unauthenticated(told).at("/proof/verificationMethod"));
    }
    let once = key.of(&hub, account, &document)?;
    let now = hub.clock.now_ms();
    if let Some(answer) = once.answered_before(&hub).await? {
        return Ok(answer);
    }
    if let Err(refused) = said.may_serve(&hub, &device).await {
        // The first of two may have been answered since.
        return once.answered_before(&hub).await?.ok_or(refused);
    }
    let expires_at = now.saturating_add(DAY_MS.saturating_mul(days.into()));
    let fresh = Fresh::new(rand::random(), rand::random());
    let held = Held {
        id: fresh.id.clone(),
        device,
        label: Some(label),
        scopes: Some(scopes),
        created_at: now,
        expires_at,
    };
    let mut write = hub.db.begin().await.map_err(Error::from)?;
    if let Some(answer) = once.answered(write.on(), now).await? {
        return Ok(answer);
    }
    said.stands(&hub, write.on(), &device, now).await?;
    if !sessions::open(write.on(), &caller.account, &fresh, &held).await? {
        let told = format!("an account has at most {TOKENS_MAX} tokens: end one first");
        return Err(Problem::conflict(told).by_rule("tokens_full"));
    }
    let answer = once.answer(write.on(), now, StatusCode::CREATED, &shown(fresh, expires_at)).await?;
    write.commit().await.map_err(Error::from)?;
    Ok(answer)
}

/// Ends one of your sessions or tokens.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "identity", params(("id" = String, Path)), responses(
    (status = 204, description = "Ended"),
    (status = 401, description = "Sign in first", content_type = "application/problem+json"),
    (status = 403, description = "This needs a session", content_type = "application/problem+json"),
    (status = 404, description = "You have none with this id", content_type = "application/problem+json"),
))]
async fn end_token(
    State(hub): State<Hub>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    end(&hub, &caller, &id).await
}
