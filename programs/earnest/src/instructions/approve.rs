use anchor_lang::prelude::*;

use crate::{
    errors::Refusal,
    events::Approved,
    state::{self, seeds, Consent},
};

/// An account that cannot sign off chain, such as one that another program signs for, approves a digest; that then counts
/// as its signature: until it revokes it, where that can be taken back.
#[event_cpi]
#[derive(Accounts)]
#[instruction(digest: [u8; 32])]
pub struct Approve<'info> {
    /// Who pays the rent of the account, which stays.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// Who approves.
    pub signer: Signer<'info>,
    /// CHECK: created here, at the address that the seeds give.
    #[account(mut, seeds = [seeds::CONSENT, signer.key().as_ref(), &digest], bump)]
    pub consent: UncheckedAccount<'info>,
    /// Creates the account.
    pub system_program: Program<'info, System>,
}

impl<'info> Approve<'info> {
    /// # Errors
    /// `ConsentExists`: it approved or revoked the digest before.
    pub fn approve(ctx: Context<'info, Self>, digest: [u8; 32]) -> Result<()> {
        let signer = ctx.accounts.signer.key();
        require!(state::is_empty(&ctx.accounts.consent), Refusal::ConsentExists);
        let said = Consent { approved: true, revoked: false };
        write(&ctx.accounts.consent, &ctx.accounts.payer, &signer, &digest, ctx.bumps.consent, &said)?;
        emit_cpi!(Approved { signer, digest });
        Ok(())
    }
}

/// Writes what a signer says of a digest, and creates the account for it where it is not there.
///
/// # Errors
/// The payer has too little.
pub fn write<'info>(
    account: &AccountInfo<'info>,
    payer: &AccountInfo<'info>,
    signer: &Pubkey,
    digest: &[u8; 32],
    bump: u8,
    said: &Consent,
) -> Result<()> {
    if state::is_empty(account) {
        let seeds: &[&[u8]] = &[seeds::CONSENT, signer.as_ref(), digest, &[bump]];
        state::create(account, payer, &crate::ID, seeds, Consent::SIZE, 0, Consent::DISCRIMINATOR)?;
    }
    let mut data = account.try_borrow_mut_data()?;
    said.try_serialize(&mut data.as_mut())
}
