//! The instructions of a pool and its lists.

use alloy::primitives::B256;
use anchor_lang::{prelude::Pubkey, system_program};
use earnest_program::{accounts, instruction as data, state::RuleBook};

use super::{Instruction, instruction};
use crate::solana::{address, event_authority, program};

/// Members that one transaction has room for beside one signature.
pub const LARGEST_CHUNK: usize = 28;

/// Makes a pool of a rule book.
pub fn create_pool(payer: Pubkey, book: RuleBook) -> Instruction {
    let accounts = accounts::CreatePool {
        payer,
        pool: address::pool(B256::new(book.id())),
        parent: (book.parent != [0; 32]).then(|| address::pool(B256::new(book.parent))),
        system_program: system_program::ID,
        event_authority: event_authority(),
        program: program(),
    };
    instruction(accounts, data::CreatePool { book })
}

/// Begins list `index` of a pool, which has that many.
pub fn create_list(keeper: Pubkey, pool: B256, index: u32) -> Instruction {
    let accounts = accounts::CreateList {
        pool: address::pool(pool),
        keeper,
        list: address::list(pool, index),
        system_program: system_program::ID,
    };
    instruction(accounts, data::CreateList {})
}

/// Adds members to a list that has `start`; at most [`LARGEST_CHUNK`] fit a transaction.
pub fn add_members(keeper: Pubkey, pool: B256, index: u32, start: u32, members: Vec<Pubkey>) -> Instruction {
    let accounts = accounts::AddMembers {
        pool: address::pool(pool),
        keeper,
        list: address::list(pool, index),
        system_program: system_program::ID,
    };
    let args = earnest_program::AddMembersArgs { start, members };
    instruction(accounts, data::AddMembers { args })
}

/// Drops a list that is not published.
pub fn discard_list(keeper: Pubkey, pool: B256, index: u32, rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::DiscardList {
        pool: address::pool(pool),
        keeper,
        list: address::list(pool, index),
        rent_payer,
    };
    instruction(accounts, data::DiscardList {})
}

/// Publishes a list.
pub fn publish_list(keeper: Pubkey, pool: B256, index: u32) -> Instruction {
    let accounts = accounts::PublishList {
        pool: address::pool(pool),
        keeper,
        list: address::list(pool, index),
        event_authority: event_authority(),
        program: program(),
    };
    instruction(accounts, data::PublishList {})
}
