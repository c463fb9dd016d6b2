//! Random histories as people make them: signed records through the one way in, until the books are full.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::{Value, json};

use super::records::{about, between, hold, stands, transfer};
use crate::{
    Hub,
    error::Error,
    records::{RecordId, Stamp, submit},
    scheduler::{List, Passed, look},
    testing::{Person, TestHub, operations},
};

/// How far below zero anybody may go.
const LIMIT: i128 = 500;

/// How many records are to be taken, where nothing longer is asked for.
const RECORDS: usize = 5_000;

#[derive(Clone, Debug)]
struct Step {
    choice: u8,
    who: usize,
    whom: usize,
    amount: i128,
    nth: usize,
    wait: i64,
}

fn step() -> impl Strategy<Value = Step> {
    (0..16_u8, 0..4_usize, 0..8_usize, 0..90_u32, any::<u16>(), 0..4_000_i64).prop_map(
        |(choice, who, whom, amount, nth, wait)| Step {
            choice,
            who,
            // Seldom oneself.
            whom: if whom == 7 { who } else { (who + 1 + whom % 3) % 4 },
            amount: i128::from(amount),
            nth: nth.into(),
            wait,
        },
    )
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stand {
    balance: i128,
    held: i128,
    incoming: i128,
}

#[derive(Clone, Copy, Debug)]
struct Set {
    id: RecordId,
    from: usize,
    to: usize,
    amount: i128,
    expires: i64,
}

/// The simple books: what everybody has, and the holds that are open.
#[derive(Debug, Default)]
struct Books {
    stands: [Stand; 4],
    open: Vec<Set>,
    /// What may be said about again in vain.
    ended: Vec<Set>,
    happened: BTreeMap<&'static str, usize>,
}

impl Books {
    fn can_give(&self, who: usize, amount: i128) -> bool {
        let Stand { balance, held, .. } = self.stands[who];
        amount > 0 && balance - held - amount >= -LIMIT
    }

    fn moves(&mut self, from: usize, to: usize, amount: i128) {
        self.stands[from].balance -= amount;
        self.stands[to].balance += amount;
    }

    fn sets(&mut self, set: Set) {
        self.stands[set.from].held += set.amount;
        self.stands[set.to].incoming += set.amount;
        self.open.push(set);
    }

    fn ends(&mut self, id: RecordId) {
        let at = self.open.iter().position(|set| set.id == id).unwrap();
        let set = self.open.remove(at);
        self.stands[set.from].held -= set.amount;
        self.stands[set.to].incoming -= set.amount;
        self.ended.push(set);
    }

    fn count(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }
}

/// What a record does to the books.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Transfer { from: usize, to: usize, amount: i128 },
    Hold(Set),
    Capture(Set, i128),
    Release(Set),
}

impl Books {
    fn take(&mut self, effect: Effect) {
        match effect {
            Effect::Transfer { from, to, amount } => {
                self.moves(from, to, amount);
                self.count("transfer");
            }
            Effect::Hold(set) => {
                self.sets(set);
                self.count("hold");
            }
            Effect::Capture(set, amount) => {
                self.ends(set.id);
                self.moves(set.from, set.to, amount);
                self.count("capture");
            }
            Effect::Release(set) => {
                self.ends(set.id);
                self.count("release");
            }
        }
    }

    /// The record of a step, and what it does; nothing where it must be refused. None where there is nothing to speak of.
    fn said(&self, hub: &TestHub, people: &[Person], step: &Step) -> Option<(Value, Option<Effect>)> {
        let (from, to, amount) = (step.who, step.whom, step.amount);
        let fair = from != to && self.can_give(from, amount);
        let (me, other) = (&people[from], &people[to]);
        match step.choice {
            0..=6 => {
                let record = between(hub, me, other, "transfer@1", transfer(other, &amount.to_string()));
                Some((record, fair.then_some(Effect::Transfer { from, to, amount })))
            }
            7..=10 => {
                let expires = hub.now() + step.wait - 40;
                let body = hold(other, &amount.to_string(), &Stamp::from_ms(expires).to_string());
                let record = between(hub, me, other, "hold@1", body);
                let set = Set { id: id(&record), from, to, amount, expires };
                Some((record, (fair && expires > hub.now()).then_some(Effect::Hold(set))))
            }
            _ => {
                // Mostly one that is open, by whose word it needs.
                let (ended, right) = (step.nth.is_multiple_of(16), !step.nth.is_multiple_of(7));
                let among = if ended { &self.ended } else { &self.open };
                let set = *among.get(step.nth % among.len().max(1))?;
                let (payer, payee) = (&people[set.from], &people[set.to]);
                if step.choice < 14 {
                    let (by, with) = if right { (payer, payee) } else { (payee, payer) };
                    let amount = set.amount - (amount % 40) + 2;
                    let body = json!({ "amount": amount.to_string() });
                    let fair = right && !ended && (1..=set.amount).contains(&amount);
                    let record = about(hub, by, with, "capture@1", set.id, body);
                    Some((record, fair.then_some(Effect::Capture(set, amount))))
                } else {
                    let (by, with) = if right { (payee, payer) } else { (payer, payee) };
                    let record = about(hub, by, with, "release@1", set.id, json!({}));
                    Some((record, (right && !ended).then_some(Effect::Release(set))))
                }
            }
        }
    }
}

