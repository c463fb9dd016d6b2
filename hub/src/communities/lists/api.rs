//! `GET /v1/communities/{id}/candidacies`: with which wallets one may be on a list,
//! `GET /v1/communities/{id}/pools/{arbiter}/{panel}`: the member list that a vote of the community decided, and
//! `GET /v1/communities/{id}/pools/{arbiter}/{panel}/published`: whether it is the one that the chain has.

use alloy::primitives::B256;
use axum::{extract::State, http::HeaderMap, response::Response};
use protocol::{
    arbitration,
    chain::{AccountId, Address},
    wire::{dec, feed::Finality, view::MemberList},
};
use serde::{Deserialize, Serialize};
use service::http::{Json, Path, Problem};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    model::{BEFORE_MAX, LIST_MAX, before},
    store::{self, Decided},
};
use crate::{
    Hub,
    access::{Caller, Reader, may_read},
    communities::{self, PoolBody, room::read_members},
    error::Error,
    etag::tagged,
    records::{RecordId, Stamp},
};

/// How many decisions a pool is shown with.
const DECISIONS_MAX: i64 = 100;

/// How many candidacies of one account are shown: more chains than a hub follows.
const CANDIDACIES_MAX: i64 = 100;

/// That a vote has decided who is on a pool's next list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DecisionView {
    /// Whose vote.
    #[schema(value_type = String)]
    pub community: RecordId,
    /// The `proposal@1` that asked for it.
    #[schema(value_type = String)]
    pub proposal: RecordId,
    /// The hub's `tally@1`, which names the list by the same hash.
    #[schema(value_type = String)]
    pub tally: RecordId,
    /// Keccak-256 of the members in order, each as the chain keeps it: 20 bytes on an EVM chain, 32 on Solana.
    #[schema(value_type = String)]
    pub digest: B256,
    /// How many members it has.
    pub size: i64,
    /// When it was decided.
    #[schema(value_type = String)]
    pub decided: Stamp,
}

/// A member list that a vote has decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DecidedListView {
    /// The contract that rules, CAIP-10.
    #[schema(value_type = String)]
    pub arbiter: AccountId,
    /// The pool.
    #[schema(value_type = String)]
    pub panel: B256,
    /// By which vote.
    pub decision: DecisionView,
    /// The list, ascending as the chain wants it, at most 10,000.
    #[schema(value_type = Vec<String>)]
    pub members: Vec<Address>,
}

/// The newest list that the chain has of a pool, beside the one that a vote has decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PublishedView {
    /// What was decided.
    pub decision: DecisionView,
    /// Whether the newest list of the chain is that one.
    pub holds: bool,
    /// Index of the newest list; null: none is published.
    pub list: Option<u32>,
    /// How many members it has.
    pub size: i64,
    /// Its hash, as that of the decision; null: none is published, or it has more than 10,000 members and is not read.
    #[schema(value_type = Option<String>)]
    pub digest: Option<B256>,
    /// Unix seconds from which it counts, a decimal string; null: none is published.
    #[serde(with = "dec::optional")]
    #[schema(value_type = Option<String>)]
    pub effective_at: Option<u64>,
    /// Lists that were published before it and are still to come into effect, the oldest first, at most 10: each counts until the
    /// next one does. Who is on them is not read.
    pub before: Vec<EarlierListView>,
    /// How settled the newest event of the pool is: `seen`, `safe` or `final`.
    #[schema(value_type = String)]
    pub finality: Finality,
}

/// A list that was published before the newest one and does not count yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EarlierListView {
    /// Its index.
    pub list: u32,
    /// How many members it has.
    pub size: u32,
    /// Unix seconds from which it counts.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub effective_at: u64,
}

/// A wallet with which you are a candidate of a community.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CandidacyView {
    /// CAIP-10.
    #[schema(value_type = String)]
    pub wallet: AccountId,
    /// Since when.
    #[schema(value_type = String)]
    pub since: Stamp,
}

/// With which wallets you are a candidate of a community.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CandidaciesView {
    /// At most one for each chain.
    pub items: Vec<CandidacyView>,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(candidacies))
        .routes(routes!(decided_list))
        .routes(routes!(published_list))
}

fn decision(found: &Decided) -> DecisionView {
    DecisionView {
        community: found.community,
        proposal: found.proposal,
        tally: found.tally,
        digest: found.digest,
        size: found.size,
        decided: Stamp::from_ms(found.at),
    }
}

const fn earlier(list: &MemberList) -> EarlierListView {
    EarlierListView { list: list.list, size: list.size, effective_at: list.effective_at }
}

/// What the communities of whoever asks have decided of a pool's list.
pub(in crate::communities) async fn around(
    on: &mut AnyConnection,
    reader: &Reader,
    arbiter: &AccountId,
    panel: &B256,
) -> Result<Vec<DecisionView>, Error> {
    let Some(account) = reader.account else { return Ok(Vec::new()) };
    let found = store::decided_around(on, &account, (arbiter, panel), DECISIONS_MAX).await?;
    Ok(found.iter().map(decision).collect())
}

