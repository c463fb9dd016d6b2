//! `GET /v1/grievances`, `GET /v1/grievances/{id}` and its steps, for whoever has a part in it.

use alloy::primitives::B256;
use axum::{extract::State as Shared, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::http::{Json, Path, Problem};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    model::{Ending, Kind, Outcome, Remedy},
    settlement,
    store::{self, Grievance, Part, Undone, corrupt},
    subject::Paid,
    table::State,
};
use crate::{
    Hub,
    access::{Caller, Reader, Role, may_read},
    error::Error,
    etag::tagged,
    ledger::model::Asset,
    page::{self, Cursor, Page, Paged},
    records::{Record, RecordId, Stamp, log},
};

/// A grievance, where it stands, and what has come of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GrievanceView {
    /// The id of its `grievance@1`.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// Whose community's.
    #[schema(value_type = String)]
    pub community: RecordId,
    /// What it is of.
    pub kind: Kind,
    /// In a line.
    pub title: String,
    /// In words; null in a list.
    pub text: Option<String>,
    /// Who has filed it.
    #[schema(value_type = String)]
    pub complainant: RecordId,
    /// Whom it is against.
    #[schema(value_type = String)]
    pub respondent: RecordId,
    /// The record that it is about.
    #[schema(value_type = String)]
    pub subject: RecordId,
    /// That record's type.
    pub subject_type: String,
    /// What that record paid.
    pub paid: Option<PaidView>,
    /// The deal on a chain that is to be settled.
    pub settlement: Option<SettlementView>,
    /// What is asked for.
    pub remedy: Remedy,
    /// When it was filed.
    #[schema(value_type = String)]
    pub filed: Stamp,
    /// Where it stands.
    pub state: State,
    /// When the hub takes it further; null while a vote is open, while a deal waits for its chain, and when it is over.
    #[schema(value_type = Option<String>)]
    pub due: Option<Stamp>,
    /// Who mediates; null in a list, and where nobody does.
    #[schema(value_type = Option<String>)]
    pub mediator: Option<RecordId>,
    /// What the mediator has proposed.
    pub proposed: Option<ProposedView>,
    /// How many juries were drawn.
    pub juries: i64,
    /// Who sits on the jury; null in a list.
    #[schema(value_type = Option<Vec<String>>)]
    pub jurors: Option<Vec<RecordId>>,
    /// The last jury's vote, as `GET /v1/proposals/{id}` has it.
    pub vote: Option<JuryVoteView>,
    /// How it ended.
    pub resolution: Option<ResolutionView>,
    /// The `grievance@1` as it was signed; null in a list.
    #[schema(value_type = Option<Object>)]
    pub record: Option<Value>,
    /// The record that it is about as it was signed; null in a list, where you may not read that record, and where it was erased since.
    #[schema(value_type = Option<Object>)]
    pub about: Option<Value>,
}

/// What one member paid another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PaidView {
    /// `time_credit`, a CAIP-19 id, or the id of the record that issued it.
    #[schema(value_type = String)]
    pub asset: Asset,
    /// Who paid.
    #[schema(value_type = String)]
    pub payer: RecordId,
    /// Who was paid.
    #[schema(value_type = String)]
    pub payee: RecordId,
    /// How much, in the smallest unit.
    #[serde(with = "protocol::wire::dec")]
    #[schema(value_type = String)]
    pub amount: i128,
}

/// A deal on a chain that is to be settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SettlementView {
    /// The deal's id at the escrow.
    #[schema(value_type = String)]
    pub deal: B256,
    /// What lies in escrow: a CAIP-19 id.
    #[schema(value_type = String)]
    pub asset: Asset,
    /// The buyer's account.
    #[schema(value_type = String)]
    pub buyer: RecordId,
    /// The seller's account.
    #[schema(value_type = String)]
    pub seller: RecordId,
    /// What the deal is of, in the smallest unit.
    #[serde(with = "protocol::wire::dec")]
    #[schema(value_type = String)]
    pub amount: i128,
    /// What the seller has in the end by what is proposed, in the smallest unit: the `seller_total` that both parties sign.
    #[serde(with = "protocol::wire::dec::optional")]
    #[schema(value_type = Option<String>)]
    pub seller_total: Option<i128>,
    /// What is to be done; null in a list, and when it is over.
    pub next: Option<NextStep>,
}

/// What is to be done about a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GrievanceNextStep)]
pub enum NextStep {
    /// A steward takes it up, or its mediator proposes.
    Mediate,
    /// Both parties sign an `act@1` that settles the deal at `seller_total`; the relayer sends it, and the chain closes the deal.
    Sign,
    /// Either party may dispute the deal on its chain; until somebody does, both may sign what was proposed last.
    Dispute,
    /// The chain's jury rules.
    AwaitRuling,
}

