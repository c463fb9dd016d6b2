//! From ballots to a result: a pure function of electorate, rule and ballots. Whoever has the three computes the same.

use std::collections::{BTreeMap, BTreeSet};

use protocol::wire::dec;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::rule::{Absence, Choice, Needs, Rule};
use crate::records::RecordId;

/// A ballot as the log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Its place in the log.
    pub seq: i64,
    /// When the hub took it, in Unix milliseconds.
    pub received_at: i64,
    /// Who cast it.
    pub elector: RecordId,
    /// The `vote@1`.
    pub record: RecordId,
    /// What it says.
    pub choice: Choice,
}

/// What a vote has decided, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The rule is met.
    Accepted,
    /// Rejected: nobody may vote.
    NoElectors,
    /// Rejected: fewer have voted than the quorum asks for.
    QuorumMissed,
    /// Rejected: nobody has taken a side.
    NoSide,
    /// Rejected: as many yes as no.
    Tie,
    /// Rejected: more no than yes.
    Outvoted,
    /// Rejected: too small a share of yes.
    ShareMissed,
    /// Rejected: somebody is against what has to be unanimous.
    Opposed,
    /// Rejected: somebody is absent from what has to be unanimous.
    Absent,
}

/// What ballots come to. The counts are of electors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Who may vote.
    pub electors: u32,
    /// Who has.
    pub voted: u32,
    /// For it.
    pub yes: u32,
    /// Against it.
    pub no: u32,
    /// On no side.
    pub abstained: u32,
    /// Where a median is asked for and somebody has named a number: the median, a decimal string.
    #[serde(with = "dec::optional")]
    #[schema(value_type = Option<String>)]
    pub median: Option<i64>,
    /// What is decided.
    pub verdict: Verdict,
}

/// The ballots that count, in the order of the log: of each elector the last one that the rule takes and that came before
/// the close (Unix milliseconds).
pub fn counted<'a>(
    electors: &BTreeSet<RecordId>,
    rule: &Rule,
    closes_at: i64,
    ballots: &'a [Ballot],
) -> Vec<&'a Ballot> {
    let mut last: BTreeMap<RecordId, &Ballot> = BTreeMap::new();
    for ballot in ballots {
        if !electors.contains(&ballot.elector)
            || ballot.received_at >= closes_at
            || !rule.takes(&ballot.choice)
        {
            continue;
        }
        let place = last.entry(ballot.elector).or_insert(ballot);
        if ballot.seq > place.seq {
            *place = ballot;
        }
    }
    let mut counted: Vec<&Ballot> = last.into_values().collect();
    counted.sort_unstable_by_key(|ballot| ballot.seq);
    counted
}

/// Who has taken a side, by the ballot that counts.
pub fn sided(
    electors: &BTreeSet<RecordId>,
    rule: &Rule,
    closes_at: i64,
    ballots: &[Ballot],
) -> BTreeSet<RecordId> {
    let counted = counted(electors, rule, closes_at, ballots);
    counted
        .into_iter()
        .filter(|ballot| ballot.choice != Choice::Abstain)
        .map(|ballot| ballot.elector)
        .collect()
}

/// What the ballots come to.
pub fn tally(electors: &BTreeSet<RecordId>, rule: &Rule, closes_at: i64, ballots: &[Ballot]) -> Tally {
    let counted = counted(electors, rule, closes_at, ballots);
    let of = |which: Choice| number(counted.iter().filter(|ballot| ballot.choice == which).count());
    let mut numbers: Vec<i64> = counted
        .iter()
        .filter_map(|ballot| match ballot.choice {
            Choice::Number(number) => Some(number),
            _ => None,
        })
        .collect();
    numbers.sort_unstable();
    let middle = numbers.len().saturating_sub(1).div_euclid(2);
    let mut tally = Tally {
        electors: number(electors.len()),
        voted: number(counted.len()),
        yes: of(Choice::Yes),
        no: of(Choice::No),
        abstained: of(Choice::Abstain),
        median: numbers.get(middle).copied(),
        verdict: Verdict::Accepted,
    };
    tally.verdict = verdict(&tally, rule);
    tally
}

/// Electorates and ballots are bounded far below the type's range.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

const fn verdict(tally: &Tally, rule: &Rule) -> Verdict {
    let Tally { electors, voted, yes, no, median, .. } = *tally;
    if electors == 0 {
        return Verdict::NoElectors;
    }
    if !rule.quorum.is_met(voted, electors) {
        return Verdict::QuorumMissed;
    }
    if yes == 0 && no == 0 && median.is_none() {
        return Verdict::NoSide;
    }
    match rule.needs {
        Needs::Majority if yes == no => Verdict::Tie,
        Needs::Majority if yes < no => Verdict::Outvoted,
        Needs::Supermajority(share) if !share.is_met(yes, yes.saturating_add(no)) => Verdict::ShareMissed,
        Needs::Unanimous(_) if no > 0 => Verdict::Opposed,
        Needs::Unanimous(Absence::Blocks) if voted < electors => Verdict::Absent,
        Needs::Majority | Needs::Supermajority(_) | Needs::Unanimous(_) | Needs::Median { .. } => {
            Verdict::Accepted
        }
    }
}

/// Names a list of records: SHA-256, hexadecimal, of their ids, each followed by a line feed.
pub fn digest<'a>(ids: impl IntoIterator<Item = &'a RecordId>) -> String {
    let mut hash = Sha256::new();
    for id in ids {
        hash.update(id.to_string());
        hash.update("\n");
    }
    hex::encode(hash.finalize())
}
