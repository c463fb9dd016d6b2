//! A chain of either kind as a person meets it, through a node: what it holds, and transactions from one's own wallet.

use alloy::primitives::{B256, Bytes, U256};
use anyhow::{Result, bail};
use protocol::{
    chain::{AccountId, Address, ChainId, TransactionId},
    deal::DealState,
    evm::{address_of, call, escrow::Escrow},
    terms::Terms,
    wire::{dec, feed::FeedEntry},
};
use serde::Serialize;

use super::{evm, solana, wallet::Wallet};
use crate::exit::Failure;

/// A chain behind a JSON-RPC address.
#[derive(Clone, Debug)]
pub enum Chain {
    /// An EVM chain.
    Evm(evm::Chain),
    /// A Solana cluster.
    Solana(solana::Chain),
}

/// A chain and a wallet that signs transactions there.
#[derive(Clone, Debug)]
pub enum Purse {
    /// On an EVM chain.
    Evm(evm::Wallet),
    /// On Solana.
    Solana(solana::Wallet),
}

/// A transaction that is in a block and succeeded.
#[derive(Clone, Debug, Serialize)]
pub struct Sent {
    /// What it did, in a few words.
    pub what: String,
    /// What names it.
    pub transaction: TransactionId,
    /// The height of its block, or its slot.
    pub block: u64,
    /// Who sent it.
    pub from: Address,
    /// What the sender paid for the transaction itself, in the coin's smallest unit.
    #[serde(with = "dec")]
    pub fee_paid: u128,
    /// On Solana, what the sender put down for the accounts that the transaction made, in lamports.
    #[serde(with = "dec")]
    pub rent_paid: u128,
}

impl Chain {
    /// Connects and asks which chain it is.
    pub async fn connect(url: &str) -> Result<Self> {
        let not_evm = match evm::Chain::connect(url).await {
            Ok(chain) => return Ok(Self::Evm(chain)),
            Err(error) => error,
        };
        match solana::Chain::connect(url).await {
            Ok(Some(chain)) => Ok(Self::Solana(chain)),
            // Whoever is neither is told of as before there were two.
            Ok(None) | Err(_) => Err(not_evm),
        }
    }

    /// Its CAIP-2 id, as the node says.
    pub const fn id(&self) -> ChainId {
        match self {
            Self::Evm(chain) => chain.id,
            Self::Solana(chain) => chain.id,
        }
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        match self {
            Self::Evm(chain) => chain.url(),
            Self::Solana(chain) => chain.url(),
        }
    }

    /// The EVM chain that it has to be.
    pub fn evm(&self) -> Result<&evm::Chain> {
        match self {
            Self::Evm(chain) => Ok(chain),
            Self::Solana(chain) => bail!("--rpc {}: {} is not an EVM chain", chain.url(), chain.id),
        }
    }

    /// The balance in the coin's smallest unit at the newest block (on Solana: the newest confirmed one).
    pub async fn balance(&self, of: Address) -> Result<U256> {
        match self {
            Self::Evm(chain) => chain.balance(address_of("account", self.account(of))?).await,
            Self::Solana(chain) => Ok(U256::from(chain.balance(&solana::key("account", of)?).await?)),
        }
    }

    /// An address on this chain.
    pub const fn account(&self, address: Address) -> AccountId {
        AccountId { chain: self.id(), address }
    }

    /// The balance after a block. A Solana node remembers none but the newest: there it is that one, whatever the block.
    pub async fn balance_after(&self, of: Address, block: u64) -> Result<U256> {
        match self {
            Self::Evm(chain) => chain.balance_at(address_of("account", self.account(of))?, block).await,
            Self::Solana(_) => self.balance(of).await,
        }
    }

    /// The height of the newest block, or the newest confirmed slot.
    pub async fn height(&self) -> Result<u64> {
        match self {
            Self::Evm(chain) => chain.height().await,
            Self::Solana(chain) => chain.slot().await,
        }
    }

    /// The chain's time in Unix seconds.
    pub async fn now(&self) -> Result<u64> {
        match self {
            Self::Evm(chain) => chain.now().await,
            Self::Solana(chain) => chain.now().await,
        }
    }

