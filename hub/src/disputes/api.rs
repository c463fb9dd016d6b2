//! `GET /v1/purchases/{id}/case`, and `GET /v1/cases` for those who sit in some.

use alloy::primitives::{Address, B256};
use axum::extract::State;
use protocol::{
    caip::AccountId,
    wire::{
        dec,
        feed::{ChainEvent, EventBody, Finality},
        intent::SignedBallot,
    },
};
use serde::{Deserialize, Serialize};
use service::http::{Json, Path, Problem, Query};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    case::{self, Stage},
    model::BallotBody,
    room, store,
};
use crate::{
    Hub,
    access::Reader,
    deals::{
        api::{Standing, standing},
        store as purchases,
    },
    error::Error,
    identity,
    page::{Cursor, Page},
    records::RecordId,
};

/// A dispute, by final events, as much of it as the reader may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CaseView {
    /// The purchase in dispute.
    #[schema(value_type = String)]
    pub purchase: RecordId,
    /// Its deal.
    #[schema(value_type = String)]
    pub deal: B256,
    /// The contract that rules.
    #[schema(value_type = String)]
    pub arbiter: AccountId,
    /// The pool that hears it.
    #[schema(value_type = String)]
    pub pool: B256,
    /// How far it is.
    pub stage: Stage,
    /// Unix seconds.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub disputed_at: u64,
    /// Unix seconds; a ballot after it is refused.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub voting_closes_at: u64,
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// 0 is the first jury of the instance.
    pub jury: u8,
    /// What a ballot is bound to, once the jury is drawn.
    #[schema(value_type = Option<String>)]
    pub case_id: Option<B256>,
    /// The seed of the draw: with the pool's list, anyone can draw again.
    #[schema(value_type = Option<String>)]
    pub seed: Option<B256>,
    /// The jurors, and who of them has voted.
    pub seats: Vec<SeatView>,
    /// All ballots known, once every seat has voted or voting has closed. Before that none but those cast on chain.
    pub ballots: Option<Vec<BallotView>>,
    /// The lowest share that these ballots still allow, in basis points; the ruling when it equals `hi`.
    pub lo: Option<u16>,
    /// The highest.
    pub hi: Option<u16>,
    /// The ruling that the chain accepted, in basis points.
    pub ruling: Option<u16>,
    /// What the parties show; none for those who are neither party nor juror.
    pub evidence: Option<Vec<EvidenceView>>,
}

/// A seat of the jury.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SeatView {
    /// Its index.
    pub seat: u8,
    /// Who sits there.
    #[schema(value_type = String)]
    pub juror: Address,
    /// Whether a ballot is in.
    pub voted: bool,
}

/// A ballot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BallotView {
    /// The seat.
    pub seat: u8,
    /// The seller's share in basis points.
    pub share: u16,
    /// The written reason; none when only its hash is known.
    pub reason: Option<String>,
    /// As the arbiter takes it, for anyone to hand in; none for a ballot that was cast on chain.
    #[schema(value_type = Option<Object>)]
    pub signed: Option<SignedBallot>,
}

/// Something that a party shows, here or on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EvidenceView {
    /// The `evidence@1`, where it was shown here.
    #[schema(value_type = Option<String>)]
    pub record: Option<RecordId>,
    /// The chain's event, where it was shown there.
    #[schema(value_type = Option<String>)]
    pub event: Option<B256>,
    /// The party's account, where it was shown here.
    #[schema(value_type = Option<String>)]
    pub author: Option<RecordId>,
    /// The party's wallet, where it was shown on chain.
    #[schema(value_type = Option<String>)]
    pub wallet: Option<Address>,
    /// SHA-256 of what is shown.
    #[schema(value_type = String)]
    pub hash: B256,
    /// Where it can be had.
    pub uri: String,
    /// What it shows.
    pub note: String,
    /// Unix seconds.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub at: u64,
}

/// A case in which the reader sits.
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
    /// The reader's seats.
    pub seats: Vec<SeatView>,
    /// Unix seconds; a ballot after it is refused.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub voting_closes_at: u64,
}

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(case)).routes(routes!(cases))
}

fn from_chain(event: &ChainEvent) -> Option<EvidenceView> {
    let (by, hash, uri) = match &event.body {
        EventBody::Disputed { by, evidence, .. } if !evidence.is_zero() => (by, evidence, ""),
        EventBody::Evidence { by, evidence, uri, .. } => (by, evidence, uri.as_str()),
        _ => return None,
    };
    Some(EvidenceView {
        record: None,
        event: Some(event.id),
        author: None,
        wallet: Some(*by),
        hash: *hash,
        uri: uri.to_owned(),
        note: String::new(),
        at: event.block_time,
    })
}

fn seats(held: &store::Held, voted: &std::collections::BTreeSet<u8>) -> Vec<SeatView> {
    (0..)
        .zip(&held.case.seats)
        .map(|(seat, juror)| SeatView { seat, juror: *juror, voted: voted.contains(&seat) })
        .collect()
}

