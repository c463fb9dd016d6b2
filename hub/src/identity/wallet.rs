//! Whether a wallet signed a message: EIP-191 by recovery, else ERC-1271 by asking the contract.

use alloy::{
    primitives::{Signature, eip191_hash_message},
    sol,
    sol_types::SolCall,
};
use protocol::wire::feed::CallOutcome;

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

/// Strict: 65 bytes, low s (EIP-2), v 27 or 28 (0 or 1 as some wallets write it).
pub(super) fn recovers(authorisation: &Authorisation) -> bool {
    let [body @ .., v] = authorisation.signature.as_slice() else { return false };
    if body.len() != 64 || !matches!(v, 0 | 1 | 27 | 28) {
        return false;
    }
    Signature::from_raw(&authorisation.signature).is_ok_and(|signature| {
        signature.normalize_s().is_none()
            && signature.recover_address_from_prehash(&eip191_hash_message(&authorisation.text)).ok()
                == Some(authorisation.message.address)
    })
}

pub(super) async fn verify(chain: &ChainReader, authorisation: &Authorisation) -> Result<Scheme, Error> {
    if recovers(authorisation) {
        return Ok(Scheme::Eip191);
    }
    let call = isValidSignatureCall {
        hash: eip191_hash_message(&authorisation.text),
        signature: authorisation.signature.clone().into(),
    };
    let wallet = authorisation.wallet();
    match chain.call(wallet, call.abi_encode()).await? {
        // The selector itself is the magic value, as a word.
        CallOutcome::Returned { data }
            if data.len() == 32
                && data.starts_with(&isValidSignatureCall::SELECTOR)
                && data.iter().skip(4).all(|byte| *byte == 0) =>
        {
            Ok(Scheme::Erc1271)
        }
        CallOutcome::Returned { .. } | CallOutcome::Reverted { .. } => Err(Refusal::access(
            "wallet_signature",
            "/body",
            format!("the signature is not {wallet}'s over this message (EIP-191 and ERC-1271 tried)"),
        )
        .into()),
    }
}
