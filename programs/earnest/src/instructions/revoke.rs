use anchor_lang::prelude::*;

use super::approve;
use crate::{errors::Refusal, events::Revoked, state, state::seeds, state::Consent};

/// The signer of a digest makes its signature, or its approval, worthless for good, where that can be taken back.
#[event_cpi]
#[derive(Accounts)]
#[instruction(digest: [u8; 32])]
pub struct Revoke<'info> {
    /// Who pays the rent of the account, which stays.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// Who revokes.
    pub signer: Signer<'info>,
    /// CHECK: created here where it is not there, at the address that the seeds give.
    #[account(mut, seeds = [seeds::CONSENT, signer.key().as_ref(), &digest], bump)]
    pub consent: UncheckedAccount<'info>,
    /// Creates the account.
    pub system_program: Program<'info, System>,
}

impl<'info> Revoke<'info> {
    /// # Errors
    /// `ConsentExists`: it revoked the digest before.
    pub fn revoke(ctx: Context<'info, Self>, digest: [u8; 32]) -> Result<()> {
        let signer = ctx.accounts.signer.key();
        let consent = &ctx.accounts.consent;
        let mut said = Consent::default();
        if !state::is_empty(consent) {
            said = Consent::try_deserialize(&mut consent.try_borrow_data()?.as_ref())?;
            require!(!said.revoked, Refusal::ConsentExists);
        }
        said.revoked = true;
        approve::write(consent, &ctx.accounts.payer, &signer, &digest, ctx.bumps.consent, &said)?;
        emit_cpi!(Revoked { signer, digest });
        Ok(())
    }
}
