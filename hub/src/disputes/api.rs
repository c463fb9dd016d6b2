//! `GET /v1/purchases/{id}/case`.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use axum::{extract::State, http::HeaderMap, response::Response};
use protocol::{
    chain::{AccountId, Address, ChainId},
    wire::{
        dec,
        feed::{ChainEvent, EventBody},
        intent::SignedBallot,
    },
};
use serde::{Deserialize, Serialize};
use service::http::{Path, Problem};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    case::{Case, Jury, Ruling, Stage},
    duties,
    model::BallotBody,
    moments::{Heard, Rules, What},
    room::{self, Ballots},
    store,
};
use crate::{
    Hub,
    access::Reader,
    deals::{
        api::{Standing, standing},
        events,
        status::Status,
        store::{self as purchases, Purchase},
    },
    error::Error,
    etag::tagged,
    records::RecordId,
};

/// How much of what a party has shown on the chain is told: the first of it. It may show more there, for nothing but the price of
/// a transaction.
const SHOWN_MAX: i64 = 200;

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
    /// How far it is.
    pub stage: Stage,
    /// Unix seconds.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub disputed_at: u64,
    /// The last Unix second in which the escrow takes a ruling; afterwards anyone closes the deal by its lapse_share.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub deadline: u64,
    /// The juries in the order of their opening. The last one is of the instance that hears the case now.
    pub juries: Vec<JuryView>,
    /// The rulings that the chain accepted; the second one is the appeal's.
    pub rulings: Vec<RulingView>,
    /// The ruling that stands, in basis points; none while an appeal is heard.
    pub ruling: Option<u16>,
    /// The party that appealed.
    #[schema(value_type = Option<String>)]
    pub appealed_by: Option<Address>,
    /// What may be done next; nothing once the escrow has the ruling.
    pub next: Vec<NextView>,
    /// What the parties show; of what each shows on the chain the first 200 pieces. None for those who are neither party nor juror.
    pub evidence: Option<Vec<EvidenceView>>,
}

/// A jury.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JuryView {
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// 0 is the first jury of the instance, 1 the second.
    pub jury: u8,
    /// The pool, once the jury is drawn.
    #[schema(value_type = Option<String>)]
    pub pool: Option<B256>,
    /// What a ballot is bound to, once the jury is drawn.
    #[schema(value_type = Option<String>)]
    pub case_id: Option<B256>,
    /// The seed of the draw: with the pool's list, anyone can draw again.
    #[schema(value_type = Option<String>)]
    pub seed: Option<B256>,
    /// Unix seconds; from the next on the ballots that are there are shown and handed in.
    #[serde(with = "dec::optional")]
    #[schema(value_type = Option<String>)]
    pub voting_closes_at: Option<u64>,
    /// Unix seconds; a ballot after it is refused. One that comes between the two is handed in at once.
    #[serde(with = "dec::optional")]
    #[schema(value_type = Option<String>)]
    pub ends_at: Option<u64>,
    /// The jurors, and who of them has voted.
    pub seats: Vec<SeatView>,
    /// All ballots known, once every seat has voted or voting has closed. Before that none but those cast on chain.
    pub ballots: Option<Vec<BallotView>>,
    /// The lowest share that these ballots still allow, in basis points; the ruling when it equals `hi`.
    pub lo: Option<u16>,
    /// The highest.
    pub hi: Option<u16>,
}

/// A ruling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RulingView {
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// The seller's share in basis points.
    pub share: u16,
    /// Unix seconds of the block that says so.
    #[serde(with = "dec")]
    #[schema(value_type = String)]
    pub accepted_at: u64,
    /// The last Unix second in which it can be appealed; none when it cannot.
    #[serde(with = "dec::optional")]
    #[schema(value_type = Option<String>)]
    pub appeal_until: Option<u64>,
}

