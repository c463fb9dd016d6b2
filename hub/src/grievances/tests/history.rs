//! Random histories of grievances of every kind over real records, on both engines, beside a simple community in memory.

mod cases;

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::*;
use crate::{
    governance::tests::ballot,
    reputation::{
        exchange::Exchange,
        model::Kind,
        tests::{handed_in, thanks},
    },
    testing::seeds,
};
use cases::{Case, Model, Stage, What, same};

/// What happens in a history; longer tests have more histories, each with a community of its own.
const STEPS: usize = 700;
const PEOPLE: usize = 9;
/// The first ones.
const STEWARDS: usize = 2;
const JURY: usize = 3;
const REWARD: i128 = 3;
const LIMIT: i128 = 5_000;
/// As the settings have them.
const MEDIATION_MS: i64 = 3_600_000;
const ASIDE_MS: i64 = 1_000_000;
const VOTE_MS: i64 = 3_000_000;

/// What all histories together must have met, each some times.
const EXPECTED: [&str; 15] = [
    "filed",
    "contribution",
    "membership",
    "attestation",
    "revoked",
    "above",
    "settled",
    "ruled",
    "withdrawn",
    "expired",
    "hung",
    "recused",
    "declared",
    "rejected",
    "refused",
];

#[derive(Clone, Debug)]
struct Random {
    choice: u8,
    who: usize,
    whom: usize,
    amount: i128,
    nth: prop::sample::Index,
    odd: u8,
    wait: i64,
}

fn steps() -> impl Strategy<Value = Random> {
    let people = (0..PEOPLE, 1..PEOPLE, 1..1_400_i128);
    (0..24_u8, people, any::<prop::sample::Index>(), any::<u8>(), 1..2_500_000_i64).prop_map(
        |(choice, (who, whom, amount), nth, odd, wait)| Random {
            choice,
            who,
            whom: (who + whom) % PEOPLE,
            amount,
            nth,
            odd,
            wait,
        },
    )
}

/// Whatever is over goes on.
async fn go_on(hub: &TestHub, people: &[Person], model: &mut Model) {
    let now = hub.now();
    for nth in 0..model.cases.len() {
        let case = &mut model.cases[nth];
        if case.stage == Stage::Resolved || case.due > now {
            continue;
        }
        match case.stage {
            Stage::Filed | Stage::Mediation | Stage::Proposed => {
                (case.stage, case.juries, case.due) = (Stage::Escalated, 1, now + ASIDE_MS);
                case.accepted = None;
                model.saw("expired");
            }
            Stage::Escalated if case.jurors.is_empty() => model.end(nth, "undecided", None, false),
            Stage::Escalated => {
                (case.stage, case.due) = (Stage::Voting, now + VOTE_MS);
                case.ballots.clear();
            }
            _ => {
                let counted = Model::counted(case);
                // Who has taken a side on a jury that decided.
                for (juror, _) in case.ballots.iter().filter(|(_, (_, number))| number.is_some()) {
                    model.balances[*juror] += if counted.is_some() { REWARD } else { 0 };
                }
                match counted {
                    Some((back, upheld)) => model.end(nth, "ruled", back, upheld),
                    None if case.juries < 3 => {
                        (case.stage, case.juries, case.due) =
                            (Stage::Escalated, case.juries + 1, now + ASIDE_MS);
                        case.accepted = None;
                        model.saw("hung");
                    }
                    None => model.end(nth, "undecided", None, false),
                }
            }
        }
        same(hub, people, &mut model.cases[nth]).await;
    }
}

/// The respondent attests of somebody that they have helped, whom they have paid a unit for it.
async fn attests(hub: &TestHub, model: &mut Model, by: &Person, to: &Person) -> RecordId {
    let payment = pay(hub, by, to, "1").await;
    let exchange = Exchange { payment, payer: by.account, payee: to.account };
    loop {
        model.said += 1;
        let said = thanks(hub, by, exchange, to, Kind::SkillProvider, model.said);
        let answer = hub.post("/v1/records", &handed_in(hub, by, payment, &said)).await;
        if answer.status == 201 {
            return answer.body["id"].as_str().unwrap().parse().unwrap();
        }
        // The hub has drawn that entry for a word of its own.
        assert_eq!(answer.refusal().2, "status_taken");
    }
}

