//! What `submit` asks of this room, and what follows from the chain's events and from moments that have come.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use protocol::{
    chain::{AccountId, Signed},
    wire::{
        feed::{EventBody, FeedEntry, Finality},
        intent::IntentAction,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::db::Write;
use sqlx::AnyConnection;

use super::{
    case::{self, Case, Jury},
    jurors,
    model::{self, AppealBody, Appealing, BallotBody, EvidenceBody, RecusalBody, Voting},
    moments::{Heard, Moment, Rules, What},
    store::{self, Due, Held},
};
use crate::{
    Hub,
    access::Audience,
    communities,
    deals::{
        events, intents,
        orders::{self, TimeOutBody},
        status::Status,
        store::{self as purchases, Purchase, corrupt},
    },
    error::{Error, Refusal},
    identity, outbox,
    records::{Accepted, Draft, Record},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &["cases", "seats", "evidence", "ballots", "recusals", "due"];
/// The most pieces of evidence of one party in one case.
const EVIDENCE_MAX: i64 = 100;

/// `due@1`: the hub says that a moment has come, so that a replay of the log needs no clock.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DueBody {
    pub what: What,
    pub instance: u8,
    pub jury: u8,
}

/// What a `due@1` is about: a step of a case, or a time-out that a party asked for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Come {
    Step(DueBody),
    TimeOut(TimeOutBody),
}

impl From<model::Refusal> for Refusal {
    fn from(refused: model::Refusal) -> Self {
        let (rule, field, detail) = (refused.rule(), refused.field(), refused.to_string());
        match refused {
            model::Refusal::NotParty | model::Refusal::NotJuror { .. } | model::Refusal::NoSeat => {
                Self::access(rule, field, detail)
            }
            model::Refusal::NotDisputed
            | model::Refusal::NotDrawn(_)
            | model::Refusal::VotingClosed(_)
            | model::Refusal::SecondBallot(_)
            | model::Refusal::NotAccepted
            | model::Refusal::NotAppealable(_)
            | model::Refusal::AppealClosed(_)
            | model::Refusal::AlreadyAppealed
            | model::Refusal::HasVoted(_)
            | model::Refusal::Recused => Self::conflict(rule, field, detail),
            _ => Self::rule(rule, field, detail),
        }
    }
}

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    record.about()?;
    match record.kind.as_str() {
        "evidence@1" => drop(record.body_as::<EvidenceBody>()?),
        "appeal@1" => drop(record.body_as::<AppealBody>()?),
        "recusal@1" => drop(record.body_as::<RecusalBody>()?),
        "ballot@1" => {
            record.body_as::<BallotBody>()?;
            // The record itself must not tell what the case keeps hidden until all have voted.
            if record.audience != [Audience::Account(record.account())] {
                let told = "a ballot is shown by its case when voting is over: name only yourself, account:<your id>";
                return Err(Refusal::schema("ballot_audience", "/audience", told));
            }
        }
        _ => drop(record.body_as::<Come>()?),
    }
    Ok(())
}

/// What a party's contract wallet said of its signature.
#[derive(Serialize, Deserialize)]
struct Asked {
    contract_accepts: bool,
}

pub(crate) async fn prepare(hub: &Hub, record: &Record) -> Result<Value, Error> {
    if record.kind != "appeal@1" {
        return Ok(Value::Null);
    }
    let purchase = purchases::by_id(&mut *hub.db.reader().acquire().await?, &record.about()?).await?;
    let Some(purchase) = purchase else { return Ok(Value::Null) };
    let Some(party) = wallet_of(&purchase, record) else { return Ok(Value::Null) };
    let body: AppealBody = record.body_as()?;
    let digest = match model::appeal_signature(&purchase.terms, purchase.deal, party.address, &body) {
        Ok(Signed::AskContract(digest)) if body.signature.len() <= model::SIGNATURE_MAX => digest,
        // Nothing to ask; the rules say, in their order, what is wrong.
        Ok(_) | Err(_) => return Ok(Value::Null),
    };
    let contract_accepts = identity::contract_accepts(&hub.indexers, party, digest, &body.signature).await?;
    Ok(json!(Asked { contract_accepts }))
}

pub(crate) async fn apply(write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    match accepted.record.kind.as_str() {
        "evidence@1" => show(write.on(), accepted).await?,
        "ballot@1" => vote(write.on(), accepted).await?,
        "appeal@1" => appeal(write.on(), accepted).await?,
        "recusal@1" => jurors::recuse(write.on(), accepted).await?,
        _ => come(write.on(), accepted).await?,
    }
    Ok(Vec::new())
}

