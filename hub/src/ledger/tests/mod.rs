#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    reason = "test code: an overflow or a missing item fails the test"
)]

mod beside;
mod both;
mod crash;
mod history;
mod names;
mod records;
mod spoken;
mod timer;

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, strategy::ValueTree as _};

use super::{
    model::{AMOUNT_MAX, Account, Asset, Hold, HoldState, Holder, Issuer, Key, Kind, Moved, OperationId},
    post::{Batch, HOLD_MAX_MS, LEGS_MAX, Leg, OPERATIONS_MAX, Operation, Posted, Refused, State, post},
    rules::{Authority, EntryKind, Needs, Purpose, needs},
};
use history::{Model, assets, coin, limited, person, record, steps, voucher};

/// The ledger with nothing but the posting function.
#[derive(Clone, Debug, Default)]
struct Memory {
    accounts: BTreeMap<Key, Account>,
    holds: BTreeMap<OperationId, Hold>,
    known: BTreeMap<OperationId, String>,
    reversals: BTreeMap<OperationId, OperationId>,
    /// Every entry of every account, in order.
    entries: Vec<super::model::Entry>,
}

impl Memory {
    fn new() -> Self {
        Self {
            accounts: limited().into_iter().map(|account| (account.key, account)).collect(),
            ..Self::default()
        }
    }

    fn post(&mut self, batch: &Batch, at: i64) -> Result<Posted, Refused> {
        let moved = batch.operations.iter().filter_map(Operation::reverses).filter_map(|id| {
            let entries: Vec<_> = self
                .entries
                .iter()
                .filter(|entry| entry.operation == id)
                .map(|entry| (entry.account, entry.kind, entry.amount))
                .collect();
            let reversed_by = self.reversals.get(&id).copied();
            Some((id, Moved { reversed_by, ..Moved::of(&entries)? }))
        });
        let state = State {
            moved: moved.collect(),
            assets: assets(),
            accounts: self.accounts.clone(),
            holds: self.holds.clone(),
            known: self.known.clone(),
        };
        let posted = post(state, batch, at)?;
        self.accounts.extend(posted.accounts.iter().map(|account| (account.key, account.clone())));
        self.holds.extend(posted.holds.iter().map(|hold| (hold.id, hold.clone())));
        self.known.extend(posted.operations.iter().cloned());
        self.entries.extend(posted.entries.iter().cloned());
        self.reversals.extend(posted.reversals.iter().map(|one| (one.reversed, one.operation)));
        Ok(posted)
    }

    /// Entries are numbered without gaps and carry the balance after them; transfers sum to zero.
    fn continuous(&self) {
        let mut last: BTreeMap<Key, (i64, i128)> = BTreeMap::new();
        let mut sums: BTreeMap<(OperationId, Asset), i128> = BTreeMap::new();
        for entry in &self.entries {
            let (version, balance) = last.get(&entry.account).copied().unwrap_or_default();
            assert_eq!((entry.version, entry.balance), (version + 1, balance + entry.amount));
            last.insert(entry.account, (entry.version, entry.balance));
            *sums.entry((entry.operation, entry.account.asset)).or_default() += entry.amount;
        }
        assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_histories_go_as_the_simple_ledger_says(batches in vec(steps(), 1..120)) {
        let (mut model, mut ledger) = (Model::new(), Memory::new());
        for (number, steps) in (0..).zip(&batches) {
            let batch = model.batch(number, steps);
            let before = ledger.clone();
            let came = ledger.post(&batch, model.now);
            let expected = model.play(&batch);
            prop_assert_eq!(came.as_ref().ok().map(|posted| posted.new), expected, "{:?} of {:?}", came, batch);
            if expected != Some(true) {
                prop_assert_eq!(&before.accounts, &ledger.accounts);
            }
            for account in model.accounts() {
                prop_assert_eq!(Some(&account), ledger.accounts.get(&account.key));
            }
            model.holds_together();
        }
        ledger.continuous();
    }
}

/// So that the histories above are of something: most of what may happen does.
#[test]
fn histories_are_full_of_things() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut model, mut ledger) = (Model::new(), Memory::new());
    let mut refused: BTreeMap<&str, u32> = BTreeMap::new();
    for number in 0..3_000 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let batch = model.batch(number, &steps);
        if let Err(error) = ledger.post(&batch, model.now) {
            *refused.entry(error.rule()).or_default() += 1;
        }
        model.play(&batch);
    }
    let mut ended: BTreeMap<&str, u32> = BTreeMap::new();
    for hold in ledger.holds.values() {
        *ended.entry(hold.state.name()).or_default() += 1;
    }
    let mut kinds: BTreeMap<EntryKind, u32> = BTreeMap::new();
    for entry in &ledger.entries {
        *kinds.entry(entry.kind).or_default() += 1;
    }
    println!("{} operations; refused: {refused:?}; holds: {ended:?}; entries: {kinds:?}", model.operations);
    for rule in [
        "amount",
        "same_account",
        "unbalanced",
        "not_allowed",
        "not_yours",
        "below_floor",
        "above_ceiling",
        "other_content",
        "partly_known",
        "hold_ended",
        "hold_over",
        "hold_not_over",
        "expiry",
        "names_nothing",
        "not_reversible",
        "reversed",
        "over_moved",
    ] {
        assert!(refused.get(rule).is_some_and(|times| *times >= 3), "{rule}: {refused:?}");
    }
    assert!(["captured", "released", "expired"].iter().all(|state| ended[state] >= 10), "{ended:?}");
    assert_eq!(model.expired, u64::from(ended["expired"]));
    assert!(EntryKind::ALL.iter().all(|kind| kinds.get(kind).is_some_and(|times| *times >= 3)), "{kinds:?}");
    ledger.continuous();
}

