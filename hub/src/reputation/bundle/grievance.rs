//! A grievance that was decided: who filed what against whom, each step in its turn, who was drawn by which lots, each ballot, the count,
//! and what that comes to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    File, Found,
    hearing::{Broken, Hearing, Said},
};
use crate::{
    grievances::{
        model::{Ending, GrievanceBody, Heard, Outcome, Remedy, Step, StepBody},
        subject::Paid,
    },
    records::{Record, RecordId},
    reputation::{
        RevocationBody,
        heading::{self, Basis},
        loss::{self, Loss, Ruled},
        vc,
    },
};

/// A grievance as its file has it.
#[derive(Clone, Copy)]
struct Filed<'a> {
    file: &'a File<'a>,
    record: &'a Record,
    body: &'a GrievanceBody,
    heard: &'a Heard,
}

/// Everything that holds of a grievance or does not.
pub(super) fn check(file: &File<'_>, heard: &Heard, found: &mut Found) {
    let Some(record) = file.record(&file.extract.about).filter(|record| record.kind == "grievance@1") else {
        return found.says("grievance", false, "what it is about must be a grievance@1");
    };
    let read = record.body_as::<GrievanceBody>().and_then(|body| body.check().map(|()| body));
    let body = match read {
        Ok(body) => body,
        Err(refusal) => return found.says("grievance", false, refusal.to_string()),
    };
    let told = format!(
        "{}, {}: {} against {}, about {}",
        body.kind.name(),
        body.remedy.name(),
        record.account(),
        body.respondent,
        body.subject
    );
    found.says("grievance", true, told);
    let filed = Filed { file, record, body: &body, heard };
    filed.about(found);
    filed.payment(found);
    filed.evidence(found);
    if filed.hearing(found) {
        filed.effect(found);
    }
    filed.credentials(found);
    file.since(found);
}

/// A record by what it is, without the number of its form.
fn name(record: &Record) -> String {
    let what = match record.kind.as_str() {
        "grievance@1" => "grievance",
        "grievance-step@1" => "step",
        "grievance-timeout@1" => "timeout",
        "proposal@1" => "vote",
        "vote@1" => "ballot",
        "tally@1" => "tally",
        _ => "record",
    };
    format!("{what} {}", record.id)
}

/// Where records stand in the log, and when they were taken in Unix milliseconds.
type Places = BTreeMap<RecordId, (i64, i64)>;

fn said<'a>(places: &Places, record: &'a Record) -> Option<Said<'a>> {
    let (seq, at) = *places.get(&record.id)?;
    Some(Said { record, seq, at })
}

fn fails(record: &Record, Broken { draw, told }: Broken, found: &mut Found) {
    found.says(draw.map_or_else(|| name(record), |draw| format!("draw {draw}")), false, told);
}

