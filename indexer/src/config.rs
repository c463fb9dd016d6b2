//! The `[indexer]` section of the configuration.

use std::{collections::BTreeSet, time::Duration};

use protocol::chain::{AccountId, ChainId};
use serde::{Deserialize, Serialize};

use crate::{Error, chain::source::watchable};

/// What the indexer follows and where it keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to serve HTTP at. Whoever calls [`crate::run`] binds it.
    pub listen: String,
    /// `sqlite:PATH` or `postgres://…`. One database follows one chain and one set of contracts for ever.
    pub database: String,
    /// JSON-RPC over HTTP, at least one, all of the contracts' chain. The next is used when one fails.
    pub rpc_urls: Vec<String>,
    /// WebSocket of a Solana node, so that the next look at the chain need not wait for its time; not used on other chains.
    pub ws_url: Option<String>,
    /// The `Escrow` and `ArbitrationPools` contracts to watch, on Solana the program and its arbiter: CAIP-10, 1 to 64, all
    /// on one chain.
    pub contracts: Vec<AccountId>,
    /// The first block (on Solana slot) to read: that of the first deployment.
    pub start_block: u64,
    /// Milliseconds between looks at the chain's head; 10 to 600,000.
    pub poll_ms: u64,
    /// Blocks asked for at once below the finalized block; 1 to 100,000.
    pub range_blocks_max: u64,
    /// Blocks below the head that count as final where the node knows no `finalized` block; 1 to 100,000.
    pub finality_depth: u64,
    /// Transactions that are listed at once on Solana; 1 to 1,000.
    pub signatures_max: u64,
    /// Milliseconds that one request to the node may take; 100 to 120,000.
    pub request_timeout_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7402".to_owned(),
            database: "sqlite:indexer.sqlite".to_owned(),
            rpc_urls: Vec::new(),
            ws_url: None,
            contracts: Vec::new(),
            start_block: 0,
            poll_ms: 1_000,
            range_blocks_max: 2_000,
            finality_depth: 64,
            signatures_max: 1_000,
            request_timeout_ms: 15_000,
        }
    }
}

const CONTRACTS_MAX: usize = 64;

impl Config {
    /// The chain that all contracts are on.
    ///
    /// # Errors
    /// A key is out of its range; names the key, the value and the rule.
    pub fn check(&self) -> Result<ChainId, Error> {
        let refuse = |key, value: String, rule| Err(Error::Config { key, value, rule });
        for (key, value, (min, max), rule) in [
            ("poll_ms", self.poll_ms, (10, 600_000), "10 to 600,000"),
            ("range_blocks_max", self.range_blocks_max, (1, 100_000), "1 to 100,000"),
            ("finality_depth", self.finality_depth, (1, 100_000), "1 to 100,000"),
            ("signatures_max", self.signatures_max, (1, 1_000), "1 to 1,000"),
            ("request_timeout_ms", self.request_timeout_ms, (100, 120_000), "100 to 120,000"),
            ("start_block", self.start_block, (0, u64::from(u32::MAX)), "0 to 4,294,967,295"),
        ] {
            if value < min || value > max {
                return refuse(key, value.to_string(), rule);
            }
        }
        if self.rpc_urls.is_empty() || self.rpc_urls.len() > 8 {
            return refuse("rpc_urls", format!("{} URLs", self.rpc_urls.len()), "1 to 8 URLs");
        }
        let Some(first) = self.contracts.first() else {
            return refuse("contracts", "none".to_owned(), "at least one CAIP-10 account");
        };
        if self.contracts.len() > CONTRACTS_MAX {
            return refuse("contracts", format!("{} contracts", self.contracts.len()), "at most 64");
        }
        if let Some(other) = self.contracts.iter().find(|contract| contract.chain != first.chain) {
            return refuse("contracts", other.to_string(), "all contracts on one chain");
        }
        for contract in &self.contracts {
            if let Err(rule) = watchable(contract) {
                return refuse("contracts", contract.to_string(), rule);
            }
        }
        if let Some(url) =
            self.ws_url.as_ref().filter(|url| !url.starts_with("ws://") && !url.starts_with("wss://"))
        {
            // Not the URL itself, which may hold a key.
            return refuse("ws_url", format!("{} characters", url.len()), "a ws:// or wss:// URL");
        }
        Ok(first.chain)
    }

    pub(crate) fn watched(&self) -> BTreeSet<AccountId> {
        self.contracts.iter().copied().collect()
    }

    pub(crate) const fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    pub(crate) const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}
