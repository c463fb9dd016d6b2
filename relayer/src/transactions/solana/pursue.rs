//! What is done about one intent: the facts are gathered, `resolve` decides, and the decision is written.

use alloy::primitives::B256;
use ed25519_dalek::SigningKey;
use protocol::{
    chain::TransactionId,
    solana::{self, Transaction},
    wire::intent::IntentProgress,
};
use service::failpoint;

use super::{
    alike::Stands,
    case::{self, Refused, Snapshot},
    fees::{self, Offer, UNITS_MAX},
    manager::{Manager, Sight},
    node::{Commitment, Node},
    plan::{self, Plan},
    resolve::{AttemptFact, outcome, with_attempts},
    sign::sign,
    store::{self, Attempt},
};
use crate::{
    error::Error,
    intents::{Kept, State},
    outbox, quota,
    transactions::{
        acts,
        desk::Desk,
        model::Step,
        refusal::Cure,
        resolve::{Effect, Resolution, WaitingFacts, without_attempts},
        store::{self as intent_store, Outcome},
    },
};

/// How many transactions of one intent may come to nothing.
const TRIES_MAX: usize = 12;
/// Why an intent waits that would be over if more nodes said so.
const UNAGREED: &str = "it may be over, and too few nodes tell that alike";

/// What trying a plan came to.
enum Tried {
    /// It would go through, paid by this signer, and take this many compute units.
    Through(Box<SigningKey>, Plan, u64),
    /// It would not, paid by this one.
    Refused(Box<SigningKey>, Cure, String),
    /// Every signer has too little.
    Poor,
}

/// What one signer's transaction would come to.
pub(super) enum DryRun {
    /// It would go through, and take this many compute units.
    Through(Plan, u64),
    /// It would not.
    Refused(Cure, String),
    /// The signer has too little.
    Poor,
}

impl Manager {
    /// An intent without transactions that may still be in a block.
    pub(super) async fn wait(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &Kept,
        why: Option<&str>,
    ) -> Result<(), Error> {
        let before = store::attempts(desk.db.reader(), kept.id).await?;
        let sent = before.iter().any(|attempt| attempt.outcome == Outcome::Succeeded);
        let Stands { view, effect_final, agreed } = self.stands((desk.now_ms(), sight), kept, sent).await?;
        if !agreed {
            let (reason, refused_at_block) = (UNAGREED.to_owned(), kept.refused_at_block);
            return desk.apply(None, kept, Resolution::Wait { reason, refused_at_block }).await;
        }
        let tried = match &view.snapshot {
            Ok(snapshot) if view.effect == Effect::Absent && !view.late && why.is_none() => {
                Some(self.try_out(sight, kept, &view.node, snapshot).await?)
            }
            _ => None,
        };
        let (dry_run, through, refused) = match tried {
            None => (None, None, None),
            Some(Tried::Through(signer, plan, units)) => (Some(Ok(units)), Some((signer, plan, units)), None),
            Some(Tried::Refused(signer, cure, reason)) => (Some(Err((cure, reason))), None, Some(signer)),
            Some(Tried::Poor) => {
                self.say_poor(desk);
                return desk.stay(kept, "no signer has enough to pay for it".to_owned()).await;
            }
        };
        self.say_poor(desk);
        let facts = WaitingFacts {
            state: kept.state,
            effect_latest: view.effect,
            effect_final,
            dry_run,
            deadline: kept.intent.deadline,
            latest_time: view.snapshot.as_ref().map_or(sight.latest.1, |snapshot| snapshot.time),
            latest_number: view.snapshot.as_ref().map_or(sight.latest.0, |snapshot| snapshot.slot),
            final_number: sight.finality.slot,
            refused_at_block: kept.refused_at_block,
            reason: kept.reason.clone(),
            tried: before.iter().filter(|attempt| attempt.outcome != Outcome::Succeeded).count(),
            tries_max: TRIES_MAX,
        };
        let decided =
            acts::in_somebodys_name(&kept.intent, &facts.effect_latest, sent, without_attempts(&facts));
        if self.node.has_several() && facts.dry_run.is_some() {
            if let Resolution::Fail { reason } = &decided
                && !self.fails_alike(sight, kept, refused.as_deref(), sent).await?
            {
                self.unagreed.put(kept.id, desk.now_ms());
                let reason = format!("{reason} (too few nodes say so of the final chain)");
                let waits = Resolution::Wait { reason, refused_at_block: kept.refused_at_block };
                return desk.apply(None, kept, waits).await;
            }
            self.unagreed.forget(kept.id);
        }
        match (decided, through) {
            (Resolution::Sign, Some((signer, plan, units))) => {
                self.first(desk, kept, &before, &signer, (&plan, units)).await
            }
            (Resolution::Wait { reason, refused_at_block }, _) => match why {
                Some(why) if facts.effect_latest == Effect::Absent => {
                    desk.held_up(kept, why.to_owned()).await
                }
                _ => desk.apply(None, kept, Resolution::Wait { reason, refused_at_block }).await,
            },
            (resolution, _) => desk.apply(None, kept, resolution).await,
        }
    }

