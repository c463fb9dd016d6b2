use anchor_lang::prelude::*;

use crate::{case, clock, events::RulingExecuted, payout::*, ruling::Bench, state::Deal};

/// Executes an accepted ruling once the time to appeal from it is over. Anyone may. What the deal refuses is refused here.
#[event_cpi]
#[derive(Accounts)]
pub struct Execute<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// CHECK: loaded here, as the last jury of the case.
    #[account(mut)]
    pub last: UncheckedAccount<'info>,
    /// Where the deal pays out.
    pub payouts: Payouts<'info>,
}

impl<'info> Execute<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn execute(ctx: Context<'info, Self>) -> Result<()> {
        let accounts: &'info Self = ctx.accounts;
        let last = case::last(&accounts.deal, accounts.last.as_ref())?;
        case::check_accepted(last.load()?.stage())?;
        let now = clock::now()?;
        let bench = Bench::new(&accounts.deal, &accounts.payouts, &last, now)?;
        let (ruled, paid) = bench.execute()?;
        let executed = RulingExecuted { deal: ruled.deal, share: ruled.share };
        emit_cpi!(ruled);
        for credited in paid.credited {
            emit_cpi!(credited);
        }
        emit_cpi!(executed);
        Ok(())
    }
}
