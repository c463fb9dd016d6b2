//! Who sits on a jury, drawn by randomness that nobody knew before, and by which rule it decides. Pure.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use protocol::wire::dec;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    model::{JURIES_MAX, Outcome, Remedy, SHARES},
    table::Action,
};
use crate::{
    governance::{
        rule::{Needs, Rule, Share},
        tally::{Tally, Verdict},
    },
    records::RecordId,
};

/// How many members are offered for a jury at the most.
pub const OFFERED_MAX: i64 = 500;
/// How many numbers are tried at the most to find them: of 501 members some 3,000.
const TRIES_MAX: u32 = 8_000;

/// The numbers of those who are offered for a jury, of members who are numbered from 1: all of them, or [`OFFERED_MAX`] of more, which
/// the entropy of the log's entry names. The nth number that is tried, from 0, is the first 8 bytes of the SHA-256 of the entropy and of
/// n in 4 bytes, modulo their count, plus 1; highest byte first.
pub fn offered(entropy: [u8; 32], members: i64) -> BTreeSet<i64> {
    let mut numbers = BTreeSet::new();
    if members <= OFFERED_MAX {
        numbers.extend(1..=members);
        return numbers;
    }
    let wanted = usize::try_from(OFFERED_MAX).unwrap_or(0);
    for nth in 0..TRIES_MAX {
        if numbers.len() >= wanted {
            break;
        }
        let mut hash = Sha256::new();
        hash.update(entropy);
        hash.update(nth.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let drawn = hash.first_chunk().copied().map(u64::from_be_bytes).unwrap_or_default();
        let place = drawn.checked_rem(members.unsigned_abs()).unwrap_or_default();
        numbers.insert(i64::try_from(place).unwrap_or_default().saturating_add(1));
    }
    numbers
}

/// A candidate's lot: the SHA-256 of the entropy of the log's entry and of its id.
pub fn lot(entropy: [u8; 32], candidate: &RecordId) -> B256 {
    let mut hash = Sha256::new();
    hash.update(entropy);
    hash.update(candidate.to_string());
    B256::new(hash.finalize().into())
}

/// Places that are drawn for: every candidate is offered once, in any order, and those whose lots come first are drawn.
#[derive(Clone, Debug)]
pub struct Draw<'a> {
    entropy: [u8; 32],
    places: usize,
    excluded: &'a BTreeSet<RecordId>,
    offered: BTreeMap<B256, RecordId>,
}

impl<'a> Draw<'a> {
    /// For so many places; those who are excluded get none.
    pub const fn new(entropy: [u8; 32], places: usize, excluded: &'a BTreeSet<RecordId>) -> Self {
        Self { entropy, places, excluded, offered: BTreeMap::new() }
    }

    /// Offers a candidate.
    pub fn offer(&mut self, candidate: RecordId) {
        if !self.excluded.contains(&candidate) {
            self.offered.insert(lot(self.entropy, &candidate), candidate);
        }
    }

    /// The lots of all who were offered and not excluded, ascending.
    pub fn lots(&self) -> Vec<B256> {
        self.offered.keys().copied().collect()
    }

    /// Who is drawn, in the order of their lots: as many as there are places, or everybody who was offered where those are fewer.
    pub fn drawn(self) -> Vec<RecordId> {
        self.offered.into_values().take(self.places).collect()
    }
}

/// A draw as it was, for whoever wants to see that the lots decided. Candidates who were not drawn stand there by their lots alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// The record that called for it.
    pub record: RecordId,
    /// Its place in the log.
    #[serde(with = "dec")]
    pub seq: i64,
    /// The entropy of that entry.
    pub entropy: B256,
    /// How many places were drawn for.
    pub places: u8,
    /// How many members were numbered, of whom candidates are offered ([`offered`]).
    #[serde(with = "dec")]
    pub members: i64,
    /// The lots of all candidates, ascending.
    pub lots: Vec<B256>,
    /// Who was drawn, in the order of their lots.
    pub jurors: Vec<RecordId>,
}

impl Drawn {
    /// Whether those were drawn whose lots come first.
    ///
    /// # Errors
    /// What is otherwise, in words.
    pub fn check(&self) -> Result<(), String> {
        let most = offered(self.entropy.0, self.members).len();
        if self.lots.len() > most {
            return Err(format!("of {} members {most} are offered, not {}", self.members, self.lots.len()));
        }
        if !self.lots.is_sorted_by(|one, next| one < next) {
            return Err("the lots must stand there once each, ascending".to_owned());
        }
        let theirs = self.jurors.iter().map(|juror| lot(self.entropy.0, juror));
        if theirs.eq(self.lots.iter().copied().take(usize::from(self.places))) {
            return Ok(());
        }
        Err(format!("the lots of the jurors are not the first {} of {}", self.places, self.lots.len()))
    }
}

/// By which rule a jury decides on a remedy. On a reversal each ballot names how much is to be given back, in ten-thousandths of
/// what was moved, and the median is the ruling; on anything else they say yes or no. Half of the jurors have to vote. On a settlement none
/// decides here: the deal's jury is the chain's.
pub const fn rule(remedy: Remedy) -> Option<Rule> {
    let needs = match remedy {
        Remedy::Reversal => Needs::Median { lowest: 0, highest: SHARES },
        Remedy::Statement | Remedy::Revocation | Remedy::Restoration | Remedy::Removal => Needs::Majority,
        Remedy::Settlement => return None,
    };
    match Share::new(1, 2) {
        Some(quorum) => Some(Rule { quorum, needs }),
        None => None,
    }
}

/// What the ballots of a jury come to, of a transaction that moved `moved`; none where too few have voted, or nobody took a side. A
/// share is rounded up to the next whole unit, so that what is above nothing gives something back.
pub fn outcome(remedy: Remedy, moved: Option<i128>, tally: &Tally) -> Option<Outcome> {
    match tally.verdict {
        Verdict::NoElectors | Verdict::QuorumMissed | Verdict::NoSide => return None,
        Verdict::Accepted => {}
        _ => return Some(Outcome::Rejected),
    }
    if remedy != Remedy::Reversal {
        return Some(Outcome::Upheld);
    }
    let (moved, share) = (moved?, tally.median?);
    Some(Outcome::of_amount(share_of(moved, share), moved))
}

/// What a jury's vote does to a grievance for which so many juries were drawn.
pub const fn action(outcome: Option<&Outcome>, juries: i64) -> Action {
    match outcome {
        Some(_) => Action::Rule,
        None if juries < JURIES_MAX => Action::Hang,
        None => Action::GiveUp,
    }
}

/// So many ten-thousandths of an amount of at most 38 digits, rounded up.
fn share_of(amount: i128, share: i64) -> i128 {
    let (shares, share) = (i128::from(SHARES), i128::from(share.clamp(0, SHARES)));
    // By parts: the product may have 42 digits.
    let (whole, rest) = (amount.div_euclid(shares), amount.rem_euclid(shares));
    let parts = rest.saturating_mul(share);
    let up = i128::from(parts.rem_euclid(shares) != 0);
    whole.saturating_mul(share).saturating_add(parts.div_euclid(shares)).saturating_add(up)
}
