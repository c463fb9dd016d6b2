use anchor_lang::prelude::*;

use crate::{
    errors::Refusal,
    state::{self, seeds, List, Pool},
};

/// The keeper begins the pool's next member list. There is one at a time.
#[derive(Accounts)]
pub struct CreateList<'info> {
    /// The pool.
    pub pool: Account<'info, Pool>,
    /// The pool's keeper, who pays the rent.
    #[account(mut)]
    pub keeper: Signer<'info>,
    /// CHECK: created here, at the address that follows from the pool and its number of lists.
    #[account(mut)]
    pub list: UncheckedAccount<'info>,
    /// Creates the account.
    pub system_program: Program<'info, System>,
}

impl<'info> CreateList<'info> {
    /// # Errors
    /// `ListExists`, `NotKeeper`.
    pub fn create_list(ctx: Context<'info, Self>) -> Result<()> {
        let accounts: &'info Self = ctx.accounts;
        let pool = &accounts.pool;
        let index = pool.lists.to_le_bytes();
        let (address, bump) = Pubkey::find_program_address(&[seeds::LIST, &pool.id, &index], &crate::ID);
        require_keys_eq!(accounts.list.key(), address, Refusal::WrongAccount);
        require!(state::is_empty(&accounts.list), Refusal::ListExists);
        require!(accounts.keeper.key() == pool.book.keeper, Refusal::NotKeeper);
        let seeds: &[&[u8]] = &[seeds::LIST, &pool.id, &index, &[bump]];
        let keeper = &accounts.keeper;
        state::create(&accounts.list, keeper, &crate::ID, seeds, List::HEAD, 0, List::DISCRIMINATOR)?;
        let list = AccountLoader::<List>::try_from(accounts.list.as_ref())?;
        let mut list = list.load_mut()?;
        (list.pool, list.index, list.bump) = (pool.id, pool.lists, bump);
        list.rent_payer = keeper.key();
        list.invariant()
    }
}
