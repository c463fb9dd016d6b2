//! `GET /v1/communities`, `GET /v1/communities/{id}` and its `/members`, `GET /v1/invitations`, `GET /v1/pools`, `GET /v1/pools/{arbiter}/{panel}`.

use alloy::primitives::B256;
use axum::{extract::State, http::HeaderMap, response::Response};
use protocol::{
    chain::{AccountId, Address},
    wire::dec,
    wire::feed::RuleBook,
};
use serde::{Deserialize, Serialize};
use service::http::{Json, Path, Problem};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    lists::{self, DecisionView},
    model::{SaidBy, Scope, Waiting, waits_since},
    pools::{self, Pool},
    store::{self, Community, Invitation},
};
use crate::{
    Hub,
    access::{Caller, Reader, Role, may_read},
    did,
    error::Error,
    etag::tagged,
    page::{self, Cursor, Everything, Page, Paged, Pair},
    records::{RecordId, Stamp},
};

/// How many members a community is shown with.
const MEMBERS_MAX: i64 = 1000;

/// A community as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CommunityView {
    /// The id of its `community@1`.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// Its did:web; where strangers may read the community, the document is at `/communities/{id}/did.json`.
    pub did: String,
    /// Its name.
    pub name: String,
    /// Since when.
    #[schema(value_type = String)]
    pub created: Stamp,
    /// Who belongs to it, oldest first, at most 1,000: `GET /v1/communities/{id}/members` has all; none in a list.
    pub members: Option<Vec<MemberView>>,
}

/// Somebody who belongs to a community.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MemberView {
    /// Who.
    #[schema(value_type = String)]
    pub account: RecordId,
    /// As what.
    pub role: Role,
    /// Since when.
    #[schema(value_type = String)]
    pub since: Stamp,
}

/// A membership that waits for the other side's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InvitationView {
    /// Of which community.
    #[schema(value_type = String)]
    pub community: RecordId,
    /// Whose.
    #[schema(value_type = String)]
    pub account: RecordId,
    /// As what.
    pub role: Role,
    /// Who has said so: `account` waits for a steward or a vote, `steward` and `vote` for the account.
    pub said_by: SaidBy,
    /// Since when.
    #[schema(value_type = String)]
    pub since: Stamp,
}

/// A pool as the chain had it when a `pool@1` was last taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PoolView {
    /// CAIP-10.
    #[schema(value_type = String)]
    pub arbiter: AccountId,
    /// The hash of the rule book.
    #[schema(value_type = String)]
    pub panel: B256,
    /// Its immutable rules.
    #[schema(value_type = Object)]
    pub book: RuleBook,
    /// Seconds from a dispute to the latest execution of a ruling.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub worst_case: u64,
    /// Whether it serves everyone.
    pub public: bool,
    /// Which communities it serves.
    #[schema(value_type = Vec<String>)]
    pub communities: Vec<RecordId>,
    /// How many wallets are on its newest list.
    pub size: u32,
    /// The newest list; none in a list of pools.
    #[schema(value_type = Option<Vec<String>>)]
    pub members: Option<Vec<Address>>,
    /// What votes of communities to which you belong have decided of its next list, the oldest decision first, at most 100; none
    /// in a list of pools.
    pub decided: Option<Vec<DecisionView>>,
    /// When the chain was read.
    #[schema(value_type = String)]
    pub read: Stamp,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new()
        .routes(routes!(communities))
        .routes(routes!(community))
        .routes(routes!(members))
        .routes(routes!(invitations))
        .routes(routes!(pools))
        .routes(routes!(pool))
        .merge(lists::api::routes())
}

fn community_view(hub: &Hub, community: Community, members: Option<Vec<MemberView>>) -> CommunityView {
    CommunityView {
        id: community.id,
        did: did::of_community(hub, &community.id),
        name: community.name,
        created: Stamp::from_ms(community.created_at),
        members,
    }
}

fn pool_view(pool: Pool, reader: &Reader, with_members: bool) -> PoolView {
    PoolView {
        arbiter: pool.arbiter,
        panel: pool.panel,
        book: pool.facts.book,
        worst_case: pool.facts.worst_case,
        public: pool.scopes.contains(&Scope::Public),
        communities: pool
            .scopes
            .iter()
            .filter_map(|scope| match scope {
                Scope::Public => None,
                Scope::Community(id) => may_read(reader, &[scope.audience()]).then_some(*id),
            })
            .collect(),
        size: pool.size,
        members: with_members.then_some(pool.facts.members),
        decided: None,
        read: Stamp::from_ms(pool.read_at),
    }
}

/// Communities, oldest first.
#[utoipa::path(get, path = "/v1/communities", tag = "communities", params(Cursor), responses(
    (status = 200, description = "Those that you may read", body = Page<CommunityView>),
))]
async fn communities(
    State(hub): State<Hub>,
    reader: Reader,
    page: Paged,
) -> Result<Json<Page<CommunityView>>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = store::communities(&mut on, &reader, page.place().unwrap_or(0), page.limit).await?;
    let next = page::next(found.len(), page.limit, found.last().map(|community| community.seq));
    let items = found
        .into_iter()
        .filter(|community| may_read(&reader, &community.audience))
        .map(|community| community_view(&hub, community, None))
        .collect();
    Ok(Json(Page::new(items, next)))
}

