//! A person's wallet keys, and the one place where a wallet signs something that is no transaction: EIP-712 and EIP-191
//! by an EVM key, lines and texts by a Solana key.

use std::path::Path;

use alloy::{
    primitives::{B256, Bytes},
    signers::{SignerSync, local::PrivateKeySigner},
};
use anyhow::{Context, Result, anyhow, bail};
use ed25519_dalek::{Signer as _, SigningKey};
use protocol::{
    chain::{AccountId, Address, ChainId},
    evm,
    solana::{Line, from_key, key_of},
    terms::Terms,
    wire::act::PartyAct,
};

/// Keys for one kind of chain or for both.
#[derive(Clone, Debug, Default)]
pub struct Wallet {
    /// For EVM chains.
    pub evm: Option<PrivateKeySigner>,
    /// For Solana.
    pub solana: Option<SigningKey>,
}

/// What a wallet can say without a transaction.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// A text, to sign in with.
    Text(&'a str),
    /// The seller agrees to the terms with this id.
    Terms(B256),
    /// A juror votes; `share` in basis points.
    Ballot {
        /// The pools.
        arbiter: AccountId,
        /// The jury's case id.
        case: B256,
        /// The seller's share.
        share: u16,
        /// SHA-256 of the reason, or zero.
        reason: B256,
    },
    /// A party appeals.
    Appeal {
        /// The pools.
        arbiter: AccountId,
        /// The deal.
        deal: B256,
        /// Unix seconds.
        valid_until: u64,
    },
    /// A party has something done about its deal.
    Act {
        /// The deal's terms.
        terms: &'a Terms,
        /// What.
        act: &'a PartyAct,
    },
}

impl Wallet {
    /// The EVM key.
    pub fn evm(&self) -> Result<&PrivateKeySigner> {
        self.evm.as_ref().ok_or_else(|| anyhow!("{}", lacks("EVM chains", "--wallet-key or --keystore")))
    }

    /// The Solana key.
    pub fn solana(&self) -> Result<&SigningKey> {
        self.solana.as_ref().ok_or_else(|| anyhow!("{}", lacks("Solana", "--solana or --keypair")))
    }

    /// The address on a chain.
    pub fn address(&self, chain: ChainId) -> Result<Address> {
        match chain {
            ChainId::Eip155(_) => Ok(self.evm()?.address().into()),
            ChainId::Solana(_) => Ok(from_key(&key_of(self.solana()?))),
        }
    }

    /// The account on a chain.
    pub fn account(&self, chain: ChainId) -> Result<AccountId> {
        Ok(AccountId { chain, address: self.address(chain)? })
    }

    /// Signs: 65 bytes (r, s, v with v 27 or 28) on an EVM chain, 64 of Ed25519 on Solana.
    pub fn sign(&self, chain: ChainId, said: Said) -> Result<Bytes> {
        match chain {
            ChainId::Eip155(_) => self.sign_evm(said),
            ChainId::Solana(_) => Ok(self.sign_solana(said)?.to_vec().into()),
        }
    }

    fn sign_evm(&self, said: Said) -> Result<Bytes> {
        let key = self.evm()?;
        let signed = match said {
            Said::Text(text) => key.sign_message_sync(text.as_bytes()),
            Said::Terms(deal) => key.sign_hash_sync(&deal),
            Said::Ballot { arbiter, case, share, reason } => {
                key.sign_hash_sync(&evm::ballot_digest(arbiter, case, share, reason)?)
            }
            Said::Appeal { arbiter, deal, valid_until } => {
                key.sign_hash_sync(&evm::appeal_digest(arbiter, deal, valid_until)?)
            }
            Said::Act { terms, act } => {
                key.sign_hash_sync(&evm::act_digest(terms, key.address().into(), act)?)
            }
        };
        Ok(signed.context("the wallet cannot sign")?.as_bytes().to_vec().into())
    }

    fn sign_solana(&self, said: Said) -> Result<[u8; 64]> {
        let line = match said {
            Said::Text(text) => text.as_bytes().to_vec(),
            Said::Terms(deal) => Line::terms(deal).bytes(),
            Said::Ballot { case, share, reason, .. } => Line::ballot(case, share, reason).bytes(),
            Said::Appeal { deal, valid_until, .. } => Line::appeal(deal, valid_until).bytes(),
            Said::Act { terms, act } => Line::act(terms, from_key(&key_of(self.solana()?)), act)?.bytes(),
        };
        Ok(self.solana()?.sign(&line).to_bytes())
    }
}

