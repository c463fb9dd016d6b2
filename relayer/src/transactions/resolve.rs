//! From facts to what happens next, as far as it is the same on every chain: pure, and the whole of what is decided about an
//! intent that no transaction of ours can bring about at the moment. What is decided about one that is under way is in
//! the `resolve` of each manager.

use protocol::chain::TransactionId;

use super::refusal::Cure;
use crate::intents::State;

/// Whether the chain shows what an intent is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Present,
    /// It does not.
    Absent,
    /// The arbiter does not answer as one of our pools.
    Unreadable(String),
}

/// What happens next to an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Nothing; `reason` says why.
    Wait {
        /// In words.
        reason: String,
        /// The block or slot at which it was first refused for good, while it is.
        refused_at_block: Option<u64>,
    },
    /// Sign a transaction.
    Sign,
    /// Send the same bytes again, when their time has come.
    Resend,
    /// One of its transactions is in a block.
    Mine {
        /// Which.
        transaction: TransactionId,
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
        transaction: Option<TransactionId>,
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

/// Every transaction of an intent is final or dead: the case on chain has the last word. `success` is the one that went
/// through, `absent` says why the others did nothing.
pub fn settled(
    state: State,
    effect_final: Option<&Effect>,
    success: Option<TransactionId>,
    absent: impl FnOnce() -> String,
) -> Resolution {
    match effect_final {
        Some(Effect::Present) => Resolution::Finish { transaction: success },
        Some(Effect::Unreadable(reason)) if state != State::Quarantined => {
            Resolution::Quarantine { reason: reason.clone() }
        }
        Some(Effect::Unreadable(reason)) => {
            Resolution::Wait { reason: reason.clone(), refused_at_block: None }
        }
        None => {
            Resolution::Wait { reason: "the final case is not read yet".to_owned(), refused_at_block: None }
        }
        Some(Effect::Absent) => Resolution::Release {
            reason: success.map_or_else(absent, |transaction| {
                format!("transaction {transaction} is final and the effect is not there yet")
            }),
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
    /// What the call would do now: what it needs to run (gas, compute units), or its refusal with the cure; needed only when
    /// the effect is absent.
    pub dry_run: Option<Result<u64, (Cure, String)>>,
    /// Unix seconds after which it is pointless.
    pub deadline: u64,
    /// Unix seconds of the newest block.
    pub latest_time: u64,
    /// Number of the newest block or slot.
    pub latest_number: u64,
    /// Number of the final block or slot.
    pub final_number: u64,
    /// The block or slot at which it was first refused for good, while it is.
    pub refused_at_block: Option<u64>,
    /// Why it is where it is.
    pub reason: String,
    /// How many tries it has used up.
    pub tried: usize,
    /// How many it may use.
    pub tries_max: usize,
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
        Some(Ok(_)) if facts.tried >= facts.tries_max => {
            quarantined(facts, format!("{} transactions were mined or lost without the effect", facts.tried))
        }
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
