//! The page on which people make passkeys and sign in by them. All of it comes from this hub: no other machine is asked, and no
//! page of another's may show it within itself.

use axum::{
    Router,
    http::header,
    routing::{MethodRouter, get},
};

/// Scripts, styles and answers of this hub alone, none of them written into the page, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page and what it is made of.
pub(crate) fn routes() -> Router {
    Router::new()
        .route("/sign-in", file("text/html; charset=utf-8", include_str!("page/sign-in.html")))
        .route("/sign-in/page.css", file("text/css; charset=utf-8", include_str!("page/page.css")))
        .route("/sign-in/page.mjs", file(SCRIPT, include_str!("page/page.mjs")))
        .route("/sign-in/passkey.mjs", file(SCRIPT, include_str!("page/passkey.mjs")))
        .route("/sign-in/record.mjs", file(SCRIPT, include_str!("page/record.mjs")))
}

fn file(kind: &'static str, text: &'static str) -> MethodRouter {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    get(move || async move { (headers, text) })
}