fn lacks(what: &str, options: &str) -> String {
    format!(
        "--as: this person has no wallet for {what}: add one with `earnest account add-wallet` and {options}"
    )
}

/// A key file of Solana's own command line: a JSON list of 64 numbers, the seed and then the public key.
pub fn read_keypair(path: &Path) -> Result<SigningKey> {
    let rule = "must be a JSON list of 64 numbers from 0 to 255, a seed and its public key, as solana-keygen writes it";
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The numbers are a secret: no error shows them.
    let bytes: Option<Vec<u8>> = serde_json::from_str(&text).ok();
    let pair = bytes.and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    match pair.and_then(|pair| SigningKey::from_keypair_bytes(&pair).ok()) {
        Some(key) => Ok(key),
        None => bail!("{}: {rule}", path.display()),
    }
}

/// The text of such a file.
pub fn keypair_text(key: &SigningKey) -> Result<String> {
    Ok(serde_json::to_string(key.to_keypair_bytes().as_slice())?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::chain::ballot_signature;

    use super::*;
    use crate::testing::noise::{edited, edits, grafted, grafts, text};

    /// The file of the key that `solana-keygen` makes from 32 bytes of 7.
    fn keypair() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    #[test]
    fn a_keypair_file_reads_as_it_was_written_and_a_wrong_one_is_refused_without_its_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id.json");
        let good = keypair_text(&keypair()).unwrap();
        std::fs::write(&path, &good).unwrap();
        assert_eq!(read_keypair(&path).unwrap().to_bytes(), [7; 32]);
        let mut mixed = keypair().to_keypair_bytes();
        mixed[0] = 8;
        let mixed = serde_json::to_string(mixed.as_slice()).unwrap();
        for bad in ["", "{}", "[7,7]", "[256]", &good.replace('7', "-7"), &mixed] {
            std::fs::write(&path, bad).unwrap();
            let error = format!("{:#}", read_keypair(&path).unwrap_err());
            assert!(error.contains("64 numbers") && !error.contains("7,7"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_keypair_file_holds_a_whole_pair_or_is_refused_without_its_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id.json");
        let good = keypair_text(&keypair()).unwrap();
        let list = serde_json::from_str(&good).unwrap();
        proptest!(|(seed: [u8; 32], edits in edits(), grafts in grafts(), other in text())| {
            std::fs::write(&path, keypair_text(&SigningKey::from_bytes(&seed)).unwrap()).unwrap();
            prop_assert_eq!(read_keypair(&path).unwrap().to_bytes(), seed);
            let grafted = grafted(&list, &grafts).to_string().into_bytes();
            for text in [edited(good.as_bytes(), &edits), grafted, other.into_bytes()] {
                std::fs::write(&path, &text).unwrap();
                match read_keypair(&path) {
                    Ok(key) => {
                        let numbers: Vec<u8> = serde_json::from_slice(&text).unwrap();
                        prop_assert_eq!(numbers, key.to_keypair_bytes().to_vec());
                    }
                    Err(error) => {
                        let told = format!("{error:#}");
                        let rule = told.ends_with("as solana-keygen writes it");
                        prop_assert!(rule || told.starts_with("cannot read"), "{told}");
                    }
                }
            }
        });
    }

    #[test]
    fn a_ballot_on_solana_is_signed_as_the_chain_takes_it() {
        let wallet = Wallet { evm: None, solana: Some(keypair()) };
        let chain = protocol::solana::chain().unwrap();
        let arbiter = AccountId { chain, address: from_key(&protocol::solana::arbiter()) };
        let (case, reason) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let said = Said::Ballot { arbiter, case, share: 2_500, reason };
        let signature = wallet.sign(chain, said).unwrap();
        let juror = wallet.address(chain).unwrap();
        assert_eq!(ballot_signature(arbiter, case, 2_500, reason, juror, &signature), Ok(()));
        assert!(ballot_signature(arbiter, case, 2_501, reason, juror, &signature).is_err());
        let error = wallet.sign(ChainId::Eip155(1), said).unwrap_err().to_string();
        assert!(error.contains("no wallet for EVM chains"), "{error}");
    }
}
