//! Every route of the hub in one router, with its OpenAPI description.

use axum::{Json, Router, extract::State, http::header, response::IntoResponse};
use serde_json::{Value, json};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{Hub, communities, deals, disputes, identity, market, outbox, records, reputation};

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Earnest hub",
    description = "The economy of Earnest over HTTP. Everything said is a signed record (`POST /v1/records`); every \
                   refusal is problem details (RFC 9457) that name the field and the rule.",
))]
struct Description;

/// Every described route.
fn described() -> OpenApiRouter<Hub> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(records::api::routes())
        .merge(identity::api::routes())
        .merge(communities::api::routes())
        .merge(market::api::routes())
        .merge(deals::api::routes())
        .merge(disputes::api::routes())
        .merge(reputation::api::routes())
        .merge(outbox::api::routes())
        .routes(routes!(did_document))
        .routes(routes!(openapi))
}

/// The whole service.
pub(crate) fn app(hub: &Hub) -> Router {
    let (routes, _) = described().split_for_parts();
    let docs = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    let db = hub.db.clone();
    service::http::shell("hub", routes.with_state(hub.clone()).merge(Router::from(docs)), move || {
        let db = db.clone();
        async move { sqlx::query("SELECT 1").execute(db.reader()).await.map(drop).map_err(|e| e.to_string()) }
    })
}

/// This description. A page to browse it is at `/docs`.
#[utoipa::path(get, path = "/openapi.json", tag = "hub", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
async fn openapi() -> impl IntoResponse {
    Json(described().split_for_parts().1)
}

/// The hub's DID document (did:web): the key that signs its records and credentials.
#[utoipa::path(get, path = "/.well-known/did.json", tag = "hub", responses((status = 200, description = "DID document", body = Object)))]
async fn did_document(State(hub): State<Hub>) -> impl IntoResponse {
    let did = &hub.public.did;
    let method = hub.verification_method();
    let document: Value = json!({
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": did,
        "alsoKnownAs": [hub.key.device()],
        "verificationMethod": [{
            "id": method,
            "type": "Multikey",
            "controller": did,
            "publicKeyMultibase": hub.key.device().multibase(),
        }],
        "assertionMethod": [method],
        "authentication": [method],
    });
    ([(header::CONTENT_TYPE, "application/did+json")], Json(document))
}
