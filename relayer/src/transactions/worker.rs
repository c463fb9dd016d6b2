//! The task that works on intents.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy::{
    primitives::{B256, U256},
    signers::local::PrivateKeySigner,
};
use service::{clock::Clock, db::Db};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    model::Step,
    report::Reporter,
    store::{self, Attempt, Outcome},
};
use crate::{
    alarm::Alarms,
    chain::{Chain, ChainError, Sight},
    error::Error,
    intents::{self, State},
    lease::Lease,
};

/// The task's name in alarms and metrics.
const TASK: &str = "transactions";
/// The alarm of intents that a person has to look at.
const QUARANTINED: &str = "quarantined intents";
/// The alarm of a signer that cannot pay.
pub(super) const BALANCE: &str = "balance";
/// After how many objections of the node in a row a round is given up.
const OBJECTIONS_MAX: u32 = 3;
/// In how many rounds in a row the chain must have taken back final transactions before it is believed: a node of a
/// balanced endpoint may lag.
const REGRESSION_ROUNDS: u32 = 3;

/// The rules that the configuration sets.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// What the transactions of one intent may cost together, in wei.
    pub gas_budget: u128,
    /// The highest fee for a unit of gas, in wei.
    pub max_fee_per_gas: u128,
    /// By how much a stuck transaction's fees rise, in basis points.
    pub fee_bump_bps: u32,
    /// Milliseconds without being mined after which fees rise.
    pub bump_after_ms: i64,
    /// Milliseconds after which the same bytes are sent again.
    pub resend_after_ms: i64,
    /// Between rounds.
    pub poll_interval: Duration,
}

/// Works on intents.
pub struct Worker {
    /// Where intents and attempts are.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The chain.
    pub chain: Chain,
    /// Who pays.
    pub signer: PrivateKeySigner,
    /// The limits.
    pub rules: Rules,
    /// Where to say what is wrong.
    pub alarms: Arc<Alarms>,
    /// Where to say how far it is.
    pub reporter: Reporter,
    /// Told when intents arrive.
    pub arrived: Arc<Notify>,
    /// The last look at the chain, for `/status`.
    pub seen: Arc<Mutex<Option<Sight>>>,
}

impl Worker {
    /// Works until `stop`.
    ///
    /// # Errors
    /// Another process took over the signer.
    pub async fn run(&self, lease: &Lease, stop: &CancellationToken) -> Result<(), Error> {
        let mut rounds = Rounds {
            worker: self,
            lease,
            checked: false,
            sent_ms: HashMap::new(),
            due_ms: HashMap::new(),
            regressions: 0,
            needed: None,
        };
        loop {
            let result = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                result = rounds.once() => result,
            };
            match result {
                Ok(()) => self.alarms.clear(TASK),
                Err(Error::LeaseLost) => return Err(Error::LeaseLost),
                Err(error) => self.alarms.raise(TASK, error.to_string(), self.clock.now_ms()),
            }
            crate::status::alive(TASK, self.clock.now_ms());
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.arrived.notified() => {}
                () = tokio::time::sleep(self.rules.poll_interval) => {}
            }
        }
    }
}

/// The node's objections to single intents: one does not keep the others from being worked on, several in a row do.
#[derive(Default)]
struct Objections {
    first: Option<ChainError>,
    in_a_row: u32,
}

impl Objections {
    fn add(&mut self, error: ChainError) -> Result<(), Error> {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row >= OBJECTIONS_MAX {
            return Err(error.into());
        }
        self.first.get_or_insert(error);
        Ok(())
    }
}

/// What the task remembers from round to round; after a restart everything is looked at and sent again.
pub(super) struct Rounds<'a> {
    pub(super) worker: &'a Worker,
    pub(super) lease: &'a Lease,
    checked: bool,
    pub(super) sent_ms: HashMap<B256, i64>,
    pub(super) due_ms: HashMap<i64, i64>,
    regressions: u32,
    /// What a transaction needed that the signer could not pay, in wei.
    pub(super) needed: Option<U256>,
}

