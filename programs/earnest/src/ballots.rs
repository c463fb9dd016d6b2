//! What the seats of a jury said, and the ruling that it determines.
//!
//! A byte a seat: the low five bits are 0 where nothing was said, 1 to 21 for share / 500 + 1, 31 for a void seat; the
//! highest bit says that the juror voted on chain, which is final.

use anchor_lang::prelude::*;

use crate::{errors::Refusal, terms::WHOLE};

/// Shares on ballots are multiples of this many basis points.
pub const SHARE_STEP: u16 = 500;
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

fn share(vote: u8) -> Option<u16> {
    match vote & FIELD {
        0 | VOID => None,
        field => Some(u16::from(field - 1) * SHARE_STEP),
    }
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
    let mut shares: Vec<u16> = votes.iter().filter_map(|vote| share(*vote)).collect();
    shares.sort_unstable();
    let middle = votes.len() / 2;
    Bounds {
        lo: shares.iter().rev().nth(middle).copied().unwrap_or(0),
        hi: shares.get(middle).copied().unwrap_or(WHOLE),
    }
}

/// The word of ballots of the events: five bits a seat, seat 0 lowest, and from bit 155 one bit a seat: cast on chain.
pub fn word(votes: &[u8]) -> [u8; 32] {
    let mut word = [0_u8; 32];
    let mut set = |bit: usize| word[31 - bit / 8] |= 1 << (bit % 8);
    for (seat, vote) in votes.iter().enumerate() {
        for bit in 0..5 {
            if vote >> bit & 1 == 1 {
                set(seat * 5 + bit);
            }
        }
        if vote & FINAL != 0 {
            set(FINAL_FROM + seat);
        }
    }
    word
}
