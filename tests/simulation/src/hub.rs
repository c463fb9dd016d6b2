//! A hub as its relayer knows it: it takes what is told, each telling once, and wants done what follows from what is final.

use std::collections::{BTreeMap, HashSet};

use alloy::primitives::B256;
use protocol::{
    chain::case_id,
    evm::ballot_digest,
    terms::Terms,
    wire::{
        feed::{Delivery, DeliveryReceipt, EventBody, FeedEntry, Finality},
        intent::{Intent, IntentAction, IntentPage, SignedBallot},
    },
};

use crate::scene::{SCENE, sign};

/// The hub's memory.
#[derive(Debug, Default)]
pub struct Hub {
    known: HashSet<u64>,
    /// Final events in the order in which they were taken.
    pub finals: Vec<FeedEntry>,
    terms: BTreeMap<B256, Terms>,
    pub intents: Vec<Intent>,
}

impl Hub {
    /// Takes entries; each counts once.
    pub fn take(&mut self, delivery: Delivery) -> DeliveryReceipt {
        let has = delivery.brought;
        let mut receipt = DeliveryReceipt { applied: 0, duplicates: 0, has };
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
