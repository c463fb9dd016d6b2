//! From facts to what happens next to an intent with transactions that may still be mined: pure.

use alloy::primitives::B256;

use super::{
    chain::Receipt,
    fees::{Fees, Price, bump},
};
use crate::{
    intents::State,
    transactions::resolve::{Effect, Resolution, settled},
};

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Sign the transaction of this nonce again with higher fees.
    Bump {
        /// The nonce.
        nonce: u64,
        /// The new fees.
        fees: Fees,
    },
    /// What can happen on any chain.
    Do(Resolution),
}

/// What is known about an intent with transactions that may still be mined.
#[derive(Clone, Debug)]
pub struct AttemptFacts {
    /// Its state.
    pub state: State,
    /// Its transactions: hash, nonce, fees, gas, age of the signature in milliseconds, whether we hold the key.
    pub attempts: Vec<AttemptFact>,
    /// The signer's transactions up to the newest block.
    pub nonce_latest: u64,
    /// The signer's transactions up to the final block.
    pub nonce_final: u64,
    /// The effect at the final block; needed only when every nonce is final.
    pub effect_final: Option<Effect>,
    /// What a place in the next block costs.
    pub estimate: Fees,
    /// The most for a unit of gas, by configuration and what is left of the intent's budget.
    pub ceiling: u128,
}

/// One signed transaction.
#[derive(Clone, Copy, Debug)]
pub struct AttemptFact {
    /// Its hash.
    pub hash: B256,
    /// Its nonce.
    pub nonce: u64,
    /// Its fees.
    pub fees: Fees,
    /// Milliseconds since it was signed.
    pub age_ms: i64,
    /// Where it was mined, if it was.
    pub receipt: Option<Receipt>,
}

/// The rules for stuck transactions.
#[derive(Clone, Copy, Debug)]
pub struct AttemptRules {
    /// Milliseconds without being mined after which fees rise.
    pub bump_after_ms: i64,
    /// By how much, in basis points.
    pub bump_bps: u32,
    /// Whether the key that signed them is at hand.
    pub can_sign: bool,
}

/// What happens next to an intent with transactions that may still be mined.
pub fn with_attempts(facts: &AttemptFacts, rules: &AttemptRules) -> Next {
    let highest = facts.attempts.iter().map(|attempt| attempt.nonce).max().unwrap_or(0);
    let mined = || facts.attempts.iter().filter_map(|attempt| Some((attempt, attempt.receipt?)));
    if facts.nonce_final > highest {
        let success = mined().find(|(_, receipt)| receipt.success);
        let success = success.map(|(attempt, _)| attempt.hash.into());
        return Next::Do(settled(facts.state, facts.effect_final.as_ref(), success, || {
            match mined().next() {
                Some(_) => "the transaction reverted, which is final",
                None => "another transaction of the signer took the nonce, which is final",
            }
            .to_owned()
        }));
    }
    if let Some((attempt, _)) = mined().max_by_key(|(attempt, receipt)| (receipt.success, attempt.nonce)) {
        return Next::Do(Resolution::Mine { transaction: attempt.hash.into() });
    }
    if facts.state == State::Mined {
        return Next::Do(Resolution::Unmine);
    }
    // Of the transactions with the next nonce the last signed is the dearest. A later nonce is not stuck but in line.
    let front = facts
        .attempts
        .iter()
        .filter(|attempt| attempt.nonce == facts.nonce_latest)
        .max_by_key(|attempt| attempt.fees.max_fee);
    match front {
        Some(attempt) if attempt.age_ms >= rules.bump_after_ms && rules.can_sign => {
            match bump(attempt.fees, facts.estimate, rules.bump_bps, facts.ceiling) {
                Price::Fees(fees) => Next::Bump { nonce: attempt.nonce, fees },
                Price::TooDear { needed, allowed } if facts.state != State::Quarantined => {
                    Next::Do(Resolution::Quarantine {
                        reason: format!(
                            "transaction {} is stuck; replacing it needs {needed} wei a unit of gas, the budget allows {allowed}",
                            attempt.hash
                        ),
                    })
                }
                Price::TooDear { .. } => Next::Do(Resolution::Resend),
            }
        }
        _ => Next::Do(Resolution::Resend),
    }
}
