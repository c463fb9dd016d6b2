//! Wallets of either kind of chain, and what they sign.

use alloy::{
    primitives::B256,
    signers::{SignerSync, local::PrivateKeySigner},
};
use ed25519_dalek::{Signer, SigningKey};
use protocol::{
    chain::{AccountId, Address, ChainId},
    evm,
    solana::Line,
    terms::Terms,
    wire::act::PartyAct,
};

use alloy::primitives::Bytes;

/// Somebody's key.
#[derive(Clone)]
pub(crate) enum Wallet {
    Evm(PrivateKeySigner),
    Solana(SigningKey),
}

impl Wallet {
    /// A wallet of the chain's kind.
    pub(crate) fn of_seed(chain: ChainId, seed: u8) -> Self {
        match chain {
            ChainId::Eip155(_) => Self::Evm(PrivateKeySigner::from_bytes(&B256::repeat_byte(seed)).unwrap()),
            ChainId::Solana(_) => Self::Solana(SigningKey::from_bytes(&[seed; 32])),
        }
    }

    pub(crate) fn address(&self) -> Address {
        match self {
            Self::Evm(key) => key.address().into(),
            Self::Solana(key) => Address::Solana(key.verifying_key().to_bytes()),
        }
    }

    /// A sign-in message: EIP-191, or Ed25519 of its bytes.
    pub(crate) fn sign_text(&self, text: &str) -> Bytes {
        match self {
            Self::Evm(key) => key.sign_message_sync(text.as_bytes()).unwrap().as_bytes().to_vec().into(),
            Self::Solana(key) => key.sign(text.as_bytes()).to_bytes().to_vec().into(),
        }
    }

    fn sign(&self, digest: impl FnOnce() -> B256, line: &Line) -> Bytes {
        match self {
            Self::Evm(key) => key.sign_hash_sync(&digest()).unwrap().as_bytes().to_vec().into(),
            Self::Solana(key) => key.sign(&line.bytes()).to_bytes().to_vec().into(),
        }
    }

    /// The terms of a deal.
    pub(crate) fn terms(&self, deal: B256) -> Bytes {
        self.sign(|| deal, &Line::terms(deal))
    }

    /// What a party signs about its deal.
    pub(crate) fn act(&self, terms: &Terms, act: &PartyAct) -> Bytes {
        let party = self.address();
        match terms.escrow.chain {
            ChainId::Eip155(_) => {
                let digest = evm::act_digest(terms, party, act).unwrap();
                // Of a wallet of the EVM the line is not read.
                self.sign(|| digest, &Line::terms(digest))
            }
            ChainId::Solana(_) => self.sign(|| B256::ZERO, &Line::act(terms, party, act).unwrap()),
        }
    }

    /// A ballot of a case of these pools.
    pub(crate) fn ballot(&self, pools: AccountId, case: B256, share: u16, reason: B256) -> Bytes {
        let digest = || evm::ballot_digest(pools, case, share, reason).unwrap();
        self.sign(digest, &Line::ballot(case, share, reason))
    }

    /// An appeal to these pools.
    pub(crate) fn appeal(&self, pools: AccountId, deal: B256, valid_until: u64) -> Bytes {
        let digest = || evm::appeal_digest(pools, deal, valid_until).unwrap();
        self.sign(digest, &Line::appeal(deal, valid_until))
    }
}
