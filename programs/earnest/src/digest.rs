//! What is hashed and what is signed.
//!
//! A digest is keccak-256 of (`earnest`, the cluster's CAIP-2 id, the program's id, the digest's name, then its fields). A
//! wallet signs one fixed line of UTF-8: what is done in words, and the digest in lower-case hexadecimal.

use solana_keccak_hasher::hashv;

use crate::{CLUSTER, ID};

/// The actions that are signed, with the words of their lines and the names of their digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signable {
    /// The seller agrees to terms; the digest is the deal's id.
    Terms,
    /// The buyer funds: deal, valid_until.
    Fund,
    /// deal, delivery, valid_until.
    Deliver,
    /// deal, total.
    Release,
    /// deal, total.
    Refund,
    /// deal, evidence, valid_until.
    Dispute,
    /// deal, evidence, keccak-256 of the URI, valid_until.
    Evidence,
    /// deal, seller_total, status, rulings, valid_until.
    Settle,
    /// deal, creditor, amount, destination, nonce, valid_until.
    Withdraw,
    /// case, share, reason.
    Ballot,
    /// deal, valid_until.
    Appeal,
}

impl Signable {
    /// Every one of them.
    pub const ALL: [Self; 11] = [
        Self::Terms,
        Self::Fund,
        Self::Deliver,
        Self::Release,
        Self::Refund,
        Self::Dispute,
        Self::Evidence,
        Self::Settle,
        Self::Withdraw,
        Self::Ballot,
        Self::Appeal,
    ];

    /// The name that is part of the digest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terms => "terms",
            Self::Fund => "fund",
            Self::Deliver => "deliver",
            Self::Release => "release",
            Self::Refund => "refund",
            Self::Dispute => "dispute",
            Self::Evidence => "evidence",
            Self::Settle => "settle",
            Self::Withdraw => "withdraw",
            Self::Ballot => "ballot",
            Self::Appeal => "appeal",
        }
    }

    /// What a wallet shows before the digest.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Terms => "Earnest: sell on the terms ",
            Self::Fund => "Earnest: pay into the deal ",
            Self::Deliver => "Earnest: say it is delivered ",
            Self::Release => "Earnest: release to the seller ",
            Self::Refund => "Earnest: refund to the buyer ",
            Self::Dispute => "Earnest: dispute ",
            Self::Evidence => "Earnest: add evidence ",
            Self::Settle => "Earnest: settle ",
            Self::Withdraw => "Earnest: withdraw credit ",
            Self::Ballot => "Earnest: vote as a juror ",
            Self::Appeal => "Earnest: appeal ",
        }
    }

    /// The digest of this action with these fields: numbers in little-endian bytes, in the order given above.
    pub fn digest(self, fields: &[&[u8]]) -> [u8; 32] {
        digest(self.name(), fields)
    }

    /// The line that a wallet signs.
    pub fn line(self, digest: &[u8; 32]) -> Vec<u8> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let words = self.words().as_bytes();
        let mut line = Vec::with_capacity(words.len() + 64);
        line.extend_from_slice(words);
        for byte in digest {
            line.push(DIGITS[usize::from(byte >> 4)]);
            line.push(DIGITS[usize::from(byte & 15)]);
        }
        line
    }
}

/// keccak-256 of (`earnest`, cluster, program, name, fields).
pub fn digest(name: &str, fields: &[&[u8]]) -> [u8; 32] {
    // No field is of free length but the last of a digest, and no name is the beginning of another.
    let mut all: Vec<&[u8]> = Vec::with_capacity(fields.len() + 4);
    all.extend_from_slice(&[b"earnest", CLUSTER.as_bytes(), ID.as_ref(), name.as_bytes()]);
    all.extend_from_slice(fields);
    hashv(&all).to_bytes()
}

/// keccak-256 of the parts one after the other.
pub fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    hashv(parts).to_bytes()
}

/// A number as a 32-byte big-endian word, as the ABI of the EVM encodes it.
pub fn word(number: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&number.to_be_bytes());
    word
}
