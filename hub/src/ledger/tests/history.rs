//! Random histories, and a ledger that is too simple to be wrong: a list of all that ever moved, added up at every look.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use crate::{
    ledger::{
        model::{Account, Asset, AssetRules, HoldState, Holder, Issuer, Key, Kind, OperationId},
        post::{Batch, Leg, Operation},
        rules::{Authority, Purpose, needs},
    },
    records::RecordId,
};

/// What happens in one step, as random numbers.
#[derive(Clone, Debug)]
pub(super) struct Step {
    choice: u8,
    who: usize,
    whom: usize,
    asset: usize,
    amount: i128,
    odd: u8,
    wait: i64,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..25_u8, 0..4_usize, 0..3_usize, 0..3_usize, 0..120_i64, any::<u8>(), 0..400_i64).prop_map(
        |(choice, who, whom, asset, amount, odd, wait)| Step {
            choice,
            who,
            whom,
            asset,
            amount: i128::from(amount),
            odd,
            wait,
        },
    );
    vec(step, 1..=3)
}

pub(super) fn record(number: u32) -> RecordId {
    RecordId::of(&json!({ "number": number })).unwrap()
}

pub(super) fn person(number: usize) -> RecordId {
    record(1_000_000 + u32::try_from(number).unwrap())
}

pub(super) fn voucher() -> Asset {
    Asset::Issued(record(2_000_000))
}

pub(super) fn coin() -> Asset {
    "eip155:1/slip44:60".parse().map(Asset::Chain).unwrap()
}

pub(super) fn assets() -> BTreeMap<Asset, AssetRules> {
    let rules = |issuer, credit_limit| AssetRules {
        unit: "one".to_owned(),
        scale: 2,
        issuer,
        credit_limit,
        governed_by: None,
    };
    BTreeMap::from([
        (Asset::TimeCredit, rules(Issuer::Nobody, 500)),
        (voucher(), rules(Issuer::Account(person(0)), 0)),
        (coin(), rules(Issuer::Chain, 0)),
    ])
}

/// Accounts with limits of their own.
pub(super) fn limited() -> [Account; 2] {
    let key = |number| Key::member(Asset::TimeCredit, person(number));
    [
        Account { floor: Some(-50), ceiling: Some(300), ..Account::empty(key(3)) },
        Account { ceiling: Some(900), ..Account::empty(key(2)) },
    ]
}

#[derive(Clone, Debug)]
struct Set {
    from: Key,
    to: Key,
    amount: i128,
    expires_at: i64,
    state: HoldState,
}

/// The simple ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    journal: Vec<(Key, i128)>,
    holds: BTreeMap<OperationId, Set>,
    done: BTreeMap<OperationId, (Authority, Operation)>,
    /// What moved one amount from one account to one other: who gave, who received, how much.
    moved: BTreeMap<OperationId, (Key, Key, i128)>,
    /// What was undone.
    undone: BTreeSet<OperationId>,
    /// Every batch that was accepted.
    pub batches: Vec<Batch>,
    limits: BTreeMap<Key, Account>,
    pub now: i64,
    /// How many operations happened.
    pub operations: u64,
    /// How many holds expired.
    pub expired: u64,
}

impl Model {
    pub(super) fn new() -> Self {
        let limits = limited().into_iter().map(|account| (account.key, account)).collect();
        Self { limits, now: 1_000, ..Self::default() }
    }

    /// As the account must stand.
    pub(super) fn account(&self, key: Key) -> Account {
        let moved = || self.journal.iter().filter(|(on, _)| *on == key).map(|(_, amount)| *amount);
        let open = || self.holds.values().filter(|hold| hold.state == HoldState::Open);
        Account {
            version: moved().count() as i64,
            balance: moved().sum(),
            earned: moved().filter(|amount| *amount > 0).sum(),
            spent: -moved().filter(|amount| *amount < 0).sum::<i128>(),
            held: open().filter(|hold| hold.from == key).map(|hold| hold.amount).sum(),
            incoming: open().filter(|hold| hold.to == key).map(|hold| hold.amount).sum(),
            ..self.limits.get(&key).cloned().unwrap_or_else(|| Account::empty(key))
        }
    }

    pub(super) fn accounts(&self) -> Vec<Account> {
        let mut keys: Vec<Key> = self.journal.iter().map(|(key, _)| *key).collect();
        keys.extend(self.holds.values().flat_map(|hold| [hold.from, hold.to]));
        keys.sort();
        keys.dedup();
        keys.into_iter().map(|key| self.account(key)).collect()
    }

