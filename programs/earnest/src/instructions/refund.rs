use anchor_lang::prelude::*;

use crate::{
    clock,
    digest::Signable,
    ed25519::*,
    errors::Refusal,
    events::Refunded,
    payout::*,
    state::{deal::Action, Deal},
};

/// What the seller concedes.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct RefundArgs {
    /// The buyer's new total, in the asset's smallest unit.
    pub total: u64,
    /// The seller's signature, where it is not the caller. It is good for ever.
    pub signed: Option<Signed>,
}

/// The seller raises the buyer's total.
#[event_cpi]
#[derive(Accounts)]
pub struct Refund<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// The seller.
    pub authority: Authority<'info>,
    /// Where it goes.
    pub payouts: Payouts<'info>,
}

impl<'info> Refund<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn refund(ctx: Context<'info, Self>, args: RefundArgs) -> Result<()> {
        let (id, totals) = {
            let deal = ctx.accounts.deal.load()?;
            deal.check(Action::Refund, clock::now()?)?;
            let digest = Signable::Refund.digest(&[&deal.id, &args.total.to_le_bytes()]);
            ctx.accounts.authority.require(
                deal.seller,
                Refusal::NotSeller,
                &args.signed,
                Signable::Refund,
                &digest,
                true,
            )?;
            let refunded = deal.concede(args.total, deal.refunded, deal.released)?;
            (deal.id, Totals { released: deal.released, refunded })
        };
        let paid = ctx.accounts.payouts.pay(&ctx.accounts.deal, totals)?;
        let count = ctx.accounts.deal.load()?.count;
        emit_cpi!(Refunded { deal: id, refunded: totals.refunded, count });
        for credited in paid.credited {
            emit_cpi!(credited);
        }
        Ok(())
    }
}
