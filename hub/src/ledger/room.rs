//! What `submit` asks of this room. Every posting is the effect of a record, in the transaction of its log entry and from
//! nothing but that entry and the tables, so a replay posts the same.

use protocol::wire::dec;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::db::Write;
use sqlx::AnyConnection;

use super::{
    model::{
        AMOUNT_MAX, Account, Asset, AssetRules, Hold, Holder, Issuer, Key, Kind, OperationId, difference,
    },
    post::{Batch, Leg, Operation, Refused},
    rules::{Authority, Purpose},
    store::{self, corrupt},
};
use crate::{
    Hub,
    access::Audience,
    error::{Error, Refusal},
    identity, outbox,
    records::{Accepted, Draft, Record, RecordId, Stamp, say},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &[
    "ledger_assets",
    "ledger_accounts",
    "ledger_operations",
    "ledger_entries",
    "ledger_holds",
    "ledger_reversals",
];

/// How old a record that moves something may be when it is handed in, in milliseconds: an hour. Enough for a device without a
/// network for a while and for clocks that are wrong; little for bytes in the wrong hands.
pub(crate) const GOOD_FOR_MS: i64 = 60 * 60 * 1000;

/// Characters of a note.
const NOTE_MAX: usize = 280;

/// The body of `asset@1`: what holds for an asset from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetBody {
    /// The asset.
    pub asset: Asset,
    /// What holds.
    pub rules: AssetRules,
}

/// The body of `transfer@1`: its author pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferBody {
    /// In what.
    pub asset: Asset,
    /// Whom.
    pub to: RecordId,
    /// How much, in the smallest unit; above zero.
    #[serde(with = "dec")]
    pub amount: i128,
    /// What for, in words; at most 280 characters.
    pub note: String,
}

/// The body of `hold@1`: its author sets an amount aside for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldBody {
    /// In what.
    pub asset: Asset,
    /// For whom.
    pub to: RecordId,
    /// How much at most, in the smallest unit; above zero.
    #[serde(with = "dec")]
    pub amount: i128,
    /// From when on it can only expire; at most 400 days ahead.
    pub expires: Stamp,
    /// What for, in words; at most 280 characters.
    pub note: String,
}

/// The body of `capture@1` about a hold: the payer pays out of it, and what is left is free again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureBody {
    /// How much, above zero and at most the hold's.
    #[serde(with = "dec")]
    pub amount: i128,
}

/// The body of `release@1` about a hold, by the payee, and of the hub's `expiry@1`: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseBody {}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let (rule, detail) = (refused.rule(), refused.to_string());
        match refused {
            Refused::NotYours { .. } => Self::access(rule, "/author", detail),
            Refused::BelowFloor { .. } | Refused::AboveCeiling { .. } | Refused::OutOfRange(_) => {
                Self::conflict(rule, "/body/amount", detail)
            }
            Refused::HoldEnded { .. }
            | Refused::HoldOver(..)
            | Refused::HoldNotOver(..)
            | Refused::Reversed { .. } => Self::conflict(rule, "/about", detail),
            Refused::Amount(_) | Refused::OverHold { .. } | Refused::OverMoved { .. } => {
                Self::rule(rule, "/body/amount", detail)
            }
            Refused::Expiry(_) => Self::rule(rule, "/body/expires", detail),
            Refused::UnknownAsset(_) | Refused::OtherAsset(..) | Refused::NotAllowed { .. } => {
                Self::rule(rule, "/body/asset", detail)
            }
            Refused::SameAccount(_) => Self::rule(rule, "/body/to", detail),
            Refused::UnknownHold(_) => Self::rule(rule, "/about", detail),
            _ => Self::rule(rule, "/body", detail),
        }
    }
}

fn positive(amount: i128) -> Result<(), Refusal> {
    if (1..=AMOUNT_MAX).contains(&amount) { Ok(()) } else { Err(Refused::Amount(amount).into()) }
}

