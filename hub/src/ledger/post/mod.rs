//! The one posting function: from what was loaded and a batch to what must be written, or a refusal by name. Pure.

mod batch;
mod refused;

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::I256;

use super::{
    model::{
        AMOUNT_MAX, Account, Asset, AssetRules, Entry, Hold, HoldState, Holder, Issuer, Key, Kind, Moved,
        OperationId, Reversal, difference, sum,
    },
    rules::{Authority, EntryKind, Needs, Purpose, issues, needs},
};

pub use batch::{Batch, LEGS_MAX, Leg, OPERATIONS_MAX, Operation};
pub use refused::Refused;

/// How far ahead a hold may expire, in milliseconds: 400 days.
pub const HOLD_MAX_MS: i64 = 400 * 24 * 60 * 60 * 1000;

/// All that a batch may depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The assets of the accounts.
    pub assets: BTreeMap<Asset, AssetRules>,
    /// Those that are there; what is missing has no entries and no limits of its own.
    pub accounts: BTreeMap<Key, Account>,
    /// The holds that the batch ends.
    pub holds: BTreeMap<OperationId, Hold>,
    /// What the operations moved that the batch reverses; without those that cannot be.
    pub moved: BTreeMap<OperationId, Moved>,
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
    /// What was undone.
    pub reversals: Vec<Reversal>,
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
        operations.push((operation.id(), operation.digest(batch.by)));
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
        reversals: Vec::new(),
    };
    for operation in &batch.operations {
        working.perform(operation)?;
    }
    let Working { state, changed, held, entries, reversals, .. } = working;
    Ok(Posted {
        new: true,
        operations,
        entries,
        accounts: changed.iter().filter_map(|key| state.accounts.get(key).cloned()).collect(),
        holds: held.iter().filter_map(|id| state.holds.get(id).cloned()).collect(),
        reversals,
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
    reversals: Vec<Reversal>,
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
                ended_by: None,
            }),
            Operation::Capture { id, hold, amount } => self.capture(id, hold, amount),
            Operation::Release { id, hold } => {
                let ended = self.open(hold)?;
                self.in_time(&ended)?;
                self.word(ended.to)?;
                self.end(ended, HoldState::Released, 0, id)
            }
            Operation::Reverse { id, reversed, amount } => self.reverse(id, reversed, amount),
            Operation::Expire { id, hold } => {
                let ended = self.open(hold)?;
                if self.at < ended.expires_at {
                    return Err(Refused::HoldNotOver(hold, ended.expires_at));
                }
                if self.by != Authority::Hub {
                    return Err(Refused::NotYours { needs: "the hub's", account: Box::new(ended.from) });
                }
                self.end(ended, HoldState::Expired, 0, id)
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
            .filter(|_| issues(purpose, &account, issuer))
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

    /// Whether the account may give so much more (`amount` above zero). What a vote adjusts on a member's account has no floor: one
    /// who has given everything away in time owes it. A ruling's reversal has one, for any community may rule: what a payee could owe
    /// beyond its limit the payer would have out of nothing.
    fn can_give(&mut self, purpose: Purpose, key: Key, amount: i128) -> Result<(), Refused> {
        let rules = self.rules(key.asset)?.clone();
        let account = self.account(key);
        let out = || Refused::OutOfRange(Box::new(key));
        let available = difference(account.balance, account.held).ok_or_else(out)?;
        let left = difference(available, amount).ok_or_else(out)?;
        let floor = account.floor(&rules);
        let owed = purpose == Purpose::Adjustment && key.kind == Kind::Member;
        if left < floor && !owed {
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
        if purpose == Purpose::Reversal {
            return Err(Refused::NamesNothing);
        }
        let mut seen = BTreeSet::new();
        // Wide enough for all legs, so that their order makes no difference.
        let mut sums: BTreeMap<Asset, I256> = BTreeMap::new();
        for leg in legs {
            if leg.amount == 0 || leg.amount.unsigned_abs() > AMOUNT_MAX.unsigned_abs() {
                return Err(Refused::Amount(leg.amount));
            }
            if !seen.insert(leg.account) {
                return Err(Refused::SameAccount(Box::new(leg.account)));
            }
            let amount = I256::try_from(leg.amount).map_err(|_| Refused::Amount(leg.amount))?;
            let total = sums.entry(leg.account.asset).or_default();
            *total = total.saturating_add(amount);
        }
        if let Some((asset, sum)) = sums.into_iter().find(|(_, sum)| !sum.is_zero()) {
            return Err(Refused::Unbalanced { asset, sum });
        }
        for leg in legs {
            self.may(purpose, leg.account, leg.amount < 0)?;
            let amount = leg.amount.checked_abs().ok_or(Refused::Amount(leg.amount))?;
            if leg.amount < 0 {
                self.can_give(purpose, leg.account, amount)?;
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
        if purpose == Purpose::Reversal {
            return Err(Refused::NamesNothing);
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
        self.can_give(purpose, from, amount)?;
        self.can_take(to, amount)?;
        let payer = self.account(from);
        payer.held = sum(payer.held, amount).ok_or_else(|| Refused::OutOfRange(Box::new(from)))?;
        let payee = self.account(to);
        payee.incoming = sum(payee.incoming, amount).ok_or_else(|| Refused::OutOfRange(Box::new(to)))?;
        self.held.insert(id);
        self.state.holds.insert(id, hold);
        Ok(())
    }

    /// The opposite of what an operation moved, up to its amount.
    fn reverse(&mut self, id: OperationId, reversed: OperationId, amount: i128) -> Result<(), Refused> {
        let Some(moved) = self.state.moved.get(&reversed).cloned() else {
            return Err(Refused::NotReversible(reversed));
        };
        if let Some(by) = moved.reversed_by {
            return Err(Refused::Reversed { reversed, by });
        }
        if amount <= 0 {
            return Err(Refused::Amount(amount));
        }
        if amount > moved.amount {
            return Err(Refused::OverMoved { reversed, amount: moved.amount, wanted: amount });
        }
        let Moved { from, to, .. } = moved;
        self.may(Purpose::Reversal, to, true)?;
        self.may(Purpose::Reversal, from, false)?;
        self.can_give(Purpose::Reversal, to, amount)?;
        self.can_take(from, amount)?;
        let given = difference(0, amount).ok_or(Refused::Amount(amount))?;
        for (account, amount, other) in [(to, given, from), (from, amount, to)] {
            self.enter(id, EntryKind::Reversal, Leg { account, amount }, Some(other))?;
        }
        self.state.moved.insert(reversed, Moved { reversed_by: Some(id), ..moved });
        self.reversals.push(Reversal { operation: id, reversed, amount });
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
        if self.by == Authority::Vote || (holder && account.kind == Kind::Member) {
            return Ok(());
        }
        Err(Refused::NotYours { needs: "the holder's, or a vote's", account: Box::new(account) })
    }

    fn capture(&mut self, id: OperationId, hold: OperationId, amount: i128) -> Result<(), Refused> {
        let ended = self.open(hold)?;
        self.in_time(&ended)?;
        if self.by != Authority::Vote {
            self.may(ended.purpose, ended.from, true)?;
        }
        if amount <= 0 {
            return Err(Refused::Amount(amount));
        }
        if amount > ended.amount {
            return Err(Refused::OverHold { hold, amount: ended.amount, wanted: amount });
        }
        let Hold { from, to, purpose, .. } = ended;
        self.end(ended, HoldState::Captured, amount, id)?;
        let given = difference(0, amount).ok_or(Refused::Amount(amount))?;
        for (account, amount, other) in [(from, given, to), (to, amount, from)] {
            self.enter(id, EntryKind::of(purpose, amount), Leg { account, amount }, Some(other))?;
        }
        Ok(())
    }

    /// Frees what is set aside.
    fn end(&mut self, hold: Hold, state: HoldState, captured: i128, by: OperationId) -> Result<(), Refused> {
        let Hold { id, from, to, amount, .. } = hold;
        let payer = self.account(from);
        payer.held = difference(payer.held, amount).ok_or_else(|| Refused::OutOfRange(Box::new(from)))?;
        let payee = self.account(to);
        payee.incoming =
            difference(payee.incoming, amount).ok_or_else(|| Refused::OutOfRange(Box::new(to)))?;
        self.held.insert(id);
        self.state.holds.insert(id, Hold { state, captured, ended_by: Some(by), ..hold });
        Ok(())
    }
}
