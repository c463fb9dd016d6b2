//! Who sits on a jury, drawn by randomness that nobody knew before, and by which rule it decides. Pure.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::model::{Outcome, Remedy, SHARES};
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

/// Places that are drawn for: every candidate is offered once, in any order, and those whose number comes first are drawn. A
/// candidate's number is the SHA-256 of the entropy of the log's entry and of its id.
#[derive(Clone, Debug)]
pub struct Draw<'a> {
    entropy: [u8; 32],
    places: usize,
    excluded: &'a BTreeSet<RecordId>,
    drawn: BTreeMap<[u8; 32], RecordId>,
}

impl<'a> Draw<'a> {
    /// For so many places; those who are excluded get none.
    pub const fn new(entropy: [u8; 32], places: usize, excluded: &'a BTreeSet<RecordId>) -> Self {
        Self { entropy, places, excluded, drawn: BTreeMap::new() }
    }

    /// Offers a candidate.
    pub fn offer(&mut self, candidate: RecordId) {
        if self.excluded.contains(&candidate) {
            return;
        }
        let mut hash = Sha256::new();
        hash.update(self.entropy);
        hash.update(candidate.to_string());
        self.drawn.insert(hash.finalize().into(), candidate);
        if self.drawn.len() > self.places {
            self.drawn.pop_last();
        }
    }

    /// Who is drawn: as many as there are places, or everybody who was offered where those are fewer.
    pub fn drawn(self) -> Vec<RecordId> {
        self.drawn.into_values().collect()
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

/// So many ten-thousandths of an amount of at most 38 digits, rounded up.
fn share_of(amount: i128, share: i64) -> i128 {
    let (shares, share) = (i128::from(SHARES), i128::from(share.clamp(0, SHARES)));
    // By parts: the product may have 42 digits.
    let (whole, rest) = (amount.div_euclid(shares), amount.rem_euclid(shares));
    let parts = rest.saturating_mul(share);
    let up = i128::from(parts.rem_euclid(shares) != 0);
    whole.saturating_mul(share).saturating_add(parts.div_euclid(shares)).saturating_add(up)
}
