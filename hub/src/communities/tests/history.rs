//! Random histories of who belongs to a community over real records, on both engines, beside a simple one in memory: words of stewards,
//! of the accounts themselves and of votes, words that wait and lapse, offices that end, and times in which votes alone admit.

#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{
    super::{model::waits_since, store},
    *,
};
use crate::{
    governance::tests::{asked, ballot, decided, propose},
    testing::seeds,
};

/// What happens in a history; longer tests have more histories, each with a community of its own.
const STEPS: usize = 700;
const PEOPLE: usize = 5;
const DAY_MS: i64 = 24 * 3_600_000;

#[derive(Clone, Debug)]
struct Step {
    choice: u8,
    who: usize,
    whom: usize,
    role: Option<Role>,
    wait: i64,
}

fn steps() -> impl Strategy<Value = Step> {
    let role = prop_oneof![
        2 => Just(None),
        4 => Just(Some(Role::Member)),
        4 => Just(Some(Role::Steward)),
    ];
    (0..40_u8, 0..PEOPLE, 0..PEOPLE, role, 1..40 * DAY_MS).prop_map(|(choice, who, whom, role, wait)| Step {
        choice,
        who,
        whom,
        role,
        wait,
    })
}

/// Whose word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Themselves,
    Steward(usize),
    Vote,
}

impl By {
    const fn name(self) -> SaidBy {
        match self {
            Self::Themselves => SaidBy::Account,
            Self::Steward(_) => SaidBy::Steward,
            Self::Vote => SaidBy::Vote,
        }
    }
}

/// A word that waits for the other side's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waits {
    role: Role,
    by: By,
    at: i64,
}

/// What comes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    Is(Option<Role>),
    Waits(Role),
}

/// The simple community.
#[derive(Default)]
struct Model {
    roles: BTreeMap<usize, Role>,
    waits: BTreeMap<usize, Waits>,
    /// The record by which each is what they are, and whether all have decided that they belong to it, or do not.
    words: BTreeMap<usize, (RecordId, bool)>,
    /// Whether votes alone admit.
    by_vote: bool,
    /// How often what came about.
    came: BTreeMap<&'static str, usize>,
}

impl Model {
    fn stewards(&self) -> Vec<usize> {
        self.roles.iter().filter(|(_, role)| **role == Role::Steward).map(|(who, _)| *who).collect()
    }

    /// What waits of somebody: for less than thirty days.
    fn waiting(&self, whom: usize, now: i64) -> Option<Waits> {
        self.waits.get(&whom).copied().filter(|one| now - one.at < 30 * DAY_MS)
    }

    /// What comes of somebody's word about one of them, or which rule refuses it.
    fn says(
        &self,
        who: usize,
        whom: usize,
        role: Option<Role>,
        now: i64,
    ) -> Result<(By, Comes), &'static str> {
        let speaks = self.roles.get(&who).copied();
        // A steward who stays one is spoken of by its office, also by itself.
        let by = if who == whom && (speaks != Some(Role::Steward) || role.is_none()) {
            By::Themselves
        } else if speaks != Some(Role::Steward) {
            return Err("steward_only");
        } else if self.by_vote {
            return Err("by_vote_only");
        } else {
            By::Steward(who)
        };
        Ok((by, self.comes(by, whom, role, now)?))
    }

    fn comes(&self, by: By, whom: usize, role: Option<Role>, now: i64) -> Result<Comes, &'static str> {
        let is = self.roles.get(&whom).copied();
        let other = self.waiting(whom, now);
        if matches!((by, other), (By::Steward(_), Some(Waits { by: By::Vote, .. }))) {
            return Err("by_vote");
        }
        let comes = match (by, is, role) {
            (_, _, None) => Comes::Is(None),
            (By::Themselves, Some(_), Some(_)) => return Err("steward_only"),
            (By::Themselves, None, Some(wanted)) => match other {
                Some(Waits { by: By::Steward(_), .. }) if self.by_vote => return Err("by_vote_only"),
                // Nobody is more than what the others have said.
                Some(Waits { by: By::Steward(_) | By::Vote, role: Role::Steward, .. }) => Comes::Is(role),
                Some(Waits { by: By::Steward(_) | By::Vote, .. }) if wanted == Role::Member => {
                    Comes::Is(role)
                }
                None | Some(Waits { by: By::Themselves, .. }) if wanted == Role::Member => {
                    Comes::Waits(wanted)
                }
                _ => return Err("steward_only"),
            },
            (_, Some(_), Some(_)) => Comes::Is(role),
            (_, None, Some(wanted)) => match other {
                Some(Waits { by: By::Themselves, .. }) => Comes::Is(role),
                _ => Comes::Waits(wanted),
            },
        };
        let falls = is == Some(Role::Steward) && comes != Comes::Is(Some(Role::Steward));
        if falls && self.stewards().len() == 1 { Err("last_steward") } else { Ok(comes) }
    }

    /// A word was heard, by this record.
    fn hears(&mut self, (by, comes): (By, Comes), whom: usize, record: RecordId, now: i64) {
        let is = self.roles.get(&whom).copied();
        let other = self.waiting(whom, now);
        if self.waits.remove(&whom).is_some() && other.is_none() {
            self.count("lapsed");
        }
        let next = match comes {
            Comes::Waits(role) => {
                self.waits.insert(whom, Waits { role, by, at: now });
                return;
            }
            Comes::Is(next) => next,
        };
        match next {
            Some(role) => drop(self.roles.insert(whom, role)),
            None => drop(self.roles.remove(&whom)),
        }
        if is.is_none() && next.is_some() {
            self.count("both have said it");
        }
        let let_in = next.is_some() && other.is_some_and(|one| one.by == By::Vote);
        if by == By::Vote || let_in {
            self.words.insert(whom, (record, true));
        } else if is != next {
            // What all have decided is whether somebody belongs to it: as what, stewards say.
            let decided = is.is_some() && next.is_some() && self.words[&whom].1;
            self.words.insert(whom, (record, decided));
        }
        if is == Some(Role::Steward) && next != is {
            self.waits.retain(|_, one| one.by != By::Steward(whom));
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.came.entry(what).or_default() += 1;
    }
}

