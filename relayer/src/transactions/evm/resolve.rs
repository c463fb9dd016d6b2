//! From facts to what happens next to an intent with transactions that may still be mined: pure.

use alloy::primitives::{Address, B256};

use super::{
    chain::Receipt,
    fees::{Fees, Market, Price, bump},
    store::Kind,
};
use crate::{
    intents::State,
    transactions::resolve::{Effect, Resolution, settled},
};

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Sign another transaction with this nonce and higher fees.
    Replace {
        /// Whose.
        signer: Address,
        /// The nonce.
        nonce: u64,
        /// The same call again, or nothing in its place.
        kind: Kind,
        /// The new fees.
        fees: Fees,
    },
    /// The same bytes again: the highest fee that the configuration allows, and not the budget, is in the way of a better one.
    TooDear {
        /// In words.
        reason: String,
    },
    /// What can happen on any chain.
    Do(Resolution),
}

/// What is known about an intent with transactions that may still be mined.
#[derive(Clone, Debug)]
pub struct AttemptFacts {
    /// Its state.
    pub state: State,
    /// Its transactions.
    pub attempts: Vec<AttemptFact>,
    /// The effect at the final block; needed only when every nonce is final.
    pub effect_final: Option<Effect>,
    /// Whether the call is not wanted any more: its effect is there, or its deadline has passed.
    pub pointless: bool,
    /// What a place in the next block costs; none where nobody tells it, and then nothing is replaced.
    pub market: Option<Market>,
    /// The most for a unit of gas by configuration.
    pub price_max: u128,
    /// The most for a unit of gas of the call, by configuration and what is left of the intent's budget.
    pub ceiling: u128,
    /// The same for one that cancels it, which needs less gas.
    pub cancel_ceiling: u128,
}

/// One signed transaction.
#[derive(Clone, Copy, Debug)]
pub struct AttemptFact {
    /// Its hash.
    pub hash: B256,
    /// Who signed it.
    pub signer: Address,
    /// Whether its nonce is used up in the final chain.
    pub over: bool,
    /// Whether its nonce is the signer's next one, as of the newest block.
    pub front: bool,
    /// What it is for.
    pub kind: Kind,
    /// Its nonce.
    pub nonce: u64,
    /// Its fees.
    pub fees: Fees,
    /// Milliseconds since it was signed.
    pub age_ms: i64,
    /// Whether a block came since it was signed, that could have taken it.
    pub passed_over: bool,
    /// Whether the key that signed it is at hand.
    pub can_sign: bool,
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
}

/// What happens next to an intent with transactions that may still be mined.
pub fn with_attempts(facts: &AttemptFacts, rules: &AttemptRules) -> Next {
    let mined = || facts.attempts.iter().filter_map(|attempt| Some((attempt, attempt.receipt?)));
    if facts.attempts.iter().all(|attempt| attempt.over) {
        let success = mined().find(|(attempt, receipt)| attempt.kind == Kind::Call && receipt.success);
        let success = success.map(|(attempt, _)| attempt.hash.into());
        return Next::Do(settled(facts.state, facts.effect_final.as_ref(), success, || {
            match mined().next() {
                Some((attempt, _)) if attempt.kind != Kind::Call => {
                    "the transaction was cancelled, which is final"
                }
                Some(_) => "the transaction reverted, which is final",
                None => "another transaction of the signer took the nonce, which is final",
            }
            .to_owned()
        }));
    }
    // Of the transactions with the next nonce the last signed is the dearest. A later nonce is not stuck but in line.
    let front = facts.attempts.iter().filter(|attempt| attempt.front && facts.in_no_block(attempt));
    let front = front.max_by_key(|attempt| attempt.fees.max_fee);
    let stuck = front.filter(|attempt| rules.stuck(attempt));
    if let Some((attempt, receipt)) =
        mined().max_by_key(|(attempt, receipt)| (receipt.success, attempt.nonce))
    {
        // Another nonce of it may be in front of others.
        if let Some(other) = stuck
            && let next @ Next::Replace { .. } = replace(facts, other, rules, receipt.success)
        {
            return next;
        }
        return Next::Do(Resolution::Mine { transaction: attempt.hash.into() });
    }
    if facts.state == State::Mined {
        return Next::Do(Resolution::Unmine);
    }
    match (stuck, front) {
        (Some(attempt), _) => replace(facts, attempt, rules, false),
        (None, Some(attempt))
            if rules.left_lying(attempt) && !attempt.can_sign && facts.state != State::Quarantined =>
        {
            Next::Do(Resolution::Quarantine {
                reason: format!(
                    "transaction {} is stuck, and the key of its signer {} is not here",
                    attempt.hash, attempt.signer
                ),
            })
        }
        _ => Next::Do(Resolution::Resend),
    }
}

impl AttemptFacts {
    /// Whether no transaction of an attempt's signer and nonce is known to be in a block.
    pub fn in_no_block(&self, attempt: &AttemptFact) -> bool {
        let same = |one: &&AttemptFact| one.signer == attempt.signer && one.nonce == attempt.nonce;
        self.attempts.iter().filter(same).all(|one| one.receipt.is_none())
    }
}

impl AttemptRules {
    /// Whether a transaction was left lying for so long that it needs a better price. While no block comes, no price helps.
    pub const fn stuck(&self, attempt: &AttemptFact) -> bool {
        self.left_lying(attempt) && attempt.can_sign
    }

    /// The same, whether it can be given one or not.
    const fn left_lying(&self, attempt: &AttemptFact) -> bool {
        attempt.age_ms >= self.bump_after_ms && attempt.passed_over
    }
}

/// A call that is stuck is signed again, or cancelled where it is not wanted any more (another did it: `done`), or where the budget has enough for
/// nothing but that: those behind it are stuck with it.
fn replace(facts: &AttemptFacts, front: &AttemptFact, rules: &AttemptRules, done: bool) -> Next {
    let Some(market) = facts.market else { return Next::Do(Resolution::Resend) };
    let pointless = facts.pointless || done;
    let priced = |ceiling| bump(front.fees, market, rules.bump_bps, ceiling);
    let replaced = |kind, fees| Next::Replace { signer: front.signer, nonce: front.nonce, kind, fees };
    let cancel = priced(facts.cancel_ceiling);
    if let (Price::Fees(fees), true) = (cancel, pointless || front.kind != Kind::Call) {
        return replaced(Kind::Cancel, fees);
    }
    let (needed, allowed) = match (priced(facts.ceiling), cancel) {
        (Price::Fees(fees), _) if front.kind == Kind::Call && !pointless => {
            return replaced(Kind::Call, fees);
        }
        (_, Price::Fees(fees)) => return replaced(Kind::Cancel, fees),
        (Price::TooDear { needed, allowed }, _) | (_, Price::TooDear { needed, allowed }) => {
            (needed, allowed)
        }
    };
    if needed > facts.price_max {
        let most = facts.price_max;
        let reason =
            format!("replacing {} takes {needed} wei a unit of gas, the limits allow {most}", front.hash);
        return Next::TooDear { reason };
    }
    if facts.state == State::Quarantined {
        return Next::Do(Resolution::Resend);
    }
    Next::Do(Resolution::Quarantine {
        reason: format!(
            "transaction {} is stuck; replacing it needs {needed} wei a unit of gas, the budget allows {allowed}",
            front.hash
        ),
    })
}
