//! DID documents of the hub and of what it names, by did:web (W3C CCG, <https://w3c-ccg.github.io/did-method-web/>):
//! `did:web:<host>:accounts:<id>` is at `https://<host>/accounts/<id>/did.json`, `did:web:<host>:communities:<id>` at
//! `https://<host>/communities/<id>/did.json`, and the hub's own name at `/.well-known/did.json`.
//!
//! Who resolves a name is a stranger, whatever it shows: a document says what strangers may know. Names of other hosts are resolved
//! nowhere in the hub.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use serde_json::{Value, json};
use service::http::{Path, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Hub,
    access::{Reader, Role, may_read},
    communities,
    error::Error,
    etag::tagged,
    identity,
    records::{Device, RecordId},
};

const CONTEXT: &str = "https://www.w3.org/ns/did/v1";
/// The most stewards that a community's document names.
const CONTROLLERS_MAX: usize = 100;

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(hub_document))
        .routes(routes!(account_document))
        .routes(routes!(community_document))
}

/// The did:web of an account of this hub.
pub(crate) fn of_account(hub: &Hub, id: &RecordId) -> String {
    format!("{}:accounts:{id}", hub.public.did)
}

/// The did:web of a community of this hub.
pub(crate) fn of_community(hub: &Hub, id: &RecordId) -> String {
    format!("{}:communities:{id}", hub.public.did)
}

/// The hub's DID document (did:web): the key that signs its records and credentials.
#[utoipa::path(get, path = "/.well-known/did.json", tag = "hub", responses(
    (status = 200, description = "DID document, with an ETag", body = Object, content_type = "application/did+json"),
    (status = 304, description = "It is as `If-None-Match` has it"),
))]
async fn hub_document(State(hub): State<Hub>, headers: HeaderMap) -> Result<Response, Problem> {
    let device = hub.key.device();
    Ok(answer(&headers, &document(&hub.public.did, &[device.to_string()], &[device]))?)
}

/// The DID document of an account (did:web): the devices that speak for it, and its wallets as did:pkh. Passkeys sign no documents, so
/// they are not in it.
#[utoipa::path(get, path = "/accounts/{id}/did.json", tag = "identity", params(("id" = String, Path)), responses(
    (status = 200, description = "DID document, with an ETag", body = Object, content_type = "application/did+json"),
    (status = 304, description = "It is as `If-None-Match` has it"),
    (status = 404, description = "There is none", content_type = "application/problem+json"),
))]
async fn account_document(
    State(hub): State<Hub>,
    Path(id): Path<RecordId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let wallets = identity::wallets_or_not_found(&mut on, &id).await?;
    let wallets: Vec<String> = wallets.iter().map(|wallet| format!("did:pkh:{wallet}")).collect();
    let devices = identity::speaking(&mut on, &id).await?;
    Ok(answer(&headers, &document(&of_account(&hub, &id), &wallets, &devices))?)
}

/// The DID document of a community (did:web): its stewards control it, at most 100 of them are named. A community has no key of
/// its own, and one that strangers may not read has no document for anybody.
#[utoipa::path(get, path = "/communities/{id}/did.json", tag = "communities", params(("id" = String, Path)), responses(
    (status = 200, description = "DID document, with an ETag", body = Object, content_type = "application/did+json"),
    (status = 304, description = "It is as `If-None-Match` has it"),
    (status = 404, description = "There is none, or strangers may not read it", content_type = "application/problem+json"),
))]
async fn community_document(
    State(hub): State<Hub>,
    Path(id): Path<RecordId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    communities::community(&mut on, &id)
        .await?
        .filter(|community| may_read(&Reader::stranger(), &community.audience))
        .ok_or_else(|| Problem::not_found("community", id))?;
    let stewards = communities::with_roles(&mut on, &id, &[Role::Steward], CONTROLLERS_MAX).await?;
    let controllers: Vec<String> =
        stewards.iter().take(CONTROLLERS_MAX).map(|steward| of_account(&hub, steward)).collect();
    let document = json!({ "@context": CONTEXT, "id": of_community(&hub, &id), "controller": controllers });
    Ok(answer(&headers, &document)?)
}

/// The document of who signs with these keys, and is known by other names, too.
fn document(did: &str, also: &[String], devices: &[Device]) -> Value {
    let names: Vec<String> = devices.iter().map(|device| format!("{did}#{}", device.multibase())).collect();
    let methods: Vec<Value> = devices
        .iter()
        .zip(&names)
        .map(|(device, name)| {
            json!({
                "id": name,
                "type": "Multikey",
                "controller": did,
                "publicKeyMultibase": device.multibase(),
            })
        })
        .collect();
    json!({
        "@context": [CONTEXT, "https://w3id.org/security/multikey/v1"],
        "id": did,
        "alsoKnownAs": also,
        "verificationMethod": methods,
        "assertionMethod": names,
        "authentication": names,
    })
}

/// A document with its `ETag`, the same for everybody. It may be kept, and is asked for again each time: a key that was revoked counts
/// no more.
fn answer(headers: &HeaderMap, document: &Value) -> Result<Response, Error> {
    let mut answer = tagged(headers, document)?;
    let told = answer.headers_mut();
    told.remove(header::VARY);
    told.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/did+json"));
    told.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    Ok(answer)
}

#[cfg(test)]
mod tests;
