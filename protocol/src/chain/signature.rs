//! Whether a signature is the account's that must have made it.

use alloy::primitives::B256;

use super::{AccountId, Address, ChainId, TermsError, UnsupportedChain};
use crate::{
    evm::{self, SignatureError},
    solana::{self, Line},
    terms::Terms,
    wire::act::PartyAct,
};

/// Who can say whether a signature holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// Nobody needs to: the account's own key made it.
    ByKey,
    /// Not made by the account's key: only the account's contract can say whether it holds of this digest (ERC-1271).
    AskContract(B256),
}

/// Why a signature is certainly not the one that is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// Bytes of another form.
    #[error(transparent)]
    Form(#[from] SignatureError),
    /// Another account's, or over something else.
    #[error("it is {signer}'s, not {wanted}'s")]
    Other {
        /// Whose key it recovers to.
        signer: Address,
        /// Who must have signed.
        wanted: Address,
    },
    /// An Ed25519 signature has 64 bytes.
    #[error("an Ed25519 signature has 64 bytes, not {0}")]
    Length(usize),
    /// Not an Ed25519 signature of that key over exactly this.
    #[error("it is not {wanted}'s Ed25519 signature of `{line}`")]
    NotOfKey {
        /// Who must have signed.
        wanted: Address,
        /// The text that must have been signed.
        line: String,
    },
    /// What should be signed has no form on the chain.
    #[error(transparent)]
    Terms(#[from] TermsError),
}

impl From<UnsupportedChain> for NotSigned {
    fn from(error: UnsupportedChain) -> Self {
        Self::Terms(error.into())
    }
}

/// The word on an EVM account's signature of a digest. A contract wallet may take whatever it likes, 65 bytes of an owner's
/// key among them.
fn by_key_or_contract(account: Address, digest: B256, signature: &[u8]) -> Signed {
    match evm::recover(digest, signature) {
        Ok(signer) if account == signer.into() => Signed::ByKey,
        Ok(_) | Err(_) => Signed::AskContract(digest),
    }
}

/// The word on a Solana key's signature of a line. Accounts that cannot sign approve on chain instead.
fn by_key(line: &Line, account: Address, signature: &[u8]) -> Result<Signed, NotSigned> {
    if signature.len() != 64 {
        return Err(NotSigned::Length(signature.len()));
    }
    if solana::signed_by(line, account, signature) {
        return Ok(Signed::ByKey);
    }
    let line = String::from_utf8_lossy(&line.bytes()).into_owned();
    Err(NotSigned::NotOfKey { wanted: account, line })
}

/// Whether the seller of these terms signed them.
///
/// # Errors
/// Terms without a form on their chain.
pub fn terms_signature(terms: &Terms, signature: &[u8]) -> Result<Signed, NotSigned> {
    match terms.escrow.chain {
        ChainId::Eip155(_) => Ok(by_key_or_contract(terms.seller.address, evm::deal_id(terms)?, signature)),
        ChainId::Solana(_) => by_key(&Line::terms(solana::deal_id(terms)?), terms.seller.address, signature),
    }
}

/// Whether a party signed this appeal to the pools; `valid_until` in Unix seconds.
///
/// # Errors
/// A `valid_until` that has no form on the chain.
pub fn appeal_signature(
    pools: AccountId,
    deal: B256,
    valid_until: u64,
    party: Address,
    signature: &[u8],
) -> Result<Signed, NotSigned> {
    match pools.chain {
        ChainId::Eip155(_) => {
            Ok(by_key_or_contract(party, evm::appeal_digest(pools, deal, valid_until)?, signature))
        }
        ChainId::Solana(_) => by_key(&Line::appeal(deal, valid_until), party, signature),
    }
}

/// Whether a party signed this about its deal. Who has to is [`PartyAct::signers`].
///
/// # Errors
/// Terms or an act without a form on the chain.
pub fn act_signature(
    terms: &Terms,
    party: Address,
    act: &PartyAct,
    signature: &[u8],
) -> Result<Signed, NotSigned> {
    match terms.escrow.chain {
        ChainId::Eip155(_) => Ok(by_key_or_contract(party, evm::act_digest(terms, party, act)?, signature)),
        ChainId::Solana(_) => by_key(&Line::act(terms, party, act)?, party, signature),
    }
}

/// What a party's wallet signs of an act: the same act always has the same, and no two have one.
///
/// # Errors
/// As [`act_signature`].
pub fn act_digest(terms: &Terms, party: Address, act: &PartyAct) -> Result<B256, TermsError> {
    match terms.escrow.chain {
        ChainId::Eip155(_) => evm::act_digest(terms, party, act),
        ChainId::Solana(_) => Ok(Line::act(terms, party, act)?.digest),
    }
}

/// That a juror signed this ballot with its key; `case` is [`super::case_id`], `share` in basis points.
///
/// # Errors
/// It did not. A contract's word does not count here: jurors that are contracts cast on chain.
pub fn ballot_signature(
    pools: AccountId,
    case: B256,
    share: u16,
    reason: B256,
    juror: Address,
    signature: &[u8],
) -> Result<(), NotSigned> {
    match pools.chain {
        ChainId::Eip155(_) => {
            let digest = evm::ballot_digest(pools, case, share, reason)?;
            let signer = Address::from(evm::recover(digest, signature)?);
            if signer == juror { Ok(()) } else { Err(NotSigned::Other { signer, wanted: juror }) }
        }
        ChainId::Solana(_) => by_key(&Line::ballot(case, share, reason), juror, signature).map(drop),
    }
}

/// That the bytes of a ballot's signature are of the form that a chain takes, whoever signed.
///
/// # Errors
/// They are not.
pub fn ballot_form(chain: ChainId, signature: &[u8]) -> Result<(), NotSigned> {
    match chain {
        ChainId::Eip155(_) => Ok(evm::compact(signature).map(drop)?),
        ChainId::Solana(_) if signature.len() == 64 => Ok(()),
        ChainId::Solana(_) => Err(NotSigned::Length(signature.len())),
    }
}