    /// Nobody is below the floor but by a vote or a ruling, above the ceiling, or has made something from nothing.
    pub(super) fn holds_together(&self) {
        let mut sums: BTreeMap<Asset, i128> = BTreeMap::new();
        for account in self.accounts() {
            let floor = account.floor(&assets()[&account.key.asset]);
            assert!(account.balance - account.held >= floor || self.is_adjusted(account.key), "{account:?}");
            assert!(
                account.ceiling.is_none_or(|top| account.balance + account.incoming <= top),
                "{account:?}"
            );
            *sums.entry(account.key.asset).or_default() += account.balance;
        }
        assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
    }

    /// Whether a vote has taken from it.
    fn is_adjusted(&self, key: Key) -> bool {
        let takes = |operation: &Operation| match operation {
            Operation::Transfer { purpose: Purpose::Adjustment, legs, .. } => {
                legs.iter().any(|leg| leg.account == key && leg.amount < 0)
            }
            Operation::Reverse { reversed, .. } => self.moved[reversed].1 == key,
            _ => false,
        };
        self.batches.iter().flat_map(|batch| &batch.operations).any(takes)
    }

    /// Whether the batch happens: new, known, or not at all.
    pub(super) fn play(&mut self, batch: &Batch) -> Option<bool> {
        let content = |operation: &Operation| (batch.by, operation.clone());
        let known =
            batch.operations.iter().filter(|one| self.done.get(&one.id()) == Some(&content(one))).count();
        if known > 0 && known == batch.operations.len() {
            return Some(false);
        }
        if batch.operations.iter().any(|one| self.done.contains_key(&one.id())) {
            return None;
        }
        let (moved, holds, expired) = (self.journal.len(), self.holds.clone(), self.expired);
        let undone = self.undone.clone();
        if !batch.operations.iter().all(|operation| self.perform(batch.by, operation)) {
            self.journal.truncate(moved);
            (self.holds, self.expired, self.undone) = (holds, expired, undone);
            return None;
        }
        for operation in &batch.operations {
            match operation {
                Operation::Transfer { id, legs, .. } if legs.len() == 2 => {
                    let (gives, takes) = if legs[0].amount < 0 { (0, 1) } else { (1, 0) };
                    let moved = (legs[gives].account, legs[takes].account, legs[takes].amount);
                    self.moved.insert(*id, moved);
                }
                Operation::Capture { id, hold, amount } => {
                    let set = &self.holds[hold];
                    self.moved.insert(*id, (set.from, set.to, *amount));
                }
                _ => {}
            }
        }
        self.done.extend(batch.operations.iter().map(|one| (one.id(), content(one))));
        self.operations += batch.operations.len() as u64;
        self.batches.push(batch.clone());
        Some(true)
    }

    fn may(&self, by: Authority, purpose: Purpose, key: Key, amount: i128) -> bool {
        let rules = &assets()[&key.asset];
        let account = self.account(key);
        let mirrors = (rules.issuer == Issuer::Chain) == (purpose == Purpose::Mirror);
        let issued = match (purpose, rules.issuer, key.kind) {
            (Purpose::Issue | Purpose::Redeem, Issuer::Account(who), Kind::Issuer) => {
                key.holder == Holder::Record(who)
            }
            (Purpose::Issue | Purpose::Redeem, issuer, _) => matches!(issuer, Issuer::Account(_)),
            _ => true,
        };
        let word =
            needs(purpose, key.kind, amount < 0).is_some_and(|needs| needs.met(by, &key, rules.issuer));
        let room = if amount < 0 {
            (purpose == Purpose::Adjustment && key.kind == Kind::Member)
                || account.balance - account.held + amount >= account.floor(rules)
        } else {
            account.ceiling.is_none_or(|top| account.balance + account.incoming + amount <= top)
        };
        mirrors && issued && word && room && amount != 0
    }

