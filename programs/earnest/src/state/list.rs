//! A member list: a head, and the members after it.

use anchor_lang::prelude::*;

use crate::{errors::Refusal, state::Pool};

/// Members of the largest list: as many as fit the pages of an EVM list.
pub const LARGEST_LIST: u32 = 76_800;

/// The head of a list of members. After it in the account's data stand the members, 32 bytes each, strictly ascending.
#[account(zero_copy)]
#[derive(Debug, PartialEq, Eq)]
pub struct List {
    /// The id of its pool.
    pub pool: [u8; 32],
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Unix seconds from which it counts; zero until it is published.
    pub effective_at: u64,
    /// Its number among the pool's lists.
    pub index: u32,
    /// Members so far.
    pub size: u32,
    /// Of its address.
    pub bump: u8,
    /// Zero.
    pub reserved: [u8; 7],
}

impl List {
    /// Bytes of the account before its first member.
    pub const HEAD: usize = 8 + core::mem::size_of::<Self>();

    /// Whether it is published, and so never changes again.
    pub fn is_published(&self) -> bool {
        self.effective_at != 0
    }

    /// That this is a list of the pool that its keeper may still change.
    ///
    /// # Errors
    /// `ListPublished`, `NotKeeper`; another pool.
    pub fn check_unpublished(&self, pool: &Pool, keeper: &Pubkey) -> Result<()> {
        require!(self.pool == pool.id, Refusal::WrongAccount);
        require!(!self.is_published(), Refusal::ListPublished);
        require!(*keeper == pool.book.keeper, Refusal::NotKeeper);
        Ok(())
    }

    /// Bytes of the account of a list of that many members.
    ///
    /// # Errors
    /// [`Refusal::Broken`] where they are more than a machine can count.
    pub fn space(members: u32) -> Result<usize> {
        let bytes = usize::try_from(members).ok().and_then(|members| members.checked_mul(32));
        Ok(bytes.and_then(|bytes| bytes.checked_add(Self::HEAD)).ok_or(Refusal::Broken)?)
    }

    /// The member at an index of a list's account data.
    ///
    /// # Errors
    /// [`Refusal::Broken`] where the data ends before.
    pub fn member(data: &[u8], index: u32) -> Result<Pubkey> {
        let from = Self::space(index)?;
        let to = from.checked_add(32).ok_or(Refusal::Broken)?;
        let bytes = data.get(from..to).ok_or(Refusal::Broken)?;
        Ok(Pubkey::try_from(bytes).map_err(|_| Refusal::Broken)?)
    }

    /// What holds of every list. Called at the end of every instruction that changes one.
    ///
    /// # Errors
    /// [`Refusal::Broken`]: the program is wrong, and nothing happens.
    pub fn invariant(&self) -> Result<()> {
        let sound = self.size <= LARGEST_LIST && (!self.is_published() || self.size > 0);
        require!(sound, Refusal::Broken);
        Ok(())
    }
}
