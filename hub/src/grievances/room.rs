//! What `submit` asks of this room.

use std::collections::BTreeMap;

use serde_json::json;
use service::db::Write;
use sqlx::AnyConnection;

use super::{
    filing::file,
    model::{
        EVIDENCE_MAX, Ending, GrievanceBody, Outcome, PROPOSALS_MAX, RECUSED_MAX, Step, StepBody, TimeoutBody,
    },
    rulings::{self, Resolving},
    store::{self, Grievance, Part, Proposed},
    table::{self, Actor, Effect},
};
use crate::{
    Hub,
    access::{Audience, Role},
    communities,
    error::{Error, Refusal},
    governance, outbox,
    records::{Accepted, Draft, Record, RecordId},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] =
    &["grievances", "grievance_people", "grievance_steps", "grievance_draws", "juror_rewards"];

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    record.about()?;
    match record.kind.as_str() {
        "grievance@1" => record.body_as::<GrievanceBody>()?.check()?,
        "grievance-step@1" => record.body_as::<StepBody>()?.step.check()?,
        _ => return record.body_as::<TimeoutBody>().map(drop),
    }
    // Who has a part in it is not known when it is signed, and changes.
    if record.audience == [Audience::Account(record.account())] {
        return Ok(());
    }
    let told = "a grievance is shown to whoever has a part in it: name only yourself, account:<your id>";
    Err(Refusal::schema("grievance_audience", "/audience", told))
}

pub(crate) async fn apply(hub: &Hub, write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let (on, record) = (write.on(), &accepted.record);
    if record.kind == "grievance-timeout@1" {
        return time_out(hub, on, accepted).await;
    }
    if record.device == hub.key.device() {
        let told = format!("{} is said by members' own devices, never by the hub's", record.kind);
        return Err(Refusal::access("never_hub_signed", "/device", told).into());
    }
    if record.kind == "grievance@1" {
        file(on, accepted).await?;
        return Ok(Vec::new());
    }
    step(hub.account, on, accepted).await
}

/// As whom somebody acts; nobody else learns whether there is such a grievance.
async fn actor(
    on: &mut AnyConnection,
    grievance: &Grievance,
    people: &BTreeMap<RecordId, Part>,
    who: &RecordId,
) -> Result<Option<Actor>, Error> {
    if let Some(part) = people.get(who) {
        return Ok(part.actor());
    }
    let subject = &grievance.subject;
    let concerned = subject.author == *who || subject.member.is_some_and(|(member, _)| member == *who);
    let role = communities::role_of(on, &grievance.community, who).await?;
    Ok((role == Some(Role::Steward) && !concerned).then_some(Actor::Steward))
}

async fn known(on: &mut AnyConnection, record: &Record) -> Result<Grievance, Error> {
    let about = record.about()?;
    store::one(on, &about).await?.ok_or_else(|| unknown(&about).into())
}

fn unknown(id: &RecordId) -> Refusal {
    Refusal::rule(
        "unknown_grievance",
        "/about",
        format!("there is no grievance {id} in which you have a part"),
    )
}

async fn step(hub: RecordId, on: &mut AnyConnection, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let Accepted { record, received_at: now, .. } = accepted;
    let (mut grievance, author) = (known(on, record).await?, record.account());
    let people = store::people(on, &grievance.id).await?;
    let who = actor(on, &grievance, &people, &author).await?.ok_or_else(|| unknown(&grievance.id))?;
    let StepBody { step } = record.body_as()?;
    let name = step.name();
    let action = step.action(grievance.accepted, author)?;
    let (to, effect) = table::may(grievance.state, action, who, *now, grievance.due_at)?;
    within(on, &step, &grievance, &people, &author).await?;
    let settings = governance::settings(on, &grievance.community).await?;
    grievance.state = to;
    let mut drafts = Vec::new();
    match step {
        Step::Take => store::set_part(on, &grievance.id, &author, Part::Mediator).await?,
        Step::Propose { outcome, .. } => {
            grievance.proposed = Some(Proposed { record: record.id, outcome });
            grievance.accepted = None;
        }
        Step::Accept { .. } => grievance.accepted = Some(author),
        Step::Withdraw => {
            let resolving = Resolving { ending: Ending::Withdrawn, outcome: None };
            rulings::resolve(hub, on, &mut grievance, resolving, accepted).await?;
        }
        Step::Conflict { .. } => {
            store::set_part(on, &grievance.id, &author, Part::Recused).await?;
            if who == Actor::Mediator {
                grievance.proposed = None;
            }
        }
        // What is everybody's the parties do not settle by themselves.
        Step::CommunityWide => grievance.proposed = None,
        Step::Evidence { .. } | Step::Reject => {}
    }
    match effect {
        Effect::Draw => rulings::draw(on, &mut grievance, &settings, accepted).await?,
        Effect::Replace => rulings::replace(on, &grievance, accepted).await?,
        Effect::Execute => {
            let outcome = grievance.proposed.map(|proposed| proposed.outcome);
            let resolving = Resolving { ending: Ending::Settled, outcome };
            drafts = rulings::resolve(hub, on, &mut grievance, resolving, accepted).await?.drafts;
        }
        Effect::None | Effect::OpenVote => {}
    }
    store::add_step(on, &grievance.id, name, accepted).await?;
    store::put(on, &grievance).await?;
    tell(on, &grievance, &[]).await?;
    Ok(drafts)
}