/// With which wallets you have said that a vote may put you on the lists of the community's pools. Nobody else is told.
#[utoipa::path(get, path = "/v1/communities/{id}/candidacies", tag = "communities", params(("id" = String, Path)), responses(
    (status = 200, description = "Your own; none where you do not belong to it, or there is no such community", body = CandidaciesView),
    (status = 401, description = "Sign in first", content_type = "application/problem+json"),
))]
async fn candidacies(
    State(hub): State<Hub>,
    caller: Caller,
    Path(id): Path<RecordId>,
) -> Result<Json<CandidaciesView>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = store::candidacies(&mut on, &id, &caller.account, CANDIDACIES_MAX).await?;
    let items = found
        .into_iter()
        .map(|(wallet, since)| CandidacyView { wallet, since: Stamp::from_ms(since) })
        .collect();
    Ok(Json(CandidaciesView { items }))
}

/// What a community has decided that this reader may read.
async fn readable(
    on: &mut AnyConnection,
    reader: &Reader,
    community: RecordId,
    (arbiter, panel): (&AccountId, &B256),
) -> Result<Decided, Problem> {
    communities::community(on, &community)
        .await?
        .filter(|found| may_read(reader, &found.audience))
        .ok_or_else(|| Problem::not_found("community", community))?;
    store::decided(on, &community, arbiter, panel)
        .await?
        .ok_or_else(|| Problem::not_found("decided list of pool", panel))
}

/// The member list that a vote of a community has decided for its pool, and the tally that decided it.
#[utoipa::path(get, path = "/v1/communities/{id}/pools/{arbiter}/{panel}", tag = "communities",
    params(("id" = String, Path), ("arbiter" = String, Path, description = "CAIP-10"),
        ("panel" = String, Path, description = "0x and 64 digits")),
    responses(
        (status = 200, description = "The list", body = DecidedListView),
        (status = 404, description = "No vote has decided one, or you may not read the community", content_type = "application/problem+json"),
    ))]
async fn decided_list(
    State(hub): State<Hub>,
    reader: Reader,
    Path((id, arbiter, panel)): Path<(RecordId, AccountId, B256)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = readable(&mut on, &reader, id, (&arbiter, &panel)).await?;
    let decision = decision(&found);
    let Decided { arbiter, panel, members, .. } = found;
    Ok(tagged(&headers, &DecidedListView { arbiter, panel, decision, members })?)
}

/// Whether the newest list that the chain has of a pool is the one that a vote of the community has decided. The chain's indexer is
/// asked, now.
#[utoipa::path(get, path = "/v1/communities/{id}/pools/{arbiter}/{panel}/published", tag = "communities",
    params(("id" = String, Path), ("arbiter" = String, Path, description = "CAIP-10"),
        ("panel" = String, Path, description = "0x and 64 digits")),
    responses(
        (status = 200, description = "Both", body = PublishedView),
        (status = 401, description = "Sign in first", content_type = "application/problem+json"),
        (status = 404, description = "No vote has decided one, or you may not read the community", content_type = "application/problem+json"),
        (status = 503, description = "The indexer cannot be asked", content_type = "application/problem+json"),
    ))]
async fn published_list(
    State(hub): State<Hub>,
    // Each answer costs the indexer up to two: whoever asks has an account.
    _caller: Caller,
    reader: Reader,
    Path((id, arbiter, panel)): Path<(RecordId, AccountId, B256)>,
) -> Result<Json<PublishedView>, Problem> {
    let found = {
        let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
        readable(&mut on, &reader, id, (&arbiter, &panel)).await?
    };
    let seen = hub.indexers.pool(arbiter, panel).await.map_err(Error::from)?;
    let seen = seen.ok_or_else(|| Problem::not_found("pool", panel))?;
    let (mut digest, mut holds) = (None, false);
    let newest = seen.pool.lists.last();
    // A longer list is none that a vote decides, and larger than what the hub takes from an indexer.
    let short = newest.filter(|newest| usize::try_from(newest.size).is_ok_and(|size| size <= LIST_MAX));
    if let Some(newest) = short {
        let members = read_members(&hub, &PoolBody { arbiter, panel }, newest.list).await?;
        digest = Some(arbitration::list_digest(&members));
        holds = members == found.members;
    }
    let now = u64::try_from(hub.clock.now_ms().div_euclid(1_000)).unwrap_or(0);
    Ok(Json(PublishedView {
        decision: decision(&found),
        holds,
        list: newest.map(|newest| newest.list),
        size: newest.map_or(0, |newest| i64::from(newest.size)),
        digest,
        effective_at: newest.map(|newest| newest.effective_at),
        before: before(&seen.pool.lists, now).take(BEFORE_MAX).map(earlier).collect(),
        finality: seen.finality,
    }))
}
