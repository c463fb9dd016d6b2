use anchor_lang::prelude::*;

use super::fund::check_empty;
use crate::{
    clock,
    errors::Refusal,
    events::Retracted,
    state::{self, seeds, Deal, Status},
    terms::Terms,
};

/// What is retracted.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct RetractArgs {
    /// The whole terms.
    pub terms: Terms,
}

/// Buyer or seller makes terms worthless before they are funded. There is no signed form.
#[event_cpi]
#[derive(Accounts)]
pub struct Retract<'info> {
    /// Who pays the rent, until the account can be closed.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The buyer or the seller.
    pub caller: Signer<'info>,
    /// CHECK: created here, at the address that follows from the terms.
    #[account(mut)]
    pub deal: UncheckedAccount<'info>,
    /// Creates the account.
    pub system_program: Program<'info, System>,
}

impl<'info> Retract<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn retract(ctx: Context<'info, Self>, args: RetractArgs) -> Result<()> {
        let accounts = &ctx.accounts;
        let terms = args.terms;
        let id = terms.id();
        let bump = check_empty(&accounts.deal, &id, terms.fund_by, clock::now()?)?;
        let by = accounts.caller.key();
        require!(by == terms.buyer || by == terms.seller, Refusal::NotParty);
        let signer: &[&[u8]] = &[seeds::DEAL, &id, &[bump]];
        let payer = &accounts.payer;
        state::create(&accounts.deal, payer, &crate::ID, signer, Deal::SIZE, 0, Deal::DISCRIMINATOR)?;
        {
            let mut data = accounts.deal.try_borrow_mut_data()?;
            let deal = Deal::fresh(&mut data)?;
            deal.begin(&terms, id, payer.key(), Deal::rent()?, bump);
            deal.status = Status::Closed as u8;
            deal.invariant()?;
        }
        emit_cpi!(Retracted { deal: id, by });
        Ok(())
    }
}
