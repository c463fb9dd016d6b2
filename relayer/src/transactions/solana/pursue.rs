//! What is done about one intent: the facts are gathered, `resolve` decides, and the decision is written.

use protocol::{
    chain::TransactionId,
    solana::{self, Transaction},
};
use service::failpoint;

use super::{
    case::{self, Refused, Snapshot},
    fees::{self, Offer, UNITS_MAX},
    manager::{BALANCE, Manager, Sight},
    node::Commitment,
    plan::{self, Plan},
    resolve::{AttemptFact, outcome, with_attempts},
    sign::sign,
    store::{self, Attempt},
};
use crate::{
    error::Error,
    intents::Kept,
    transactions::{
        desk::Desk,
        model::Step,
        refusal::Cure,
        resolve::{Effect, Resolution, WaitingFacts, without_attempts},
        store::{self as intent_store, Outcome},
    },
};

/// How many transactions of one intent may come to nothing.
const TRIES_MAX: usize = 12;

/// What trying a plan came to.
enum Tried {
    /// It would go through and take this many compute units.
    Through(Plan, u64),
    /// It would not.
    Refused(Cure, String),
    /// The signer has too little.
    Poor,
}

impl Manager {
    /// An intent without transactions that may still be in a block.
    pub(super) async fn wait(&self, desk: &mut Desk<'_>, sight: &Sight, kept: &Kept) -> Result<(), Error> {
        let latest = self.snapshot(kept, Commitment::Confirmed, 0).await?;
        let effect_latest = case::effect(&kept.intent, &latest);
        let effect_final = match &effect_latest {
            Effect::Present => {
                let settled = self.snapshot(kept, Commitment::Finalized, sight.finality.slot).await?;
                Some(case::effect(&kept.intent, &settled))
            }
            Effect::Absent | Effect::Unreadable(_) => None,
        };
        let tried = match &latest {
            Ok(snapshot) if effect_latest == Effect::Absent && snapshot.time <= kept.intent.deadline => {
                Some(self.try_out(kept, snapshot).await?)
            }
            _ => None,
        };
        let (dry_run, through) = match tried {
            None => (None, None),
            Some(Tried::Through(plan, units)) => (Some(Ok(units)), Some((plan, units))),
            Some(Tried::Refused(cure, reason)) => (Some(Err((cure, reason))), None),
            Some(Tried::Poor) => {
                let signer = self.signer();
                let reason = format!(
                    "signer {signer} has {} lamports, too little for the fee and the rent of what the transaction opens",
                    sight.balance
                );
                desk.alarms.raise(BALANCE, reason.clone(), desk.now_ms());
                return desk.stay(kept, reason).await;
            }
        };
        let before = store::attempts(desk.db.reader(), kept.id).await?;
        let facts = WaitingFacts {
            state: kept.state,
            effect_latest,
            effect_final,
            dry_run,
            deadline: kept.intent.deadline,
            latest_time: latest.as_ref().map_or(sight.latest.1, |snapshot| snapshot.time),
            latest_number: latest.as_ref().map_or(sight.latest.0, |snapshot| snapshot.slot),
            final_number: sight.finality.slot,
            refused_at_block: kept.refused_at_block,
            reason: kept.reason.clone(),
            tried: before.iter().filter(|attempt| attempt.outcome != Outcome::Succeeded).count(),
            tries_max: TRIES_MAX,
        };
        match (without_attempts(&facts), through) {
            (Resolution::Sign, Some((plan, units))) => self.first(desk, kept, &before, &plan, units).await,
            (resolution, _) => desk.apply(None, kept, resolution).await,
        }
    }

    async fn try_out(&self, kept: &Kept, snapshot: &Snapshot) -> Result<Tried, Error> {
        let plan = match plan::plan(&self.node, &self.signer, &kept.intent, snapshot).await? {
            Ok(plan) => plan,
            Err((cure, reason)) => return Ok(Tried::Refused(cure, reason)),
        };
        let transaction = self.sign(&plan, UNITS_MAX, 0, [0; 32])?;
        let simulated = self.node.simulate(&transaction.bytes).await?;
        Ok(match simulated.error {
            None => Tried::Through(plan, simulated.units),
            Some(error) => match case::refused(&error, &kept.intent, snapshot.time) {
                Refused::By(cure, reason) => Tried::Refused(cure, reason),
                Refused::Poor => Tried::Poor,
            },
        })
    }

    /// Signs an intent's transaction, stores it, and sends it.
    async fn first(
        &self,
        desk: &mut Desk<'_>,
        kept: &Kept,
        before: &[Attempt],
        plan: &Plan,
        units: u64,
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
                return desk.stay(kept, reason).await;
            }
        };
        let blockhash = self.node.blockhash().await?;
        let signed = self.sign(plan, units, unit_price, blockhash.hash)?;
        let attempt = Attempt {
            signature: TransactionId::Solana(signed.signature),
            intent: kept.id,
            signer: self.signer(),
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
        store::store_attempt(&mut write, &attempt).await?;
        intent_store::step(&mut write, kept, Step::Sign, "", None, desk.now_ms()).await?;
        write.commit().await?;
        desk.alarms.clear(BALANCE);
        desk.soon(kept);
        self.send(desk, &kept.intent.key, &attempt).await;
        Ok(())
    }

    /// An intent with a transaction that may still be in a block.
    pub(super) async fn watch(
        &self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &Kept,
        attempts: &[Attempt],
    ) -> Result<(), Error> {
        let mut facts = Vec::with_capacity(attempts.len());
        let mut least_slot = sight.finality.slot;
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
        let effect_final = if over {
            let settled = self.snapshot(kept, Commitment::Finalized, least_slot).await?;
            Some(case::effect(&kept.intent, &settled))
        } else {
            None
        };
        let resolution = with_attempts(kept.state, &facts, sight.finality, effect_final.as_ref());
        let sends =
            matches!(resolution, Resolution::Resend | Resolution::Unmine | Resolution::Quarantine { .. });
        let write = match resolution {
            Resolution::Finish { .. } | Resolution::Release { .. } => {
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
        desk.sent(key, attempt.signature);
    }

    fn sign(&self, plan: &Plan, units: u32, price: u64, blockhash: [u8; 32]) -> Result<Transaction, Error> {
        sign(&self.signer, &plan.instructions, units, price, blockhash)
            .map_err(|error| Error::Sign(error.to_string()))
    }

    async fn snapshot(
        &self,
        kept: &Kept,
        commitment: Commitment,
        least_slot: u64,
    ) -> Result<Result<Snapshot, String>, Error> {
        let deal = solana::deal_id(&kept.intent.terms)
            .map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))?;
        Ok(case::snapshot(&self.node, deal, commitment, least_slot).await?)
    }
}
