use anchor_lang::prelude::*;

use crate::{
    errors::Refusal,
    events::PoolCreated,
    state::{self, seeds, Pool, RuleBook},
};

/// Makes a pool of a rule book, which never changes again. Anyone may; what its keeper and jurors are worth is for those
/// to judge who name it in their terms.
#[event_cpi]
#[derive(Accounts)]
pub struct CreatePool<'info> {
    /// Who pays the rent of the account, which stays.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// CHECK: created here, at the address that follows from the rule book.
    #[account(mut)]
    pub pool: UncheckedAccount<'info>,
    /// CHECK: compared with the rule book's parent; none where it names none.
    pub parent: Option<UncheckedAccount<'info>>,
    /// Creates the account.
    pub system_program: Program<'info, System>,
}

impl<'info> CreatePool<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn create_pool(ctx: Context<'info, Self>, book: RuleBook) -> Result<()> {
        let accounts = &ctx.accounts;
        book.validate()?;
        let has_parent = book.parent != [0; 32];
        require!(accounts.parent.is_some() == has_parent, Refusal::WrongAccount);
        if let Some(parent) = &accounts.parent {
            require!(Pool::at(parent, &book.parent)?.is_some(), Refusal::BadParent);
        }
        let id = book.id();
        let (address, bump) = Pubkey::find_program_address(&[seeds::POOL, &id], &crate::ID);
        require_keys_eq!(accounts.pool.key(), address, Refusal::WrongAccount);
        require!(state::is_empty(&accounts.pool), Refusal::PoolExists);
        let seeds: &[&[u8]] = &[seeds::POOL, &id, &[bump]];
        let payer = &accounts.payer;
        state::create(&accounts.pool, payer, &crate::ID, seeds, Pool::SIZE, 0, Pool::DISCRIMINATOR)?;
        let pool = Pool { id, book: book.clone(), lists: 0, bump };
        pool.try_serialize(&mut accounts.pool.try_borrow_mut_data()?.as_mut())?;
        emit_cpi!(PoolCreated { pool: id, book });
        Ok(())
    }
}