/// Unix seconds.
fn seconds(ms: i64) -> u64 {
    u64::try_from(ms.div_euclid(1000)).unwrap_or_default()
}

pub(super) async fn purchase(on: &mut AnyConnection, record: &Record) -> Result<Purchase, Error> {
    let about = record.about()?;
    purchases::by_id(on, &about)
        .await?
        .ok_or_else(|| Refusal::rule("no_purchase", "/about", format!("there is no purchase {about}")).into())
}

/// Who is told of what happens in a case: the parties. Jurors are told of their seats.
pub(super) async fn tell(
    on: &mut AnyConnection,
    purchase: &Purchase,
    what: &'static str,
) -> Result<(), Error> {
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

/// The wallet by which the author is a party of the terms; none when it is not.
fn wallet_of(purchase: &Purchase, record: &Record) -> Option<AccountId> {
    let author = record.account();
    if author == purchase.buyer {
        Some(purchase.terms.buyer)
    } else if author == purchase.seller {
        Some(purchase.terms.seller)
    } else {
        None
    }
}

/// The case of a purchase in dispute.
pub(super) async fn open_case(on: &mut AnyConnection, purchase: &Purchase) -> Result<Option<Held>, Error> {
    let disputed = purchase.position.status == Status::Disputed;
    Ok(store::case(on, purchase.deal).await?.filter(|_| disputed))
}

/// The rule books of the pool that the terms name, and of its parent.
pub(super) async fn pool_of(on: &mut AnyConnection, purchase: &Purchase) -> Result<communities::Pool, Error> {
    let terms = &purchase.terms;
    communities::pool(on, &terms.arbiter, &terms.panel)
        .await?
        .ok_or_else(|| corrupt(format_args!("purchase {} names an unknown pool", purchase.id)))
}

/// By which rules the case of these terms moves.
pub(super) fn rules<'a>(pool: &'a communities::Pool, purchase: &Purchase) -> Rules<'a> {
    Rules { book: &pool.facts.book, parent: pool.facts.parent.as_ref(), ruling: purchase.terms.ruling }
}

/// What is known of a jury's ballots here.
pub(super) struct Ballots {
    /// The signed ones by seat, and whether they are handed in.
    pub signed: std::collections::BTreeMap<u8, (BallotBody, bool)>,
    /// Seats that have voted, here or on chain.
    pub voted: BTreeSet<u8>,
}

impl Ballots {
    pub(super) async fn of(on: &mut AnyConnection, deal: B256, jury: &Jury) -> Result<Self, Error> {
        let signed = store::ballots(on, deal, (jury.instance, jury.jury)).await?;
        let voted = signed.keys().copied().chain(jury.voted()).collect();
        Ok(Self { signed, voted })
    }

    pub(super) fn shares(&self) -> impl Iterator<Item = (u8, u16)> + '_ {
        self.signed.values().map(|(ballot, _)| (ballot.seat, ballot.share))
    }

    pub(super) fn heard(&self, jury: &Jury) -> Heard {
        Heard {
            any: !self.voted.is_empty(),
            all: jury.size() > 0 && (0..jury.size()).all(|seat| self.voted.contains(&seat)),
            determined: jury.size() > 0 && jury.bounds(self.shares()).ruling().is_some(),
        }
    }
}

async fn heard(on: &mut AnyConnection, deal: B256, case: &Case) -> Result<Vec<Heard>, Error> {
    let mut all = Vec::with_capacity(case.juries.len());
    for jury in &case.juries {
        all.push(Ballots::of(on, deal, jury).await?.heard(jury));
    }
    Ok(all)
}

