//! Tokens that come in: from the buyer's account, with the buyer's signature of the transaction or by its allowance, into
//! a vault of the deal's own. What arrives is measured.

use anchor_lang::{prelude::*, solana_program::program_pack::Pack};
use anchor_spl::{
    associated_token::get_associated_token_address_with_program_id,
    token_2022::spl_token_2022::state::Account,
    token_interface::{self, InitializeAccount3, TransferChecked},
};

use crate::{
    errors::Refusal,
    instructions::Fund,
    state::{self, seeds},
    terms::Terms,
    tokens,
};

/// What a deal of tokens keeps of its intake.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// What holds the tokens.
    pub vault: Pubkey,
    /// The program of the mint.
    pub token_program: Pubkey,
    /// Where the seller is paid.
    pub seller: Pubkey,
    /// Where the buyer is paid.
    pub buyer: Pubkey,
}

/// Makes the vault of a deal of tokens and moves the amount in.
///
/// # Errors
/// `UnsafeMint`, `WrongAsset`, `TransferFailed`, `IntakeMismatch`.
pub fn take(accounts: &Fund<'_>, terms: &Terms, id: &[u8; 32]) -> Result<Taken> {
    let (Some(mint), Some(vault), Some(source), Some(program)) = (
        &accounts.tokens.mint,
        &accounts.tokens.vault,
        &accounts.tokens.source,
        &accounts.tokens.token_program,
    ) else {
        return err!(Refusal::WrongAsset);
    };
    require_keys_eq!(program.key(), *mint.owner, Refusal::WrongAsset);
    tokens::check_mint(mint)?;
    let (address, bump) = Pubkey::find_program_address(&[seeds::VAULT, id], &crate::ID);
    require_keys_eq!(vault.key(), address, Refusal::WrongAccount);

    let in_person = accounts.buyer.is_signer;
    let giver = if in_person { terms.buyer } else { state::ALLOWANCE.0 };
    let can_give = tokens::can_give(source, program.key, terms.buyer, giver, terms.amount)?;
    require!(can_give, Refusal::TransferFailed);

    let signer: &[&[u8]] = &[seeds::VAULT, id, &[bump]];
    state::create(vault, &accounts.payer, program.key, signer, Account::LEN, 0, &[])?;
    let fresh = InitializeAccount3 {
        account: vault.to_account_info(),
        mint: mint.to_account_info(),
        authority: accounts.deal.to_account_info(),
    };
    token_interface::initialize_account3(CpiContext::new(program.key(), fresh))?;
    // Of wrapped SOL, coin that somebody sent to the vault's address before counts as tokens in it.
    let before = tokens::balance(vault)?;

    let authority = match &accounts.tokens.allowance {
        _ if in_person => accounts.buyer.to_account_info(),
        Some(allowance) => allowance.to_account_info(),
        None => return err!(Refusal::WrongAsset),
    };
    let transfer = TransferChecked {
        from: source.to_account_info(),
        mint: mint.to_account_info(),
        to: vault.to_account_info(),
        authority,
    };
    let allowance: &[&[u8]] = &[seeds::ALLOWANCE, &[state::ALLOWANCE.1]];
    let signers = [allowance];
    let call = CpiContext::new_with_signer(program.key(), transfer, &signers);
    token_interface::transfer_checked(call, terms.amount, tokens::decimals(mint)?)?;
    let received = tokens::balance(vault)?.checked_sub(before);
    require!(received == Some(terms.amount), Refusal::IntakeMismatch);

    let destination =
        |owner: &Pubkey| get_associated_token_address_with_program_id(owner, mint.key, program.key);
    Ok(Taken {
        vault: address,
        token_program: program.key(),
        seller: destination(&terms.seller),
        buyer: destination(&terms.buyer),
    })
}
