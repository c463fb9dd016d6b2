//! What the chain asks for a place in a block, and the alarm of what that is too much for. The alarm has the reasons of each
//! for as long as it stands, so that it ends with the last of them, and not with the first that can be paid.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::Address;

use super::{
    fees::Market,
    manager::{Manager, Sight},
};
use crate::transactions::desk::Desk;

/// The alarm.
const PRICE: &str = "price";
/// Of how many the alarm has the words.
const NAMED_MAX: usize = 4;

/// What a price is too high for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dear {
    /// No node tells the price.
    Untold,
    /// Whatever is to be signed next, of steps of cases or of what somebody asked for.
    Next {
        /// Which of both.
        asked: bool,
    },
    /// The transactions of an intent.
    Intent(i64),
    /// The filling of a signer's nonce.
    Nonce(Address, u64),
}

impl Manager {
    /// What a place in one of the next blocks costs; asked for once a round. None where no node tells it, which is said:
    /// nothing is signed then, and all else goes on.
    pub(super) async fn market(&mut self, desk: &Desk<'_>) -> Option<Market> {
        if let Some(market) = self.market {
            return market;
        }
        let market = match self.chain.market().await {
            Ok(market) => {
                self.affords(desk, Dear::Untold);
                Some(market)
            }
            Err(error) => {
                self.cannot_pay(desk, Dear::Untold, format!("no node tells the price: {error}"));
                None
            }
        };
        self.market = Some(market);
        market
    }

    /// Notes that the chain asks too much for something, and says so.
    pub(super) fn cannot_pay(&mut self, desk: &Desk<'_>, what: Dear, words: String) {
        self.dear.insert(what, words);
        self.say_dear(desk);
    }

    /// Notes that something can be paid, or is not wanted any more.
    pub(super) fn affords(&mut self, desk: &Desk<'_>, what: Dear) {
        if self.dear.remove(&what).is_some() {
            self.say_dear(desk);
        }
    }

    /// Forgets what is over: intents that are not `priced` any more (they are over, or a quota holds them up), nonces that the
    /// chain has, and what the next one would cost where none is `waiting` for that, of those that somebody asked for or of the
    /// others.
    pub(super) fn forget_dear(&mut self, sight: &Sight, priced: &BTreeSet<i64>, waiting: &BTreeSet<bool>) {
        let untold = !waiting.is_empty() || self.market == Some(None);
        self.dear.retain(|what, _| match what {
            Dear::Untold => untold,
            Dear::Next { asked } => waiting.contains(asked),
            Dear::Intent(id) => priced.contains(id),
            Dear::Nonce(signer, nonce) => *nonce >= sight.nonce_latest(*signer),
        });
    }

    /// Says what the price is too high for.
    pub(super) fn say_dear(&self, desk: &Desk<'_>) {
        let words: BTreeSet<&str> = self.dear.values().map(String::as_str).collect();
        if words.is_empty() {
            desk.alarms.clear(PRICE);
            return;
        }
        let more = words.len().saturating_sub(NAMED_MAX);
        let mut said = words.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join("; ");
        if more > 0 {
            said.push_str(&format!("; and {more} more"));
        }
        desk.alarms.raise(PRICE, said, desk.now_ms());
    }
}

/// What the price is too high for, each with its words.
pub(super) type AllDear = BTreeMap<Dear, String>;