async fn vote(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let record = &accepted.record;
    let purchase = purchase(on, record).await?;
    let body: BallotBody = record.body_as()?;
    let held = open_case(on, &purchase).await?;
    let pool = pool_of(on, &purchase).await?;
    let jury = held.as_ref().and_then(|held| held.case.drawn(body.jury));
    let voted = match jury {
        Some(jury) => Ballots::of(on, purchase.deal, jury).await?.voted,
        None => BTreeSet::new(),
    };
    let wallets = identity::wallets_of(on, &record.account()).await?;
    let recused = jurors::stands_aside(on, purchase.deal, &wallets).await?;
    let ends_at = held
        .as_ref()
        .and_then(|held| rules(&pool, &purchase).ends_at(&held.case, jury.or(held.case.juries.last())?));
    let voting = Voting {
        case: held.as_ref().map(|held| &held.case),
        deal: purchase.deal,
        terms: &purchase.terms,
        ends_at: ends_at.unwrap_or(0),
        voted: &voted,
        wallets: &wallets,
        recused,
        now: seconds(accepted.received_at),
    };
    model::check_ballot(&body, &voting).map_err(Refusal::from)?;
    let held = held.ok_or_else(|| Refusal::from(model::Refusal::NotDisputed))?;
    store::add_ballot(on, &held, &body, accepted).await?;
    tell(on, &purchase, "ballot").await?;
    pursue(on, &purchase, &pool, &held, accepted.received_at).await
}

async fn appeal(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let record = &accepted.record;
    let purchase = purchase(on, record).await?;
    let body: AppealBody = record.body_as()?;
    let held = open_case(on, &purchase).await?;
    let party = wallet_of(&purchase, record);
    let key = party.map(|party| format!("appeal/{}/{}", purchase.deal, party.address));
    let before = match &key {
        Some(key) => intents::known(on, key).await?,
        None => false,
    };
    let appealing = Appealing {
        case: held.as_ref().map(|held| &held.case),
        party,
        before,
        now: seconds(accepted.received_at),
    };
    let party = model::check_appeal(&body, &appealing).map_err(Refusal::from)?;
    let signed = model::appeal_signature(&purchase.terms, purchase.deal, party.address, &body)
        .map_err(Refusal::from)?;
    let asked = Option::<Asked>::deserialize(&accepted.facts).map_err(corrupt)?;
    if signed != Signed::ByKey && !asked.is_some_and(|asked| asked.contract_accepts) {
        let told = format!("it is not {party}'s over the appeal of deal {}", purchase.deal);
        return Err(Refusal::from(model::Refusal::InvalidAppeal(told)).into());
    }
    let ruling = held.as_ref().and_then(|held| held.case.ruling());
    let until = ruling.and_then(case::Ruling::appeal_until).unwrap_or(0).min(body.valid_until);
    let action = IntentAction::Appeal {
        party: party.address,
        valid_until: body.valid_until,
        signature: body.signature,
    };
    let key = key.unwrap_or_default();
    intents::publish(on, &key, purchase.deal, &purchase.terms, action, until).await?;
    tell(on, &purchase, "appeal").await
}

/// Does in a case what its moment has come for, and keeps the moments to come.
async fn pursue(
    on: &mut AnyConnection,
    purchase: &Purchase,
    pool: &communities::Pool,
    held: &Held,
    now: i64,
) -> Result<(), Error> {
    store::forget_all(on, held.deal).await?;
    if purchase.position.status != Status::Disputed {
        return Ok(());
    }
    let heard = heard(on, held.deal, &held.case).await?;
    for moment in rules(pool, purchase).moments(&held.case, &heard) {
        if moment.from <= seconds(now) {
            ask(on, purchase, held, &moment).await?;
        } else {
            let Moment { what, instance, jury, .. } = moment;
            let at = i64::try_from(moment.from.saturating_mul(1000)).map_err(corrupt)?;
            store::remember(on, &Due { deal: held.deal, what, instance, jury }, at).await?;
        }
    }
    Ok(())
}

/// Publishes the intent of a moment that has come.
async fn ask(on: &mut AnyConnection, purchase: &Purchase, held: &Held, moment: &Moment) -> Result<(), Error> {
    let &Moment { what, instance, jury, until, .. } = moment;
    let deal = held.deal;
    let (key, action) = match what {
        What::OpenCase => (format!("open/{deal}"), IntentAction::OpenCase),
        What::DrawJury => {
            (format!("draw/{deal}/{instance}/{jury}"), IntentAction::DrawJury { instance, jury })
        }
        What::OpenSecondJury => {
            (format!("second-jury/{deal}/{instance}"), IntentAction::OpenSecondJury { instance })
        }
        What::Conclude => (format!("conclude/{deal}/{instance}"), IntentAction::Conclude { instance }),
        What::ExecuteRuling => {
            // An execution that is seen but not final may still be taken back: then the case is followed anew.
            if purchase.provisional.is_some() {
                return Ok(());
            }
            (format!("execute/{deal}/{instance}"), IntentAction::ExecuteRuling)
        }
        What::SubmitBallots => return hand_in(on, purchase, held, moment).await,
    };
    intents::publish(on, &key, deal, &purchase.terms, action, until).await
}