/// The whole table, once more by hand: what each purpose needs of (member gives, member takes, treasury gives, …).
#[test]
fn the_table_is_as_written() {
    let (no, any, holder, issuer, vote, chain) = (
        None,
        Some(Needs::Nobody),
        Some(Needs::Holder),
        Some(Needs::Issuer),
        Some(Needs::Vote),
        Some(Needs::Chain),
    );
    let table = [
        (Purpose::Exchange, [holder, any, no, no, no, no, no, no]),
        (Purpose::Reward, [no, any, vote, no, no, no, no, no]),
        (Purpose::Deposit, [holder, no, no, any, no, no, no, no]),
        (Purpose::Withdrawal, [no, any, vote, no, no, no, no, no]),
        (Purpose::Adjustment, [vote, vote, vote, vote, vote, vote, no, no]),
        (Purpose::Issue, [no, any, no, any, issuer, no, no, no]),
        (Purpose::Redeem, [holder, no, no, no, no, any, no, no]),
        (Purpose::Mirror, [chain, chain, no, no, no, no, chain, chain]),
        (Purpose::Reversal, [vote, vote, vote, vote, vote, vote, no, no]),
    ];
    assert_eq!(table.map(|(purpose, _)| purpose), Purpose::ALL);
    for (purpose, cells) in table {
        let pairs = Kind::ALL.into_iter().flat_map(|kind| [(kind, true), (kind, false)]);
        for ((kind, gives), cell) in pairs.zip(cells) {
            assert_eq!(needs(purpose, kind, gives), cell, "{purpose:?} {kind:?} {gives}");
        }
    }
}

/// An asset is issued and given back on the account of its own issuer, and one that nobody issues on none.
#[test]
fn nothing_is_issued_on_anothers_account() {
    let says = |who: usize, purpose, asset, holder: usize, amount: i128| {
        let issuer = Key { asset, kind: Kind::Issuer, holder: Holder::Record(person(holder)) };
        let legs = [(issuer, -amount), (Key::member(asset, person(who)), amount)];
        let batch = Batch { by: Authority::Account(person(who)), ..pay(0, &legs) };
        let Operation::Transfer { id, legs, .. } = batch.operations[0].clone() else { panic!() };
        let batch = Batch { operations: vec![Operation::Transfer { id, purpose, legs }], ..batch };
        Memory::new().post(&batch, 0).map_err(|refused| refused.rule())
    };
    assert!(says(0, Purpose::Issue, voucher(), 0, 5).unwrap().new);
    assert_eq!(says(0, Purpose::Issue, voucher(), 1, 5), Err("not_allowed"));
    assert_eq!(says(1, Purpose::Issue, voucher(), 0, 5), Err("not_yours"));
    assert_eq!(says(1, Purpose::Redeem, voucher(), 0, -5), Err("below_floor"));
    assert_eq!(says(1, Purpose::Redeem, voucher(), 1, -5), Err("not_allowed"));
    for purpose in [Purpose::Issue, Purpose::Redeem] {
        let amount = if purpose == Purpose::Issue { 5 } else { -5 };
        assert_eq!(says(0, purpose, Asset::TimeCredit, 0, amount), Err("not_allowed"));
    }
}

/// No signature takes from a treasury, whoever's it is.
#[test]
fn a_treasury_has_no_key() {
    let treasury = Key { kind: Kind::Treasury, ..Key::member(Asset::TimeCredit, person(0)) };
    for purpose in Purpose::ALL {
        let Some(needs) = needs(purpose, Kind::Treasury, true) else { continue };
        for by in [Authority::Account(person(0)), Authority::Hub, Authority::Chain] {
            for issuer in [Issuer::Nobody, Issuer::Account(person(0)), Issuer::Vote, Issuer::Chain] {
                assert!(!needs.met(by, &treasury, issuer), "{purpose:?} {by:?}");
            }
        }
    }
}

