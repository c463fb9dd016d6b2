//! What is done about intents: the facts about several are gathered at one time, then about one after the other what comes of them
//! is decided and written.

use std::collections::BTreeMap;

use alloy::{
    eips::BlockId,
    primitives::{Address, B256, Bytes},
};
use futures::{StreamExt as _, stream};
use service::failpoint;

use super::{
    case,
    chain::{Block, Called, Receipt},
    fees::Fees,
    manager::{AT_ONCE, Manager, Sight},
    sign::{Draft, Signer, sign},
    store::{self, Attempt, Kind},
    wait::{HeldUp, Waiting},
    watch::UnderWay,
};
use crate::{
    error::Error,
    intents::Kept,
    transactions::{
        desk::Desk,
        refusal::Cure,
        resolve::{Effect, Resolution},
        store::Outcome,
    },
};

/// What is known about one intent.
enum Facts {
    Waiting(Waiting),
    UnderWay(UnderWay),
}

/// The transactions of an intent: those that may still be mined, or else every one of it.
enum Before {
    Waiting(Vec<Attempt>),
    UnderWay(Vec<Attempt>),
}

impl Manager {
    /// Does what is next about intents, as of the last look; answers what came of each where that concerns it alone. `why` as of
    /// the manager of any chain.
    ///
    /// # Errors
    /// The node does not answer at all; the lease is lost; the database's own.
    pub async fn pursue(
        &mut self,
        desk: &mut Desk<'_>,
        all: &[Kept],
        why: Option<&str>,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let Some(sight) = self.sight() else { return Ok(all.iter().map(|_| Ok(())).collect()) };
        let mut held_up = [None, None];
        for asked in [false, true] {
            let any = |kept: &Kept| !self.holds(kept.id) && kept.intent.asked_by.is_some() == asked;
            if all.iter().any(any)
                && let Some(held_up) = held_up.get_mut(usize::from(asked))
            {
                *held_up = match why {
                    Some(why) => Some(HeldUp::ByRule(why.to_owned())),
                    None => self.held_up(desk, asked).await,
                };
            }
        }
        let why = |kept: &Kept| held_up.get(usize::from(kept.intent.asked_by.is_some()))?.as_ref();
        let now_ms = desk.now_ms();
        // One after another, so that what is asked at one time is asked in one order.
        let mut known = Vec::with_capacity(all.len());
        for kept in all {
            known.push(match self.attempts.get(&kept.id) {
                Some(attempts) => Before::UnderWay(attempts.clone()),
                None => Before::Waiting(store::attempts(desk.db.reader(), kept.id).await?),
            });
        }
        let gathering: Vec<_> = all
            .iter()
            .zip(known)
            .map(|(kept, before)| self.facts((now_ms, &sight), kept, before, why(kept).is_some()))
            .collect();
        let facts: Vec<_> = stream::iter(gathering).buffered(AT_ONCE).collect().await;
        let (mut results, mut planned) = (Vec::with_capacity(all.len()), Vec::new());
        for (kept, facts) in all.iter().zip(facts) {
            let done = match facts {
                Ok(Facts::UnderWay(known)) => self.watch(desk, &sight, kept, known).await.map(|()| None),
                Ok(Facts::Waiting(known)) => self.wait(desk, &sight, kept, known, why(kept)).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(one) => planned.extend(one),
                Err(error) if error.concerns_one() => {
                    results.push(Err(error));
                    continue;
                }
                Err(error) => return Err(error),
            }
            results.push(Ok(()));
        }
        self.launch(desk, &sight, planned).await?;
        Ok(results)
    }

