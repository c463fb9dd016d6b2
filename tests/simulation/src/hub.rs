//! A hub as its relayer knows it: it takes what is told, each telling once, and wants done what follows from what is final.
//! Put back from a backup, it has lost what came after, and says so.

use std::collections::{BTreeMap, HashSet, VecDeque};

use alloy::primitives::B256;
use protocol::{
    chain::case_id,
    evm::ballot_digest,
    terms::Terms,
    wire::{
        feed::{Brought, Delivery, DeliveryReceipt, EventBody, FeedEntry, Finality},
        intent::{Intent, IntentAction, IntentPage, SignedBallot},
    },
};

use crate::{
    dice::Dice,
    scene::{SCENE, sign},
};

/// Backups that are kept; one is made in every step.
const BACKUPS: usize = 20;

/// The hub's memory.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    known: HashSet<u64>,
    /// What was brought of the feed.
    has: Option<Brought>,
    /// Final events in the order in which they were taken.
    pub finals: Vec<FeedEntry>,
    terms: BTreeMap<B256, Terms>,
    pub intents: Vec<Intent>,
}

impl Hub {
    /// Takes entries; each counts once.
    pub fn take(&mut self, delivery: Delivery) -> DeliveryReceipt {
        let has =
            delivery.brought.map(|told| self.has.unwrap_or(Brought { deliveries: 0, through: 0, ..told }));
        let mut receipt = DeliveryReceipt { applied: 0, duplicates: 0, has };
        if delivery.brought.zip(has).is_some_and(|(told, has)| has.deliveries < told.deliveries) {
            return receipt;
        }
        let brings = !delivery.entries.is_empty();
        for entry in delivery.entries {
            if !self.known.insert(entry.seq) {
                receipt.duplicates += 1;
                continue;
            }
            receipt.applied += 1;
            if entry.finality == Finality::Final {
                self.follow(&entry.event.body);
                self.finals.push(entry);
            }
        }
        if let Some((told, has)) = delivery.brought.zip(has).filter(|_| brings) {
            self.has = Some(Brought { deliveries: has.deliveries + 1, ..told });
            receipt.has = self.has;
        }
        receipt
    }

    fn want(&mut self, key: String, deal: B256, action: IntentAction) {
        let Some(terms) = self.terms.get(&deal).cloned() else { return };
        if self.intents.iter().any(|intent| intent.key == key) {
            return;
        }
        let seq = self.intents.len() as u64 + 1;
        let deadline = terms.deliver_by + 100_000_000;
        self.intents.push(Intent {
            seq,
            key,
            arbiter: terms.arbiter,
            terms,
            action,
            deadline,
            asked_by: None,
            cause: None,
        });
    }

    fn follow(&mut self, body: &EventBody) {
        match body {
            EventBody::Funded { deal, terms } => drop(self.terms.insert(*deal, terms.clone())),
            EventBody::Disputed { deal, .. } => {
                self.want(format!("open/{deal}"), *deal, IntentAction::OpenCase);
            }
            EventBody::CaseOpened { deal, instance, jury, .. } => {
                let action = IntentAction::DrawJury { instance: *instance, jury: *jury };
                self.want(format!("draw/{deal}/{instance}/{jury}"), *deal, action);
            }
            EventBody::JuryDrawn { deal, pool, instance, jury, seed, seats, .. } => {
                let case = case_id(*pool, SCENE.escrow, *deal, *instance, *jury, *seed).unwrap();
                let digest = ballot_digest(SCENE.pools, case, 6_000, B256::ZERO).unwrap();
                let ballot = |(seat, juror): (u8, &protocol::chain::Address)| SignedBallot {
                    seat,
                    share: 6_000,
                    reason: B256::ZERO,
                    signature: sign(&SCENE.jurors[&juror.evm().unwrap()], digest),
                };
                let ballots = (0..).zip(seats).map(ballot).collect();
                let action = IntentAction::SubmitBallots { instance: *instance, jury: *jury, ballots };
                self.want(format!("ballots/{deal}/{instance}/{jury}"), *deal, action);
            }
            _ => {}
        }
    }

    /// What is wanted after a position.
    pub fn page(&self, after: u64, limit: usize) -> IntentPage {
        let intents: Vec<Intent> =
            self.intents.iter().filter(|intent| intent.seq > after).take(limit).cloned().collect();
        let cursor = intents.last().map_or(after, |intent| intent.seq);
        IntentPage { intents, cursor }
    }
}

/// What a hub may be put back to.
#[derive(Debug, Default)]
pub struct Backups(VecDeque<Hub>);

impl Backups {
    /// Keeps what the hub knows.
    pub fn keep(&mut self, hub: &Hub) {
        self.0.push_front(hub.clone());
        self.0.truncate(BACKUPS);
    }

    /// One of them, without those that are newer; none where there is none.
    pub fn one(&mut self, dice: &mut Dice) -> Option<Hub> {
        let newer = usize::try_from(dice.below(self.0.len() as u64)).unwrap();
        self.0.drain(..newer);
        self.0.front().cloned()
    }
}
