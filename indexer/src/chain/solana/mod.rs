//! A Solana cluster: lists the program's transactions from the newest down to what is kept, applies them oldest first, and
//! compares what is kept with the chain once more when it is final.

pub(super) mod follow;
mod read;
mod reconcile;
pub(super) mod rpc;
#[cfg(test)]
mod tests;
pub(super) mod wake;

pub(super) use read::decode;
