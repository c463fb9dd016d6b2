//! Whose turn it is to sign: what every signer has in flight, and for how much more there is room.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};

use super::{
    manager::{Manager, Sight},
    sign::Signer,
    store::Attempt,
};
use crate::{
    intents::Kept,
    transactions::{desk::Desk, rest::Rest},
};

/// How many nonces of a signer may be in flight: as many as nodes promise to keep of one account (geth's `accountslots`).
pub(super) const IN_FLIGHT_MAX: usize = 16;
/// How many of them may be what somebody asked for, so that steps of cases always find room.
const ASKED_IN_FLIGHT_MAX: usize = IN_FLIGHT_MAX / 2;
/// Why an intent waits while every signer is busy.
const NO_ROOM: &str = "every signer that can pay has as many transactions in flight as it may";
/// The alarm of signers that cannot pay.
const BALANCE: &str = "balance";
/// The alarm of signers that do not sign.
const SIGNER: &str = "signer";
/// For how long a signer that did not sign is out of turn, in milliseconds.
const MUTE_MS: i64 = 30_000;
/// After how long without another failure that is forgotten, in milliseconds.
const MUTE_KEPT_MS: i64 = 300_000;

/// What a signer has in flight: the nonces from the chain's count up to the next one that it would sign with.
#[derive(Clone, Debug, Default)]
pub(super) struct Flight {
    /// What it would sign with next.
    next: u64,
    /// Its transactions up to the newest block.
    used: u64,
    /// By nonce what its dearest transaction may cost, in wei.
    costs: BTreeMap<u64, U256>,
    /// The nonces of what somebody asked for.
    asked: BTreeSet<u64>,
}

impl Flight {
    /// Of a signer that signed the nonces below `reserved` before, and of which the chain counts `used` transactions.
    pub fn new(reserved: u64, used: u64) -> Self {
        Self { next: reserved.max(used), used, costs: BTreeMap::new(), asked: BTreeSet::new() }
    }

    fn count(&self) -> usize {
        usize::try_from(self.next.saturating_sub(self.used)).unwrap_or(usize::MAX)
    }

    /// How many more transactions it may sign, of those that somebody asked for, or of steps of cases.
    fn room(&self, asked: bool) -> usize {
        let free = IN_FLIGHT_MAX.saturating_sub(self.count());
        if asked { free.min(ASKED_IN_FLIGHT_MAX.saturating_sub(self.asked.len())) } else { free }
    }

    /// What all of it may cost, in wei.
    fn held(&self) -> U256 {
        self.costs.values().fold(U256::ZERO, |sum, cost| sum.saturating_add(*cost))
    }

    /// Notes what a transaction of a nonce may cost.
    fn takes_off(&mut self, nonce: u64, most: U256, asked: bool) {
        if nonce < self.used {
            return;
        }
        self.next = self.next.max(nonce.saturating_add(1));
        let cost = self.costs.entry(nonce).or_default();
        *cost = most.max(*cost);
        if asked {
            self.asked.insert(nonce);
        }
    }

    /// Forgets what was to be signed with this nonce and those after it, and was not.
    fn stays_down(&mut self, nonce: u64) {
        self.costs.split_off(&nonce);
        self.asked.split_off(&nonce);
        self.next = nonce;
    }
}

impl Manager {
    /// How many more intents may be signed for now: one of a signer that lacked coins at the last try, none of one that is out
    /// of turn.
    pub fn room(&self, desk: &Desk<'_>, asked: bool) -> usize {
        let of = |signer: &Signer| {
            let address = signer.address();
            if self.is_silent(desk, address) || self.doubted.contains(&address) {
                return 0;
            }
            let room = self.flights.get(&address).map_or(0, |flight| flight.room(asked));
            if self.poor.contains_key(&address) { room.min(1) } else { room }
        };
        self.signers.iter().map(of).fold(0, usize::saturating_add)
    }

    /// The signer for a transaction of an intent that may cost as much, and its nonce: of those that have room and can pay it the one with
    /// the fewest in flight. Those that cannot pay are noted where it is a step of a case. The nonce is taken from now on.
    ///
    /// # Errors
    /// Why there is none at the moment, in words.
    pub(super) fn choose(
        &mut self,
        desk: &Desk<'_>,
        sight: &Sight,
        (most, reserve): (U256, U256),
        kept: &Kept,
    ) -> Result<(Signer, u64), String> {
        let asked = kept.intent.asked_by.is_some();
        let mut best: Option<(usize, &Signer)> = None;
        let (mut busy, mut poor, mut silent) = (false, Vec::new(), Vec::new());
        for signer in &self.signers {
            let address = signer.address();
            let Some(flight) = self.flights.get(&address) else { continue };
            let needed = flight.held().saturating_add(most).saturating_add(reserve);
            if self.is_silent(desk, address) || self.doubted.contains(&address) {
                silent.push(address);
            } else if sight.balance(address) < needed {
                poor.push((address, needed));
            } else if flight.room(asked) == 0 {
                busy = true;
            } else if best.is_none_or(|(least, _)| flight.count() < least) {
                best = Some((flight.count(), signer));
            }
        }
        let chosen = best.map(|(_, signer)| signer.clone());
        // What one account asked for calls nobody.
        if !asked {
            self.wants_no_coins(kept.id);
            for (signer, _) in &poor {
                self.poor.entry(*signer).or_default().insert(kept.id, most.saturating_add(reserve));
            }
        }
        if let Some(signer) = chosen
            && let Some(flight) = self.flights.get_mut(&signer.address())
        {
            let nonce = flight.next;
            flight.takes_off(nonce, most, asked);
            return Ok((signer, nonce));
        }
        if busy {
            return Err(NO_ROOM.to_owned());
        }
        let short = poor.iter().map(|(signer, needed)| {
            format!("signer {signer} has {} wei; its transactions may cost {needed}", sight.balance(*signer))
        });
        let silent = silent.iter().map(|signer| format!("signer {signer} is out of turn"));
        Err(short.chain(silent).collect::<Vec<_>>().join("; "))
    }

