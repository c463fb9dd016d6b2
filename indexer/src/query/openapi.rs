//! `GET /openapi.json`.

use std::sync::LazyLock;

use axum::{Json, middleware::from_fn_with_state, response::IntoResponse};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::etag::tagged;
use crate::{calls, cases, chain, deals, feed, pools, shared::Shared};

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Earnest indexer",
    description = "What happened on the watched contracts, told in order as a feed, and what it adds up to. 64-bit and larger \
                   numbers are decimal strings; every refusal is problem details (RFC 9457) that name the parameter and the \
                   rule. What is told of deals, cases, ballots and pools carries an `ETag` that changes with the feed alone.",
))]
struct Description;

/// What follows from the feed and nothing else.
fn states() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(deals::api::routes())
        .merge(cases::api::routes())
        .merge(pools::api::routes())
}

fn rest() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(feed::api::routes())
        .merge(pools::api::of_nodes())
        .merge(calls::routes())
        .merge(chain::api::routes())
        .routes(routes!(openapi))
}

/// Every route of the indexer, described.
pub(crate) fn described(shared: &Shared) -> OpenApiRouter<Shared> {
    states().route_layer(from_fn_with_state(shared.clone(), tagged)).merge(rest())
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "indexer", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
async fn openapi() -> impl IntoResponse {
    static DESCRIPTION: LazyLock<utoipa::openapi::OpenApi> =
        LazyLock::new(|| states().merge(rest()).split_for_parts().1);
    Json(&*DESCRIPTION)
}
