//! Random histories of a community over real records, on both engines, beside a simple one in memory.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{tally::naive, *};
use crate::{
    access::Role,
    governance::rule::{Absence, Choice, Needs, Rule, Share},
    testing::seeds,
};

/// What happens in a history; longer tests have more histories, each with a community of its own.
const STEPS: usize = 700;
const PEOPLE: usize = 6;

#[derive(Clone, Debug)]
struct Step {
    choice: u8,
    who: usize,
    whom: usize,
    amount: i128,
    needs: Needs,
    quorum: (u32, u32),
    vote: Choice,
    nth: usize,
    wait: i64,
}

fn steps() -> impl Strategy<Value = Step> {
    let needs = prop_oneof![
        4 => Just(Needs::Majority),
        2 => Just(Needs::Supermajority("2/3".parse().unwrap())),
        1 => Just(Needs::Unanimous(Absence::Blocks)),
        1 => Just(Needs::Unanimous(Absence::Agrees)),
        1 => Just(Needs::Unanimous(Absence::StandsAside)),
        1 => Just(Needs::Median { lowest: -2, highest: 5 }),
    ];
    let vote = prop_oneof![
        6 => Just(Choice::Yes),
        2 => Just(Choice::No),
        1 => Just(Choice::Abstain),
        2 => (-3..=6_i64).prop_map(Choice::Number),
    ];
    let quorum = prop_oneof![Just((1, 2)), Just((2, 3)), Just((0, 1)), Just((1, 1))];
    let who = (0..PEOPLE, 0..PEOPLE, 1..400_i128);
    (0..32_u8, who, needs, quorum, vote, any::<prop::sample::Index>(), 1..90_000_i64).prop_map(
        |(choice, (who, whom, amount), needs, quorum, vote, nth, wait)| Step {
            choice,
            who,
            whom,
            amount,
            needs,
            quorum,
            vote,
            nth: nth.index(4),
            wait,
        },
    )
}

#[derive(Clone, Debug)]
enum Does {
    Nothing,
    Pays(usize, i128),
    Adjusts(usize, usize, i128),
    Makes(usize, Option<Role>),
    Limits(usize, Option<i128>),
}

struct Put {
    id: RecordId,
    electors: Vec<usize>,
    rule: Rule,
    quorum: (u32, u32),
    closes: i64,
    does: Does,
    ballots: Vec<(usize, Choice)>,
}

/// The simple community.
struct Model {
    roles: BTreeMap<usize, Role>,
    balances: [i128; PEOPLE],
    floors: [i128; PEOPLE],
    treasury: i128,
    /// Let in by a vote, and not yet by their own word.
    invited: BTreeMap<usize, Role>,
    open: Vec<Put>,
    /// What came of every proposal: state, verdict, and how many voted.
    ended: BTreeMap<String, usize>,
}

impl Model {
    fn stewards(&self) -> usize {
        self.roles.values().filter(|role| **role == Role::Steward).count()
    }

    fn do_it(&mut self, does: &Does) -> bool {
        match *does {
            Does::Nothing => true,
            Does::Pays(whom, amount) => {
                let can = self.treasury >= amount;
                if can {
                    self.treasury -= amount;
                    self.balances[whom] += amount;
                }
                can
            }
            // Against the treasury: what one loses and what the other gets is not the same.
            Does::Adjusts(loses, gets, amount) => {
                let can = self.treasury >= 1;
                if can {
                    self.balances[loses] -= amount;
                    self.balances[gets] += amount + 1;
                    self.treasury -= 1;
                }
                can
            }
            Does::Makes(whom, role) => {
                let before = self.roles.get(&whom).copied();
                let falls = before == Some(Role::Steward) && role != Some(Role::Steward);
                let can = !(falls && self.stewards() == 1);
                if can {
                    match role {
                        Some(role) if before.is_some() => drop(self.roles.insert(whom, role)),
                        Some(role) => drop(self.invited.insert(whom, role)),
                        None => drop((self.roles.remove(&whom), self.invited.remove(&whom))),
                    }
                }
                can
            }
            Does::Limits(whom, limit) => {
                self.floors[whom] = -limit.unwrap_or(1_000);
                true
            }
        }
    }
}

