//! What the cluster is asked in every round, and what is remembered of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy::primitives::U256;
use ed25519_dalek::SigningKey;
use protocol::{
    chain::Address,
    solana::{self, Pubkey},
};

use super::{
    behind::{Expired, Reached},
    case,
    node::{Accounts, Commitment, Node},
    reopen::Audit,
    resolve::Finality,
    sign,
    store::{self, Attempt},
};
use crate::{
    config::Config,
    error::Error,
    intents::Kept,
    quota::Quotas,
    transactions::{
        desk::Desk,
        manager::{Seen, SeenSigner},
        still::Still,
        store as intent_store,
        unagreed::Unagreed,
        worker::WAITING_MAX,
    },
};

/// The alarm of signers that cannot pay.
pub(super) const BALANCE: &str = "balance";

/// The rules that the configuration sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// What the transactions of one intent may cost together, in lamports.
    pub fee_budget: u64,
    /// The highest price, in millionths of a lamport for a compute unit.
    pub unit_price_max: u64,
    /// By how much the price of a further transaction rises, in basis points.
    pub rise_bps: u32,
    /// What is done in somebody's name.
    pub quotas: Quotas,
}

/// What one round sees.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    /// Of the newest slot that most of the stake voted for: its number and its time in Unix seconds.
    pub latest: (u64, u64),
    /// The final chain, looked at before anything else.
    pub finality: Finality,
    /// The newest slot and the final one that a node which is always a little behind has come to.
    pub reached: (u64, u64),
    /// What each signer has, in lamports.
    pub balances: HashMap<Pubkey, u64>,
}

/// How far the chain is, as a node tells it.
struct Ends {
    finality: Finality,
    /// The clock and the signers, at the newest slot that most of the stake voted for.
    latest: Accounts,
}

/// Works on intents on Solana.
#[derive(Clone)]
pub struct Manager {
    pub(in crate::transactions) node: Node,
    pub(super) signers: Vec<SigningKey>,
    pub(super) rules: Rules,
    /// What is looked at again after it was final.
    pub(super) audit: Audit,
    /// Signers that could not pay, with what they had then, in lamports: they are out of turn until they have more.
    pub(super) poor: BTreeMap<Pubkey, u64>,
    /// Intents whose transactions no block seems to have held, by the final slot.
    pub(super) expired: Expired,
    /// Intents that may be over, and too few nodes tell that alike.
    pub(super) unagreed: Unagreed,
    checked: bool,
    /// For how long there was no newer slot.
    still: Still,
    reached: Reached,
    sight: Option<Sight>,
    /// How many transactions each signer has in the air.
    flights: HashMap<Address, usize>,
    /// Transactions that may still be in a block, by intent.
    attempts: BTreeMap<i64, Vec<Attempt>>,
}

