//! What `submit` asks of this room, and the credential that the hub itself issues.

use protocol::chain::AccountId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::db::Write;
use sha2::{Digest as _, Sha256};
use sqlx::AnyConnection;

use super::{
    exchanges,
    heading::{self, Basis},
    kinds::Part,
    losses,
    model::{self, Facts, Issuing, Kind},
    status::{self, ENTRIES, Entry, Purpose},
    store::{self, Held},
};
use crate::{
    Hub,
    access::Audience,
    deals::{
        position::Position,
        store::{self as purchases, Purchase, corrupt},
    },
    error::{Error, Refusal},
    identity,
    records::{Accepted, Draft, Record, RecordId, Stamp},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &["credentials", "credential_status"];

/// The most characters of a revocation's reason.
const REASON_MAX: usize = 500;

/// `credential@1` about a purchase, a payment or a grievance.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialBody {
    pub credential: Value,
}

/// `revocation@1` about a `credential@1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationBody {
    /// Why, for people; may be empty.
    pub reason: String,
}

/// What the issuing party's contract wallet said of its authorisation.
#[derive(Serialize, Deserialize)]
struct Asked {
    contract_wallet: bool,
}

impl From<model::Refusal> for Refusal {
    fn from(refused: model::Refusal) -> Self {
        let (rule, detail) = (refused.rule(), refused.to_string());
        match refused {
            model::Refusal::NotClosed(_) | model::Refusal::NotCompleted | model::Refusal::NothingLost => {
                Self::conflict(rule, "/about", detail)
            }
            _ => Self::rule(rule, "/body/credential", detail),
        }
    }
}

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    record.about()?;
    if record.kind == "revocation@1" {
        let RevocationBody { reason } = record.body_as()?;
        if reason.chars().count() > REASON_MAX {
            let told = format!("may have {REASON_MAX} characters");
            return Err(Refusal::schema("reason", "/body/reason", told));
        }
        return Ok(());
    }
    let CredentialBody { credential } = record.body_as()?;
    heading::read(&credential)?;
    Ok(())
}

pub(crate) async fn prepare(hub: &Hub, record: &Record) -> Result<Value, Error> {
    if record.kind == "revocation@1" {
        return Ok(Value::Null);
    }
    let CredentialBody { credential } = record.body_as()?;
    let heading = heading::read(&credential).map_err(Refusal::from)?;
    // Here and not where it is applied, which has to work again after this hub has moved.
    if let Some(entry) = &heading.status {
        let base = &hub.public.url;
        let ours = entry.number().map(|list| Entry::new(base, entry.purpose, list, entry.index));
        if ours.as_ref() != Some(entry) {
            let told = format!("must be in a list of this hub, {base}/v1/status/…");
            return Err(Refusal::rule("credential_status", STATUS, told).into());
        }
    }
    if heading.rests_on.0 != Basis::Deal {
        return Ok(Value::Null);
    }
    let (credential, _) = model::read(&credential).map_err(Refusal::from)?;
    let Some((wallet, hash, signature)) = model::wallet_question(&credential).map_err(Refusal::from)? else {
        return Ok(Value::Null);
    };
    let owner = identity::account_of_wallet(&mut *hub.db.reader().acquire().await?, &wallet).await?;
    if owner != Some(record.account()) {
        return Ok(Value::Null);
    }
    let contract_wallet = identity::contract_accepts(&hub.indexers, wallet, hash, &signature).await?;
    Ok(json!(Asked { contract_wallet }))
}

/// Where a credential's record has its status.
const STATUS: &str = "/body/credential/credentialStatus";

/// The list of a credential's entry, which must be free.
async fn free_entry(on: &mut AnyConnection, entry: Option<&Entry>) -> Result<(Entry, u32), Error> {
    let refuse = |told: String| Refusal::rule("credential_status", STATUS, told);
    let entry =
        entry.ok_or_else(|| refuse("is required: GET /v1/status/revocation names the list".to_owned()))?;
    let list = entry.number().ok_or_else(|| refuse("names no list of a hub".to_owned()))?;
    if entry.index >= ENTRIES {
        return Err(refuse(format!("statusListIndex {} must be under {ENTRIES}", entry.index)).into());
    }
    let open = store::open_list(on, entry.purpose).await?;
    if list > open {
        return Err(refuse(format!("list {list} is not open yet: {open} is")).into());
    }
    // One that half is taken of stays so, or its numbers would tell when and how many.
    if list < open {
        let told = format!("half of list {list} is taken: draw in list {open}");
        return Err(Refusal::conflict("status_taken", STATUS, told).into());
    }
    if store::entry(on, entry.purpose, list, entry.index).await?.is_some() {
        let told = format!("entry {} of list {list} is another credential's: draw another one", entry.index);
        return Err(Refusal::conflict("status_taken", STATUS, told).into());
    }
    Ok((entry.clone(), list))
}

