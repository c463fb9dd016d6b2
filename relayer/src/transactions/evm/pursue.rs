//! What is done about one intent: the facts are gathered, [`super::resolve`] decides, and the decision is written.

use std::{collections::BTreeMap, time::Duration};

use alloy::{
    eips::BlockId,
    primitives::{Address, B256, Bytes, U256},
};
use service::failpoint;

use super::{
    case,
    chain::{Block, Called, Receipt},
    fees::{self, Fees, Price},
    manager::{Manager, PRICE, Sight},
    resolve::{AttemptFact, AttemptFacts, AttemptRules, Next, with_attempts},
    sign::{Draft, Signer, sign},
    store::{self, Attempt, Kind},
};
use crate::{
    error::Error,
    intents::{Kept, State},
    outbox, quota,
    transactions::{
        ChainError, acts,
        desk::Desk,
        model::Step,
        resolve::{Effect, Resolution, WaitingFacts, without_attempts},
        store::{self as intent_store, Outcome},
    },
};
use protocol::wire::intent::IntentProgress;

/// How many nonces one intent may use up.
const NONCES_MAX: usize = 5;

/// The most gas that a call in somebody's name may need: dry runs of it must not hold up those of cases.
const ASKED_GAS_MAX: u64 = 3_000_000;
/// The longest that such a dry run may take.
const ASKED_DRY_RUN: Duration = Duration::from_secs(2);

/// The gas of a transfer, which is the least of any transaction: by it the cost of cancelling is judged beforehand.
const TRANSFER_GAS: u64 = 21_000;

impl Manager {
    /// An intent without transactions that may still be mined.
    pub(super) async fn wait(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &Kept,
    ) -> Result<(), Error> {
        let from = self.signers.first().map_or(Address::ZERO, |signer| signer.address());
        let to = contract(kept)?;
        let mut used = store::attempts(desk.db.reader(), kept.id).await?;
        let sent = used.iter().any(went_through);
        used.dedup_by_key(|attempt| (attempt.signer, attempt.nonce));
        let effect_latest = self.effect(kept, &sight.latest, sent).await?;
        let effect_final = match &effect_latest {
            Effect::Present => self.effect_final(kept, sight, sent).await?,
            Effect::Absent | Effect::Unreadable(_) => None,
        };
        let tried = effect_latest == Effect::Absent && sight.latest.time <= kept.intent.deadline;
        let data = calldata(kept)?;
        let dry_run = if tried {
            let estimate = self.dry_run(kept, from, to, data.clone()).await?;
            Some(estimate.map_err(|data| case::cure(&kept.intent, &data)))
        } else {
            None
        };
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
        let decided =
            acts::in_somebodys_name(&kept.intent, &facts.effect_latest, sent, without_attempts(&facts));
        match (decided, estimate) {
            (Resolution::Sign, Some(estimate)) => {
                let gas = fees::gas_limit(estimate, case::payee_gas(&kept.intent));
                let draft = Draft { chain_id: self.chain.id(), to, data, gas };
                self.first(desk, sight, kept, draft).await
            }
            (resolution, _) => self.apply(desk, kept, &[], resolution).await,
        }
    }

    /// How much gas an intent's call needs now, or the data of its revert; with bounds where somebody asked for it.
    pub(super) async fn dry_run(
        &self,
        kept: &Kept,
        from: Address,
        to: Address,
        data: Bytes,
    ) -> Result<Result<u64, Bytes>, ChainError> {
        if kept.intent.asked_by.is_none() {
            return self.chain.estimate(from, to, data, None).await;
        }
        let asked = self.chain.estimate(from, to, data, Some(ASKED_GAS_MAX));
        tokio::time::timeout(ASKED_DRY_RUN, asked).await.unwrap_or_else(|_| {
            let reason = format!("no answer within {} seconds", ASKED_DRY_RUN.as_secs());
            Err(ChainError::Rpc { method: "eth_estimateGas", reason })
        })
    }

