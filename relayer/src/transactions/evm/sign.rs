//! Signing of EIP-1559 transactions.

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    network::TxSignerSync as _,
    primitives::{Address, B256, Bytes, TxKind, U256},
    signers::local::PrivateKeySigner,
};

use super::fees::Fees;
use crate::error::Error;

/// A transaction before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The chain's id.
    pub chain_id: u64,
    /// The contract.
    pub to: Address,
    /// The call.
    pub data: Bytes,
    /// The gas limit.
    pub gas: u64,
}

/// A transaction as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Its hash.
    pub hash: B256,
    /// Its bytes (EIP-2718).
    pub raw: Bytes,
}

/// Signs a draft. The same input gives the same bytes (RFC 6979).
///
/// # Errors
/// The signer's own.
pub fn sign(signer: &PrivateKeySigner, draft: &Draft, nonce: u64, fees: Fees) -> Result<Signed, Error> {
    let mut transaction = TxEip1559 {
        chain_id: draft.chain_id,
        nonce,
        gas_limit: draft.gas,
        max_fee_per_gas: fees.max_fee,
        max_priority_fee_per_gas: fees.priority_fee,
        to: TxKind::Call(draft.to),
        value: U256::ZERO,
        access_list: Default::default(),
        input: draft.data.clone(),
    };
    let signature =
        signer.sign_transaction_sync(&mut transaction).map_err(|error| Error::Sign(error.to_string()))?;
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    Ok(Signed { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() })
}
