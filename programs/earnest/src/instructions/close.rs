use anchor_lang::prelude::*;
use anchor_spl::token_interface::{self, CloseAccount, TransferChecked};

use crate::{
    clock,
    errors::Refusal,
    state::{seeds, Deal, Jury, Status},
    tokens,
};

/// Closes the accounts of a deal that is over and can never be funded again: anyone may. Rent goes back to who paid it,
/// and whatever else somebody sent there goes to the buyer. The juries of its case come as remaining accounts, each
/// followed by who paid its rent, in their order.
#[derive(Accounts)]
pub struct Close<'info> {
    /// The deal.
    #[account(mut)]
    pub deal: AccountLoader<'info, Deal>,
    /// CHECK: compared with who paid the deal's rent.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
    /// CHECK: compared with where the buyer is paid.
    #[account(mut)]
    pub buyer: UncheckedAccount<'info>,
    /// CHECK: compared with the deal's vault.
    #[account(mut)]
    pub vault: Option<UncheckedAccount<'info>>,
    /// CHECK: compared with the deal's mint.
    pub mint: Option<UncheckedAccount<'info>>,
    /// CHECK: compared with the deal's token program.
    pub token_program: Option<UncheckedAccount<'info>>,
}

impl<'info> Close<'info> {
    /// # Errors
    /// `StillOpen`, or accounts that are not the deal's.
    pub fn close(ctx: Context<'info, Self>) -> Result<()> {
        let accounts = &ctx.accounts;
        let deal = *accounts.deal.load()?;
        let over = deal.status() == Status::Closed && clock::now()? > deal.fund_by && deal.held() == 0;
        require!(over, Refusal::StillOpen);
        require_keys_eq!(accounts.rent_payer.key(), deal.rent_payer, Refusal::WrongAccount);
        require_keys_eq!(accounts.buyer.key(), deal.buyer_destination, Refusal::WrongAccount);
        if deal.vault != Pubkey::default() {
            accounts.close_vault(&deal)?;
        }
        accounts.close_juries(&deal, ctx.remaining_accounts)?;
        let account = accounts.deal.to_account_info();
        let above = account.lamports().saturating_sub(deal.rent.into());
        if above > 0 && deal.is_coin() {
            // A buyer that cannot have it leaves it to who paid the rent.
            let _ = crate::payout::send_coin(&account, &accounts.buyer, above);
        }
        accounts.deal.close(accounts.rent_payer.to_account_info())
    }

    fn close_juries(&self, deal: &Deal, given: &'info [AccountInfo<'info>]) -> Result<()> {
        require!(given.len() == usize::from(deal.juries) * 2, Refusal::WrongAccount);
        for (ordinal, pair) in (0_u8..).zip(given.chunks_exact(2)) {
            let account = AccountLoader::<Jury>::try_from(&pair[0])?;
            let (of, place, rent_payer) = {
                let jury = account.load()?;
                (jury.deal, jury.ordinal, jury.rent_payer)
            };
            require_keys_eq!(of, self.deal.key(), Refusal::WrongAccount);
            require!(place == ordinal, Refusal::WrongAccount);
            require_keys_eq!(*pair[1].key, rent_payer, Refusal::WrongAccount);
            account.close(pair[1].clone())?;
        }
        Ok(())
    }

    fn close_vault(&self, deal: &Deal) -> Result<()> {
        let (Some(vault), Some(mint), Some(program)) = (&self.vault, &self.mint, &self.token_program) else {
            return err!(Refusal::WrongAsset);
        };
        require_keys_eq!(vault.key(), deal.vault, Refusal::WrongAccount);
        require_keys_eq!(mint.key(), deal.mint, Refusal::WrongAccount);
        require_keys_eq!(program.key(), deal.token_program, Refusal::WrongAccount);
        let seeds: &[&[u8]] = &[seeds::DEAL, &deal.id, &[deal.bump]];
        let signer = &[seeds];
        let dust = tokens::balance(vault)?;
        if dust > 0 {
            let transfer = TransferChecked {
                from: vault.to_account_info(),
                mint: mint.to_account_info(),
                to: self.buyer.to_account_info(),
                authority: self.deal.to_account_info(),
            };
            let call = CpiContext::new_with_signer(program.key(), transfer, signer);
            token_interface::transfer_checked(call, dust, tokens::decimals(mint)?)?;
        }
        let close = CloseAccount {
            account: vault.to_account_info(),
            destination: self.rent_payer.to_account_info(),
            authority: self.deal.to_account_info(),
        };
        token_interface::close_account(CpiContext::new_with_signer(program.key(), close, signer))
    }
}
