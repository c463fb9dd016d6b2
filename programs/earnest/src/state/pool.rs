//! A pool: an immutable rule book, and how many lists its keeper published.

use anchor_lang::prelude::*;

use crate::{
    digest::{keccak, word},
    errors::Refusal,
    state::{self, seeds},
};

/// Seconds before a published list takes effect, at most: 366 days.
pub const LONGEST_DELAY: u32 = 366 * 86_400;
/// Seconds for opening and drawing, at least.
pub const SHORTEST_OPENING: u32 = 60;
/// Seconds for opening and drawing, at most: 30 days.
pub const LONGEST_OPENING: u32 = 30 * 86_400;
/// Seconds of voting, at most: 90 days.
pub const LONGEST_VOTING: u32 = 90 * 86_400;
/// Seconds in which a ruling may be appealed, at most: 90 days.
pub const LONGEST_APPEAL: u32 = 90 * 86_400;
/// Seconds for executing a ruling, as part of the worst case: one day.
pub const EXECUTION: u64 = 86_400;
/// Seconds that must be left when an appeal has taken its worst case: one day.
pub const MARGIN: u64 = 86_400;

/// The rules of a pool (`docs/protocol.md`, section 3). Periods in seconds.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Debug, PartialEq, Eq)]
pub struct RuleBook {
    /// Who publishes member lists.
    pub keeper: Pubkey,
    /// The id of the pool that hears appeals, or zero.
    pub parent: [u8; 32],
    /// Seats: odd, 1 to 31.
    pub jury_size: u8,
    /// Before a list takes effect; zero counts as one second.
    pub delay: u32,
    /// For opening and drawing a jury.
    pub opening: u32,
    /// Of voting after that.
    pub voting: u32,
    /// In which an accepted ruling may be appealed; zero without a parent.
    pub appeal: u32,
    /// Tells equal rule books apart.
    pub salt: [u8; 32],
}

impl RuleBook {
    /// The pool's id: keccak-256 of the fields in order, a 32-byte word each, as on every chain.
    pub fn id(&self) -> [u8; 32] {
        keccak(&[
            self.keeper.as_ref(),
            &self.parent,
            &word(self.jury_size.into()),
            &word(self.delay.into()),
            &word(self.opening.into()),
            &word(self.voting.into()),
            &word(self.appeal.into()),
            &self.salt,
        ])
    }

    /// Whether a pool can be made of it, as far as the book alone tells.
    ///
    /// # Errors
    /// The first rule that is broken: jury size, periods, then parent and appeal, which come together.
    pub fn validate(&self) -> Result<()> {
        require!(self.jury_size % 2 == 1 && self.jury_size <= 31, Refusal::BadJurySize);
        let periods = self.delay <= LONGEST_DELAY
            && (SHORTEST_OPENING..=LONGEST_OPENING).contains(&self.opening)
            && (1..=LONGEST_VOTING).contains(&self.voting)
            && self.appeal <= LONGEST_APPEAL;
        require!(periods, Refusal::BadPeriod);
        require!((self.parent == [0; 32]) == (self.appeal == 0), Refusal::BadParent);
        Ok(())
    }

    /// Seconds of one jury: opening, drawing and voting.
    pub fn jury_time(&self) -> u64 {
        u64::from(self.opening).saturating_add(self.voting.into())
    }

    /// Seconds of both juries of an instance.
    pub fn span(&self) -> u64 {
        self.jury_time().saturating_mul(2)
    }

    /// Members that a list has at least: twice the jury and the two parties.
    pub fn smallest_list(&self) -> u32 {
        u32::from(self.jury_size).saturating_mul(2).saturating_add(2)
    }
}

/// A pool.
#[account]
#[derive(InitSpace, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The hash of its rule book.
    pub id: [u8; 32],
    /// Its rules, for ever.
    pub book: RuleBook,
    /// Lists published so far.
    pub lists: u32,
    /// Of its address.
    pub bump: u8,
}

impl Pool {
    /// Bytes of the account.
    pub const SIZE: usize = 8 + Self::INIT_SPACE;

    /// The pool of this id; none where nobody made it.
    ///
    /// # Errors
    /// The account is another one.
    pub fn at(account: &AccountInfo<'_>, id: &[u8; 32]) -> Result<Option<Self>> {
        if state::is_empty(account) {
            let (address, _) = Pubkey::find_program_address(&[seeds::POOL, id], &crate::ID);
            require_keys_eq!(*account.key, address, Refusal::WrongAccount);
            return Ok(None);
        }
        require_keys_eq!(*account.owner, crate::ID, Refusal::WrongAccount);
        let pool = Self::try_deserialize(&mut account.try_borrow_data()?.as_ref())?;
        require!(pool.id == *id, Refusal::WrongAccount);
        Ok(Some(pool))
    }
}