/// Where the final events of the purchase's escrow have left the deal, which are folded already: once it is closed.
fn closed(purchase: &Purchase) -> Result<Position, model::Refusal> {
    let position = purchase.position;
    if position.closing.is_some() {
        return Ok(position);
    }
    Err(model::Refusal::NotClosed(format!("it is {}", position.status.as_str())))
}

pub(crate) async fn apply(hub: &Hub, write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let on = write.on();
    if accepted.record.kind == "revocation@1" {
        return revoke(hub, on, accepted).await;
    }
    let record = &accepted.record;
    let CredentialBody { credential } = record.body_as()?;
    match heading::read(&credential).map_err(Refusal::from)?.rests_on.0 {
        Basis::Deal => {}
        Basis::Exchange => {
            exchanges::apply(on, accepted, &credential).await?;
            return Ok(Vec::new());
        }
        Basis::Grievance => {
            losses::apply(hub, on, accepted, &credential).await?;
            return Ok(Vec::new());
        }
    }
    let about = record.about()?;
    let author = record.account();
    let by_the_hub = author == hub.account;
    let purchase = purchases::by_id(on, &about).await?;
    let Some(purchase) = purchase.filter(|found| by_the_hub || found.is_party(&author)) else {
        let told = format!("there is no purchase {about} of yours");
        return Err(Refusal::rule("no_purchase", "/about", told).into());
    };
    let (read, kind) = model::read(&credential).map_err(Refusal::from)?;
    let issuing_account = match kind.rule().issuer {
        Part::Buyer => purchase.buyer,
        Part::Seller => purchase.seller,
        Part::Hub => hub.account,
        // No outcome of a purchase.
        Part::Giver | Part::Receiver | Part::Loser => {
            return Err(Refusal::from(model::Refusal::Outcome(kind)).into());
        }
    };
    if author != issuing_account {
        let told = format!("a {} of this purchase is {issuing_account}'s to issue", kind.name());
        return Err(Refusal::access("not_the_counterparty", "/author", told).into());
    }
    if read.issuer != record.device {
        let told = format!("is {}; the record is signed by {}", read.issuer, record.device);
        return Err(Refusal::rule("issuer_device", "/body/credential/issuer", told).into());
    }
    if read.subject.terms != purchase.terms {
        let told = "they are not those of the purchase";
        return Err(
            Refusal::rule("credential_terms", "/body/credential/credentialSubject/terms", told).into()
        );
    }
    let asked = Option::<Asked>::deserialize(&accepted.facts).map_err(corrupt)?;
    let facts = Facts {
        events: &[],
        escrows: std::slice::from_ref(&purchase.terms.escrow),
        contract_wallet: asked.map(|asked| asked.contract_wallet),
        hub: by_the_hub.then_some(record.device),
    };
    let verified = model::verify_by(&credential, &facts, |_| closed(&purchase)).map_err(Refusal::from)?;
    let outcome =
        Outcome { key: &purchase.deal.to_string(), about: purchase.id, kind, subject: verified.subject };
    keep(on, &outcome, read.status.as_ref(), &credential, accepted).await?;
    Ok(Vec::new())
}

/// What a credential that holds is kept under.
pub(super) struct Outcome<'a> {
    /// The deal's id, or that of the record that paid.
    pub key: &'a str,
    /// The purchase or the payment.
    pub about: RecordId,
    /// What is said of it.
    pub kind: Kind,
    /// The wallet that it is about.
    pub subject: AccountId,
}

/// Keeps a credential that holds, the first of its kind for its outcome, and tells of it.
pub(super) async fn keep(
    on: &mut AnyConnection,
    outcome: &Outcome<'_>,
    status: Option<&Entry>,
    credential: &Value,
    accepted: &Accepted,
) -> Result<(), Error> {
    let (record, kind) = (&accepted.record, outcome.kind);
    if store::exists(on, outcome.key, kind).await? {
        let told = format!("{} has its {}", outcome.about, kind.name());
        return Err(Refusal::conflict("credential_exists", "/about", told).into());
    }
    let (entry, list) = free_entry(on, status).await?;
    store::add(on, outcome, credential, accepted).await?;
    store::take_entry(on, &entry, list, &record.id).await?;
    let told = json!({ "credential": record.id, "about": outcome.about, "kind": kind.name() });
    crate::outbox::append(on, "credential", &record.audience, &told).await
}

