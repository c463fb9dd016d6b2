//! What somebody says of a digest, on chain.

use anchor_lang::prelude::*;

/// The word of a signer about a digest. Where there is no such account, an Ed25519 signature is needed and counts.
#[account]
#[derive(InitSpace, Default, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Approved, as if signed; that stays when it is revoked, for what cannot be taken back.
    pub approved: bool,
    /// Revoked for good.
    pub revoked: bool,
}

impl Consent {
    /// Bytes of the account.
    pub const SIZE: usize = 8 + Self::INIT_SPACE;
}
