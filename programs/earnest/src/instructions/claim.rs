use anchor_lang::prelude::*;

use crate::{
    clock,
    events::Claimed,
    payout::*,
    state::{deal::Action, Deal},
};

/// Delivered and nobody objected: anyone may give the rest to the seller.
#[event_cpi]
#[derive(Accounts)]
pub struct Claim<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// Where it goes.
    pub payouts: Payouts<'info>,
}

impl<'info> Claim<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn claim(ctx: Context<'info, Self>) -> Result<()> {
        let total = {
            let deal = ctx.accounts.deal.load()?;
            deal.check(Action::Claim, clock::now()?)?;
            deal.clamp(deal.amount)
        };
        let paid = ctx.accounts.payouts.close_at(&ctx.accounts.deal, total)?;
        let event = {
            let deal = ctx.accounts.deal.load()?;
            Claimed { deal: deal.id, released: deal.released, count: deal.count }
        };
        emit_cpi!(event);
        for credited in paid.credited {
            emit_cpi!(credited);
        }
        Ok(())
    }
}
