//! A deal, or a grievance that was decided, in one file: what was said of it, evidence hashes, ballots, ruling, credentials, the status lists of its
//! time, the hub's word on the log's order and the proof that its records are in that log. Whoever has the file checks it without any server; what only a chain or a hub can
//! say is told as unknown. Needs no server.
//!
//! - here: what every bundle has, and what holds for each
//! - `deal.rs`: a deal
//! - `grievance.rs`: a grievance; `hearing.rs`: its records in their turn

mod deal;
mod grievance;
mod hearing;

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::status::{self, Entry, Standing};
use crate::{
    grievances::model::Heard,
    records::{Device, DeviceKey, Head, ProofError, Receipt, Record, RecordId, Stamp, proof},
};

/// The most records of a bundle.
pub const RECORDS_MAX: usize = 2_000;
/// The most credentials' lists of a bundle.
const LISTS_MAX: usize = 64;

/// A record's place in a hub's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Its number, a decimal string.
    #[serde(with = "protocol::wire::dec")]
    pub seq: i64,
    /// The record.
    pub id: RecordId,
    /// When the hub took it.
    pub received: Stamp,
}

/// The hub's word on the order of what stands in a bundle, signed by its device (`eddsa-jcs-2022`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extract {
    /// The purchase, or the grievance.
    pub about: RecordId,
    /// When the bundle was made.
    pub made: Stamp,
    /// Where its records stand, ascending.
    pub entries: Vec<Place>,
    /// Of a grievance, what its records do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grievance: Option<Heard>,
    /// The proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Value>,
}

impl Extract {
    /// Signs it.
    ///
    /// # Errors
    /// It has no canonical form.
    pub fn sign(mut self, key: &DeviceKey) -> Result<Value, ProofError> {
        self.proof = None;
        let made = self.made;
        let refuse =
            |error: serde_json::Error| ProofError::Malformed { field: "/log", rule: error.to_string() };
        proof::sign(serde_json::to_value(self).map_err(refuse)?, key, proof::ASSERTION, made)
    }
}

/// Shows that the entries of an [`Extract`] are in the hub's log (RFC 9162, section 2.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogProof {
    /// The hub's word on that log: a signed [`Head`].
    pub head: Value,
    /// Of each entry, in their order, the hashes beside its way to the root, from the leaf up.
    pub paths: Vec<Vec<B256>>,
}

/// A deal or a grievance in one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// What was said, as it was signed, in the order of the log: the purchase first; a grievance after what it is about.
    #[schema(value_type = Vec<Object>)]
    pub records: Vec<Value>,
    /// The status lists of the credentials among them, as of the bundle's time.
    #[schema(value_type = Vec<Object>)]
    pub status_lists: Vec<Value>,
    /// The hub's word on when it took them: an [`Extract`].
    #[schema(value_type = Object)]
    pub log: Value,
    /// That they are in its log.
    #[schema(value_type = Object)]
    pub log_proof: LogProof,
}

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// The file alone cannot tell.
    Unknown,
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub check: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
}

/// A bundle whose records are genuine, beside those that were read.
#[derive(Clone, Copy)]
struct File<'a> {
    bundle: &'a Bundle,
    records: &'a [Record],
    extract: &'a Extract,
    /// The hub whose word is taken.
    hub: Device,
}

#[derive(Default)]
struct Found(Vec<Check>);

impl Found {
    fn says(&mut self, check: impl Into<String>, holds: bool, detail: impl Into<String>) {
        let verdict = if holds { Verdict::Holds } else { Verdict::Fails };
        self.0.push(Check { check: check.into(), verdict, detail: detail.into() });
    }

    fn open(&mut self, check: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Check { check: check.into(), verdict: Verdict::Unknown, detail: detail.into() });
    }
}

/// Checks a bundle, where the reader takes the word of the hub with this device; everything that was found, in order. It
/// fails where any check does.
pub fn check(bundle: &Bundle, hub: Device) -> Vec<Check> {
    let mut found = Found::default();
    let Some((records, extract)) = records(bundle, hub, &mut found) else { return found.0 };
    let file = File { bundle, records: &records, extract: &extract, hub };
    match &extract.grievance {
        Some(heard) => grievance::check(&file, heard, &mut found),
        None => deal::check(&file, &mut found),
    }
    found.0
}

