//! What leaves a deal. A failed call cannot be caught on Solana, so each destination is looked at first, and what it could
//! not take stays where it is, as credit of who should have had it.

use anchor_lang::prelude::*;
use anchor_spl::token_interface::{self, TransferChecked};

use crate::{
    errors::Refusal,
    events::Credited,
    state::{Deal, Status},
    tokens,
};

/// Where payouts go. For SOL the wallets of both; for tokens their associated token accounts, with vault, mint and token
/// program.
#[derive(Accounts)]
pub struct Payouts<'info> {
    /// CHECK: compared with the deal's `seller_destination`.
    #[account(mut)]
    pub seller: UncheckedAccount<'info>,
    /// CHECK: compared with the deal's `buyer_destination`.
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

/// What a transition pays, and what of it turned out to be credit.
#[derive(Clone, Debug, Default)]
pub struct Paid {
    /// At most one for each party, the seller's first.
    pub credited: Vec<Credited>,
}

/// The new totals of a deal.
#[derive(Clone, Copy, Debug)]
pub struct Totals {
    /// The seller's.
    pub released: u64,
    /// The buyer's.
    pub refunded: u64,
}

impl<'info> Payouts<'info> {
    /// Moves a deal to new totals, which are not below the old ones and together not above the amount: counts the event,
    /// closes what is all paid, and pays what the totals grew by.
    ///
    /// # Errors
    /// Accounts that are not the deal's.
    pub fn pay(&self, account: &AccountLoader<'info, Deal>, totals: Totals) -> Result<Paid> {
        let mut deal = account.load_mut()?;
        self.check(&deal)?;
        let to_seller = totals.released.checked_sub(deal.released).ok_or(Refusal::Broken)?;
        let to_buyer = totals.refunded.checked_sub(deal.refunded).ok_or(Refusal::Broken)?;
        (deal.released, deal.refunded) = (totals.released, totals.refunded);
        deal.count = deal.count.wrapping_add(1);
        if deal.remaining() == 0 {
            deal.status = Status::Closed as u8;
            deal.since = 0;
        }
        let (id, mint, bump) = (deal.id, deal.mint, [deal.bump]);
        let (seller, buyer) = (deal.seller, deal.buyer);
        let mut paid = Paid::default();
        let is_coin = deal.is_coin();
        // A transfer of tokens hands the deal's account to another program, which wants nobody to hold it.
        drop(deal);
        for (destination, party, amount) in
            [(&self.seller, seller, to_seller), (&self.buyer, buyer, to_buyer)]
        {
            if amount == 0 {
                continue;
            }
            if self.can_receive(destination, party, mint, amount)? {
                if is_coin {
                    move_coin(account.as_ref(), destination, amount)?;
                } else {
                    self.move_tokens(account, destination, amount, &id, &bump)?;
                }
                continue;
            }
            let mut deal = account.load_mut()?;
            let credit = if party == seller { &mut deal.seller_credit } else { &mut deal.buyer_credit };
            *credit = credit.checked_add(amount).ok_or(Refusal::Broken)?;
            paid.credited.push(Credited { deal: id, creditor: party, mint, amount });
        }
        account.load()?.invariant()?;
        Ok(paid)
    }

    /// Closes a deal at the seller's total, which lies between what it has and what the buyer left.
    ///
    /// # Errors
    /// Accounts that are not the deal's.
    pub fn close_at(&self, account: &AccountLoader<'info, Deal>, seller_total: u64) -> Result<Paid> {
        let refunded = account.load()?.amount.checked_sub(seller_total).ok_or(Refusal::Broken)?;
        self.pay(account, Totals { released: seller_total, refunded })
    }

    /// That these accounts are the deal's.
    ///
    /// # Errors
    /// `WrongAccount`, `WrongAsset`.
    pub fn check(&self, deal: &Deal) -> Result<()> {
        require_keys_eq!(self.seller.key(), deal.seller_destination, Refusal::WrongAccount);
        require_keys_eq!(self.buyer.key(), deal.buyer_destination, Refusal::WrongAccount);
        let given = [&self.vault, &self.mint, &self.token_program];
        if deal.is_coin() {
            require!(given.iter().all(|account| account.is_none()), Refusal::WrongAsset);
            return Ok(());
        }
        for (account, expected) in given.into_iter().zip([deal.vault, deal.mint, deal.token_program]) {
            let account = account.as_ref().ok_or(Refusal::WrongAsset)?;
            require_keys_eq!(account.key(), expected, Refusal::WrongAccount);
        }
        Ok(())
    }

    /// Whether a payment to the destination would go through.
    fn can_receive(&self, to: &AccountInfo<'info>, party: Pubkey, mint: Pubkey, amount: u64) -> Result<bool> {
        let Some(vault) = &self.vault else { return can_hold(to, amount) };
        Ok(tokens::can_move(vault)? && tokens::can_receive(to, vault.owner, party, mint)?)
    }

    fn move_tokens(
        &self,
        deal: &AccountLoader<'info, Deal>,
        to: &AccountInfo<'info>,
        amount: u64,
        id: &[u8; 32],
        bump: &[u8; 1],
    ) -> Result<()> {
        let (Some(vault), Some(mint), Some(program)) = (&self.vault, &self.mint, &self.token_program) else {
            return err!(Refusal::WrongAsset);
        };
        let accounts = TransferChecked {
            from: vault.to_account_info(),
            mint: mint.to_account_info(),
            to: to.clone(),
            authority: deal.to_account_info(),
        };
        let seeds: &[&[u8]] = &[crate::state::seeds::DEAL, id, bump];
        let signer = &[seeds];
        let call = CpiContext::new_with_signer(program.key(), accounts, signer);
        token_interface::transfer_checked(call, amount, tokens::decimals(mint)?)
    }
}

/// Whether the runtime would let an account have that much more coin: no program, and not left below its rent.
fn can_hold(account: &AccountInfo<'_>, amount: u64) -> Result<bool> {
    let after = account.lamports().checked_add(amount);
    let rent = Rent::get()?.minimum_balance(account.data_len());
    Ok(!account.executable && after.is_some_and(|after| after >= rent))
}

/// Moves coin out of an account of this program.
///
/// # Errors
/// `TransferFailed` where it could not be held there.
pub fn send_coin<'info>(from: &AccountInfo<'info>, to: &AccountInfo<'info>, amount: u64) -> Result<()> {
    require!(can_hold(to, amount)?, Refusal::TransferFailed);
    move_coin(from, to, amount)
}

fn move_coin<'info>(from: &AccountInfo<'info>, to: &AccountInfo<'info>, amount: u64) -> Result<()> {
    let less = from.lamports().checked_sub(amount).ok_or(Refusal::Broken)?;
    let more = to.lamports().checked_add(amount).ok_or(Refusal::Broken)?;
    **from.try_borrow_mut_lamports()? = less;
    **to.try_borrow_mut_lamports()? = more;
    Ok(())
}