/// Something for the one to complain of about the other: what, the record, who has a part in it besides them, and whose credential it
/// is. Nothing where it would have to be paid for and cannot be.
async fn happens(
    hub: &TestHub,
    people: &[Person],
    community: RecordId,
    model: &mut Model,
    random: &Random,
) -> Option<(What, RecordId, BTreeSet<usize>, Option<usize>)> {
    let (payer, payee, amount) = (random.who, random.whom, random.amount);
    let what = match random.wait % 8 {
        4 => What::Contribution,
        5 => What::Words,
        6 => What::Membership,
        7 => What::Credential,
        _ if random.odd.is_multiple_of(3) => What::Payment,
        _ => What::Reversal,
    };
    hub.clock.pass_ms(1);
    Some(match what {
        What::Reversal | What::Payment => {
            if model.balances[payer] - amount < -LIMIT {
                return None;
            }
            let transfer = pay(hub, &people[payer], &people[payee], &amount.to_string()).await;
            model.balances[payer] -= amount;
            model.balances[payee] += amount;
            (what, transfer, BTreeSet::new(), None)
        }
        What::Contribution | What::Words => {
            let words = json!({ "name": "Somebody", "text": "I weed.", "languages": ["en"], "avatar": null });
            let said = hub.say(&people[payee].record(hub, "profile@1", words)).await;
            (what, said, BTreeSet::new(), None)
        }
        What::Membership => {
            // The first steward says once more what the respondent is.
            let role = if payee < STEWARDS { "steward" } else { "member" };
            let body = json!({ "account": people[payee].account, "role": role });
            let said = hub.say(&people[0].record_about(hub, "membership@1", community, body)).await;
            (what, said, BTreeSet::from([0]), None)
        }
        What::Credential => {
            let whose = (payee + 1 + usize::from(random.odd) % (PEOPLE - 1)) % PEOPLE;
            if model.balances[payee] - 1 < -LIMIT {
                return None;
            }
            let said = attests(hub, model, &people[payee], &people[whose]).await;
            model.balances[payee] -= 1;
            model.balances[whose] += 1;
            let holder = Some(whose).filter(|whose| *whose != payer);
            (what, said, holder.into_iter().collect(), holder)
        }
    })
}

async fn file_one(hub: &TestHub, people: &[Person], community: RecordId, model: &mut Model, random: &Random) {
    let (payer, payee, amount) = (random.who, random.whom, random.amount);
    let happened = happens(hub, people, community, model, random).await;
    let Some((what, subject, apart, holder)) = happened else { return };
    let back = what == What::Reversal;
    let body = complaint(what.kind(), what.remedy(), subject, &people[payee]);
    let record = own(hub, &people[payer], "grievance@1", community, body);
    let open = |case: &&Case| case.parties[0] == payer && case.stage != Stage::Resolved;
    if model.cases.iter().filter(open).count() == 5 {
        assert_eq!(hub.refuses(&record).await.2, "too_many_open");
        return;
    }
    let today = |case: &&Case| case.parties[0] == payer && case.filed > hub.now() - 86_400_000;
    if model.cases.iter().filter(today).count() == 10 {
        assert_eq!(hub.refuses(&record).await.2, "too_many_a_day");
        return;
    }
    let id = hub.say(&record).await;
    let above = back && amount > 1_000;
    let now = hub.now();
    model.saw(match (what.kind(), above) {
        ("trade", true) => "above",
        ("trade", false) => "filed",
        (kind, _) => kind,
    });
    let mut case = Case {
        id,
        parties: [payer, payee],
        what,
        subject,
        apart,
        holder,
        amount,
        filed: now,
        back,
        stage: if above { Stage::Escalated } else { Stage::Filed },
        due: now + if above { ASIDE_MS } else { MEDIATION_MS },
        mediator: None,
        proposal: None,
        accepted: None,
        jurors: BTreeSet::new(),
        recused: BTreeSet::new(),
        juries: u32::from(above),
        vote: None,
        ballots: BTreeMap::new(),
        ended: None,
        upheld: false,
        unexecuted: false,
    };
    same(hub, people, &mut case).await;
    model.cases.push(case);
}

/// Mostly whoever may, at times whoever comes by.
fn somebody(case: &Case, random: &Random) -> usize {
    let jurors: Vec<usize> = case.jurors.iter().copied().collect();
    let right = match random.choice {
        4..=6 => Some(random.who % STEWARDS),
        7..=9 | 14 => case.mediator,
        15 | 0..=3 | 19..=22 if case.stage >= Stage::Escalated => {
            jurors.get(random.who % jurors.len().max(1)).copied()
        }
        _ => Some(case.parties[random.who % 2]),
    };
    right.filter(|_| !random.odd.is_multiple_of(8)).unwrap_or(random.who)
}

