//! Where everything lies: addresses that follow from what is there.

use alloy::primitives::B256;
use anchor_lang::prelude::Pubkey;
use anchor_spl::associated_token::get_associated_token_address_with_program_id;
use earnest_program::state::{self, seeds};

fn derived(seeds: &[&[u8]]) -> Pubkey {
    Pubkey::find_program_address(seeds, &program()).0
}

/// The program, which is the escrow that terms name.
pub fn program() -> Pubkey {
    earnest_program::ID
}

/// The arbiter that terms name for the pools of the program.
pub const fn arbiter() -> Pubkey {
    state::ARBITER
}

/// To whom a buyer of tokens gives an allowance that wants to fund by signature.
pub const fn allowance() -> Pubkey {
    state::ALLOWANCE.0
}

/// Who signs the program's events.
pub const fn event_authority() -> Pubkey {
    earnest_program::EVENT_AUTHORITY_AND_BUMP.0
}

/// A deal's account.
pub fn deal(id: B256) -> Pubkey {
    derived(&[seeds::DEAL, id.as_slice()])
}

/// The vault of a deal of tokens.
pub fn vault(id: B256) -> Pubkey {
    derived(&[seeds::VAULT, id.as_slice()])
}

/// A jury of a deal's case by how many juries that had before, at most three.
pub fn jury(id: B256, ordinal: u8) -> Pubkey {
    derived(&[seeds::JURY, id.as_slice(), &[ordinal]])
}

/// A pool's account.
pub fn pool(id: B256) -> Pubkey {
    derived(&[seeds::POOL, id.as_slice()])
}

/// A pool's list by its index.
pub fn list(pool: B256, index: u32) -> Pubkey {
    derived(&[seeds::LIST, pool.as_slice(), &index.to_le_bytes()])
}

/// What somebody says of a digest.
pub fn consent(signer: &Pubkey, digest: B256) -> Pubkey {
    derived(&[seeds::CONSENT, signer.as_ref(), digest.as_slice()])
}

/// Where payouts of a token go.
pub fn associated_token(owner: &Pubkey, mint: &Pubkey, token_program: &Pubkey) -> Pubkey {
    get_associated_token_address_with_program_id(owner, mint, token_program)
}
