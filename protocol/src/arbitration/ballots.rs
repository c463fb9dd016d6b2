//! A jury's ballots in one word, and the ruling that they determine.

use alloy::primitives::{B256, U256};

use super::refusal::Refusal;
use crate::deal::WHOLE;

/// Shares on ballots are multiples of this many basis points.
pub const SHARE_STEP: u16 = 500;
const FIELD: u64 = 31;
const FIELD_BITS: usize = 5;
const FINAL_FROM: usize = 155;

/// Whether a ballot may name this share: a multiple of [`SHARE_STEP`] up to the whole.
pub const fn is_share(share: u16) -> bool {
    share <= WHOLE && share.is_multiple_of(SHARE_STEP)
}

/// What a seat said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    /// Nothing so far.
    Missing,
    /// The seller's share in basis points.
    Share(u16),
    /// Two different signed ballots; counts as missing for good.
    Void,
}

/// The word of `Case.ballots`: a 5-bit field a seat, seat 0 lowest: 0 missing, 1 to 21 share / 500 + 1, 31 void. From bit
/// 155 one bit a seat: cast on chain, therefore final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ballots(pub U256);

impl From<B256> for Ballots {
    fn from(word: B256) -> Self {
        Self(word.into())
    }
}

/// Between which shares the full jury's median lies, in basis points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Every missing ballot taken as 0.
    pub lo: u16,
    /// Every missing ballot taken as the whole.
    pub hi: u16,
}

impl Bounds {
    /// The ruling, once the ballots determine it.
    pub const fn ruling(self) -> Option<u16> {
        if self.lo == self.hi { Some(self.lo) } else { None }
    }
}

impl Ballots {
    fn field(self, seat: u8) -> u64 {
        let field: U256 =
            self.0.wrapping_shr(usize::from(seat).saturating_mul(FIELD_BITS)) & U256::from(FIELD);
        field.saturating_to()
    }

    fn set(self, seat: u8, field: u64) -> Self {
        let shift = usize::from(seat).saturating_mul(FIELD_BITS);
        let cleared = self.0 & !U256::from(FIELD).wrapping_shl(shift);
        Self(cleared | U256::from(field).wrapping_shl(shift))
    }

    /// What `seat` said; 0 to 30.
    pub fn vote(self, seat: u8) -> Vote {
        match self.field(seat) {
            0 => Vote::Missing,
            field @ 1..=21 => {
                let steps = u16::try_from(field.saturating_sub(1)).unwrap_or(u16::MAX);
                Vote::Share(steps.saturating_mul(SHARE_STEP))
            }
            _ => Vote::Void,
        }
    }

    /// Whether `seat` voted on chain.
    pub fn is_final(self, seat: u8) -> bool {
        self.0.bit(FINAL_FROM.saturating_add(seat.into()))
    }

    /// Counts a signed ballot of `seat` in a jury of `jury_size`: the first stands, a different one voids the seat, a final
    /// or void seat stays as it is.
    ///
    /// # Errors
    /// No such seat, or no such share.
    pub fn with_signed(self, seat: u8, share: u16, jury_size: u8) -> Result<Self, Refusal> {
        let field = Self::checked_field(seat, share, jury_size)?;
        Ok(match self.vote(seat) {
            _ if self.is_final(seat) => self,
            Vote::Missing => self.set(seat, field),
            Vote::Share(first) if first == share => self,
            Vote::Share(_) | Vote::Void => self.set(seat, FIELD),
        })
    }

    /// Counts a ballot that the juror of `seat` casts on chain, in place of whatever it signed.
    ///
    /// # Errors
    /// No such seat, no such share, or a seat that is void or final.
    pub fn with_cast(self, seat: u8, share: u16, jury_size: u8) -> Result<Self, Refusal> {
        let field = Self::checked_field(seat, share, jury_size)?;
        if self.vote(seat) == Vote::Void {
            return Err(Refusal::SeatVoid { seat: seat.into() });
        }
        if self.is_final(seat) {
            return Err(Refusal::SeatFinal { seat: seat.into() });
        }
        let mut word = self.set(seat, field).0;
        word.set_bit(FINAL_FROM.saturating_add(seat.into()), true);
        Ok(Self(word))
    }