fn id(record: &Value) -> RecordId {
    record["id"].as_str().unwrap().parse().unwrap()
}

/// Whether the record is taken: as new, as one that is known, or not.
async fn says(door: &Hub, record: &Value) -> Option<bool> {
    match submit(door, record).await {
        Ok(submitted) => Some(submitted.new),
        Err(Error::Refused(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Lets time pass and has all that is over then said.
async fn passes(hub: &TestHub, door: &Hub, books: &mut Books, ms: i64) {
    hub.clock.pass_ms(ms);
    let over: Vec<RecordId> =
        books.open.iter().filter(|set| set.expires <= hub.now()).map(|set| set.id).collect();
    if over.is_empty() {
        return;
    }
    // The hub's own scheduler may say the same at the same time. A turn ends when its time is over, and the next one goes on from
    // there, until there is none any more.
    let mut passed = Passed::default();
    loop {
        look(door, List::Holds, &mut passed, 1_000).await.unwrap();
        if passed == Passed::default() {
            break;
        }
    }
    for id in over {
        books.ends(id);
        books.count("expiry");
    }
}

#[tokio::test]
async fn random_histories_of_records_go_as_the_books_say_and_verify_and_replay() {
    for hub in TestHub::on_both_with(|config| config.time_credit_limit = 500).await {
        let mut people = Vec::new();
        for seed in 1..=4 {
            people.push(Person::arrive(&hub, seed).await);
        }
        let door = Hub::existing(hub.config.clone(), hub.clock.clone()).await.unwrap();
        let mut runner = TestRunner::deterministic();
        let (mut books, mut refused) = (Books::default(), 0_usize);
        // In order, and by id.
        let (mut taken, mut known) = (Vec::new(), BTreeSet::new());
        while taken.len() < operations(RECORDS) {
            let step = step().new_tree(&mut runner).unwrap().current();
            passes(&hub, &door, &mut books, step.wait % 50).await;
            if step.choice == 15 {
                // Once more, as after an answer that was lost.
                let Some(record) = taken.get(step.nth % taken.len().max(1)) else { continue };
                assert_eq!(says(&door, record).await, Some(false), "{record}");
                passes(&hub, &door, &mut books, step.wait).await;
                continue;
            }
            let Some((record, effect)) = books.said(&hub, &people, &step) else { continue };
            let came = says(&door, &record).await;
            if known.contains(&id(&record)) {
                assert_eq!(came, Some(false), "{record}");
                continue;
            }
            assert_eq!(came, effect.map(|_| true), "{record}");
            match effect {
                Some(effect) => {
                    books.take(effect);
                    known.insert(id(&record));
                    taken.push(record);
                }
                None => refused += 1,
            }
        }
        println!("{} taken, {refused} refused: {:?}", taken.len(), books.happened);
        for what in ["transfer", "hold", "capture", "release", "expiry"] {
            assert!(
                books.happened.get(what).is_some_and(|times| *times > 50),
                "{what}: {:?}",
                books.happened
            );
        }
        assert!(refused > 200, "{refused}");
        for (person, stand) in people.iter().zip(books.stands) {
            let token = person.sign_in(&hub).await;
            let Stand { balance, held, incoming } = stand;
            let expected = [balance, balance - held, held, incoming].map(|number| number.to_string());
            assert_eq!(stands(&hub, &token).await, expected);
        }
        let found = crate::verify_ledger(&hub.config).await.unwrap();
        let all = taken.len() + books.happened["expiry"];
        assert_eq!((found.faults, found.operations), (0, all as u64), "{found:?}");
        // Which replays all of it, too.
        hub.end().await;
    }
}
