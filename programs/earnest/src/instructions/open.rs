use anchor_lang::prelude::*;

use crate::{
    case,
    errors::Refusal,
    state::{Deal, Jury},
};

/// Opens the case of a disputed deal: fixes the slot whose hash will seat the first jury. Anyone may. Who the arbiter is
/// matters from the draw on.
#[event_cpi]
#[derive(Accounts)]
pub struct Open<'info> {
    /// Who pays the jury's rent, until the deal is closed.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// CHECK: created here, at the address that follows from the deal and its number of juries.
    #[account(mut)]
    pub jury: UncheckedAccount<'info>,
    /// Creates the account.
    pub system_program: Program<'info, System>,
}

impl<'info> Open<'info> {
    /// # Errors
    /// `CaseExists`, `NotDisputed`.
    pub fn open(ctx: Context<'info, Self>) -> Result<()> {
        let accounts: &'info Self = ctx.accounts;
        let (since, lapse_share) = {
            let deal = accounts.deal.load()?;
            require!(deal.juries == 0, Refusal::CaseExists);
            case::check_disputed(&deal)?;
            (deal.since, deal.lapse_share)
        };
        let write = |jury: &mut Jury| (jury.disputed_at, jury.without) = (since, lapse_share);
        let event = case::open_another(&accounts.deal, accounts.jury.as_ref(), &accounts.payer, write)?;
        emit_cpi!(event);
        Ok(())
    }
}
