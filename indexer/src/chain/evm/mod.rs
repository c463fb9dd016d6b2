//! An EVM chain: follows the head block by block by hash, reads the final past by ranges, notices replaced blocks.

mod backfill;
mod dispute;
pub(super) mod follow;
mod model;
mod proof;
mod prove;
mod read;
mod reconcile;
pub(super) mod rpc;
mod sizing;
#[cfg(test)]
mod tests;

pub(super) use read::{decode, members};