    /// Why there is no room, in words.
    pub(super) fn why_no_room(&self, desk: &Desk<'_>) -> String {
        let all: Vec<Address> = self.signers.iter().map(|signer| signer.address()).collect();
        if all.iter().any(|one| !self.is_silent(desk, *one) && !self.doubted.contains(one)) {
            return NO_ROOM.to_owned();
        }
        all.iter().map(|one| format!("signer {one} is out of turn")).collect::<Vec<_>>().join("; ")
    }

    /// Notes that a transaction is in flight.
    pub(super) fn takes_off(&mut self, attempt: &Attempt, asked: bool) {
        let most = U256::from(attempt.fees.max_fee).saturating_mul(U256::from(attempt.gas));
        self.flights.entry(attempt.signer).or_default().takes_off(attempt.nonce, most, asked);
    }

    /// Gives back the nonces from this one on, which nothing was signed with.
    pub(super) fn stays_down(&mut self, signer: Address, nonce: u64) {
        if let Some(flight) = self.flights.get_mut(&signer) {
            flight.stays_down(nonce);
        }
    }

    /// Notes that a signer did not sign: it is out of turn for a while.
    pub(super) fn is_mute(&mut self, desk: &Desk<'_>, signer: Address, words: String) {
        self.mute.insert(signer, Rest::of(desk.now_ms(), MUTE_MS));
        desk.alarms.raise(SIGNER, words, desk.now_ms());
    }

    /// Whether a signer is out of turn because it did not sign.
    pub(super) fn is_silent(&self, desk: &Desk<'_>, signer: Address) -> bool {
        self.mute.get(&signer).is_some_and(|rest| rest.lasts(desk.now_ms()))
    }

    /// Notes that a signer signed.
    pub(super) fn speaks(&mut self, desk: &Desk<'_>, signer: Address) {
        self.mute.remove(&signer);
        if self.mute.is_empty() {
            desk.alarms.clear(SIGNER);
        }
    }

    /// Forgets what no signer could pay for this intent: it is tried anew, or not wanted of them any more.
    pub(super) fn wants_no_coins(&mut self, intent: i64) {
        self.poor.retain(|_, wanted| {
            wanted.remove(&intent);
            !wanted.is_empty()
        });
    }

    /// Forgets what is over of signers that could not pay or did not sign, and says which cannot pay.
    pub(super) fn say_who_is_out_of_turn(&mut self, desk: &Desk<'_>, sight: &Sight, open: &BTreeSet<i64>) {
        let flights = &self.flights;
        self.poor.retain(|signer, wanted| {
            let held = flights.get(signer).map_or(U256::ZERO, Flight::held);
            wanted.retain(|intent, most| {
                open.contains(intent) && sight.balance(*signer) < held.saturating_add(*most)
            });
            !wanted.is_empty()
        });
        self.say_poor(desk, sight);
        let now_ms = desk.now_ms();
        let kept = |rest: Rest| Rest { until_ms: rest.until_ms.saturating_add(MUTE_KEPT_MS), ..rest };
        self.mute.retain(|_, rest| kept(*rest).lasts(now_ms));
        if self.mute.is_empty() {
            desk.alarms.clear(SIGNER);
        }
    }

    /// Says which signers cannot pay.
    pub(super) fn say_poor(&self, desk: &Desk<'_>, sight: &Sight) {
        if self.poor.is_empty() {
            desk.alarms.clear(BALANCE);
            return;
        }
        let short = self.poor.iter().map(|(signer, wanted)| {
            let held = self.flights.get(signer).map_or(U256::ZERO, Flight::held);
            let needed = held.saturating_add(wanted.values().copied().max().unwrap_or_default());
            format!(
                "signer {signer} has {} wei; its transactions may cost {needed}: it is out of turn",
                sight.balance(*signer)
            )
        });
        desk.alarms.raise(BALANCE, short.collect::<Vec<_>>().join("; "), desk.now_ms());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signer_has_sixteen_nonces_in_flight_and_half_of_them_for_what_was_asked_for() {
        let mut flight = Flight::new(0, 40);
        assert_eq!((flight.next, flight.room(false), flight.room(true)), (40, 16, 8));
        for _ in 0..8 {
            flight.takes_off(flight.next, U256::from(5), true);
        }
        assert_eq!((flight.room(false), flight.room(true)), (8, 0));
        for _ in 0..8 {
            flight.takes_off(flight.next, U256::from(5), false);
        }
        assert_eq!((flight.next, flight.room(false), flight.held()), (56, 0, U256::from(80)));
        // A replacement takes no room, and counts where it is dearer.
        flight.takes_off(44, U256::from(9), true);
        flight.takes_off(45, U256::from(1), true);
        assert_eq!((flight.room(false), flight.held()), (0, U256::from(84)));
        flight.stays_down(54);
        assert_eq!((flight.next, flight.room(false), flight.held()), (54, 2, U256::from(74)));
    }

    #[test]
    fn nonces_that_the_chain_took_back_are_in_flight_too() {
        // Signed up to 29, of which the chain knows 10 any more: not one more may be signed with.
        let flight = Flight::new(30, 10);
        assert_eq!((flight.next, flight.room(false), flight.room(true)), (30, 0, 0));
        assert_eq!(Flight::new(12, 10).room(false), 14);
    }
}
