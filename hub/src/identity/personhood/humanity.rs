//! Proof of Humanity: registries on EVM chains, read by `eth_call` through the hub's own indexer. The second version
//! (`isHuman`, `humanityOf`) and the first (`isRegistered`) are told apart by which function answers.

use alloy::{
    primitives::{Address, FixedBytes},
    sol,
    sol_types::SolCall,
};
use protocol::{
    chain::{self, AccountId},
    wire::feed::CallOutcome,
};

use crate::{
    chain::{ChainError, Indexers},
    error::{Error, Refusal},
};

sol! {
    function isHuman(address account) external view returns (bool);
    function humanityOf(address account) external view returns (bytes20);
    function isRegistered(address account) external view returns (bool);
}

/// The name of the person behind a wallet; none when the registry knows none.
pub(super) async fn person(
    indexers: &Indexers,
    registry: AccountId,
    wallet: AccountId,
) -> Result<Option<String>, Error> {
    let chain::Address::Evm(account) = wallet.address else {
        let told = format!("{wallet} must be on an EVM chain");
        return Err(Refusal::rule("wallet_chain", "/body/proof_of_humanity/wallet", told).into());
    };
    if let Some(human) = ask(indexers, registry, isHumanCall { account }).await? {
        return if human { humanity(indexers, registry, account).await.map(Some) } else { Ok(None) };
    }
    match ask(indexers, registry, isRegisteredCall { account }).await? {
        // The first version knows people by their one address, which is the id that the second one gives them.
        Some(registered) => Ok(registered.then(|| name(FixedBytes::from(account.into_array())))),
        None => Err(unusable(registry, "it answers neither isHuman nor isRegistered")),
    }
}

/// The id that stays when a person moves to another address.
async fn humanity(indexers: &Indexers, registry: AccountId, account: Address) -> Result<String, Error> {
    match ask(indexers, registry, humanityOfCall { account }).await? {
        Some(id) if id != FixedBytes::ZERO => Ok(name(id)),
        _ => Err(unusable(registry, "it names no humanity of a human")),
    }
}

/// One text for one human, whichever version says it: 0x and 40 digits, the letters small.
fn name(id: FixedBytes<20>) -> String {
    format!("0x{}", hex::encode(id))
}

fn unusable(registry: AccountId, reason: &str) -> Error {
    ChainError::Unusable { path: format!("/v1/call of {registry}"), reason: reason.to_owned() }.into()
}

/// What the registry answers; none when it has no such function.
async fn ask<C: SolCall>(
    indexers: &Indexers,
    registry: AccountId,
    call: C,
) -> Result<Option<C::Return>, Error> {
    Ok(match indexers.call(registry, call.abi_encode()).await? {
        CallOutcome::Returned { data } if data.len() == 32 => C::abi_decode_returns_validate(&data).ok(),
        CallOutcome::Returned { .. } | CallOutcome::Reverted { .. } => None,
    })
}