/// All who belong to it decide on something, for three days.
async fn vote(hub: &TestHub, people: &[Person], community: RecordId, model: &Model, effect: Value) -> Value {
    let electors: Vec<&Person> = model.roles.keys().map(|who| &people[*who]).collect();
    let proposal = propose(hub, electors[0], community, asked(hub, effect)).await;
    for elector in electors {
        hub.say(&ballot(hub, elector, proposal, json!("yes"))).await;
    }
    decided(hub, proposal).await
}

async fn decides(hub: &TestHub, people: &[Person], community: RecordId, model: &mut Model, step: &Step) {
    let Step { whom, role, .. } = *step;
    let effect = json!({ "membership": { "account": people[whom].account, "role": role } });
    let seen = vote(hub, people, community, model, effect).await;
    let comes = model.comes(By::Vote, whom, role, hub.now());
    let state = if comes.is_ok() { "executed" } else { "unexecuted" };
    assert_eq!(seen["state"], state, "{step:?} {comes:?} {seen}");
    match comes {
        Ok(comes) => {
            let tally = seen["tally"].as_str().unwrap().parse().unwrap();
            model.hears((By::Vote, comes), whom, tally, hub.now());
        }
        Err(rule) => {
            assert_eq!(seen["unexecuted"]["rule"], rule, "{step:?} {seen}");
            model.count("not even by a vote");
        }
    }
}

async fn says(hub: &TestHub, people: &[Person], community: RecordId, model: &mut Model, step: &Step) {
    let Step { choice, mut who, mut whom, role, .. } = *step;
    match choice {
        // Of themselves.
        8..=18 => whom = who,
        // A steward's word.
        19..=33 => {
            let stewards = model.stewards();
            who = stewards[who % stewards.len()];
        }
        _ => {}
    }
    let body = json!({ "account": people[whom].account, "role": role });
    let record = people[who].record_about(hub, "membership@1", community, body);
    match model.says(who, whom, role, hub.now()) {
        Ok(heard) => {
            let id = hub.say(&record).await;
            model.hears(heard, whom, id, hub.now());
        }
        Err(rule) => {
            assert_eq!(hub.refuses(&record).await.2, rule, "{step:?}");
            model.count(rule);
        }
    }
}

/// What everybody is, what waits of them, and by which word they are what they are.
async fn stands(hub: &TestHub, people: &[Person], community: RecordId, model: &Model, after: &Step) {
    let mut on = hub.eyes.acquire().await.unwrap();
    for (nth, person) in people.iter().enumerate() {
        let is = store::role_of(&mut on, &community, &person.account).await.unwrap();
        assert_eq!(is, model.roles.get(&nth).copied(), "{nth} after {after:?}");
        let waits =
            store::waiting(&mut on, &community, &person.account, waits_since(hub.now())).await.unwrap();
        let expected = model.waiting(nth, hub.now());
        let expected = expected.map(|one| Waiting { role: one.role, said_by: one.by.name() });
        assert_eq!(waits, expected, "{nth} after {after:?}");
        let word = store::last_word(&mut on, &community, &person.account).await.unwrap();
        let expected =
            model.words.get(&nth).map(|(record, decided)| Word { record: *record, decided: *decided });
        assert_eq!(word, expected, "{nth} after {after:?}");
    }
}

#[tokio::test]
async fn random_histories_of_membership_go_as_the_simple_community_says_on_both() {
    let mut came: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in seeds(STEPS) {
        for hub in TestHub::on_both().await {
            let mut people = Vec::new();
            for nth in 1..=PEOPLE {
                people.push(Person::arrive(&hub, u8::try_from(nth).unwrap()).await);
            }
            let community =
                hub.say(&people[0].record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
            let mut model = Model {
                roles: BTreeMap::from([(0, Role::Steward)]),
                words: BTreeMap::from([(0, (community, false))]),
                ..Model::default()
            };
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.wrapping_add(17); 32]);
            let mut runner = TestRunner::new_with_rng(Config::default(), rng);
            for _ in 0..STEPS {
                let step = steps().new_tree(&mut runner).unwrap().current();
                hub.clock.pass_ms(1);
                match step.choice {
                    0..=1 => hub.clock.pass_ms(step.wait),
                    2..=5 => decides(&hub, &people, community, &mut model, &step).await,
                    6..=7 => {
                        let by_vote = step.wait % 2 == 0;
                        let value = if by_vote { "1" } else { "0" };
                        let setting = json!({ "setting": { "setting": "members_by_vote", "value": value } });
                        let seen = vote(&hub, &people, community, &model, setting).await;
                        assert_eq!(seen["state"], "executed", "{seen}");
                        model.by_vote = by_vote;
                    }
                    _ => says(&hub, &people, community, &mut model, &step).await,
                }
                stands(&hub, &people, community, &model, &step).await;
            }
            println!("seed {seed}: {:?}", model.came);
            for (what, times) in model.came {
                *came.entry(what).or_default() += times;
            }
            hub.end().await;
        }
    }
    for what in [
        "steward_only",
        "by_vote_only",
        "by_vote",
        "last_steward",
        "both have said it",
        "lapsed",
        "not even by a vote",
    ] {
        assert!(came.contains_key(what), "{what}: {came:?}");
    }
}
