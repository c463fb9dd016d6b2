use anchor_lang::prelude::*;

use crate::{
    case, clock,
    errors::Refusal,
    payout::*,
    ruling::{emit_accepted, Bench},
    state::Deal,
};

/// Speaks the last word of an instance whose juries did not rule in time, from the ballots that were handed in. Anyone may.
#[event_cpi]
#[derive(Accounts)]
pub struct Conclude<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// CHECK: loaded here, as the last jury of the case.
    #[account(mut)]
    pub last: UncheckedAccount<'info>,
    /// CHECK: loaded here, as the first jury of the instance; none where that is `last`.
    pub first: Option<UncheckedAccount<'info>>,
    /// Where the deal pays out.
    pub payouts: Payouts<'info>,
}

impl<'info> Conclude<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn conclude(ctx: Context<'info, Self>) -> Result<()> {
        let accounts: &'info Self = ctx.accounts;
        let last = case::last(&accounts.deal, accounts.last.as_ref())?;
        let first = {
            let last = last.load()?;
            case::check_undecided(last.stage())?;
            require!(accounts.first.is_some() == (last.jury != 0), Refusal::WrongAccount);
            let first = accounts.first.as_ref().map(AsRef::as_ref);
            first.map(|first| case::first_of(&accounts.deal, first, &last)).transpose()?
        };
        let now = clock::now()?;
        let bench = Bench::new(&accounts.deal, &accounts.payouts, &last, now)?;
        let accepted = bench.conclude(first.as_ref())?;
        emit_accepted!(ctx, accepted);
        Ok(())
    }
}
