//! Whether a wallet signed a message: EIP-191 by recovery, else ERC-1271 by asking the contract.

use alloy::{
    primitives::{B256, eip191_hash_message},
    sol,
    sol_types::SolCall,
};
use protocol::{chain::AccountId, evm::recover, wire::feed::CallOutcome};

use super::model::Authorisation;
use crate::{
    chain::ChainReader,
    error::{Error, Refusal},
};

sol! {
    function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
}

/// How the signature was found genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Eip191,
    Erc1271,
}

impl Scheme {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Eip191 => "eip191",
            Self::Erc1271 => "erc1271",
        }
    }
}

/// Whether the wallet is a plain key and this is its EIP-191 signature of the message.
pub(crate) fn recovers(authorisation: &Authorisation) -> bool {
    let hash = eip191_hash_message(&authorisation.text);
    recover(hash, &authorisation.signature) == Ok(authorisation.message.address)
}

pub(super) async fn verify(chain: &ChainReader, authorisation: &Authorisation) -> Result<Scheme, Error> {
    if recovers(authorisation) {
        return Ok(Scheme::Eip191);
    }
    let hash = eip191_hash_message(&authorisation.text);
    let wallet = authorisation.wallet();
    if contract_accepts(chain, wallet, hash, &authorisation.signature).await? {
        return Ok(Scheme::Erc1271);
    }
    Err(Refusal::access(
        "wallet_signature",
        "/body",
        format!("the signature is not {wallet}'s over this message (EIP-191 and ERC-1271 tried)"),
    )
    .into())
}

/// Whether the contract at `wallet` holds the signature of `hash` good (ERC-1271).
///
/// # Errors
/// The indexer does not answer.
pub(crate) async fn contract_accepts(
    chain: &ChainReader,
    wallet: AccountId,
    hash: B256,
    signature: &[u8],
) -> Result<bool, Error> {
    let call = isValidSignatureCall { hash, signature: signature.to_vec().into() };
    Ok(match chain.call(wallet, call.abi_encode()).await? {
        // The selector itself is the magic value, as a word.
        CallOutcome::Returned { data } => {
            data.len() == 32
                && data.starts_with(&isValidSignatureCall::SELECTOR)
                && data.iter().skip(4).all(|byte| *byte == 0)
        }
        CallOutcome::Reverted { .. } => false,
    })
}
