//! Tally, rules and table without a database, against a count that knows nothing but words.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use proptest::{collection::vec, prelude::*};
use serde_json::json;

use crate::{
    governance::{
        model::TallyBody,
        rule::{Absence, Choice, Needs, Rule, Share},
        table::{Action, State, When, may, when},
        tally::{Ballot, Tally, Verdict, counted, digest, tally},
    },
    records::RecordId,
    testing::noise::{edited_text, edits, in_one_form, text},
};

const CLOSES: i64 = 1_000;

pub(super) fn who(number: u32) -> RecordId {
    RecordId::of(&json!({ "who": number })).unwrap()
}

pub(super) fn share(text: &str) -> Share {
    text.parse().unwrap()
}

pub(super) fn rule(quorum: &str, needs: Needs) -> Rule {
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

proptest! {
    #[test]
    fn a_share_that_is_read_has_one_text_and_another_is_refused_in_words(
        top in 0..1_100_000_u32, bottom in 0..1_100_000_u32, edits in edits(), other in text(),
    ) {
        let written = format!("{top}/{bottom}");
        let is_one = top <= bottom && (1..=1_000_000).contains(&bottom);
        prop_assert_eq!(written.parse::<Share>().ok(), Share::new(top, bottom));
        prop_assert_eq!(in_one_form::<Share>(&written), is_one);
        for text in [edited_text("2/3", &edits), edited_text("999999/1000000", &edits), other] {
            if !in_one_form::<Share>(&text) {
                let refused = text.parse::<Share>().unwrap_err();
                prop_assert!(text.starts_with(&refused.value) && refused.value.chars().count() <= 40, "{refused}");
            }
        }
    }
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
