//! What differs between kinds of chain, behind names that do not.
//!
//! Identifiers ([`ChainId`], [`AccountId`], [`AssetId`], [`Address`], [`TransactionId`]) read and write the texts of every
//! kind. Below them stand the entry points for whoever needs a deal's id or the word on a signature and does not care
//! which kind of chain the deal is on: [`deal_id`], [`pool_id`], [`case_id`], [`event_id`], [`event_order`], [`misfits`], [`amount_cap`],
//! [`stride`], [`terms_signature`], [`act_signature`], [`ballot_signature`], [`appeal_signature`].

mod address;
mod caip;
mod signature;

use alloy::primitives::B256;

pub use address::{Address, NameError, TransactionId};
pub use caip::{AccountId, AssetId, CaipError, ChainId, Cluster};
pub use signature::{
    NotSigned, Signed, act_digest, act_signature, appeal_signature, ballot_form, ballot_signature,
    terms_signature,
};

use crate::{evm, solana, terms::Terms, wire::feed::RuleBook};

/// A chain of a kind on which this cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not supported on the chain {0}")]
pub struct UnsupportedChain(pub ChainId);

/// Why terms have no form on their escrow's chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// A number does not fit the contract's field.
    #[error("{field} {value} is above {max}")]
    TooLarge {
        /// The field of the terms.
        field: &'static str,
        /// Its value.
        value: u128,
        /// The largest value it may have.
        max: u128,
    },
    /// An account or asset on another chain than the escrow, or of another kind than that chain's.
    #[error("{field} {value} is not on the escrow's chain {chain}")]
    OtherChain {
        /// The field of the terms.
        field: &'static str,
        /// Its value.
        value: String,
        /// The escrow's chain.
        chain: ChainId,
    },
    /// The escrow's chain.
    #[error(transparent)]
    UnsupportedChain(#[from] UnsupportedChain),
}

impl TermsError {
    /// The rule's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "TooLarge",
            Self::OtherChain { .. } => "OtherChain",
            Self::UnsupportedChain(_) => "UnsupportedChain",
        }
    }
}

/// Everything for which these terms have no form on their escrow's chain.
pub fn misfits(terms: &Terms) -> Vec<TermsError> {
    match terms.escrow.chain {
        ChainId::Eip155(_) => evm::misfits(terms).collect(),
        ChainId::Solana(_) => solana::misfits(terms).collect(),
    }
}

/// The deal's id, which binds all of the terms.
///
/// # Errors
/// The first of the [`misfits`].
pub fn deal_id(terms: &Terms) -> Result<B256, TermsError> {
    match terms.escrow.chain {
        ChainId::Eip155(_) => evm::deal_id(terms),
        ChainId::Solana(_) => solana::deal_id(terms),
    }
}

/// The id of the pool that this rule book makes on a chain.
///
/// # Errors
/// A keeper of another kind of chain.
pub fn pool_id(chain: ChainId, book: &RuleBook) -> Result<B256, TermsError> {
    match chain {
        _ if !chain.has(book.keeper) => {
            Err(TermsError::OtherChain { field: "keeper", value: book.keeper.to_string(), chain })
        }
        ChainId::Eip155(_) => Ok(evm::pool_id(book)),
        ChainId::Solana(_) => solana::pool_id(chain, book),
    }
}

/// The id of one jury of a case, to which its ballots are bound. `seed` is that of the jury's draw.
///
/// # Errors
/// An escrow that is not of its chain's kind.
pub fn case_id(
    pool: B256,
    escrow: AccountId,
    deal: B256,
    instance: u8,
    jury: u8,
    seed: B256,
) -> Result<B256, TermsError> {
    match escrow.chain {
        ChainId::Eip155(_) => evm::case_id(pool, escrow, deal, instance, jury, seed),
        ChainId::Solana(_) => Ok(solana::case_id(pool, deal, instance, jury, seed)),
    }
}

/// Identity of an event: the same in every indexer. `index` is the event's place in its block, and on a chain without
/// logs in its transaction.
///
/// # Errors
/// A chain on which there are no events of ours.
pub fn event_id(
    chain: ChainId,
    block_hash: B256,
    transaction: TransactionId,
    index: u64,
) -> Result<B256, UnsupportedChain> {
    match chain {
        ChainId::Eip155(_) => evm::event_id(chain, block_hash, index),
        ChainId::Solana(_) => match transaction.solana() {
            Some(signature) => Ok(solana::event_id(&signature, index)),
            None => Err(UnsupportedChain(chain)),
        },
    }
}

/// What puts the events of a chain in its order, given the height of the block and the event's place. Nothing in an event
/// tells the order of transactions of one slot: those of Solana that are equal in this come as the feed tells them.
pub const fn event_order(chain: ChainId, block_number: u64, index: u64) -> (u64, u64) {
    match chain {
        ChainId::Eip155(_) => (block_number, index),
        ChainId::Solana(_) => (block_number, 0),
    }
}

/// The largest amount of a deal on a chain, in the asset's smallest unit.
pub const fn amount_cap(chain: ChainId) -> u128 {
    match chain {
        ChainId::Eip155(_) => evm::AMOUNT_MAX,
        ChainId::Solana(_) => solana::AMOUNT_MAX,
    }
}

/// By a multiple of how many blocks (slots) the target of a draw moves when its hash is no longer known.
pub const fn stride(chain: ChainId) -> u64 {
    match chain {
        ChainId::Eip155(_) => evm::STRIDE,
        ChainId::Solana(_) => solana::STRIDE,
    }
}