    /// What the escrow keeps of a deal.
    pub async fn deal_state(&self, terms: &Terms, deal: B256) -> Result<DealState> {
        match self {
            Self::Evm(chain) => {
                let told = chain.read(call::escrow_of(terms)?, &Escrow::stateOfCall { deal }).await?;
                Ok(DealState::try_from(&told)?)
            }
            Self::Solana(chain) => chain.deal_state(deal).await,
        }
    }

    /// Every event of the deal that the escrow itself tells, oldest first. `from_block` may be any up to the funding.
    pub async fn deal_events(
        &self,
        escrow: AccountId,
        deal: B256,
        from_block: u64,
    ) -> Result<Vec<FeedEntry>> {
        match self {
            Self::Evm(chain) => evm::facts::events(chain, escrow, deal, from_block).await,
            Self::Solana(chain) => solana::facts::events(chain, deal).await,
        }
    }

    /// The block of a transaction; none where the chain does not know it.
    pub async fn block_of(&self, transaction: TransactionId) -> Result<Option<u64>> {
        match (self, transaction) {
            (Self::Evm(chain), TransactionId::Evm(hash)) => {
                Ok(chain.receipt(hash).await?.and_then(|receipt| receipt.block_number))
            }
            (Self::Solana(chain), TransactionId::Solana(signature)) => chain.slot_of(&signature).await,
            _ => Ok(None),
        }
    }

    /// Whether the escrow here runs the code in this binary and nobody can change it.
    pub async fn runs_escrow(&self, escrow: AccountId) -> Result<bool> {
        match self {
            Self::Evm(chain) => chain.runs(address_of("escrow", escrow)?, Escrow::BYTECODE.clone()).await,
            Self::Solana(chain) => {
                let found = solana::program::look(chain, &solana::key("escrow", escrow.address)?).await?;
                Ok(found.is_ours() && found.is_fixed())
            }
        }
    }

    /// Whether the contract at `wallet` holds the signature of `hash` good.
    pub async fn contract_accepts(&self, wallet: AccountId, hash: B256, signature: Bytes) -> Result<bool> {
        match self {
            Self::Evm(chain) => evm::facts::contract_accepts(chain, wallet, hash, signature).await,
            // Accounts of programs approve on chain and sign nothing.
            Self::Solana(_) => Ok(false),
        }
    }

    /// The same chain with a wallet that signs.
    pub fn signed_by(&self, wallet: &Wallet) -> Result<Purse> {
        match self {
            Self::Evm(chain) => Ok(Purse::Evm(chain.signed_by(wallet.evm()?)?)),
            Self::Solana(chain) => Ok(Purse::Solana(chain.signed_by(wallet.solana()?))),
        }
    }

    /// An error where this is not the chain that it has to be.
    pub fn must_be(&self, chain: ChainId, of: &str) -> Result<()> {
        if self.id() == chain {
            return Ok(());
        }
        bail!("--rpc {}: it is chain {}, and {of} is on {chain}", self.url(), self.id())
    }
}

impl Purse {
    /// The wallet's address.
    pub fn address(&self) -> Address {
        match self {
            Self::Evm(wallet) => wallet.address.into(),
            Self::Solana(wallet) => wallet.address(),
        }
    }

    /// The chain.
    pub fn chain(&self) -> Chain {
        match self {
            Self::Evm(wallet) => Chain::Evm(wallet.chain.clone()),
            Self::Solana(wallet) => Chain::Solana(wallet.chain.clone()),
        }
    }

    /// Pays coin to each of them and waits until all have it.
    pub async fn pay(&self, payments: &[(Address, u128)]) -> Result<()> {
        match self {
            Self::Evm(wallet) => {
                let known = |address| AccountId { chain: wallet.chain.id, address };
                let each = payments
                    .iter()
                    .map(|(to, value)| Ok((address_of("account", known(*to))?, U256::from(*value))));
                wallet.pay(&each.collect::<Result<Vec<_>>>()?).await
            }
            Self::Solana(wallet) => wallet.pay(payments).await,
        }
    }
}

/// Nobody answers at a URL.
pub fn silent(url: &str, why: impl std::fmt::Display) -> anyhow::Error {
    Failure::unreachable(format!("no chain answers at {url}: {why}"))
}
