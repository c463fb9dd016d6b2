use anchor_lang::prelude::*;

use crate::{
    case, clock,
    errors::Refusal,
    state::{Deal, Jury, Stage},
};

/// Opens the second jury of an instance whose first one was drawn and did not rule in time. Anyone may.
#[event_cpi]
#[derive(Accounts)]
pub struct OpenSecondJury<'info> {
    /// Who pays the jury's rent, until the deal is closed.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// CHECK: loaded here, as the last jury of the case.
    pub last: UncheckedAccount<'info>,
    /// CHECK: created here, at the address that follows from the deal and its number of juries.
    #[account(mut)]
    pub jury: UncheckedAccount<'info>,
    /// Creates the account.
    pub system_program: Program<'info, System>,
}

impl<'info> OpenSecondJury<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn open_second_jury(ctx: Context<'info, Self>) -> Result<()> {
        let accounts: &'info Self = ctx.accounts;
        let last = case::last(&accounts.deal, accounts.last.as_ref())?;
        let first = last.load()?;
        case::check_undecided(first.stage())?;
        require!(first.jury == 0, Refusal::NoFurtherJury);
        require!(first.stage() == Stage::Drawn, Refusal::NotDrawn);
        let now = clock::now()?;
        require!(now > first.first_closes_at, Refusal::TooEarly);
        require!(now <= first.ends_at, Refusal::TooLate);
        let write = |jury: &mut Jury| jury.follow(&first);
        let event = case::open_another(&accounts.deal, accounts.jury.as_ref(), &accounts.payer, write)?;
        emit_cpi!(event);
        Ok(())
    }
}