    async fn facts(
        &self,
        (now_ms, sight): (i64, &Sight),
        kept: &Kept,
        before: Before,
        held_up: bool,
    ) -> Result<Facts, Error> {
        match before {
            Before::UnderWay(attempts) => {
                self.under_way((now_ms, sight), kept, attempts).await.map(Facts::UnderWay)
            }
            Before::Waiting(attempts) => {
                self.waiting(sight, kept, attempts, held_up).await.map(Facts::Waiting)
            }
        }
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

    /// Hands a stored transaction to the network, and notes when.
    pub(super) async fn send(&self, desk: &mut Desk<'_>, key: &str, attempt: &Attempt) {
        self.hand_in(key, attempt).await;
        desk.sent(attempt.hash.into());
    }

    /// Hands a stored transaction to the network. What the node says decides nothing.
    pub(super) async fn hand_in(&self, key: &str, attempt: &Attempt) {
        failpoint::pass(&["relayer.broadcast.before"]);
        let answer = self.chain.send(&attempt.raw).await;
        failpoint::pass(&["relayer.broadcast.after"]);
        metrics::counter!("relayer_broadcasts_total").increment(1);
        match answer {
            Ok(()) => tracing::info!(key, transaction = %attempt.hash, nonce = attempt.nonce, "sent"),
            Err(error) => tracing::info!(key, transaction = %attempt.hash, %error, "sent; the node objects"),
        }
    }

    /// Writes what was decided, and what became of the transactions where they are over.
    pub(super) async fn apply(
        &mut self,
        desk: &mut Desk<'_>,
        kept: &Kept,
        attempts: &[(B256, Option<Receipt>)],
        resolution: Resolution,
    ) -> Result<(), Error> {
        // In doubt it is not over, and what was seen of it is wanted again.
        if matches!(resolution, Resolution::Finish { .. } | Resolution::Fail { .. }) && !desk.in_doubt() {
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

    /// What this very block shows of an intent, by the word of one node.
    pub(super) async fn effect(&self, kept: &Kept, at: &Block, sent: bool) -> Result<Effect, Error> {
        let (to, call) = question(kept)?;
        let called = self.chain.call(Address::ZERO, to, call, BlockId::from(at.hash)).await?;
        Ok(shown(kept, called, to, (at, sent)))
    }

    /// The same, as more than half of the nodes tell it alike.
    ///
    /// # Errors
    /// Fewer do.
    pub(super) async fn effect_alike(&self, kept: &Kept, at: &Block, sent: bool) -> Result<Effect, Error> {
        let (to, call) = question(kept)?;
        let called = self.chain.call_alike(Address::ZERO, to, call, None, at).await?;
        Ok(shown(kept, called, to, (at, sent)))
    }

    /// What the final chain shows of an intent: its newest block, or, on a node that has not kept its state, an older one in
    /// which that was seen while it was new. None where it was not seen for long enough, or too few nodes tell the same.
    pub(super) async fn effect_final(
        &mut self,
        (now_ms, sight): (i64, &Sight),
        kept: &Kept,
        sent: bool,
    ) -> Result<Option<Effect>, Error> {
        if let Ok(effect) = self.effect_alike(kept, &sight.finalized, sent).await {
            self.unagreed.forget(kept.id);
            return Ok(Some(effect));
        }
        self.witnessed((now_ms, sight), kept, sent).await
    }

    /// The same on nodes that have not kept the state of the final block.
    ///
    /// # Errors
    /// The only node does not answer.
    pub(super) async fn witnessed(
        &mut self,
        (now_ms, sight): (i64, &Sight),
        kept: &Kept,
        sent: bool,
    ) -> Result<Option<Effect>, Error> {
        let mut at = sight.latest;
        let mut told = self.effect_alike(kept, &at, sent).await;
        // A node that is always a block behind has come to that one by now.
        if let (Err(_), Some(before)) = (&told, sight.before.filter(|_| self.chain.has_several())) {
            at = before;
            told = self.effect_alike(kept, &at, sent).await;
        }
        let effect = match told {
            Ok(effect) => effect,
            // That nodes differ about one intent says nothing against the others.
            Err(Error::Chain(error)) if self.chain.has_several() => {
                tracing::debug!(key = kept.intent.key, %error, "whether it is over is not told alike");
                self.unagreed.put(kept.id, now_ms);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.unagreed.forget(kept.id);
        self.witness.saw(kept.id, &at, &effect);
        self.witness.effect_final(&self.chain, kept.id, &sight.finalized).await
    }

    /// Whether more than half of the nodes refuse an intent's call for good in the final block; or, where they have not kept
    /// its state, did in an older one while it was new. `most` bounds its gas.
    ///
    /// # Errors
    /// The node does not answer.
    pub(super) async fn is_refused(
        &mut self,
        (now_ms, sight): (i64, &Sight),
        kept: &Kept,
        (to, data): (Address, Bytes),
        most: Option<u64>,
    ) -> Result<bool, Error> {
        let from = self.signers.first().map_or(Address::ZERO, |signer| signer.address());
        let for_good = |called: &Called| match called {
            Called::Reverted(why) => case::cure(&kept.intent, why).0 == Cure::Nothing,
            Called::Returned(_) => false,
        };
        let blocks = [Some(sight.finalized), Some(sight.latest), sight.before];
        let mut told = None;
        for at in blocks.into_iter().flatten() {
            if let Ok(called) = self.chain.call_alike(from, to, data.clone(), most, &at).await {
                told = Some((called, at));
                break;
            }
        }
        let at = match told {
            Some((called, at)) if for_good(&called) => {
                self.unagreed.forget(kept.id);
                at
            }
            // Most say otherwise than the one that was asked first, or too few say anything.
            told => {
                if told.is_some() {
                    self.witness.forget(kept.id);
                }
                self.unagreed.put(kept.id, now_ms);
                return Ok(false);
            }
        };
        if at == sight.finalized {
            return Ok(true);
        }
        let refused = Effect::Unreadable(REFUSED.to_owned());
        self.witness.saw(kept.id, &at, &refused);
        let seen = self.witness.effect_final(&self.chain, kept.id, &sight.finalized).await?;
        Ok(seen == Some(refused))
    }

    /// What is left of an intent's budget after what the earlier nonces among its transactions may have cost, in wei.
    pub(super) fn budget_left(&self, attempts: &[Attempt]) -> u128 {
        let mut spent: BTreeMap<(Address, u64), u128> = BTreeMap::new();
        for attempt in attempts {
            if matches!(attempt.outcome, Outcome::Succeeded | Outcome::Reverted) {
                let cost = attempt.fees.max_fee.saturating_mul(attempt.gas.into());
                spent.insert((attempt.signer, attempt.nonce), cost);
            }
        }
        let spent = spent.into_values().fold(0_u128, u128::saturating_add);
        self.rules.gas_budget.saturating_sub(spent)
    }
}

/// As what a witness remembers that most nodes refused an intent's call.
const REFUSED: &str = "the call is refused";

/// The read-only call that shows what became of an intent.
fn question(kept: &Kept) -> Result<(Address, Bytes), Error> {
    case::question(&kept.intent).map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))
}

/// What its answer shows.
fn shown(kept: &Kept, called: Called, to: Address, (at, sent): (&Block, bool)) -> Effect {
    match called {
        Called::Returned(answer) => case::effect(&kept.intent, &answer, at.time, sent),
        Called::Reverted(_) => Effect::Unreadable(format!("{to} does not answer what became of it")),
    }
}

/// What only one transaction of can be in a block.
pub(super) fn slot(attempt: &Attempt) -> String {
    format!("{}/{}", attempt.signer, attempt.nonce)
}

/// The contract to call.
pub(super) fn contract(kept: &Kept) -> Result<Address, Error> {
    case::contract(&kept.intent).map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))
}

/// The call.
pub(super) fn calldata(kept: &Kept) -> Result<Bytes, Error> {
    case::calldata(&kept.intent).map_err(|error| Error::damaged("intent.body", &kept.intent.key, error))
}