/// Its issuer takes a credential back for good, or the hub because of a grievance. It stays the one of its kind for its outcome.
async fn revoke(hub: &Hub, on: &mut AnyConnection, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let record = &accepted.record;
    let about = record.about()?;
    let by_the_hub = record.account() == hub.account;
    let found = store::one(on, &about).await?;
    let found = found.filter(|held| by_the_hub || held.issuer == record.account());
    let Some(held) = found else {
        let told = format!("there is no credential {about} that you issued");
        return Err(Refusal::access("not_the_issuer", "/about", told).into());
    };
    not_revoked(&held)?;
    store::revoke(on, &about, accepted).await?;
    let told = json!({ "credential": about, "about": held.about, "revoked": record.id });
    crate::outbox::append(on, "credential", &held.audience, &told).await?;
    Ok(Vec::new())
}

fn not_revoked(held: &Held) -> Result<(), Refusal> {
    match held.revoked {
        None => Ok(()),
        Some(by) => {
            let told = format!("{by} has revoked it");
            Err(Refusal::conflict("credential_revoked", "/about", told))
        }
    }
}

/// Whose a credential is: the account of the wallet that it is about, where one has that wallet.
///
/// # Errors
/// The database fails.
pub(crate) async fn holder(on: &mut AnyConnection, credential: &RecordId) -> Result<Option<RecordId>, Error> {
    match store::one(on, credential).await? {
        Some(held) => identity::account_of_wallet(on, &held.subject).await,
        None => Ok(None),
    }
}

/// What the hub says to take a credential back for good, because of the grievance that is named, in the place of its issuer.
///
/// # Errors
/// Step `rule`: there is no such credential, or it is revoked already.
pub(crate) async fn revocation(
    on: &mut AnyConnection,
    hub: RecordId,
    credential: &RecordId,
    grievance: &RecordId,
    now: i64,
) -> Result<Draft, Error> {
    let Some(held) = store::one(on, credential).await? else {
        let told = format!("there is no credential {credential}");
        return Err(Refusal::rule("unknown_credential", "/body/subject", told).into());
    };
    not_revoked(&held)?;
    taken_back(&held, hub, grievance, now)
}

/// The hub's word that takes a credential back, because of a grievance.
pub(super) fn taken_back(held: &Held, hub: RecordId, grievance: &RecordId, now: i64) -> Result<Draft, Error> {
    let body = RevocationBody { reason: format!("grievance {grievance}") };
    let body = serde_json::to_value(body).map_err(corrupt)?;
    let draft = Draft::new("revocation@1", Some(hub), Stamp::from_ms(now), body);
    Ok(draft.about(held.id).only_for(held.audience.clone()))
}

/// A free entry for a credential of the hub, drawn by randomness that nobody knew before.
pub(super) async fn draw(on: &mut AnyConnection, base: &str, accepted: &Accepted) -> Result<Entry, Error> {
    let purpose = Purpose::Revocation;
    let list = store::open_list(on, purpose).await?;
    // At most half of the list is taken: that all these are taken has a chance of 2^-64.
    for salt in 0..64_u8 {
        let drawn = Sha256::digest([accepted.entropy.as_slice(), &[salt]].concat());
        let index = status::draw(drawn.first_chunk().copied().unwrap_or_default());
        if store::entry(on, purpose, list, index).await?.is_none() {
            return Ok(Entry::new(base, purpose, list, index));
        }
    }
    Err(corrupt(format_args!("status list {list} has no free entry")))
}

/// After a `chain-event@1`: the hub's word on a dispute that has just been lost.
pub(crate) async fn follow(hub: &Hub, write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let on = write.on();
    let about = accepted.record.about()?;
    let Some(purchase) = purchases::by_id(on, &about).await? else { return Ok(Vec::new()) };
    let Purchase { terms, position, deal, .. } = &purchase;
    let lost = position.closing.is_some()
        && position.disputed_at.is_some()
        && model::loser(terms, position).is_some();
    if !lost || store::exists(on, &deal.to_string(), Kind::DisputeLost).await? {
        return Ok(Vec::new());
    }
    let now = Stamp::from_ms(accepted.received_at);
    let status = Some(draw(on, &hub.public.url, accepted).await?);
    let issuing = Issuing { status, ..Issuing::default() };
    let credential = model::issue(Kind::DisputeLost, terms, position, issuing, &hub.key, now)
        .map_err(|error| corrupt(format_args!("no credential for deal {deal}: {error}")))?;
    let body = serde_json::to_value(CredentialBody { credential }).map_err(corrupt)?;
    let draft = Draft::new("credential@1", Some(hub.account), now, body).about(purchase.id);
    Ok(vec![draft.only_for(vec![Audience::Public])])
}