    /// Signs an intent's transaction with the next nonce of the signer whose turn it is, stores both at once, and sends it.
    async fn first(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &Kept,
        draft: Draft,
    ) -> Result<(), Error> {
        let market = self.market().await?;
        let left = self.budget_left(desk, kept.id).await?;
        let ceiling = fees::ceiling(self.rules.max_fee_per_gas, left, draft.gas);
        let fees = match fees::first_price(market, ceiling) {
            Price::Fees(fees) => fees,
            Price::TooDear { needed, allowed } => {
                let reason = format!("the chain asks {needed} wei a unit of gas, the limits allow {allowed}");
                return self.too_dear(desk, kept, reason, needed <= self.rules.max_fee_per_gas).await;
            }
        };
        desk.alarms.clear(PRICE);
        let most = U256::from(fees.max_fee).saturating_mul(U256::from(draft.gas));
        let cost = quota::billionths(most);
        let over = {
            let mut reader = desk.db.reader().acquire().await?;
            quota::over(&mut reader, &self.rules.quotas, kept, cost, desk.now_ms()).await?
        };
        if let Some(over) = over {
            return desk.stay(kept, over.to_string()).await;
        }
        let for_a_case = kept.intent.asked_by.is_none();
        let chosen = self.choose(desk, sight, most.saturating_add(self.reserve(kept)), for_a_case);
        self.say_poor(desk, sight);
        let signer = match chosen {
            Ok(signer) => signer,
            Err(reason) => return desk.stay(kept, reason).await,
        };
        let address = signer.address();
        let reserved = store::next_nonce(desk.db.reader(), address).await?;
        let used = sight.nonce_latest(address);
        if reserved != 0 && reserved < used {
            tracing::warn!(signer = %address, reserved, used, "somebody else uses this signer's key");
        }
        let nonce = reserved.max(used);
        let now_ms = desk.now_ms();
        // Signed before the transaction begins: the key may be at the other end of a wire.
        let signed = self.signed(&signer, Some(kept), Kind::Call, &draft, nonce, fees, (now_ms, sight));
        let attempt = match signed.await {
            Err(Error::Sign(words)) => {
                self.is_mute(desk, address, words.clone());
                return desk.stay(kept, words).await;
            }
            signed => signed?,
        };
        self.speaks(desk, address);
        let mut write = desk.begin().await?;
        if store::next_nonce(write.on(), address).await? != reserved {
            return Err(Error::LeaseLost);
        }
        let slot = slot(&attempt);
        if let Some(over) = quota::charge(&mut write, &self.rules.quotas, kept, &slot, cost, now_ms).await? {
            drop(write);
            return desk.stay(kept, over.to_string()).await;
        }
        store::store_attempt(&mut write, &attempt).await?;
        intent_store::step(&mut write, kept, Step::Sign, "", None, now_ms).await?;
        let estimate = Some(fees::estimate(draft.gas, market, ceiling));
        let sent = IntentProgress::Sent { transaction: attempt.hash.into(), estimate };
        outbox::say(&mut write, &kept.intent.key, sent, now_ms).await?;
        write.commit().await?;
        self.takes_off(&attempt);
        desk.soon(kept);
        self.send(desk, &kept.intent.key, &attempt).await;
        Ok(())
    }

