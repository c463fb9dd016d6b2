//! `GET /v1/cases`: the juries on which somebody sits.

use alloy::primitives::B256;
use axum::extract::State;
use protocol::{
    chain::{AccountId, Address},
    wire::dec,
};
use serde::{Deserialize, Serialize};
use service::http::{Json, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    api::{SeatView, seats},
    case::Stage,
    room::{self, Ballots},
    store,
};
use crate::{
    Hub,
    access::Caller,
    deals::store as purchases,
    error::Error,
    identity,
    page::{self, Cursor, Everything, Page, Paged},
    records::RecordId,
};

/// A jury on which the reader sits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DutyView {
    /// The purchase in dispute.
    #[schema(value_type = String)]
    pub purchase: RecordId,
    /// Its deal.
    #[schema(value_type = String)]
    pub deal: B256,
    /// How far the case is.
    pub stage: Stage,
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// 0 is the first jury of the instance, 1 the second.
    pub jury: u8,
    /// The reader's seats.
    pub seats: Vec<SeatView>,
    /// Unix seconds; from the next on the ballots that are there are shown and handed in.
    #[serde(with = "dec::optional")]
    #[schema(value_type = Option<String>)]
    pub voting_closes_at: Option<u64>,
    /// Unix seconds; a ballot after it is refused.
    #[serde(with = "dec::optional")]
    #[schema(value_type = Option<String>)]
    pub ends_at: Option<u64>,
}

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(cases))
}

/// The juries on which you sit, the newest dispute first; without the cases in which you have stepped aside.
#[utoipa::path(get, path = "/v1/cases", tag = "disputes",
    params(Cursor),
    responses(
        (status = 200, description = "Those of `limit` cases at the most; a page may be empty and have a next one", body = Page<DutyView>),
        (status = 401, description = "Sign in first", content_type = "application/problem+json"),
    ))]
async fn cases(
    State(hub): State<Hub>,
    caller: Caller,
    Paged { after, limit, .. }: Paged<Everything, store::Place>,
) -> Result<Json<Page<DutyView>>, Problem> {
    let account = caller.account;
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let wallets = identity::wallets_of(&mut on, &account).await?;
    let addresses: Vec<Address> = wallets.iter().map(|wallet| wallet.address).collect();
    let mut items = Vec::new();
    let found = store::cases_of(&mut on, &addresses, after, limit).await?;
    let next = page::next(found.len(), limit, found.last().map(store::Held::place));
    for held in found {
        let Some(purchase) = purchases::by_deal(&mut on, held.deal).await? else { continue };
        let gone = store::recused(&mut on, held.deal).await?;
        if wallets.iter().any(|wallet| gone.contains(wallet)) {
            continue;
        }
        let pool = room::pool_of(&mut on, &purchase).await?;
        let rules = room::rules(&pool, &purchase);
        for jury in held.case.juries.iter().rev() {
            let voted = Ballots::of(&mut on, held.deal, jury).await?.voted;
            // The same address on another chain may be somebody else's contract.
            let chain = purchase.terms.arbiter.chain;
            let mut ours = seats(jury, &voted, (chain, &gone));
            ours.retain(|seat| wallets.contains(&AccountId { chain, address: seat.juror }));
            if !ours.is_empty() {
                items.push(DutyView {
                    purchase: held.purchase,
                    deal: held.deal,
                    stage: held.case.stage,
                    instance: jury.instance,
                    jury: jury.jury,
                    seats: ours,
                    voting_closes_at: rules.closes_at(&held.case, jury),
                    ends_at: rules.ends_at(&held.case, jury),
                });
            }
        }
    }
    Ok(Json(Page::new(items, next)))
}
