//! The accounts. All are of this program, at addresses that follow from what they are about.

use anchor_lang::{
    prelude::*,
    system_program::{self, Allocate, Assign, CreateAccount, Transfer},
};

pub mod consent;
pub mod deal;
pub mod jury;
pub mod list;
pub mod pool;
pub mod seeds;

pub use consent::Consent;
pub use deal::{Deal, Status};
pub use jury::{Jury, Stage};
pub use list::List;
pub use pool::{Pool, RuleBook};

/// The arbiter that terms name when the pools of this program are to rule. Nobody can sign for it.
pub const ARBITER: Pubkey = address_of(seeds::ARBITER).0;

/// To whom a buyer of tokens gives an allowance if it wants to fund by signature, with its bump. The program signs for it
/// in a funding that the buyer signed, and nowhere else.
pub const ALLOWANCE: (Pubkey, u8) = address_of(seeds::ALLOWANCE);

const fn address_of(seed: &[u8]) -> (Pubkey, u8) {
    let (address, bump) = anchor_lang::derive_program_address(&[seed], crate::ID.as_array());
    (Pubkey::new_from_array(address), bump)
}

/// Whether nothing is at the address: whatever coin somebody sent there.
pub fn is_empty(account: &AccountInfo<'_>) -> bool {
    account.owner == &system_program::ID && account.data_is_empty()
}

/// Creates an account at a derived address, with the discriminator of `discriminator` at its start and `lamports` on top
/// of its rent. Coin that somebody sent there before is taken as part of that, so that nobody can be kept from creating it.
///
/// # Errors
/// The payer has too little.
pub fn create<'info>(
    account: &AccountInfo<'info>,
    payer: &AccountInfo<'info>,
    owner: &Pubkey,
    seeds: &[&[u8]],
    space: usize,
    lamports: u64,
    discriminator: &[u8],
) -> Result<()> {
    let space_of = u64::try_from(space).unwrap_or(u64::MAX);
    let needed = Rent::get()?.minimum_balance(space).saturating_add(lamports);
    let there = account.lamports();
    let signer: &[&[&[u8]]] = &[seeds];
    if there == 0 {
        let accounts = CreateAccount { from: payer.clone(), to: account.clone() };
        let call = CpiContext::new_with_signer(system_program::ID, accounts, signer);
        system_program::create_account(call, needed, space_of, owner)?;
    } else {
        let missing = needed.saturating_sub(there);
        if missing > 0 {
            let accounts = Transfer { from: payer.clone(), to: account.clone() };
            system_program::transfer(CpiContext::new(system_program::ID, accounts), missing)?;
        }
        let accounts = Allocate { account_to_allocate: account.clone() };
        system_program::allocate(
            CpiContext::new_with_signer(system_program::ID, accounts, signer),
            space_of,
        )?;
        let accounts = Assign { account_to_assign: account.clone() };
        system_program::assign(CpiContext::new_with_signer(system_program::ID, accounts, signer), owner)?;
    }
    if !discriminator.is_empty() {
        account.try_borrow_mut_data()?[..discriminator.len()].copy_from_slice(discriminator);
    }
    Ok(())
}
