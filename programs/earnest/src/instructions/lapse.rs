use anchor_lang::prelude::*;

use crate::{
    clock,
    events::Lapsed,
    payout::*,
    state::{deal::Action, Deal},
};

/// The arbiter did not rule in time: anyone may close the deal at its lapse_share.
#[event_cpi]
#[derive(Accounts)]
pub struct Lapse<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// Where it goes.
    pub payouts: Payouts<'info>,
}

impl<'info> Lapse<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn lapse(ctx: Context<'info, Self>) -> Result<()> {
        let total = {
            let deal = ctx.accounts.deal.load()?;
            deal.check(Action::Lapse, clock::now()?)?;
            deal.seller_total(deal.lapse_share)
        };
        let paid = ctx.accounts.payouts.close_at(&ctx.accounts.deal, total)?;
        let event = {
            let deal = ctx.accounts.deal.load()?;
            Lapsed { deal: deal.id, released: deal.released, refunded: deal.refunded, count: deal.count }
        };
        emit_cpi!(event);
        for credited in paid.credited {
            emit_cpi!(credited);
        }
        Ok(())
    }
}