fn short(note: &str) -> Result<(), Refusal> {
    let length = note.chars().count();
    if length <= NOTE_MAX {
        return Ok(());
    }
    Err(Refusal::schema("note", "/body/note", format!("has {length} characters and may have {NOTE_MAX}")))
}

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    match record.kind.as_str() {
        "transfer@1" => {
            let body: TransferBody = record.body_as()?;
            positive(body.amount)?;
            short(&body.note)
        }
        "hold@1" => {
            let body: HoldBody = record.body_as()?;
            positive(body.amount)?;
            short(&body.note)
        }
        "capture@1" => {
            record.about()?;
            positive(record.body_as::<CaptureBody>()?.amount)
        }
        "release@1" | "expiry@1" => {
            record.about()?;
            record.body_as::<ReleaseBody>().map(drop)
        }
        _ => {
            let AssetBody { rules, .. } = record.body_as()?;
            if rules.credit_limit < 0 || rules.credit_limit > AMOUNT_MAX {
                let detail = format!("{} must be 0 to {AMOUNT_MAX}", rules.credit_limit);
                return Err(Refusal::schema("credit_limit", "/body/rules/credit_limit", detail));
            }
            if rules.unit.is_empty() || rules.unit.chars().count() > 40 || rules.scale > 30 {
                return Err(Refusal::schema(
                    "unit",
                    "/body/rules",
                    "unit has 1 to 40 characters, scale is 0 to 30",
                ));
            }
            Ok(())
        }
    }
}

/// Who is paid may not be the hub: nobody speaks for its account, so what it has is nobody's any more. A replay does not ask, for a
/// log may have such payments from before.
pub(crate) fn prepare(hub: &Hub, record: &Record) -> Result<Value, Error> {
    match record.kind.as_str() {
        "transfer@1" => payable(hub, &record.body_as::<TransferBody>()?.to, "/body/to")?,
        "hold@1" => payable(hub, &record.body_as::<HoldBody>()?.to, "/body/to")?,
        _ => {}
    }
    Ok(Value::Null)
}

/// Whether an account may be paid.
///
/// # Errors
/// Step `rule`: it is the hub's own.
pub(crate) fn payable(hub: &Hub, to: &RecordId, field: &str) -> Result<(), Refusal> {
    if *to != hub.account {
        return Ok(());
    }
    let told = format!("{to} is the hub's own account, which pays nothing back: name a member");
    Err(Refusal::rule("hubs_account", field, told))
}

pub(crate) async fn apply(write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let on = write.on();
    let record = &accepted.record;
    let (author, id) = (record.account(), OperationId::first(record.id));
    let mine = |asset| Key::member(asset, author);
    let (by, operation, parties) = match record.kind.as_str() {
        "transfer@1" => {
            let TransferBody { asset, to, amount, .. } = record.body_as()?;
            somebody(on, &to).await?;
            told(record, &to)?;
            let given = amount.checked_neg().ok_or(Refused::Amount(amount)).map_err(Refusal::from)?;
            let legs = vec![
                Leg { account: mine(asset), amount: given },
                Leg { account: Key::member(asset, to), amount },
            ];
            let transfer = Operation::Transfer { id, purpose: Purpose::Exchange, legs };
            (Authority::Account(author), transfer, [author, to])
        }
        "hold@1" => {
            let HoldBody { asset, to, amount, expires, .. } = record.body_as()?;
            somebody(on, &to).await?;
            told(record, &to)?;
            let hold = Operation::Hold {
                id,
                purpose: Purpose::Exchange,
                from: mine(asset),
                to: Key::member(asset, to),
                amount,
                expires_at: expires.ms(),
            };
            (Authority::Account(author), hold, [author, to])
        }
        "asset@1" => {
            let AssetBody { asset, rules } = record.body_as()?;
            store::put_asset(on, asset, &rules, &record.id).await?;
            return Ok(Vec::new());
        }
        kind => {
            let (hold, parties) = ended(on, record, author).await?;
            let (by, operation) = match kind {
                "capture@1" => {
                    let CaptureBody { amount } = record.body_as()?;
                    (Authority::Account(author), Operation::Capture { id, hold: hold.id, amount })
                }
                "release@1" => (Authority::Account(author), Operation::Release { id, hold: hold.id }),
                _ => (Authority::Hub, Operation::Expire { id, hold: hold.id }),
            };
            for party in parties {
                told(record, &party)?;
            }
            (by, operation, parties)
        }
    };
    let batch = Batch { by, operations: vec![operation] };
    store::post(on, &batch, accepted.received_at).await?;
    let audience: Vec<Audience> = parties.into_iter().map(Audience::Account).collect();
    outbox::append(on, "ledger", &audience, &json!({ "record": record.id, "type": record.kind })).await?;
    Ok(Vec::new())
}