impl Rounds<'_> {
    async fn once(&mut self) -> Result<(), Error> {
        let worker = self.worker;
        if !self.checked {
            worker.chain.check().await?;
            self.checked = true;
        }
        let own = worker.signer.address();
        let sight = worker.chain.sight(own).await?;
        *worker.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(sight);
        self.reopen(&sight).await?;
        let mut attempts: BTreeMap<i64, Vec<Attempt>> = BTreeMap::new();
        for attempt in store::open_attempts(worker.db.reader()).await? {
            attempts.entry(attempt.intent).or_default().push(attempt);
        }
        self.sent_ms.retain(|hash, _| attempts.values().flatten().any(|attempt| attempt.hash == *hash));
        let mut sights = HashMap::from([(own, sight)]);
        let ids = store::open_ids(worker.db.reader()).await?;
        self.due_ms.retain(|id, _| ids.binary_search(id).is_ok());
        if ids.is_empty() || self.needed.is_some_and(|needed| sight.balance >= needed) {
            self.needed = None;
            worker.alarms.clear(BALANCE);
        }
        let mut objections = Objections::default();
        for id in ids {
            let own_attempts = attempts.remove(&id).unwrap_or_default();
            let now_ms = worker.clock.now_ms();
            if own_attempts.is_empty() && self.due_ms.get(&id).is_some_and(|due| *due > now_ms) {
                continue;
            }
            let Some(kept) = intents::get(worker.db.reader(), id).await? else { continue };
            let worked = if own_attempts.is_empty() {
                self.wait(&sight, &kept).await
            } else {
                let signer = own_attempts.first().map_or(own, |attempt| attempt.signer);
                let sight = match sights.get(&signer) {
                    Some(sight) => *sight,
                    // Signed by a key of before: its transactions are still watched.
                    None => *sights.entry(signer).or_insert(worker.chain.sight(signer).await?),
                };
                self.watch(&sight, &kept, own_attempts).await
            };
            match worked {
                Ok(()) => objections.in_a_row = 0,
                Err(Error::Chain(error)) => {
                    self.stay(&kept, error.to_string()).await?;
                    objections.add(error)?;
                }
                Err(error) => return Err(error),
            }
        }
        self.say_quarantined().await?;
        objections.first.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Opens intents again whose transactions the chain took back after they were final.
    async fn reopen(&mut self, sight: &Sight) -> Result<(), Error> {
        let worker = self.worker;
        let lost = store::regressed(worker.db.reader(), worker.signer.address(), sight.nonce_latest).await?;
        if lost.is_empty() {
            self.regressions = 0;
            return Ok(());
        }
        self.regressions = self.regressions.saturating_add(1);
        if self.regressions < REGRESSION_ROUNDS {
            return Ok(());
        }
        let now_ms = worker.clock.now_ms();
        let mut by_intent: BTreeMap<i64, Vec<Attempt>> = BTreeMap::new();
        for attempt in lost {
            by_intent.entry(attempt.intent).or_default().push(attempt);
        }
        for (id, attempts) in by_intent {
            let Some(kept) = intents::get(worker.db.reader(), id).await? else { continue };
            tracing::error!(key = kept.intent.key, "the chain took back what was final; working on it again");
            metrics::counter!("relayer_intents_reopened_total").increment(1);
            let mut write = self.lease.begin().await?;
            for attempt in attempts {
                store::set_outcome(&mut write, attempt.hash, Outcome::Open).await?;
            }
            store::step(&mut write, &kept, Step::Reopen, "the chain took it back", None, now_ms).await?;
            write.commit().await?;
        }
        Ok(())
    }

    async fn say_quarantined(&self) -> Result<(), Error> {
        let standing = store::standing(self.worker.db.reader(), self.worker.signer.address()).await?;
        match standing.intents.iter().find(|(state, _)| *state == State::Quarantined) {
            Some((_, count)) => {
                let words = format!("{count} intents need a person: GET /v1/intents?state=quarantined");
                self.worker.alarms.raise(QUARANTINED, words, self.worker.clock.now_ms());
            }
            None => self.worker.alarms.clear(QUARANTINED),
        }
        Ok(())
    }
}