/// Hands in the signed ballots of a jury that are not yet, but for those of seats that voted on chain.
async fn hand_in(
    on: &mut AnyConnection,
    purchase: &Purchase,
    held: &Held,
    moment: &Moment,
) -> Result<(), Error> {
    let &Moment { instance, jury, until, .. } = moment;
    let deal = held.deal;
    let Some(known) = held.case.drawn(jury) else { return Ok(()) };
    let on_chain = known.voted();
    let signed = store::ballots(on, deal, (instance, jury)).await?;
    let before = signed.values().filter(|(_, handed_in)| *handed_in).count();
    let ballots: Vec<_> = signed
        .values()
        .filter(|(ballot, handed_in)| !handed_in && !on_chain.contains(&ballot.seat))
        .map(|(ballot, _)| ballot.signed())
        .collect();
    if ballots.is_empty() {
        return Ok(());
    }
    let key = match before {
        0 => format!("ballots/{deal}/{instance}/{jury}"),
        before => format!("ballots/{deal}/{instance}/{jury}/{before}"),
    };
    store::handed_in(on, deal, (instance, jury)).await?;
    let action = IntentAction::SubmitBallots { instance, jury, ballots };
    intents::publish(on, &key, deal, &purchase.terms, action, until).await
}

/// What a `chain-event@1` means for the case of its deal, after the deal itself has moved.
pub(crate) async fn follow(write: &mut Write, accepted: &Accepted) -> Result<(), Error> {
    let on = write.on();
    let purchase = purchase(on, &accepted.record).await?;
    let Some(disputed_at) = purchase.position.disputed_at else { return Ok(()) };
    let pool = pool_of(on, &purchase).await?;
    let finals = events::named(on, purchase.deal, &case::EVENTS).await?;
    let (case, waits) = case::fold(&purchase.terms, disputed_at, &finals);
    if let Some((event, refused)) = waits {
        tracing::warn!(deal = %purchase.deal, %event, %refused, "the case's events wait for one that is missing");
    }
    let before = store::case(on, purchase.deal).await?.map(|held| held.case.stage);
    jurors::reward(on, &purchase, (before, &case), accepted).await?;
    let held = Held { purchase: purchase.id, deal: purchase.deal, case };
    store::put_case(on, &held).await?;
    summon(on, &purchase, &accepted.record).await?;
    pursue(on, &purchase, &pool, &held, accepted.received_at).await
}

/// Tells the jurors that are drawn of their seats, and the parties of a ruling.
async fn summon(on: &mut AnyConnection, purchase: &Purchase, record: &Record) -> Result<(), Error> {
    let entry: FeedEntry = record.body_as()?;
    let chain = entry.event.contract.chain;
    let ours = entry.finality == Finality::Final && entry.event.contract == purchase.terms.arbiter;
    match &entry.event.body {
        EventBody::JuryDrawn { seats, instance, jury, .. } if ours => {
            for (seat, juror) in seats.iter().enumerate() {
                let wallet = AccountId { chain, address: *juror };
                let Some(account) = identity::account_of_wallet(on, &wallet).await? else { continue };
                let data = json!({
                    "purchase": purchase.id, "deal": purchase.deal, "what": "seat",
                    "instance": instance, "jury": jury, "seat": seat,
                });
                outbox::append(on, "case", &[Audience::Account(account)], &data).await?;
            }
            Ok(())
        }
        EventBody::RulingAccepted { .. } if ours => tell(on, purchase, "ruling").await,
        EventBody::Appealed { .. } if ours => tell(on, purchase, "appealed").await,
        _ => Ok(()),
    }
}

/// A moment has come.
async fn come(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let purchase = purchase(on, &accepted.record).await?;
    let DueBody { what, instance, jury } = match accepted.record.body_as()? {
        Come::Step(step) => step,
        Come::TimeOut(TimeOutBody { time_out }) => {
            return orders::come(on, &purchase, time_out, seconds(accepted.received_at)).await;
        }
    };
    // Two processes may both have seen that it came; the second finds nothing to do.
    if !store::forget(on, &Due { deal: purchase.deal, what, instance, jury }).await? {
        return Ok(());
    }
    let Some(held) = store::case(on, purchase.deal).await? else { return Ok(()) };
    let pool = pool_of(on, &purchase).await?;
    pursue(on, &purchase, &pool, &held, accepted.received_at).await
}
