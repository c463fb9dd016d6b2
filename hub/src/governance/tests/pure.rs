//! Tally, rules and table without a database, against a count that knows nothing but words.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use proptest::{collection::vec, prelude::*};
use serde_json::json;

use crate::{
    access::Role,
    governance::{
        model::{
            Adjusted, Against, Effect, Payment, ProposalBody, TallyBody, WINDOW_MAX_MS, may_open_another,
        },
        rule::{Absence, Ballots, Choice, Electorate, Needs, Rule, Share},
        settings::{Setting, Settings},
        table::{Action, State, When, may, when},
        tally::{Ballot, Tally, Verdict, counted, digest, tally},
    },
    ledger::model::Asset,
    records::{RecordId, Stamp},
    testing::trade::ARBITER,
};

const CLOSES: i64 = 1_000;

fn who(number: u32) -> RecordId {
    RecordId::of(&json!({ "who": number })).unwrap()
}

fn share(text: &str) -> Share {
    text.parse().unwrap()
}

fn rule(quorum: &str, needs: Needs) -> Rule {
    Rule { quorum: share(quorum), needs }
}

/// Ballots in the order of the log, all in time.
fn cast(choices: &[(u32, Choice)]) -> Vec<Ballot> {
    (1..)
        .zip(choices)
        .map(|(seq, (number, choice))| Ballot {
            seq,
            received_at: 500,
            elector: who(*number),
            record: RecordId::of(&json!({ "ballot": seq })).unwrap(),
            choice: *choice,
        })
        .collect()
}

fn electors(count: u32) -> BTreeSet<RecordId> {
    (0..count).map(who).collect()
}

fn come(count: u32, rule: &Rule, choices: &[(u32, Choice)]) -> Tally {
    tally(&electors(count), rule, CLOSES, &cast(choices))
}

#[test]
fn every_verdict_has_its_reason() {
    use Choice::{Abstain, No, Number, Yes};
    let majority = Needs::Majority;
    let two_thirds = Needs::Supermajority(share("2/3"));
    let [blocks, agrees, aside] =
        [Absence::Blocks, Absence::Agrees, Absence::StandsAside].map(Needs::Unanimous);
    let median = Needs::Median { lowest: -10, highest: 10 };
    for (electors, quorum, needs, choices, verdict) in [
        (0, "0/1", majority, &[][..], Verdict::NoElectors),
        (0, "0/1", majority, &[(0, Yes)], Verdict::NoElectors),
        (3, "0/1", majority, &[], Verdict::NoSide),
        (3, "0/1", majority, &[(0, Abstain), (1, Abstain), (2, Abstain)], Verdict::NoSide),
        (3, "0/1", majority, &[(0, Yes)], Verdict::Accepted),
        (3, "1/1", majority, &[(0, Yes), (1, Yes)], Verdict::QuorumMissed),
        (3, "1/1", majority, &[(0, Yes), (1, Abstain), (2, Abstain)], Verdict::Accepted),
        (4, "1/2", majority, &[(0, Yes)], Verdict::QuorumMissed),
        (4, "1/2", majority, &[(0, Yes), (1, Abstain)], Verdict::Accepted),
        (4, "0/1", majority, &[(0, Yes), (1, No)], Verdict::Tie),
        (4, "0/1", majority, &[(0, Yes), (1, No), (2, No)], Verdict::Outvoted),
        (3, "0/1", two_thirds, &[(0, Yes), (1, Yes), (2, No)], Verdict::Accepted),
        (5, "0/1", two_thirds, &[(0, Yes), (1, Yes), (2, Yes), (3, No), (4, No)], Verdict::ShareMissed),
        (5, "0/1", two_thirds, &[(0, Yes), (1, Yes), (2, No), (3, Abstain)], Verdict::Accepted),
        (2, "0/1", two_thirds, &[(0, No)], Verdict::ShareMissed),
        (3, "0/1", blocks, &[(0, Yes), (1, Yes)], Verdict::Absent),
        (3, "0/1", blocks, &[(0, Yes), (1, Yes), (2, Abstain)], Verdict::Accepted),
        (3, "0/1", blocks, &[(0, Yes), (1, No)], Verdict::Opposed),
        (3, "0/1", agrees, &[(0, Yes)], Verdict::Accepted),
        (3, "0/1", agrees, &[], Verdict::NoSide),
        (3, "2/3", agrees, &[(0, Yes)], Verdict::QuorumMissed),
        (3, "0/1", aside, &[(0, Yes), (1, No)], Verdict::Opposed),
        (3, "0/1", aside, &[(0, Yes)], Verdict::Accepted),
        (3, "0/1", median, &[(0, Abstain)], Verdict::NoSide),
        (3, "1/1", median, &[(0, Number(4)), (1, Number(-3))], Verdict::QuorumMissed),
        (3, "0/1", median, &[(0, Number(4)), (1, Number(-3))], Verdict::Accepted),
    ] {
        let came = come(electors, &rule(quorum, needs), choices);
        assert_eq!(came.verdict, verdict, "{electors} {quorum} {needs:?} {choices:?}: {came:?}");
    }
}

