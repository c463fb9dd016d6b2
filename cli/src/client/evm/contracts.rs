//! What is done at the contracts, as calls.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolEvent,
};
use anyhow::{Result, anyhow};
use protocol::{
    chain::AccountId,
    evm::{address_of, call, deployment, pools::ArbitrationPools},
    terms::Terms,
    wire::feed::RuleBook,
};

use super::{
    Wallet,
    deployment::{Placed, start_block},
};
use crate::client::{
    acts::{Act, Motion},
    chain::Sent,
};

/// The contracts of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Does it to a deal.
pub async fn act(wallet: &Wallet, terms: &Terms, act: Act) -> Result<Sent> {
    let what = act.name();
    let data = match act {
        Act::Deliver(delivery) => call::deliver(terms, delivery, None)?,
        Act::Release(total) => call::release(terms, total, None)?,
        Act::Refund(total) => call::refund(terms, total, None)?,
        Act::Dispute(evidence) => call::dispute(terms, evidence, None)?,
        Act::Evidence(hash, uri) => call::evidence(terms, hash, uri, None)?,
        Act::Reclaim => call::reclaim(terms)?,
        Act::Claim => call::claim(terms)?,
        Act::Lapse => call::lapse(terms)?,
        Act::Retract => call::retract(terms)?,
    };
    Ok(wallet.call(what, call::escrow_of(terms)?, data, U256::ZERO).await?.0)
}

/// Does it to a case.
pub async fn hear(wallet: &Wallet, terms: &Terms, motion: Motion) -> Result<Sent> {
    let data = match motion {
        Motion::SecondJury => call::open_second_jury(terms)?,
        Motion::Conclude => call::conclude(terms)?,
        Motion::Appeal => call::appeal(terms, None)?,
        Motion::Execute => call::execute(terms)?,
    };
    Ok(wallet.call(motion.name(), address_of("arbiter", terms.arbiter)?, data, U256::ZERO).await?.0)
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

/// Creates a pool with these rules.
pub async fn create_pool(wallet: &Wallet, pools: AccountId, book: &RuleBook) -> Result<Sent> {
    let pools = address_of("arbiter", pools)?;
    Ok(wallet.call("create the pool", pools, call::create_pool(book)?, U256::ZERO).await?.0)
}

/// The most members of one page of a list.
const PAGE_MAX: usize = 1_200;

/// Publishes the next member list of a pool and answers its index; members are distinct and ascending.
pub async fn publish(
    wallet: &Wallet,
    pools: AccountId,
    pool: B256,
    members: &[Address],
) -> Result<(u32, Vec<Sent>)> {
    let pools = address_of("arbiter", pools)?;
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