fn hours(number: usize) -> Key {
    Key::member(Asset::TimeCredit, person(number))
}

fn pay(number: u32, legs: &[(Key, i128)]) -> Batch {
    let legs = legs.iter().map(|(account, amount)| Leg { account: *account, amount: *amount }).collect();
    let id = OperationId::first(record(number));
    Batch {
        by: Authority::Account(person(0)),
        operations: vec![Operation::Transfer { id, purpose: Purpose::Exchange, legs }],
    }
}

/// By a ruling, so much of what record `of` moved.
fn give_back(number: u32, of: u32, amount: i128) -> Batch {
    let (id, reversed) = (OperationId::first(record(number)), OperationId::first(record(of)));
    Batch { by: Authority::Vote, operations: vec![Operation::Reverse { id, reversed, amount }] }
}

/// A ruling gives back up to what was moved, once, from who has it.
#[test]
fn a_reversal_happens_once_up_to_the_amount_and_above_the_floor() {
    let mut ledger = Memory::new();
    let mut says = |batch: &Batch| ledger.post(batch, 0).map(|_| ()).map_err(|refused| refused.rule());
    says(&pay(1, &[(hours(0), -100), (hours(1), 100)])).unwrap();
    says(&pay(2, &[(hours(0), -100), (hours(1), 60), (hours(2), 40)])).unwrap();
    // The payee gives everything away, down to its limit.
    let away = Batch { by: Authority::Account(person(1)), ..pay(3, &[(hours(1), -660), (hours(2), 660)]) };
    says(&away).unwrap();
    for (batch, rule) in [
        (Batch { by: Authority::Account(person(1)), ..give_back(4, 1, 100) }, "not_yours"),
        (Batch { by: Authority::Hub, ..give_back(4, 1, 100) }, "not_yours"),
        (give_back(4, 1, 0), "amount"),
        (give_back(4, 1, -1), "amount"),
        (give_back(4, 1, 101), "over_moved"),
        (give_back(4, 2, 1), "not_reversible"),
        (give_back(4, 9, 1), "not_reversible"),
    ] {
        assert_eq!(says(&batch), Err(rule));
    }
    assert_eq!(says(&give_back(4, 1, 70)), Err("below_floor"));
    let again = Batch { by: Authority::Account(person(2)), ..pay(8, &[(hours(2), -70), (hours(1), 70)]) };
    says(&again).unwrap();
    says(&give_back(4, 1, 70)).unwrap();
    // The same again is known; what is left of it is not given back by another.
    says(&give_back(4, 1, 70)).unwrap();
    assert_eq!(says(&give_back(5, 1, 30)), Err("reversed"));
    assert_eq!(says(&give_back(5, 4, 70)), Err("not_reversible"));
    let more = Batch { by: Authority::Account(person(1)), ..pay(6, &[(hours(1), -1), (hours(2), 1)]) };
    assert_eq!(says(&more), Err("below_floor"));
    let unnamed = pay(7, &[(hours(1), -1), (hours(0), 1)]);
    let Operation::Transfer { id, legs, .. } = unnamed.operations[0].clone() else { panic!() };
    let operations = vec![Operation::Transfer { id, purpose: Purpose::Reversal, legs }];
    assert_eq!(says(&Batch { by: Authority::Vote, operations }), Err("names_nothing"));
    assert_eq!(ledger.accounts[&hours(0)].balance, -130);
    assert_eq!(
        (ledger.accounts[&hours(1)].balance, ledger.entries.last().unwrap().kind),
        (-500, EntryKind::Reversal)
    );
    ledger.continuous();
}

fn set_aside(number: u32, amount: i128, expires_at: i64) -> Batch {
    let id = OperationId::first(record(number));
    let (from, to) = (hours(0), hours(1));
    let hold = Operation::Hold { id, purpose: Purpose::Exchange, from, to, amount, expires_at };
    Batch { by: Authority::Account(person(0)), operations: vec![hold] }
}

