//! The seam between what is the same on every chain and what is not: the one place in the relayer that knows the kinds of
//! chains apart.

use alloy::primitives::U256;
use protocol::{
    chain::{Address, ChainId},
    wire::intent::{Estimate, NamedRefusal, Outlook},
};
use serde::Serialize;
use sqlx::AnyPool;

use super::{desk::Desk, evm, solana, strangers::Strangers};
use crate::{
    config::Config,
    error::Error,
    intents::Kept,
    quota::{self, Over, Quotas},
};

/// Why the node gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// No answer, or an error that is not the chain's refusal of a call.
    #[error("RPC {method}: {reason}")]
    Rpc {
        /// The JSON-RPC method.
        method: &'static str,
        /// In words.
        reason: String,
    },
    /// It answered, with an objection that is not the chain's refusal.
    #[error("RPC {method}: the node objects: {reason}")]
    Objects {
        /// The JSON-RPC method.
        method: &'static str,
        /// In words.
        reason: String,
    },
    /// It is another chain.
    #[error("RPC endpoint serves {found}, not {wanted}; correct relayer.rpc_urls or relayer.chain")]
    OtherChain {
        /// By the configuration.
        wanted: ChainId,
        /// By the node.
        found: String,
    },
    /// The node lacks what every node has to have.
    #[error("RPC endpoint has no {0}")]
    Lacks(String),
}

/// The last look at the chain, for `/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Number of the newest block or slot.
    pub latest: u64,
    /// Number of the newest one that is final.
    pub finalized: u64,
    /// The signers, in the order of the configuration.
    pub signers: Vec<SeenSigner>,
}

/// A signer at the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenSigner {
    /// Who.
    pub address: Address,
    /// What it has, in the coin's smallest unit.
    pub balance: U256,
    /// The same in billionths of the coin.
    pub balance_billionths: U256,
    /// Its transactions that are in a block, where the chain counts them.
    pub nonce: Option<u64>,
}

/// What works on intents on one chain.
///
/// A manager stores every signed transaction before it is first sent, never has two of one intent that could both have
/// an effect, and decides by facts: what became of its transactions at finality, then the case on chain. It remembers
/// nothing that the database does not have.
#[derive(Clone)]
pub enum Manager {
    /// For EVM chains.
    Evm(Box<evm::Manager>),
    /// For Solana.
    Solana(Box<solana::Manager>),
}

/// A signed transaction as the API shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Attempt {
    /// On an EVM chain.
    Evm(evm::Attempt),
    /// On Solana.
    Solana(solana::Attempt),
}

impl Manager {
    /// The manager for the chain of the configuration; nothing is sent yet.
    ///
    /// # Errors
    /// The first key at fault.
    pub async fn new(config: &Config) -> Result<Self, Error> {
        Ok(match config.chain {
            ChainId::Eip155(_) => Self::Evm(Box::new(evm::Manager::new(config).await?)),
            ChainId::Solana(_) => Self::Solana(Box::new(solana::Manager::new(config)?)),
        })
    }

    /// Who pays.
    pub fn signers(&self) -> Vec<Address> {
        match self {
            Self::Evm(manager) => manager.signers(),
            Self::Solana(manager) => manager.signers(),
        }
    }

