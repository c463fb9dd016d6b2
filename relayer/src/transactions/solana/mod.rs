//! The manager for Solana: blockhashes that expire, signature statuses, fees for priority.
//!
//! A transaction is good for the blocks up to a height that is known when it is signed. Until the final chain is past that
//! height the same bytes are sent again and again; a transaction that is not in it then is dead, and only then is another
//! one signed for the intent. So an intent never has two transactions that could both have an effect. What a transaction
//! has to carry (the accounts of the case, ballots that are not counted yet) is read from the chain before it is signed.

mod alike;
mod behind;
mod case;
mod estimate;
mod fees;
mod manager;
mod node;
mod plan;
mod pursue;
mod reopen;
mod resolve;
mod sign;
mod store;
#[cfg(test)]
mod tests;

pub use manager::Manager;
pub use store::{Attempt, attempts};