    /// The limits do not allow what the chain asks: a price that falls again is waited for, a budget that is used up needs a
    /// person. Neither is silent.
    async fn too_dear(
        &self,
        desk: &mut Desk<'_>,
        kept: &Kept,
        reason: String,
        by_budget: bool,
    ) -> Result<(), Error> {
        // What one account asked for is nobody else's to look at.
        if by_budget && kept.state != State::Quarantined && kept.intent.asked_by.is_none() {
            return desk.apply(None, kept, Resolution::Quarantine { reason }).await;
        }
        if !by_budget {
            desk.alarms.raise(PRICE, reason.clone(), desk.now_ms());
        }
        desk.stay(kept, reason).await
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
                signer: attempt.signer,
                over: attempt.nonce < sight.nonce_final(attempt.signer),
                front: attempt.nonce == sight.nonce_latest(attempt.signer),
                kind: attempt.kind,
                nonce: attempt.nonce,
                fees: attempt.fees,
                age_ms: now_ms.saturating_sub(attempt.signed_ms),
                passed_over: sight.latest.number > attempt.signed_block,
                can_sign: self.signer(attempt.signer).is_some(),
                receipt: self.receipt(attempt.hash).await?,
            });
        }
        let all_final = known.iter().all(|attempt| attempt.over);
        if self.is_unexplained(kept.id, &known, sight) {
            return Ok(());
        }
        let sent = known.iter().any(|attempt| {
            attempt.kind == Kind::Call && attempt.receipt.is_some_and(|receipt| receipt.success)
        });
        let effect_final = if all_final { self.effect_final(kept, sight, sent).await? } else { None };
        let gas = attempts.iter().map(|attempt| attempt.gas).max().unwrap_or(u64::MAX);
        let rules =
            AttemptRules { bump_after_ms: self.rules.bump_after_ms, bump_bps: self.rules.fee_bump_bps };
        let front = known.iter().filter(|attempt| attempt.front);
        let stuck = front.max_by_key(|attempt| attempt.fees.max_fee).is_some_and(|one| rules.stuck(one));
        let pointless = stuck
            && (sight.latest.time > kept.intent.deadline
                || self.effect(kept, &sight.latest, sent).await? == Effect::Present);
        let market = if stuck { self.market().await? } else { fees::Market::default() };
        let left = if stuck { self.budget_left(desk, kept.id).await? } else { 0 };
        let ceiling = |gas| fees::ceiling(self.rules.max_fee_per_gas, left, gas);
        let facts = AttemptFacts {
            state: kept.state,
            attempts: known,
            effect_final,
            pointless,
            market,
            price_max: self.rules.max_fee_per_gas,
            ceiling: ceiling(gas),
            cancel_ceiling: ceiling(TRANSFER_GAS),
        };
        let next = with_attempts(&facts, &rules);
        let settled: Vec<(B256, Option<Receipt>)> =
            facts.attempts.iter().map(|attempt| (attempt.hash, attempt.receipt)).collect();
        match next {
            Next::Replace { signer, nonce, kind, fees } => {
                let Some(signer) = self.signer(signer) else { return Ok(()) };
                let draft = if kind == Kind::Call {
                    Draft { chain_id: self.chain.id(), to: contract(kept)?, data: calldata(kept)?, gas }
                } else {
                    self.nothing(signer.address()).await?
                };
                self.replace(desk, sight, kept, &signer, (kind, draft, nonce, fees)).await
            }
            Next::TooDear { reason } => {
                desk.alarms.raise(PRICE, reason, desk.now_ms());
                self.resend(desk, kept, &attempts, sight).await;
                Ok(())
            }
            Next::Do(Resolution::Mine { transaction }) => {
                self.apply(desk, kept, &settled, Resolution::Mine { transaction }).await?;
                // Another nonce of it may be in front of others.
                let in_no_block = |attempt: &&Attempt| {
                    let fact = facts.attempts.iter().find(|fact| fact.hash == attempt.hash);
                    fact.is_some_and(|fact| facts.in_no_block(fact))
                };
                let left: Vec<Attempt> = attempts.iter().filter(in_no_block).cloned().collect();
                self.resend(desk, kept, &left, sight).await;
                Ok(())
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
            Next::Do(resolution) => {
                let resolution = acts::of_ours(&kept.intent, sent, resolution);
                self.apply(desk, kept, &settled, resolution).await
            }
        }
    }

    /// Whether all nonces are over and of one no receipt is known, not at enough heads yet to believe that another
    /// transaction took it: a machine of a balanced endpoint that lags says the same.
    fn is_unexplained(&mut self, id: i64, known: &[AttemptFact], sight: &Sight) -> bool {
        let explained = |attempt: &AttemptFact| {
            let same = |one: &&AttemptFact| one.signer == attempt.signer && one.nonce == attempt.nonce;
            known.iter().filter(same).any(|one| one.receipt.is_some())
        };
        if !known.iter().all(|attempt| attempt.over) || known.iter().all(explained) {
            self.unexplained.forget(&id);
            return false;
        }
        !self.unexplained.believed(id, sight.latest.hash)
    }

    async fn replace(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &Kept,
        signer: &Signer,
        (kind, draft, nonce, fees): (Kind, Draft, u64, Fees),
    ) -> Result<(), Error> {
        let now_ms = desk.now_ms();
        let signed = self.signed(signer, Some(kept), kind, &draft, nonce, fees, (now_ms, sight)).await;
        let attempt = match signed {
            // The stored bytes are still sent; the next round tries again.
            Err(Error::Sign(words)) => {
                self.is_mute(desk, signer.address(), words);
                return Ok(());
            }
            signed => signed?,
        };
        self.speaks(desk, signer.address());
        desk.alarms.clear(PRICE);
        let market = self.market().await?;
        let most = U256::from(attempt.fees.max_fee).saturating_mul(U256::from(attempt.gas));
        let mut write = desk.begin().await?;
        store::store_attempt(&mut write, &attempt).await?;
        quota::raise(&mut write, &slot(&attempt), quota::billionths(most)).await?;
        intent_store::step(&mut write, kept, Step::Bump, "", None, now_ms).await?;
        if kind == Kind::Call {
            let estimate = Some(fees::estimate(attempt.gas, market, attempt.fees.max_fee));
            let sent = IntentProgress::Sent { transaction: attempt.hash.into(), estimate };
            outbox::say(&mut write, &kept.intent.key, sent, now_ms).await?;
        }
        write.commit().await?;
        self.takes_off(&attempt);
        if kind == Kind::Call {
            metrics::counter!("relayer_bumps_total").increment(1);
        } else {
            tracing::warn!(key = kept.intent.key, nonce, "cancelling its transaction");
            metrics::counter!("relayer_cancellations_total").increment(1);
        }
        self.send(desk, &kept.intent.key, &attempt).await;
        Ok(())
    }

    /// A signed transaction, to be stored before it is sent.
    ///
    /// # Errors
    /// The signer's own.
    #[allow(clippy::too_many_arguments, reason = "what a transaction is made of")]
    pub(super) async fn signed(
        &self,
        signer: &Signer,
        kept: Option<&Kept>,
        kind: Kind,
        draft: &Draft,
        nonce: u64,
        fees: Fees,
        (now_ms, sight): (i64, &Sight),
    ) -> Result<Attempt, Error> {
        let signed = sign(signer, draft, nonce, fees).await?;
        Ok(Attempt {
            hash: signed.hash,
            intent: kept.map(|kept| kept.id),
            kind,
            signer: signer.address(),
            nonce,
            raw: signed.raw,
            gas: draft.gas,
            fees,
            outcome: Outcome::Open,
            signed_ms: now_ms,
            signed_block: sight.latest.number,
        })
    }

    /// Sends again, of every nonce that is not mined, the dearest transaction, when its time has come.
    async fn resend(&self, desk: &mut Desk<'_>, kept: &Kept, attempts: &[Attempt], sight: &Sight) {
        let mut dearest: BTreeMap<(Address, u64), &Attempt> = BTreeMap::new();
        for attempt in attempts.iter().filter(|one| one.nonce >= sight.nonce_latest(one.signer)) {
            dearest.insert((attempt.signer, attempt.nonce), attempt);
        }
        for attempt in dearest.into_values() {
            if desk.is_due(&attempt.hash.into()) {
                self.send(desk, &kept.intent.key, attempt).await;
            }
        }
    }

    /// Hands a stored transaction to the network. What the node says decides nothing.
    pub(super) async fn send(&self, desk: &mut Desk<'_>, key: &str, attempt: &Attempt) {
        failpoint::pass(&["relayer.broadcast.before"]);
        let answer = self.chain.send(&attempt.raw).await;
        failpoint::pass(&["relayer.broadcast.after"]);
        metrics::counter!("relayer_broadcasts_total").increment(1);
        match answer {
            Ok(()) => tracing::info!(key, transaction = %attempt.hash, nonce = attempt.nonce, "sent"),
            Err(error) => tracing::info!(key, transaction = %attempt.hash, %error, "sent; the node objects"),
        }
        desk.sent(attempt.hash.into());
    }

    /// Writes what was decided, and what became of the transactions where they are over.
    async fn apply(
        &mut self,
        desk: &mut Desk<'_>,
        kept: &Kept,
        attempts: &[(B256, Option<Receipt>)],
        resolution: Resolution,
    ) -> Result<(), Error> {
        if matches!(resolution, Resolution::Finish { .. } | Resolution::Fail { .. }) {
            self.witness.forget(kept.id);
            self.unexplained.forget(&kept.id);
        }
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

    /// What this very block shows of an intent.
    pub(super) async fn effect(&self, kept: &Kept, at: &Block, sent: bool) -> Result<Effect, Error> {
        let (to, call) = case::question(&kept.intent)
            .map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))?;
        Ok(match self.chain.call(Address::ZERO, to, call, BlockId::from(at.hash)).await? {
            Called::Returned(answer) => case::effect(&kept.intent, &answer, at.time, sent),
            Called::Reverted(_) => Effect::Unreadable(format!("{to} does not answer what became of it")),
        })
    }

    /// What the final chain shows of an intent: its newest block, or, on a node that has not kept its state, an older one in
    /// which that was seen while it was new. None where it was not seen for long enough.
    async fn effect_final(
        &mut self,
        kept: &Kept,
        sight: &Sight,
        sent: bool,
    ) -> Result<Option<Effect>, Error> {
        if let Ok(effect) = self.effect(kept, &sight.finalized, sent).await {
            return Ok(Some(effect));
        }
        let effect = self.effect(kept, &sight.latest, sent).await?;
        self.witness.saw(kept.id, &sight.latest, &effect);
        self.witness.effect_final(&self.chain, kept.id, &sight.finalized).await
    }

    /// What a signer keeps for the steps of cases, in wei, where this is none.
    fn reserve(&self, kept: &Kept) -> U256 {
        let kept_back = if kept.intent.asked_by.is_some() { self.rules.quotas.reserve } else { 0 };
        U256::from(kept_back).saturating_mul(U256::from(quota::BILLION))
    }

    /// What is left of an intent's budget after what its earlier nonces may have cost, in wei.
    async fn budget_left(&self, desk: &Desk<'_>, intent: i64) -> Result<u128, Error> {
        let mut spent: BTreeMap<(Address, u64), u128> = BTreeMap::new();
        for attempt in store::attempts(desk.db.reader(), intent).await? {
            if matches!(attempt.outcome, Outcome::Succeeded | Outcome::Reverted) {
                let cost = attempt.fees.max_fee.saturating_mul(attempt.gas.into());
                spent.insert((attempt.signer, attempt.nonce), cost);
            }
        }
        let spent = spent.into_values().fold(0_u128, u128::saturating_add);
        Ok(self.rules.gas_budget.saturating_sub(spent))
    }
}

/// What only one transaction of can be in a block.
fn slot(attempt: &Attempt) -> String {
    format!("{}/{}", attempt.signer, attempt.nonce)
}

/// Whether a transaction did what its intent asks for.
fn went_through(attempt: &Attempt) -> bool {
    attempt.kind == Kind::Call && attempt.outcome == Outcome::Succeeded
}

/// The contract to call.
pub(super) fn contract(kept: &Kept) -> Result<Address, Error> {
    case::contract(&kept.intent).map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))
}

/// The call.
pub(super) fn calldata(kept: &Kept) -> Result<Bytes, Error> {
    case::calldata(&kept.intent).map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))
}
