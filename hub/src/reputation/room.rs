//! What `submit` asks of this room, and the credential that the hub itself issues.

use protocol::wire::feed::{FeedEntry, Finality};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::db::Write;
use sqlx::AnyConnection;

use super::{
    model::{self, Facts, Kind},
    store,
};
use crate::{
    Hub,
    access::Audience,
    deals::store::{self as purchases, Purchase, corrupt},
    error::{Error, Refusal},
    identity,
    records::{Accepted, Draft, Record, Stamp},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &["credentials"];

/// `credential@1` about a purchase.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialBody {
    credential: Value,
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
    let CredentialBody { credential } = record.body_as()?;
    model::read(&credential)?;
    Ok(())
}

pub(crate) async fn prepare(hub: &Hub, record: &Record) -> Result<Value, Error> {
    let CredentialBody { credential } = record.body_as()?;
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

/// The final events that the purchase's escrow emitted, as a verifier would fetch them.
async fn events(on: &mut AnyConnection, purchase: &Purchase) -> Result<Vec<FeedEntry>, Error> {
    let events = purchases::events(on, purchase.deal).await?;
    Ok(events
        .into_iter()
        .filter(|(finality, _)| *finality == Finality::Final)
        .map(|(finality, event)| FeedEntry { seq: 0, finality, event })
        .collect())
}

pub(crate) async fn apply(hub: &Hub, write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let on = write.on();
    let record = &accepted.record;
    let about = record.about()?;
    let author = record.account();
    let by_the_hub = author == hub.account;
    let purchase = purchases::by_id(on, &about).await?;
    let Some(purchase) = purchase.filter(|found| by_the_hub || found.is_party(&author)) else {
        let told = format!("there is no purchase {about} of yours");
        return Err(Refusal::rule("no_purchase", "/about", told).into());
    };
    let CredentialBody { credential } = record.body_as()?;
    let (read, kind) = model::read(&credential).map_err(Refusal::from)?;
    let issuing_account = match kind {
        Kind::TrustedSeller => purchase.buyer,
        Kind::ReliablePayer => purchase.seller,
        Kind::DisputeLost => hub.account,
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
    let events = events(on, &purchase).await?;
    let facts = Facts {
        events: &events,
        escrows: std::slice::from_ref(&purchase.terms.escrow),
        contract_wallet: asked.map(|asked| asked.contract_wallet),
        hub: by_the_hub.then_some(record.device),
    };
    let verified = model::verify(&credential, &facts).map_err(Refusal::from)?;
    if store::exists(on, purchase.deal, kind).await? {
        let told = format!("this purchase has its {}", kind.name());
        return Err(Refusal::conflict("credential_exists", "/about", told).into());
    }
    store::add(on, purchase.deal, purchase.id, kind, verified.subject, &credential, accepted).await?;
    crate::outbox::append(
        on,
        "credential",
        &record.audience,
        &json!({ "credential": record.id, "purchase": purchase.id, "kind": kind.name() }),
    )
    .await?;
    Ok(Vec::new())
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
    if !lost || store::exists(on, *deal, Kind::DisputeLost).await? {
        return Ok(Vec::new());
    }
    let now = Stamp::from_ms(accepted.received_at);
    let credential = model::issue(Kind::DisputeLost, terms, position, None, &hub.key, now)
        .map_err(|error| corrupt(format_args!("no credential for deal {deal}: {error}")))?;
    let body = serde_json::to_value(CredentialBody { credential }).map_err(corrupt)?;
    let draft = Draft::new("credential@1", Some(hub.account), now, body).about(purchase.id);
    Ok(vec![draft.only_for(vec![Audience::Public])])
}
