//! What is done about one intent: the facts are gathered, [`super::resolve`] decides, and the decision is written.

use std::collections::BTreeMap;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256},
};
use service::failpoint;

use super::{
    case,
    chain::{Called, Receipt, Sight},
    fees::{self, Fees, Price},
    manager::{BALANCE, Manager},
    resolve::{AttemptFact, AttemptFacts, AttemptRules, Next, with_attempts},
    sign::{Draft, sign},
    store::{self, Attempt},
};
use crate::{
    error::Error,
    intents::Kept,
    transactions::{
        desk::Desk,
        model::Step,
        resolve::{Effect, Resolution, WaitingFacts, without_attempts},
        store::{self as intent_store, Outcome},
    },
};

/// How many nonces may be in flight, below what nodes keep for one account.
const IN_FLIGHT_MAX: u64 = 16;
/// How many nonces one intent may use up.
const NONCES_MAX: usize = 5;

impl Manager {
    /// An intent without transactions that may still be mined.
    pub(super) async fn wait(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &Kept,
    ) -> Result<(), Error> {
        let (chain, from) = (&self.chain, self.signer.address());
        let to = arbiter(kept)?;
        let effect_latest = self.effect(kept, BlockNumberOrTag::Latest).await?;
        let effect_final = match &effect_latest {
            Effect::Present => Some(self.effect(kept, sight.finalized.number.into()).await?),
            Effect::Absent | Effect::Unreadable(_) => None,
        };
        let tried = effect_latest == Effect::Absent && sight.latest.time <= kept.intent.deadline;
        let data = calldata(kept)?;
        let dry_run = if tried {
            let estimate = chain.estimate(from, to, data.clone()).await?;
            Some(estimate.map_err(|data| case::cure(&data)))
        } else {
            None
        };
        let mut used = store::attempts(desk.db.reader(), kept.id).await?;
        used.dedup_by_key(|attempt| attempt.nonce);
        let estimate = match &dry_run {
            Some(Ok(gas)) => Some(*gas),
            _ => None,
        };
        let facts = WaitingFacts {
            state: kept.state,
            effect_latest,
            effect_final,
            dry_run,
            deadline: kept.intent.deadline,
            latest_time: sight.latest.time,
            latest_number: sight.latest.number,
            final_number: sight.finalized.number,
            refused_at_block: kept.refused_at_block,
            reason: kept.reason.clone(),
            tried: used.len(),
            tries_max: NONCES_MAX,
        };
        match (without_attempts(&facts), estimate) {
            (Resolution::Sign, Some(estimate)) => {
                let gas = fees::gas_limit(estimate, case::payee_gas(&kept.intent));
                let draft = Draft { chain_id: chain.id(), to, data, gas };
                self.first(desk, sight, kept, draft).await
            }
            (resolution, _) => self.apply(desk, kept, &[], resolution).await,
        }
    }

    /// Signs an intent's transaction with the next nonce, stores both at once, and sends it.
    async fn first(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &Kept,
        draft: Draft,
    ) -> Result<(), Error> {
        let signer = self.signer.address();
        let ceiling = self.ceiling(desk, kept.id, draft.gas).await?;
        let fees = match fees::first_price(self.chain.fees().await?, ceiling) {
            Price::Fees(fees) => fees,
            Price::TooDear { needed, allowed } => {
                let reason = format!("the chain asks {needed} wei a unit of gas, the limits allow {allowed}");
                return desk.stay(kept, reason).await;
            }
        };
        let most = U256::from(fees.max_fee).saturating_mul(U256::from(draft.gas));
        if sight.balance < most {
            let reason =
                format!("signer {signer} has {} wei; the transaction may cost {most}", sight.balance);
            desk.alarms.raise(BALANCE, reason.clone(), desk.now_ms());
            self.needed = Some(most);
            return desk.stay(kept, reason).await;
        }
        let now_ms = desk.now_ms();
        let mut write = desk.begin().await?;
        let reserved = store::next_nonce(&mut write, signer).await?;
        if reserved != 0 && reserved < sight.nonce_latest {
            tracing::warn!(%signer, reserved, used = sight.nonce_latest, "somebody else uses this signer's key");
        }
        let nonce = reserved.max(sight.nonce_latest);
        if nonce.saturating_sub(sight.nonce_latest) >= IN_FLIGHT_MAX {
            drop(write);
            return desk
                .stay(kept, format!("{IN_FLIGHT_MAX} transactions of the signer are not mined yet"))
                .await;
        }
        let attempt = self.signed(kept, &draft, nonce, fees, now_ms)?;
        store::store_attempt(&mut write, &attempt).await?;
        intent_store::step(&mut write, kept, Step::Sign, "", None, now_ms).await?;
        write.commit().await?;
        desk.soon(kept);
        self.send(desk, &kept.intent.key, &attempt).await;
        Ok(())
    }

