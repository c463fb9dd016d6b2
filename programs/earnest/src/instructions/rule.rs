use anchor_lang::prelude::*;

use crate::{
    clock,
    errors::Refusal,
    events::Ruled,
    payout::*,
    state::{deal::Action, Deal},
    terms::WHOLE,
};

/// The arbiter of the terms rules. The pools of this program rule by `submit`, `cast`, `conclude` and `execute` instead.
#[event_cpi]
#[derive(Accounts)]
pub struct Rule<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// The arbiter: a wallet, or the address that another program signs for.
    pub arbiter: Signer<'info>,
    /// Where it goes.
    pub payouts: Payouts<'info>,
}

impl<'info> Rule<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn rule(ctx: Context<'info, Self>, share: u16) -> Result<()> {
        {
            require!(share <= WHOLE, Refusal::ShareOutOfRange);
            let deal = ctx.accounts.deal.load()?;
            deal.check(Action::Rule, clock::now()?)?;
            require_keys_eq!(ctx.accounts.arbiter.key(), deal.arbiter, Refusal::NotArbiter);
        }
        let (event, paid) = rule_at(&ctx.accounts.deal, &ctx.accounts.payouts, share)?;
        emit_cpi!(event);
        for credited in paid.credited {
            emit_cpi!(credited);
        }
        Ok(())
    }
}

/// Closes a deal at a share, which [`Deal::check`] allowed.
///
/// # Errors
/// Accounts that are not the deal's.
pub fn rule_at<'info>(
    deal: &AccountLoader<'info, Deal>,
    payouts: &Payouts<'info>,
    share: u16,
) -> Result<(Ruled, Paid)> {
    let total = deal.load()?.seller_total(share);
    let paid = payouts.close_at(deal, total)?;
    let deal = deal.load()?;
    let (released, refunded, count) = (deal.released, deal.refunded, deal.count);
    Ok((Ruled { deal: deal.id, share, released, refunded, count }, paid))
}