#[test]
fn every_bound_is_refused_by_name() {
    let rule = |batch: &Batch| Memory::new().post(batch, 0).unwrap_err().rule();
    let empty = Batch { by: Authority::Vote, operations: Vec::new() };
    assert_eq!(rule(&empty), "operations");
    let many = |count: usize| {
        let one = pay(0, &[(hours(0), -1), (hours(1), 1)]).operations.remove(0);
        let operations = (0..count)
            .map(|part| match one.clone() {
                Operation::Transfer { id, purpose, legs } => Operation::Transfer {
                    id: OperationId { part: u16::try_from(part).unwrap(), ..id },
                    purpose,
                    legs,
                },
                other => other,
            })
            .collect();
        Batch { by: Authority::Account(person(0)), operations }
    };
    assert_eq!(rule(&many(OPERATIONS_MAX + 1)), "operations");
    assert!(Memory::new().post(&many(OPERATIONS_MAX), 0).unwrap().new);
    let mut twice = many(2);
    twice.operations[1] = twice.operations[0].clone();
    assert_eq!(rule(&twice), "twice");
    assert_eq!(rule(&pay(0, &[(hours(0), -1)])), "legs");
    let wide: Vec<(Key, i128)> = (0..=LEGS_MAX).map(|number| (hours(number), 1)).collect();
    assert_eq!(rule(&pay(0, &wide)), "legs");
    for amount in [0, i128::MIN, AMOUNT_MAX + 1] {
        assert_eq!(rule(&pay(0, &[(hours(0), amount), (hours(1), 1)])), "amount", "{amount}");
    }
    assert_eq!(rule(&pay(0, &[(hours(0), AMOUNT_MAX), (hours(1), AMOUNT_MAX)])), "unbalanced");
    // Whatever the order of the legs, they sum to zero, though not all of their sums on the way are within the bound.
    let (up, down) =
        ([1, 2].map(|who| (hours(who), AMOUNT_MAX)), [0, 4].map(|who| (hours(who), -AMOUNT_MAX)));
    for legs in
        [[up[0], up[1], down[0], down[1]], [down[0], up[0], down[1], up[1]], [down[1], down[0], up[1], up[0]]]
    {
        let batch = Batch { by: Authority::Vote, ..pay(0, &legs) };
        assert!(!["unbalanced", "out_of_range"].contains(&rule(&batch)), "{legs:?}");
    }
    assert_eq!(rule(&pay(0, &[(hours(0), -AMOUNT_MAX), (hours(1), AMOUNT_MAX)])), "below_floor");
    let other = Key::member(Asset::Issued(record(8)), person(0));
    assert_eq!(rule(&pay(0, &[(other, -1), (Key { holder: hours(1).holder, ..other }, 1)])), "unknown_asset");
    assert_eq!(rule(&set_aside(1, 1, HOLD_MAX_MS + 1)), "expiry");
    assert!(Memory::new().post(&set_aside(1, 1, HOLD_MAX_MS), 0).unwrap().new);
    assert_eq!(rule(&set_aside(1, -1, 10)), "amount");
    // No coin of a chain moves without the chain.
    let coins = [Key::member(coin(), person(0)), Key::member(coin(), person(1))];
    assert_eq!(rule(&pay(0, &[(coins[1], -1), (coins[0], 1)])), "not_allowed");
}

/// A hold that was taken can be captured whatever happens to the account meanwhile.
#[test]
fn what_is_held_is_there_when_it_is_captured() {
    let mut ledger = Memory::new();
    ledger.post(&set_aside(1, 400, 100), 0).unwrap();
    assert_eq!(
        ledger.post(&pay(2, &[(hours(0), -101), (hours(2), 101)]), 1).unwrap_err().rule(),
        "below_floor"
    );
    ledger.post(&pay(2, &[(hours(0), -100), (hours(2), 100)]), 1).unwrap();
    // The limit is lowered: what was promised is still kept.
    ledger.accounts.get_mut(&hours(0)).unwrap().floor = Some(0);
    ledger.accounts.get_mut(&hours(1)).unwrap().ceiling = Some(0);
    let capture = |number, amount, by| {
        let hold = OperationId::first(record(1));
        Batch {
            by,
            operations: vec![Operation::Capture { id: OperationId::first(record(number)), hold, amount }],
        }
    };
    let me = Authority::Account(person(0));
    assert_eq!(ledger.post(&capture(3, 401, me), 99).unwrap_err().rule(), "over_hold");
    assert_eq!(
        ledger.post(&capture(3, 400, Authority::Account(person(1))), 99).unwrap_err().rule(),
        "not_yours"
    );
    assert_eq!(ledger.post(&capture(3, 400, me), 100).unwrap_err().rule(), "hold_over");
    ledger.post(&capture(3, 350, me), 99).unwrap();
    assert!(!ledger.post(&capture(3, 350, me), 200).unwrap().new);
    assert_eq!(ledger.post(&capture(4, 50, me), 99).unwrap_err().rule(), "hold_ended");
    let stands = |number| {
        let account = &ledger.accounts[&hours(number)];
        (account.balance, account.held, account.incoming)
    };
    assert_eq!((stands(0), stands(1)), ((-450, 0, 0), (350, 0, 0)));
    assert_eq!(ledger.holds[&OperationId::first(record(1))].state, HoldState::Captured);
}