    /// Tries an intent's transaction with the signer whose turn it is, and with the next one where that cannot pay, at the node that
    /// shows how the intent stands.
    async fn try_out(
        &mut self,
        sight: &Sight,
        kept: &Kept,
        node: &Node,
        snapshot: &Snapshot,
    ) -> Result<Tried, Error> {
        for signer in self.turn() {
            // What is kept for the steps of cases.
            let has = sight.balances.get(&solana::key_of(&signer)).copied().unwrap_or(0);
            if kept.intent.asked_by.is_some() && has <= self.rules.quotas.reserve {
                continue;
            }
            match dry_run_at(node, &signer, kept, snapshot, (Commitment::Confirmed, 0)).await? {
                DryRun::Through(plan, units) => return Ok(Tried::Through(Box::new(signer), plan, units)),
                DryRun::Refused(cure, reason) => return Ok(Tried::Refused(Box::new(signer), cure, reason)),
                // What one account asked for calls nobody, and puts no signer out of turn.
                DryRun::Poor if kept.intent.asked_by.is_some() => {}
                DryRun::Poor => {
                    let key = solana::key_of(&signer);
                    self.poor.insert(key, sight.balances.get(&key).copied().unwrap_or(0));
                }
            }
        }
        Ok(Tried::Poor)
    }

    /// Signs an intent's transaction, stores it, and sends it.
    async fn first(
        &mut self,
        desk: &mut Desk<'_>,
        kept: &Kept,
        before: &[Attempt],
        signer: &SigningKey,
        (plan, units): (&Plan, u64),
    ) -> Result<(), Error> {
        let units = fees::units_limit(units);
        // What expired cost nothing.
        let paid = before.iter().filter(|attempt| attempt.outcome != Outcome::Expired);
        let spent = paid.fold(0_u64, |sum, attempt| sum.saturating_add(attempt.fee));
        let budget_left = self.rules.fee_budget.saturating_sub(spent);
        let offer = Offer {
            usual: fees::usual(self.node.recent_prices(&plan.written()).await?),
            before: before.last().filter(|last| last.outcome == Outcome::Expired).map(|last| last.unit_price),
            rise_bps: self.rules.rise_bps,
            price_max: self.rules.unit_price_max,
            budget_left,
        };
        let unit_price = match fees::price(&offer, plan.signatures, units) {
            Ok(price) => price,
            Err(needed) => {
                let reason =
                    format!("the transaction costs {needed} lamports, the budget has {budget_left} left");
                // A budget that is used up needs a person.
                if kept.state == State::Quarantined || kept.intent.asked_by.is_some() {
                    return desk.stay(kept, reason).await;
                }
                return desk.apply(None, kept, Resolution::Quarantine { reason }).await;
            }
        };
        let over = {
            let fee = fees::fee(plan.signatures, units, unit_price);
            let mut reader = desk.db.reader().acquire().await?;
            quota::over(&mut reader, &self.rules.quotas, kept, fee, desk.now_ms()).await?
        };
        if let Some(over) = over {
            desk.hold(kept, over, true);
            return desk.stay(kept, over.to_string()).await;
        }
        let blockhash = self.node.blockhash().await?;
        let payer = solana::from_key(&solana::key_of(signer));
        let signed = signed(signer, plan, units, unit_price, blockhash.hash)?;
        let attempt = Attempt {
            signature: TransactionId::Solana(signed.signature),
            intent: kept.id,
            signer: payer,
            raw: signed.bytes,
            blockhash: bs58::encode(blockhash.hash).into_string(),
            last_valid_height: blockhash.last_valid_height,
            units: units.into(),
            unit_price,
            fee: fees::fee(plan.signatures, units, unit_price),
            outcome: Outcome::Open,
            signed_ms: desk.now_ms(),
        };
        let mut write = desk.begin().await?;
        let (quotas, slot) = (&self.rules.quotas, attempt.signature.to_string());
        let over = quota::charge(&mut write, quotas, kept, &slot, attempt.fee, attempt.signed_ms).await?;
        if let Some(over) = over {
            drop(write);
            desk.hold(kept, over, true);
            return desk.stay(kept, over.to_string()).await;
        }
        store::store_attempt(&mut write, &attempt).await?;
        intent_store::step(&mut write, kept, Step::Sign, "", None, desk.now_ms()).await?;
        let estimate = Some(fees::estimate(units, attempt.fee, budget_left));
        let sent = IntentProgress::Sent { transaction: attempt.signature, estimate };
        outbox::say(&mut write, &kept.intent.key, sent, desk.now_ms()).await?;
        write.commit().await?;
        self.takes_off(payer);
        desk.soon(kept);
        self.send(desk, &kept.intent.key, &attempt).await;
        Ok(())
    }

