//! The `[indexer]` section of the configuration.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use protocol::chain::{AccountId, Address, ChainId};
use serde::{Deserialize, Serialize};

pub use crate::delivery::config::{FilterConfig, NatsConfig, WebhookConfig};
use crate::{Error, chain::source::watchable, delivery};

/// What the indexer follows and where it keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to serve HTTP at. Whoever calls [`crate::run`] binds it.
    pub listen: String,
    /// `sqlite:PATH` or `postgres://…`. What it says of a chain is of one set of contracts for ever.
    pub database: String,
    /// The chains by their CAIP-2 ids, 1 to 32, all in the one database. One can be added at any time; of one that is
    /// left out everything stays and nothing new comes.
    pub chains: BTreeMap<ChainId, ChainConfig>,
    /// Who is told of the feed by signed messages over HTTP; at most 32.
    pub webhooks: Vec<WebhookConfig>,
    /// The stream of NATS JetStream that the feed is brought to, if any.
    pub nats: Option<NatsConfig>,
    /// Who shows this key as Bearer token (a hub) has places of its own for read-only calls; at least 16 characters. Empty:
    /// nobody has.
    pub call_key: String,
    /// How often a minute nodes are asked for those who do not show it, all together; 0 to 1,000,000. At 0 not at all.
    pub calls_per_minute: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7402".to_owned(),
            database: "sqlite:indexer.sqlite".to_owned(),
            chains: BTreeMap::new(),
            webhooks: Vec::new(),
            nats: None,
            call_key: String::new(),
            calls_per_minute: CALLS_PER_MINUTE,
        }
    }
}

/// How one chain is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainConfig {
    /// JSON-RPC over HTTP, 1 to 8, each once, all of this chain. The next is used when one fails.
    pub rpc_urls: Vec<String>,
    /// WebSocket of a Solana node, so that the next look at the chain need not wait for its time; not used on other chains.
    pub ws_url: Option<String>,
    /// The `Escrow` and `ArbitrationPools` contracts to watch, on Solana the program and its arbiter: addresses on this
    /// chain, 1 to 64.
    pub contracts: Vec<Address>,
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
    /// Requests to the nodes at one time while the final past is read; 1 to 64.
    pub requests_max: u64,
    /// Bytes that one answer of a node may have; 65,536 to 1,073,741,824.
    pub answer_bytes_max: u64,
    /// Nodes that must agree on a block before it is told as final; 1 to the number of `rpc_urls`, more than half of them
    /// where it is left out.
    pub quorum: Option<u64>,
    /// Whether final blocks are read once more, to prove by their headers that no log is missing.
    pub prove: bool,
    /// Milliseconds between comparisons of every open deal with the contract's own word; 1,000 to 604,800,000.
    pub reconcile_ms: u64,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            rpc_urls: Vec::new(),
            ws_url: None,
            contracts: Vec::new(),
            start_block: 0,
            poll_ms: 1_000,
            range_blocks_max: 2_000,
            finality_depth: 64,
            signatures_max: 1_000,
            request_timeout_ms: 15_000,
            requests_max: 8,
            answer_bytes_max: 64 << 20,
            quorum: None,
            prove: true,
            reconcile_ms: 3_600_000,
        }
    }
}

const CHAINS_MAX: usize = 32;
const CALL_KEY_MIN: usize = 16;
/// As the configuration says where it says nothing.
pub(crate) const CALLS_PER_MINUTE: u32 = 600;
const CALLS_PER_MINUTE_MAX: u32 = 1_000_000;
const CONTRACTS_MAX: usize = 64;

