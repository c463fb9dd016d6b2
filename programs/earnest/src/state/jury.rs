//! A jury of a case.

use anchor_lang::prelude::*;

use crate::errors::Refusal;

/// Seats of the largest jury.
pub const LARGEST_JURY: usize = 31;

/// Where a jury stands. Numbered as on every chain, which say zero where there is no jury.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// No account, or none yet.
    None,
    /// The target slot is fixed.
    Opened,
    /// Seats are known; ballots count.
    Drawn,
    /// A ruling is accepted.
    Accepted,
    /// It is executed.
    Executed,
}

/// One jury of a deal's case: a case has at most four, two of the pool and two of its parent, and stands where the last of
/// them stands. What the rule books say of it is written here when it is drawn or, in an appeal, opened, so that nothing
/// later needs the pools. Times in Unix seconds, shares in basis points.
#[account(zero_copy)]
#[derive(Debug, PartialEq, Eq)]
pub struct Jury {
    /// The address of the deal.
    pub deal: Pubkey,
    /// The address of the member list it is drawn from; the default key until that is known.
    pub list: Pubkey,
    /// The pool that hears the case: its id.
    pub pool: [u8; 32],
    /// What the seats follow from; zero until drawn.
    pub seed: [u8; 32],
    /// What ballots of this jury are bound to; zero until drawn.
    pub case_id: [u8; 32],
    /// Who paid the rent, and gets it back.
    pub rent_payer: Pubkey,
    /// The slot whose hash decides the draw, until it is drawn; else zero.
    pub target_slot: u64,
    /// When the deal was disputed, as it said at the opening.
    pub disputed_at: u64,
    /// When the instance's last word falls, and the last second in which ballots count; zero until known.
    pub ends_at: u64,
    /// The last second of the first jury's own voting, after which a second one can be opened; zero until known.
    pub first_closes_at: u64,
    /// From when the accepted ruling counts; zero without one.
    pub accepted_at: u64,
    /// Seconds from an accepted ruling to the end of the appeal from it with what must be left then; zero where nobody
    /// could hear one.
    pub appeal_time: u64,
    /// Seconds in which an accepted ruling may be appealed.
    pub appeal: u32,
    /// Index of the list in its pool.
    pub list_index: u32,
    /// Members of the list.
    pub members: u32,
    /// The accepted ruling: the seller's share.
    pub share: u16,
    /// In an appeal, the share of the ruling appealed from; else the lapse_share.
    pub without: u16,
    /// A [`Stage`]. Where a ruling is accepted it stands in the last jury, whichever one's ballots determined it.
    pub stage: u8,
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// 0 is the first jury of the instance, 1 the second.
    pub jury: u8,
    /// How many juries the case had before.
    pub ordinal: u8,
    /// Seats.
    pub size: u8,
    /// Whether its ruling can still be appealed, or could be once there is one: 1 or 0.
    pub appealable: u8,
    /// Whether the instance is an appeal: 1 or 0.
    pub appealed: u8,
    /// Of its address.
    pub bump: u8,
    /// What each seat said, see [`crate::ballots`].
    pub votes: [u8; 32],
    /// Who sits where.
    pub seats: [Pubkey; LARGEST_JURY],
}

impl Jury {
    /// Bytes of the account.
    pub const SIZE: usize = 8 + core::mem::size_of::<Self>();

    /// Its stage.
    pub fn stage(&self) -> Stage {
        match self.stage {
            0 => Stage::None,
            1 => Stage::Opened,
            2 => Stage::Drawn,
            3 => Stage::Accepted,
            _ => Stage::Executed,
        }
    }

    /// Whether it was drawn, whatever came of it.
    pub fn is_drawn(&self) -> bool {
        self.seed != [0; 32]
    }

    /// Who sits on it; nobody until it is drawn.
    pub fn seated(&self) -> &[Pubkey] {
        let size = if self.is_drawn() { usize::from(self.size) } else { 0 };
        self.seats.get(..size).unwrap_or_default()
    }

    /// Makes it the second jury of the instance of `first`: drawn from the same list, for as long.
    pub fn follow(&mut self, first: &Self) {
        (self.instance, self.jury, self.size) = (first.instance, 1, first.size);
        (self.pool, self.list) = (first.pool, first.list);
        (self.list_index, self.members) = (first.list_index, first.members);
        (self.disputed_at, self.ends_at) = (first.disputed_at, first.ends_at);
        self.first_closes_at = first.first_closes_at;
        (self.appealable, self.appeal, self.appeal_time) =
            (first.appealable, first.appeal, first.appeal_time);
        (self.appealed, self.without) = (first.appealed, first.without);
    }

    /// The last second in which the accepted ruling can be appealed; none where it cannot.
    pub fn appeal_until(&self) -> Option<u64> {
        (self.appealable != 0 && self.stage() >= Stage::Accepted)
            .then(|| self.accepted_at.saturating_add(self.appeal.into()))
    }

    /// What holds of every jury. Called at the end of every instruction that changes one.
    ///
    /// # Errors
    /// [`Refusal::Broken`]: the program is wrong, and nothing happens.
    pub fn invariant(&self) -> Result<()> {
        let stage = self.stage();
        let ruled = (stage >= Stage::Accepted) == (self.accepted_at != 0);
        let waits = (stage == Stage::Opened) == (self.target_slot != 0);
        let drawn = stage != Stage::Drawn || self.is_drawn();
        let odd = !self.is_drawn() || self.size % 2 == 1 && usize::from(self.size) <= LARGEST_JURY;
        let sound =
            stage != Stage::None && ruled && waits && drawn && odd && self.instance < 2 && self.jury < 2;
        require!(sound, Refusal::Broken);
        Ok(())
    }
}
