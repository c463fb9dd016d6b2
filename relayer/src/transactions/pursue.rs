//! What is done about one intent: the facts are gathered, [`super::resolve`] decides, and the decision is written.

use std::collections::BTreeMap;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256},
};
use protocol::{chain::TransactionId, wire::intent::IntentProgress};
use service::failpoint;

use super::{
    case::{self, Effect},
    fees::{self, Fees, Price},
    model::Step,
    resolve::{
        AttemptFact, AttemptFacts, AttemptRules, Resolution, WaitingFacts, with_attempts, without_attempts,
    },
    sign::{Draft, sign},
    store::{self, Attempt, Outcome},
    worker::{BALANCE, Rounds},
};
use crate::{
    chain::{Called, Receipt, Sight},
    error::Error,
    intents::{Kept, State},
};

/// How many nonces may be in flight, below what nodes keep for one account.
const IN_FLIGHT_MAX: u64 = 16;
/// How many nonces one intent may use up.
const NONCES_MAX: usize = 5;
/// The longest an intent that waits is not looked at.
const LOOK_EVERY_MAX_MS: i64 = 15_000;

impl Rounds<'_> {
    /// An intent without transactions that may still be mined.
    pub(super) async fn wait(&mut self, sight: &Sight, kept: &Kept) -> Result<(), Error> {
        let worker = self.worker;
        let (chain, from) = (&worker.chain, worker.signer.address());
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
        let mut used = store::attempts(worker.db.reader(), kept.id).await?;
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
            nonces_used: used.len(),
            nonces_max: NONCES_MAX,
        };
        match (without_attempts(&facts), estimate) {
            (Resolution::Sign, Some(estimate)) => {
                let gas = fees::gas_limit(estimate, case::payee_gas(&kept.intent));
                let draft = Draft { chain_id: chain.id(), to, data, gas };
                self.first(sight, kept, draft).await
            }
            (resolution, _) => self.apply(kept, &[], resolution).await,
        }
    }

    /// Signs an intent's transaction with the next nonce, stores both at once, and sends it.
    async fn first(&mut self, sight: &Sight, kept: &Kept, draft: Draft) -> Result<(), Error> {
        let worker = self.worker;
        let signer = worker.signer.address();
        let ceiling = self.ceiling(kept.id, draft.gas).await?;
        let fees = match fees::first_price(worker.chain.fees().await?, ceiling) {
            Price::Fees(fees) => fees,
            Price::TooDear { needed, allowed } => {
                let reason = format!("the chain asks {needed} wei a unit of gas, the limits allow {allowed}");
                return self.stay(kept, reason).await;
            }
        };
        let most = U256::from(fees.max_fee).saturating_mul(U256::from(draft.gas));
        if sight.balance < most {
            let reason =
                format!("signer {signer} has {} wei; the transaction may cost {most}", sight.balance);
            worker.alarms.raise(BALANCE, reason.clone(), worker.clock.now_ms());
            self.needed = Some(most);
            return self.stay(kept, reason).await;
        }
        let now_ms = worker.clock.now_ms();
        let mut write = self.lease.begin().await?;
        let reserved = store::next_nonce(&mut write, signer).await?;
        if reserved != 0 && reserved < sight.nonce_latest {
            tracing::warn!(%signer, reserved, used = sight.nonce_latest, "somebody else uses this signer's key");
        }
        let nonce = reserved.max(sight.nonce_latest);
        if nonce.saturating_sub(sight.nonce_latest) >= IN_FLIGHT_MAX {
            drop(write);
            return self
                .stay(kept, format!("{IN_FLIGHT_MAX} transactions of the signer are not mined yet"))
                .await;
        }
        let attempt = self.signed(kept, &draft, nonce, fees, now_ms)?;
        store::store_attempt(&mut write, &attempt).await?;
        store::step(&mut write, kept, Step::Sign, "", None, now_ms).await?;
        write.commit().await?;
        self.due_ms.remove(&kept.id);
        self.send(&kept.intent.key, &attempt).await;
        Ok(())
    }

    /// An intent with transactions that may still be mined.
    pub(super) async fn watch(
        &mut self,
        sight: &Sight,
        kept: &Kept,
        attempts: Vec<Attempt>,
    ) -> Result<(), Error> {
        let worker = self.worker;
        let now_ms = worker.clock.now_ms();
        let mut known = Vec::with_capacity(attempts.len());
        for attempt in &attempts {
            known.push(AttemptFact {
                hash: attempt.hash,
                nonce: attempt.nonce,
                fees: attempt.fees,
                age_ms: now_ms.saturating_sub(attempt.signed_ms),
                receipt: worker.chain.receipt(attempt.hash).await?,
            });
        }
        let all_final = known.iter().all(|attempt| attempt.nonce < sight.nonce_final);
        let effect_final =
            if all_final { Some(self.effect(kept, sight.finalized.number.into()).await?) } else { None };
        let gas = attempts.iter().map(|attempt| attempt.gas).max().unwrap_or(u64::MAX);
        let rules = AttemptRules {
            bump_after_ms: worker.rules.bump_after_ms,
            bump_bps: worker.rules.fee_bump_bps,
            can_sign: attempts.iter().all(|attempt| attempt.signer == worker.signer.address()),
        };
        let stuck = known.iter().any(|a| a.nonce == sight.nonce_latest && a.age_ms >= rules.bump_after_ms);
        let facts = AttemptFacts {
            state: kept.state,
            attempts: known,
            nonce_latest: sight.nonce_latest,
            nonce_final: sight.nonce_final,
            effect_final,
            estimate: if stuck { worker.chain.fees().await? } else { Fees { max_fee: 0, priority_fee: 0 } },
            ceiling: self.ceiling(kept.id, gas).await?,
        };
        let resolution = with_attempts(&facts, &rules);
        let settled: Vec<(B256, Option<Receipt>)> =
            facts.attempts.iter().map(|attempt| (attempt.hash, attempt.receipt)).collect();
        match resolution {
            Resolution::Bump { nonce, fees } => {
                let draft =
                    Draft { chain_id: worker.chain.id(), to: arbiter(kept)?, data: calldata(kept)?, gas };
                self.replace(kept, &draft, nonce, fees).await
            }
            Resolution::Resend => {
                self.resend(kept, &attempts, sight).await;
                Ok(())
            }
            Resolution::Unmine => {
                tracing::warn!(
                    key = kept.intent.key,
                    "a reorganisation took its transaction out of its block"
                );
                self.apply(kept, &settled, Resolution::Unmine).await?;
                self.resend(kept, &attempts, sight).await;
                Ok(())
            }
            Resolution::Quarantine { reason } => {
                self.apply(kept, &settled, Resolution::Quarantine { reason }).await?;
                self.resend(kept, &attempts, sight).await;
                Ok(())
            }
            resolution => self.apply(kept, &settled, resolution).await,
        }
    }

    async fn replace(&mut self, kept: &Kept, draft: &Draft, nonce: u64, fees: Fees) -> Result<(), Error> {
        let now_ms = self.worker.clock.now_ms();
        let attempt = self.signed(kept, draft, nonce, fees, now_ms)?;
        let mut write = self.lease.begin().await?;
        store::store_attempt(&mut write, &attempt).await?;
        store::step(&mut write, kept, Step::Bump, "", None, now_ms).await?;
        write.commit().await?;
        metrics::counter!("relayer_bumps_total").increment(1);
        self.send(&kept.intent.key, &attempt).await;
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
        let signed = sign(&self.worker.signer, draft, nonce, fees)?;
        Ok(Attempt {
            hash: signed.hash,
            intent: kept.id,
            signer: self.worker.signer.address(),
            nonce,
            raw: signed.raw,
            gas: draft.gas,
            fees,
            outcome: Outcome::Open,
            signed_ms: now_ms,
        })
    }

    /// Sends again, of every nonce that is not mined, the dearest transaction, when its time has come.
    async fn resend(&mut self, kept: &Kept, attempts: &[Attempt], sight: &Sight) {
        let now_ms = self.worker.clock.now_ms();
        let mut dearest: BTreeMap<u64, &Attempt> = BTreeMap::new();
        for attempt in attempts.iter().filter(|attempt| attempt.nonce >= sight.nonce_latest) {
            dearest.insert(attempt.nonce, attempt);
        }
        for attempt in dearest.into_values() {
            let due = self
                .sent_ms
                .get(&attempt.hash)
                .is_none_or(|sent| now_ms.saturating_sub(*sent) >= self.worker.rules.resend_after_ms);
            if due {
                self.send(&kept.intent.key, attempt).await;
            }
        }
    }

    /// Hands a stored transaction to the network. What the node says decides nothing.
    async fn send(&mut self, key: &str, attempt: &Attempt) {
        failpoint::pass(&["relayer.broadcast.before"]);
        let answer = self.worker.chain.send(&attempt.raw).await;
        failpoint::pass(&["relayer.broadcast.after"]);
        metrics::counter!("relayer_broadcasts_total").increment(1);
        match answer {
            Ok(()) => tracing::info!(key, transaction = %attempt.hash, nonce = attempt.nonce, "sent"),
            Err(error) => tracing::info!(key, transaction = %attempt.hash, %error, "sent; the node objects"),
        }
        if self.sent_ms.insert(attempt.hash, self.worker.clock.now_ms()).is_none() {
            let progress = IntentProgress::Sent { transaction: attempt.hash.into() };
            self.worker.reporter.say(key.to_owned(), progress);
        }
    }

    /// Writes what was decided.
    async fn apply(
        &mut self,
        kept: &Kept,
        attempts: &[(B256, Option<Receipt>)],
        resolution: Resolution,
    ) -> Result<(), Error> {
        let key = &kept.intent.key;
        match resolution {
            Resolution::Wait { reason, refused_at_block } => {
                self.later(kept);
                self.note(kept, reason, refused_at_block).await
            }
            Resolution::Mine { transaction } => {
                let reason = format!("transaction {transaction} is in a block that is not final yet");
                if kept.state == State::Mined && kept.reason == reason {
                    return Ok(());
                }
                self.step(kept, attempts, Step::Mine, &reason, None).await
            }
            Resolution::Unmine => {
                self.step(kept, attempts, Step::Unmine, "its block left the chain", None).await
            }
            Resolution::Release { reason } => {
                tracing::warn!(key, reason, "its transactions are over without the effect");
                self.step(kept, attempts, Step::Release, &reason, None).await
            }
            Resolution::Finish { transaction } => {
                let transaction = transaction.map(TransactionId::from);
                self.step(kept, attempts, Step::Finish, "", transaction).await?;
                tracing::info!(key, ?transaction, "done");
                self.worker.reporter.say(key.clone(), IntentProgress::Done { transaction });
                Ok(())
            }
            Resolution::Fail { reason } => {
                self.step(kept, attempts, Step::Fail, &reason, None).await?;
                tracing::error!(key, reason, "failed");
                self.worker.reporter.say(key.clone(), IntentProgress::Failed { reason });
                Ok(())
            }
            Resolution::Quarantine { reason } => {
                self.later(kept);
                self.step(kept, attempts, Step::Quarantine, &reason, None).await?;
                tracing::error!(key, reason, "a person has to look");
                Ok(())
            }
            Resolution::Sign | Resolution::Bump { .. } | Resolution::Resend => Ok(()),
        }
    }

    async fn step(
        &self,
        kept: &Kept,
        attempts: &[(B256, Option<Receipt>)],
        step: Step,
        reason: &str,
        done_by: Option<TransactionId>,
    ) -> Result<(), Error> {
        let mut write = self.lease.begin().await?;
        if matches!(step, Step::Finish | Step::Release) {
            for (hash, receipt) in attempts {
                let outcome = match receipt {
                    Some(receipt) if receipt.success => Outcome::Succeeded,
                    Some(_) => Outcome::Reverted,
                    None => Outcome::Replaced,
                };
                store::set_outcome(&mut write, *hash, outcome).await?;
            }
        }
        store::step(&mut write, kept, step, reason, done_by, self.worker.clock.now_ms()).await?;
        Ok(write.commit().await?)
    }

    pub(super) async fn stay(&mut self, kept: &Kept, reason: String) -> Result<(), Error> {
        self.later(kept);
        self.note(kept, reason, None).await
    }

    async fn note(&self, kept: &Kept, reason: String, refused_at_block: Option<u64>) -> Result<(), Error> {
        if kept.reason == reason && kept.refused_at_block == refused_at_block {
            return Ok(());
        }
        let mut write = self.lease.begin().await?;
        store::note(&mut write, kept.id, &reason, refused_at_block, self.worker.clock.now_ms()).await?;
        Ok(write.commit().await?)
    }

    /// Looks at an intent that waits the less often the longer it has waited.
    fn later(&mut self, kept: &Kept) {
        let now_ms = self.worker.clock.now_ms();
        let poll_ms = i64::try_from(self.worker.rules.poll_interval.as_millis()).unwrap_or(LOOK_EVERY_MAX_MS);
        let pause = (now_ms.saturating_sub(kept.received_ms) / 16).clamp(0, LOOK_EVERY_MAX_MS).max(poll_ms);
        self.due_ms.insert(kept.id, now_ms.saturating_add(pause));
    }

    async fn effect(&self, kept: &Kept, at: BlockNumberOrTag) -> Result<Effect, Error> {
        let call = case::case_of(&kept.intent.terms)
            .map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))?;
        let to = arbiter(kept)?;
        Ok(match self.worker.chain.call(Address::ZERO, to, call, at).await? {
            Called::Returned(answer) => case::effect(&kept.intent.action, &answer),
            Called::Reverted(_) => Effect::Unreadable(format!("the arbiter {to} reverts caseOf")),
        })
    }

    /// What is left for a unit of gas after what the intent's earlier nonces may have cost.
    async fn ceiling(&self, intent: i64, gas: u64) -> Result<u128, Error> {
        let mut spent: BTreeMap<u64, u128> = BTreeMap::new();
        for attempt in store::attempts(self.worker.db.reader(), intent).await? {
            if matches!(attempt.outcome, Outcome::Succeeded | Outcome::Reverted) {
                let cost = attempt.fees.max_fee.saturating_mul(attempt.gas.into());
                spent.insert(attempt.nonce, cost);
            }
        }
        let spent = spent.into_values().fold(0_u128, u128::saturating_add);
        let rules = &self.worker.rules;
        Ok(fees::ceiling(rules.max_fee_per_gas, rules.gas_budget.saturating_sub(spent), gas))
    }
}

fn arbiter(kept: &Kept) -> Result<Address, Error> {
    case::arbiter(&kept.intent).map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))
}

fn calldata(kept: &Kept) -> Result<alloy::primitives::Bytes, Error> {
    case::calldata(&kept.intent).map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))
}