    /// An intent with a transaction that may still be in a block.
    pub(super) async fn watch(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &Kept,
        attempts: &[Attempt],
    ) -> Result<(), Error> {
        let several = self.node.has_several();
        let mut facts = Vec::with_capacity(attempts.len());
        let mut least_slot = if several { sight.reached.1 } else { sight.finality.slot };
        for attempt in attempts {
            let known = self.node.status(&attempt.signature.to_string()).await?;
            if let Some(status) =
                known.status.filter(|status| status.commitment == Some(Commitment::Finalized))
            {
                least_slot = least_slot.max(status.slot);
            }
            let (transaction, last_valid_height) = (attempt.signature, attempt.last_valid_height);
            facts.push(AttemptFact { transaction, last_valid_height, known });
        }
        let over = facts.iter().all(|fact| outcome(fact, sight.finality) != Outcome::Open);
        // A machine of a balanced endpoint that lost its memory says the same of what a block holds.
        if over && facts.iter().any(|fact| outcome(fact, sight.finality) == Outcome::Expired) {
            let Some(since) = self.expired.believed(kept.id, sight.finality.slot) else { return Ok(()) };
            least_slot = least_slot.max(since);
        } else {
            self.expired.forget(kept.id);
        }
        let sent = facts.iter().any(|fact| outcome(fact, sight.finality) == Outcome::Succeeded);
        let effect_final = if !over {
            None
        } else if several {
            self.effect_alike(kept, &facts, sent, least_slot).await?
        } else {
            let settled = self.snapshot(kept, Commitment::Finalized, least_slot).await?;
            Some(case::effect(&kept.intent, &settled, sent))
        };
        let agreed = !over || effect_final.is_some();
        if agreed {
            self.unagreed.forget(kept.id);
        } else {
            self.unagreed.put(kept.id, desk.now_ms());
        }
        let resolution = with_attempts(kept.state, &facts, sight.finality, effect_final.as_ref());
        let resolution = acts::of_ours(&kept.intent, sent, resolution);
        // What one node calls final may be in no block.
        let sends = !agreed
            || matches!(resolution, Resolution::Resend | Resolution::Unmine | Resolution::Quarantine { .. });
        let write = match resolution {
            Resolution::Finish { .. } | Resolution::Release { .. } => {
                self.expired.forget(kept.id);
                let mut write = desk.begin().await?;
                for fact in &facts {
                    store::set_outcome(&mut write, fact.transaction, outcome(fact, sight.finality)).await?;
                }
                Some(write)
            }
            _ => None,
        };
        desk.apply(write, kept, resolution).await?;
        if sends {
            for attempt in attempts {
                if desk.is_due(&attempt.signature) {
                    self.send(desk, &kept.intent.key, attempt).await;
                }
            }
        }
        Ok(())
    }

    /// Hands a stored transaction to the network. What the node says decides nothing.
    async fn send(&self, desk: &mut Desk<'_>, key: &str, attempt: &Attempt) {
        failpoint::pass(&["relayer.broadcast.before"]);
        let answer = self.node.send(&attempt.raw).await;
        failpoint::pass(&["relayer.broadcast.after"]);
        metrics::counter!("relayer_broadcasts_total").increment(1);
        match answer {
            Ok(()) => tracing::info!(key, transaction = %attempt.signature, "sent"),
            Err(error) => {
                tracing::info!(key, transaction = %attempt.signature, %error, "sent; the node objects");
            }
        }
        desk.sent(attempt.signature);
    }

    pub(super) async fn snapshot(
        &self,
        kept: &Kept,
        commitment: Commitment,
        least_slot: u64,
    ) -> Result<Result<Snapshot, String>, Error> {
        Ok(case::snapshot(&self.node, deal(kept)?, commitment, least_slot).await?)
    }
}

/// The id of an intent's deal.
///
/// # Errors
/// Its terms have none.
pub(super) fn deal(kept: &Kept) -> Result<B256, Error> {
    solana::deal_id(&kept.intent.terms)
        .map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))
}

/// What a signer's transaction for an intent that stands like this would come to, by the word of a node.
///
/// # Errors
/// The node does not answer, or the transaction cannot be signed.
pub(super) async fn dry_run_at(
    node: &Node,
    signer: &SigningKey,
    kept: &Kept,
    snapshot: &Snapshot,
    (commitment, least_slot): (Commitment, u64),
) -> Result<DryRun, Error> {
    let plan = match plan::plan(node, signer, &kept.intent, snapshot).await? {
        Ok(plan) => plan,
        Err((cure, reason)) => return Ok(DryRun::Refused(cure, reason)),
    };
    let transaction = signed(signer, &plan, UNITS_MAX, 0, [0; 32])?;
    let simulated = node.simulate(&transaction.bytes, commitment, least_slot).await?;
    let Some(error) = simulated.error else { return Ok(DryRun::Through(plan, simulated.units)) };
    Ok(match case::refused(&error, &kept.intent, snapshot.time) {
        Refused::By(cure, reason) => DryRun::Refused(cure, reason),
        Refused::Poor => DryRun::Poor,
    })
}

pub(super) fn signed(
    signer: &SigningKey,
    plan: &Plan,
    units: u32,
    price: u64,
    blockhash: [u8; 32],
) -> Result<Transaction, Error> {
    sign(signer, &plan.instructions, units, price, blockhash).map_err(|error| Error::Sign(error.to_string()))
}
