//! What `submit` asks of this room, and what follows from the chain's events and from moments that have come.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use protocol::wire::{feed::Finality, intent::IntentAction};
use serde::{Deserialize, Serialize};
use service::db::Write;
use sqlx::AnyConnection;

use super::{
    case::{self, Stage},
    model::{self, BallotBody, EvidenceBody, Voting, What},
    store::{self, Due, Held},
};
use crate::{
    access::Audience,
    communities,
    deals::{
        intents,
        status::Status,
        store::{self as purchases, Purchase, corrupt},
    },
    error::{Error, Refusal},
    identity, outbox,
    records::{Accepted, Draft, Record},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &["cases", "seats", "evidence", "ballots", "due"];
/// The most pieces of evidence of one party in one case.
const EVIDENCE_MAX: i64 = 100;

/// `due@1`: the hub says that a moment has come, so that a replay of the log needs no clock.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DueBody {
    pub what: What,
    pub instance: u8,
    pub jury: u8,
}

impl From<model::Refusal> for Refusal {
    fn from(refused: model::Refusal) -> Self {
        let (rule, field, detail) = (refused.rule(), refused.field(), refused.to_string());
        match refused {
            model::Refusal::NotParty | model::Refusal::NotJuror { .. } => Self::access(rule, field, detail),
            model::Refusal::NotDisputed
            | model::Refusal::NotDrawn
            | model::Refusal::VotingClosed(_)
            | model::Refusal::SecondBallot(_) => Self::conflict(rule, field, detail),
            _ => Self::rule(rule, field, detail),
        }
    }
}

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    record.about()?;
    match record.kind.as_str() {
        "evidence@1" => drop(record.body_as::<EvidenceBody>()?),
        "ballot@1" => {
            record.body_as::<BallotBody>()?;
            // The record itself must not tell what the case keeps hidden until all have voted.
            if record.audience != [Audience::Account(record.account())] {
                let told = "a ballot is shown by its case when voting is over: name only yourself, account:<your id>";
                return Err(Refusal::schema("ballot_audience", "/audience", told));
            }
        }
        _ => drop(record.body_as::<DueBody>()?),
    }
    Ok(())
}

pub(crate) async fn apply(write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    match accepted.record.kind.as_str() {
        "evidence@1" => show(write.on(), accepted).await?,
        "ballot@1" => vote(write.on(), accepted).await?,
        _ => come(write.on(), accepted).await?,
    }
    Ok(Vec::new())
}

/// Unix seconds.
fn seconds(ms: i64) -> u64 {
    u64::try_from(ms.div_euclid(1000)).unwrap_or_default()
}

async fn purchase(on: &mut AnyConnection, record: &Record) -> Result<Purchase, Error> {
    let about = record.about()?;
    purchases::by_id(on, &about)
        .await?
        .ok_or_else(|| Refusal::rule("no_purchase", "/about", format!("there is no purchase {about}")).into())
}

/// Who is told of what happens in a case: the parties. Jurors ask.
async fn tell(on: &mut AnyConnection, purchase: &Purchase, what: &'static str) -> Result<(), Error> {
    let data = serde_json::json!({ "purchase": purchase.id, "deal": purchase.deal, "what": what });
    outbox::append(on, "case", &purchase.parties(), &data).await
}

async fn show(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let purchase = purchase(on, &accepted.record).await?;
    let body: EvidenceBody = accepted.record.body_as()?;
    let disputed = purchase.position.status == Status::Disputed;
    let author = accepted.record.account();
    model::check_evidence(&body, disputed, purchase.is_party(&author)).map_err(Refusal::from)?;
    if store::evidence_count(on, purchase.deal, &author).await? >= EVIDENCE_MAX {
        let told = format!("a party may show {EVIDENCE_MAX} pieces in a case");
        return Err(Refusal::conflict("too_much_evidence", "/about", told).into());
    }
    store::add_evidence(on, purchase.deal, &body, accepted).await?;
    tell(on, &purchase, "evidence").await
}

/// Seats that have voted, here or on chain.
pub(super) async fn voted(on: &mut AnyConnection, held: &Held) -> Result<BTreeSet<u8>, Error> {
    let signed = store::ballots(on, held).await?;
    Ok(signed.into_keys().chain(held.case.cast.keys().copied()).collect())
}

async fn vote(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let record = &accepted.record;
    let purchase = purchase(on, record).await?;
    let body: BallotBody = record.body_as()?;
    let disputed = purchase.position.status == Status::Disputed;
    let held = store::case(on, purchase.deal).await?.filter(|_| disputed);
    let voted = match &held {
        Some(held) => voted(on, held).await?,
        None => BTreeSet::new(),
    };
    let wallets = identity::wallets_of(on, &record.account()).await?;
    let voting = Voting {
        case: held.as_ref().map(|held| &held.case),
        deal: purchase.deal,
        terms: &purchase.terms,
        closes_at: held.as_ref().map_or(0, |held| held.closes_at),
        voted: &voted,
        wallets: &wallets,
        now: seconds(accepted.received_at),
    };
    model::check_ballot(&body, &voting).map_err(Refusal::from)?;
    let held = held.ok_or_else(|| Refusal::from(model::Refusal::NotDisputed))?;
    store::add_ballot(on, &held, &body, accepted).await?;
    tell(on, &purchase, "ballot").await?;
    hand_in(on, &purchase, &held, accepted.received_at).await
}

