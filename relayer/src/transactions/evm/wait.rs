//! What is done about an intent without transactions that may still be mined: it is tried, and signed for where the call would go
//! through now.

use std::{collections::BTreeMap, time::Duration};

use alloy::primitives::{Address, Bytes, U256};
use futures::future::join_all;
use protocol::wire::intent::{Estimate, IntentProgress};

use super::{
    case,
    dear::Dear,
    fees::{self, Price},
    manager::{Manager, Sight},
    pursue::{calldata, contract, slot},
    sign::{Draft, Signer},
    store::{self, Attempt, Kind},
};
use crate::{
    error::Error,
    intents::{Kept, State},
    outbox,
    quota::{self, Over},
    transactions::{
        ChainError, acts,
        desk::{Desk, TAKEN_BACK},
        model::Step,
        refusal::Cure,
        resolve::{Effect, Resolution, WaitingFacts, without_attempts},
        store::{self as intent_store, Outcome},
    },
};

/// Why an intent waits while no node tells what the chain asks.
const UNTOLD: &str = "no node tells what the chain asks for a place in a block";
/// How many nonces one intent may use up.
const NONCES_MAX: usize = 5;
/// The most gas that a call in somebody's name may need: dry runs of it must not hold up those of cases.
const ASKED_GAS_MAX: u64 = 3_000_000;
/// The longest that such a dry run may take.
const ASKED_DRY_RUN: Duration = Duration::from_secs(2);

/// What is known about an intent that waits.
pub(super) struct Waiting {
    /// Every transaction of it.
    attempts: Vec<Attempt>,
    effect: Effect,
    /// What the call would do now, where that was asked.
    dry_run: Option<Result<u64, (Cure, String)>>,
    to: Address,
    data: Bytes,
}

/// Why no intent is tried at the moment.
#[derive(Clone)]
pub(super) enum HeldUp {
    /// Every signer has as much in flight as it may, or is out of turn.
    NoRoom(String),
    /// The chain asks more than the limits allow.
    TooDear(String),
    /// No node tells what it asks.
    Untold,
    /// A quota, or that the same is on its way.
    ByRule(String),
}

/// A transaction that is to be signed.
pub(super) struct Planned<'a> {
    kept: &'a Kept,
    signer: Signer,
    nonce: u64,
    draft: Draft,
    fees: fees::Fees,
    /// What its account is charged, in billionths of a coin.
    charge: u64,
    estimate: Estimate,
}

