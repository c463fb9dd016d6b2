//! A deal in one file: terms and agreement, what was said of it, evidence hashes, ballots, ruling, credentials, the status lists of its
//! time, the hub's word on the log's order and the proof that its records are in that log. Whoever has the file checks it without any server; what only a chain or a hub can
//! say is told as unknown. Needs no server.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use protocol::{
    arbitration::Ballots,
    chain::{Signed, ballot_signature, deal_id, terms_signature},
    terms::Terms,
    wire::feed::{ChainEvent, FeedEntry, Finality},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    model::{self, Facts},
    status::{self, Standing},
};
use crate::{
    deals::{
        model::{AcceptanceBody, PurchaseBody, agreement_hash},
        position,
        status::Status,
    },
    disputes::{
        case::{self, Case},
        model::{BallotBody, EvidenceBody},
    },
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
    /// The purchase.
    pub about: RecordId,
    /// When the bundle was made.
    pub made: Stamp,
    /// Where its records stand, ascending.
    pub entries: Vec<Place>,
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

/// A deal in one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// What was said, as it was signed: the purchase first.
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
    let Some((records, made)) = records(bundle, hub, &mut found) else { return found.0 };
    let Some(purchase) = records.first().filter(|record| record.kind == "purchase@1") else {
        found.says("purchase", false, "the first record must be purchase@1");
        return found.0;
    };
    let Ok(PurchaseBody { terms, agreement }) = purchase.body_as() else {
        found.says("purchase", false, "its body is not that of a purchase@1");
        return found.0;
    };
    match deal_id(&terms) {
        Ok(deal) => found.says("terms", true, format!("the deal's id is their hash, {deal}")),
        Err(error) => found.says("terms", false, error.to_string()),
    }
    let agreed = agreement_hash(&agreement).is_ok_and(|hash| hash == terms.agreement);
    found.says(
        "agreement",
        agreed,
        format!("the terms name {}, its SHA-256 in canonical form", terms.agreement),
    );
    let events = events(&records, hub, &mut found);
    accepted(&records, &terms, &mut found);
    let deal = deal_id(&terms).ok();
    let own: Vec<&ChainEvent> =
        events.iter().map(|entry| &entry.event).filter(|event| event.body.deal() == deal).collect();
    let (position, gap) = position::fold(Status::Created, &terms, own.iter().copied());
    match gap {
        Some(gap) => found.says("outcome", false, gap.to_string()),
        None => {
            let share = position.seller_share_bps(terms.amount);
            let share =
                share.map_or_else(String::new, |share| format!(", seller's share {share} basis points"));
            found.says(
                "outcome",
                true,
                format!("by the events it is {}{share}", position.settled().status.as_str()),
            );
        }
    }
    found.open(
        "chain",
        "that the chain says what the hub's records of its events say: earnest verify credential --rpc",
    );
    evidence(&records, &mut found);
    if let Some(disputed_at) = position.disputed_at {
        let (case, out_of_order) = case::fold(&terms, disputed_at, own);
        match out_of_order {
            Some((event, refused)) => found.says("case", false, format!("event {event}: {refused}")),
            None => ruling(&case, &records, &terms, &mut found),
        }
    }
    credentials(bundle, &records, &events, &terms, hub, made, &mut found);
    found.0
}

/// The records that are genuine and stand in the hub's log; none where the bundle has no order to speak of.
fn records(bundle: &Bundle, hub: Device, found: &mut Found) -> Option<(Vec<Record>, Stamp)> {
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
        "that nothing else was said of the deal: whoever reads the whole log of that head sees it",
    );
    let about = here.first() == Some(&extract.about);
    let ids: BTreeSet<RecordId> = here.into_iter().collect();
    let of_it = records.iter().skip(1).all(|record| record.about.is_some_and(|about| ids.contains(&about)));
    found.says("about", about && of_it, format!("all of it is about {}", extract.about));
    Some((records, extract.made))
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

/// The final events that the hub's records tell, in the order in which its feed told them.
fn events(records: &[Record], hub: Device, found: &mut Found) -> Vec<FeedEntry> {
    let (mut events, mut known) = (Vec::new(), BTreeSet::new());
    for record in records.iter().filter(|record| record.kind == "chain-event@1") {
        match record.body_as::<FeedEntry>() {
            Ok(entry) if record.device == hub && entry.finality == Finality::Final => {
                if known.insert(entry.event.id) {
                    events.push(entry);
                }
            }
            Ok(_) => found.says(format!("record {}", record.id), false, "not a final event told by the hub"),
            Err(refusal) => found.says(format!("record {}", record.id), false, refusal.to_string()),
        }
    }
    events.sort_by_key(|entry| entry.seq);
    events
}

/// Whether the seller's wallet signed the terms; the buyer's word on them is that it funded the deal.
fn accepted(records: &[Record], terms: &Terms, found: &mut Found) {
    for record in records.iter().filter(|record| record.kind == "acceptance@1") {
        let signature = record.body_as::<AcceptanceBody>().map(|body| body.signature);
        match signature.map(|signature| terms_signature(terms, &signature)) {
            Ok(Ok(Signed::ByKey)) => found.says("acceptance", true, "the seller's key signed the terms"),
            Ok(Ok(Signed::AskContract(_))) => {
                found.open(
                    "acceptance",
                    "that the seller's contract wallet accepts the signature: its chain knows",
                );
            }
            Ok(Err(error)) => found.says("acceptance", false, error.to_string()),
            Err(refusal) => found.says("acceptance", false, refusal.to_string()),
        }
    }
    found.open(
        "authors",
        "that each device speaks for the account that a record names: the hub admitted it; wallets signed terms, ballots and \
         the authority of credentials",
    );
}

