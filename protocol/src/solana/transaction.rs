//! Transactions: from instructions to the bytes that are signed, and from signatures to the bytes that are sent.

use anchor_lang::prelude::Pubkey;
use ed25519_dalek::{Signer, SigningKey};
use solana_message::legacy::Message;

use super::Instruction;

/// The most bytes of a transaction, signatures included.
pub const SIZE_MAX: usize = 1_232;

/// Why instructions are no transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// It does not fit a packet.
    #[error("the transaction has {0} bytes; at most {SIZE_MAX} are allowed")]
    TooLarge(usize),
    /// Somebody has to sign whose key is not at hand.
    #[error("{0} has to sign the transaction")]
    Unsigned(Pubkey),
}

/// A signed transaction (of the legacy form, which every cluster takes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its first signature, which names it.
    pub signature: [u8; 64],
    /// What is sent.
    pub bytes: Vec<u8>,
}

impl Transaction {
    /// Signs instructions. The first of the keys pays; `blockhash` says until when the transaction can be included.
    ///
    /// # Errors
    /// Another key has to sign too, or it is too large.
    pub fn sign(
        instructions: &[Instruction],
        keys: &[&SigningKey],
        blockhash: [u8; 32],
    ) -> Result<Self, TransactionError> {
        let payer = keys.first().map(|key| key_of(key)).unwrap_or_default();
        let message = Message::new_with_blockhash(instructions, Some(&payer), &blockhash.into());
        let signed = message.serialize();
        let signers = usize::from(message.header.num_required_signatures);
        let mut signatures = Vec::new();
        for signer in message.account_keys.iter().take(signers) {
            let key = keys.iter().find(|key| key_of(key) == *signer);
            let key = key.ok_or(TransactionError::Unsigned(*signer))?;
            signatures.push(key.sign(&signed).to_bytes());
        }
        // A count below 128 is one byte, and a transaction has no room for as many.
        let mut bytes = vec![message.header.num_required_signatures];
        bytes.extend(signatures.iter().flatten());
        bytes.extend(signed);
        match signatures.first() {
            _ if bytes.len() > SIZE_MAX => Err(TransactionError::TooLarge(bytes.len())),
            Some(signature) => Ok(Self { signature: *signature, bytes }),
            None => Err(TransactionError::Unsigned(payer)),
        }
    }
}

/// The address of a signing key.
pub fn key_of(key: &SigningKey) -> Pubkey {
    Pubkey::new_from_array(key.verifying_key().to_bytes())
}
