//! A Solana cluster as a person meets it: balances, transactions from one's own wallet, and refusals in words.
//!
//! - `rpc.rs`: JSON-RPC, and what a node knows
//! - `send.rs`: a wallet's transactions
//! - `program.rs`: what is done at the program, and whether it is ours
//! - `facts.rs`: what the chain says of a deal

pub mod facts;
pub mod program;
mod rpc;
mod send;

use anyhow::{Result, anyhow};
use protocol::{chain::Address, solana::Pubkey};

pub use rpc::{Account, Chain};
pub use send::Wallet;

/// A key of Solana; the error names what should have been one.
pub fn key(what: &str, address: Address) -> Result<Pubkey> {
    let key = address.solana().map(Pubkey::new_from_array);
    key.ok_or_else(|| anyhow!("{what} {address}: must be an address of Solana, base58 of 32 bytes"))
}