    fn checked_field(seat: u8, share: u16, jury_size: u8) -> Result<u64, Refusal> {
        if seat >= jury_size {
            return Err(Refusal::BadSeat { seat: seat.into() });
        }
        if !is_share(share) {
            return Err(Refusal::BadShare { share: share.into() });
        }
        Ok(u64::from(share / SHARE_STEP).saturating_add(1))
    }

    /// The bounds of a jury of `jury_size` (odd): with k = (N + 1) / 2, `lo` is the k-th highest share and 0 when fewer
    /// voted, `hi` the k-th lowest and the whole when fewer did. Void seats are missing ones.
    pub fn bounds(self, jury_size: u8) -> Bounds {
        let mut shares: Vec<u16> = (0..jury_size)
            .filter_map(|seat| match self.vote(seat) {
                Vote::Share(share) => Some(share),
                Vote::Missing | Vote::Void => None,
            })
            .collect();
        shares.sort_unstable();
        let middle = usize::from(jury_size / 2);
        Bounds {
            lo: shares.iter().rev().nth(middle).copied().unwrap_or(0),
            hi: shares.get(middle).copied().unwrap_or(WHOLE),
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn median(shares: &[u16]) -> u16 {
        let mut sorted = shares.to_vec();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    }

    fn word_of(shares: &[u16], seats: u32) -> Ballots {
        let jury_size = shares.len() as u8;
        let voted = (0..jury_size).filter(|seat| seats >> seat & 1 == 1);
        voted.fold(Ballots::default(), |word, seat| {
            word.with_signed(seat, shares[usize::from(seat)], jury_size).unwrap()
        })
    }

    /// The median's range over all completions; it is monotone in every ballot, so the extremes are enough.
    fn completed(shares: &[u16], seats: u32, with: u16) -> u16 {
        let full: Vec<u16> = shares
            .iter()
            .enumerate()
            .map(|(i, share)| if seats >> i & 1 == 1 { *share } else { with })
            .collect();
        median(&full)
    }

    fn check_all_subsets(shares: &[u16]) {
        let jury_size = shares.len() as u8;
        let whole_jury = 1_u32 << jury_size;
        for seats in 0..whole_jury {
            let bounds = word_of(shares, seats).bounds(jury_size);
            let expected = Bounds { lo: completed(shares, seats, 0), hi: completed(shares, seats, WHOLE) };
            assert_eq!(bounds, expected, "{shares:?} {seats:b}");
            if let Some(ruling) = bounds.ruling() {
                assert_eq!(ruling, median(shares), "{shares:?} {seats:b}");
            }
            for more in (0..jury_size).map(|seat| seats | 1 << seat) {
                let narrower = word_of(shares, more).bounds(jury_size);
                assert!(
                    bounds.lo <= narrower.lo && narrower.hi <= bounds.hi,
                    "{shares:?} {seats:b} {more:b}"
                );
            }
        }
        assert_eq!(word_of(shares, whole_jury - 1).bounds(jury_size).ruling(), Some(median(shares)));
    }

    #[test]
    fn every_jury_of_one_and_three_whatever_is_missing() {
        let all = || (0..=20).map(|step| step * SHARE_STEP);
        for one in all() {
            check_all_subsets(&[one]);
            for two in all() {
                for three in all() {
                    check_all_subsets(&[one, two, three]);
                }
            }
        }
    }

    #[test]
    fn every_jury_of_five_over_six_shares_whatever_is_missing() {
        let some = [0, 500, 4_500, 5_000, 9_500, 10_000];
        for number in 0..6_usize.pow(5) {
            let shares: Vec<u16> = (0..5).map(|seat| some[number / 6_usize.pow(seat) % 6]).collect();
            check_all_subsets(&shares);
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Signed(u8, u16),
        Cast(u8, u16),
    }

    fn any_steps() -> impl Strategy<Value = (u8, Vec<Step>)> {
        (0..16_u8).prop_flat_map(|half| {
            let jury_size = half * 2 + 1;
            let share = select((0..=20_u16).map(|step| step * SHARE_STEP).collect::<Vec<_>>());
            let step = (0..jury_size, share, 0..4_u8).prop_map(|(seat, share, kind)| match kind {
                0 => Step::Cast(seat, share),
                _ => Step::Signed(seat, share),
            });
            (Just(jury_size), vec(step, 0..80))
        })
    }

    proptest! {
        /// Whatever arrives in whatever order. A void takes a ballot away again, so it alone may widen the bounds.
        #[test]
        fn every_word_keeps_its_rules((jury_size, steps) in any_steps()) {
            let mut seats = vec![(Vote::Missing, false); usize::from(jury_size)];
            let mut word = Ballots::default();
            for step in steps {
                let before = word.bounds(jury_size);
                let voided = match step {
                    Step::Signed(seat, share) => {
                        word = word.with_signed(seat, share, jury_size).unwrap();
                        let (vote, is_final) = &mut seats[usize::from(seat)];
                        let differs = matches!(*vote, Vote::Share(first) if first != share);
                        if *vote == Vote::Missing {
                            *vote = Vote::Share(share);
                        } else if differs && !*is_final {
                            *vote = Vote::Void;
                        }
                        *vote == Vote::Void
                    }
                    Step::Cast(seat, share) => {
                        let held = &mut seats[usize::from(seat)];
                        let replaces = matches!(held.0, Vote::Share(_));
                        let expected = match *held {
                            (Vote::Void, _) => Err(Refusal::SeatVoid { seat: seat.into() }),
                            (_, true) => Err(Refusal::SeatFinal { seat: seat.into() }),
                            _ => Ok(()),
                        };
                        let cast = word.with_cast(seat, share, jury_size);
                        prop_assert_eq!(cast.map(|_| ()), expected);
                        if let Ok(cast) = cast {
                            word = cast;
                            *held = (Vote::Share(share), true);
                        }
                        replaces
                    }
                };
                for (seat, (vote, is_final)) in (0..jury_size).zip(&seats) {
                    prop_assert_eq!((word.vote(seat), word.is_final(seat)), (*vote, *is_final));
                }
                let after = word.bounds(jury_size);
                prop_assert!(after.lo <= after.hi);
                if !voided {
                    prop_assert!(before.lo <= after.lo && after.hi <= before.hi);
                }
            }
            let used = FINAL_FROM + usize::from(jury_size);
            prop_assert!(word.0.bit_len() <= used);
        }

        #[test]
        fn any_determining_part_of_a_jury_gives_its_median(
            shares in vec(0..=20_u16, 1..=16), seats in any::<u32>(),
        ) {
            let mut shares: Vec<u16> = shares.iter().map(|step| step * SHARE_STEP).collect();
            let mirrored: Vec<u16> = shares.iter().skip(1).rev().copied().collect();
            shares.extend(mirrored);
            let jury_size = shares.len() as u8;
            prop_assert_eq!(jury_size % 2, 1);
            let bounds = word_of(&shares, seats).bounds(jury_size);
            prop_assert!(bounds.lo <= median(&shares) && median(&shares) <= bounds.hi);
            if let Some(ruling) = bounds.ruling() {
                prop_assert_eq!(ruling, median(&shares));
            }
        }
    }

    #[test]
    fn seats_and_shares_are_checked() {
        let empty = Ballots::default();
        assert_eq!(empty.with_signed(3, 500, 3), Err(Refusal::BadSeat { seat: 3 }));
        for share in [1, 499, 10_001, 10_500, u16::MAX] {
            assert_eq!(empty.with_cast(0, share, 3), Err(Refusal::BadShare { share: share.into() }));
        }
        let first = empty.with_signed(0, 0, 31).unwrap().with_cast(30, 10_000, 31).unwrap();
        assert_eq!(first.0, U256::ONE | (U256::from(21_u8) << 150) | (U256::ONE << 185));
        let void = first.with_signed(0, 500, 31).unwrap();
        assert_eq!(void.0, U256::from(31_u8) | (U256::from(21_u8) << 150) | (U256::ONE << 185));
    }
}
