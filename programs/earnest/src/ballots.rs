//! What the seats of a jury said, and the ruling that it determines.
//!
//! A byte a seat: the low five bits are 0 where nothing was said, 1 to 21 for share / 500 + 1, 31 for a void seat; the
//! highest bit says that the juror voted on chain, which is final.

use anchor_lang::prelude::*;

use crate::{errors::Refusal, terms::WHOLE};

/// Shares on ballots are multiples of this many basis points.
pub const SHARE_STEP: u16 = 500;
/// How many shares a ballot can name.
const STEPS: usize = 21;
const FIELD: u8 = 31;
const VOID: u8 = 31;
const FINAL: u8 = 128;
/// The first of the bits, one a seat, that say "cast on chain" in a word of ballots.
const FINAL_FROM: usize = 155;

/// Between which shares the full jury's median lies, in basis points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Every missing ballot taken as 0.
    pub lo: u16,
    /// Every missing ballot taken as the whole.
    pub hi: u16,
}

/// Whether a ballot may name this share.
pub fn is_share(share: u16) -> bool {
    share <= WHOLE && share.is_multiple_of(SHARE_STEP)
}

fn field(share: u16) -> Result<u8> {
    require!(is_share(share), Refusal::BadShare);
    Ok(u8::try_from(share / SHARE_STEP).unwrap_or(u8::MAX).saturating_add(1))
}

/// Counts a signed ballot of a seat: the first stands, a different one voids the seat, a final or void seat stays.
///
/// # Errors
/// No such share.
pub fn with_signed(vote: u8, share: u16) -> Result<u8> {
    let new = field(share)?;
    Ok(match vote {
        final_ if final_ & FINAL != 0 => final_,
        0 => new,
        same if same == new => same,
        _ => VOID,
    })
}

/// Counts a ballot that the juror casts on chain, in place of whatever it signed.
///
/// # Errors
/// No such share, or a seat that is void or final.
pub fn with_cast(vote: u8, share: u16) -> Result<u8> {
    let new = field(share)?;
    require!(vote != VOID, Refusal::SeatVoid);
    require!(vote & FINAL == 0, Refusal::SeatFinal);
    Ok(new | FINAL)
}

/// With k = (N + 1) / 2, `lo` is the k-th highest share and 0 when fewer voted, `hi` the k-th lowest and the whole when
/// fewer did. Void seats are missing ones.
pub fn bounds(votes: &[u8]) -> Bounds {
    let mut counts = [0_usize; STEPS];
    for vote in votes {
        let step = usize::from(vote & FIELD).wrapping_sub(1);
        if let Some(count) = counts.get_mut(step) {
            *count += 1;
        }
    }
    let middle = votes.len() / 2 + 1;
    Bounds {
        lo: reached(counts.iter().rev(), middle).map_or(0, |steps| WHOLE - steps * SHARE_STEP),
        hi: reached(counts.iter(), middle).map_or(WHOLE, |steps| steps * SHARE_STEP),
    }
}

/// At which of the counts their sum reaches `goal`.
fn reached<'a>(counts: impl Iterator<Item = &'a usize>, goal: usize) -> Option<u16> {
    let mut sum = 0;
    (0_u16..).zip(counts).find_map(|(number, count)| {
        sum += count;
        (sum >= goal).then_some(number)
    })
}

/// The word of ballots of the events: five bits a seat, seat 0 lowest, and from bit 155 one bit a seat: cast on chain.
pub fn word(votes: &[u8]) -> [u8; 32] {
    // Lowest byte first, and one more than the word has, for the upper half of what is shifted.
    let mut bytes = [0_u8; 33];
    let mut set = |bit: usize, bits: u8| {
        let [low, high] = (u16::from(bits) << (bit % 8)).to_le_bytes();
        bytes[bit / 8] |= low;
        bytes[bit / 8 + 1] |= high;
    };
    for (seat, vote) in votes.iter().enumerate().filter(|(_, vote)| **vote != 0) {
        set(seat * 5, vote & FIELD);
        set(FINAL_FROM + seat, vote >> 7);
    }
    let mut word = [0; 32];
    word.copy_from_slice(&bytes[..32]);
    word.reverse();
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(shares: &[u16]) -> Vec<u8> {
        shares.iter().map(|share| with_signed(0, *share).unwrap()).collect()
    }

    #[test]
    fn the_bounds_are_the_medians_with_the_missing_at_either_end() {
        let (void, missing) = (VOID, 0);
        let cases: [(Vec<u8>, u16, u16); 7] = [
            (vec![missing], 0, WHOLE),
            (signed(&[500]), 500, 500),
            (vec![missing, void, missing], 0, WHOLE),
            ([signed(&[0, 10_000]), vec![void]].concat(), 0, WHOLE),
            ([signed(&[4_500, 5_000]), vec![missing]].concat(), 4_500, 5_000),
            (signed(&[10_000, 0, 5_500]), 5_500, 5_500),
            (
                vec![
                    with_cast(0, 2_000).unwrap(),
                    missing,
                    with_cast(with_signed(0, 0).unwrap(), 2_000).unwrap(),
                ],
                2_000,
                2_000,
            ),
        ];
        for (votes, lo, hi) in cases {
            assert_eq!(bounds(&votes), Bounds { lo, hi }, "{votes:?}");
        }
    }

    #[test]
    fn every_seat_has_its_place_in_the_word() {
        for seat in 0..31 {
            for vote in [1, 21, VOID, 1 | FINAL, 21 | FINAL] {
                let mut votes = [0; 31];
                votes[seat] = vote;
                let word = word(&votes);
                let set: Vec<usize> =
                    (0..256).filter(|bit| word[31 - bit / 8] >> (bit % 8) & 1 == 1).collect();
                let field = (0..5).filter(|bit| vote >> bit & 1 == 1).map(|bit| seat * 5 + bit);
                let cast = (vote & FINAL != 0).then_some(155 + seat);
                assert_eq!(set, field.chain(cast).collect::<Vec<_>>(), "seat {seat}, vote {vote}");
            }
        }
    }
}
