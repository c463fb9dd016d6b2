//! What people do with the escrow and the pools, from a wallet, on whichever chain the deal or the pool is.

use alloy::primitives::{B256, Bytes, U256};
use anyhow::{Result, bail};
use protocol::{
    chain::{AccountId, Address, pool_id},
    evm::{address_of, pools::ArbitrationPools},
    terms::Terms,
    wire::feed::RuleBook,
};

use super::{
    chain::{Chain, Purse, Sent},
    evm, solana,
};

/// What is done to a deal after it is funded.
#[derive(Clone, Debug)]
pub enum Act {
    /// The seller delivered what hashes to this.
    Deliver(B256),
    /// The buyer raises the seller's total to this.
    Release(u128),
    /// The seller raises the buyer's total to this.
    Refund(u128),
    /// A party disputes with evidence that hashes to this.
    Dispute(B256),
    /// A party points at evidence: its hash and where it is.
    Evidence(B256, String),
    /// Not delivered in time: everything left to the buyer.
    Reclaim,
    /// Not disputed in time: everything left to the seller.
    Claim,
    /// Not ruled in time: the share that the terms name.
    Lapse,
    /// Terms that are not funded become worthless.
    Retract,
}

impl Act {
    /// In a word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Deliver(_) => "deliver",
            Self::Release(_) => "release",
            Self::Refund(_) => "refund",
            Self::Dispute(_) => "dispute",
            Self::Evidence(..) => "evidence",
            Self::Reclaim => "reclaim",
            Self::Claim => "claim",
            Self::Lapse => "lapse",
            Self::Retract => "retract",
        }
    }
}

/// What is done to a case at the pools of the terms.
#[derive(Clone, Copy, Debug)]
pub enum Motion {
    /// The first jury's voting is over without a ruling: call the second one.
    SecondJury,
    /// The instance is over without a ruling: its last word.
    Conclude,
    /// A party brings the accepted ruling before the parent pool.
    Appeal,
    /// The time for appeal is over: tell the escrow.
    Execute,
}

impl Motion {
    /// In a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SecondJury => "open the second jury",
            Self::Conclude => "conclude",
            Self::Appeal => "appeal",
            Self::Execute => "execute",
        }
    }
}

/// Does it to a deal in a transaction.
pub async fn act(purse: &Purse, terms: &Terms, act: Act) -> Result<Sent> {
    purse.chain().must_be(terms.escrow.chain, "the deal")?;
    match purse {
        Purse::Evm(wallet) => evm::contracts::act(wallet, terms, act).await,
        Purse::Solana(wallet) => solana::program::act(wallet, terms, act).await,
    }
}

/// Does it to a case in a transaction.
pub async fn hear(purse: &Purse, terms: &Terms, motion: Motion) -> Result<Sent> {
    purse.chain().must_be(terms.escrow.chain, "the deal")?;
    match purse {
        Purse::Evm(wallet) => evm::contracts::hear(wallet, terms, motion).await,
        Purse::Solana(wallet) => solana::program::hear(wallet, terms, motion).await,
    }
}

/// The buyer funds a deal.
pub async fn fund(purse: &Purse, terms: &Terms, seller_signature: Bytes) -> Result<Vec<Sent>> {
    purse.chain().must_be(terms.escrow.chain, "the deal")?;
    match purse {
        Purse::Evm(wallet) => evm::contracts::fund(wallet, terms, seller_signature).await,
        Purse::Solana(wallet) => Ok(vec![solana::program::fund(wallet, terms, &seller_signature).await?]),
    }
}

/// Creates a pool with these rules. One that exists already is fine and costs nothing.
pub async fn create_pool(purse: &Purse, pools: AccountId, book: &RuleBook) -> Result<(B256, Option<Sent>)> {
    purse.chain().must_be(pools.chain, "--arbiter")?;
    let pool = pool_id(pools.chain, book)?;
    if lists(&purse.chain(), pools, pool).await?.is_some() {
        return Ok((pool, None));
    }
    let sent = match purse {
        Purse::Evm(wallet) => evm::contracts::create_pool(wallet, pools, book).await?,
        Purse::Solana(wallet) => solana::program::create_pool(wallet, book).await?,
    };
    Ok((pool, Some(sent)))
}

/// How many lists a pool has; none where there is no such pool.
pub async fn lists(chain: &Chain, pools: AccountId, pool: B256) -> Result<Option<u32>> {
    match chain {
        Chain::Evm(chain) => {
            let asked = ArbitrationPools::listCountCall { pool };
            let count = chain.read(address_of("arbiter", pools)?, &asked).await.ok();
            Ok(count.map(|count| U256::from(count).saturating_to()))
        }
        Chain::Solana(chain) => Ok(chain.pool(pool).await?.map(|(_, lists)| lists)),
    }
}

/// Publishes the next member list of a pool and answers its index.
pub async fn publish(
    purse: &Purse,
    pools: AccountId,
    pool: B256,
    members: &[Address],
) -> Result<(u32, Vec<Sent>)> {
    purse.chain().must_be(pools.chain, "--arbiter")?;
    if members.is_empty() {
        bail!("--member: a list needs members, at least 2 * jury size + 2");
    }
    let mut members = members.to_vec();
    members.sort_unstable();
    members.dedup();
    match purse {
        Purse::Evm(wallet) => {
            let known =
                |member: &Address| address_of("member", AccountId { chain: pools.chain, address: *member });
            let members = members.iter().map(known).collect::<Result<Vec<_>, _>>()?;
            evm::contracts::publish(wallet, pools, pool, &members).await
        }
        Purse::Solana(wallet) => {
            let members = members.iter().map(|member| solana::key("member", *member));
            solana::program::publish(wallet, pool, &members.collect::<Result<Vec<_>>>()?).await
        }
    }
}
