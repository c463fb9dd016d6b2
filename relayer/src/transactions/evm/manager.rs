//! What an EVM chain is asked in every round, and what is remembered of it.

use std::collections::{BTreeMap, HashMap};

use alloy::{
    primitives::{Address, U256},
    signers::local::PrivateKeySigner,
};
use protocol::chain;

use super::{
    chain::{Chain, Sight},
    store::{self, Attempt},
};
use crate::{
    config::Config,
    error::Error,
    intents::{self, Kept},
    transactions::{
        desk::Desk,
        manager::Seen,
        model::Step,
        store::{self as intent_store, Outcome},
    },
};

/// The alarm of a signer that cannot pay.
pub(super) const BALANCE: &str = "balance";
/// In how many rounds in a row the chain must have taken back final transactions before it is believed: a node of a
/// balanced endpoint may lag.
const REGRESSION_ROUNDS: u32 = 3;
const WEI_PER_GWEI: u64 = 1_000_000_000;

/// The rules that the configuration sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// What the transactions of one intent may cost together, in wei.
    pub gas_budget: u128,
    /// The highest fee for a unit of gas, in wei.
    pub max_fee_per_gas: u128,
    /// By how much a stuck transaction's fees rise, in basis points.
    pub fee_bump_bps: u32,
    /// Milliseconds without being mined after which fees rise.
    pub bump_after_ms: i64,
}

/// Works on intents on an EVM chain.
#[derive(Clone)]
pub struct Manager {
    pub(super) chain: Chain,
    pub(super) signer: PrivateKeySigner,
    pub(super) rules: Rules,
    checked: bool,
    regressions: u32,
    /// What a transaction needed that the signer could not pay, in wei.
    pub(super) needed: Option<U256>,
    /// The last look, as each signer sees it that has transactions.
    sights: HashMap<Address, Sight>,
    /// Transactions that may still be mined, by intent.
    attempts: BTreeMap<i64, Vec<Attempt>>,
}

impl Manager {
    /// A manager that has not looked yet.
    ///
    /// # Errors
    /// The first key at fault.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            chain: Chain::new(&config.rpc_url, config.chain)?,
            signer: config.evm_signer()?,
            rules: Rules {
                gas_budget: config.gas_budget,
                max_fee_per_gas: config.max_fee_per_gas,
                fee_bump_bps: config.fee_bump_bps,
                bump_after_ms: i64::try_from(config.bump_after_ms).unwrap_or(i64::MAX),
            },
            checked: false,
            regressions: 0,
            needed: None,
            sights: HashMap::new(),
            attempts: BTreeMap::new(),
        })
    }

    /// Who pays.
    pub fn signer(&self) -> chain::Address {
        self.signer.address().into()
    }

    /// Looks at the chain, and opens what it took back again.
    ///
    /// # Errors
    /// The node does not answer, or serves another chain; the database's own.
    pub async fn look(&mut self, desk: &mut Desk<'_>) -> Result<Seen, Error> {
        if !self.checked {
            self.chain.check().await?;
            self.checked = true;
        }
        let own = self.signer.address();
        let sight = self.chain.sight(own).await?;
        self.sights = HashMap::from([(own, sight)]);
        self.reopen(desk, &sight).await?;
        self.attempts.clear();
        for attempt in store::open_attempts(desk.db.reader()).await? {
            self.attempts.entry(attempt.intent).or_default().push(attempt);
        }
        desk.keep_sent(|transaction| {
            self.attempts.values().flatten().any(|attempt| transaction.evm() == Some(attempt.hash))
        });
        let idle = intent_store::open_ids(desk.db.reader()).await?.is_empty();
        if idle || self.needed.is_some_and(|needed| sight.balance >= needed) {
            self.needed = None;
            desk.alarms.clear(BALANCE);
        }
        Ok(Seen {
            latest: sight.latest.number,
            finalized: sight.finalized.number,
            balance: sight.balance,
            balance_billionths: sight.balance.checked_div(U256::from(WEI_PER_GWEI)).unwrap_or_default(),
            nonce: Some(sight.nonce_latest),
        })
    }

    /// Whether an intent has a transaction that may still be mined.
    pub fn holds(&self, intent: i64) -> bool {
        self.attempts.contains_key(&intent)
    }

    /// Does what is next about an intent.
    ///
    /// # Errors
    /// The node does not answer; the lease is lost; the database's own.
    pub async fn pursue(&mut self, desk: &mut Desk<'_>, kept: &Kept) -> Result<(), Error> {
        let attempts = self.attempts.remove(&kept.id).unwrap_or_default();
        let Some(first) = attempts.first() else {
            let sight = self.sight(self.signer.address()).await?;
            return self.wait(desk, &sight, kept).await;
        };
        // Transactions signed by a key of before are still watched.
        let sight = self.sight(first.signer).await?;
        self.watch(desk, &sight, kept, attempts).await
    }

    async fn sight(&mut self, signer: Address) -> Result<Sight, Error> {
        if let Some(sight) = self.sights.get(&signer) {
            return Ok(*sight);
        }
        let sight = self.chain.sight(signer).await?;
        self.sights.insert(signer, sight);
        Ok(sight)
    }

    /// Opens intents again whose transactions the chain took back after they were final.
    async fn reopen(&mut self, desk: &Desk<'_>, sight: &Sight) -> Result<(), Error> {
        let lost = store::regressed(desk.db.reader(), self.signer.address(), sight.nonce_latest).await?;
        if lost.is_empty() {
            self.regressions = 0;
            return Ok(());
        }
        self.regressions = self.regressions.saturating_add(1);
        if self.regressions < REGRESSION_ROUNDS {
            return Ok(());
        }
        let now_ms = desk.now_ms();
        let mut by_intent: BTreeMap<i64, Vec<Attempt>> = BTreeMap::new();
        for attempt in lost {
            by_intent.entry(attempt.intent).or_default().push(attempt);
        }
        for (id, attempts) in by_intent {
            let Some(kept) = intents::get(desk.db.reader(), id).await? else { continue };
            tracing::error!(key = kept.intent.key, "the chain took back what was final; working on it again");
            metrics::counter!("relayer_intents_reopened_total").increment(1);
            let mut write = desk.begin().await?;
            for attempt in attempts {
                store::set_outcome(&mut write, attempt.hash, Outcome::Open).await?;
            }
            intent_store::step(&mut write, &kept, Step::Reopen, "the chain took it back", None, now_ms)
                .await?;
            write.commit().await?;
        }
        Ok(())
    }
}
