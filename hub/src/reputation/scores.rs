//! `GET /v1/reputation/{subject}`.

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use service::http::{Path, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    model::WalletDid,
    score::{Score, score},
    store,
};
use crate::{Hub, error::Error, etag::tagged};

/// How many credentials a score takes into account: the first so many of the log.
pub const SAID_MAX: u32 = 10_000;

/// What public credentials come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReputationView {
    /// About whom: did:pkh.
    #[schema(value_type = String)]
    pub subject: WalletDid,
    /// The score and its terms.
    pub score: Score,
}

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(reputation))
}

/// The explained score of a wallet, from the public credentials about it alone. `GET /v1/credentials?subject=` gives all that it is
/// computed from, the first 10,000 of them; docs/credentials.md has the rule.
#[utoipa::path(get, path = "/v1/reputation/{subject}", tag = "reputation", params(("subject" = String, Path)), responses(
    (status = 200, description = "The score, 0 where there is nothing", body = ReputationView),
    (status = 400, description = "Not a did:pkh", content_type = "application/problem+json"),
))]
async fn reputation(
    State(hub): State<Hub>,
    Path(subject): Path<WalletDid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let said = store::said_in_public(&mut on, subject.0, i64::from(SAID_MAX)).await?;
    Ok(tagged(&headers, &ReputationView { subject, score: score(&said) })?)
}
