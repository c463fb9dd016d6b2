//! The seeds of every address.

/// A deal: this and the deal's id.
pub const DEAL: &[u8] = b"deal";
/// The vault of a deal of tokens: this and the deal's id.
pub const VAULT: &[u8] = b"vault";
/// A jury: this, the deal's id, and one byte: how many juries the case had before.
pub const JURY: &[u8] = b"jury";
/// A pool: this and the pool's id.
pub const POOL: &[u8] = b"pool";
/// A member list: this, the pool's id, and its index in four little-endian bytes.
pub const LIST: &[u8] = b"list";
/// What somebody says of a digest: this, its key, and the digest.
pub const CONSENT: &[u8] = b"consent";
/// To whom a buyer of tokens gives an allowance, if it wants to fund by signature: this alone.
pub const ALLOWANCE: &[u8] = b"allowance";
/// The arbiter of the terms for the pools of this program: this alone.
pub const ARBITER: &[u8] = b"arbiter";