/// What one signer signed, and what it did not, with its words.
type Line<'a> = (Vec<(Planned<'a>, Attempt)>, Option<(Vec<Planned<'a>>, String)>);

impl Manager {
    /// Why nothing of a kind can be signed for, whatever it is.
    pub(super) async fn held_up(&mut self, desk: &Desk<'_>, asked: bool) -> Option<HeldUp> {
        if self.room(desk, asked) == 0 {
            self.affords(desk, Dear::Next { asked });
            return Some(HeldUp::NoRoom(self.why_no_room(desk)));
        }
        let Some(market) = self.market(desk).await else { return Some(HeldUp::Untold) };
        let (needed, allowed) = (market.least(), self.rules.max_fee_per_gas);
        if needed > allowed {
            return Some(HeldUp::TooDear(too_dear(needed, allowed)));
        }
        self.affords(desk, Dear::Next { asked });
        None
    }

    /// Gathers what is known about an intent that waits, whose transactions are these; what it would do is asked only where
    /// nothing holds it up.
    ///
    /// # Errors
    /// The node does not answer.
    pub(super) async fn waiting(
        &self,
        sight: &Sight,
        kept: &Kept,
        attempts: Vec<Attempt>,
        held_up: bool,
    ) -> Result<Waiting, Error> {
        let from = self.signers.first().map_or(Address::ZERO, |signer| signer.address());
        let (to, data) = (contract(kept)?, calldata(kept)?);
        let sent = attempts.iter().any(went_through);
        let dry_run = async {
            if held_up || sight.latest.time > kept.intent.deadline {
                return None;
            }
            Some(self.dry_run(kept, from, to, data.clone()).await)
        };
        let (effect, dry_run) = tokio::join!(self.effect(kept, &sight.latest, sent), dry_run);
        let effect = match effect? {
            // One that says so falsely does not hold it up.
            Effect::Present if self.chain.has_several() => {
                self.effect_alike(kept, &sight.latest, sent).await.unwrap_or(Effect::Present)
            }
            effect => effect,
        };
        let dry_run = match dry_run.filter(|_| effect == Effect::Absent) {
            Some(answer) => Some(answer?.map_err(|data| case::cure(&kept.intent, &data))),
            None => None,
        };
        Ok(Waiting { attempts, effect, dry_run, to, data })
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

    /// Does what is next about an intent that waits; answers the transaction that is to be signed, if there is one.
    ///
    /// # Errors
    /// The node does not answer; the lease is lost; the database's own.
    pub(super) async fn wait<'a>(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &'a Kept,
        known: Waiting,
        held_up: Option<&HeldUp>,
    ) -> Result<Option<Planned<'a>>, Error> {
        let sent = known.attempts.iter().any(went_through);
        if known.dry_run.is_some() {
            desk.tried(kept.id);
        }
        if known.dry_run.is_some() || known.effect != Effect::Absent {
            self.wants_no_coins(kept.id);
        }
        let effect_final = match &known.effect {
            Effect::Present => self.effect_final((desk.now_ms(), sight), kept, sent).await?,
            Effect::Absent | Effect::Unreadable(_) => None,
        };
        let mut nonces: Vec<(Address, u64)> =
            known.attempts.iter().map(|attempt| (attempt.signer, attempt.nonce)).collect();
        nonces.dedup();
        let facts = WaitingFacts {
            state: kept.state,
            effect_latest: known.effect,
            effect_final,
            dry_run: known.dry_run,
            deadline: kept.intent.deadline,
            latest_time: sight.latest.time,
            latest_number: sight.latest.number,
            final_number: sight.finalized.number,
            refused_at_block: kept.refused_at_block,
            reason: kept.reason.clone(),
            tried: nonces.len(),
            tries_max: NONCES_MAX,
        };
        let decided =
            acts::in_somebodys_name(&kept.intent, &facts.effect_latest, sent, without_attempts(&facts));
        match (&decided, &facts.dry_run) {
            (Resolution::Fail { reason }, Some(Err(_))) if self.chain.has_several() => {
                let most = kept.intent.asked_by.is_some().then_some(ASKED_GAS_MAX);
                let call = (known.to, known.data.clone());
                if !self.is_refused((desk.now_ms(), sight), kept, call, most).await? {
                    let reason = format!("{reason} (too few nodes say so of the final block)");
                    let waits = Resolution::Wait { reason, refused_at_block: kept.refused_at_block };
                    return self.apply(desk, kept, &[], waits).await.map(|()| None);
                }
            }
            (_, Some(_)) => self.unagreed.forget(kept.id),
            (_, None) => {}
        }
        // What it did before, or its account is charged for, may be what was taken back.
        let doubtful = desk.in_doubt() && (kept.intent.asked_by.is_some() || !known.attempts.is_empty());
        match (decided, &facts.dry_run, held_up) {
            (Resolution::Sign, Some(Ok(_)), _) if doubtful => {
                desk.stay(kept, TAKEN_BACK.to_owned()).await?;
                // It is next as soon as that is known.
                desk.soon(kept);
                Ok(None)
            }
            (Resolution::Sign, Some(Ok(estimate)), _) => {
                let gas = fees::gas_limit(*estimate, case::payee_gas(&kept.intent));
                let draft = Draft { chain_id: self.chain.id(), to: known.to, data: known.data, gas };
                self.plan(desk, sight, kept, draft, &known.attempts).await
            }
            (Resolution::Wait { .. }, None, Some(why)) if facts.effect_latest == Effect::Absent => {
                let reason = match why {
                    HeldUp::NoRoom(reason) | HeldUp::TooDear(reason) | HeldUp::ByRule(reason) => {
                        reason.as_str()
                    }
                    HeldUp::Untold => UNTOLD,
                };
                desk.held_up(kept, reason.to_owned()).await?;
                match why {
                    // It is next as soon as there is room.
                    HeldUp::NoRoom(_) => desk.soon(kept),
                    HeldUp::TooDear(_) => {
                        self.cannot_pay(
                            desk,
                            Dear::Next { asked: kept.intent.asked_by.is_some() },
                            reason.to_owned(),
                        );
                        desk.later(kept);
                    }
                    HeldUp::Untold | HeldUp::ByRule(_) => desk.later(kept),
                }
                Ok(None)
            }
            (resolution, ..) => self.apply(desk, kept, &[], resolution).await.map(|()| None),
        }
    }

    /// The price, the signer and the nonce of an intent's transaction, where limits and quotas allow it.
    async fn plan<'a>(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        kept: &'a Kept,
        draft: Draft,
        attempts: &[Attempt],
    ) -> Result<Option<Planned<'a>>, Error> {
        let Some(market) = self.market(desk).await else {
            desk.stay(kept, UNTOLD.to_owned()).await?;
            return Ok(None);
        };
        let ceiling = fees::ceiling(self.rules.max_fee_per_gas, self.budget_left(attempts), draft.gas);
        let fees = match fees::first_price(market, ceiling) {
            Price::Fees(fees) => fees,
            Price::TooDear { needed, allowed } => {
                let by_budget = needed <= self.rules.max_fee_per_gas;
                self.cannot_afford(desk, kept, too_dear(needed, allowed), by_budget).await?;
                return Ok(None);
            }
        };
        self.affords(desk, Dear::Intent(kept.id));
        let most = U256::from(fees.max_fee).saturating_mul(U256::from(draft.gas));
        let charge = quota::billionths(most);
        let asked = kept.intent.asked_by.is_some();
        if asked {
            let over = {
                let mut reader = desk.db.reader().acquire().await?;
                quota::over(&mut reader, &self.rules.quotas, kept, charge, desk.now_ms()).await?
            };
            if let Some(over) = over {
                desk.hold(kept, over, true);
                desk.stay(kept, over.to_string()).await?;
                return Ok(None);
            }
        }
        let chosen = self.choose(desk, sight, (most, self.reserve(asked)), kept);
        self.say_poor(desk, sight);
        let (signer, nonce) = match chosen {
            Ok(chosen) => chosen,
            Err(reason) => {
                desk.stay(kept, reason).await?;
                return Ok(None);
            }
        };
        let estimate = fees::estimate(draft.gas, market, ceiling);
        Ok(Some(Planned { kept, signer, nonce, draft, fees, charge, estimate }))
    }

    /// The limits do not allow what the chain asks: a price that falls again is waited for, a budget that is used up needs a
    /// person. Neither is silent.
    async fn cannot_afford(
        &mut self,
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
            self.cannot_pay(desk, Dear::Intent(kept.id), reason.clone());
        }
        desk.stay(kept, reason).await
    }

    /// Signs what is planned, stores all of it in one transaction, which reserves the nonces, and sends it: the signers at one
    /// time, each its own in the order of their nonces.
    ///
    /// # Errors
    /// The lease is lost; the database's own.
    pub(super) async fn launch(
        &mut self,
        desk: &mut Desk<'_>,
        sight: &Sight,
        planned: Vec<Planned<'_>>,
    ) -> Result<(), Error> {
        let now_ms = desk.now_ms();
        let mut by_signer: BTreeMap<Address, Vec<Planned<'_>>> = BTreeMap::new();
        for one in planned {
            by_signer.entry(one.signer.address()).or_default().push(one);
        }
        // Signed before the transaction begins: the keys may be at the other end of a wire.
        let signing: Vec<_> =
            by_signer.into_values().map(|line| self.sign_line(line, (now_ms, sight))).collect();
        let mut lines = Vec::new();
        for line in join_all(signing).await {
            let (signed, failed) = line?;
            if let (Some((_, attempt)), None) = (signed.first(), &failed) {
                self.speaks(desk, attempt.signer);
            }
            if let Some((left, words)) = failed {
                if let Some(first) = left.first() {
                    self.is_mute(desk, first.signer.address(), words.clone());
                    self.stays_down(first.signer.address(), first.nonce);
                }
                for one in left {
                    desk.stay(one.kept, words.clone()).await?;
                }
            }
            if !signed.is_empty() {
                lines.push(signed);
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        if let Some((kept, over)) = self.store_lines(desk, &lines).await? {
            for (_, attempt) in lines.iter().flatten().rev() {
                self.stays_down(attempt.signer, attempt.nonce);
            }
            desk.hold(kept, over, true);
            return desk.stay(kept, over.to_string()).await;
        }
        let sending: Vec<_> = lines.iter().map(|line| self.send_line(line)).collect();
        join_all(sending).await;
        for (planned, attempt) in lines.iter().flatten() {
            desk.sent(attempt.hash.into());
            desk.soon(planned.kept);
        }
        Ok(())
    }

    async fn sign_line<'a>(
        &self,
        line: Vec<Planned<'a>>,
        (now_ms, sight): (i64, &Sight),
    ) -> Result<Line<'a>, Error> {
        let mut signed = Vec::with_capacity(line.len());
        let mut line = line.into_iter();
        while let Some(one) = line.next() {
            let attempt = self
                .signed(
                    &one.signer,
                    Some(one.kept),
                    Kind::Call,
                    &one.draft,
                    one.nonce,
                    one.fees,
                    (now_ms, sight),
                )
                .await;
            match attempt {
                Ok(attempt) => signed.push((one, attempt)),
                // Behind a nonce that nothing has nothing can be mined.
                Err(Error::Sign(words)) => {
                    return Ok((signed, Some((std::iter::once(one).chain(line).collect(), words))));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((signed, None))
    }

    /// Stores all or nothing; answers the intent that is over a quota, and which.
    async fn store_lines<'a>(
        &self,
        desk: &Desk<'_>,
        lines: &[Vec<(Planned<'a>, Attempt)>],
    ) -> Result<Option<(&'a Kept, Over)>, Error> {
        let mut write = desk.begin().await?;
        for (planned, attempt) in lines.iter().flatten() {
            let (kept, now_ms) = (planned.kept, attempt.signed_ms);
            let reserved = store::next_nonce(write.on(), attempt.signer).await?;
            if reserved > attempt.nonce {
                return Err(Error::LeaseLost);
            }
            if reserved != 0 && reserved < attempt.nonce {
                let (signer, nonce) = (attempt.signer, attempt.nonce);
                tracing::warn!(%signer, reserved, nonce, "somebody else uses this signer's key");
            }
            let (quotas, slot) = (&self.rules.quotas, slot(attempt));
            if let Some(over) = quota::charge(&mut write, quotas, kept, &slot, planned.charge, now_ms).await?
            {
                return Ok(Some((kept, over)));
            }
            store::store_attempt(&mut write, attempt).await?;
            intent_store::step(&mut write, kept, Step::Sign, "", None, now_ms).await?;
            let estimate = Some(planned.estimate);
            let sent = IntentProgress::Sent { transaction: attempt.hash.into(), estimate };
            outbox::say(&mut write, &kept.intent.key, sent, now_ms).await?;
        }
        write.commit().await?;
        Ok(None)
    }

    async fn send_line(&self, line: &[(Planned<'_>, Attempt)]) {
        for (planned, attempt) in line {
            self.hand_in(&planned.kept.intent.key, attempt).await;
        }
    }

    /// What a signer keeps for the steps of cases, in wei, where this is none.
    fn reserve(&self, asked: bool) -> U256 {
        let kept_back = if asked { self.rules.quotas.reserve } else { 0 };
        U256::from(kept_back).saturating_mul(U256::from(quota::BILLION))
    }
}

fn too_dear(needed: u128, allowed: u128) -> String {
    format!("the chain asks {needed} wei a unit of gas, the limits allow {allowed}")
}

/// Whether a transaction did what its intent asks for.
fn went_through(attempt: &Attempt) -> bool {
    attempt.kind == Kind::Call && attempt.outcome == Outcome::Succeeded
}
