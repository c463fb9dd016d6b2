//! The one posting function: from what was loaded and a batch to what must be written, or a refusal by name. Pure.

use std::collections::{BTreeMap, BTreeSet};

use protocol::wire::dec;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    model::{
        AMOUNT_MAX, Account, Asset, AssetRules, Entry, Hold, HoldState, Holder, Issuer, Key, OperationId,
        difference, sum,
    },
    rules::{Authority, EntryKind, Needs, Purpose, needs},
};

/// The most operations of a batch.
pub const OPERATIONS_MAX: usize = 64;
/// The most entries of a transfer.
pub const LEGS_MAX: usize = 64;
/// How far ahead a hold may expire, in milliseconds: 400 days.
pub const HOLD_MAX_MS: i64 = 400 * 24 * 60 * 60 * 1000;

/// An amount that goes to an account (above zero) or comes from it (below).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// The account.
    pub account: Key,
    /// Never zero.
    #[serde(with = "dec")]
    pub amount: i128,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "a batch has at most 64")]
pub enum Operation {
    /// Moves amounts that sum to zero in each asset.
    Transfer {
        /// Its name.
        id: OperationId,
        /// What for.
        purpose: Purpose,
        /// 2 to [`LEGS_MAX`], each on another account.
        legs: Vec<Leg>,
    },
    /// Sets an amount aside.
    Hold {
        /// Its name, and the hold's.
        id: OperationId,
        /// What for.
        purpose: Purpose,
        /// Who pays.
        from: Key,
        /// Who is paid.
        to: Key,
        /// Above zero.
        #[serde(with = "dec")]
        amount: i128,
        /// Unix milliseconds from which on it can only expire.
        expires_at: i64,
    },
    /// Pays out of a hold and frees the rest. By the payer, or by a vote.
    Capture {
        /// Its name.
        id: OperationId,
        /// The hold.
        hold: OperationId,
        /// Above zero, at most the hold's.
        #[serde(with = "dec")]
        amount: i128,
    },
    /// Gives a hold up. By the payee, or by a vote.
    Release {
        /// Its name.
        id: OperationId,
        /// The hold.
        hold: OperationId,
    },
    /// Ends a hold whose time is over. By the hub.
    Expire {
        /// Its name.
        id: OperationId,
        /// The hold.
        hold: OperationId,
    },
}

impl Operation {
    /// Its name.
    pub const fn id(&self) -> OperationId {
        match self {
            Self::Transfer { id, .. }
            | Self::Hold { id, .. }
            | Self::Capture { id, .. }
            | Self::Release { id, .. }
            | Self::Expire { id, .. } => *id,
        }
    }

    /// The hold that it ends.
    pub const fn ends(&self) -> Option<OperationId> {
        match self {
            Self::Capture { hold, .. } | Self::Release { hold, .. } | Self::Expire { hold, .. } => {
                Some(*hold)
            }
            Self::Transfer { .. } | Self::Hold { .. } => None,
        }
    }

    /// The accounts that it names itself.
    pub fn accounts(&self) -> Vec<Key> {
        match self {
            Self::Transfer { legs, .. } => legs.iter().map(|leg| leg.account).collect(),
            Self::Hold { from, to, .. } => vec![*from, *to],
            Self::Capture { .. } | Self::Release { .. } | Self::Expire { .. } => Vec::new(),
        }
    }
}

/// Operations that happen together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// On whose word.
    pub by: Authority,
    /// 1 to [`OPERATIONS_MAX`].
    pub operations: Vec<Operation>,
}

/// All that a batch may depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The assets of the accounts.
    pub assets: BTreeMap<Asset, AssetRules>,
    /// Those that have been opened.
    pub accounts: BTreeMap<Key, Account>,
    /// The holds that the batch ends.
    pub holds: BTreeMap<OperationId, Hold>,
    /// Which of the batch's operations are known, with the digest of their content.
    pub known: BTreeMap<OperationId, String>,
}

/// What must be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posted {
    /// False: every operation was known, and nothing is to be written.
    pub new: bool,
    /// Names and digests.
    pub operations: Vec<(OperationId, String)>,
    /// In order.
    pub entries: Vec<Entry>,
    /// The accounts that changed, as they stand now.
    pub accounts: Vec<Account>,
    /// The holds that began or ended, as they stand now.
    pub holds: Vec<Hold>,
}

