use anchor_lang::prelude::*;

use crate::{
    clock,
    digest::Signable,
    ed25519::{self, *},
    errors::Refusal,
    events::Delivered,
    state::{deal::Action, Deal, Status},
};

/// What was delivered.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct DeliverArgs {
    /// Hash of what was delivered.
    pub delivery: [u8; 32],
    /// The seller's signature, where it is not the caller.
    pub signed: Option<Signed>,
}

/// The seller says that it delivered.
#[event_cpi]
#[derive(Accounts)]
pub struct Deliver<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// The seller.
    pub authority: Authority<'info>,
}

impl<'info> Deliver<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn deliver(ctx: Context<'info, Self>, args: DeliverArgs) -> Result<()> {
        let now = clock::now()?;
        let event = {
            let mut deal = ctx.accounts.deal.load_mut()?;
            deal.check(Action::Deliver, now)?;
            ed25519::check_time(&args.signed, now)?;
            let until = args.signed.map_or(0, |signed| signed.valid_until);
            let digest = Signable::Deliver.digest(&[&deal.id, &args.delivery, &until.to_le_bytes()]);
            ctx.accounts.authority.require(
                deal.seller,
                Refusal::NotSeller,
                &args.signed,
                Signable::Deliver,
                &digest,
                true,
            )?;
            (deal.status, deal.since) = (Status::Delivered as u8, now);
            let count = deal.count_event();
            deal.invariant()?;
            Delivered { deal: deal.id, delivery: args.delivery, count }
        };
        emit_cpi!(event);
        Ok(())
    }
}
