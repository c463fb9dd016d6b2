//! `GET /v1/cases`, `GET /v1/cases/{deal}` and `GET /v1/ballots`.

use axum::extract::State;
use protocol::wire::{
    query::{BallotPage, CasePage},
    view::CaseView,
};
use service::http::{Json, Path, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{filter::Filter, store};
use crate::{
    Error,
    params::{Params, id},
    query::list::listed,
    shared::Shared,
};

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(ballots)).routes(routes!(one))
}

/// Cases in the order of their deals' ids.
#[utoipa::path(get, path = "/v1/cases", tag = "cases",
    params(
        ("deal" = Option<String>, Query, description = "The deal that it is about; anyone can open a case about an escrow of his own"),
        ("escrow" = Option<String>, Query, description = "The escrow contract, a CAIP-10 account"),
        ("arbiter" = Option<String>, Query, description = "The arbiter contract, a CAIP-10 account"),
        ("stage" = Option<String>, Query, description = "opened, drawn, accepted or executed"),
        ("pool" = Option<String>, Query, description = "A pool that a jury of it is of"),
        ("juror" = Option<String>, Query, description = "The address of a drawn juror"),
        ("ends_from" = Option<u64>, Query, description = "Ballots of its newest jury count until this Unix second or later"),
        ("ends_before" = Option<u64>, Query, description = "Ballots of its newest jury count until before this Unix second"),
        ("after" = Option<String>, Query, description = "`cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 where it is missing"),
    ),
    responses(
        (status = 200, description = "A `CasePage`: `cases`, and `cursor` where there may be more", body = Object),
        (status = 304, description = "Nothing has changed since the tag of `If-None-Match`"),
        (status = 422, description = "A parameter breaks a rule", content_type = "application/problem+json"),
    ))]
async fn list(State(shared): State<Shared>, params: Params) -> Result<Json<CasePage>, Problem> {
    let (_, found) = listed::<Filter>(&shared, params).await?;
    let cases = found.items.into_iter().map(|(case, finality)| CaseView { case, finality }).collect();
    Ok(Json(CasePage { cases, cursor: found.next }))
}

/// Ballots that the chain knows, in the order of their cases, juries and seats.
#[utoipa::path(get, path = "/v1/ballots", tag = "cases",
    params(
        ("deal" = Option<String>, Query, description = "The deal that the case is about"),
        ("escrow" = Option<String>, Query, description = "The escrow contract, a CAIP-10 account"),
        ("arbiter" = Option<String>, Query, description = "The arbiter contract, a CAIP-10 account"),
        ("stage" = Option<String>, Query, description = "That of the case: opened, drawn, accepted or executed"),
        ("pool" = Option<String>, Query, description = "The pool of the jury"),
        ("juror" = Option<String>, Query, description = "The address of the juror"),
        ("ends_from" = Option<u64>, Query, description = "Ballots of the case's newest jury count until this Unix second or later"),
        ("ends_before" = Option<u64>, Query, description = "Ballots of the case's newest jury count until before this Unix second"),
        ("after" = Option<String>, Query, description = "`cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "Cases on a page, 1 to 200; 50 where it is missing"),
    ),
    responses(
        (status = 200, description = "A `BallotPage`: `ballots`, and `cursor` where there may be more", body = Object),
        (status = 304, description = "Nothing has changed since the tag of `If-None-Match`"),
        (status = 422, description = "A parameter breaks a rule", content_type = "application/problem+json"),
    ))]
async fn ballots(State(shared): State<Shared>, params: Params) -> Result<Json<BallotPage>, Problem> {
    let (filter, found): (Filter, _) = listed(&shared, params).await?;
    let ballots = found.items.iter().flat_map(|(case, finality)| filter.ballots(case, *finality)).collect();
    Ok(Json(BallotPage { ballots, cursor: found.next }))
}

/// The case that the deal's own terms speak of.
#[utoipa::path(get, path = "/v1/cases/{deal}", tag = "cases",
    params(("deal" = String, Path, description = "The deal's id")),
    responses(
        (status = 200, description = "A `CaseView`", body = Object),
        (status = 304, description = "Nothing has changed since the tag of `If-None-Match`"),
        (status = 404, description = "No such case", content_type = "application/problem+json"),
    ))]
async fn one(State(shared): State<Shared>, Path(text): Path<String>) -> Result<Json<CaseView>, Problem> {
    let deal = id("deal", &text)?;
    let mut reader = shared.db.reader().acquire().await.map_err(Error::from)?;
    let case = store::find(&mut reader, deal).await?;
    case.map(Json).ok_or_else(|| Problem::not_found("case of deal", deal))
}