impl Config {
    /// # Errors
    /// A key is out of its range; names the key, the value and the rule.
    pub fn check(&self) -> Result<(), Error> {
        if self.chains.is_empty() || self.chains.len() > CHAINS_MAX {
            return Err(Error::Config {
                key: "chains".to_owned(),
                value: format!("{} chains", self.chains.len()),
                rule: "1 to 32 tables [indexer.chains.\"<CAIP-2 id>\"]",
            });
        }
        if !self.call_key.is_empty() && self.call_key.len() < CALL_KEY_MIN {
            return Err(Error::Config {
                key: "call_key".to_owned(),
                value: format!("{} characters", self.call_key.len()),
                rule: "at least 16 characters, or empty",
            });
        }
        if self.calls_per_minute > CALLS_PER_MINUTE_MAX {
            return Err(Error::Config {
                key: "calls_per_minute".to_owned(),
                value: self.calls_per_minute.to_string(),
                rule: "0 to 1,000,000",
            });
        }
        self.chains.iter().try_for_each(|(chain, config)| config.check(*chain))?;
        delivery::config::check(&self.webhooks, self.nats.as_ref())
    }
}

impl ChainConfig {
    fn check(&self, chain: ChainId) -> Result<(), Error> {
        let refuse =
            |key: &str, value: String, rule| Err(Error::Config { key: key_of(chain, key), value, rule });
        for (key, value, (min, max), rule) in [
            ("poll_ms", self.poll_ms, (10, 600_000), "10 to 600,000"),
            ("range_blocks_max", self.range_blocks_max, (1, 100_000), "1 to 100,000"),
            ("finality_depth", self.finality_depth, (1, 100_000), "1 to 100,000"),
            ("signatures_max", self.signatures_max, (1, 1_000), "1 to 1,000"),
            ("request_timeout_ms", self.request_timeout_ms, (100, 120_000), "100 to 120,000"),
            ("start_block", self.start_block, (0, u64::from(u32::MAX)), "0 to 4,294,967,295"),
            ("requests_max", self.requests_max, (1, 64), "1 to 64"),
            ("answer_bytes_max", self.answer_bytes_max, (1 << 16, 1 << 30), "65,536 to 1,073,741,824"),
            ("reconcile_ms", self.reconcile_ms, (1_000, 604_800_000), "1,000 to 604,800,000"),
        ] {
            if value < min || value > max {
                return refuse(key, value.to_string(), rule);
            }
        }
        if self.rpc_urls.is_empty() || self.rpc_urls.len() > 8 {
            return refuse("rpc_urls", format!("{} URLs", self.rpc_urls.len()), "1 to 8 URLs");
        }
        // One node that counts twice is a quorum with itself.
        let mut seen = BTreeSet::new();
        if let Some(at) = self.rpc_urls.iter().position(|url| !seen.insert(url.trim_end_matches('/'))) {
            return refuse("rpc_urls", format!("a repeated URL in position {at}"), "each URL once");
        }
        if let Some(quorum) = self.quorum.filter(|quorum| *quorum < 1 || *quorum > self.urls()) {
            return refuse("quorum", quorum.to_string(), "1 to the number of rpc_urls");
        }
        if self.contracts.is_empty() || self.contracts.len() > CONTRACTS_MAX {
            return refuse("contracts", format!("{} contracts", self.contracts.len()), "1 to 64 addresses");
        }
        for contract in &self.contracts {
            if !chain.has(*contract) {
                return refuse("contracts", contract.to_string(), "addresses on this chain");
            }
            if let Err(rule) = watchable(&AccountId { chain, address: *contract }) {
                return refuse("contracts", contract.to_string(), rule);
            }
        }
        if let Some(url) =
            self.ws_url.as_ref().filter(|url| !url.starts_with("ws://") && !url.starts_with("wss://"))
        {
            // Not the URL itself, which may hold a key.
            return refuse("ws_url", format!("{} characters", url.len()), "a ws:// or wss:// URL");
        }
        Ok(())
    }

    fn urls(&self) -> u64 {
        u64::try_from(self.rpc_urls.len()).unwrap_or(u64::MAX)
    }

    /// Each contract once, in order.
    pub(crate) fn watched(&self, chain: ChainId) -> BTreeSet<AccountId> {
        self.contracts.iter().map(|address| AccountId { chain, address: *address }).collect()
    }

    pub(crate) const fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    pub(crate) const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

/// A key of a chain's table as it is written in the file.
pub(crate) fn key_of(chain: ChainId, key: &str) -> String {
    format!("chains.\"{chain}\".{key}")
}
