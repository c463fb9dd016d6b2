//! `GET /v1/cases/{deal}`.

use axum::{Router, extract::State, routing::get};
use protocol::wire::view::CaseView;
use service::http::{Json, Path, Problem};

use super::store;
use crate::{Error, params::id, shared::Shared};

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/v1/cases/{deal}", get(one))
}

async fn one(State(shared): State<Shared>, Path(text): Path<String>) -> Result<Json<CaseView>, Problem> {
    let deal = id("deal", &text)?;
    let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
    let case = store::find(&mut reader, deal).await?;
    case.map(Json).ok_or_else(|| Problem::not_found("case of deal", deal))
}