/// Once the ballots may be shown, they are handed in: the signed ones of seats that did not vote on chain.
async fn hand_in(on: &mut AnyConnection, purchase: &Purchase, held: &Held, now: i64) -> Result<(), Error> {
    let voted = voted(on, held).await?;
    if held.case.stage != Stage::Drawn || !case::revealed(&held.case, &voted, held.closes_at, seconds(now)) {
        return Ok(());
    }
    let signed = store::ballots(on, held).await?;
    let ballots: Vec<_> = signed
        .values()
        .filter(|ballot| !held.case.cast.contains_key(&ballot.seat))
        .map(BallotBody::signed)
        .collect();
    if ballots.is_empty() {
        return Ok(());
    }
    let key = format!("ballots/{}/{}/{}", held.deal, held.case.instance, held.case.jury);
    let action = IntentAction::SubmitBallots { jury: held.case.jury, ballots };
    publish(on, purchase, held, &key, action).await
}

async fn publish(
    on: &mut AnyConnection,
    purchase: &Purchase,
    held: &Held,
    key: &str,
    action: IntentAction,
) -> Result<(), Error> {
    // The arbiter and the escrow take nothing later.
    let deadline = held.case.disputed_at.saturating_add(purchase.terms.ruling.into());
    intents::publish(on, key, held.deal, &purchase.terms, action, deadline).await
}

/// What a `chain-event@1` means for the case of its deal, after the deal itself has moved.
pub(crate) async fn follow(write: &mut Write, accepted: &Accepted) -> Result<(), Error> {
    let on = write.on();
    let purchase = purchase(on, &accepted.record).await?;
    let Some(disputed_at) = purchase.position.disputed_at else { return Ok(()) };
    let terms = &purchase.terms;
    let Some(pool) = communities::pool(on, &terms.arbiter, &terms.panel).await? else {
        return Err(corrupt(format_args!("purchase {} names an unknown pool", purchase.id)));
    };
    let events = purchases::events(on, purchase.deal).await?;
    let finals = events.iter().filter(|(finality, _)| *finality == Finality::Final);
    let (case, waits) = case::fold(terms, disputed_at, finals.map(|(_, event)| event));
    if let Some((event, refused)) = waits {
        tracing::warn!(deal = %purchase.deal, %event, %refused, "the case's events wait for one that is missing");
    }
    let held = Held {
        purchase: purchase.id,
        deal: purchase.deal,
        case,
        closes_at: case::voting_closes_at(disputed_at, &pool.facts.book),
    };
    store::put_case(on, &held, accepted.received_at).await?;
    if purchase.position.status != Status::Disputed {
        return store::forget_all(on, held.deal).await;
    }
    let (instance, jury) = (held.case.instance, held.case.jury);
    let due = |what| Due { deal: held.deal, what, instance, jury };
    match held.case.stage {
        Stage::Disputed => {
            publish(on, &purchase, &held, &format!("open/{}", held.deal), IntentAction::OpenCase).await
        }
        Stage::Opened => {
            let key = format!("draw/{}/{instance}/{jury}", held.deal);
            publish(on, &purchase, &held, &key, IntentAction::DrawJury).await
        }
        Stage::Drawn => {
            let closed = held.closes_at.saturating_add(1).saturating_mul(1000);
            store::remember(on, &due(What::SubmitBallots), i64::try_from(closed).map_err(corrupt)?).await?;
            hand_in(on, &purchase, &held, accepted.received_at).await
        }
        Stage::Accepted => {
            let accepted_at = held.case.accepted_at.unwrap_or(disputed_at);
            let ready = accepted_at.saturating_add(pool.facts.book.appeal.into()).saturating_mul(1000);
            store::remember(on, &due(What::ExecuteRuling), i64::try_from(ready).map_err(corrupt)?).await
        }
        Stage::Executed => store::forget_all(on, held.deal).await,
    }
}

/// A moment has come.
async fn come(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let purchase = purchase(on, &accepted.record).await?;
    let DueBody { what, instance, jury } = accepted.record.body_as()?;
    let deal: B256 = purchase.deal;
    // Two processes may both have seen that it came; the second finds nothing to do.
    if !store::forget(on, &Due { deal, what, instance, jury }).await? {
        return Ok(());
    }
    let Some(held) = store::case(on, deal).await? else { return Ok(()) };
    if purchase.position.status != Status::Disputed
        || (held.case.instance, held.case.jury) != (instance, jury)
    {
        return Ok(());
    }
    match what {
        What::SubmitBallots => hand_in(on, &purchase, &held, accepted.received_at).await,
        // An execution that is seen but not final may still be taken back: then the case is followed anew.
        What::ExecuteRuling if held.case.stage == Stage::Accepted && purchase.provisional.is_none() => {
            publish(on, &purchase, &held, &format!("execute/{deal}"), IntentAction::ExecuteRuling).await
        }
        What::ExecuteRuling => Ok(()),
    }
}
