//! Credentials about what was given and paid for in hours: what one says, how one is made, and how anyone checks one from the signed
//! records alone. Needs no server.
//!
//! The record that paid is the outcome, and only whoever paid has something to say: the payee by itself, or a third person, never
//! does. That a hub has posted the payment and that nobody gave it back, the records do not tell: of that a hub speaks by the entry
//! in its status list.

use protocol::chain::{AccountId, Signed};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    kinds::Kind,
    model::{Refusal, WalletDid},
    plain::Plain,
    status::Entry,
    vc::{self, Form},
};
use crate::{
    identity,
    ledger::{HoldBody, TransferBody, model::Asset},
    records::{Device, DeviceKey, Record, RecordId, Stamp},
};

/// Who paid whom, and by which record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The `transfer@1` or `capture@1` that paid.
    pub payment: RecordId,
    /// The account that received what was given, and paid.
    pub payer: RecordId,
    /// The account that gave, and was paid.
    pub payee: RecordId,
}

/// A payment in time credits, as its records tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Who paid whom.
    pub exchange: Exchange,
    /// The device by which the payer signed it.
    pub device: Device,
}

impl Payment {
    /// Of a `transfer@1`, or of a `capture@1` and the `hold@1` that it is about.
    ///
    /// # Errors
    /// [`Refusal::Payment`]: they are no payment in time credits.
    pub fn of(record: &Record, hold: Option<&Record>) -> Result<Self, Refusal> {
        let malformed = |refusal: crate::error::Refusal| Refusal::Payment(refusal.detail);
        let payer = record.account();
        let (asset, payee) = match (record.kind.as_str(), hold) {
            ("transfer@1", _) => {
                let TransferBody { asset, to, .. } = record.body_as().map_err(malformed)?;
                (asset, to)
            }
            ("capture@1", Some(hold))
                if hold.kind == "hold@1" && record.about == Some(hold.id) && hold.account() == payer =>
            {
                let HoldBody { asset, to, .. } = hold.body_as().map_err(malformed)?;
                (asset, to)
            }
            ("capture@1", _) => {
                let told = format!("the hold@1 of the payer that {} is about is missing", record.id);
                return Err(Refusal::Payment(told));
            }
            (kind, _) => {
                let told = format!("{} is a {kind:.60}: a transfer@1 or capture@1 pays", record.id);
                return Err(Refusal::Payment(told));
            }
        };
        if asset != Asset::TimeCredit {
            return Err(Refusal::Payment(format!("{} paid in {asset}, not in hours", record.id)));
        }
        let exchange = Exchange { payment: record.id, payer, payee };
        Ok(Self { exchange, device: record.device })
    }
}

/// Whom a credential is about, and the payment that it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// A wallet of the payee.
    pub id: WalletDid,
    /// The payment.
    pub exchange: Exchange,
}

/// What a credential says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What was given.
    pub kind: Kind,
    /// The payer's device.
    pub issuer: Device,
    /// By whom, and which payment shows it.
    pub subject: Subject,
    /// Where to see whether it was revoked.
    pub status: Option<Entry>,
}

impl Said {
    /// Whether the payer's own device says so of this payment.
    ///
    /// # Errors
    /// The first thing that does not hold: the proof, the payment, or who has signed it.
    pub fn is_of(&self, secured: &Value, payment: &Payment) -> Result<(), Refusal> {
        let signer = vc::signer(secured)?;
        if signer != self.issuer {
            return Err(Refusal::Issuer { issuer: self.issuer, signer });
        }
        let Payment { exchange, device } = payment;
        if self.subject.exchange != *exchange {
            let told = format!("credentialSubject/exchange is not what {} says", exchange.payment);
            return Err(Refusal::Payment(told));
        }
        if self.issuer != *device {
            let told = format!("{device} has signed the payment, and not {}", self.issuer);
            return Err(Refusal::Authorisation(told));
        }
        Ok(())
    }
}

