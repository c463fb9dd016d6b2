//! The signers of an EVM chain, and signing of EIP-1559 transactions.

use std::{sync::Arc, time::Duration};

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    network::TxSigner,
    primitives::{Address, B256, Bytes, Signature, TxKind, U256},
    signers::local::PrivateKeySigner,
};
use futures::future::BoxFuture;

use super::fees::Fees;
use crate::{
    config::{Config, Key},
    error::Error,
};

/// Whatever signs transactions: alloy's interface, which a key here and one in a key management service have alike.
pub type Signer = Arc<dyn TxSigner<Signature> + Send + Sync>;

/// The longest that a signer may take.
const SIGN_TIME: Duration = Duration::from_secs(15);

/// A transaction before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The chain's id.
    pub chain_id: u64,
    /// Who is called.
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

/// Opens the signers of the configuration.
///
/// # Errors
/// There is none, two are the same, or one cannot be opened.
pub async fn open(config: &Config) -> Result<Vec<Signer>, Error> {
    let mut signers: Vec<Signer> = Vec::new();
    for key in config.keys()? {
        let signer = open_one(&key).await?;
        if signers.iter().any(|other| other.address() == signer.address()) {
            let reason = format!("{} is there twice", signer.address());
            return Err(Error::Config { key: "signers", reason });
        }
        signers.push(signer);
    }
    Ok(signers)
}

async fn open_one(key: &Key) -> Result<Signer, Error> {
    let refuse = |key, reason: String| Err(Error::Config { key, reason });
    match (&key.keystore, key.private_key.expose(), &key.kms) {
        (None, "", None) => refuse("signers", "one has neither keystore nor private_key nor kms".to_owned()),
        (None, text, None) => match text.parse::<PrivateKeySigner>() {
            Ok(signer) => Ok(Arc::new(signer)),
            Err(_) => refuse("private_key", "must be 32 bytes in hexadecimal".to_owned()),
        },
        (Some(file), "", None) => {
            match PrivateKeySigner::decrypt_keystore(file, key.keystore_password.expose()) {
                Ok(signer) => Ok(Arc::new(signer)),
                Err(error) => refuse("keystore", format!("{}: {error}", file.display())),
            }
        }
        (None, "", Some(id)) => {
            // Without its type: the futures of AWS's client nest deeper than the compiler follows in whoever waits for this.
            let opening: BoxFuture<'_, Result<Signer, Error>> = Box::pin(super::kms::open(id));
            opening.await
        }
        _ => refuse("signers", "give keystore, private_key or kms, and only one of them".to_owned()),
    }
}

/// Signs a draft. A key of this machine gives the same bytes for the same input (RFC 6979).
///
/// # Errors
/// The signer's own, or it does not answer.
pub async fn sign(signer: &Signer, draft: &Draft, nonce: u64, fees: Fees) -> Result<Signed, Error> {
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
    let failed = |words: String| Error::Sign(format!("{}: {words}", signer.address()));
    let signature = tokio::time::timeout(SIGN_TIME, signer.sign_transaction(&mut transaction))
        .await
        .map_err(|_| failed("no answer in time".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    Ok(Signed { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_keystore_opens_by_its_password_and_every_signer_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let key = B256::repeat_byte(7);
        let (signer, file) = PrivateKeySigner::encrypt_keystore(
            folder.path(),
            &mut alloy::signers::k256::elliptic_curve::rand_core::OsRng,
            key,
            "secret",
            None,
        )
        .unwrap();
        let keystore = Key {
            keystore: Some(folder.path().join(file)),
            keystore_password: "secret".to_owned().into(),
            ..Key::default()
        };
        let by_key =
            |byte: u8| Key { private_key: B256::repeat_byte(byte).to_string().into(), ..Key::default() };
        let of = |signers: Vec<Key>| async move { open(&Config { signers, ..Config::default() }).await };
        let opened = of(vec![keystore.clone(), by_key(8)]).await.unwrap();
        assert_eq!((opened.len(), opened[0].address()), (2, signer.address()));
        let refused = |result: Result<Vec<Signer>, Error>| result.err().unwrap().to_string();
        assert!(refused(of(vec![keystore.clone(), by_key(7)]).await).contains("is there twice"));
        let wrong = Key { keystore_password: "wrong".to_owned().into(), ..keystore.clone() };
        assert!(refused(of(vec![wrong]).await).contains("relayer.keystore"));
        let both = Key { private_key: by_key(8).private_key, ..keystore };
        assert!(refused(of(vec![both]).await).contains("only one of them"));
        assert!(refused(of(vec![Key::default()]).await).contains("neither"));
        let short = Key { private_key: "aa".to_owned().into(), ..Key::default() };
        assert!(refused(of(vec![short]).await).contains("32 bytes"));
    }
}
