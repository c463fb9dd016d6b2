use anchor_lang::prelude::*;
use anchor_spl::token_interface::{self, TransferChecked};

use crate::{
    clock,
    digest::Signable,
    ed25519::{self, *},
    errors::Refusal,
    events::Withdrawn,
    payout,
    state::{seeds, Deal},
    tokens,
};

/// What is taken.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct WithdrawArgs {
    /// In the asset's smallest unit; at most the creditor's credit in this deal.
    pub amount: u64,
    /// The creditor's signature, where it is not the caller. It names how often it withdrew from this deal before.
    pub signed: Option<Signed>,
}

/// A creditor takes what a payout of the deal could not bring it, to wherever it likes.
#[event_cpi]
#[derive(Accounts)]
pub struct Withdraw<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// The creditor.
    pub authority: Authority<'info>,
    /// CHECK: any account that can have coin; for tokens any account of the token. Not the deal, nor its vault.
    #[account(mut)]
    pub to: UncheckedAccount<'info>,
    /// CHECK: compared with the deal's vault.
    #[account(mut)]
    pub vault: Option<UncheckedAccount<'info>>,
    /// CHECK: compared with the deal's mint.
    pub mint: Option<UncheckedAccount<'info>>,
    /// CHECK: compared with the deal's token program.
    pub token_program: Option<UncheckedAccount<'info>>,
}

impl<'info> Withdraw<'info> {
    /// # Errors
    /// The first refusal that applies.
    pub fn withdraw(ctx: Context<'info, Self>, args: WithdrawArgs) -> Result<()> {
        let accounts = &ctx.accounts;
        let to = accounts.to.key();
        let (event, bump) = {
            let mut deal = accounts.deal.load_mut()?;
            require!(to != accounts.deal.key() && to != deal.vault, Refusal::SameParty);
            ed25519::check_time(&args.signed, clock::now()?)?;
            let creditor = accounts.authority.account(&args.signed);
            require!(creditor == deal.buyer || creditor == deal.seller, Refusal::NotParty);
            let is_seller = creditor == deal.seller;
            let before = if is_seller { deal.seller_withdrawals } else { deal.buyer_withdrawals };
            let until = args.signed.map_or(0, |signed| signed.valid_until);
            let digest = Signable::Withdraw.digest(&[
                &deal.id,
                creditor.as_ref(),
                &args.amount.to_le_bytes(),
                to.as_ref(),
                &before.to_le_bytes(),
                &until.to_le_bytes(),
            ]);
            accounts.authority.require(
                creditor,
                Refusal::NotParty,
                &args.signed,
                Signable::Withdraw,
                &digest,
                true,
            )?;
            let credit = if is_seller { &mut deal.seller_credit } else { &mut deal.buyer_credit };
            require!(args.amount > 0 && *credit > 0, Refusal::NothingToWithdraw);
            *credit = credit.checked_sub(args.amount).ok_or(Refusal::TotalTooHigh)?;
            let times = before.checked_add(1).ok_or(Refusal::Broken)?;
            if is_seller {
                deal.seller_withdrawals = times
            } else {
                deal.buyer_withdrawals = times
            }
            deal.invariant()?;
            (Withdrawn { deal: deal.id, creditor, mint: deal.mint, amount: args.amount, to }, deal.bump)
        };
        accounts.pay(&event, bump)?;
        emit_cpi!(event);
        Ok(())
    }

    fn pay(&self, withdrawn: &Withdrawn, bump: u8) -> Result<()> {
        let (vault, program) = {
            let deal = self.deal.load()?;
            (deal.vault, deal.token_program)
        };
        let given = (&self.vault, &self.mint, &self.token_program);
        if withdrawn.mint == Pubkey::default() {
            require!(matches!(given, (None, None, None)), Refusal::WrongAsset);
            return payout::send_coin(self.deal.as_ref(), &self.to, withdrawn.amount);
        }
        let (Some(from), Some(mint), Some(token_program)) = given else { return err!(Refusal::WrongAsset) };
        require_keys_eq!(from.key(), vault, Refusal::WrongAccount);
        require_keys_eq!(mint.key(), withdrawn.mint, Refusal::WrongAccount);
        require_keys_eq!(token_program.key(), program, Refusal::WrongAccount);
        let call = TransferChecked {
            from: from.to_account_info(),
            mint: mint.to_account_info(),
            to: self.to.to_account_info(),
            authority: self.deal.to_account_info(),
        };
        let seeds: &[&[u8]] = &[seeds::DEAL, &withdrawn.deal, &[bump]];
        let signer = &[seeds];
        let call = CpiContext::new_with_signer(program, call, signer);
        token_interface::transfer_checked(call, withdrawn.amount, tokens::decimals(mint)?)
    }
}