/// What a mediator has proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProposedView {
    /// The step that did, which an acceptance names.
    #[schema(value_type = String)]
    pub step: RecordId,
    /// What is to come of it.
    pub outcome: Outcome,
    /// Which party has accepted it; of a deal, by an act that it has signed.
    #[schema(value_type = Option<String>)]
    pub accepted_by: Option<RecordId>,
}

/// A jury's vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JuryVoteView {
    /// The proposal.
    #[schema(value_type = String)]
    pub proposal: RecordId,
    /// What each juror who took a side was paid, in hundredths of an hour; null before the close.
    #[serde(with = "protocol::wire::dec::optional")]
    #[schema(value_type = Option<String>)]
    pub reward: Option<i64>,
    /// Why nobody was paid, where the community pays its jurors and that is so.
    pub unrewarded: Option<UndoneView>,
}

/// How a grievance ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ResolutionView {
    /// By what.
    pub ending: Ending,
    /// With what; null where it was taken back or not decided.
    pub outcome: Option<Outcome>,
    /// When.
    #[schema(value_type = String)]
    pub at: Stamp,
    /// Why nothing of the outcome could be done, where that is so.
    pub unexecuted: Option<UndoneView>,
}

/// Why something that was decided was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UndoneView {
    /// The rule's name, e.g. `reversed`.
    pub rule: String,
    /// The rule in words.
    pub detail: String,
}

/// Something that was done about a grievance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StepView {
    /// Its place in the log.
    #[serde(with = "protocol::wire::dec")]
    #[schema(value_type = String)]
    pub seq: i64,
    /// When the hub took it.
    #[schema(value_type = String)]
    pub received: Stamp,
    /// The `grievance-step@1` as it was signed.
    #[schema(value_type = Object)]
    pub record: Value,
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
    OpenApiRouter::new().routes(routes!(grievances)).routes(routes!(grievance)).routes(routes!(steps))
}

fn undone(one: Undone) -> UndoneView {
    UndoneView { rule: one.rule, detail: one.detail }
}

fn view(one: Grievance) -> GrievanceView {
    let Grievance { body, subject, accepted, .. } = one;
    GrievanceView {
        id: one.id,
        community: one.community,
        kind: body.kind,
        title: body.title,
        text: None,
        complainant: one.complainant,
        respondent: body.respondent,
        subject: body.subject,
        subject_type: subject.kind,
        paid: subject.paid.map(|Paid { asset, payer, payee, amount }| PaidView {
            asset,
            payer,
            payee,
            amount,
        }),
        settlement: subject.deal.map(|deal| SettlementView {
            deal: deal.id,
            asset: deal.asset,
            buyer: deal.buyer,
            seller: deal.seller,
            amount: deal.amount,
            seller_total: one.proposed.map(|proposed| deal.sellers(one.complainant, proposed.outcome)),
            next: None,
        }),
        remedy: body.remedy,
        filed: Stamp::from_ms(one.filed_at),
        state: one.state,
        due: one.due_at.map(Stamp::from_ms),
        mediator: None,
        proposed: one.proposed.map(|proposed| ProposedView {
            step: proposed.record,
            outcome: proposed.outcome,
            accepted_by: accepted,
        }),
        juries: one.juries,
        jurors: None,
        vote: one.vote.map(|vote| JuryVoteView {
            proposal: vote.proposal,
            reward: vote.reward,
            unrewarded: vote.unrewarded.map(undone),
        }),
        resolution: one.resolution.map(|resolution| ResolutionView {
            ending: resolution.ending,
            outcome: resolution.outcome,
            at: Stamp::from_ms(resolution.at),
            unexecuted: resolution.unexecuted.map(undone),
        }),
        record: None,
        about: None,
    }
}

fn yours(reader: &Reader) -> Result<RecordId, Problem> {
    let told = "a grievance is shown to whoever has a part in it: sign in";
    reader.account.ok_or_else(|| Problem::unauthenticated(told))
}

/// A grievance that this reader may read, and who has which part in it: parties, whose credential it is about, mediator and jurors,
/// and until somebody has taken it up the community's stewards.
pub(super) async fn readable(
    on: &mut AnyConnection,
    reader: &Reader,
    id: RecordId,
) -> Result<(Grievance, Vec<(RecordId, Part)>), Problem> {
    let you = yours(reader)?;
    let unknown = || Problem::not_found("grievance", id);
    let found = store::one(on, &id).await?.ok_or_else(unknown)?;
    let people = store::people(on, &id).await?;
    let steward = reader.roles.get(&found.community) == Some(&Role::Steward);
    let may = match people.get(&you) {
        Some(part) => *part != Part::Recused,
        None => steward && found.state == State::Filed,
    };
    if may { Ok((found, people.into_iter().collect())) } else { Err(unknown()) }
}

