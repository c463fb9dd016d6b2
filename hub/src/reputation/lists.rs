//! `GET /v1/status/{purpose}` and `GET /v1/status/{purpose}/{list}`.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use serde::{Deserialize, Serialize};
use service::http::{Path, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    status::{self, ENTRIES, Purpose},
    store,
};
use crate::{Hub, error::Error, etag::tagged};

/// How long a reader may keep a list without asking again, in seconds.
const CACHE_S: u32 = 300;

/// The list in which issuers draw their entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OpenList {
    /// Its number, from 0.
    pub list: u32,
    /// Its URL.
    pub url: String,
    /// How many entries it has: draw one of 0 to this less one at random.
    pub entries: u32,
}

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(open_list)).routes(routes!(list))
}

/// The list for new credentials. Draw an entry at random; where `credential@1` is refused by the rule `status_taken`, draw
/// another one.
#[utoipa::path(get, path = "/v1/status/{purpose}", tag = "reputation", params(("purpose" = inline(Purpose), Path)), responses(
    (status = 200, description = "The list", body = OpenList),
    (status = 400, description = "No such purpose", content_type = "application/problem+json"),
))]
async fn open_list(
    State(hub): State<Hub>,
    Path(purpose): Path<Purpose>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let list = store::open_list(&mut on, purpose).await?;
    let url = status::url(&hub.public.url, purpose, list);
    Ok(tagged(&headers, &OpenList { list, url, entries: ENTRIES })?)
}

/// A list as a credential signed by the hub (Bitstring Status List v1.0). It tells the same, to the byte, until an entry of it
/// is revoked or the hour is over, and is good for a day.
#[utoipa::path(get, path = "/v1/status/{purpose}/{list}", tag = "reputation",
    params(("purpose" = inline(Purpose), Path), ("list" = u32, Path)), responses(
    (status = 200, description = "The list; with an ETag", body = Object, content_type = "application/vc"),
    (status = 304, description = "You have it"),
    (status = 404, description = "There is none", content_type = "application/problem+json"),
))]
async fn list(
    State(hub): State<Hub>,
    Path((purpose, list)): Path<(Purpose, u32)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let told = signed(&hub, purpose, list).await?.ok_or_else(|| Problem::not_found("status list", list))?;
    let mut answer = tagged(&headers, &told)?;
    // The same for everybody.
    answer.headers_mut().remove(header::VARY);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vc"));
    if let Ok(cache) = HeaderValue::from_str(&format!("public, max-age={CACHE_S}")) {
        answer.headers_mut().insert(header::CACHE_CONTROL, cache);
    }
    Ok(answer)
}

/// A list as it is told now; none where there is no such list yet.
pub(super) async fn signed(
    hub: &Hub,
    purpose: Purpose,
    list: u32,
) -> Result<Option<serde_json::Value>, Error> {
    let mut on = hub.db.reader().acquire().await?;
    if list > store::open_list(&mut on, purpose).await? {
        return Ok(None);
    }
    let (revoked, changed_at) = store::revoked(&mut on, purpose, list).await?;
    let url = status::url(&hub.public.url, purpose, list);
    status::issue(&url, purpose, &revoked, changed_at, &hub.key, hub.clock.now_ms())
        .map(Some)
        .map_err(|error| Error::Corrupt(error.to_string()))
}
