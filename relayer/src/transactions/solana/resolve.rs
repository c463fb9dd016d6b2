//! From facts to what happens next to an intent with a transaction that may still be in a block: pure.

use super::node::{Commitment, Known, Status};
use crate::{
    intents::State,
    transactions::{
        resolve::{Effect, Resolution, settled},
        store::Outcome,
    },
};
use protocol::chain::TransactionId;

/// A signed transaction.
#[derive(Clone, Copy, Debug)]
pub struct AttemptFact {
    /// Its signature.
    pub transaction: TransactionId,
    /// The last block that may hold it, by height.
    pub last_valid_height: u64,
    /// Where it is, asked after the final height was.
    pub known: Known,
}

/// What is known of the final chain.
#[derive(Clone, Copy, Debug)]
pub struct Finality {
    /// Height of its newest block.
    pub height: u64,
    /// Slot of its newest block.
    pub slot: u64,
}

/// What became of a transaction; open while that can change. One that no block holds is dead only when the final chain is
/// past its last height, by the word of a node that knows the chain that far.
pub fn outcome(fact: &AttemptFact, finality: Finality) -> Outcome {
    match fact.known.status {
        Some(Status { commitment: Some(Commitment::Finalized), success: true, .. }) => Outcome::Succeeded,
        Some(Status { commitment: Some(Commitment::Finalized), success: false, .. }) => Outcome::Reverted,
        Some(_) => Outcome::Open,
        None if finality.height > fact.last_valid_height && fact.known.slot >= finality.slot => {
            Outcome::Expired
        }
        None => Outcome::Open,
    }
}

/// What happens next. `effect_final` is needed only when no transaction is open.
pub fn with_attempts(
    state: State,
    facts: &[AttemptFact],
    finality: Finality,
    effect_final: Option<&Effect>,
) -> Resolution {
    let of = |wanted: Outcome| facts.iter().find(|fact| outcome(fact, finality) == wanted);
    if of(Outcome::Open).is_none() {
        let success = of(Outcome::Succeeded).map(|fact| fact.transaction);
        return settled(state, effect_final, success, || {
            match of(Outcome::Reverted) {
                Some(_) => "the transaction failed on chain, which is final",
                None => "its blockhash expired before a block held it, which is final",
            }
            .to_owned()
        });
    }
    let held = |fact: &&AttemptFact| fact.known.status.is_some_and(|status| status.commitment.is_some());
    match facts.iter().find(held) {
        Some(fact) => Resolution::Mine { transaction: fact.transaction },
        None if state == State::Mined => Resolution::Unmine,
        None => Resolution::Resend,
    }
}
