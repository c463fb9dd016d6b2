use anchor_lang::prelude::*;

use crate::{
    clock,
    digest::Signable,
    ed25519::{self, Claimed, Place},
    errors::Refusal,
    events::Settled,
    payout::*,
    state::{deal::Action, Deal, Status, ARBITER},
};

/// What both agreed on. A party agrees by signing the transaction, by the signature named here, or by an approval on chain.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SettleArgs {
    /// What the seller has in the end, before clamping.
    pub seller_total: u64,
    /// How many rulings the arbiter had accepted; zero outside a dispute.
    pub rulings: u8,
    /// Unix seconds.
    pub valid_until: u64,
    /// Where the buyer's signature stands.
    pub buyer: Option<Place>,
    /// Where the seller's signature stands.
    pub seller: Option<Place>,
}

/// Both parties close the deal as they agreed. A party that signs the transaction without being the caller is given as one
/// of the remaining accounts.
#[event_cpi]
#[derive(Accounts)]
pub struct Settle<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// Who asks.
    pub caller: Signer<'info>,
    /// CHECK: what the buyer said of the offer on chain; its address follows from both.
    pub buyer_consent: Option<UncheckedAccount<'info>>,
    /// CHECK: what the seller said of the offer on chain; its address follows from both.
    pub seller_consent: Option<UncheckedAccount<'info>>,
    /// CHECK: the transaction's instructions, where an Ed25519 signature is among them.
    #[account(address = ed25519::sysvar_id())]
    pub instructions: Option<UncheckedAccount<'info>>,
    /// Where it goes.
    pub payouts: Payouts<'info>,
}

impl<'info> Settle<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn settle(ctx: Context<'info, Self>, args: SettleArgs) -> Result<()> {
        let now = clock::now()?;
        let (id, total) = {
            let accounts = &ctx.accounts;
            let deal = accounts.deal.load()?;
            deal.check_status(Action::Settle)?;
            // Of other arbiters nothing is known here, so their rulings count as none.
            let counts = deal.status() == Status::Disputed && deal.arbiter == ARBITER;
            require!(args.rulings == if counts { deal.rulings } else { 0 }, Refusal::StateChanged);
            require!(now <= args.valid_until, Refusal::SignatureExpired);
            let digest = Signable::Settle.digest(&[
                &deal.id,
                &args.seller_total.to_le_bytes(),
                &[deal.status],
                &[args.rulings],
                &args.valid_until.to_le_bytes(),
            ]);
            let signs = |party: Pubkey| {
                accounts.caller.key() == party
                    || ctx.remaining_accounts.iter().any(|one| one.is_signer && *one.key == party)
            };
            let parties = [
                (deal.buyer, args.buyer, &accounts.buyer_consent),
                (deal.seller, args.seller, &accounts.seller_consent),
            ];
            for (party, place, consent) in parties {
                if signs(party) {
                    continue;
                }
                require!(place.is_some() || consent.is_some(), Refusal::InvalidSignature);
                let claimed =
                    Claimed { signer: party, action: Signable::Settle, digest: &digest, revocable: true };
                let consent = consent.as_ref().map(|account| account.as_ref());
                let instructions = accounts.instructions.as_ref().map(|account| account.as_ref());
                ed25519::verify(&claimed, place, consent, instructions)?;
            }
            require!(args.seller_total <= deal.amount, Refusal::TotalTooHigh);
            (deal.id, deal.clamp(args.seller_total))
        };
        let paid = ctx.accounts.payouts.close_at(&ctx.accounts.deal, total)?;
        let event = {
            let deal = ctx.accounts.deal.load()?;
            let (released, refunded, count) = (deal.released, deal.refunded, deal.count);
            Settled { deal: id, released, refunded, count }
        };
        emit_cpi!(event);
        for credited in paid.credited {
            emit_cpi!(credited);
        }
        Ok(())
    }
}
