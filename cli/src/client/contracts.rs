//! What people do with the escrow and the pools, from a wallet.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolEvent,
};
use anyhow::{Result, anyhow, bail};
use protocol::{
    chain::{AccountId, pool_id},
    evm::{address_of, call, deployment, pools::ArbitrationPools},
    terms::Terms,
    wire::feed::RuleBook,
};
use serde::{Deserialize, Serialize};

use super::{
    chain::{Sent, Wallet},
    deployment::{Placed, start_block},
};

/// The contracts of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The escrow.
    pub escrow: Address,
    /// The arbitration pools.
    pub pools: Address,
    /// A height below which there is nothing of ours.
    pub start_block: u64,
}

impl Deployment {
    /// The published contracts, once they are on the chain.
    pub fn of(placed: &[Placed]) -> Result<Self> {
        let at = |name: &str| {
            let one = placed.iter().find(|one| one.contract.name == name);
            one.map(|one| one.contract.address).ok_or_else(|| anyhow!("no {name} was deployed"))
        };
        Ok(Self {
            escrow: at(deployment::ESCROW)?,
            pools: at(deployment::POOLS)?,
            start_block: start_block(placed).unwrap_or_default(),
        })
    }
}

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

/// Does it in a transaction.
pub async fn act(wallet: &Wallet, terms: &Terms, act: Act) -> Result<Sent> {
    let (what, data) = match act {
        Act::Deliver(delivery) => ("deliver", call::deliver(terms, delivery, None)?),
        Act::Release(total) => ("release", call::release(terms, total, None)?),
        Act::Refund(total) => ("refund", call::refund(terms, total, None)?),
        Act::Dispute(evidence) => ("dispute", call::dispute(terms, evidence, None)?),
        Act::Evidence(hash, uri) => ("evidence", call::evidence(terms, hash, uri, None)?),
        Act::Reclaim => ("reclaim", call::reclaim(terms)?),
        Act::Claim => ("claim", call::claim(terms)?),
        Act::Lapse => ("lapse", call::lapse(terms)?),
        Act::Retract => ("retract", call::retract(terms)?),
    };
    Ok(wallet.call(what, call::escrow_of(terms)?, data, U256::ZERO).await?.0)
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

/// Does it in a transaction.
pub async fn hear(wallet: &Wallet, terms: &Terms, motion: Motion) -> Result<Sent> {
    let (what, data) = match motion {
        Motion::SecondJury => ("open the second jury", call::open_second_jury(terms)?),
        Motion::Conclude => ("conclude", call::conclude(terms)?),
        Motion::Appeal => ("appeal", call::appeal(terms, None)?),
        Motion::Execute => ("execute", call::execute(terms)?),
    };
    Ok(wallet.call(what, address_of("arbiter", terms.arbiter)?, data, U256::ZERO).await?.0)
}

mod erc20 {
    alloy::sol! {
        function allowance(address owner, address spender) external view returns (uint256);
        function approve(address spender, uint256 amount) external returns (bool);
    }
}

/// The buyer funds a deal, in native coin or in tokens, whose allowance is raised first where needed.
pub async fn fund(wallet: &Wallet, terms: &Terms, seller_signature: Bytes) -> Result<Vec<Sent>> {
    use alloy::sol_types::SolCall;
    let (escrow, amount) = (call::escrow_of(terms)?, U256::from(terms.amount));
    let mut sent = Vec::new();
    if let Some(token) = terms.asset.token {
        let token = address_of("asset", AccountId { chain: terms.asset.chain, address: token })?;
        let asked = erc20::allowanceCall { owner: wallet.address, spender: escrow };
        if wallet.chain.read(token, &asked).await? < amount {
            let approve = erc20::approveCall { spender: escrow, amount }.abi_encode();
            sent.push(wallet.call("approve", token, approve.into(), U256::ZERO).await?.0);
        }
    }
    let data = call::fund(terms, seller_signature)?;
    sent.push(wallet.call("fund", escrow, data, call::fund_value(terms)).await?.0);
    Ok(sent)
}

/// Creates a pool with these rules. One that exists already is fine and costs nothing.
pub async fn create_pool(wallet: &Wallet, pools: AccountId, book: &RuleBook) -> Result<(B256, Option<Sent>)> {
    let pool = pool_id(pools.chain, book)?;
    let pools = address_of("arbiter", pools)?;
    if wallet.chain.read(pools, &ArbitrationPools::listCountCall { pool }).await.is_ok() {
        return Ok((pool, None));
    }
    let sent = wallet.call("create the pool", pools, call::create_pool(book)?, U256::ZERO).await?.0;
    Ok((pool, Some(sent)))
}

/// The most members of one page of a list.
const PAGE_MAX: usize = 1_200;

/// Publishes the next member list of a pool and answers its index.
pub async fn publish(
    wallet: &Wallet,
    pools: AccountId,
    pool: B256,
    members: &[Address],
) -> Result<(u32, Vec<Sent>)> {
    let pools = address_of("arbiter", pools)?;
    if members.is_empty() {
        bail!("--member: a list needs members, at least 2 * jury size + 2");
    }
    let mut members = members.to_vec();
    members.sort_unstable();
    members.dedup();
    let (mut pages, mut sent) = (Vec::new(), Vec::new());
    for page in members.chunks(PAGE_MAX) {
        // A page's address depends on its members alone, so a dry run tells it.
        let dry_run = ArbitrationPools::storePageCall { members: page.to_vec() };
        let address = wallet.chain.read(pools, &dry_run).await?;
        if !wallet.chain.has_code(address).await? {
            let data = call::store_page(page.to_vec());
            sent.push(wallet.call("store the member list", pools, data, U256::ZERO).await?.0);
        }
        pages.push(address);
    }
    let data = call::publish(pool, pages);
    let (published, receipt) = wallet.call("publish the member list", pools, data, U256::ZERO).await?;
    sent.push(published);
    let event = receipt
        .inner
        .logs()
        .iter()
        .find_map(|log| ArbitrationPools::ListPublished::decode_log(&log.inner).ok())
        .ok_or_else(|| anyhow!("publish: the receipt has no ListPublished event"))?;
    Ok((event.list, sent))
}