    /// An intent with transactions that may still be mined.
    pub(super) async fn watch(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &Kept,
        attempts: Vec<Attempt>,
    ) -> Result<(), Error> {
        let now_ms = desk.now_ms();
        let mut known = Vec::with_capacity(attempts.len());
        for attempt in &attempts {
            known.push(AttemptFact {
                hash: attempt.hash,
                nonce: attempt.nonce,
                fees: attempt.fees,
                age_ms: now_ms.saturating_sub(attempt.signed_ms),
                receipt: self.chain.receipt(attempt.hash).await?,
            });
        }
        let all_final = known.iter().all(|attempt| attempt.nonce < sight.nonce_final);
        let effect_final =
            if all_final { Some(self.effect(kept, sight.finalized.number.into()).await?) } else { None };
        let gas = attempts.iter().map(|attempt| attempt.gas).max().unwrap_or(u64::MAX);
        let rules = AttemptRules {
            bump_after_ms: self.rules.bump_after_ms,
            bump_bps: self.rules.fee_bump_bps,
            can_sign: attempts.iter().all(|attempt| attempt.signer == self.signer.address()),
        };
        let stuck = known.iter().any(|a| a.nonce == sight.nonce_latest && a.age_ms >= rules.bump_after_ms);
        let facts = AttemptFacts {
            state: kept.state,
            attempts: known,
            nonce_latest: sight.nonce_latest,
            nonce_final: sight.nonce_final,
            effect_final,
            estimate: if stuck { self.chain.fees().await? } else { Fees { max_fee: 0, priority_fee: 0 } },
            ceiling: self.ceiling(desk, kept.id, gas).await?,
        };
        let next = with_attempts(&facts, &rules);
        let settled: Vec<(B256, Option<Receipt>)> =
            facts.attempts.iter().map(|attempt| (attempt.hash, attempt.receipt)).collect();
        match next {
            Next::Bump { nonce, fees } => {
                let draft =
                    Draft { chain_id: self.chain.id(), to: arbiter(kept)?, data: calldata(kept)?, gas };
                self.replace(desk, kept, &draft, nonce, fees).await
            }
            Next::Do(Resolution::Resend) => {
                self.resend(desk, kept, &attempts, sight).await;
                Ok(())
            }
            Next::Do(Resolution::Unmine) => {
                tracing::warn!(
                    key = kept.intent.key,
                    "a reorganisation took its transaction out of its block"
                );
                self.apply(desk, kept, &settled, Resolution::Unmine).await?;
                self.resend(desk, kept, &attempts, sight).await;
                Ok(())
            }
            Next::Do(Resolution::Quarantine { reason }) => {
                self.apply(desk, kept, &settled, Resolution::Quarantine { reason }).await?;
                self.resend(desk, kept, &attempts, sight).await;
                Ok(())
            }
            Next::Do(resolution) => self.apply(desk, kept, &settled, resolution).await,
        }
    }

    async fn replace(
        &self,
        desk: &mut Desk<'_>,
        kept: &Kept,
        draft: &Draft,
        nonce: u64,
        fees: Fees,
    ) -> Result<(), Error> {
        let now_ms = desk.now_ms();
        let attempt = self.signed(kept, draft, nonce, fees, now_ms)?;
        let mut write = desk.begin().await?;
        store::store_attempt(&mut write, &attempt).await?;
        intent_store::step(&mut write, kept, Step::Bump, "", None, now_ms).await?;
        write.commit().await?;
        metrics::counter!("relayer_bumps_total").increment(1);
        self.send(desk, &kept.intent.key, &attempt).await;
        Ok(())
    }