impl Filed<'_> {
    /// Nothing stands there that has nothing to do with it.
    fn about(&self, found: &mut Found) {
        let (subject, records) = (self.body.subject, self.file.records);
        let ids: BTreeSet<RecordId> = records.iter().map(|record| record.id).collect();
        let hold = self.file.record(&subject).and_then(|paid| paid.about);
        let of_it = |record: &Record| {
            let about = record.about.is_some_and(|about| ids.contains(&about) || about == subject);
            // What a jury is asked is about its community; the hearing sees that it is of this grievance.
            about
                || [self.record.id, subject].contains(&record.id)
                || hold == Some(record.id)
                || record.kind == "proposal@1"
        };
        let stray = records.iter().find(|record| !of_it(record));
        let told = stray.map_or_else(
            || format!("all of it is about {}", self.record.id),
            |stray| format!("{} is not about {}", stray.id, self.record.id),
        );
        found.says("about", stray.is_none(), told);
    }

    /// What was paid, by the record that paid it.
    fn payment(&self, found: &mut Found) {
        let subject = self.file.record(&self.body.subject);
        let told =
            |paid: Paid| format!("{} paid {} {} of {}", paid.payer, paid.payee, paid.amount, paid.asset);
        match (self.heard.paid, subject) {
            (Some(paid), None) => {
                let told = format!("that {}: {} is not in the file", told(paid), self.body.subject);
                found.open("payment", told);
            }
            (Some(paid), Some(record)) => {
                let hold = record.about.and_then(|hold| self.file.record(&hold));
                if record.kind == "capture@1" && hold.is_none() {
                    return found
                        .open("payment", format!("that {}: its hold is not in the file", told(paid)));
                }
                found.says("payment", Paid::said(record, hold) == Some(paid), told(paid));
            }
            (None, None) => {
                found.open("subject", format!("what {} says: it is not in the file", self.body.subject));
            }
            (None, Some(_)) => {}
        }
    }

    fn evidence(&self, found: &mut Found) {
        let about = Some(self.record.id);
        for record in self.file.records.iter().filter(|record| record.about == about) {
            if let Ok(StepBody { step: Step::Evidence { sha256: Some(hash), .. } }) = record.body_as() {
                found.open(
                    format!("evidence {hash}"),
                    "signed by its author; compare its hash with the file that you were given",
                );
            }
        }
    }

    /// From its filing to its end; whether that is what the hub says.
    fn hearing(&self, found: &mut Found) -> bool {
        let Self { file, record: grievance, heard, .. } = *self;
        let places: Places =
            file.extract.entries.iter().map(|place| (place.id, (place.seq, place.received.ms()))).collect();
        let Some(first) = said(&places, grievance) else {
            found.says("grievance", false, "it has no place in the log");
            return false;
        };
        let subject = file.record(&self.body.subject);
        let mut hearing = match Hearing::of(first, (self.body, subject), heard, file.hub, found) {
            Ok(hearing) => hearing,
            Err(broken) => {
                fails(grievance, broken, found);
                return false;
            }
        };
        let records = file.records.iter().filter_map(|record| said(&places, record));
        for next in records.filter(|next| next.seq > first.seq) {
            if let Err(broken) = hearing.hear(next, found) {
                fails(next.record, broken, found);
                return false;
            }
        }
        found.open(
            "authors",
            "that each device speaks for the account that a record names, that a steward took it up, and whose a credential is: the \
             hub admitted it",
        );
        if !heard.draws.is_empty() {
            found.open(
                "jury",
                "that nobody knew the entropy before its entry was taken, and that the lots are those of all members who had no part \
                 in it: whoever was a member then can look for their own lot, which is the SHA-256 of entropy and account",
            );
        }
        let resolution = "resolution";
        let end = match hearing.ended(found) {
            Ok(Some(end)) => end,
            Ok(None) => {
                found.open(resolution, "the vote that decided it is not in the file");
                return true;
            }
            Err(Broken { draw, told }) => {
                let check = draw.map_or_else(|| resolution.to_owned(), |draw| format!("draw {draw}"));
                found.says(check, false, told);
                return false;
            }
        };
        let holds = (end.ending, end.outcome, end.at) == (heard.ending, Some(heard.outcome), heard.at.ms());
        let told = format!(
            "by its records {:?} with {:?}, says the hub {:?} with {:?}",
            end.ending, end.outcome, heard.ending, heard.outcome
        );
        found.says(resolution, holds, told);
        holds
    }

    /// What was done because of it.
    fn effect(&self, found: &mut Found) {
        let Self { file, record, body, heard } = *self;
        if let Some(rule) = &heard.unexecuted {
            return found.open("effect", format!("that nothing of it could be done: {rule}, says the hub"));
        }
        let back = heard.paid.and_then(|paid| Some((paid, heard.outcome.gives_back(paid.amount)?)));
        match (heard.outcome, body.remedy) {
            (Outcome::Upheld, Remedy::Revocation) if file.record(&body.subject).is_some() => {
                let reason = format!("grievance {}", record.id);
                let said = file.records.iter().any(|other| {
                    let because = other.body_as::<RevocationBody>().is_ok_and(|body| body.reason == reason);
                    let by = other.kind == "revocation@1" && other.device == file.hub;
                    by && other.about == Some(body.subject) && because
                });
                found.says("effect", said, format!("{} was taken back because of it", body.subject));
            }
            (Outcome::Upheld, Remedy::Revocation) => {
                found.open("effect", format!("that {} was taken back: it is not in the file", body.subject));
            }
            (Outcome::Upheld, Remedy::Restoration | Remedy::Removal) => {
                found.open("effect", "who belongs to the community since: its members see it at the hub");
            }
            _ => match back {
                Some((paid, amount)) => {
                    let told =
                        format!("that {} gave back {amount} of {}: their statement", paid.payee, paid.asset);
                    found.open("effect", told);
                }
                None => found.says("effect", true, "nothing had to be done"),
            },
        }
    }

    /// Whether it is the hub's word on what this grievance's jury has ruled.
    fn is_lost(&self, credential: &Value) -> bool {
        let Self { file, record, body, heard } = *self;
        let ruled = Some(heard.outcome).filter(|_| heard.ending == Ending::Ruled);
        let outcome = ruled.and_then(|outcome| Ruled::of(body.kind, outcome));
        let wanted = outcome.zip(record.about);
        let wanted = wanted.map(|(outcome, community)| Loss { record: record.id, community, outcome });
        let said = loss::verify(credential, file.hub).map(|said| said.subject.grievance);
        said.is_ok_and(|said| Some(said) == wanted)
    }

    /// What was said of it, or of what it is about, by credentials: who signed, and where they stand.
    fn credentials(&self, found: &mut Found) {
        for record in self.file.records.iter().filter(|record| record.kind == "credential@1") {
            let check = format!("credential {}", record.id);
            let Some(credential) = record.body.get("credential") else {
                found.says(check, false, "the record has none");
                continue;
            };
            let heading = match heading::read(credential) {
                Ok(heading) => heading,
                Err(refusal) => {
                    found.says(check, false, format!("{}: {refusal}", refusal.rule()));
                    continue;
                }
            };
            let holds = match heading.rests_on.0 {
                Basis::Grievance => self.is_lost(credential),
                Basis::Deal | Basis::Exchange => {
                    vc::signer(credential).is_ok_and(|signer| signer == heading.issuer)
                }
            };
            let told = format!("{} about {}, by {}", heading.kind.name(), heading.subject, heading.issuer);
            found.says(&check, holds && heading.issuer == record.device, told);
            self.file.standing(record, heading.status.as_ref(), found);
        }
    }
}
