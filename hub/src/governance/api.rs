//! `GET /v1/proposals`, `GET /v1/proposals/{id}` with its electors and ballots, and what a community's votes have set and its
//! treasury has.

use axum::{extract::State as Shared, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::http::{Json, Path, Problem};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    model::Effect,
    rule::{Ballots, Electorate, Rule},
    settings::Setting,
    store::{self, Proposal, corrupt},
    table::State,
    tally::Tally,
};
use crate::{
    Hub,
    access::{Audience, Reader, may_read},
    communities,
    error::Error,
    etag::tagged,
    ledger::{self, StandingView, model::Key},
    page::{self, Cursor, Everything, Page, Paged},
    records::{RecordId, Stamp, log},
};

/// A proposal, what it would do, and what has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProposalView {
    /// The id of its `proposal@1`.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// Whose community's.
    #[schema(value_type = String)]
    pub community: RecordId,
    /// Who proposes it.
    #[schema(value_type = String)]
    pub author: RecordId,
    /// In a line.
    pub title: String,
    /// In words; null in a list.
    pub text: Option<String>,
    /// Who may vote, as a query that was asked when it opened.
    #[schema(value_type = Object)]
    pub electorate: Electorate,
    /// By which rule.
    #[schema(value_type = Object)]
    pub rule: Rule,
    /// Who sees ballots before the close.
    pub ballots: Ballots,
    /// What an acceptance does: `text`, which is nothing, or an object of one member that is named as the effect.
    #[schema(value_type = Value)]
    pub effect: Effect,
    /// When it opened.
    #[schema(value_type = String)]
    pub opened: Stamp,
    /// From when on no ballot is taken.
    #[schema(value_type = String)]
    pub closes: Stamp,
    /// Where it stands.
    pub state: State,
    /// How many may vote.
    pub electors: i64,
    /// How many have; null in a list.
    pub voted: Option<i64>,
    /// The hub's `tally@1`, when it is decided.
    #[schema(value_type = Option<String>)]
    pub tally: Option<RecordId>,
    /// What the ballots came to.
    pub result: Option<Tally>,
    /// When it was decided.
    #[schema(value_type = Option<String>)]
    pub decided: Option<Stamp>,
    /// Why nothing of its effect could happen, where it was accepted and that is so.
    pub unexecuted: Option<UnexecutedView>,
}

/// Why nothing of an effect could happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UnexecutedView {
    /// The rule's name, e.g. `below_floor`.
    pub rule: String,
    /// The rule in words.
    pub detail: String,
}

/// A ballot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VoteView {
    /// Its place in the log; the last one of an elector counts.
    #[serde(with = "protocol::wire::dec")]
    #[schema(value_type = String)]
    pub seq: i64,
    /// When the hub took it.
    #[schema(value_type = String)]
    pub received: Stamp,
    /// The `vote@1` as it was signed.
    #[schema(value_type = Object)]
    pub record: Value,
}

/// What holds in a community, and within which bounds a vote may set it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SettingView {
    /// Its name.
    #[schema(value_type = String)]
    pub setting: Setting,
    /// Its value.
    #[serde(with = "protocol::wire::dec")]
    #[schema(value_type = String)]
    pub value: i64,
    /// The least that a vote may set.
    #[serde(with = "protocol::wire::dec")]
    #[schema(value_type = String)]
    pub least: i64,
    /// The greatest.
    #[serde(with = "protocol::wire::dec")]
    #[schema(value_type = String)]
    pub greatest: i64,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Of this community alone.
    #[param(value_type = Option<String>)]
    community: Option<RecordId>,
    /// In this state alone.
    state: Option<State>,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(proposals))
        .routes(routes!(proposal))
        .routes(routes!(electors))
        .routes(routes!(ballots))
        .routes(routes!(settings))
        .routes(routes!(treasury))
}

fn view(proposal: Proposal) -> ProposalView {
    let Proposal { id, community, author, body, opened_at, electors, state, decision, .. } = proposal;
    let (tally, result, decided, unexecuted) = match decision {
        None => (None, None, None, None),
        Some(one) => (Some(one.record), Some(one.result), Some(Stamp::from_ms(one.at)), one.unexecuted),
    };
    ProposalView {
        id,
        community,
        author,
        title: body.title,
        text: Some(body.text),
        electorate: body.electorate,
        rule: body.rule,
        ballots: body.ballots,
        effect: body.effect,
        opened: Stamp::from_ms(opened_at),
        closes: body.closes,
        state,
        electors,
        voted: None,
        tally,
        result,
        decided,
        unexecuted: unexecuted.map(|one| UnexecutedView { rule: one.rule, detail: one.detail }),
    }
}

/// A proposal that this reader may read.
async fn readable(on: &mut AnyConnection, reader: &Reader, id: RecordId) -> Result<Proposal, Problem> {
    store::proposal(on, &id)
        .await?
        .filter(|proposal| may_read(reader, &proposal.audience))
        .ok_or_else(|| Problem::not_found("proposal", id))
}

