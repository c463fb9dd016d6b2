use anchor_lang::prelude::*;

use crate::{
    clock,
    digest::{keccak, Signable},
    ed25519::{self, *},
    errors::Refusal,
    events::EvidenceAdded,
    state::{deal::Action, Deal},
};

/// Bytes of an evidence URI.
pub const LONGEST_URI: usize = 256;

/// What is added.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct EvidenceArgs {
    /// Hash of the document.
    pub evidence: [u8; 32],
    /// Where it is; at most 256 bytes.
    pub uri: String,
    /// The party's signature, where it is not the caller.
    pub signed: Option<Signed>,
}

/// A party adds to the dispute: an event and nothing else.
#[event_cpi]
#[derive(Accounts)]
pub struct Evidence<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// The buyer or the seller.
    pub authority: Authority<'info>,
}

impl<'info> Evidence<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn evidence(ctx: Context<'info, Self>, args: EvidenceArgs) -> Result<()> {
        let now = clock::now()?;
        let event = {
            let mut deal = ctx.accounts.deal.load_mut()?;
            deal.check(Action::Evidence, now)?;
            ed25519::check_time(&args.signed, now)?;
            let by = ctx.accounts.authority.account(&args.signed);
            require!(by == deal.buyer || by == deal.seller, Refusal::NotParty);
            let until = args.signed.map_or(0, |signed| signed.valid_until);
            let uri = keccak(&[args.uri.as_bytes()]);
            let digest = Signable::Evidence.digest(&[&deal.id, &args.evidence, &uri, &until.to_le_bytes()]);
            ctx.accounts.authority.require(
                by,
                Refusal::NotParty,
                &args.signed,
                Signable::Evidence,
                &digest,
                true,
            )?;
            require!(args.uri.len() <= LONGEST_URI, Refusal::UriTooLong);
            let count = deal.count_event();
            EvidenceAdded { deal: deal.id, by, evidence: args.evidence, uri: args.uri, count }
        };
        emit_cpi!(event);
        Ok(())
    }
}
