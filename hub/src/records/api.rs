//! `POST /v1/records` and `GET /v1/records/{id}`.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::http::{Json, Path, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    RecordId, Stamp,
    erasure::{self, Erased},
    log,
    submit::submit,
};
use crate::{
    Hub,
    access::{Audience, Reader, may_read},
    error::Error,
    etag::tagged,
};

/// A record's place in this hub's log. Its canonical form (RFC 8785) is a leaf of the log's tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Receipt {
    /// The record's id.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// Its place in the log, a decimal string.
    #[serde(with = "protocol::wire::dec")]
    #[schema(value_type = String)]
    pub seq: i64,
    /// When the hub took it.
    #[schema(value_type = String)]
    pub received: Stamp,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(post_record)).routes(routes!(get_record)).merge(super::head::routes())
}

/// Hands in a signed record. The same record again answers the same receipt.
#[utoipa::path(post, path = "/v1/records", tag = "records", request_body = Object, responses(
    (status = 201, description = "Accepted now", body = Receipt),
    (status = 200, description = "It was here already", body = Receipt),
    (status = 400, description = "Not JSON", content_type = "application/problem+json"),
    (status = 403, description = "This author or device may not say it", content_type = "application/problem+json"),
    (status = 409, description = "The state does not allow it", content_type = "application/problem+json"),
    (status = 413, description = "More than 64 KiB", content_type = "application/problem+json"),
    (status = 422, description = "Form, proof or a rule; `step`, `rule` and `field` say which", content_type = "application/problem+json"),
    (status = 503, description = "The indexer does not answer; try again", content_type = "application/problem+json"),
))]
async fn post_record(State(hub): State<Hub>, Json(received): Json<Value>) -> Result<Response, Problem> {
    let submitted = submit(&hub, &received).await?;
    let receipt = submitted.accepted.receipt();
    let status = if submitted.new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(receipt)).into_response())
}

/// A record as it was signed.
#[utoipa::path(get, path = "/v1/records/{id}", tag = "records", params(("id" = String, Path)), responses(
    (status = 200, description = "The signed record", body = Object),
    (status = 404, description = "There is none, or you may not read it", content_type = "application/problem+json"),
    (status = 410, description = "Whoever said it has erased it; `detail` names them and the record by which", content_type = "application/problem+json"),
))]
async fn get_record(
    State(hub): State<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (found, erased) = {
        let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
        (log::find(&mut on, &id).await?, erasure::of(&mut on, &id).await?)
    };
    let Some(found) = found.filter(|found| readable(&reader, &found.record)) else {
        return Err(Problem::not_found("record", id));
    };
    match erased {
        Some(erased) => Err(gone(&id, &erased)),
        None if found.record.body.is_null() => {
            Err(Error::Corrupt(format!("log: {id} has no body, and nothing erases it")).into())
        }
        None => Ok(tagged(&headers, &found.record)?),
    }
}

fn gone(id: &RecordId, Erased { by, account, at }: &Erased) -> Problem {
    let told = format!("{account} said {id} and erased it at {at}, by {by}");
    Problem::new(StatusCode::GONE, "gone", "It was erased", told).by_rule("erased")
}

/// Its audience, and whoever said it.
fn readable(reader: &Reader, record: &super::Record) -> bool {
    may_read(reader, &record.audience) || may_read(reader, &[Audience::Account(record.account())])
}
