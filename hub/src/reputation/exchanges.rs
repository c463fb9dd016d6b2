//! What `submit` asks of a credential about a payment, and what follows when a payment is given back.

use serde_json::Value;
use sqlx::AnyConnection;

use super::{
    exchange::{self, Payment},
    model::WalletDid,
    room::{Outcome, keep, taken_back},
    store,
};
use crate::{
    error::{Error, Refusal},
    identity,
    ledger::{self, model::OperationId},
    records::{Accepted, Draft, RecordId, log},
};

/// The payment in hours that a record is; none where it is no such thing.
async fn payment(on: &mut AnyConnection, id: &RecordId) -> Result<Option<Payment>, Error> {
    let Some(found) = log::find(on, id).await? else { return Ok(None) };
    let hold = match found.record.about.filter(|_| found.record.kind == "capture@1") {
        Some(about) => log::find(on, &about).await?.map(|entry| entry.record),
        None => None,
    };
    Ok(Payment::of(&found.record, hold.as_ref()).ok())
}

/// Whoever paid says what it was for, once for each kind.
pub(super) async fn apply(
    on: &mut AnyConnection,
    accepted: &Accepted,
    credential: &Value,
) -> Result<(), Error> {
    let record = &accepted.record;
    let (about, author) = (record.about()?, record.account());
    let said = exchange::read(credential).map_err(Refusal::from)?;
    let paid = payment(on, &about).await?;
    let ours = paid.filter(|paid| [paid.exchange.payer, paid.exchange.payee].contains(&author));
    let Some(paid) = ours else {
        let told = format!("there is no payment {about} of yours in hours: a transfer@1 or capture@1");
        return Err(Refusal::rule("no_payment", "/about", told).into());
    };
    let (payer, payee) = (paid.exchange.payer, paid.exchange.payee);
    if author != payer {
        let told = format!("a {} of this payment is {payer}'s to issue", said.kind.name());
        return Err(Refusal::access("not_the_counterparty", "/author", told).into());
    }
    if said.issuer != record.device {
        let told = format!("is {}; the record is signed by {}", said.issuer, record.device);
        return Err(Refusal::rule("issuer_device", "/body/credential/issuer", told).into());
    }
    said.is_of(credential, &paid).map_err(Refusal::from)?;
    let WalletDid(wallet) = said.subject.id;
    if identity::account_of_wallet(on, &wallet).await? != Some(payee) {
        let told = format!("{wallet} is no wallet of {payee}, who was paid");
        let field = "/body/credential/credentialSubject/id";
        return Err(Refusal::rule("credential_subject", field, told).into());
    }
    let moved = ledger::moved(on, OperationId::first(about)).await?;
    if let Some(by) = moved.and_then(|moved| moved.reversed_by) {
        let told = format!("{by} has given it back, in part or as a whole");
        return Err(Refusal::conflict("payment_reversed", "/about", told).into());
    }
    let outcome = Outcome { key: &about.to_string(), about, kind: said.kind, subject: wallet };
    keep(on, &outcome, said.status.as_ref(), credential, accepted).await
}

/// What the hub says when a grievance has a payment given back, in part or as a whole: what was said of it stands no more.
///
/// # Errors
/// The database fails.
pub(crate) async fn unpaid(
    on: &mut AnyConnection,
    hub: RecordId,
    payment: &RecordId,
    grievance: &RecordId,
    now: i64,
) -> Result<Vec<Draft>, Error> {
    let said = store::about(on, payment).await?;
    said.iter()
        .filter(|held| held.revoked.is_none())
        .map(|held| taken_back(held, hub, grievance, now))
        .collect()
}