fn effect(does: &Does, people: &[Person]) -> Value {
    let of = |who: usize| people[who].account;
    match does {
        Does::Nothing => json!("text"),
        Does::Pays(whom, amount) => json!({ "treasury_transfer": {
            "asset": "time_credit", "to": of(*whom), "amount": amount.to_string(), "payment": "withdrawal" } }),
        Does::Adjusts(loses, gets, amount) => json!({ "admin_adjustment": {
            "asset": "time_credit", "against": "treasury", "entries": [
                { "account": of(*loses), "amount": (-amount).to_string() },
                { "account": of(*gets), "amount": (amount + 1).to_string() },
            ] } }),
        Does::Makes(whom, role) => json!({ "membership": { "account": of(*whom), "role": role } }),
        Does::Limits(whom, limit) => json!({ "credit_limit": {
            "asset": "time_credit", "account": of(*whom), "limit": limit.map(|limit| limit.to_string()) } }),
    }
}

fn does(step: &Step) -> Does {
    let other = (step.whom + usize::from(step.who == step.whom)) % PEOPLE;
    match step.choice % 6 {
        0 => Does::Nothing,
        // At times more than there is.
        1 | 2 => Does::Pays(step.whom, step.amount * 30),
        3 => Does::Adjusts(step.who, other, step.amount),
        4 => {
            let role = [None, Some(Role::Member), Some(Role::Steward), Some(Role::Member)][step.nth];
            Does::Makes(step.whom, role)
        }
        _ => Does::Limits(step.whom, (step.nth != 0).then_some(step.amount)),
    }
}

async fn put(hub: &TestHub, people: &[Person], community: RecordId, model: &mut Model, step: &Step) {
    let mut does = does(step);
    let median = matches!(step.needs, Needs::Median { .. });
    let mut quorum = step.quorum;
    if median {
        does = Does::Nothing;
    } else if !matches!(does, Does::Nothing) && quorum == (0, 1) {
        quorum = (1, 2);
    }
    let closes = hub.now() + 60_000 + step.wait;
    let rule = Rule { quorum: Share::new(quorum.0, quorum.1).unwrap(), needs: step.needs };
    let mut body = asked(hub, effect(&does, people));
    body["rule"] = serde_json::to_value(rule).unwrap();
    body["closes"] = json!(Stamp::from_ms(closes));
    body["ballots"] = json!(if step.nth == 1 { "hidden" } else { "open" });
    let record = people[step.who].record_about(hub, "proposal@1", community, body);
    if !model.roles.contains_key(&step.who) {
        assert_eq!(hub.refuses(&record).await.2, "members_only");
        return;
    }
    let id = hub.say(&record).await;
    let electors = model.roles.keys().copied().collect();
    model.open.push(Put { id, electors, rule, quorum, closes, does, ballots: Vec::new() });
}

async fn vote(hub: &TestHub, people: &[Person], model: &mut Model, step: &Step) {
    let count = model.open.len();
    if count == 0 {
        return;
    }
    let put = &mut model.open[step.nth * 7 % count];
    let record = ballot_now(hub, &people[step.who], put.id, serde_json::to_value(step.vote).unwrap());
    if !put.electors.contains(&step.who) {
        assert_eq!(hub.refuses(&record).await.2, "electors_only");
    } else if !put.rule.takes(&step.vote) {
        assert_eq!(hub.refuses(&record).await.2, "choice");
    } else if put.ballots.iter().filter(|(by, _)| *by == step.who).count() == 20 {
        assert_eq!(hub.refuses(&record).await.2, "too_many_ballots");
    } else {
        hub.say(&record).await;
        put.ballots.push((step.who, step.vote));
    }
}

/// Everything whose window is over, in the order in which windows ended.
async fn end_what_is_over(hub: &TestHub, people: &[Person], community: RecordId, model: &mut Model) {
    let now = hub.now();
    let mut over: Vec<Put> = model.open.extract_if(.., |put| put.closes <= now).collect();
    over.sort_by_key(|put| put.closes);
    for put in over {
        let position =
            |who: usize| u32::try_from(put.electors.iter().position(|one| *one == who).unwrap()).unwrap();
        let ballots: Vec<_> = put.ballots.iter().map(|(by, choice)| (position(*by), 0, *choice)).collect();
        let count = u32::try_from(put.electors.len()).unwrap();
        let quorum = (u64::from(put.quorum.0), u64::from(put.quorum.1));
        let (verdict, last) = naive(count, &put.rule, quorum, &ballots);
        let verdict = serde_json::to_value(verdict).unwrap();
        let state = match verdict.as_str().unwrap() {
            "accepted" if model.do_it(&put.does) => "executed",
            "accepted" => "unexecuted",
            _ => "rejected",
        };
        let seen = told(hub, put.id).await;
        assert_eq!(
            (&seen["state"], &seen["result"]["verdict"]),
            (&json!(state), &verdict),
            "{:?} {seen}",
            put.does
        );
        assert_eq!(seen["result"]["voted"], json!(last.iter().flatten().count()));
        *model.ended.entry(format!("{state} {}", verdict.as_str().unwrap())).or_default() += 1;
    }
    // Who was let in says so as well, and belongs to it then.
    while let Some((whom, role)) = model.invited.pop_first() {
        hub.clock.pass_ms(1);
        let body = json!({ "account": people[whom].account, "role": role });
        hub.say(&people[whom].record_about(hub, "membership@1", community, body)).await;
        model.roles.insert(whom, role);
    }
}

