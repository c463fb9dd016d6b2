//! What others say of a grievance that was decided: what its bundle has, and who has lost.

use std::collections::{BTreeMap, BTreeSet};

use service::http::Problem;
use sqlx::AnyConnection;

use super::{
    api::{concerns, readable},
    draws,
    model::{Ending, Heard},
    store::{self, Grievance},
};
use crate::{
    access::{Reader, may_read},
    error::Error,
    governance,
    records::{Accepted, RecordId, Stamp, log},
    reputation::loss::{Loss, Ruled},
};

/// What is said about a grievance, and what follows from it.
const SAID: [&str; 5] =
    ["grievance@1", "grievance-step@1", "grievance-timeout@1", "credential@1", "revocation@1"];
/// What a jury's vote is of, besides its ballots.
const VOTED: [&str; 2] = ["proposal@1", "tally@1"];
/// What may be said about the record that it is about, and what takes that back.
const ATTESTED: [&str; 2] = ["credential@1", "revocation@1"];

/// A grievance that was decided, as its bundle has it for this reader: what the hub says, and at most a few more than `limit` records in
/// the order of the log. The votes of juries that the reader may not read are left out, and so is the record that it is about. What
/// the account `hub` took back is told with what it took back.
///
/// # Errors
/// 404: there is none for this reader; 409, `of_a_deal`: its deal has a bundle; 409, `not_decided`; the database fails.
pub(crate) async fn told(
    on: &mut AnyConnection,
    reader: &Reader,
    id: RecordId,
    (hub, limit): (RecordId, i64),
) -> Result<(Heard, Vec<Accepted>), Problem> {
    let (found, _) = readable(on, reader, id).await?;
    if found.subject.deal.is_some() {
        let told = format!("what became of its deal is in GET /v1/purchases/{}/bundle", found.body.subject);
        return Err(Problem::conflict(told).by_rule("of_a_deal"));
    }
    let decided = found.resolution.clone().and_then(|one| Some((one.outcome?, one)));
    let Some((outcome, resolution)) = decided else {
        let told = "neither a jury nor the parties have decided it";
        return Err(Problem::conflict(told).by_rule("not_decided"));
    };
    let records = records(on, reader, &found, (hub, limit)).await?;
    let heard = Heard {
        ending: resolution.ending,
        outcome,
        at: Stamp::from_ms(resolution.at),
        unexecuted: resolution.unexecuted.map(|undone| undone.rule),
        paid: found.subject.paid,
        draws: draws::of(on, &id).await?,
    };
    Ok((heard, records))
}

async fn records(
    on: &mut AnyConnection,
    reader: &Reader,
    grievance: &Grievance,
    (hub, limit): (RecordId, i64),
) -> Result<Vec<Accepted>, Error> {
    let mut all = log::concerning(on, &grievance.id, &SAID, limit).await?;
    for proposal in governance::of_grievance(on, &grievance.id).await? {
        let vote = log::concerning(on, &proposal, &VOTED, limit).await?;
        let asked = vote.iter().find(|one| one.record.id == proposal);
        if asked.is_some_and(|asked| may_read(reader, &asked.record.audience)) {
            // However many an elector has cast: the last one counts.
            for ballot in governance::last_ballots(on, &proposal, i64::MAX).await? {
                all.extend(log::find(on, &ballot.record).await?);
            }
            all.extend(vote);
        }
    }
    all.extend(subject(on, reader, &grievance.body.subject, limit).await?);
    let attests = |one: &Accepted| ATTESTED.contains(&one.record.kind.as_str());
    // Why the hub takes one back is no more than this grievance, and that it did stands in the list: it goes with the credential.
    let by_hub = |one: &Accepted| one.record.kind == "revocation@1" && one.record.account() == hub;
    all.retain(|one| !attests(one) || concerns(reader, &one.record) || by_hub(one));
    // What takes back a credential that the reader may not read says nothing by itself.
    let here: BTreeSet<RecordId> = all.iter().map(|one| one.record.id).collect();
    all.retain(|one| {
        one.record.kind != "revocation@1" || one.record.about.is_some_and(|about| here.contains(&about))
    });
    // Each once, in the order of the log.
    let all: BTreeMap<i64, Accepted> = all.into_iter().map(|one| (one.seq, one)).collect();
    Ok(all.into_values().collect())
}

/// The record that it is about, where it was not erased since, of a capture with its hold, and the credentials about it.
async fn subject(
    on: &mut AnyConnection,
    reader: &Reader,
    id: &RecordId,
    limit: i64,
) -> Result<Vec<Accepted>, Error> {
    let Some(found) = log::find(on, id).await? else { return Ok(Vec::new()) };
    let mut all = match found.record.kind.as_str() {
        "transfer@1" | "capture@1" | "credential@1" => log::concerning(on, id, &ATTESTED, limit).await?,
        _ => Vec::new(),
    };
    // Nobody can check what was erased.
    if !concerns(reader, &found.record) || found.record.body.is_null() {
        return Ok(all);
    }
    if let Some(hold) = found.record.about.filter(|_| found.record.kind == "capture@1")
        && let Some(hold) = log::find(on, &hold).await?
        && concerns(reader, &hold.record)
    {
        all.push(hold);
    }
    all.push(found);
    Ok(all)
}

/// What a jury has ruled about what was paid or given, and against whom; none of any other grievance. What two parties settle nobody
/// loses, and of a deal its chain's events tell.
///
/// # Errors
/// The database fails.
pub(crate) async fn lost(on: &mut AnyConnection, id: &RecordId) -> Result<Option<(Loss, RecordId)>, Error> {
    let Some(Grievance { community, body, subject, resolution, .. }) = store::one(on, id).await? else {
        return Ok(None);
    };
    let ruled = resolution.filter(|one| one.ending == Ending::Ruled && subject.deal.is_none());
    let outcome = ruled.and_then(|one| one.outcome).and_then(|outcome| Ruled::of(body.kind, outcome));
    Ok(outcome.map(|outcome| (Loss { record: *id, community, outcome }, body.respondent)))
}
