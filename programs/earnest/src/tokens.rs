//! Tokens of either token program: which mints are safe to hold, and which accounts can give and take.

use anchor_lang::{prelude::*, solana_program::program_option::COption};
use anchor_spl::token_2022::spl_token_2022::{
    extension::{
        cpi_guard::CpiGuard, memo_transfer::memo_required, BaseStateWithExtensions, ExtensionType,
        StateWithExtensions,
    },
    state::{Account, AccountState, Mint},
};

use crate::errors::Refusal;

/// Extensions of a mint that cannot move, withhold or change what somebody holds. All others are refused, those that are
/// yet to be invented among them.
const SAFE: [ExtensionType; 8] = [
    ExtensionType::MetadataPointer,
    ExtensionType::TokenMetadata,
    ExtensionType::GroupPointer,
    ExtensionType::TokenGroup,
    ExtensionType::GroupMemberPointer,
    ExtensionType::TokenGroupMember,
    // These two change how an amount is shown, not the amount.
    ExtensionType::InterestBearingConfig,
    ExtensionType::ScaledUiAmount,
];

/// That a mint can be held in escrow.
///
/// # Errors
/// `UnsafeMint`; `WrongAsset` where it is no mint of a token program.
pub fn check_mint(mint: &AccountInfo<'_>) -> Result<()> {
    let known = [anchor_spl::token::ID, anchor_spl::token_2022::ID];
    require!(known.contains(mint.owner), Refusal::WrongAsset);
    let data = mint.try_borrow_data()?;
    let mint = StateWithExtensions::<Mint>::unpack(&data).map_err(|_| Refusal::WrongAsset)?;
    let extensions = mint.get_extension_types().map_err(|_| Refusal::UnsafeMint)?;
    require!(extensions.iter().all(|extension| SAFE.contains(extension)), Refusal::UnsafeMint);
    Ok(())
}

/// Decimals of a mint.
///
/// # Errors
/// No mint.
pub fn decimals(mint: &AccountInfo<'_>) -> Result<u8> {
    let data = mint.try_borrow_data()?;
    let mint = StateWithExtensions::<Mint>::unpack(&data).map_err(|_| Refusal::WrongAsset)?;
    Ok(mint.base.decimals)
}

/// What an account of tokens holds.
///
/// # Errors
/// No account of tokens.
pub fn balance(account: &AccountInfo<'_>) -> Result<u64> {
    let data = account.try_borrow_data()?;
    let account = StateWithExtensions::<Account>::unpack(&data).map_err(|_| Refusal::WrongAsset)?;
    Ok(account.base.amount)
}

/// Whether a vault can give: nobody froze it.
///
/// # Errors
/// No account of tokens.
pub fn can_move(vault: &AccountInfo<'_>) -> Result<bool> {
    let data = vault.try_borrow_data()?;
    let vault = StateWithExtensions::<Account>::unpack(&data).map_err(|_| Refusal::WrongAsset)?;
    Ok(vault.base.state == AccountState::Initialized)
}

/// Whether an account can take tokens of this mint for this party: it is there, it is the party's, nobody froze it, and it
/// asks for no memo.
///
/// # Errors
/// The account's data is in use.
pub fn can_receive(account: &AccountInfo<'_>, program: &Pubkey, party: Pubkey, mint: Pubkey) -> Result<bool> {
    if account.owner != program {
        return Ok(false);
    }
    let data = account.try_borrow_data()?;
    let Ok(account) = StateWithExtensions::<Account>::unpack(&data) else { return Ok(false) };
    Ok(account.base.mint == mint
        && account.base.owner == party
        && account.base.state == AccountState::Initialized
        && !memo_required(&account))
}

/// Whether `giver` can move `amount` out of an account of `owner`: as the owner itself, or by an allowance.
///
/// # Errors
/// The account's data is in use.
pub fn can_give(
    account: &AccountInfo<'_>,
    program: &Pubkey,
    owner: Pubkey,
    giver: Pubkey,
    amount: u64,
) -> Result<bool> {
    if account.owner != program {
        return Ok(false);
    }
    let data = account.try_borrow_data()?;
    let Ok(account) = StateWithExtensions::<Account>::unpack(&data) else { return Ok(false) };
    let base = &account.base;
    // Whoever guards its account against calls of programs cannot pay through one as its owner.
    let guarded = account.get_extension::<CpiGuard>().is_ok_and(|guard| bool::from(guard.lock_cpi));
    let allowed = if giver == owner {
        !guarded
    } else {
        base.delegate == COption::Some(giver) && base.delegated_amount >= amount
    };
    Ok(base.owner == owner && base.state == AccountState::Initialized && base.amount >= amount && allowed)
}
