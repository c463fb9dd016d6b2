//! What the cluster is asked in every round, and what is remembered of it.

use std::collections::BTreeMap;

use alloy::primitives::U256;
use ed25519_dalek::SigningKey;
use protocol::{chain::Address, solana};

use super::{
    case,
    node::{Commitment, Node},
    resolve::Finality,
    sign::keypair,
    store::{self, Attempt},
};
use crate::{
    config::Config,
    error::Error,
    intents::Kept,
    transactions::{desk::Desk, manager::Seen, store as intent_store},
};

/// The alarm of a signer that cannot pay.
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
}

/// What one round sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// Of the newest slot that most of the stake voted for: its number and its time in Unix seconds.
    pub latest: (u64, u64),
    /// The final chain, looked at before anything else.
    pub finality: Finality,
    /// What the signer has, in lamports.
    pub balance: u64,
}

/// Works on intents on Solana.
#[derive(Clone)]
pub struct Manager {
    pub(super) node: Node,
    pub(super) signer: SigningKey,
    pub(super) rules: Rules,
    checked: bool,
    sight: Option<Sight>,
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
            node: Node::new(&config.rpc_url, config.chain)?,
            signer: keypair(config)?,
            rules: Rules {
                fee_budget: config.fee_budget,
                unit_price_max: config.unit_price_max,
                rise_bps: config.fee_bump_bps,
            },
            checked: false,
            sight: None,
            attempts: BTreeMap::new(),
        })
    }

    /// Who pays.
    pub fn signer(&self) -> Address {
        solana::from_key(&solana::key_of(&self.signer))
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
        let height = self.node.final_height().await?;
        let finalized = self.node.accounts(Commitment::Finalized, &[case::clock()], None, 0).await?;
        let keys = [case::clock(), solana::key_of(&self.signer)];
        let latest = self.node.accounts(Commitment::Confirmed, &keys, None, 0).await?;
        let mut accounts = latest.accounts.iter();
        let time = case::time(accounts.next().and_then(Option::as_ref))?;
        let balance = accounts.next().and_then(Option::as_ref).map_or(0, |account| account.lamports);
        let finality = Finality { height, slot: finalized.slot };
        self.sight = Some(Sight { latest: (latest.slot, time), finality, balance });
        self.attempts.clear();
        for attempt in store::open_attempts(desk.db.reader()).await? {
            self.attempts.entry(attempt.intent).or_default().push(attempt);
        }
        desk.keep_sent(|transaction| {
            self.attempts.values().flatten().any(|attempt| attempt.signature == *transaction)
        });
        if intent_store::open_ids(desk.db.reader()).await?.is_empty() {
            desk.alarms.clear(BALANCE);
        }
        let balance = U256::from(balance);
        let (latest, finalized) = (latest.slot, finalized.slot);
        Ok(Seen { latest, finalized, balance, balance_billionths: balance, nonce: None })
    }

    /// Whether an intent has a transaction that may still be in a block.
    pub fn holds(&self, intent: i64) -> bool {
        self.attempts.contains_key(&intent)
    }

    /// Does what is next about an intent.
    ///
    /// # Errors
    /// The node does not answer; the lease is lost; the database's own.
    pub async fn pursue(&mut self, desk: &mut Desk<'_>, kept: &Kept) -> Result<(), Error> {
        let Some(sight) = self.sight else { return Ok(()) };
        let attempts = self.attempts.remove(&kept.id).unwrap_or_default();
        if attempts.is_empty() {
            self.wait(desk, &sight, kept).await
        } else {
            self.watch(desk, &sight, kept, &attempts).await
        }
    }
}
