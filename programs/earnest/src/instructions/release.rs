use anchor_lang::prelude::*;

use crate::{
    clock,
    digest::Signable,
    ed25519::*,
    errors::Refusal,
    events::Released,
    payout::*,
    state::{deal::Action, Deal},
};

/// What the buyer concedes.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct ReleaseArgs {
    /// The seller's new total, in the asset's smallest unit.
    pub total: u64,
    /// The buyer's signature, where it is not the caller. It is good for ever, and in a metered deal cannot be revoked.
    pub signed: Option<Signed>,
}

/// The buyer raises the seller's total.
#[event_cpi]
#[derive(Accounts)]
pub struct Release<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// The buyer.
    pub authority: Authority<'info>,
    /// Where it goes.
    pub payouts: Payouts<'info>,
}

impl<'info> Release<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn release(ctx: Context<'info, Self>, args: ReleaseArgs) -> Result<()> {
        let (id, totals) = {
            let deal = ctx.accounts.deal.load()?;
            deal.check(Action::Release, clock::now()?)?;
            let digest = Signable::Release.digest(&[&deal.id, &args.total.to_le_bytes()]);
            ctx.accounts.authority.require(
                deal.buyer,
                Refusal::NotBuyer,
                &args.signed,
                Signable::Release,
                &digest,
                // The seller has already served for a voucher.
                !deal.is_metered(),
            )?;
            let released = deal.concede(args.total, deal.released, deal.refunded)?;
            (deal.id, Totals { released, refunded: deal.refunded })
        };
        let paid = ctx.accounts.payouts.pay(&ctx.accounts.deal, totals)?;
        let count = ctx.accounts.deal.load()?.count;
        emit_cpi!(Released { deal: id, released: totals.released, count });
        for credited in paid.credited {
            emit_cpi!(credited);
        }
        Ok(())
    }
}