/// What may be done in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NextView {
    /// `vote` is for the jurors, `appeal` for the parties; the rest is for anyone, and this hub asks for it itself but for
    /// `lapse`.
    pub what: Next,
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// 0 or 1 of that instance.
    pub jury: u8,
    /// Unix seconds; none: now.
    #[serde(with = "dec::optional")]
    #[schema(value_type = Option<String>)]
    pub from: Option<u64>,
    /// The last Unix second; none: without an end.
    #[serde(with = "dec::optional")]
    #[schema(value_type = Option<String>)]
    pub until: Option<u64>,
}

/// A step of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Open the case.
    OpenCase,
    /// Draw the jury.
    DrawJury,
    /// Vote.
    Vote,
    /// Hand in signed ballots.
    SubmitBallots,
    /// Open the second jury.
    OpenSecondJury,
    /// Speak the last word.
    Conclude,
    /// Bring the ruling before the parent pool.
    Appeal,
    /// Tell the escrow the ruling.
    ExecuteRuling,
    /// Close the deal by its lapse_share.
    Lapse,
}

impl From<What> for Next {
    fn from(what: What) -> Self {
        match what {
            What::OpenCase => Self::OpenCase,
            What::DrawJury => Self::DrawJury,
            What::SubmitBallots => Self::SubmitBallots,
            What::OpenSecondJury => Self::OpenSecondJury,
            What::Conclude => Self::Conclude,
            What::ExecuteRuling => Self::ExecuteRuling,
        }
    }
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
    /// Whether the juror has stepped aside here; the chain does not know it and counts the seat as absent.
    pub recused: bool,
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

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(case)).merge(duties::routes())
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

pub(super) fn seats(
    jury: &Jury,
    voted: &BTreeSet<u8>,
    (chain, gone): (ChainId, &BTreeSet<AccountId>),
) -> Vec<SeatView> {
    let recused = |juror: Address| gone.contains(&AccountId { chain, address: juror });
    (0..)
        .zip(&jury.seats)
        .map(|(seat, juror)| SeatView {
            seat,
            juror: *juror,
            voted: voted.contains(&seat),
            recused: recused(*juror),
        })
        .collect()
}

/// A jury with as many of its ballots as may be shown now.
fn jury_view(
    rules: &Rules<'_>,
    purchase: &Purchase,
    (case, jury): (&Case, &Jury),
    (ballots, gone): (&Ballots, &BTreeSet<AccountId>),
    now: u64,
) -> JuryView {
    let revealed = rules.revealed(case, jury, ballots.heard(jury), now);
    let cast = jury.cast.iter().map(|(seat, cast)| BallotView {
        seat: *seat,
        share: cast.share,
        reason: None,
        signed: None,
    });
    let signed = ballots.signed.values().map(|(ballot, _)| ballot);
    let counted = signed.filter(|ballot| revealed && !jury.cast.contains_key(&ballot.seat));
    let mut shown: Vec<BallotView> = cast.chain(counted.map(ballot_view)).collect();
    shown.sort_by_key(|ballot| ballot.seat);
    let bounds = (revealed && !jury.seats.is_empty()).then(|| jury.bounds(ballots.shares()));
    JuryView {
        instance: jury.instance,
        jury: jury.jury,
        pool: jury.pool,
        case_id: jury.id(purchase.deal, &purchase.terms),
        seed: jury.seed,
        voting_closes_at: rules.closes_at(case, jury),
        ends_at: rules.ends_at(case, jury),
        seats: seats(jury, &ballots.voted, (purchase.terms.arbiter.chain, gone)),
        ballots: (revealed || !shown.is_empty()).then_some(shown),
        lo: bounds.map(|bounds| bounds.lo),
        hi: bounds.map(|bounds| bounds.hi),
    }
}

fn ruling_view(ruling: &Ruling) -> RulingView {
    let Ruling { instance, share, accepted_at, .. } = *ruling;
    RulingView { instance, share, accepted_at, appeal_until: ruling.appeal_until() }
}