fn evidence(records: &[Record], found: &mut Found) {
    for record in records.iter().filter(|record| record.kind == "evidence@1") {
        match record.body_as::<EvidenceBody>() {
            Ok(body) => found.open(
                format!("evidence {}", body.hash),
                "signed by its author; compare its hash with the file that you were given",
            ),
            Err(refusal) => found.says(format!("record {}", record.id), false, refusal.to_string()),
        }
    }
}

/// Counts the ballots again.
fn ruling(case: &Case, records: &[Record], terms: &Terms, found: &mut Found) {
    let Ok(deal) = deal_id(terms) else { return };
    let mut signed: BTreeMap<(u8, u8), BTreeMap<u8, u16>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.kind == "ballot@1") {
        let name = format!("ballot {}", record.id);
        let Ok(body) = record.body_as::<BallotBody>() else {
            found.says(name, false, "its body is not that of a ballot@1");
            continue;
        };
        // A ballot is bound to its jury, so that only the one that it was signed for has it.
        let of = case.juries.iter().filter(|jury| jury.jury == body.jury).find(|jury| {
            let seat = jury.seats.get(usize::from(body.seat));
            seat.zip(jury.id(deal, terms)).is_some_and(|(juror, id)| {
                ballot_signature(terms.arbiter, id, body.share, body.reason_hash(), *juror, &body.signature)
                    .is_ok()
            })
        });
        match of {
            Some(jury) => {
                signed.entry((jury.instance, jury.jury)).or_default().insert(body.seat, body.share);
                let told = format!(
                    "jury {} of instance {}, seat {}: {}",
                    jury.jury, jury.instance, body.seat, body.share
                );
                found.says(name, true, told);
            }
            None => found.says(name, false, "not signed by the wallet of its seat"),
        }
    }
    for ruling in &case.rulings {
        let name = format!("ruling of instance {}", ruling.instance);
        let jury =
            case.juries.iter().find(|jury| (jury.instance, jury.jury) == (ruling.instance, ruling.jury));
        let ballots = signed.get(&(ruling.instance, ruling.jury)).cloned().unwrap_or_default();
        // By the ballots in the file; where they are not enough, with what the chain counted, as the hub's records tell it.
        let counted = jury.filter(|jury| jury.size() > 0).and_then(|jury| {
            // What a juror cast on the chain is final, whatever it signed besides.
            let cast = jury.cast.iter().fold(Ballots::default(), |word, (seat, cast)| {
                word.with_cast(*seat, cast.share, jury.size()).unwrap_or(word)
            });
            let alone = ballots.iter().fold(cast, |word, (seat, share)| {
                word.with_signed(*seat, *share, jury.size()).unwrap_or(word)
            });
            alone.bounds(jury.size()).ruling().or_else(|| jury.bounds(ballots).ruling())
        });
        match counted {
            Some(share) => {
                let told =
                    format!("the ballots come to {share} basis points, the ruling is {}", ruling.share);
                found.says(name, share == ruling.share, told);
            }
            None => found.open(name, format!("{}: the ballots at hand do not determine it", ruling.share)),
        }
    }
    found.open(
        "jury",
        "that the jurors were drawn from the pool's list by the chain's randomness: the chain shows it",
    );
}

fn credentials(
    bundle: &Bundle,
    records: &[Record],
    events: &[FeedEntry],
    terms: &Terms,
    hub: Device,
    made: Stamp,
    found: &mut Found,
) {
    let facts =
        Facts { events, escrows: std::slice::from_ref(&terms.escrow), contract_wallet: None, hub: Some(hub) };
    for record in records.iter().filter(|record| record.kind == "credential@1") {
        let name = format!("credential {}", record.id);
        let Some(credential) = record.body.get("credential") else {
            found.says(name, false, "the record has none");
            continue;
        };
        let asks =
            model::read(credential).ok().and_then(|(read, _)| model::wallet_question(&read).ok().flatten());
        let verified = match (model::verify(credential, &facts), asks) {
            (Err(_), Some((wallet, ..))) => {
                let answered = Facts { contract_wallet: Some(true), ..facts };
                found.open(
                    &name,
                    format!("that the contract wallet {wallet} accepts the signature: its chain knows"),
                );
                model::verify(credential, &answered)
            }
            (verified, _) => verified,
        };
        let verified = match verified {
            Ok(verified) => verified,
            Err(refusal) => {
                found.says(name, false, format!("{}: {refusal}", refusal.rule()));
                continue;
            }
        };
        found.says(&name, true, format!("{} about {}", verified.kind.name(), verified.subject));
        let name = format!("status of {}", record.id);
        let Some(entry) = &verified.status else {
            found.open(name, "it has none: nobody can take it back");
            continue;
        };
        let list = bundle
            .status_lists
            .iter()
            .find(|list| list.get("id").and_then(Value::as_str) == Some(entry.list.as_str()));
        let taken_back = records.iter().any(|other| {
            // The hub takes one back because of a grievance against it.
            let by = other.author == record.author || other.device == hub;
            other.kind == "revocation@1" && other.about == Some(record.id) && by
        });
        match list.map(|list| status::look(entry, list, hub, made)) {
            Some(Ok((standing, since))) => {
                let revoked = standing == Standing::Revoked;
                let word = if revoked { "revoked" } else { "not revoked" };
                let told = format!("{word}, says the list of {since}");
                found.says(name, revoked == taken_back, told);
            }
            Some(Err(refusal)) => found.says(name, false, refusal.to_string()),
            None => found.open(name, "its list is not in the bundle"),
        }
    }
    found.open("since", format!("whether anything was revoked after {made}"));
}