/// Why nothing of a batch happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// None or too many.
    #[error("a batch has {0} operations and must have 1 to 64")]
    Operations(usize),
    /// Too few or too many.
    #[error("a transfer has {0} entries and must have 2 to 64")]
    Legs(usize),
    /// Zero, beyond the bound, or a hold's below zero.
    #[error(
        "the amount {0} must not be zero and at most 38 digits long; of a hold and its capture it is above zero"
    )]
    Amount(i128),
    /// Twice in a transfer, or on both sides of a hold.
    #[error("the account {0} stands on both sides, or twice")]
    SameAccount(Box<Key>),
    /// Not of this hub.
    #[error("there is no asset {0}")]
    UnknownAsset(Asset),
    /// The two sides of a hold.
    #[error("a hold is of one asset, and these are {0} and {1}")]
    OtherAsset(Asset, Asset),
    /// Something would come from nothing.
    #[error("the entries in {asset} sum to {sum} and must sum to 0")]
    Unbalanced {
        /// In which asset.
        asset: Asset,
        /// What they sum to.
        sum: i128,
    },
    /// The table has no such entry.
    #[error("{} may not {} {account}", purpose.name(), if *gives { "take from" } else { "add to" })]
    NotAllowed {
        /// What for.
        purpose: Purpose,
        /// On which account.
        account: Box<Key>,
        /// Whether it gives.
        gives: bool,
    },
    /// It needs somebody else's word.
    #[error("this needs another word than that of whoever signed: {needs} for {account}")]
    NotYours {
        /// Whose.
        needs: &'static str,
        /// On which account.
        account: Box<Key>,
    },
    /// Not enough.
    #[error("{account} has {available} available and may not go below {floor}, so it cannot give {amount}")]
    BelowFloor {
        /// On which account.
        account: Box<Key>,
        /// The balance without what is held.
        available: i128,
        /// How low it may go.
        floor: i128,
        /// What it was to give.
        amount: i128,
    },
    /// Too much.
    #[error("{account} may have {has} already and not more than {ceiling}, so it cannot take {amount}")]
    AboveCeiling {
        /// On which account.
        account: Box<Key>,
        /// The balance with what holds may bring.
        has: i128,
        /// How high it may go.
        ceiling: i128,
        /// What it was to take.
        amount: i128,
    },
    /// No number of ours.
    #[error("{0} would go beyond 38 digits")]
    OutOfRange(Box<Key>),
    /// Another content.
    #[error("the operation {0} is known with another content")]
    OtherContent(OperationId),
    /// Twice in a batch.
    #[error("the operation {0} stands in the batch twice")]
    Twice(OperationId),
    /// Some of the batch happened before, and some did not.
    #[error("the operation {0} is known and others of its batch are not")]
    PartlyKnown(OperationId),
    /// No such hold.
    #[error("there is no hold {0}")]
    UnknownHold(OperationId),
    /// Ended before.
    #[error("the hold {hold} is {} already", state.name())]
    HoldEnded {
        /// Which.
        hold: OperationId,
        /// How.
        state: HoldState,
    },
    /// Its time is over.
    #[error("the hold {0} expired at {1} (Unix milliseconds)")]
    HoldOver(OperationId, i64),
    /// Its time is not over.
    #[error("the hold {0} expires at {1} (Unix milliseconds) and not before")]
    HoldNotOver(OperationId, i64),
    /// More than was set aside.
    #[error("the hold {hold} is of {amount}, less than {wanted}")]
    OverHold {
        /// Which.
        hold: OperationId,
        /// What was set aside.
        amount: i128,
        /// What was to be paid.
        wanted: i128,
    },
    /// In the past, or too far ahead.
    #[error(
        "a hold must expire later than now and within 400 days, and this one expires at {0} (Unix milliseconds)"
    )]
    Expiry(i64),
}

