use anchor_lang::prelude::*;

use crate::{
    errors::Refusal,
    state::{List, Pool},
};

/// The keeper drops a list that is not published. Its rent goes back to who paid it.
#[derive(Accounts)]
pub struct DiscardList<'info> {
    /// The pool.
    pub pool: Account<'info, Pool>,
    /// The pool's keeper.
    pub keeper: Signer<'info>,
    /// The list.
    #[account(mut)]
    pub list: AccountLoader<'info, List>,
    /// CHECK: compared with who paid the list's rent.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

impl<'info> DiscardList<'info> {
    /// # Errors
    /// `ListPublished`, `NotKeeper`.
    pub fn discard_list(ctx: Context<'info, Self>) -> Result<()> {
        let accounts = &ctx.accounts;
        {
            let list = accounts.list.load()?;
            require_keys_eq!(accounts.rent_payer.key(), list.rent_payer, Refusal::WrongAccount);
            list.check_unpublished(&accounts.pool, &accounts.keeper.key())?;
        }
        accounts.list.close(accounts.rent_payer.to_account_info())
    }
}