    fn perform(&mut self, by: Authority, operation: &Operation) -> bool {
        let says = |key: Key| {
            by == Authority::Vote
                || matches!(by, Authority::Account(who) if Holder::Record(who) == key.holder)
        };
        match operation {
            Operation::Transfer { purpose, legs, .. } => {
                let mut keys: Vec<Key> = legs.iter().map(|leg| leg.account).collect();
                keys.sort();
                keys.dedup();
                let mut sums: BTreeMap<Asset, i128> = BTreeMap::new();
                for leg in legs {
                    *sums.entry(leg.account.asset).or_default() += leg.amount;
                }
                let fair = sums.values().all(|sum| *sum == 0) && keys.len() == legs.len() && legs.len() >= 2;
                let allowed = legs.iter().all(|leg| self.may(by, *purpose, leg.account, leg.amount));
                self.journal.extend(legs.iter().map(|leg| (leg.account, leg.amount)));
                fair && allowed && *purpose != Purpose::Reversal
            }
            Operation::Reverse { reversed, amount, .. } => {
                let Some((from, to, moved)) = self.moved.get(reversed).copied() else { return false };
                let fair = (1..=moved).contains(amount) && self.undone.insert(*reversed);
                let allowed = fair
                    && self.may(by, Purpose::Reversal, to, -amount)
                    && self.may(by, Purpose::Reversal, from, *amount);
                self.journal.extend([(to, -amount), (from, *amount)]);
                allowed
            }
            Operation::Hold { id, purpose, from, to, amount, expires_at } => {
                let fair = from.asset == to.asset
                    && from != to
                    && *amount > 0
                    && *expires_at > self.now
                    && *purpose != Purpose::Reversal;
                let allowed =
                    fair && self.may(by, *purpose, *from, -amount) && self.may(by, *purpose, *to, *amount);
                let set = Set {
                    from: *from,
                    to: *to,
                    amount: *amount,
                    expires_at: *expires_at,
                    state: HoldState::Open,
                };
                self.holds.insert(*id, set);
                allowed
            }
            Operation::Capture { hold, amount, .. } => {
                let Some(set) = self.holds.get_mut(hold) else { return false };
                let fair = set.state == HoldState::Open && self.now < set.expires_at;
                let allowed = says(set.from) && (1..=set.amount).contains(amount);
                set.state = HoldState::Captured;
                self.journal.extend([(set.from, -amount), (set.to, *amount)]);
                fair && allowed
            }
            Operation::Release { hold, .. } => {
                let Some(set) = self.holds.get_mut(hold) else { return false };
                let fair = set.state == HoldState::Open && self.now < set.expires_at;
                set.state = HoldState::Released;
                fair && says(set.to)
            }
            Operation::Expire { hold, .. } => {
                let Some(set) = self.holds.get_mut(hold) else { return false };
                let fair = set.state == HoldState::Open && self.now >= set.expires_at;
                set.state = HoldState::Expired;
                self.expired += 1;
                fair && by == Authority::Hub
            }
        }
    }

    /// The next batch of a history: mostly what somebody would try, at times what nobody may.
    pub(super) fn batch(&mut self, number: u32, steps: &[Step]) -> Batch {
        let first = &steps[0];
        self.now += first.wait;
        if first.choice == 23 && !self.batches.is_empty() {
            let mut again = self.batches[first.who * 7 % self.batches.len()].clone();
            match (first.odd % 4, &mut again.operations[0]) {
                (0, Operation::Transfer { legs, .. }) => legs.iter_mut().for_each(|leg| leg.amount *= 2),
                (1, _) => again.operations.truncate(1),
                (2, _) => again.by = Authority::Vote,
                _ if first.odd > 127 => {
                    let (_, more) = self.operation(OperationId::first(record(number)), first);
                    again.operations.push(more);
                }
                _ => {}
            }
            return again;
        }
        let mut by = Authority::Account(person(first.who));
        // Steps that one hand may do are linked; others seldom, for then the whole batch is refused.
        let linked = matches!(first.choice, 0..=6 | 10 | 16..=19) || first.odd % 8 == 1;
        let steps = if linked { steps } else { &steps[..1] };
        let operations = (0..)
            .zip(steps)
            .map(|(part, step)| {
                let id = OperationId { record: record(number), part };
                // What is linked comes from one hand, or could not happen.
                let choice =
                    if part > 0 && linked && step.odd % 8 > 1 { step.choice % 6 } else { step.choice };
                let step = Step { who: first.who, choice, ..step.clone() };
                let (word, operation) = self.operation(id, &step);
                if part == 0 {
                    by = word;
                }
                operation
            })
            .collect();
        Batch { by: if first.odd == 0 { Authority::Chain } else { by }, operations }
    }

