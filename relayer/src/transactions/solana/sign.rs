//! Signing of transactions for Solana.

use ed25519_dalek::SigningKey;
use protocol::solana::{self, Instruction, Transaction, TransactionError};
use solana_sdk_ids::compute_budget;

use crate::{
    config::{Config, Key},
    error::Error,
};

/// How many instructions come before those of the plan.
pub const BEFORE: u8 = 2;

/// Opens the signers of the configuration: files as Solana's own tools write them (64 numbers in JSON), or hexadecimal or
/// base58 text.
///
/// # Errors
/// There is none, two are the same, or one cannot be read.
pub fn open(config: &Config) -> Result<Vec<SigningKey>, Error> {
    let mut signers: Vec<SigningKey> = Vec::new();
    for key in config.keys()? {
        let signer = keypair(&key)?;
        if signers.iter().any(|other| other.verifying_key() == signer.verifying_key()) {
            let reason = format!("{} is there twice", solana::key_of(&signer));
            return Err(Error::Config { key: "signers", reason });
        }
        signers.push(signer);
    }
    Ok(signers)
}

pub(super) fn keypair(key: &Key) -> Result<SigningKey, Error> {
    let refuse = |key, reason: String| Err(Error::Config { key, reason });
    if !key.keystore_password.expose().is_empty() {
        return refuse("keystore_password", "a keypair file of Solana has none".to_owned());
    }
    if key.kms.is_some() {
        return refuse("kms", "is for EVM chains".to_owned());
    }
    match (&key.keystore, key.private_key.expose()) {
        (None, "") => refuse("signers", "one has neither keystore nor private_key".to_owned()),
        (None, text) => {
            let digits = text.strip_prefix("0x").unwrap_or(text);
            let bytes = hex::decode(digits).ok().or_else(|| bs58::decode(text).into_vec().ok());
            match bytes.as_deref().map(of_bytes) {
                Some(Ok(key)) => Ok(key),
                Some(Err(reason)) => refuse("private_key", reason),
                None => refuse("private_key", "must be hexadecimal or base58".to_owned()),
            }
        }
        (Some(file), "") => {
            let read = std::fs::read(file).map_err(|error| error.to_string());
            let bytes = read.and_then(|text| {
                serde_json::from_slice::<Vec<u8>>(&text).map_err(|_| "must be 64 numbers in JSON".to_owned())
            });
            match bytes.and_then(|bytes| of_bytes(&bytes)) {
                Ok(key) => Ok(key),
                Err(reason) => refuse("keystore", format!("{}: {reason}", file.display())),
            }
        }
        (Some(_), _) => refuse("keystore", "give keystore or private_key, not both".to_owned()),
    }
}

/// A seed of 32 bytes, or a seed and its public key.
fn of_bytes(bytes: &[u8]) -> Result<SigningKey, String> {
    if let Ok(seed) = <&[u8; 32]>::try_from(bytes) {
        return Ok(SigningKey::from_bytes(seed));
    }
    let pair = <&[u8; 64]>::try_from(bytes);
    let pair = pair.map_err(|_| format!("has {} bytes; it must have 32 or 64", bytes.len()))?;
    SigningKey::from_keypair_bytes(pair).map_err(|_| "its public key is not that of its seed".to_owned())
}

fn budget(kind: u8, value: &[u8]) -> Instruction {
    let data = [&[kind], value].concat();
    Instruction { program_id: compute_budget::ID, accounts: Vec::new(), data }
}

/// A transaction of these instructions, after the limit of compute units and the price offered for each, in millionths of a
/// lamport. The same input gives the same bytes.
///
/// # Errors
/// It is too large, or another key would have to sign.
pub fn sign(
    key: &SigningKey,
    instructions: &[Instruction],
    units: u32,
    price: u64,
    blockhash: [u8; 32],
) -> Result<Transaction, TransactionError> {
    let mut all = vec![budget(2, &units.to_le_bytes()), budget(3, &price.to_le_bytes())];
    all.extend_from_slice(instructions);
    Transaction::sign(&all, &[key], blockhash)
}
