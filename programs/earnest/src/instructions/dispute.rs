use anchor_lang::prelude::*;

use crate::{
    clock,
    digest::Signable,
    ed25519::{self, *},
    errors::Refusal,
    events::Disputed,
    state::{deal::Action, Deal, Status},
};

/// Why.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct DisputeArgs {
    /// Hash of the party's statement.
    pub evidence: [u8; 32],
    /// The party's signature, where it is not the caller.
    pub signed: Option<Signed>,
}

/// A party disputes. Nobody else is called, so no arbiter can be in the way.
#[event_cpi]
#[derive(Accounts)]
pub struct Dispute<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// The buyer or the seller.
    pub authority: Authority<'info>,
}

impl<'info> Dispute<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn dispute(ctx: Context<'info, Self>, args: DisputeArgs) -> Result<()> {
        let now = clock::now()?;
        let event = {
            let mut deal = ctx.accounts.deal.load_mut()?;
            deal.check(Action::Dispute, now)?;
            ed25519::check_time(&args.signed, now)?;
            let by = ctx.accounts.authority.account(&args.signed);
            require!(by == deal.buyer || by == deal.seller, Refusal::NotParty);
            let until = args.signed.map_or(0, |signed| signed.valid_until);
            let digest = Signable::Dispute.digest(&[&deal.id, &args.evidence, &until.to_le_bytes()]);
            ctx.accounts.authority.require(
                by,
                Refusal::NotParty,
                &args.signed,
                Signable::Dispute,
                &digest,
                true,
            )?;
            (deal.status, deal.since) = (Status::Disputed as u8, now);
            let count = deal.count_event();
            deal.invariant()?;
            Disputed { deal: deal.id, by, evidence: args.evidence, count }
        };
        emit_cpi!(event);
        Ok(())
    }
}
