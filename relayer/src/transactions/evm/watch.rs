//! What is done about an intent with transactions that may still be mined.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};
use protocol::wire::intent::IntentProgress;

use super::{
    chain::Receipt,
    dear::Dear,
    fees::{self, Fees},
    manager::{Manager, Sight},
    pursue::{calldata, contract, slot},
    resolve::{AttemptFact, AttemptFacts, AttemptRules, Next, with_attempts},
    sign::{Draft, Signer},
    store::{self, Attempt, Kind},
};
use crate::{
    error::Error,
    intents::Kept,
    outbox, quota,
    transactions::{
        acts,
        desk::Desk,
        model::Step,
        resolve::{Effect, Resolution},
        store as intent_store,
    },
};

/// The gas of a transfer on most chains, which is the least of any transaction: by it the cost of cancelling is judged before a
/// node is asked what a transfer takes.
const TRANSFER_GAS: u64 = 21_000;

/// What is known about an intent that is under way.
pub(super) struct UnderWay {
    attempts: Vec<Attempt>,
    known: Vec<AttemptFact>,
    /// Whether a call of it went through, final or not.
    sent: bool,
    /// The effect in the final block, where every nonce is over and the node has kept that block's state.
    effect_final: Option<Effect>,
}

impl Manager {
    /// Gathers what is known about an intent with transactions that may still be mined.
    ///
    /// # Errors
    /// The node does not answer.
    pub(super) async fn under_way(
        &self,
        (now_ms, sight): (i64, &Sight),
        kept: &Kept,
        attempts: Vec<Attempt>,
    ) -> Result<UnderWay, Error> {
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
        let sent = known.iter().any(|attempt| {
            attempt.kind == Kind::Call && attempt.receipt.is_some_and(|receipt| receipt.success)
        });
        let effect_final = if known.iter().all(|attempt| attempt.over) {
            self.effect_alike(kept, &sight.finalized, sent).await.ok()
        } else {
            None
        };
        Ok(UnderWay { attempts, known, sent, effect_final })
    }

    /// Does what is next about an intent with transactions that may still be mined.
    ///
    /// # Errors
    /// The node does not answer; the lease is lost; the database's own.
    pub(super) async fn watch(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &Kept,
        under_way: UnderWay,
    ) -> Result<(), Error> {
        let UnderWay { attempts, known, sent, effect_final } = under_way;
        if self.is_unexplained(kept.id, &known, sight) {
            return Ok(());
        }
        let effect_final = match effect_final {
            None if known.iter().all(|attempt| attempt.over) => {
                self.witnessed((desk.now_ms(), sight), kept, sent).await?
            }
            effect_final => {
                self.unagreed.forget(kept.id);
                effect_final
            }
        };
        let gas = attempts.iter().map(|attempt| attempt.gas).max().unwrap_or(u64::MAX);
        let rules =
            AttemptRules { bump_after_ms: self.rules.bump_after_ms, bump_bps: self.rules.fee_bump_bps };
        let front = known.iter().filter(|attempt| attempt.front);
        let stuck = front.max_by_key(|attempt| attempt.fees.max_fee).is_some_and(|one| rules.stuck(one));
        let pointless = stuck
            && (sight.latest.time > kept.intent.deadline
                || self.effect(kept, &sight.latest, sent).await? == Effect::Present);
        let market = if stuck { self.market(desk).await } else { None };
        let left =
            if stuck { self.budget_left(&store::attempts(desk.db.reader(), kept.id).await?) } else { 0 };
        let ceiling = |gas| fees::ceiling(self.rules.max_fee_per_gas, left, gas);
        let mut facts = AttemptFacts {
            state: kept.state,
            attempts: known,
            effect_final,
            pointless,
            market,
            price_max: self.rules.max_fee_per_gas,
            ceiling: ceiling(gas),
            cancel_ceiling: ceiling(TRANSFER_GAS),
        };
        let mut next = with_attempts(&facts, &rules);
        let mut transfer = None;
        // Where it takes more, as on rollups, less is left for a unit of gas.
        if let Next::Replace { signer, kind: Kind::Cancel, .. } = next {
            let draft = self.nothing(signer).await?;
            facts.cancel_ceiling = ceiling(draft.gas);
            next = with_attempts(&facts, &rules);
            transfer = Some(draft);
        }
        if !matches!(next, Next::TooDear { .. }) {
            self.affords(desk, Dear::Intent(kept.id));
        }
        let settled: Vec<(B256, Option<Receipt>)> =
            facts.attempts.iter().map(|attempt| (attempt.hash, attempt.receipt)).collect();
        match next {
            Next::Replace { signer, nonce, kind, fees } => {
                let Some(signer) = self.signer(signer) else { return Ok(()) };
                let draft = match transfer.filter(|_| kind != Kind::Call) {
                    Some(transfer) => transfer,
                    None => {
                        Draft { chain_id: self.chain.id(), to: contract(kept)?, data: calldata(kept)?, gas }
                    }
                };
                if !self.replace(desk, sight, kept, &signer, (kind, draft, nonce, fees)).await? {
                    self.resend(desk, kept, &attempts, sight).await;
                }
                Ok(())
            }
            Next::TooDear { reason } => {
                self.cannot_pay(desk, Dear::Intent(kept.id), reason);
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

    /// False where the key is out of reach: then what is stored will have to do until the next round.
    async fn replace(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &Kept,
        signer: &Signer,
        (kind, draft, nonce, fees): (Kind, Draft, u64, Fees),
    ) -> Result<bool, Error> {
        let now_ms = desk.now_ms();
        let Some(market) = self.market(desk).await else { return Ok(false) };
        let signed = self.signed(signer, Some(kept), kind, &draft, nonce, fees, (now_ms, sight)).await;
        let attempt = match signed {
            Err(Error::Sign(words)) => {
                self.is_mute(desk, signer.address(), words);
                return Ok(false);
            }
            signed => signed?,
        };
        self.speaks(desk, signer.address());
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
        self.takes_off(&attempt, kept.intent.asked_by.is_some());
        if kind == Kind::Call {
            metrics::counter!("relayer_bumps_total").increment(1);
        } else {
            tracing::warn!(key = kept.intent.key, nonce, "cancelling its transaction");
            metrics::counter!("relayer_cancellations_total").increment(1);
        }
        self.send(desk, &kept.intent.key, &attempt).await;
        Ok(true)
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
}
