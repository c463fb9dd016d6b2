//! What the ledger counts, and on which accounts. Pure.

use std::{fmt, str::FromStr};

use protocol::{
    chain::{AccountId, AssetId, CaipError, ChainId},
    wire::dec,
};
use serde::{Deserialize, Serialize};

use crate::records::{RecordId, text};

/// The largest amount and the largest balance, either way from zero, in an asset's smallest unit: 10^38 - 1. The sum of
/// two of them may lie outside of `i128`, so sums are checked.
pub const AMOUNT_MAX: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

/// The sum, where it is within ±[`AMOUNT_MAX`].
pub(crate) fn sum(one: i128, other: i128) -> Option<i128> {
    one.checked_add(other).filter(|sum| (-AMOUNT_MAX..=AMOUNT_MAX).contains(sum))
}

/// The difference, where it is within ±[`AMOUNT_MAX`].
pub(crate) fn difference(one: i128, other: i128) -> Option<i128> {
    one.checked_sub(other).filter(|left| (-AMOUNT_MAX..=AMOUNT_MAX).contains(left))
}

/// Not an asset, an account or an operation of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not {what}")]
pub struct NotOfTheLedger {
    /// The text as given, cut to 200 characters.
    pub value: String,
    /// What was expected, and its form.
    pub what: &'static str,
}

fn not(value: &str, what: &'static str) -> NotOfTheLedger {
    NotOfTheLedger { value: value.chars().take(200).collect(), what }
}

/// A unit that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asset {
    /// Hundredths of an hour: `time_credit`.
    TimeCredit,
    /// A mirror of a coin or token: its CAIP-19 id.
    Chain(AssetId),
    /// Issued by the record of this id.
    Issued(RecordId),
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimeCredit => f.write_str("time_credit"),
            Self::Chain(asset) => fmt::Display::fmt(asset, f),
            Self::Issued(record) => fmt::Display::fmt(record, f),
        }
    }
}

impl FromStr for Asset {
    type Err = NotOfTheLedger;

    fn from_str(text: &str) -> Result<Self, NotOfTheLedger> {
        if text == "time_credit" {
            return Ok(Self::TimeCredit);
        }
        text.parse().map(Self::Chain).or_else(|_: CaipError| {
            text.parse().map(Self::Issued).map_err(|_| {
                not(text, "an asset: time_credit, a CAIP-19 id, or the id of the record that issued it")
            })
        })
    }
}

/// Whose an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// An account, a community, a hub or a purchase, by the id of its first record.
    Record(RecordId),
    /// A contract on a chain, by CAIP-10.
    Contract(AccountId),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(id) => fmt::Display::fmt(id, f),
            Self::Contract(id) => fmt::Display::fmt(id, f),
        }
    }
}

impl FromStr for Holder {
    type Err = NotOfTheLedger;

    fn from_str(text: &str) -> Result<Self, NotOfTheLedger> {
        text.parse().map(Self::Record).or_else(|_| {
            text.parse()
                .map(Self::Contract)
                .map_err(|_: CaipError| not(text, "a holder: the id of a record, or a contract by CAIP-10"))
        })
    }
}

/// What an account is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody's own.
    Member,
    /// A community's or the hub's. It has no key: only a vote takes from it.
    Treasury,
    /// The other side of what was issued.
    Issuer,
    /// The other side of what lies in a contract on a chain.
    Mirror,
}

impl Kind {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Member, Self::Treasury, Self::Issuer, Self::Mirror];

    /// As the database and JSON write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Treasury => "treasury",
            Self::Issuer => "issuer",
            Self::Mirror => "mirror",
        }
    }
}

/// Which account. In text: `<asset>|<kind>|<holder>`; none of the three can contain a `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What is counted on it.
    pub asset: Asset,
    /// What it is for.
    pub kind: Kind,
    /// Whose it is.
    pub holder: Holder,
}

impl Key {
    /// Somebody's own account.
    pub const fn member(asset: Asset, holder: RecordId) -> Self {
        Self { asset, kind: Kind::Member, holder: Holder::Record(holder) }
    }

    /// The other side of what lies in a deal, by its purchase.
    pub const fn mirror(asset: Asset, purchase: RecordId) -> Self {
        Self { asset, kind: Kind::Mirror, holder: Holder::Record(purchase) }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}|{}", self.asset, self.kind.name(), self.holder)
    }
}

impl FromStr for Key {
    type Err = NotOfTheLedger;

    fn from_str(text: &str) -> Result<Self, NotOfTheLedger> {
        let refuse = || not(text, "an account: <asset>|<kind>|<holder>");
        let mut parts = text.split('|');
        let (Some(asset), Some(kind), Some(holder), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refuse());
        };
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind).ok_or_else(refuse)?;
        Ok(Self { asset: asset.parse()?, kind, holder: holder.parse()? })
    }
}

/// Names an operation: which record brought it, and the how many-th of that record it is. In text: `<record>/<part>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId {
    /// The record.
    pub record: RecordId,
    /// From 0.
    pub part: u16,
}

impl OperationId {
    /// The first operation of a record.
    pub const fn first(record: RecordId) -> Self {
        Self { record, part: 0 }
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.record, self.part)
    }
}

impl FromStr for OperationId {
    type Err = NotOfTheLedger;

    fn from_str(text: &str) -> Result<Self, NotOfTheLedger> {
        let read = || {
            let (record, part) = text.split_once('/')?;
            let number: u16 = part.parse().ok()?;
            (number.to_string() == part).then_some(Self { record: record.parse().ok()?, part: number })
        };
        read().ok_or_else(|| not(text, "an operation: <record>/<part>"))
    }
}

text!(Asset, Holder, Key, OperationId);

