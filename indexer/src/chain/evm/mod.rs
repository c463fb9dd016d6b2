//! An EVM chain: follows the head block by block by hash, reads the final past by ranges, notices replaced blocks.

pub(super) mod follow;
mod model;
mod read;
pub(super) mod rpc;
#[cfg(test)]
mod tests;

pub(super) use read::{decode, members};