    fn signed(
        &self,
        kept: &Kept,
        draft: &Draft,
        nonce: u64,
        fees: Fees,
        now_ms: i64,
    ) -> Result<Attempt, Error> {
        let signed = sign(&self.signer, draft, nonce, fees)?;
        Ok(Attempt {
            hash: signed.hash,
            intent: kept.id,
            signer: self.signer.address(),
            nonce,
            raw: signed.raw,
            gas: draft.gas,
            fees,
            outcome: Outcome::Open,
            signed_ms: now_ms,
        })
    }

    /// Sends again, of every nonce that is not mined, the dearest transaction, when its time has come.
    async fn resend(&self, desk: &mut Desk<'_>, kept: &Kept, attempts: &[Attempt], sight: &Sight) {
        let mut dearest: BTreeMap<u64, &Attempt> = BTreeMap::new();
        for attempt in attempts.iter().filter(|attempt| attempt.nonce >= sight.nonce_latest) {
            dearest.insert(attempt.nonce, attempt);
        }
        for attempt in dearest.into_values() {
            if desk.is_due(&attempt.hash.into()) {
                self.send(desk, &kept.intent.key, attempt).await;
            }
        }
    }

    /// Hands a stored transaction to the network. What the node says decides nothing.
    async fn send(&self, desk: &mut Desk<'_>, key: &str, attempt: &Attempt) {
        failpoint::pass(&["relayer.broadcast.before"]);
        let answer = self.chain.send(&attempt.raw).await;
        failpoint::pass(&["relayer.broadcast.after"]);
        metrics::counter!("relayer_broadcasts_total").increment(1);
        match answer {
            Ok(()) => tracing::info!(key, transaction = %attempt.hash, nonce = attempt.nonce, "sent"),
            Err(error) => tracing::info!(key, transaction = %attempt.hash, %error, "sent; the node objects"),
        }
        desk.sent(key, attempt.hash.into());
    }

    /// Writes what was decided, and what became of the transactions where they are over.
    async fn apply(
        &self,
        desk: &mut Desk<'_>,
        kept: &Kept,
        attempts: &[(B256, Option<Receipt>)],
        resolution: Resolution,
    ) -> Result<(), Error> {
        if !matches!(resolution, Resolution::Finish { .. } | Resolution::Release { .. }) {
            return desk.apply(None, kept, resolution).await;
        }
        let mut write = desk.begin().await?;
        for (hash, receipt) in attempts {
            let outcome = match receipt {
                Some(receipt) if receipt.success => Outcome::Succeeded,
                Some(_) => Outcome::Reverted,
                None => Outcome::Replaced,
            };
            store::set_outcome(&mut write, *hash, outcome).await?;
        }
        desk.apply(Some(write), kept, resolution).await
    }

    async fn effect(&self, kept: &Kept, at: BlockNumberOrTag) -> Result<Effect, Error> {
        let call = case::case_of(&kept.intent.terms)
            .map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))?;
        let to = arbiter(kept)?;
        Ok(match self.chain.call(Address::ZERO, to, call, at).await? {
            Called::Returned(answer) => case::effect(&kept.intent.action, &answer),
            Called::Reverted(_) => Effect::Unreadable(format!("the arbiter {to} reverts caseOf")),
        })
    }

    /// What is left for a unit of gas after what the intent's earlier nonces may have cost.
    async fn ceiling(&self, desk: &Desk<'_>, intent: i64, gas: u64) -> Result<u128, Error> {
        let mut spent: BTreeMap<u64, u128> = BTreeMap::new();
        for attempt in store::attempts(desk.db.reader(), intent).await? {
            if matches!(attempt.outcome, Outcome::Succeeded | Outcome::Reverted) {
                let cost = attempt.fees.max_fee.saturating_mul(attempt.gas.into());
                spent.insert(attempt.nonce, cost);
            }
        }
        let spent = spent.into_values().fold(0_u128, u128::saturating_add);
        let rules = &self.rules;
        Ok(fees::ceiling(rules.max_fee_per_gas, rules.gas_budget.saturating_sub(spent), gas))
    }
}

fn arbiter(kept: &Kept) -> Result<Address, Error> {
    case::arbiter(&kept.intent).map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))
}

fn calldata(kept: &Kept) -> Result<alloy::primitives::Bytes, Error> {
    case::calldata(&kept.intent).map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))
}