/// Whose word issues an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Issuer {
    /// Nobody's: it is mutual credit, its members' balances sum to zero.
    Nobody,
    /// This account's.
    #[schema(value_type = String)]
    Account(RecordId),
    /// A vote's.
    Vote,
    /// It comes and goes with what lies in a chain's escrow.
    Chain,
}

/// What holds for an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetRules {
    /// What one is called, e.g. `hour`; 1 to 40 characters.
    pub unit: String,
    /// Decimals that are shown: an amount of 150 with scale 2 is 1.50; 0 to 30.
    pub scale: u8,
    /// Whose word issues it.
    pub issuer: Issuer,
    /// How far below zero a member without a floor of its own may go; 0 to [`AMOUNT_MAX`].
    #[serde(with = "dec")]
    pub credit_limit: i128,
    /// The community whose votes adjust accounts in it and give members limits of their own; null: none.
    #[serde(deserialize_with = "Option::deserialize")]
    pub governed_by: Option<RecordId>,
}

impl AssetRules {
    /// What holds for an asset of which nobody has said anything: a mirrored one is told by its id. Nobody goes below zero in it, and
    /// no vote makes any. How many decimals a token has, no event tells.
    pub(crate) fn unsaid(asset: Asset) -> Option<Self> {
        let Asset::Chain(asset) = asset else { return None };
        let (unit, scale) = match (asset.token, asset.chain) {
            (Some(_), _) => ("smallest unit", 0),
            (None, ChainId::Eip155(_)) => ("coin", 18),
            (None, ChainId::Solana(_)) => ("SOL", 9),
        };
        let (unit, issuer) = (unit.to_owned(), Issuer::Chain);
        Some(Self { unit, scale, issuer, credit_limit: 0, governed_by: None })
    }
}

/// An account as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Which.
    pub key: Key,
    /// Its own floor, in place of the asset's.
    pub floor: Option<i128>,
    /// Its own ceiling; none: [`AMOUNT_MAX`].
    pub ceiling: Option<i128>,
    /// How many entries it has.
    pub version: i64,
    /// Their sum.
    pub balance: i128,
    /// The sum of those above zero.
    pub earned: i128,
    /// The sum of those below zero, without the sign.
    pub spent: i128,
    /// Set aside by open holds on it.
    pub held: i128,
    /// What open holds may bring.
    pub incoming: i128,
}

impl Account {
    /// An account without entries.
    pub const fn empty(key: Key) -> Self {
        Self {
            key,
            floor: None,
            ceiling: None,
            version: 0,
            balance: 0,
            earned: 0,
            spent: 0,
            held: 0,
            incoming: 0,
        }
    }

    /// The floor that holds for it.
    pub fn floor(&self, rules: &AssetRules) -> i128 {
        self.floor.unwrap_or_else(|| match self.key.kind {
            Kind::Member => rules.credit_limit.checked_neg().unwrap_or_default(),
            Kind::Treasury => 0,
            Kind::Issuer | Kind::Mirror => -AMOUNT_MAX,
        })
    }
}

/// Where a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// The amount is set aside.
    Open,
    /// A part of it or all was paid, and the rest is free again.
    Captured,
    /// Given up.
    Released,
    /// Its time is over.
    Expired,
}

impl HoldState {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Captured, Self::Released, Self::Expired];

    /// As the database and JSON write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Captured => "captured",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// An amount that is set aside for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The operation that made it.
    pub id: OperationId,
    /// What for.
    pub purpose: super::rules::Purpose,
    /// Who pays.
    pub from: Key,
    /// Who is paid.
    pub to: Key,
    /// How much at most; above 0.
    pub amount: i128,
    /// How much was paid.
    pub captured: i128,
    /// Unix milliseconds from which on it can only expire.
    pub expires_at: i64,
    /// Where it stands.
    pub state: HoldState,
    /// The operation that ended it; none while it is open.
    pub ended_by: Option<OperationId>,
}

/// What an operation moved, all of it from one account to one other, so that it can be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Who gave.
    pub from: Key,
    /// Who received.
    pub to: Key,
    /// How much; above 0.
    pub amount: i128,
    /// The operation that has reversed it; an operation is reversed once, in part or as a whole.
    pub reversed_by: Option<OperationId>,
}

impl Moved {
    /// From the entries of one operation; none where they are not one amount from one account to one other, or undo something
    /// themselves.
    pub fn of(entries: &[(Key, super::rules::EntryKind, i128)]) -> Option<Self> {
        let [one, other] = entries else { return None };
        let ((from, kind, given), (to, _, amount)) = if one.2 < 0 { (*one, *other) } else { (*other, *one) };
        let fair = given.checked_neg() == Some(amount) && amount > 0 && from.asset == to.asset && from != to;
        (fair && kind != super::rules::EntryKind::Reversal).then_some(Self {
            from,
            to,
            amount,
            reversed_by: None,
        })
    }
}

/// That an operation undid another one, in part or as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// The one that did.
    pub operation: OperationId,
    /// The one that is undone.
    pub reversed: OperationId,
    /// How much of it; above 0 and at most what it moved.
    pub amount: i128,
}

/// A signed integer on an account. Never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// On which account.
    pub account: Key,
    /// Its number there, from 1 without gaps.
    pub version: i64,
    /// The operation that made it.
    pub operation: OperationId,
    /// What it is, e.g. `exchange_credit`.
    pub kind: super::rules::EntryKind,
    /// Above zero: received; below: given; never zero.
    pub amount: i128,
    /// The account's balance after it.
    pub balance: i128,
    /// The account on the other side, where there is one alone.
    pub other: Option<Key>,
    /// Unix milliseconds.
    pub at: i64,
}