async fn act(hub: &TestHub, people: &[Person], model: &mut Model, random: &Random) {
    if model.cases.is_empty() {
        return;
    }
    let live: Vec<usize> =
        (0..model.cases.len()).filter(|nth| model.cases[*nth].stage != Stage::Resolved).collect();
    let nth = if live.is_empty() || random.odd.is_multiple_of(16) {
        random.nth.index(model.cases.len())
    } else {
        live[random.nth.index(live.len())]
    };
    let case = model.cases[nth].clone();
    // Mostly what comes next where the case stands.
    let fitting = match case.stage {
        Stage::Filed => [4, 4, 4, 17],
        Stage::Mediation => [7, 7, 7, [14, 15][random.who % 2]],
        Stage::Proposed => [10, 10, 10, 16],
        Stage::Escalated => [15, 18, 18, 18],
        Stage::Voting | Stage::Resolved => [random.choice; 4],
    };
    let fits = random.odd % 4 != 1;
    let choice = if fits { fitting[usize::from(random.odd / 4) % 4] } else { random.choice };
    let random = &Random { choice, ..random.clone() };
    let who = somebody(&case, random);
    let (party, mediates) = (case.parties.contains(&who), case.mediator == Some(who));
    let mediated = matches!(case.stage, Stage::Mediation | Stage::Proposed);
    let open = mediated || case.stage == Stage::Filed;
    let ended_by_parties = open || case.stage == Stage::Escalated;
    let back = [0, random.amount.min(case.amount), case.amount][random.who % 3];
    let outcome = match back {
        _ if !case.back => json!("upheld"),
        0 => json!("rejected"),
        _ if back == case.amount => json!("void_transaction"),
        _ => json!({ "partial_adjustment": { "amount": back.to_string() } }),
    };
    let last = case.proposal.map_or(case.id, |(id, _)| id);
    let (what, may) = match random.choice {
        4..=6 => (
            json!("take"),
            case.stage == Stage::Filed && who < STEWARDS && !party && !case.apart.contains(&who),
        ),
        7..=9 => (json!({ "propose": { "outcome": outcome, "reason": "" } }), mediated && mediates),
        10..=13 => (
            json!({ "accept": { "proposal": last } }),
            (case.stage == Stage::Proposed || (case.stage == Stage::Escalated && case.proposal.is_some()))
                && party
                && case.accepted != Some(who),
        ),
        14 => (json!("community_wide"), mediated && mediates),
        15 => (
            json!({ "conflict": { "reason": "" } }),
            (mediated && mediates) || (case.stage == Stage::Escalated && case.jurors.contains(&who)),
        ),
        16 => (json!("reject"), case.stage == Stage::Proposed && party),
        17 => (json!("withdraw"), ended_by_parties && case.parties[0] == who && random.odd < 128),
        _ => (
            evidence("this"),
            (open || case.stage == Stage::Escalated) && (party || case.holder == Some(who)),
        ),
    };
    if random.choice == 17 && ended_by_parties && case.parties[0] == who && !may {
        return;
    }
    let record = step(hub, &people[who], case.id, what);
    if !may {
        drop(hub.refuses(&record).await);
        model.saw("refused");
        return;
    }
    let said = hub.say(&record).await;
    let (now, one) = (hub.now(), &mut model.cases[nth]);
    let escalates = |one: &mut Case| {
        (one.stage, one.juries, one.due, one.accepted) = (Stage::Escalated, 1, now + ASIDE_MS, None);
    };
    match random.choice {
        4..=6 => (one.stage, one.mediator) = (Stage::Mediation, Some(who)),
        7..=9 => {
            (one.stage, one.proposal, one.accepted) =
                (Stage::Proposed, Some((said, case.back.then_some(back))), None);
        }
        10..=13 if one.accepted.is_none() => one.accepted = Some(who),
        10..=13 => {
            let back = one.proposal.unwrap().1;
            model.end(nth, "settled", back, !case.back || back != Some(0));
        }
        15 if one.stage == Stage::Escalated => {
            one.recused.insert(who);
            model.saw("recused");
        }
        14 | 15 => {
            escalates(one);
            one.proposal = None;
            model.saw("declared");
        }
        16 => {
            escalates(one);
            model.saw("rejected");
        }
        17 => model.end(nth, "withdrawn", None, false),
        _ => {}
    }
    same(hub, people, &mut model.cases[nth]).await;
}