impl Refused {
    /// The rule's name.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Operations(_) => "operations",
            Self::Legs(_) => "legs",
            Self::Amount(_) => "amount",
            Self::SameAccount(_) => "same_account",
            Self::UnknownAsset(_) => "unknown_asset",
            Self::OtherAsset(..) => "other_asset",
            Self::Unbalanced { .. } => "unbalanced",
            Self::NotAllowed { .. } => "not_allowed",
            Self::NotYours { .. } => "not_yours",
            Self::BelowFloor { .. } => "below_floor",
            Self::AboveCeiling { .. } => "above_ceiling",
            Self::OutOfRange(_) => "out_of_range",
            Self::OtherContent(_) => "other_content",
            Self::Twice(_) => "twice",
            Self::PartlyKnown(_) => "partly_known",
            Self::UnknownHold(_) => "unknown_hold",
            Self::HoldEnded { .. } => "hold_ended",
            Self::HoldOver(..) => "hold_over",
            Self::HoldNotOver(..) => "hold_not_over",
            Self::OverHold { .. } => "over_hold",
            Self::Expiry(_) => "expiry",
        }
    }
}

/// What an operation's name stands for: a second one of the same name must have the same digest.
fn digest(by: Authority, operation: &Operation) -> String {
    // Keys and members are written in the order of their declaration.
    let content = serde_json::to_vec(&(by, operation)).unwrap_or_default();
    hex::encode(Sha256::digest(content))
}

/// Decides a batch at a moment (Unix milliseconds). `state` must hold what it names.
///
/// # Errors
/// By name; then nothing of it happens.
pub fn post(state: State, batch: &Batch, at: i64) -> Result<Posted, Refused> {
    if batch.operations.is_empty() || batch.operations.len() > OPERATIONS_MAX {
        return Err(Refused::Operations(batch.operations.len()));
    }
    let mut names = BTreeSet::new();
    let mut operations = Vec::with_capacity(batch.operations.len());
    for operation in &batch.operations {
        if !names.insert(operation.id()) {
            return Err(Refused::Twice(operation.id()));
        }
        operations.push((operation.id(), digest(batch.by, operation)));
    }
    for (id, digest) in &operations {
        if state.known.get(id).is_some_and(|known| known != digest) {
            return Err(Refused::OtherContent(*id));
        }
    }
    let known = operations.iter().filter(|(id, _)| state.known.contains_key(id)).count();
    if known == operations.len() {
        return Ok(Posted::default());
    }
    if let Some((id, _)) = operations.iter().find(|(id, _)| state.known.contains_key(id)) {
        return Err(Refused::PartlyKnown(*id));
    }
    let mut working = Working {
        state,
        by: batch.by,
        at,
        changed: BTreeSet::new(),
        held: BTreeSet::new(),
        entries: Vec::new(),
    };
    for operation in &batch.operations {
        working.perform(operation)?;
    }
    let Working { state, changed, held, entries, .. } = working;
    Ok(Posted {
        new: true,
        operations,
        entries,
        accounts: changed.iter().filter_map(|key| state.accounts.get(key).cloned()).collect(),
        holds: held.iter().filter_map(|id| state.holds.get(id).cloned()).collect(),
    })
}

/// A batch half done, which nobody sees when it is refused.
struct Working {
    state: State,
    by: Authority,
    at: i64,
    changed: BTreeSet<Key>,
    held: BTreeSet<OperationId>,
    entries: Vec<Entry>,
}

impl Working {
    fn perform(&mut self, operation: &Operation) -> Result<(), Refused> {
        match *operation {
            Operation::Transfer { id, purpose, ref legs } => self.transfer(id, purpose, legs),
            Operation::Hold { id, purpose, from, to, amount, expires_at } => self.hold(Hold {
                id,
                purpose,
                from,
                to,
                amount,
                captured: 0,
                expires_at,
                state: HoldState::Open,
            }),
            Operation::Capture { id, hold, amount } => self.capture(id, hold, amount),
            Operation::Release { hold, .. } => {
                let ended = self.open(hold)?;
                self.in_time(&ended)?;
                self.word(ended.to)?;
                self.end(ended, HoldState::Released, 0)
            }
            Operation::Expire { hold, .. } => {
                let ended = self.open(hold)?;
                if self.at < ended.expires_at {
                    return Err(Refused::HoldNotOver(hold, ended.expires_at));
                }
                if self.by != Authority::Hub {
                    return Err(Refused::NotYours { needs: "the hub's", account: Box::new(ended.from) });
                }
                self.end(ended, HoldState::Expired, 0)
            }
        }
    }

    fn rules(&self, asset: Asset) -> Result<&AssetRules, Refused> {
        self.state.assets.get(&asset).ok_or(Refused::UnknownAsset(asset))
    }

