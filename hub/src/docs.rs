//! The page on which the hub's description is browsed: Swagger UI, all of it in the binary.

use axum::{
    Router,
    http::header,
    middleware,
    response::{IntoResponse, Response},
};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Scripts, styles and answers of this hub alone, none of them written into the page, and no frame around it. The style sheet has
/// pictures within.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page and what it is made of, in the layout that writes no style into it. Without `none` it shows a validator's picture from
/// another machine, which is told where the hub is.
pub(crate) fn routes() -> Router {
    let config = Config::from("/openapi.json").use_base_layout().validator_url("none");
    Router::from(SwaggerUi::new("/docs").config(config)).layer(middleware::map_response(guarded))
}

async fn guarded(response: Response) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, response)
}
