//! `GET /v1/listings` and `GET /v1/listings/{id}`.

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use service::http::{Json, Path, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    model::{ListingBody, ListingKind, ListingStatus},
    store::{self, Filter, Listing},
};
use crate::{
    Hub,
    access::{Reader, may_read},
    error::Error,
    etag::tagged,
    page::{self, Cursor, Page, Paged},
    records::{RecordId, Stamp},
};

const WORDS_MAX: usize = 100;

/// A listing as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ListingView {
    /// The id of its first record: what a revision or a purchase is about.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// The id of its newest record.
    #[schema(value_type = String)]
    pub revision: RecordId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub seller: RecordId,
    /// When it began.
    #[schema(value_type = String)]
    pub created: Stamp,
    /// When it was last revised.
    #[schema(value_type = String)]
    pub updated: Stamp,
    /// What its newest record says.
    pub body: ListingBody,
}

impl From<Listing> for ListingView {
    fn from(listing: Listing) -> Self {
        Self {
            id: listing.id,
            revision: listing.revision,
            seller: listing.seller,
            created: Stamp::from_ms(listing.created_at),
            updated: Stamp::from_ms(listing.updated_at),
            body: listing.body,
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListingQuery {
    kind: Option<ListingKind>,
    status: Option<ListingStatus>,
    tag: Option<String>,
    #[param(value_type = Option<String>)]
    seller: Option<RecordId>,
    /// Found in title, description or tags, whatever the case; at most 100 characters.
    q: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(listings)).routes(routes!(listing))
}

/// Listings that you may read, newest first.
#[utoipa::path(get, path = "/v1/listings", tag = "market", params(ListingQuery, Cursor), responses(
    (status = 200, description = "A page", body = Page<ListingView>),
    (status = 400, description = "A parameter cannot be read", content_type = "application/problem+json"),
))]
async fn listings(
    State(hub): State<Hub>,
    reader: Reader,
    page: Paged<ListingQuery>,
) -> Result<Json<Page<ListingView>>, Problem> {
    let before = page.place().unwrap_or(i64::MAX);
    let Paged { filter: asked, limit, .. } = page;
    if asked.q.as_ref().is_some_and(|q| q.chars().count() > WORDS_MAX) {
        return Err(Problem::malformed(format!("q may have {WORDS_MAX} characters")).at("q"));
    }
    let filter = Filter {
        kind: asked.kind,
        status: asked.status,
        tag: asked.tag,
        seller: asked.seller,
        q: asked.q.map(|q| q.to_lowercase()),
    };
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = store::find(&mut on, &reader, &filter, before, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(|listing| listing.seq));
    let items = found
        .into_iter()
        .filter(|listing| may_read(&reader, &listing.audience))
        .map(ListingView::from)
        .collect();
    Ok(Json(Page::new(items, next)))
}

/// A listing.
#[utoipa::path(get, path = "/v1/listings/{id}", tag = "market", params(("id" = String, Path)), responses(
    (status = 200, description = "The listing", body = ListingView),
    (status = 404, description = "There is none, or you may not read it", content_type = "application/problem+json"),
))]
async fn listing(
    State(hub): State<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = store::listing(&mut on, &id)
        .await?
        .filter(|listing| may_read(&reader, &listing.audience))
        .ok_or_else(|| Problem::not_found("listing", id))?;
    Ok(tagged(&headers, &ListingView::from(found))?)
}