    /// The account, which is changed from now on.
    fn account(&mut self, key: Key) -> &mut Account {
        self.changed.insert(key);
        self.state.accounts.entry(key).or_insert_with(|| Account::empty(key))
    }

    /// Whether the table and the batch's authority let this amount move.
    fn may(&self, purpose: Purpose, account: Key, gives: bool) -> Result<(), Refused> {
        let issuer = self.rules(account.asset)?.issuer;
        let needs = needs(purpose, account.kind, gives)
            // What mirrors a chain moves with it alone.
            .filter(|_| (issuer == Issuer::Chain) == (purpose == Purpose::Mirror))
            .ok_or_else(|| Refused::NotAllowed { purpose, account: Box::new(account), gives })?;
        if needs.met(self.by, &account, issuer) {
            return Ok(());
        }
        let needs = match needs {
            Needs::Nobody => "nobody's",
            Needs::Holder => "the holder's",
            Needs::Issuer => "the issuer's",
            Needs::Vote => "a vote's",
            Needs::Chain => "the chain's",
        };
        Err(Refused::NotYours { needs, account: Box::new(account) })
    }

    /// Whether the account may give so much more (`amount` above zero).
    fn can_give(&mut self, key: Key, amount: i128) -> Result<(), Refused> {
        let rules = self.rules(key.asset)?.clone();
        let account = self.account(key);
        let out = || Refused::OutOfRange(Box::new(key));
        let available = difference(account.balance, account.held).ok_or_else(out)?;
        let left = difference(available, amount).ok_or_else(out)?;
        let floor = account.floor(&rules);
        if left < floor {
            return Err(Refused::BelowFloor { account: Box::new(key), available, floor, amount });
        }
        Ok(())
    }

    /// Whether the account may take so much more (`amount` above zero).
    fn can_take(&mut self, key: Key, amount: i128) -> Result<(), Refused> {
        let account = self.account(key);
        let out = || Refused::OutOfRange(Box::new(key));
        let has = sum(account.balance, account.incoming).ok_or_else(out)?;
        let then = sum(has, amount).ok_or_else(out)?;
        let ceiling = account.ceiling.unwrap_or(AMOUNT_MAX);
        if then > ceiling {
            return Err(Refused::AboveCeiling { account: Box::new(key), has, ceiling, amount });
        }
        Ok(())
    }

    /// Writes an entry; whether it may be, is decided.
    fn enter(
        &mut self,
        operation: OperationId,
        kind: EntryKind,
        leg: Leg,
        other: Option<Key>,
    ) -> Result<(), Refused> {
        let at = self.at;
        let account = self.account(leg.account);
        let out = || Refused::OutOfRange(Box::new(leg.account));
        account.balance = sum(account.balance, leg.amount).ok_or_else(out)?;
        if leg.amount > 0 {
            account.earned = sum(account.earned, leg.amount).ok_or_else(out)?;
        } else {
            account.spent = difference(account.spent, leg.amount).ok_or_else(out)?;
        }
        account.version = account.version.checked_add(1).ok_or_else(out)?;
        let entry = Entry {
            account: leg.account,
            version: account.version,
            operation,
            kind,
            amount: leg.amount,
            balance: account.balance,
            other,
            at,
        };
        self.entries.push(entry);
        Ok(())
    }

    fn transfer(&mut self, id: OperationId, purpose: Purpose, legs: &[Leg]) -> Result<(), Refused> {
        if legs.len() < 2 || legs.len() > LEGS_MAX {
            return Err(Refused::Legs(legs.len()));
        }
        let mut seen = BTreeSet::new();
        let mut sums: BTreeMap<Asset, i128> = BTreeMap::new();
        for leg in legs {
            if leg.amount == 0 || leg.amount.unsigned_abs() > AMOUNT_MAX.unsigned_abs() {
                return Err(Refused::Amount(leg.amount));
            }
            if !seen.insert(leg.account) {
                return Err(Refused::SameAccount(Box::new(leg.account)));
            }
            let total = sums.entry(leg.account.asset).or_default();
            *total = sum(*total, leg.amount).ok_or_else(|| Refused::OutOfRange(Box::new(leg.account)))?;
        }
        if let Some((asset, sum)) = sums.into_iter().find(|(_, sum)| *sum != 0) {
            return Err(Refused::Unbalanced { asset, sum });
        }
        for leg in legs {
            self.may(purpose, leg.account, leg.amount < 0)?;
            let amount = leg.amount.checked_abs().ok_or(Refused::Amount(leg.amount))?;
            if leg.amount < 0 {
                self.can_give(leg.account, amount)?;
            } else {
                self.can_take(leg.account, amount)?;
            }
            let other = match legs {
                [one, two] => Some(if one.account == leg.account { two.account } else { one.account }),
                _ => None,
            };
            self.enter(id, EntryKind::of(purpose, leg.amount), *leg, other)?;
        }
        Ok(())
    }