impl Manager {
    /// A manager that has not looked yet.
    ///
    /// # Errors
    /// The first key at fault.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            node: Node::new(config)?,
            signers: sign::open(config)?,
            rules: Rules {
                fee_budget: config.fee_budget,
                unit_price_max: config.unit_price_max,
                rise_bps: config.fee_bump_bps,
                quotas: config.quotas,
            },
            audit: Audit::default(),
            poor: BTreeMap::new(),
            expired: Expired::default(),
            unagreed: Unagreed::default(),
            checked: false,
            still: Still::default(),
            reached: Reached::default(),
            sight: None,
            flights: HashMap::new(),
            attempts: BTreeMap::new(),
        })
    }

    /// How much is done in whose name.
    pub const fn quotas(&self) -> &Quotas {
        &self.rules.quotas
    }

    /// Who pays.
    pub fn signers(&self) -> Vec<Address> {
        self.signers.iter().map(|signer| solana::from_key(&solana::key_of(signer))).collect()
    }

    /// The signers whose turn it is: those that can pay, the one with the fewest transactions in the air first.
    pub(super) fn turn(&self) -> Vec<SigningKey> {
        let able = self.signers.iter().filter(|signer| !self.poor.contains_key(&solana::key_of(signer)));
        let mut able: Vec<SigningKey> = able.cloned().collect();
        able.sort_by_key(|signer| {
            self.flights.get(&solana::from_key(&solana::key_of(signer))).copied().unwrap_or(0)
        });
        able
    }

    /// Notes that a signer has one more transaction in the air.
    pub(super) fn takes_off(&mut self, signer: Address) {
        let count = self.flights.entry(signer).or_default();
        *count = count.saturating_add(1);
    }

    /// Says which signers are out of turn.
    pub(super) fn say_poor(&self, desk: &Desk<'_>) {
        if self.poor.is_empty() {
            desk.alarms.clear(BALANCE);
            return;
        }
        let short = self.poor.iter().map(|(signer, has)| {
            format!(
                "signer {signer} has {has} lamports, too little for the fee and the rent of what its transaction opens: \
                 it is out of turn"
            )
        });
        desk.alarms.raise(BALANCE, short.collect::<Vec<_>>().join("; "), desk.now_ms());
    }

    /// Looks at the chain.
    ///
    /// # Errors
    /// The node does not answer, or serves another chain; the database's own.
    pub async fn look(&mut self, desk: &mut Desk<'_>) -> Result<Seen, Error> {
        if !self.checked {
            self.node.check().await?;
            self.checked = true;
        }
        let signers: Vec<Pubkey> = self.signers.iter().map(solana::key_of).collect();
        let mut ends = self.ends(&signers).await?;
        // One node may stand still, and answer as if nothing were wrong.
        let newest = ends.latest.slot;
        if self.still.for_long(newest, desk.now_ms()) && self.node.go_on(newest).await {
            ends = self.ends(&signers).await?;
        }
        let Ends { finality, latest } = ends;
        let mut accounts = latest.accounts.iter();
        let time = case::time(accounts.next().and_then(Option::as_ref))?;
        let lamports = accounts.map(|account| account.as_ref().map_or(0, |account| account.lamports));
        let balances: HashMap<Pubkey, u64> = signers.iter().copied().zip(lamports).collect();
        self.reopen(desk, finality).await?;
        self.attempts.clear();
        self.flights.clear();
        for attempt in store::open_attempts(desk.db.reader()).await? {
            self.takes_off(attempt.signer);
            self.attempts.entry(attempt.intent).or_default().push(attempt);
        }
        desk.keep_sent(|transaction| {
            self.attempts.values().flatten().any(|attempt| attempt.signature == *transaction)
        });
        let open: BTreeSet<i64> = intent_store::open(desk.db.reader(), WAITING_MAX).await?.ids().collect();
        self.poor.retain(|signer, had| !open.is_empty() && balances.get(signer).is_none_or(|has| has <= had));
        self.say_poor(desk);
        self.unagreed.say(desk, &open);
        let seen = signers.iter().map(|signer| {
            let balance = U256::from(balances.get(signer).copied().unwrap_or(0));
            let address = solana::from_key(signer);
            SeenSigner { address, balance, balance_billionths: balance, nonce: None }
        });
        let seen = Seen { latest: latest.slot, finalized: finality.slot, signers: seen.collect() };
        let reached = self.reached.look((latest.slot, finality.slot), desk.now_ms());
        self.sight = Some(Sight { latest: (latest.slot, time), finality, reached, balances });
        Ok(seen)
    }

    /// The final chain first, so that a transaction that is missing afterwards was not in it.
    async fn ends(&self, signers: &[Pubkey]) -> Result<Ends, Error> {
        let height = self.node.final_height().await?;
        let finalized = self.node.accounts(Commitment::Finalized, &[case::clock()], None, 0).await?;
        let keys: Vec<Pubkey> = std::iter::once(case::clock()).chain(signers.iter().copied()).collect();
        let latest = self.node.accounts(Commitment::Confirmed, &keys, None, 0).await?;
        Ok(Ends { finality: Finality { height, slot: finalized.slot }, latest })
    }

    /// Whether an intent has a transaction that may still be in a block.
    pub fn holds(&self, intent: i64) -> bool {
        self.attempts.contains_key(&intent)
    }

    /// Does what is next about an intent. `why` as of the manager of any chain.
    ///
    /// # Errors
    /// The node does not answer; the lease is lost; the database's own.
    pub async fn pursue(&mut self, desk: &mut Desk<'_>, kept: &Kept, why: Option<&str>) -> Result<(), Error> {
        let Some(sight) = self.sight.clone() else { return Ok(()) };
        let attempts = self.attempts.remove(&kept.id).unwrap_or_default();
        if attempts.is_empty() {
            self.wait(desk, &sight, kept, why).await
        } else {
            self.watch(desk, &sight, kept, &attempts).await
        }
    }
}