async fn votes(hub: &TestHub, people: &[Person], model: &mut Model, random: &Random) {
    let voting: Vec<usize> =
        (0..model.cases.len()).filter(|nth| model.cases[*nth].stage == Stage::Voting).collect();
    if voting.is_empty() {
        return;
    }
    let case = &mut model.cases[voting[random.nth.index(voting.len())]];
    let who = somebody(case, random);
    let number = match (random.odd % 5, case.back) {
        (0, _) => None,
        (odd, false) => Some(i64::from(odd % 2)),
        (1, true) => Some(0),
        (2, true) => Some(10_000),
        (_, true) => Some(random.wait % 10_001),
    };
    let choice = match (number, case.back) {
        (None, _) => json!("abstain"),
        (Some(share), true) => json!({ "number": share.to_string() }),
        (Some(yes), false) => json!(if yes == 1 { "yes" } else { "no" }),
    };
    let record = ballot(hub, &people[who], case.vote.unwrap(), choice);
    if !case.jurors.contains(&who) {
        assert_eq!(hub.refuses(&record).await.2, "electors_only");
    } else if case.ballots.get(&who).is_none_or(|(times, _)| *times < 20) {
        hub.say(&record).await;
        let last = case.ballots.entry(who).or_default();
        *last = (last.0 + 1, number);
    }
}

fn met(seen: &BTreeMap<&'static str, u32>, what: &str) -> bool {
    seen.get(what).is_some_and(|times| *times >= 4)
}

#[tokio::test]
async fn random_histories_go_as_the_simple_community_says_on_both() {
    let settings =
        [("mediation_seconds", "3600"), ("jury_size", "3"), ("jury_seconds", "4000"), ("juror_reward", "3")];
    let mut seen = BTreeMap::new();
    // Who is drawn for a jury is chance, and with it what comes next: there are more histories until each of these was met.
    let histories = seeds(STEPS).end;
    for seed in 0..histories + 8 {
        if seed >= histories && EXPECTED.iter().all(|what| met(&seen, what)) {
            break;
        }
        for (hub, people, community) in grounds(u8::try_from(PEOPLE).unwrap(), &settings).await {
            let steward = json!({ "account": people[1].account, "role": "steward" });
            hub.say(&people[0].record_about(&hub, "membership@1", community, steward)).await;
            let mut model =
                Model { balances: [0; PEOPLE], cases: Vec::new(), said: 0, seen: BTreeMap::new() };
            let deposit = json!({ "asset": "time_credit", "amount": "4000", "note": "" });
            hub.say(&people[8].record_about(&hub, "deposit@1", community, deposit)).await;
            model.balances[8] = -4_000;
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.wrapping_add(5); 32]);
            let mut runner = TestRunner::new_with_rng(Config::default(), rng);
            for _ in 0..STEPS {
                let random = steps().new_tree(&mut runner).unwrap().current();
                // Every moment is another one, and whatever was over before has gone on.
                hub.clock.pass_ms(5);
                go_on(&hub, &people, &mut model).await;
                let live = model.cases.iter().filter(|case| case.stage != Stage::Resolved).count();
                match random.choice {
                    0..=3 if live < 7 => file_one(&hub, &people, community, &mut model, &random).await,
                    23 => {
                        hub.clock.pass_ms(random.wait);
                        go_on(&hub, &people, &mut model).await;
                    }
                    0..=3 | 19..=22 => votes(&hub, &people, &mut model, &random).await,
                    _ => act(&hub, &people, &mut model, &random).await,
                }
            }
            while model.cases.iter().any(|case| case.stage != Stage::Resolved) {
                hub.clock.pass_ms(MEDIATION_MS);
                go_on(&hub, &people, &mut model).await;
            }
            for case in &model.cases {
                super::bundles::holds(&hub, &people[case.parties[0]], case.id).await;
            }
            for (nth, person) in people.iter().enumerate() {
                assert_eq!(balance(&hub, person).await, model.balances[nth].to_string(), "{nth}");
            }
            println!("seed {seed}: {} grievances, {:?}", model.cases.len(), model.seen);
            for (what, times) in &model.seen {
                *seen.entry(*what).or_default() += times;
            }
            sound(hub).await;
        }
    }
    for what in EXPECTED {
        assert!(met(&seen, what), "{what}: {seen:?}");
    }
}