    fn hold(&mut self, hold: Hold) -> Result<(), Refused> {
        let Hold { id, purpose, from, to, amount, expires_at, .. } = hold;
        if amount <= 0 || amount > AMOUNT_MAX {
            return Err(Refused::Amount(amount));
        }
        if from == to {
            return Err(Refused::SameAccount(Box::new(from)));
        }
        if from.asset != to.asset {
            return Err(Refused::OtherAsset(from.asset, to.asset));
        }
        if expires_at <= self.at || expires_at > self.at.saturating_add(HOLD_MAX_MS) {
            return Err(Refused::Expiry(expires_at));
        }
        self.may(purpose, from, true)?;
        self.may(purpose, to, false)?;
        self.can_give(from, amount)?;
        self.can_take(to, amount)?;
        let payer = self.account(from);
        payer.held = sum(payer.held, amount).ok_or_else(|| Refused::OutOfRange(Box::new(from)))?;
        let payee = self.account(to);
        payee.incoming = sum(payee.incoming, amount).ok_or_else(|| Refused::OutOfRange(Box::new(to)))?;
        self.held.insert(id);
        self.state.holds.insert(id, hold);
        Ok(())
    }

    /// A hold that has not ended.
    fn open(&self, id: OperationId) -> Result<Hold, Refused> {
        match self.state.holds.get(&id) {
            None => Err(Refused::UnknownHold(id)),
            Some(hold) if hold.state != HoldState::Open => {
                Err(Refused::HoldEnded { hold: id, state: hold.state })
            }
            Some(hold) => Ok(hold.clone()),
        }
    }

    const fn in_time(&self, hold: &Hold) -> Result<(), Refused> {
        if self.at < hold.expires_at { Ok(()) } else { Err(Refused::HoldOver(hold.id, hold.expires_at)) }
    }

    /// Whether it comes on the word of whoever holds the account, or of a vote.
    fn word(&self, account: Key) -> Result<(), Refused> {
        let holder = matches!(self.by, Authority::Account(who) if Holder::Record(who) == account.holder);
        if self.by == Authority::Vote || (holder && account.kind == super::model::Kind::Member) {
            return Ok(());
        }
        Err(Refused::NotYours { needs: "the holder's, or a vote's", account: Box::new(account) })
    }

    fn capture(&mut self, id: OperationId, hold: OperationId, amount: i128) -> Result<(), Refused> {
        let ended = self.open(hold)?;
        self.in_time(&ended)?;
        self.word(ended.from)?;
        if amount <= 0 {
            return Err(Refused::Amount(amount));
        }
        if amount > ended.amount {
            return Err(Refused::OverHold { hold, amount: ended.amount, wanted: amount });
        }
        let Hold { from, to, purpose, .. } = ended;
        self.end(ended, HoldState::Captured, amount)?;
        let given = difference(0, amount).ok_or(Refused::Amount(amount))?;
        for (account, amount, other) in [(from, given, to), (to, amount, from)] {
            self.enter(id, EntryKind::of(purpose, amount), Leg { account, amount }, Some(other))?;
        }
        Ok(())
    }

    /// Frees what is set aside.
    fn end(&mut self, hold: Hold, state: HoldState, captured: i128) -> Result<(), Refused> {
        let Hold { id, from, to, amount, .. } = hold;
        let payer = self.account(from);
        payer.held = difference(payer.held, amount).ok_or_else(|| Refused::OutOfRange(Box::new(from)))?;
        let payee = self.account(to);
        payee.incoming =
            difference(payee.incoming, amount).ok_or_else(|| Refused::OutOfRange(Box::new(to)))?;
        self.held.insert(id);
        self.state.holds.insert(id, Hold { state, captured, ..hold });
        Ok(())
    }
}
