//! `GET /v1/credentials`, `GET /v1/credentials/{id}`, `GET /v1/purchases/{id}/credentials`.

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::http::{Json, Path, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    model::WalletDid,
    store::{self, Held},
};
use crate::{
    Hub,
    access::{Reader, may_read},
    error::Error,
    etag::tagged,
    page::{self, Cursor, Page, Paged},
    records::RecordId,
};

/// A credential as the hub holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CredentialView {
    /// The id of the record that brought it.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// The purchase that it is about, the record that paid for what was given, or the grievance.
    #[schema(value_type = String)]
    pub about: RecordId,
    /// Its type besides `VerifiableCredential`.
    pub kind: String,
    /// Whom it is about: did:pkh.
    #[schema(value_type = String)]
    pub subject: WalletDid,
    /// The account that issued it.
    #[schema(value_type = String)]
    pub issuer: RecordId,
    /// As issued, an object with a proof or a token (`vc+jwt`) as a string: hand this to a verifier.
    pub credential: Value,
    /// The record by which its issuer took it back; null while it stands.
    #[schema(value_type = Option<String>)]
    pub revoked: Option<RecordId>,
}

impl From<Held> for CredentialView {
    fn from(held: Held) -> Self {
        Self {
            id: held.id,
            about: held.about,
            kind: held.kind.name().to_owned(),
            subject: WalletDid(held.subject),
            issuer: held.issuer,
            credential: held.credential,
            revoked: held.revoked,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// About this wallet alone: did:pkh.
    #[param(value_type = Option<String>)]
    subject: Option<WalletDid>,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(credentials))
        .routes(routes!(credential))
        .routes(routes!(of_purchase))
        .merge(super::lists::routes())
        .merge(super::bundles::routes())
        .merge(super::openid::routes())
        .merge(super::scores::routes())
        .merge(super::verifier::routes())
}

/// Credentials that you may read, oldest first.
#[utoipa::path(get, path = "/v1/credentials", tag = "reputation", params(Asked, Cursor), responses(
    (status = 200, description = "A page", body = Page<CredentialView>),
))]
async fn credentials(
    State(hub): State<Hub>,
    reader: Reader,
    page: Paged<Asked>,
) -> Result<Json<Page<CredentialView>>, Problem> {
    let (after, limit) = (page.place().unwrap_or(0), page.limit);
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let wallet = page.filter.subject.map(|WalletDid(wallet)| wallet);
    let found = store::page(&mut on, &reader, wallet, after, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(|held| held.seq));
    let items = found.into_iter().filter(|held| may_read(&reader, &held.audience)).map(Into::into).collect();
    Ok(Json(Page::new(items, next)))
}

/// One credential.
#[utoipa::path(get, path = "/v1/credentials/{id}", tag = "reputation", params(("id" = String, Path)), responses(
    (status = 200, description = "The credential", body = CredentialView),
    (status = 404, description = "There is none, or you may not read it", content_type = "application/problem+json"),
))]
async fn credential(
    State(hub): State<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    match store::one(&mut on, &id).await? {
        Some(held) if may_read(&reader, &held.audience) => Ok(tagged(&headers, &CredentialView::from(held))?),
        _ => Err(Problem::not_found("credential", id)),
    }
}

/// The credentials about a purchase that you may read.
#[utoipa::path(get, path = "/v1/purchases/{id}/credentials", tag = "reputation", params(("id" = String, Path)), responses(
    (status = 200, description = "At most one of each kind", body = Vec<CredentialView>),
))]
async fn of_purchase(
    State(hub): State<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
) -> Result<Json<Vec<CredentialView>>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = store::about(&mut on, &id).await?;
    Ok(Json(found.into_iter().filter(|held| may_read(&reader, &held.audience)).map(Into::into).collect()))
}