/// What may be done in the case of a deal that is still disputed.
fn next(rules: &Rules<'_>, case: &Case, heard: &[Heard], now: u64) -> Vec<NextView> {
    let mut all = Vec::new();
    let instance = case.instance();
    if matches!(case.stage, Stage::Drawn | Stage::Widened) {
        for jury in [0, 1] {
            let until = case.drawn(jury).and_then(|drawn| rules.ends_at(case, drawn));
            if until.is_some() {
                all.push(NextView { what: Next::Vote, instance, jury, from: None, until });
            }
        }
    }
    if let Some(until) =
        case.ruling().and_then(Ruling::appeal_until).filter(|_| case.stage == Stage::Accepted)
    {
        all.push(NextView { what: Next::Appeal, instance, jury: 0, from: None, until: Some(until) });
    }
    all.extend(rules.moments(case, heard).into_iter().map(|moment| NextView {
        what: moment.what.into(),
        instance: moment.instance,
        jury: moment.jury,
        from: Some(moment.from).filter(|from| *from > now),
        until: Some(moment.until),
    }));
    all.retain(|one| one.until.is_none_or(|until| until >= now));
    if case.stage != Stage::Executed {
        let after = rules.deadline(case).saturating_add(1);
        let from = Some(after).filter(|from| *from > now);
        all.push(NextView { what: Next::Lapse, instance, jury: 0, from, until: None });
    }
    all
}

async fn evidence(
    on: &mut AnyConnection,
    held: &store::Held,
    purchase: &Purchase,
) -> Result<Vec<EvidenceView>, Error> {
    let here = store::evidence(on, held.deal).await?.into_iter().map(|shown| EvidenceView {
        record: Some(shown.id),
        event: None,
        author: Some(shown.author),
        wallet: None,
        hash: shown.body.hash,
        uri: shown.body.uri,
        note: shown.body.note,
        at: u64::try_from(shown.created.ms().div_euclid(1000)).unwrap_or_default(),
    });
    let mut all: Vec<_> = here.collect();
    for party in [purchase.terms.buyer, purchase.terms.seller] {
        for name in ["Disputed", "Evidence"] {
            let shown = events::shown_by(on, held.deal, (&party.address, name), SHOWN_MAX).await?;
            all.extend(shown.iter().filter_map(from_chain));
        }
    }
    all.sort_by_key(|shown| shown.at);
    Ok(all)
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
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("case of purchase", id);
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let purchase = purchases::by_id(&mut on, &id).await?.ok_or_else(missing)?;
    let standing = standing(&mut on, &reader, &purchase).await?.ok_or_else(missing)?;
    let held = store::case(&mut on, purchase.deal).await?.ok_or_else(missing)?;
    let pool = room::pool_of(&mut on, &purchase).await?;
    let rules = room::rules(&pool, &purchase);
    let now = u64::try_from(hub.clock.now_ms().div_euclid(1000)).unwrap_or_default();
    let case = &held.case;
    let gone = store::recused(&mut on, held.deal).await?;
    let (mut juries, mut heard) = (Vec::new(), Vec::new());
    for jury in &case.juries {
        let ballots = Ballots::of(&mut on, held.deal, jury).await?;
        heard.push(ballots.heard(jury));
        juries.push(jury_view(&rules, &purchase, (case, jury), (&ballots, &gone), now));
    }
    let evidence = match standing {
        Standing::Public => None,
        Standing::Party | Standing::Juror => Some(evidence(&mut on, &held, &purchase).await?),
    };
    let disputed = purchase.position.status == Status::Disputed;
    let view = CaseView {
        purchase: held.purchase,
        deal: held.deal,
        arbiter: purchase.terms.arbiter,
        stage: case.stage,
        disputed_at: case.disputed_at,
        deadline: rules.deadline(case),
        juries,
        rulings: case.rulings.iter().map(ruling_view).collect(),
        ruling: case.ruling().map(|ruling| ruling.share),
        appealed_by: case.appealed_by,
        next: if disputed { next(&rules, case, &heard, now) } else { Vec::new() },
        evidence,
    };
    Ok(tagged(&headers, &view)?)
}

fn ballot_view(ballot: &BallotBody) -> BallotView {
    BallotView {
        seat: ballot.seat,
        share: ballot.share,
        reason: Some(ballot.reason.clone()),
        signed: Some(ballot.signed()),
    }
}
