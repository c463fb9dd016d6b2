//! From facts to what happens next: pure, and the whole of what the relayer decides.

use alloy::primitives::B256;

use super::{
    case::{Cure, Effect},
    fees::{Fees, Price, bump},
};
use crate::{chain::Receipt, intents::State};

/// What happens next to an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Nothing; `reason` says why.
    Wait {
        /// In words.
        reason: String,
        /// The block at which it was first refused for good, while it is.
        refused_at_block: Option<u64>,
    },
    /// Sign a transaction with a new nonce.
    Sign,
    /// Send the same bytes again, when their time has come.
    Resend,
    /// Sign the transaction of this nonce again with higher fees.
    Bump {
        /// The nonce.
        nonce: u64,
        /// The new fees.
        fees: Fees,
    },
    /// One of its transactions is in a block.
    Mine {
        /// Which.
        transaction: B256,
    },
    /// None of them is any more.
    Unmine,
    /// None of its transactions can bring the effect about any more.
    Release {
        /// In words.
        reason: String,
    },
    /// Done and final.
    Finish {
        /// The transaction of ours that did it, if one did.
        transaction: Option<B256>,
    },
    /// It cannot succeed any more.
    Fail {
        /// In words.
        reason: String,
    },
    /// A person has to look.
    Quarantine {
        /// In words.
        reason: String,
    },
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
pub fn with_attempts(facts: &AttemptFacts, rules: &AttemptRules) -> Resolution {
    let highest = facts.attempts.iter().map(|attempt| attempt.nonce).max().unwrap_or(0);
    let mined = || facts.attempts.iter().filter_map(|attempt| Some((attempt, attempt.receipt?)));
    if facts.nonce_final > highest {
        return settled(facts, mined().find(|(_, receipt)| receipt.success).map(|(attempt, _)| attempt.hash));
    }
    if let Some((attempt, _)) = mined().max_by_key(|(attempt, receipt)| (receipt.success, attempt.nonce)) {
        return Resolution::Mine { transaction: attempt.hash };
    }
    if facts.state == State::Mined {
        return Resolution::Unmine;
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
                Price::Fees(fees) => Resolution::Bump { nonce: attempt.nonce, fees },
                Price::TooDear { needed, allowed } if facts.state != State::Quarantined => {
                    Resolution::Quarantine {
                        reason: format!(
                            "transaction {} is stuck; replacing it needs {needed} wei a unit of gas, the budget allows {allowed}",
                            attempt.hash
                        ),
                    }
                }
                Price::TooDear { .. } => Resolution::Resend,
            }
        }
        _ => Resolution::Resend,
    }
}

/// Every nonce is final: the case on chain has the last word.
fn settled(facts: &AttemptFacts, success: Option<B256>) -> Resolution {
    match &facts.effect_final {
        Some(Effect::Present) => Resolution::Finish { transaction: success },
        Some(Effect::Unreadable(reason))
            if facts.state != State::Quarantined && facts.state != State::Mined =>
        {
            Resolution::Quarantine { reason: reason.clone() }
        }
        Some(Effect::Unreadable(reason)) => {
            Resolution::Wait { reason: reason.clone(), refused_at_block: None }
        }
        None => {
            Resolution::Wait { reason: "the final case is not read yet".to_owned(), refused_at_block: None }
        }
        Some(Effect::Absent) => Resolution::Release {
            reason: match (success, facts.attempts.iter().any(|attempt| attempt.receipt.is_some())) {
                (Some(hash), _) => format!("transaction {hash} is final and the effect is not there yet"),
                (None, true) => "the transaction reverted, which is final".to_owned(),
                (None, false) => {
                    "another transaction of the signer took the nonce, which is final".to_owned()
                }
            },
        },
    }
}

/// What is known about an intent without transactions that may still be mined.
#[derive(Clone, Debug)]
pub struct WaitingFacts {
    /// Its state.
    pub state: State,
    /// The effect at the newest block.
    pub effect_latest: Effect,
    /// The effect at the final block; needed only when it is present at the newest.
    pub effect_final: Option<Effect>,
    /// What the call would do now: the gas it needs, or the data of its revert with the cure; needed only when the effect
    /// is absent.
    pub dry_run: Option<Result<u64, (Cure, String)>>,
    /// Unix seconds after which it is pointless.
    pub deadline: u64,
    /// Unix seconds of the newest block.
    pub latest_time: u64,
    /// Height of the newest block.
    pub latest_number: u64,
    /// Height of the final block.
    pub final_number: u64,
    /// The block at which it was first refused for good, while it is.
    pub refused_at_block: Option<u64>,
    /// Why it is where it is.
    pub reason: String,
    /// How many nonces it has used up.
    pub nonces_used: usize,
    /// How many it may use.
    pub nonces_max: usize,
}

/// What happens next to an intent without transactions that may still be mined.
pub fn without_attempts(facts: &WaitingFacts) -> Resolution {
    let wait = |reason: String| Resolution::Wait { reason, refused_at_block: None };
    match &facts.effect_latest {
        Effect::Present => {
            return if facts.effect_final == Some(Effect::Present) {
                Resolution::Finish { transaction: None }
            } else {
                wait("somebody brought the effect about; it is not final yet".to_owned())
            };
        }
        Effect::Unreadable(reason) if facts.latest_time <= facts.deadline => {
            return quarantined(facts, reason.clone());
        }
        Effect::Unreadable(_) | Effect::Absent => {}
    }
    if facts.latest_time > facts.deadline {
        let last = if facts.reason.is_empty() { String::new() } else { format!("; last: {}", facts.reason) };
        return Resolution::Fail {
            reason: format!("its deadline {} (Unix seconds) has passed{last}", facts.deadline),
        };
    }
    match &facts.dry_run {
        None => wait("the call is not tried yet".to_owned()),
        Some(Ok(_)) if facts.nonces_used >= facts.nonces_max => quarantined(
            facts,
            format!("{} transactions were mined or lost without the effect", facts.nonces_used),
        ),
        Some(Ok(_)) => Resolution::Sign,
        Some(Err((Cure::Time | Cure::Event, reason))) => wait(reason.clone()),
        Some(Err((Cure::Nothing, reason))) => match facts.refused_at_block {
            Some(block) if block <= facts.final_number => Resolution::Fail { reason: reason.clone() },
            first => Resolution::Wait {
                reason: format!("{reason} (not final yet)"),
                refused_at_block: Some(first.unwrap_or(facts.latest_number)),
            },
        },
        Some(Err((Cure::Unknown, reason))) => quarantined(facts, reason.clone()),
    }
}

fn quarantined(facts: &WaitingFacts, reason: String) -> Resolution {
    if facts.state == State::Quarantined {
        return Resolution::Wait { reason, refused_at_block: None };
    }
    Resolution::Quarantine { reason }
}
