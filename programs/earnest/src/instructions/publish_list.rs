use anchor_lang::prelude::*;

use crate::{
    clock,
    errors::Refusal,
    events::ListMade,
    state::{List, Pool},
};

/// The keeper publishes its list, which never changes again and takes effect after the pool's delay.
#[event_cpi]
#[derive(Accounts)]
pub struct PublishList<'info> {
    /// The pool.
    #[account(mut)]
    pub pool: Account<'info, Pool>,
    /// The pool's keeper.
    pub keeper: Signer<'info>,
    /// The list.
    #[account(mut)]
    pub list: AccountLoader<'info, List>,
}

impl<'info> PublishList<'info> {
    /// # Errors
    /// `ListPublished`, `NotKeeper`, `TooFewMembers`.
    pub fn publish_list(ctx: Context<'info, Self>) -> Result<()> {
        let pool = &mut ctx.accounts.pool;
        let event = {
            let mut list = ctx.accounts.list.load_mut()?;
            list.check_unpublished(pool, &ctx.accounts.keeper.key())?;
            require!(list.size >= pool.book.smallest_list(), Refusal::TooFewMembers);
            // At least a second, so that no list applies to a deal funded in the list's own second.
            let delay = pool.book.delay.max(1);
            list.effective_at = clock::now()?.saturating_add(delay.into());
            pool.lists = pool.lists.checked_add(1).ok_or(Refusal::Broken)?;
            list.invariant()?;
            let (pool, index, size, effective_at) = (pool.id, list.index, list.size, list.effective_at);
            ListMade { pool, index, size, effective_at, list: ctx.accounts.list.key() }
        };
        emit_cpi!(event);
        Ok(())
    }
}
