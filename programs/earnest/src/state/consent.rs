//! What somebody says of a digest, on chain.

use anchor_lang::prelude::*;

/// The word of a signer about a digest. Where there is no such account, an Ed25519 signature is needed and counts.
#[account]
#[derive(InitSpace, Debug, PartialEq, Eq)]
pub struct Consent {
    /// True: approved, as if signed. False: revoked for good.
    pub approved: bool,
}

impl Consent {
    /// Bytes of the account.
    pub const SIZE: usize = 8 + Self::INIT_SPACE;
}