/// Proposals, oldest first. The vote of a jury is in no list: its grievance names it.
#[utoipa::path(get, path = "/v1/proposals", tag = "governance", params(Asked, Cursor), responses(
    (status = 200, description = "Those that you may read", body = Page<ProposalView>),
    (status = 400, description = "A parameter cannot be read", content_type = "application/problem+json"),
))]
async fn proposals(
    Shared(hub): Shared<Hub>,
    reader: Reader,
    page: Paged<Asked>,
) -> Result<Json<Page<ProposalView>>, Problem> {
    let after = page.place().unwrap_or(0);
    let Paged { filter: asked, limit, .. } = page;
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = store::proposals(&mut on, &reader, asked.community, asked.state, after, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(|proposal| proposal.seq));
    let items = found
        .into_iter()
        .filter(|proposal| may_read(&reader, &proposal.audience))
        .map(|proposal| ProposalView { text: None, ..view(proposal) })
        .collect();
    Ok(Json(Page::new(items, next)))
}

/// A proposal.
#[utoipa::path(get, path = "/v1/proposals/{id}", tag = "governance", params(("id" = String, Path)), responses(
    (status = 200, description = "The proposal, with an ETag", body = ProposalView),
    (status = 304, description = "It is as `If-None-Match` has it"),
    (status = 404, description = "There is none, or you may not read it", content_type = "application/problem+json"),
))]
async fn proposal(
    Shared(hub): Shared<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = readable(&mut on, &reader, id).await?;
    let voted = Some(store::voted(&mut on, &id).await?);
    Ok(tagged(&headers, &ProposalView { voted, ..view(found) })?)
}

/// Who may vote on a proposal: who was of its electorate when it opened.
#[utoipa::path(get, path = "/v1/proposals/{id}/electors", tag = "governance", params(("id" = String, Path), Cursor), responses(
    (status = 200, description = "Accounts", body = Page<String>),
    (status = 404, description = "There is no such proposal, or you may not read it", content_type = "application/problem+json"),
))]
async fn electors(
    Shared(hub): Shared<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
    Paged { after, limit, .. }: Paged<Everything, RecordId>,
) -> Result<Json<Page<RecordId>>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    readable(&mut on, &reader, id).await?;
    let items = store::electors_after(&mut on, &id, after, limit).await?;
    let next = page::next(items.len(), limit, items.last().copied());
    Ok(Json(Page::new(items, next)))
}

/// The ballots of a proposal in the order of the log, those that later ones replace included. While it is open and its ballots
/// are hidden, your own alone.
#[utoipa::path(get, path = "/v1/proposals/{id}/ballots", tag = "governance", params(("id" = String, Path), Cursor), responses(
    (status = 200, description = "Signed ballots", body = Page<VoteView>),
    (status = 404, description = "There is no such proposal, or you may not read it", content_type = "application/problem+json"),
))]
async fn ballots(
    Shared(hub): Shared<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
    page: Paged,
) -> Result<Json<Page<VoteView>>, Problem> {
    let (after, limit) = (page.place().unwrap_or(0), page.limit);
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let proposal = readable(&mut on, &reader, id).await?;
    let hidden = proposal.body.ballots == Ballots::Hidden && proposal.state == State::Open;
    if hidden && reader.account.is_none() {
        return Ok(Json(Page::new(Vec::new(), None::<i64>)));
    }
    let of = reader.account.filter(|_| hidden);
    let found = store::ballots(&mut on, &id, of, after, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(|ballot| ballot.seq));
    let mut items = Vec::with_capacity(found.len());
    for ballot in found {
        let entry = log::find(&mut on, &ballot.record).await?;
        let entry = entry.ok_or_else(|| corrupt(format_args!("the log has no {}", ballot.record)))?;
        items.push(VoteView {
            seq: ballot.seq,
            received: Stamp::from_ms(ballot.received_at),
            record: serde_json::to_value(entry.record).map_err(corrupt)?,
        });
    }
    Ok(Json(Page::new(items, next)))
}

/// A community that this reader may read.
async fn community(on: &mut AnyConnection, reader: &Reader, id: RecordId) -> Result<(), Problem> {
    let found = communities::community(on, &id).await?;
    let may = |audience: &[Audience]| may_read(reader, audience);
    if found.is_some_and(|found| may(&found.audience)) {
        return Ok(());
    }
    Err(Problem::not_found("community", id))
}

/// What holds in a community for proposals with an effect.
#[utoipa::path(get, path = "/v1/communities/{id}/settings", tag = "governance", params(("id" = String, Path)), responses(
    (status = 200, description = "Every setting", body = Vec<SettingView>),
    (status = 404, description = "There is no such community, or you may not read it", content_type = "application/problem+json"),
))]
async fn settings(
    Shared(hub): Shared<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    community(&mut on, &reader, id).await?;
    let held = store::settings(&mut on, &id).await?;
    let each = |setting: Setting| {
        let (least, greatest) = setting.bounds();
        SettingView { setting, value: held.of_setting(setting), least, greatest }
    };
    Ok(tagged(&headers, &Setting::ALL.map(each))?)
}

/// What a community's treasury has, in each asset.
#[utoipa::path(get, path = "/v1/communities/{id}/treasury", tag = "governance", params(("id" = String, Path), Cursor), responses(
    (status = 200, description = "One account for each asset; a page may be empty and have a next one", body = Page<StandingView>),
    (status = 404, description = "There is no such community, or you may not read it", content_type = "application/problem+json"),
))]
async fn treasury(
    Shared(hub): Shared<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
    Paged { after, limit, .. }: Paged<Everything, Key>,
) -> Result<Json<Page<StandingView>>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    community(&mut on, &reader, id).await?;
    Ok(Json(ledger::treasury(&mut on, id, after, limit).await?))
}
