//! The lines that wallets sign, and who signed one.

use alloy::primitives::B256;
use anchor_lang::prelude::Pubkey;
pub use earnest_program::digest::Signable;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::{
    chain::{Address, TermsError},
    terms::Terms,
    wire::act::PartyAct,
};

/// Something to be signed. Amounts in the asset's smallest unit, times in Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What is done.
    pub action: Signable,
    /// What is hashed, and can be revoked or approved on chain.
    pub digest: B256,
}

impl Line {
    fn of(action: Signable, fields: &[&[u8]]) -> Self {
        Self { action, digest: B256::new(action.digest(fields)) }
    }

    /// The seller agrees to terms.
    pub const fn terms(deal: B256) -> Self {
        Self { action: Signable::Terms, digest: deal }
    }

    /// The buyer funds.
    pub fn fund(deal: B256, valid_until: u64) -> Self {
        Self::of(Signable::Fund, &[deal.as_slice(), &valid_until.to_le_bytes()])
    }

    /// The seller says that it delivered.
    pub fn deliver(deal: B256, delivery: B256, valid_until: u64) -> Self {
        Self::of(Signable::Deliver, &[deal.as_slice(), delivery.as_slice(), &valid_until.to_le_bytes()])
    }

    /// The buyer raises the seller's total.
    pub fn release(deal: B256, total: u64) -> Self {
        Self::of(Signable::Release, &[deal.as_slice(), &total.to_le_bytes()])
    }

    /// The seller raises the buyer's total.
    pub fn refund(deal: B256, total: u64) -> Self {
        Self::of(Signable::Refund, &[deal.as_slice(), &total.to_le_bytes()])
    }

    /// A party disputes.
    pub fn dispute(deal: B256, evidence: B256, valid_until: u64) -> Self {
        Self::of(Signable::Dispute, &[deal.as_slice(), evidence.as_slice(), &valid_until.to_le_bytes()])
    }

    /// A party adds to the dispute.
    pub fn evidence(deal: B256, evidence: B256, uri: &str, valid_until: u64) -> Self {
        let uri = earnest_program::digest::keccak(&[uri.as_bytes()]);
        Self::of(
            Signable::Evidence,
            &[deal.as_slice(), evidence.as_slice(), &uri, &valid_until.to_le_bytes()],
        )
    }

    /// A party offers to settle.
    pub fn settle(deal: B256, seller_total: u64, status: u8, rulings: u8, valid_until: u64) -> Self {
        let (total, until) = (seller_total.to_le_bytes(), valid_until.to_le_bytes());
        Self::of(Signable::Settle, &[deal.as_slice(), &total, &[status], &[rulings], &until])
    }

    /// A creditor takes its credit.
    pub fn withdraw(
        deal: B256,
        creditor: &Pubkey,
        amount: u64,
        to: &Pubkey,
        nonce: u32,
        valid_until: u64,
    ) -> Self {
        let (amount, nonce, until) = (amount.to_le_bytes(), nonce.to_le_bytes(), valid_until.to_le_bytes());
        Self::of(
            Signable::Withdraw,
            &[deal.as_slice(), creditor.as_ref(), &amount, to.as_ref(), &nonce, &until],
        )
    }

    /// A juror votes; `share` in basis points.
    pub fn ballot(case: B256, share: u16, reason: B256) -> Self {
        Self::of(Signable::Ballot, &[case.as_slice(), &share.to_le_bytes(), reason.as_slice()])
    }

    /// What a party signs to have something done about its deal.
    ///
    /// # Errors
    /// Terms without a form on this chain, a number that does not fit, or an address of another kind of chain.
    pub fn act(terms: &Terms, party: Address, act: &PartyAct) -> Result<Self, TermsError> {
        let deal = super::deal_id(terms)?;
        let small = |field, value: u128| {
            u64::try_from(value).map_err(|_| TermsError::TooLarge { field, value, max: u64::MAX.into() })
        };
        let here = |field, address: Address| {
            super::key(address).ok_or_else(|| super::foreign(field, &address, terms.escrow.chain))
        };
        Ok(match act {
            PartyAct::Deliver { delivery, valid_until } => Self::deliver(deal, *delivery, *valid_until),
            PartyAct::Release { total } => Self::release(deal, small("total", *total)?),
            PartyAct::Refund { total } => Self::refund(deal, small("total", *total)?),
            PartyAct::Dispute { evidence, valid_until } => Self::dispute(deal, *evidence, *valid_until),
            PartyAct::Evidence { evidence, uri, valid_until } => {
                Self::evidence(deal, *evidence, uri, *valid_until)
            }
            PartyAct::Settle { seller_total, status, rulings, valid_until } => {
                Self::settle(deal, small("seller_total", *seller_total)?, *status, *rulings, *valid_until)
            }
            PartyAct::Withdraw { amount, to, nonce, valid_until } => {
                let nonce = u32::try_from(*nonce).map_err(|_| TermsError::TooLarge {
                    field: "nonce",
                    value: (*nonce).into(),
                    max: u32::MAX.into(),
                })?;
                let (creditor, to) = (here("party", party)?, here("to", *to)?);
                Self::withdraw(deal, &creditor, small("amount", *amount)?, &to, nonce, *valid_until)
            }
        })
    }

    /// A party appeals.
    pub fn appeal(deal: B256, valid_until: u64) -> Self {
        Self::of(Signable::Appeal, &[deal.as_slice(), &valid_until.to_le_bytes()])
    }

    /// The UTF-8 that the wallet signs.
    pub fn bytes(&self) -> Vec<u8> {
        self.action.line(&self.digest.0)
    }
}

/// Whether this is the account's Ed25519 signature of the line, as strictly as the chain's own check.
pub fn signed_by(line: &Line, account: Address, signature: &[u8]) -> bool {
    account.solana().is_some_and(|key| check(&key, &line.bytes(), signature))
}

/// Whether these 64 bytes are the key's strict Ed25519 signature (RFC 8032; no key of small order) of the message.
pub fn check(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(key), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}