/// The grievances in which you have a part, and those of communities of which you are a steward that wait for a mediator, oldest
/// first.
#[utoipa::path(get, path = "/v1/grievances", tag = "grievances", params(Asked, Cursor), responses(
    (status = 200, description = "Those that you may read", body = Page<GrievanceView>),
    (status = 400, description = "A parameter cannot be read", content_type = "application/problem+json"),
    (status = 401, description = "Nobody is signed in", content_type = "application/problem+json"),
))]
async fn grievances(
    Shared(hub): Shared<Hub>,
    caller: Caller,
    reader: Reader,
    page: Paged<Asked>,
) -> Result<Json<Page<GrievanceView>>, Problem> {
    let you = caller.account;
    let after = page.place().unwrap_or(0);
    let Paged { filter: asked, limit, .. } = page;
    let stewarded: Vec<RecordId> = reader
        .roles
        .iter()
        .filter(|(_, role)| **role == Role::Steward)
        .map(|(community, _)| *community)
        .collect();
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let filter = (asked.community, asked.state);
    let found = store::for_reader(&mut on, (&you, &stewarded), filter, after, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(|one| one.seq));
    Ok(Json(Page::new(found.into_iter().map(view).collect(), next)))
}

/// A grievance.
#[utoipa::path(get, path = "/v1/grievances/{id}", tag = "grievances", params(("id" = String, Path)), responses(
    (status = 200, description = "The grievance, with an ETag", body = GrievanceView),
    (status = 304, description = "It is as `If-None-Match` has it"),
    (status = 401, description = "Nobody is signed in", content_type = "application/problem+json"),
    (status = 404, description = "There is none, or you have no part in it", content_type = "application/problem+json"),
))]
async fn grievance(
    Shared(hub): Shared<Hub>,
    // Before the path is read: who is nobody here is told so whatever is asked for.
    _: Caller,
    reader: Reader,
    Path(id): Path<RecordId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let (found, people) = readable(&mut on, &reader, id).await?;
    let with = |part: Part| people.iter().filter(move |(_, one)| *one == part).map(|(account, _)| *account);
    let text = Some(found.body.text.clone());
    let (mediator, jurors) = (with(Part::Mediator).next(), Some(with(Part::Juror).collect()));
    let record = Some(serde_json::to_value(signed(&mut on, &id).await?).map_err(corrupt)?);
    let about = Some(signed(&mut on, &found.body.subject).await?);
    let about = about.filter(|about| concerns(&reader, about) && !about.body.is_null());
    let about = about.map(serde_json::to_value).transpose().map_err(corrupt)?;
    let next = settlement::next(&mut on, &found).await?;
    let mut shown = GrievanceView { text, mediator, jurors, record, about, ..view(found) };
    if let Some(settlement) = &mut shown.settlement {
        settlement.next = next;
    }
    Ok(tagged(&headers, &shown)?)
}

async fn signed(on: &mut AnyConnection, id: &RecordId) -> Result<Record, Error> {
    let entry = log::find(on, id).await?;
    entry.map(|entry| entry.record).ok_or_else(|| corrupt(format_args!("the log has no {id}")))
}

/// Whether the record of which a grievance speaks is for this reader: what it names them for, or what they have said.
pub(super) fn concerns(reader: &Reader, about: &Record) -> bool {
    may_read(reader, &about.audience) || reader.account == Some(about.account())
}

/// What was done about a grievance, evidence included, in the order of the log.
#[utoipa::path(get, path = "/v1/grievances/{id}/steps", tag = "grievances", params(("id" = String, Path), Cursor), responses(
    (status = 200, description = "Signed steps", body = Page<StepView>),
    (status = 401, description = "Nobody is signed in", content_type = "application/problem+json"),
    (status = 404, description = "There is no such grievance, or you have no part in it", content_type = "application/problem+json"),
))]
async fn steps(
    Shared(hub): Shared<Hub>,
    // Before the path is read: who is nobody here is told so whatever is asked for.
    _: Caller,
    reader: Reader,
    Path(id): Path<RecordId>,
    page: Paged,
) -> Result<Json<Page<StepView>>, Problem> {
    let (after, limit) = (page.place().unwrap_or(0), page.limit);
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    readable(&mut on, &reader, id).await?;
    let found = store::steps(&mut on, &id, after, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(|(seq, ..)| *seq));
    let mut items = Vec::with_capacity(found.len());
    for (seq, record, received_at) in found {
        let entry = log::find(&mut on, &record).await?;
        let entry = entry.ok_or_else(|| corrupt(format_args!("the log has no {record}")))?;
        let record = serde_json::to_value(entry.record).map_err(corrupt)?;
        items.push(StepView { seq, received: Stamp::from_ms(received_at), record });
    }
    Ok(Json(Page::new(items, next)))
}
