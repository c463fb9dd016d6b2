//! Whether a wallet signed a message. On EVM chains: EIP-191 by recovery, else ERC-1271 by asking the contract. On Solana:
//! Ed25519 of the message's bytes by the wallet's own key; an account of a program cannot sign and so cannot sign in.

use alloy::{
    primitives::{B256, eip191_hash_message},
    sol,
    sol_types::SolCall,
};
use protocol::{
    chain::{AccountId, Address, Signed},
    evm, solana,
    wire::feed::CallOutcome,
};

use super::model::Word;
use crate::{
    chain::Indexers,
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
    Ed25519,
}

impl Scheme {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Eip191 => "eip191",
            Self::Erc1271 => "erc1271",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// Who can say whether the wallet signed the message; none when it certainly did not.
pub(crate) fn signed(word: &Word) -> Option<Signed> {
    let Word { text, signature, .. } = word;
    match word.wallet().address {
        Address::Evm(wallet) => {
            let hash = eip191_hash_message(text);
            let by_key = evm::recover(hash, signature) == Ok(wallet);
            Some(if by_key { Signed::ByKey } else { Signed::AskContract(hash) })
        }
        Address::Solana(key) => solana::check(&key, text.as_bytes(), signature).then_some(Signed::ByKey),
    }
}

pub(super) async fn verify(indexers: &Indexers, word: &Word) -> Result<Scheme, Error> {
    let wallet = word.wallet();
    let tried = match (wallet.address, signed(word)) {
        (Address::Evm(_), Some(Signed::ByKey)) => return Ok(Scheme::Eip191),
        (Address::Solana(_), Some(Signed::ByKey)) => return Ok(Scheme::Ed25519),
        (_, Some(Signed::AskContract(hash))) => {
            if contract_accepts(indexers, wallet, hash, &word.signature).await? {
                return Ok(Scheme::Erc1271);
            }
            "EIP-191 and ERC-1271"
        }
        (_, None) => "Ed25519",
    };
    let told = format!("the signature is not {wallet}'s over this message ({tried} tried)");
    Err(Refusal::access("wallet_signature", word.field.clone(), told).into())
}

/// Whether the contract at `wallet` holds the signature of `hash` good (ERC-1271).
///
/// # Errors
/// The indexer does not answer.
pub(crate) async fn contract_accepts(
    indexers: &Indexers,
    wallet: AccountId,
    hash: B256,
    signature: &[u8],
) -> Result<bool, Error> {
    let call = isValidSignatureCall { hash, signature: signature.to_vec().into() };
    Ok(match indexers.call(wallet, call.abi_encode()).await? {
        // The selector itself is the magic value, as a word.
        CallOutcome::Returned { data } => {
            data.len() == 32
                && data.starts_with(&isValidSignatureCall::SELECTOR)
                && data.iter().skip(4).all(|byte| *byte == 0)
        }
        CallOutcome::Reverted { .. } => false,
    })
}