/// Issues a credential of this kind about a wallet of whoever was paid, signed by the device that has signed the payment.
///
/// # Errors
/// It has no canonical form, or the kind rests on a deal ([`Refusal::Type`]).
pub fn issue(
    kind: Kind,
    exchange: Exchange,
    wallet: WalletDid,
    status: Option<Entry>,
    form: Form,
    key: &DeviceKey,
    now: Stamp,
) -> Result<Value, Refusal> {
    if kind.is_of_deals() {
        return Err(Refusal::Type);
    }
    let subject = Subject { id: wallet, exchange };
    Plain { kind, issuer: key.device(), subject, status }.issue(form, key, now)
}

/// Reads a credential's members, whichever way it is secured; says nothing yet about whether they hold.
///
/// # Errors
/// [`Refusal::Form`], [`Refusal::Context`], [`Refusal::Type`] or [`Refusal::Status`].
pub fn read(secured: &Value) -> Result<Said, Refusal> {
    let Plain { kind, issuer, subject, status } = Plain::<Subject>::read(secured)?;
    if kind.is_of_deals() {
        return Err(Refusal::Type);
    }
    Ok(Said { kind, issuer, subject, status })
}

/// Whether a credential holds by these records, whose own proofs have been checked ([`Record::read`]): the payment, the hold of a
/// capture, the `identity@1` with which the payee's account began and which says whose wallet that was, and that of the payer, with
/// the `device@1` by which its wallet let the device of the payment speak where that joined later. What a contract wallet has said,
/// and which wallets joined later, only a hub knows.
///
/// # Errors
/// The first thing that does not hold, or the record that is missing.
pub fn verify(secured: &Value, records: &[Record]) -> Result<Said, Refusal> {
    let said = read(secured)?;
    let Exchange { payment, payer, payee } = said.subject.exchange;
    let find = |id: RecordId| records.iter().find(|record| record.id == id);
    let missing = |id: RecordId| Refusal::Payment(format!("the record {id} is missing"));
    let paid = find(payment).ok_or_else(|| missing(payment))?;
    said.is_of(secured, &Payment::of(paid, paid.about.and_then(find))?)?;
    speaks(records, find(payer).ok_or_else(|| missing(payer))?, said.issuer)?;
    let wanted = first_wallet(find(payee).ok_or_else(|| missing(payee))?)?;
    let WalletDid(given) = said.subject.id;
    if given != wanted {
        return Err(Refusal::Subject { kind: said.kind, given, wanted });
    }
    Ok(said)
}

/// Whether the wallet that has begun an account has let this device speak for it: in its `identity@1`, or in a `device@1` of it.
fn speaks(records: &[Record], identity: &Record, device: Device) -> Result<(), Refusal> {
    let wallet = first_wallet(identity)?;
    let lets = |record: &Record| -> Option<()> {
        let word = identity::word_in(record).ok().flatten()?;
        let word = identity::Authorisation::read(&word.message, &word.signature, "/body/add").ok()?;
        let by_key = matches!(identity::signed(&word.word), Some(Signed::ByKey));
        (by_key && word.device == device && word.wallet() == wallet).then_some(())
    };
    let later = |record: &Record| {
        record.kind == "device@1" && record.author == Some(identity.id) && lets(record).is_some()
    };
    if identity.device == device || records.iter().any(later) {
        return Ok(());
    }
    let told = format!("no wallet's word in these records lets {device} speak for {}", identity.id);
    Err(Refusal::Authorisation(told))
}

/// The wallet that has begun an account, by the key of which it was signed.
fn first_wallet(identity: &Record) -> Result<AccountId, Refusal> {
    let refuse = |told: &str| Refusal::Authorisation(format!("{}: {told}", identity.id));
    let malformed = |refusal: crate::error::Refusal| Refusal::Authorisation(refusal.detail);
    if identity.kind != "identity@1" {
        return Err(refuse("the identity@1 of payer and payee is wanted"));
    }
    let word = identity::word_in(identity).map_err(malformed)?;
    let word = word.ok_or_else(|| refuse("no wallet began this account"))?;
    let word = identity::Authorisation::read(&word.message, &word.signature, "/body").map_err(malformed)?;
    if word.device != identity.device {
        return Err(refuse("the wallet speaks for another device"));
    }
    match identity::signed(&word.word) {
        Some(Signed::ByKey) => Ok(word.wallet()),
        Some(Signed::AskContract(_)) => Err(refuse("only its chain knows what a contract wallet has signed")),
        None => Err(refuse("the signature is not the wallet's")),
    }
}