#[test]
fn a_median_is_somebodys_number_the_lower_of_two_middle_ones() {
    let rule = rule("0/1", Needs::Median { lowest: i64::MIN, highest: i64::MAX });
    for (numbers, median) in [
        (&[5][..], 5),
        (&[7, 3], 3),
        (&[9, 1, 5], 5),
        (&[4, 1, 3, 2], 2),
        (&[i64::MAX, i64::MIN, i64::MAX], i64::MAX),
        (&[i64::MIN, i64::MAX], i64::MIN),
        (&[6, 6, 1, 1, 6], 6),
    ] {
        let choices: Vec<_> =
            (0..).zip(numbers).map(|(who, number)| (who, Choice::Number(*number))).collect();
        assert_eq!(come(9, &rule, &choices).median, Some(median), "{numbers:?}");
    }
}

#[test]
fn the_last_ballot_that_may_be_cast_counts_and_no_other() {
    let rule = rule("0/1", Needs::Majority);
    let mut ballots = cast(&[
        (0, Choice::Yes),
        (1, Choice::Yes),
        (0, Choice::No),
        (7, Choice::Yes),
        (1, Choice::Number(3)),
        (2, Choice::No),
        (2, Choice::Yes),
    ]);
    // One that came late does not replace the one before it; the close itself is late.
    ballots[6].received_at = CLOSES;
    let came = tally(&electors(3), &rule, CLOSES, &ballots);
    assert_eq!((came.voted, came.yes, came.no, came.verdict), (3, 1, 2, Verdict::Outvoted));
    let seqs: Vec<i64> = counted(&electors(3), &rule, CLOSES, &ballots).iter().map(|one| one.seq).collect();
    assert_eq!(seqs, [2, 3, 6]);
    // In whatever order they are read.
    ballots.reverse();
    assert_eq!(tally(&electors(3), &rule, CLOSES, &ballots), came);
    ballots.iter_mut().find(|one| one.seq == 7).unwrap().received_at = CLOSES - 1;
    assert_eq!(tally(&electors(3), &rule, CLOSES, &ballots).yes, 2);
}