/// A community and who belongs to it.
#[utoipa::path(get, path = "/v1/communities/{id}", tag = "communities", params(("id" = String, Path)), responses(
    (status = 200, description = "The community", body = CommunityView),
    (status = 404, description = "There is none, or you may not read it", content_type = "application/problem+json"),
))]
async fn community(
    State(hub): State<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = readable(&mut on, &reader, id).await?;
    let members = store::members(&mut on, &id, None, MEMBERS_MAX).await?;
    let members = members.into_iter().map(member_view).collect();
    Ok(tagged(&headers, &community_view(&hub, found, Some(members)))?)
}

async fn readable(on: &mut AnyConnection, reader: &Reader, id: RecordId) -> Result<Community, Problem> {
    let found = store::community(on, &id).await?;
    found
        .filter(|community| may_read(reader, &community.audience))
        .ok_or_else(|| Problem::not_found("community", id))
}

fn member_view((account, role, since): (RecordId, Role, i64)) -> MemberView {
    MemberView { account, role, since: Stamp::from_ms(since) }
}

/// Who belongs to a community, the oldest first.
#[utoipa::path(get, path = "/v1/communities/{id}/members", tag = "communities", params(("id" = String, Path), Cursor), responses(
    (status = 200, description = "Its members", body = Page<MemberView>),
    (status = 404, description = "There is no such community, or you may not read it", content_type = "application/problem+json"),
))]
async fn members(
    State(hub): State<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
    Paged { after, limit, .. }: Paged<Everything, store::MemberPlace>,
) -> Result<Json<Page<MemberView>>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    readable(&mut on, &reader, id).await?;
    let found = store::members(&mut on, &id, after, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(|(account, _, since)| Pair(*since, *account)));
    Ok(Json(Page::new(found.into_iter().map(member_view).collect(), next)))
}

/// Memberships that wait for the other side's word: yours, and those of communities of which you are a steward. The oldest first.
#[utoipa::path(get, path = "/v1/invitations", tag = "communities", params(Cursor), responses(
    (status = 200, description = "What waits", body = Page<InvitationView>),
    (status = 401, description = "Sign in first", content_type = "application/problem+json"),
))]
async fn invitations(
    State(hub): State<Hub>,
    caller: Caller,
    Paged { after, limit, .. }: Paged<Everything, store::WaitingPlace>,
) -> Result<Json<Page<InvitationView>>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let view = |(community, account, Waiting { role, said_by }, since): Invitation| InvitationView {
        community,
        account,
        role,
        said_by,
        since: Stamp::from_ms(since),
    };
    let since = waits_since(hub.clock.now_ms());
    let found = store::invitations(&mut on, &caller.account, since, after, limit).await?;
    let place = |(community, account, _, since): &Invitation| Pair(*since, Pair(*community, *account));
    let next = page::next(found.len(), limit, found.last().map(place));
    Ok(Json(Page::new(found.into_iter().map(view).collect(), next)))
}

/// Pools that serve you, oldest first.
#[utoipa::path(get, path = "/v1/pools", tag = "communities", params(Cursor), responses(
    (status = 200, description = "Public ones and those of your communities", body = Page<PoolView>),
))]
async fn pools(State(hub): State<Hub>, reader: Reader, page: Paged) -> Result<Json<Page<PoolView>>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = pools::pools(&mut on, &reader, page.place().unwrap_or(0), page.limit).await?;
    let next = page::next(found.len(), page.limit, found.last().map(|pool| pool.seq));
    let items = found
        .into_iter()
        .filter(|pool| serves(pool, &reader))
        .map(|pool| pool_view(pool, &reader, false))
        .collect();
    Ok(Json(Page::new(items, next)))
}

/// A pool with its members.
#[utoipa::path(get, path = "/v1/pools/{arbiter}/{panel}", tag = "communities",
    params(("arbiter" = String, Path, description = "CAIP-10"), ("panel" = String, Path, description = "0x and 64 digits")),
    responses(
        (status = 200, description = "The pool", body = PoolView),
        (status = 404, description = "There is none, or it does not serve you", content_type = "application/problem+json"),
    ))]
async fn pool(
    State(hub): State<Hub>,
    reader: Reader,
    Path((arbiter, panel)): Path<(AccountId, B256)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let found = pools::pool(&mut on, &arbiter, &panel)
        .await?
        .filter(|pool| serves(pool, &reader))
        .ok_or_else(|| Problem::not_found("pool", panel))?;
    let decided = lists::api::around(&mut on, &reader, &arbiter, &panel).await?;
    Ok(tagged(&headers, &PoolView { decided: Some(decided), ..pool_view(found, &reader, true) })?)
}

fn serves(pool: &Pool, reader: &Reader) -> bool {
    pool.scopes.iter().any(|scope| may_read(reader, &[scope.audience()]))
}