    /// What would become of an intent if it were pursued now. Signs nothing that is worth anything, and keeps nothing.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn try_out(&self, kept: &Kept) -> Result<Tried, Error> {
        match self {
            Self::Evm(manager) => manager.estimate(kept).await,
            Self::Solana(manager) => manager.estimate(kept).await,
        }
    }

    /// Which nodes are none of the chain.
    pub const fn strangers(&self) -> &Strangers {
        match self {
            Self::Evm(manager) => manager.chain.strangers(),
            Self::Solana(manager) => manager.node.strangers(),
        }
    }

    /// Looks at the chain at the beginning of a round, and opens what it took back again.
    ///
    /// # Errors
    /// The node does not answer, or serves another chain; the database's own.
    pub async fn look(&mut self, desk: &mut Desk<'_>) -> Result<Seen, Error> {
        match self {
            Self::Evm(manager) => manager.look(desk).await,
            Self::Solana(manager) => manager.look(desk).await,
        }
    }

    /// Whether an intent has a transaction that may still have an effect.
    pub fn holds(&self, intent: i64) -> bool {
        match self {
            Self::Evm(manager) => manager.holds(intent),
            Self::Solana(manager) => manager.holds(intent),
        }
    }

    /// For how many more intents something may be signed now, of steps of cases or of those that somebody asked for.
    pub fn room(&self, desk: &Desk<'_>, asked: bool) -> usize {
        match self {
            Self::Evm(manager) => manager.room(desk, asked),
            // Nothing there waits for anything before it.
            Self::Solana(_) => usize::MAX,
        }
    }

    /// How much is done in whose name.
    pub const fn quotas(&self) -> &Quotas {
        match self {
            Self::Evm(manager) => manager.quotas(),
            Self::Solana(manager) => manager.quotas(),
        }
    }

    /// The quota that a transaction of an intent's account would exceed now, by what needs no node: the numbers, and what the
    /// last one of it that was too dear would have cost.
    ///
    /// # Errors
    /// The database's own.
    pub async fn over_quota(&self, desk: &mut Desk<'_>, kept: &Kept) -> Result<Option<Over>, Error> {
        let account = kept.intent.asked_by.as_deref();
        let cost = account.map_or(1, |account| desk.holds.cost(account, desk.now_ms()));
        let mut reader = desk.db.reader().acquire().await?;
        let now_ms = desk.now_ms();
        let totals = match desk.totals {
            Some(totals) => totals,
            None => *desk.totals.insert(quota::totals(&mut reader, now_ms).await?),
        };
        quota::over_beside(&mut reader, self.quotas(), kept, cost, (&totals, now_ms)).await
    }

    /// Does what is next about intents, as of the last look; answers what came of each where that concerns it alone. `why` says
    /// what keeps those that wait from being signed for, where something does: then only what became of them is looked at.
    ///
    /// # Errors
    /// The node does not answer at all; the lease is lost; the database's own.
    pub async fn pursue(
        &mut self,
        desk: &mut Desk<'_>,
        all: &[Kept],
        why: Option<&str>,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        match self {
            Self::Evm(manager) => manager.pursue(desk, all, why).await,
            Self::Solana(manager) => {
                let mut results = Vec::with_capacity(all.len());
                for kept in all {
                    match manager.pursue(desk, kept, why).await {
                        Err(error) if !error.concerns_one() => return Err(error),
                        result => results.push(result),
                    }
                }
                Ok(results)
            }
        }
    }
}

/// What would become of an intent now.
#[derive(Clone, Debug)]
pub struct Tried {
    /// As the API says it, but for quotas.
    pub outlook: Outlook,
    /// What its account would be charged, in billionths of a coin; where it would go through.
    pub charge: Option<u64>,
}

impl Tried {
    /// It is done already.
    pub const fn done() -> Self {
        Self::of(false, true, None, None)
    }

    /// It would be refused. The rule is the refusal's name where the reason begins with one.
    pub fn refused(reason: String) -> Self {
        let named = reason.starts_with(|first: char| first.is_ascii_uppercase());
        let name = reason.split(|one: char| !one.is_ascii_alphanumeric()).next().filter(|_| named);
        let rule = name.unwrap_or("Unknown").to_owned();
        Self::of(false, false, Some(NamedRefusal { rule, detail: reason }), None)
    }

    /// It would go through.
    pub const fn through(estimate: Estimate, charge: u64) -> Self {
        let mut tried = Self::of(true, false, None, Some(estimate));
        tried.charge = Some(charge);
        tried
    }

    const fn of(
        would_succeed: bool,
        already_done: bool,
        refusal: Option<NamedRefusal>,
        estimate: Option<Estimate>,
    ) -> Self {
        let outlook = Outlook { would_succeed, already_done, refusal, estimate, over_quota: None };
        Self { outlook, charge: None }
    }
}

/// Every transaction of an intent, in the order of signing.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn attempts(reader: &AnyPool, intent: &Kept) -> Result<Vec<Attempt>, Error> {
    Ok(match intent.intent.arbiter.chain {
        ChainId::Eip155(_) => evm::attempts(reader, intent.id).await?.into_iter().map(Attempt::Evm).collect(),
        ChainId::Solana(_) => {
            solana::attempts(reader, intent.id).await?.into_iter().map(Attempt::Solana).collect()
        }
    })
}