/// The case of a disputed purchase.
#[utoipa::path(get, path = "/v1/purchases/{id}/case", tag = "disputes", params(("id" = String, Path)), responses(
    (status = 200, description = "The case", body = CaseView),
    (status = 404, description = "There is none, or you may not read it", content_type = "application/problem+json"),
))]
async fn case(
    State(hub): State<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
) -> Result<Json<CaseView>, Problem> {
    let missing = || Problem::not_found("case of purchase", id);
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let purchase = purchases::by_id(&mut on, &id).await?.ok_or_else(missing)?;
    let events = purchases::events(&mut on, purchase.deal).await?;
    let standing = standing(&mut on, &reader, &purchase, &events).await?.ok_or_else(missing)?;
    let held = store::case(&mut on, purchase.deal).await?.ok_or_else(missing)?;
    let voted = room::voted(&mut on, &held).await?;
    let now = u64::try_from(hub.clock.now_ms().div_euclid(1000)).unwrap_or_default();
    let case = &held.case;
    let revealed = case::revealed(case, &voted, held.closes_at, now);
    let signed = if revealed { store::ballots(&mut on, &held).await? } else { Default::default() };
    let cast = case.cast.iter().map(|(seat, cast)| BallotView {
        seat: *seat,
        share: cast.share,
        reason: None,
        signed: None,
    });
    let counted = signed.values().filter(|ballot| !case.cast.contains_key(&ballot.seat));
    let mut ballots: Vec<BallotView> = cast.chain(counted.map(ballot_view)).collect();
    ballots.sort_by_key(|ballot| ballot.seat);
    let shares = signed.values().map(|ballot| (ballot.seat, ballot.share));
    let bounds = (revealed && !case.seats.is_empty()).then(|| case::bounds(case, shares));
    let evidence = match standing {
        Standing::Public => None,
        Standing::Party | Standing::Juror => {
            let here = store::evidence(&mut on, held.deal).await?.into_iter().map(|shown| EvidenceView {
                record: Some(shown.id),
                event: None,
                author: Some(shown.author),
                wallet: None,
                hash: shown.body.hash,
                uri: shown.body.uri,
                note: shown.body.note,
                at: u64::try_from(shown.created.ms().div_euclid(1000)).unwrap_or_default(),
            });
            let finals = events.iter().filter(|(finality, _)| *finality == Finality::Final);
            let mut all: Vec<_> = here.chain(finals.filter_map(|(_, event)| from_chain(event))).collect();
            all.sort_by_key(|shown| shown.at);
            Some(all)
        }
    };
    Ok(Json(CaseView {
        purchase: held.purchase,
        deal: held.deal,
        arbiter: purchase.terms.arbiter,
        pool: case.pool,
        stage: case.stage,
        disputed_at: case.disputed_at,
        voting_closes_at: held.closes_at,
        instance: case.instance,
        jury: case.jury,
        case_id: case.id(held.deal, &purchase.terms),
        seed: case.seed,
        seats: seats(&held, &voted),
        ballots: (revealed || !ballots.is_empty()).then_some(ballots),
        lo: bounds.map(|bounds| bounds.lo),
        hi: bounds.map(|bounds| bounds.hi),
        ruling: case.ruling,
        evidence,
    }))
}

fn ballot_view(ballot: &BallotBody) -> BallotView {
    BallotView {
        seat: ballot.seat,
        share: ballot.share,
        reason: Some(ballot.reason.clone()),
        signed: Some(ballot.signed()),
    }
}

/// The cases in which you have a seat, the newest dispute first.
#[utoipa::path(get, path = "/v1/cases", tag = "disputes",
    params(("limit" = Option<u32>, Query, description = "1 to 100; 50 when missing")),
    responses(
        (status = 200, description = "At most `limit`", body = Page<DutyView>),
        (status = 401, description = "Sign in first", content_type = "application/problem+json"),
    ))]
async fn cases(
    State(hub): State<Hub>,
    reader: Reader,
    Query(cursor): Query<Cursor>,
) -> Result<Json<Page<DutyView>>, Problem> {
    let account =
        reader.account.ok_or_else(|| Problem::unauthenticated("cases are shown to their jurors"))?;
    let limit = cursor.limit()?;
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let wallets: Vec<Address> =
        identity::wallets_of(&mut on, &account).await?.into_iter().map(|wallet| wallet.address).collect();
    let mut items = Vec::new();
    for held in store::cases_of(&mut on, &wallets, limit).await? {
        let voted = room::voted(&mut on, &held).await?;
        let ours = seats(&held, &voted).into_iter().filter(|seat| wallets.contains(&seat.juror));
        items.push(DutyView {
            purchase: held.purchase,
            deal: held.deal,
            stage: held.case.stage,
            seats: ours.collect(),
            voting_closes_at: held.closes_at,
        });
    }
    Ok(Json(Page::new(items, None)))
}