/// What a step may say here, beyond its form.
async fn within(
    on: &mut AnyConnection,
    step: &Step,
    grievance: &Grievance,
    people: &BTreeMap<RecordId, Part>,
    author: &RecordId,
) -> Result<(), Error> {
    let most = |what: &str, most: i64| {
        let told = format!("has taken {most} steps {what} here, which is the most");
        Error::from(Refusal::conflict("too_many_steps", "/author", told))
    };
    match step {
        Step::Evidence { .. } => {
            if store::steps_of(on, &grievance.id, author, step.name()).await? >= EVIDENCE_MAX {
                return Err(most("evidence", EVIDENCE_MAX));
            }
            Ok(())
        }
        Step::Propose { outcome, .. } => {
            if store::steps_of(on, &grievance.id, author, step.name()).await? >= PROPOSALS_MAX {
                return Err(most("propose", PROPOSALS_MAX));
            }
            let whole = grievance.subject.at_stake();
            let fits = grievance.body.remedy.takes(*outcome)
                && !matches!(outcome, Outcome::PartialAdjustment { amount } if *amount >= whole);
            if fits {
                return Ok(());
            }
            let told = format!(
                "the remedy is {}: it takes rejected, and upheld or, of what was paid, void_transaction or a \
                 partial_adjustment below {whole}; a settlement takes rejected, upheld or such a partial_adjustment",
                grievance.body.remedy.name()
            );
            Err(Refusal::rule("outcome", "/body/step/propose/outcome", told).into())
        }
        Step::Accept { .. } if grievance.subject.deal.is_some() => {
            let told =
                "what is proposed for a deal is accepted by an act@1 that settles it: earnest deal settle";
            Err(Refusal::conflict("by_signed_act", "/body/step/accept", told).into())
        }
        Step::Accept { proposal } if grievance.proposed.is_none_or(|one| one.record != *proposal) => {
            let told = format!("{proposal} is not what is proposed now");
            Err(Refusal::conflict("other_proposal", "/body/step/accept/proposal", told).into())
        }
        Step::Conflict { .. } => {
            let recused = store::with_part(people, Part::Recused).len();
            if i64::try_from(recused).is_ok_and(|recused| recused < RECUSED_MAX) {
                return Ok(());
            }
            let told = format!("{RECUSED_MAX} jurors have stepped aside, which is the most: abstain");
            Err(Refusal::conflict("too_many_recused", "/about", told).into())
        }
        _ => Ok(()),
    }
}

async fn time_out(hub: &Hub, on: &mut AnyConnection, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let Accepted { record, received_at: now, .. } = accepted;
    let mut grievance = known(on, record).await?;
    let TimeoutBody { state } = record.body_as()?;
    if grievance.state != state {
        let told = format!("the grievance is {} and not {}", grievance.state.name(), state.name());
        return Err(Refusal::conflict("not_now", "/body/state", told).into());
    }
    let people = store::people(on, &grievance.id).await?;
    let jurors = store::with_part(&people, Part::Juror);
    let action = table::timeout(state, jurors.is_empty());
    let (to, effect) = table::may(state, action, Actor::Hub, *now, grievance.due_at)?;
    let settings = governance::settings(on, &grievance.community).await?;
    grievance.state = to;
    let mut drafts = Vec::new();
    match effect {
        Effect::Draw => rulings::draw(on, &mut grievance, &settings, accepted).await?,
        Effect::OpenVote => {
            grievance.due_at = None;
            grievance.vote = None;
            drafts.push(rulings::ask(hub.account, &grievance, &people, &settings, *now)?);
        }
        _ => {
            let resolving = Resolving { ending: Ending::Undecided, outcome: None };
            rulings::resolve(hub.account, on, &mut grievance, resolving, accepted).await?;
        }
    }
    store::put(on, &grievance).await?;
    tell(on, &grievance, &[]).await?;
    Ok(drafts)
}

/// Whoever has a part in it learns how it stands.
pub(super) async fn tell(
    on: &mut AnyConnection,
    grievance: &Grievance,
    others: &[Audience],
) -> Result<(), Error> {
    let people = store::people(on, &grievance.id).await?;
    let mut audience: Vec<Audience> = people
        .iter()
        .filter(|(_, part)| **part != Part::Recused)
        .map(|(account, _)| Audience::Account(*account))
        .collect();
    audience.extend(others);
    let data =
        json!({ "grievance": grievance.id, "community": grievance.community, "state": grievance.state });
    outbox::append(on, "grievance", &audience, &data).await
}