/// The records that are genuine and stand in the hub's log; none where the bundle has no order to speak of.
fn records(bundle: &Bundle, hub: Device, found: &mut Found) -> Option<(Vec<Record>, Extract)> {
    if bundle.records.len() > RECORDS_MAX || bundle.status_lists.len() > LISTS_MAX {
        found.says("size", false, format!("at most {RECORDS_MAX} records and {LISTS_MAX} lists"));
        return None;
    }
    let extract = match Extract::deserialize(&bundle.log) {
        Ok(extract) => extract,
        Err(error) => {
            found.says("log", false, error.to_string());
            return None;
        }
    };
    match proof::verify(&bundle.log, proof::ASSERTION) {
        Ok(signer) if signer == hub => {}
        Ok(signer) => {
            found.says("log", false, format!("signed by {signer}, whose word you do not take"));
            return None;
        }
        Err(error) => {
            found.says("log", false, error.to_string());
            return None;
        }
    }
    let mut records = Vec::new();
    for received in &bundle.records {
        match Record::read(received) {
            Ok(record) => records.push(record),
            Err(refusal) => {
                let id = received.get("id").and_then(Value::as_str).unwrap_or_default();
                found.says(format!("record {id:.60}"), false, refusal.to_string());
            }
        }
    }
    let ordered = extract.entries.is_sorted_by(|one, next| one.seq < next.seq);
    let places: Vec<RecordId> = extract.entries.iter().map(|place| place.id).collect();
    let here: Vec<RecordId> = records.iter().map(|record| record.id).collect();
    let told =
        format!("{} records, each signed by its device, in the order in which the hub took them", here.len());
    found.says("log", ordered && places == here, told);
    included(&extract, &bundle.log_proof, hub, found);
    found.open(
        "completeness",
        "that nothing else was said of it: whoever reads the whole log of that head sees it",
    );
    Some((records, extract))
}

/// Whether each entry is a leaf of the tree whose root the hub signed.
fn included(extract: &Extract, shown: &LogProof, hub: Device, found: &mut Found) {
    const NAME: &str = "inclusion";
    let head = match Head::read(&shown.head) {
        Ok((head, signer)) if signer == hub => head,
        Ok((_, signer)) => {
            return found.says(NAME, false, format!("head signed by {signer}, whose word you do not take"));
        }
        Err(error) => return found.says(NAME, false, format!("head: {error}")),
    };
    let missing = extract.entries.iter().zip(&shown.paths).find(|(place, path)| {
        let entry = Receipt { id: place.id, seq: place.seq, received: place.received };
        !head.has(&entry, path)
    });
    if let Some((place, _)) = missing {
        let told = format!("{} is not entry {} of the log whose root is {}", place.id, place.seq, head.root);
        return found.says(NAME, false, told);
    }
    let told = format!(
        "each has its place and time in the log of {} entries whose root, {}, the hub signed at {}; a later head that does not go on \
         from this one shows that its log was changed (earnest verify log)",
        head.size, head.root, head.at
    );
    found.says(NAME, extract.entries.len() == shown.paths.len(), told);
}

impl<'a> File<'a> {
    fn record(&self, id: &RecordId) -> Option<&'a Record> {
        self.records.iter().find(|record| record.id == *id)
    }

    /// Where a credential stands by the list of its entry, and that a record says so where it was taken back.
    fn standing(&self, credential: &Record, entry: Option<&Entry>, found: &mut Found) {
        let name = format!("status of {}", credential.id);
        let Some(entry) = entry else {
            return found.open(name, "it has none: nobody can take it back");
        };
        let list = self
            .bundle
            .status_lists
            .iter()
            .find(|list| list.get("id").and_then(Value::as_str) == Some(entry.list.as_str()));
        let taken_back = self.records.iter().any(|other| {
            // The hub takes one back because of a grievance against it.
            let by = other.author == credential.author || other.device == self.hub;
            other.kind == "revocation@1" && other.about == Some(credential.id) && by
        });
        match list.map(|list| status::look(entry, list, self.hub, self.extract.made)) {
            Some(Ok((standing, since))) => {
                let revoked = standing == Standing::Revoked;
                let word = if revoked { "revoked" } else { "not revoked" };
                let told = format!("{word}, says the list of {since}");
                // Who takes one back says who may read that.
                if revoked && !taken_back {
                    return found.open(name, format!("{told}; what took it back is not in the file"));
                }
                found.says(name, revoked == taken_back, told);
            }
            Some(Err(refusal)) => found.says(name, false, refusal.to_string()),
            None => found.open(name, "its list is not in the bundle"),
        }
    }

    /// What the lists of the file cannot tell.
    fn since(&self, found: &mut Found) {
        found.open("since", format!("whether anything was revoked after {}", self.extract.made));
    }
}