#[test]
fn a_digest_names_a_list_and_its_order() {
    let ids = [who(1), who(2)];
    let [one, other] = [digest(&ids), digest(ids.iter().rev())];
    assert_ne!(one, other);
    assert_ne!(one, digest(&ids[..1]));
    // printf '' | sha256sum
    assert_eq!(digest([]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

fn needs() -> impl Strategy<Value = Needs> {
    let absence = prop_oneof![Just(Absence::Blocks), Just(Absence::Agrees), Just(Absence::StandsAside)];
    prop_oneof![
        Just(Needs::Majority),
        (1..=9_u32)
            .prop_flat_map(|bottom| (bottom / 2 + 1..=bottom, Just(bottom)))
            .prop_map(|(top, bottom)| { Needs::Supermajority(Share::new(top, bottom).unwrap()) }),
        absence.prop_map(Needs::Unanimous),
        (-3..=0_i64, 0..=3_i64).prop_map(|(lowest, highest)| Needs::Median { lowest, highest }),
    ]
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        4 => Just(Choice::Yes),
        3 => Just(Choice::No),
        2 => Just(Choice::Abstain),
        4 => (-4..=4_i64).prop_map(Choice::Number),
    ]
}

/// The simple count: by elector, walking back from the newest ballot, in words and with fractions as they are taught.
pub(super) fn naive(
    count: u32,
    rule: &Rule,
    quorum: (u64, u64),
    ballots: &[(u32, i64, Choice)],
) -> (Verdict, Vec<Option<Choice>>) {
    let fits = |choice: &Choice| match (rule.needs, choice) {
        (_, Choice::Abstain) => true,
        (Needs::Median { lowest, highest }, Choice::Number(number)) => (lowest..=highest).contains(number),
        (Needs::Median { .. }, _) => false,
        (_, other) => !matches!(other, Choice::Number(_)),
    };
    let last: Vec<Option<Choice>> = (0..count)
        .map(|elector| {
            let mut own = ballots
                .iter()
                .rev()
                .filter(|(by, at, choice)| *by == elector && *at < CLOSES && fits(choice));
            own.next().map(|(_, _, choice)| *choice)
        })
        .collect();
    let say = |wanted: Choice| last.iter().filter(|one| **one == Some(wanted)).count() as u64;
    let (yes, no) = (say(Choice::Yes), say(Choice::No));
    let present = last.iter().flatten().count() as u64;
    let numbers = last.iter().flatten().filter(|one| matches!(one, Choice::Number(_))).count();
    let verdict = if count == 0 {
        Verdict::NoElectors
    } else if present * quorum.1 < quorum.0 * u64::from(count) {
        Verdict::QuorumMissed
    } else if yes + no == 0 && numbers == 0 {
        Verdict::NoSide
    } else {
        match rule.needs {
            Needs::Majority => match yes.cmp(&no) {
                std::cmp::Ordering::Greater => Verdict::Accepted,
                std::cmp::Ordering::Equal => Verdict::Tie,
                std::cmp::Ordering::Less => Verdict::Outvoted,
            },
            Needs::Supermajority(share) => {
                let text = share.to_string();
                let (top, bottom) = text.split_once('/').unwrap();
                let (top, bottom): (u64, u64) = (top.parse().unwrap(), bottom.parse().unwrap());
                if yes * bottom >= top * (yes + no) { Verdict::Accepted } else { Verdict::ShareMissed }
            }
            Needs::Unanimous(_) if no > 0 => Verdict::Opposed,
            Needs::Unanimous(Absence::Blocks) if present < u64::from(count) => Verdict::Absent,
            Needs::Unanimous(_) | Needs::Median { .. } => Verdict::Accepted,
        }
    };
    (verdict, last)
}

proptest! {
    #[test]
    fn tallies_are_those_of_the_simple_count(
        count in 0..7_u32,
        needs in needs(),
        (top, bottom) in (1..=6_u32).prop_flat_map(|bottom| (0..=bottom, Just(bottom))),
        ballots in vec((0..9_u32, prop_oneof![9 => 0..CLOSES, 1 => CLOSES..CLOSES + 2], choice()), 0..24),
    ) {
        let rule = Rule { quorum: Share::new(top, bottom).unwrap(), needs };
        let (verdict, last) = naive(count, &rule, (top.into(), bottom.into()), &ballots);
        let mut all = cast(&ballots.iter().map(|(by, _, choice)| (*by, *choice)).collect::<Vec<_>>());
        for (ballot, (_, at, _)) in all.iter_mut().zip(&ballots) {
            ballot.received_at = *at;
        }
        let came = tally(&electors(count), &rule, CLOSES, &all);
        prop_assert_eq!(came.verdict, verdict);
        prop_assert_eq!((came.electors, came.voted as usize), (count, last.iter().flatten().count()));
        prop_assert_eq!(came.voted, came.yes + came.no + came.abstained
            + last.iter().flatten().filter(|one| matches!(one, Choice::Number(_))).count() as u32);
        // Half of the numbers, or more, lie on either side of a median.
        if let Some(median) = came.median {
            let numbers: Vec<i64> = last.iter().flatten().filter_map(|one| match one {
                Choice::Number(number) => Some(*number),
                _ => None,
            }).collect();
            let below = numbers.iter().filter(|number| **number <= median).count();
            let above = numbers.iter().filter(|number| **number >= median).count();
            prop_assert!(below * 2 >= numbers.len() && above * 2 >= numbers.len());
            // The least number for which that is so.
            prop_assert!(numbers.iter().filter(|number| **number < median).count() * 2 < numbers.len());
            prop_assert!(numbers.contains(&median));
        }
        let counts = counted(&electors(count), &rule, CLOSES, &all);
        prop_assert_eq!(counts.len(), came.voted as usize);
        prop_assert!(counts.windows(2).all(|two| two[0].seq < two[1].seq));
    }
}

#[test]
fn shares_are_exact_and_have_one_text() {
    for text in ["0/1", "1/1", "2/3", "4/6", "1/1000000", "999999/1000000"] {
        assert_eq!(share(text).to_string(), text);
    }
    for bad in
        ["", "1", "1/0", "3/2", "01/2", "1/02", "+1/2", "-1/2", "1/2/3", "1 / 2", "0.5", "1/1000001", "½"]
    {
        assert!(bad.parse::<Share>().unwrap_err().to_string().contains("2/3"), "{bad}");
    }
    let third = share("1/3");
    assert!(third.is_met(1, 3) && !third.is_met(0, 1) && !third.is_met(3_333_333, 10_000_000));
    assert!(third.is_met(3_333_334, 10_000_000) && third.is_met(u32::MAX, u32::MAX) && third.is_met(0, 0));
    assert!(!share("1/2").is_more_than_half() && share("500001/1000000").is_more_than_half());
    assert!(share("2/3").is_percent(66) && !share("2/3").is_percent(67));
}

#[test]
fn the_table_leaves_no_state_but_open_and_that_by_the_close_alone() {
    for state in State::ALL {
        for action in Action::ALL {
            let expected = match (state, action) {
                (State::Open, Action::Vote) => Some(When::Before),
                (State::Open, Action::Tally) => Some(When::From),
                _ => None,
            };
            assert_eq!(when(state, action), expected, "{state:?} {action:?}");
            let refused = |now| may(state, action, now, CLOSES).err().map(|refusal| refusal.rule);
            let told = match (state, action) {
                (State::Open, Action::Vote) => [None, Some("voting_closed"), Some("voting_closed")],
                (State::Open, Action::Tally) => [Some("not_closed"), None, None],
                _ => [Some("decided"); 3],
            };
            assert_eq!(
                [refused(CLOSES - 1), refused(CLOSES), refused(i64::MAX)],
                told,
                "{state:?} {action:?}"
            );
        }
    }
    assert_eq!(State::decided(Verdict::Accepted, true), State::Executed);
    assert_eq!(State::decided(Verdict::Accepted, false), State::Unexecuted);
    assert_eq!(State::decided(Verdict::Tie, true), State::Rejected);
}

fn body(effect: Effect, needs: Needs) -> ProposalBody {
    ProposalBody {
        title: "A shed".to_owned(),
        text: String::new(),
        electorate: Electorate::Roles(vec![Role::Member, Role::Steward]),
        rule: rule("1/2", needs),
        ballots: Ballots::Open,
        closes: Stamp::from_ms(4 * 24 * 3_600_000),
        effect,
    }
}

fn all_effects() -> Vec<Effect> {
    let asset = Asset::TimeCredit;
    vec![
        Effect::Text,
        Effect::AdminAdjustment {
            asset,
            entries: vec![Adjusted { account: who(1), amount: -5 }],
            against: Against::Treasury,
        },
        Effect::TreasuryTransfer { asset, to: who(1), amount: 5, payment: Payment::Reward },
        Effect::CreditLimit { asset, account: who(1), limit: Some(100) },
        Effect::Membership { account: who(1), role: Some(Role::Member) },
        Effect::Setting { setting: Setting::QuorumMinPercent, value: Some(60) },
        Effect::Setting { setting: Setting::QuorumMinPercent, value: None },
        Effect::Pool { arbiter: ARBITER, panel: B256::repeat_byte(1), serves: true },
        Effect::PoolList { arbiter: ARBITER, panel: B256::repeat_byte(1) },
    ]
}

#[test]
fn a_proposal_reads_back_as_it_was_written() {
    let median = Needs::Median { lowest: -3, highest: 9 };
    for needs in
        [Needs::Majority, Needs::Supermajority(share("2/3")), Needs::Unanimous(Absence::Agrees), median]
    {
        for effect in all_effects() {
            let body = body(effect, needs);
            let value = serde_json::to_value(&body).unwrap();
            assert_eq!(serde_json::from_value::<ProposalBody>(value).unwrap(), body);
        }
    }
    let written = |nth: usize| serde_json::to_value(all_effects().remove(nth)).unwrap();
    let panel = format!("0x{}", "01".repeat(32));
    assert_eq!(written(7), json!({ "pool": { "arbiter": ARBITER, "panel": panel, "serves": true } }));
    assert_eq!(written(8), json!({ "pool_list": { "arbiter": ARBITER, "panel": panel } }));
    let value = serde_json::to_value(body(all_effects().remove(2), median)).unwrap();
    assert_eq!(
        (&value["rule"], &value["effect"]["treasury_transfer"]["amount"]),
        (&json!({ "quorum": "1/2", "needs": { "median": { "lowest": "-3", "highest": "9" } } }), &json!("5"))
    );
}

#[test]
fn what_an_author_opens_within_a_day_is_bounded() {
    for (opened, theirs, electors, may) in [
        (0, 0, 10_000, true),
        (49, 0, 1, true),
        (50, 50, 1, false),
        (9, 90_000, 10_000, true),
        (9, 90_001, 10_000, false),
        (10, 100_000, 1, false),
        (1, i64::MAX, i64::MAX, false),
    ] {
        let came = may_open_another(opened, theirs, electors);
        assert_eq!(came.is_ok(), may, "{opened} {theirs} {electors}");
        assert!(came.err().is_none_or(|refused| refused.rule == "too_many_a_day"));
    }
}

#[test]
fn the_form_of_a_proposal_is_bounded() {
    let refused = |change: &dyn Fn(&mut ProposalBody)| {
        let mut one = body(Effect::Text, Needs::Majority);
        one.check().unwrap();
        change(&mut one);
        one.check().err().map(|refusal| (refusal.rule, refusal.field))
    };
    let told = |rule, field: &str| Some((rule, field.to_owned()));
    assert_eq!(refused(&|one| one.title = String::new()), told("name", "/body/title"));
    assert_eq!(refused(&|one| one.text = "é".repeat(10_000)), None);
    assert_eq!(refused(&|one| one.text = "é".repeat(10_001)), told("length", "/body/text"));
    assert_eq!(
        refused(&|one| one.electorate = Electorate::Roles(Vec::new())),
        told("roles", "/body/electorate/roles")
    );
    assert_eq!(
        refused(&|one| one.electorate = Electorate::Roles(vec![Role::Member; 2])),
        told("roles", "/body/electorate/roles")
    );
    let half = Needs::Supermajority(share("1/2"));
    assert_eq!(
        refused(&|one| one.rule.needs = half),
        told("supermajority", "/body/rule/needs/supermajority")
    );
    let median = |lowest, highest| Needs::Median { lowest, highest };
    assert_eq!(refused(&|one| one.rule.needs = median(2, 1)), told("median", "/body/rule/needs/median"));
    assert_eq!(refused(&|one| one.rule.needs = median(1, 1)), None);
    let setting = |value| Effect::Setting { setting: Setting::QuorumMinPercent, value };
    assert_eq!(refused(&|one| one.effect = setting(Some(100))), None);
    for bad in [0, 101, i64::MIN, i64::MAX] {
        assert_eq!(
            refused(&|one| one.effect = setting(Some(bad))),
            told("setting", "/body/effect/setting/value"),
            "{bad}"
        );
    }
    assert_eq!(refused(&|one| one.effect = setting(None)), told("median", "/body/effect/setting/value"));
    let by = |effect: Effect, needs| {
        refused(&move |one: &mut ProposalBody| (one.effect, one.rule.needs) = (effect.clone(), needs))
    };
    assert_eq!(by(setting(None), median(1, 100)), None);
    // Whoever proposes does not choose among what: a median of 7 to 7 would leave nothing to vote on.
    for (lowest, highest) in [(0, 100), (7, 7), (1, 99), (2, 100), (100, 100)] {
        let refused = by(setting(None), median(lowest, highest));
        assert_eq!(refused, told("median", "/body/rule/needs/median"), "{lowest} to {highest}");
    }
    assert_eq!(by(setting(Some(5)), median(1, 100)), told("median", "/body/effect"));
    for effect in all_effects().into_iter().skip(7) {
        assert_eq!(by(effect.clone(), Needs::Majority), None);
        assert_eq!(by(effect, median(1, 100)), told("median", "/body/effect"));
    }
    let asset = Asset::TimeCredit;
    let pay = |amount| Effect::TreasuryTransfer { asset, to: who(1), amount, payment: Payment::Reward };
    let limit = |limit| Effect::CreditLimit { asset, account: who(1), limit };
    let most = crate::ledger::model::AMOUNT_MAX;
    for (effect, fine) in [
        (pay(1), true),
        (pay(0), false),
        (pay(-1), false),
        (pay(most), true),
        (pay(most + 1), false),
        (limit(None), true),
        (limit(Some(0)), true),
        (limit(Some(-1)), false),
        (limit(Some(most + 1)), false),
    ] {
        assert_eq!(by(effect.clone(), Needs::Majority).is_none(), fine, "{effect:?}");
    }
    let adjust = |entries: Vec<(u32, i128)>| Effect::AdminAdjustment {
        asset,
        entries: entries
            .into_iter()
            .map(|(number, amount)| Adjusted { account: who(number), amount })
            .collect(),
        against: Against::Issuer,
    };
    for (entries, fine) in [
        (vec![(1, 5)], true),
        (vec![(1, 5), (2, -5)], true),
        (vec![], false),
        (vec![(1, 0)], false),
        (vec![(1, 5), (1, 5)], false),
        (vec![(1, i128::MIN)], false),
        ((0..32).map(|number| (number, 1)).collect(), true),
        ((0..33).map(|number| (number, 1)).collect(), false),
    ] {
        assert_eq!(by(adjust(entries.clone()), Needs::Majority).is_none(), fine, "{entries:?}");
    }
}

#[test]
fn nobody_gives_an_effect_easier_rules_than_the_communitys_own() {
    let first = Settings::of(|_| None);
    let day = 24 * 3_600_000;
    let refused = |settings: &Settings, change: &dyn Fn(&mut ProposalBody)| {
        let mut one = body(all_effects().remove(4), Needs::Majority);
        change(&mut one);
        one.may_open(settings, 0).err().map(|refusal| refusal.rule)
    };
    assert_eq!(refused(&first, &|_| ()), None);
    assert_eq!(refused(&first, &|one| one.closes = Stamp::from_ms(3 * day)), None);
    assert_eq!(refused(&first, &|one| one.closes = Stamp::from_ms(3 * day - 1)), Some("window"));
    assert_eq!(
        refused(&first, &|one| one.electorate = Electorate::Roles(vec![Role::Steward])),
        Some("electorate")
    );
    assert_eq!(refused(&first, &|one| one.rule.quorum = share("49/100")), Some("quorum"));
    assert_eq!(refused(&first, &|one| one.rule.needs = Needs::Unanimous(Absence::Agrees)), None);
    let strict = Settings { approval_min_percent: 67, ..first };
    let two_thirds = Needs::Supermajority(share("2/3"));
    assert_eq!(refused(&strict, &|_| ()), Some("approval"));
    assert_eq!(refused(&strict, &|one| one.rule.needs = two_thirds), Some("approval"));
    assert_eq!(refused(&strict, &|one| one.rule.needs = Needs::Supermajority(share("67/100"))), None);
    assert_eq!(refused(&strict, &|one| one.rule.needs = Needs::Unanimous(Absence::StandsAside)), None);
    assert_eq!(
        refused(&strict, &|one| {
            one.rule.needs = Needs::Median { lowest: 1, highest: 2 };
            one.effect = all_effects().remove(6);
        }),
        Some("approval")
    );
    // Words may be asked of anybody, by any rule, in any window there is.
    let text = |ms: i64| {
        let mut one = body(Effect::Text, Needs::Majority);
        one.rule.quorum = share("0/1");
        one.electorate = Electorate::Roles(vec![Role::Steward]);
        one.closes = Stamp::from_ms(ms);
        one.may_open(&strict, 0).err().map(|refusal| refusal.rule)
    };
    assert_eq!([text(60_000), text(59_999), text(0)], [None, Some("window"), Some("window")]);
    assert_eq!([text(WINDOW_MAX_MS), text(WINDOW_MAX_MS + 1)], [None, Some("window")]);
}

/// A tally that decides no list is written as it always was.
#[test]
fn a_tally_names_a_list_where_it_decides_one() {
    let result = Tally {
        electors: 1,
        voted: 1,
        yes: 1,
        no: 0,
        abstained: 0,
        median: None,
        verdict: Verdict::Accepted,
    };
    let said = |list| TallyBody { electorate: "e".to_owned(), ballots: "b".to_owned(), result, list };
    let written = serde_json::to_value(said(None)).unwrap();
    assert_eq!(written.get("list"), None);
    assert_eq!(serde_json::from_value::<TallyBody>(written).unwrap(), said(None));
    let written = serde_json::to_value(said(Some(B256::ZERO))).unwrap();
    assert_eq!(written["list"], json!(B256::ZERO));
    assert_eq!(serde_json::from_value::<TallyBody>(written).unwrap(), said(Some(B256::ZERO)));
}
