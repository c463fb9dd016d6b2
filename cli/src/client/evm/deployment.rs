//! The contracts at their published addresses: put there once, by anyone, and checked by everyone.

use alloy::primitives::{Address, U256};
use anyhow::{Context, Result, bail};
use protocol::{
    chain::AccountId,
    evm::deployment::{
        Contract, PROXY, PROXY_CODE, PROXY_COST, PROXY_CREATION, PROXY_CREATOR, manifest, unsteady,
    },
};

use super::{Chain, Wallet};
use crate::{client::chain::Sent, exit::Failure};

/// A contract that is there now.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Which.
    pub contract: Contract,
    /// Where.
    pub account: AccountId,
    /// The transaction that put it there; none where it was there before.
    pub sent: Option<Sent>,
}

/// Puts every contract of the manifest that is missing on the wallet's chain, and checks those that are there. Answers
/// them with all that was sent. `tell` hears what is about to be done.
pub async fn deploy(wallet: &Wallet, tell: impl Fn(&str)) -> Result<(Vec<Placed>, Vec<Sent>)> {
    let (mut placed, mut all) = (Vec::new(), Vec::new());
    for contract in manifest()?.contracts {
        let account = wallet.chain.account(contract.address);
        let mut sent = None;
        if !wallet.chain.has_code(contract.address).await? {
            all.extend(provide_proxy(wallet, &tell).await?);
            tell(&format!("deploy {} at {}", contract.name, contract.address));
            let what = format!("deploy {}", contract.name);
            let done = wallet.call(&what, PROXY, contract.creation(), U256::ZERO).await?.0;
            all.push(done.clone());
            sent = Some(done);
        }
        check(&wallet.chain, contract.address, &contract).await?;
        placed.push(Placed { contract, account, sent });
    }
    Ok((placed, all))
}

/// The height of the first deployment, so that nothing of ours is older; none where a contract was there before.
pub fn start_block(placed: &[Placed]) -> Option<u64> {
    let blocks: Option<Vec<u64>> =
        placed.iter().map(|one| one.sent.as_ref().map(|sent| sent.block)).collect();
    blocks.and_then(|blocks| blocks.into_iter().min())
}

/// Checks that the code at an address is what this contract's code leaves there on this chain, to the last byte, and has
/// no instruction by which it could become another or vanish.
pub async fn check(chain: &Chain, at: Address, contract: &Contract) -> Result<()> {
    let (name, account) = (&contract.name, chain.account(at));
    let code = chain.code(at).await?;
    if code.is_empty() {
        return Err(Failure::does_not_hold(format!("{name} {account}: there is no contract")));
    }
    let left = chain.dry_deploy(at, contract.init_code.clone()).await.with_context(|| {
        format!("{name} {account}: cannot be compared; it takes a node whose eth_call knows state overrides")
    })?;
    if code != left {
        return Err(Failure::does_not_hold(format!(
            "{name} {account}: its code is not the code in this binary"
        )));
    }
    match unsteady(&code) {
        None => Ok(()),
        Some(found) => Err(Failure::does_not_hold(format!("{name} {account}: its code has {found}"))),
    }
}

/// Creates the deterministic deployment proxy where it is missing, by the transaction that does so on every chain.
async fn provide_proxy(wallet: &Wallet, tell: &impl Fn(&str)) -> Result<Option<Sent>> {
    let chain = &wallet.chain;
    let there = chain.code(PROXY).await?;
    if there == PROXY_CODE {
        return Ok(None);
    }
    if !there.is_empty() {
        return Err(Failure::does_not_hold(format!(
            "{}: there is another contract than the deterministic deployment proxy, so nothing can have its published \
             address on this chain",
            chain.account(PROXY)
        )));
    }
    if chain.transactions(PROXY_CREATOR).await? > 0 {
        bail!(
            "{}: the one transaction that creates the deterministic deployment proxy was spent on this chain without \
             success, so nothing can have its published address here unless the chain itself puts the proxy there",
            chain.account(PROXY_CREATOR)
        );
    }
    tell(&format!("create the deterministic deployment proxy at {PROXY}"));
    let what = "create the deterministic deployment proxy";
    // Nobody has the key of whom is paid here, so that nothing is paid before the node has said that money is all it lacks.
    let sent = match chain.publish(what, PROXY_CREATOR, PROXY_CREATION).await {
        Err(error) if lacks_money(&error) => {
            let missing = U256::from(PROXY_COST).saturating_sub(chain.balance(PROXY_CREATOR).await?);
            wallet.pay(&[(PROXY_CREATOR, missing)]).await?;
            chain.publish(what, PROXY_CREATOR, PROXY_CREATION).await
        }
        tried => tried,
    };
    let sent = sent.map_err(|error| error.context(refused(chain)))?;
    if chain.code(PROXY).await? != PROXY_CODE {
        bail!("{}: the transaction was mined, and no proxy is there", chain.account(PROXY));
    }
    Ok(Some(sent))
}

/// Nodes say in their own words that a sender cannot pay.
fn lacks_money(error: &anyhow::Error) -> bool {
    let said = format!("{error:#}").to_lowercase();
    said.contains("insufficient") || said.contains("balance")
}

fn refused(chain: &Chain) -> String {
    format!(
        "{} does not take the transaction that creates the deterministic deployment proxy at {PROXY}. It names no chain \
         (before EIP-155) and pays 100 gwei for each of 100,000 gas; where a node refuses that, send it through another \
         node or ask those who run the chain to put the proxy there",
        chain.id
    )
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::lacks_money;

    #[test]
    fn only_a_lack_of_money_is_paid_for() {
        for poor in [
            "insufficient funds for gas * price + value: balance 0",
            "Insufficient funds for gas * price + value",
            "Upfront cost exceeds account balance",
        ] {
            assert!(lacks_money(&anyhow!("{poor}").context("create")), "{poor}");
        }
        for refused in [
            "only replay-protected (EIP-155) transactions allowed over RPC",
            "transaction type not supported",
        ] {
            assert!(!lacks_money(&anyhow!("{refused}").context("create")), "{refused}");
        }
    }
}