/// What every record says by which its author gives.
#[derive(Deserialize)]
struct Given {
    asset: Asset,
    #[serde(with = "dec")]
    amount: i128,
}

/// Whether the author has less than a record takes from it, and a limit that allows that.
pub(crate) async fn needs_credit(on: &mut AnyConnection, record: &Record) -> Result<bool, Error> {
    if !matches!(record.kind.as_str(), "transfer@1" | "hold@1" | "deposit@1") {
        return Ok(false);
    }
    let Given { asset, amount } = record.body_as()?;
    let key = Key::member(asset, record.account());
    let Some(rules) = store::rules(on, asset).await? else { return Ok(false) };
    let account = store::account(on, &key).await?.unwrap_or_else(|| Account::empty(key));
    let available = difference(account.balance, account.held);
    Ok(account.floor(&rules) < 0 && available.is_none_or(|available| available < amount))
}

/// The hold that a record is about, and its parties; nobody else learns whether there is one.
async fn ended(
    on: &mut AnyConnection,
    record: &Record,
    author: RecordId,
) -> Result<(Hold, [RecordId; 2]), Error> {
    let id = OperationId::first(record.about()?);
    let found = store::hold(on, &id).await?;
    let found = found.and_then(|hold| match (hold.from.holder, hold.to.holder) {
        (Holder::Record(from), Holder::Record(to)) => Some((hold, [from, to])),
        _ => None,
    });
    let hubs = record.kind == "expiry@1";
    found
        .filter(|(_, parties)| hubs || parties.contains(&author))
        .ok_or_else(|| Refusal::from(Refused::UnknownHold(id)).into())
}

async fn somebody(on: &mut AnyConnection, account: &RecordId) -> Result<(), Error> {
    if identity::account_exists(on, account).await? {
        return Ok(());
    }
    Err(Refusal::rule("unknown_account", "/body/to", format!("there is no account {account}")).into())
}

/// Whoever a record moves something for can read it.
fn told(record: &Record, party: &RecordId) -> Result<(), Refusal> {
    let may = |entry: &Audience| matches!(entry, Audience::Public) || *entry == Audience::Account(*party);
    if *party == record.account() || record.audience.iter().any(may) {
        return Ok(());
    }
    let detail = format!("{party} has to be able to read it: add account:{party}");
    Err(Refusal::rule("audience", "/audience", detail))
}

/// Says what holds for time credits, where that is not what was said last. Before anything else is taken.
pub(crate) async fn say_assets(hub: &Hub) -> Result<(), Error> {
    let rules = AssetRules {
        unit: "hour".to_owned(),
        scale: 2,
        issuer: Issuer::Nobody,
        credit_limit: i128::from(hub.config.time_credit_limit),
        governed_by: hub.config.time_credit_community,
    };
    let known = store::asset(&mut *hub.db.reader().acquire().await?, Asset::TimeCredit).await?;
    let before = match known {
        Some((said, _)) if said == rules => return Ok(()),
        Some((_, record)) => Some(record),
        None => None,
    };
    let body = serde_json::to_value(AssetBody { asset: Asset::TimeCredit, rules }).map_err(corrupt)?;
    let draft = Draft::new("asset@1", Some(hub.account), Stamp::from_ms(hub.clock.now_ms()), body);
    // About the one before, so that going back to former rules is another record.
    let draft = match before {
        Some(before) => draft.about(before),
        None => draft,
    };
    say(hub, &draft).await.map(drop)
}

/// Whose a member's account is.
pub(super) const fn owner(key: &Key) -> Option<RecordId> {
    match (key.kind, key.holder) {
        (Kind::Member, Holder::Record(id)) => Some(id),
        _ => None,
    }
}
