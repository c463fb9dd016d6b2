//! The manager for EVM chains: nonces, receipts, EIP-1559 fees. A transaction that is stuck is signed again with its nonce
//! and higher fees; which one was mined, the receipts and the signer's nonce at finality say.

mod case;
mod chain;
mod dear;
mod estimate;
mod fees;
mod gaps;
mod kms;
mod manager;
mod pursue;
mod reopen;
mod resolve;
mod sign;
mod store;
#[cfg(test)]
mod tests;
mod turn;
mod wait;
mod watch;
mod witness;

pub use manager::Manager;
pub use store::{Attempt, attempts};
