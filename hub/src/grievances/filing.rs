//! What may be filed, about what, by whom, and how often.

use sqlx::AnyConnection;

use super::{
    model::{DAY_MAX, DAY_MS, GrievanceBody, Kind, OPEN_MAX, REST_MS, Remedy},
    room::tell,
    rulings, settlement,
    store::{self, Grievance},
    subject::{Paid, Subject},
    table::State,
};
use crate::{
    access::{Audience, Reader, Role, may_read},
    communities::{self, CommunityBody, MembershipBody},
    deals::store as purchases,
    error::{Error, Refusal},
    governance,
    ledger::{self, model::OperationId},
    records::{Accepted, RecordId, erasure, log},
    reputation,
};

/// How many stewards are told of a grievance that is filed.
const TOLD_MAX: usize = 100;

/// Takes a `grievance@1`, where it may be filed.
///
/// # Errors
/// [`Error::Refused`]: it may not; the database fails.
pub(super) async fn file(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let Accepted { record, received_at: now, seq, .. } = accepted;
    let (community, complainant) = (record.about()?, record.account());
    if communities::community(on, &community).await?.is_none() {
        let told = format!("there is no community {community}");
        return Err(Refusal::rule("unknown_community", "/about", told).into());
    }
    let body: GrievanceBody = record.body_as()?;
    belongs(on, &community, &complainant, body.remedy).await?;
    let subject = subject(on, &community, &body, &complainant).await?;
    subject.may_file(&body, complainant)?;
    subject.is_recent(*now)?;
    if let Some((member, _)) = subject.member {
        Subject::is_last_word(&body, communities::last_word(on, &community, &member).await?)?;
    }
    answers_to(on, &community, &body, &subject).await?;
    may_file_another(on, &community, &body, &complainant, *now).await?;
    let settings = governance::settings(on, &community).await?;
    let above = subject.is_above_mediation(body.remedy, &settings);
    let mut grievance = Grievance {
        id: record.id,
        seq: *seq,
        community,
        complainant,
        body,
        subject,
        filed_at: *now,
        members: communities::count(on, &community).await?,
        state: if above { State::Escalated } else { State::Filed },
        due_at: Some(now.saturating_add(settings.mediation_seconds.saturating_mul(1000))),
        proposed: None,
        accepted: None,
        juries: 0,
        vote: None,
        resolution: None,
    };
    store::add(on, &grievance).await?;
    if above {
        rulings::draw(on, &mut grievance, &settings, accepted).await?;
        store::put(on, &grievance).await?;
        return tell(on, &grievance, &[]).await;
    }
    let stewards = communities::with_roles(on, &community, &[Role::Steward], TOLD_MAX).await?;
    let stewards: Vec<Audience> = stewards.into_iter().map(Audience::Account).collect();
    tell(on, &grievance, &stewards).await
}

/// Sees that nobody takes away what an open grievance is about: whoever hears it has to read that.
///
/// # Errors
/// [`Error::Refused`]: one is open; the database fails.
pub(crate) async fn may_erase(on: &mut AnyConnection, subject: &RecordId) -> Result<(), Error> {
    if store::open_about(on, subject).await?.is_empty() {
        return Ok(());
    }
    let told = format!("a grievance about {subject} is open: it can be erased when that has ended");
    Err(Refusal::conflict("grievance_open", "/about", told).into())
}

/// The complainant is of the community, or asks to be again.
async fn belongs(
    on: &mut AnyConnection,
    community: &RecordId,
    complainant: &RecordId,
    remedy: Remedy,
) -> Result<(), Error> {
    let role = communities::role_of(on, community, complainant).await?;
    match (remedy == Remedy::Restoration, role.is_some()) {
        (true, true) => {
            let told = format!("belongs to community {community}, so nothing is to be restored");
            Err(Refusal::conflict("still_member", "/author", told).into())
        }
        (false, false) => {
            let told = format!("does not belong to community {community}");
            Err(Refusal::access("members_only", "/author", told).into())
        }
        _ => Ok(()),
    }
}

/// The respondent is of the community, and was when it did what the grievance is about: who joins answers to its juries for what
/// comes after. Who removed a member answers for that wherever they are.
async fn answers_to(
    on: &mut AnyConnection,
    community: &RecordId,
    body: &GrievanceBody,
    subject: &Subject,
) -> Result<(), Error> {
    if body.remedy == Remedy::Restoration {
        return Ok(());
    }
    let since = communities::member_since(on, community, &body.respondent).await?;
    let told = match since {
        None => format!("{} does not belong to community {community}", body.respondent),
        Some(since) if body.kind != Kind::Membership && since > subject.at => format!(
            "{} has joined community {community} after {}, and answers to it for what came later",
            body.respondent, body.subject
        ),
        Some(_) => return Ok(()),
    };
    Err(Refusal::rule("not_of_this_community", "/body/respondent", told).into())
}