    fn operation(&self, id: OperationId, step: &Step) -> (Authority, Operation) {
        // What mirrors a chain is moved by nobody but the chain, and nobody else tries often.
        let coins = if step.choice == 15 { step.odd % 8 > 1 } else { step.odd % 32 == 9 };
        let asset =
            if coins { coin() } else { [Asset::TimeCredit, Asset::TimeCredit, voucher()][step.asset] };
        let member = |number: usize| Key::member(asset, person(number));
        let whom = if step.odd % 32 == 5 { step.who } else { (step.who + 1 + step.whom) % 4 };
        let other = |kind| Key { asset, kind, holder: Holder::Record(record(3_000_000)) };
        let issuer = Key { asset, kind: Kind::Issuer, holder: Holder::Record(person(0)) };
        let (from, to, amount) = (member(step.who), member(whom), step.amount);
        let me = Authority::Account(person(step.who));
        let transfer = |purpose, pairs: &[(Key, i128)]| {
            let legs =
                pairs.iter().map(|(account, amount)| Leg { account: *account, amount: *amount }).collect();
            Operation::Transfer { id, purpose, legs }
        };
        // One that is open, mostly.
        let open: Vec<_> = self.holds.iter().filter(|(_, set)| set.state == HoldState::Open).collect();
        let hold = if open.is_empty() || step.odd % 8 == 2 {
            self.holds.iter().nth(step.odd.into())
        } else {
            open.get(usize::from(step.odd) % open.len()).copied()
        };
        let of_hold = |key: fn(&Set) -> Key| match hold.map(|(_, set)| key(set).holder) {
            Some(Holder::Record(who)) if step.odd % 16 != 3 => Authority::Account(who),
            _ => me,
        };
        let held = hold.map_or(OperationId::first(record(9)), |(id, _)| *id);
        match step.choice {
            0..=5 => (me, transfer(Purpose::Exchange, &[(from, -amount), (to, amount)])),
            6 => {
                let third = member((whom + 1) % 4);
                (me, transfer(Purpose::Exchange, &[(from, -2 * amount), (to, amount), (third, amount)]))
            }
            7 => {
                let purpose = Purpose::ALL[usize::from(step.odd) % Purpose::ALL.len()];
                let kind = Kind::ALL[step.who];
                (Authority::Vote, transfer(purpose, &[(other(kind), -amount), (to, amount)]))
            }
            8 => {
                // Two assets in one: hours for vouchers, which needs both words and so is refused.
                let voucher = |number| Key::member(voucher(), person(number));
                let pairs = [(from, -amount), (to, amount), (voucher(whom), -1), (voucher(step.who), 1)];
                (me, transfer(Purpose::Exchange, &pairs))
            }
            9 => {
                (me, transfer(Purpose::Exchange, &[(from, -amount), (to, amount + i128::from(step.odd % 2))]))
            }
            10 => (me, transfer(Purpose::Deposit, &[(from, -amount), (other(Kind::Treasury), amount)])),
            11 => {
                let purpose = if step.odd.is_multiple_of(2) { Purpose::Reward } else { Purpose::Withdrawal };
                let by = if step.odd.is_multiple_of(8) { me } else { Authority::Vote };
                (by, transfer(purpose, &[(other(Kind::Treasury), -amount), (to, amount)]))
            }
            12 | 13 => (me, transfer(Purpose::Issue, &[(issuer, -amount), (to, amount)])),
            14 => (me, transfer(Purpose::Redeem, &[(from, -amount), (issuer, amount)])),
            15 => {
                let by = if step.odd.is_multiple_of(8) { me } else { Authority::Chain };
                let sign = if step.odd.is_multiple_of(3) { -1 } else { 1 };
                (by, transfer(Purpose::Mirror, &[(other(Kind::Mirror), -sign * amount), (to, sign * amount)]))
            }
            16..=18 => {
                let expires_at = self.now + (step.wait - 20) * 30;
                (me, Operation::Hold { id, purpose: Purpose::Exchange, from, to, amount, expires_at })
            }
            19 | 20 => (of_hold(|set| set.from), Operation::Capture { id, hold: held, amount: amount / 2 }),
            21 => (of_hold(|set| set.to), Operation::Release { id, hold: held }),
            24 => {
                // One that was not undone, mostly; at times what never was or cannot be.
                let left: Vec<_> = self.moved.iter().filter(|(id, _)| !self.undone.contains(id)).collect();
                let nth = usize::from(step.odd) * 31 + step.who;
                let (reversed, most) = match (step.odd % 8, self.moved.iter().nth(nth % 97)) {
                    (2, Some((id, moved))) => (*id, moved.2),
                    (3, _) => (self.done.keys().nth(nth % 97).copied().unwrap_or(held), amount),
                    _ if left.is_empty() => (held, amount),
                    _ => (*left[nth % left.len()].0, left[nth % left.len()].1.2),
                };
                let by = if step.odd % 16 == 5 { me } else { Authority::Vote };
                // A part, all of it, or one too much.
                let amount = [most, most / 2, most + 1, amount.min(most)][step.who];
                (by, Operation::Reverse { id, reversed, amount })
            }
            _ => {
                let due = self
                    .holds
                    .iter()
                    .find(|(_, set)| set.state == HoldState::Open && set.expires_at <= self.now);
                let hold = due.map_or(held, |(id, _)| *id);
                (if step.odd % 16 == 3 { me } else { Authority::Hub }, Operation::Expire { id, hold })
            }
        }
    }
}
