use anchor_lang::prelude::*;

use crate::{
    clock,
    events::Reclaimed,
    payout::*,
    state::{deal::Action, Deal},
};

/// Not delivered in time: anyone may give the rest back to the buyer.
#[event_cpi]
#[derive(Accounts)]
pub struct Reclaim<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// Where it goes.
    pub payouts: Payouts<'info>,
}

impl<'info> Reclaim<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn reclaim(ctx: Context<'info, Self>) -> Result<()> {
        let total = {
            let deal = ctx.accounts.deal.load()?;
            deal.check(Action::Reclaim, clock::now()?)?;
            deal.released
        };
        let paid = ctx.accounts.payouts.close_at(&ctx.accounts.deal, total)?;
        let event = {
            let deal = ctx.accounts.deal.load()?;
            Reclaimed { deal: deal.id, refunded: deal.refunded, count: deal.count }
        };
        emit_cpi!(event);
        for credited in paid.credited {
            emit_cpi!(credited);
        }
        Ok(())
    }
}