/// The record that a grievance is about, where the complainant may read it.
async fn subject(
    on: &mut AnyConnection,
    community: &RecordId,
    body: &GrievanceBody,
    complainant: &RecordId,
) -> Result<Subject, Error> {
    let unknown = || {
        let told = format!("there is no record {}", body.subject);
        Refusal::rule("unknown_subject", "/body/subject", told)
    };
    let found = log::find(on, &body.subject).await?.ok_or_else(unknown)?;
    let said = &found.record;
    let member = match said.kind.as_str() {
        "membership@1" if said.about == Some(*community) => {
            let MembershipBody { account, role } = said.body_as()?;
            Some((account, role))
        }
        "community@1" if said.id == *community => {
            said.body_as::<CommunityBody>()?;
            Some((said.account(), Some(Role::Steward)))
        }
        _ => None,
    };
    let reader = Reader { account: Some(*complainant), roles: communities::roles_of(on, complainant).await? };
    let purchase = match (body.remedy, said.kind.as_str()) {
        (Remedy::Settlement, "purchase@1") => purchases::by_id(on, &said.id).await?,
        _ => None,
    };
    let concerned = said.account() == *complainant
        || member.is_some_and(|(who, _)| who == *complainant)
        || purchase.as_ref().is_some_and(|one| one.is_party(complainant));
    if !concerned && !may_read(&reader, &said.audience) {
        return Err(unknown().into());
    }
    if let Some(erased) = erasure::of(on, &said.id).await? {
        let told = format!("{} was erased, by {}", said.id, erased.by);
        return Err(Refusal::rule("erased", "/body/subject", told).into());
    }
    let moved = match said.kind.as_str() {
        "transfer@1" | "capture@1" => ledger::moved(on, OperationId::first(said.id)).await?,
        _ => None,
    };
    if let Some(by) = moved.as_ref().and_then(|moved| moved.reversed_by)
        && body.remedy == Remedy::Reversal
    {
        let told = format!("{} is reversed already, by {by}", body.subject);
        return Err(Refusal::conflict("reversed", "/body/subject", told).into());
    }
    let deal = match &purchase {
        Some(purchase) => Some(settlement::open(on, community, purchase).await?),
        None => None,
    };
    Ok(Subject {
        kind: said.kind.clone(),
        author: said.account(),
        at: found.received_at,
        paid: moved.as_ref().and_then(Paid::of),
        member,
        holder: match said.kind.as_str() {
            "credential@1" => reputation::holder(on, &said.id).await?,
            _ => None,
        },
        deal,
    })
}

/// Nobody has more open at once, files more in a day, or asks twice for what was decided; and what has ended rests: for others than its
/// complainant in the same community, where they ask for the same.
async fn may_file_another(
    on: &mut AnyConnection,
    community: &RecordId,
    body: &GrievanceBody,
    complainant: &RecordId,
    now: i64,
) -> Result<(), Error> {
    let (open, filed) = store::filed_by(on, complainant, now.saturating_sub(DAY_MS)).await?;
    if open >= OPEN_MAX {
        let told = format!("has {OPEN_MAX} open grievances, which is the most");
        return Err(Refusal::conflict("too_many_open", "/author", told).into());
    }
    if filed >= DAY_MAX {
        let told = format!("has filed {DAY_MAX} grievances within a day, which is the most");
        return Err(Refusal::conflict("too_many_a_day", "/author", told).into());
    }
    let since = now.saturating_sub(REST_MS);
    let about = store::about(on, &body.subject, complainant, since).await?;
    for earlier in &about {
        earlier.earlier().leaves_open(*complainant)?;
    }
    for earlier in &about {
        let same = earlier.community == *community && earlier.body.remedy == body.remedy;
        if same || earlier.complainant == *complainant {
            earlier.earlier().has_rested(*complainant, now)?;
        }
    }
    if body.remedy == Remedy::Removal {
        // A membership that was said in other words since is the same one.
        for earlier in store::against(on, community, &body.respondent, since).await? {
            if earlier.body.remedy == Remedy::Removal {
                earlier.earlier().has_rested(*complainant, now)?;
            }
        }
    }
    Ok(())
}