async fn stands(hub: &TestHub, people: &[Person], community: RecordId, model: &Model) {
    for (nth, person) in people.iter().enumerate() {
        let token = person.sign_in(hub).await;
        let account = hub.get_as(&token, "/v1/ledger/statement").await.body["account"].clone();
        let is = [model.balances[nth], model.floors[nth]].map(|number| json!(number.to_string()));
        assert_eq!([&account["balance"], &account["floor"]], [&is[0], &is[1]], "{nth}");
    }
    let page = hub.get(&format!("/v1/communities/{community}/treasury")).await.body;
    assert_eq!(page["items"][0]["balance"], json!(model.treasury.to_string()));
    let members = hub.get(&format!("/v1/communities/{community}")).await.body["members"].clone();
    let seen: BTreeMap<String, Value> = members
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["account"].as_str().unwrap().to_owned(), one["role"].clone()))
        .collect();
    let expected =
        model.roles.iter().map(|(who, role)| (people[*who].account.to_string(), json!(role))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn random_histories_go_as_the_simple_community_says_on_both() {
    let mut ended = BTreeSet::new();
    for seed in seeds(STEPS) {
        for mut hub in TestHub::on_both_with(|config| config.time_credit_limit = 1_000).await {
            let (people, community) = community(&hub, u8::try_from(PEOPLE).unwrap()).await;
            hub.config.time_credit_community = Some(community);
            hub.restart_after(1).await;
            let minute = json!({ "setting": { "setting": "window_min_seconds", "value": "60" } });
            agreed(&hub, &people, community, minute).await;
            let roles = (0..PEOPLE).map(|who| (who, if who == 0 { Role::Steward } else { Role::Member }));
            let mut model = Model {
                roles: roles.collect(),
                balances: [0; PEOPLE],
                floors: [-1_000; PEOPLE],
                treasury: 0,
                invited: BTreeMap::new(),
                open: Vec::new(),
                ended: BTreeMap::new(),
            };
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.wrapping_add(3); 32]);
            let mut runner = TestRunner::new_with_rng(Config::default(), rng);
            for _ in 0..STEPS {
                let step = steps().new_tree(&mut runner).unwrap().current();
                hub.clock.pass_ms(1);
                end_what_is_over(&hub, &people, community, &mut model).await;
                match step.choice {
                    0..=5 if model.open.len() < 4 => put(&hub, &people, community, &mut model, &step).await,
                    6 => {
                        hub.clock.pass_ms(step.wait);
                        end_what_is_over(&hub, &people, community, &mut model).await;
                    }
                    7..=8 => {
                        hub.clock.pass_ms(1);
                        let body =
                            json!({ "asset": "time_credit", "amount": step.amount.to_string(), "note": "" });
                        let record = people[step.who].record_about(&hub, "deposit@1", community, body);
                        if !model.roles.contains_key(&step.who) {
                            assert_eq!(hub.refuses(&record).await.2, "members_only");
                        } else if model.balances[step.who] - step.amount < model.floors[step.who] {
                            assert_eq!(hub.refuses(&record).await.2, "below_floor");
                        } else {
                            hub.say(&record).await;
                            model.balances[step.who] -= step.amount;
                            model.treasury += step.amount;
                        }
                    }
                    _ => vote(&hub, &people, &mut model, &step).await,
                }
            }
            hub.clock.pass_ms(200_000);
            end_what_is_over(&hub, &people, community, &mut model).await;
            stands(&hub, &people, community, &model).await;
            println!("seed {seed}: {:?}", model.ended);
            ended.extend(model.ended.into_keys());
            let found = crate::verify_ledger(&hub.config).await.unwrap();
            assert_eq!(found.faults, 0, "{found:?}");
            hub.end().await;
        }
    }
    let had = |state: &str| ended.iter().any(|one: &String| one.starts_with(state));
    assert!(["executed", "unexecuted", "rejected"].into_iter().all(had), "{ended:?}");
}
