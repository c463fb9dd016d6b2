//! What the relayer asks of a Solana node, over JSON-RPC. An answer is a fact about one moment, never a decision.

use alloy::{
    rpc::{client::RpcClient, json_rpc::RpcRecv},
    transports::TransportError,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use protocol::{
    chain::{ChainId, Cluster},
    solana::{self, Pubkey},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    config::Config,
    error::Error,
    transactions::{
        ChainError,
        nodes::{Identity, Nodes, One},
        strangers::Strangers,
    },
};

/// The most accounts of one call.
const ACCOUNTS_MAX: usize = 100;
/// The reference of clusters on somebody's own machine, whose first block is another one each time.
const LOCAL: &str = "solana:EarnestLoca1Net11111111111111111";

/// How settled what is asked for must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commitment {
    /// Most of the stake voted for it.
    Confirmed,
    /// It cannot be taken back.
    Finalized,
}

impl Commitment {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Finalized => "finalized",
        }
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The program that may change it.
    pub owner: Pubkey,
    /// What it has.
    pub lamports: u64,
    /// What it holds, or the part of that which was asked for.
    pub data: Vec<u8>,
    /// Whether it is a program.
    pub executable: bool,
}

/// Accounts at one moment.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// As of this slot.
    pub slot: u64,
    /// In the order in which they were asked for; none where there is no such account.
    pub accounts: Vec<Option<Account>>,
}

/// A recent blockhash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blockhash {
    /// The hash.
    pub hash: [u8; 32],
    /// The last block that may hold a transaction signed with it, by height.
    pub last_valid_height: u64,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The slot whose block holds it.
    pub slot: u64,
    /// Whether it went through.
    pub success: bool,
    /// None where the block is only processed.
    pub commitment: Option<Commitment>,
}

impl Status {
    /// Whether it went through, and that is final.
    pub fn is_done(&self) -> bool {
        self.success && self.commitment == Some(Commitment::Finalized)
    }
}

/// What a node knows about a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// As of this slot of the node.
    pub slot: u64,
    /// Where it is; none where no block that the node knows holds it.
    pub status: Option<Status>,
}

/// What a transaction would do now.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// Why it would fail, as the runtime says it.
    pub error: Option<Value>,
    /// Compute units that it takes.
    pub units: u64,
}

#[derive(Debug, Deserialize)]
struct At<T> {
    context: Context,
    value: T,
}

#[derive(Debug, Deserialize)]
struct Context {
    slot: u64,
}

#[derive(Debug, Deserialize)]
struct RawAccount {
    data: (String, String),
    executable: bool,
    lamports: u64,
    owner: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBlockhash {
    blockhash: String,
    last_valid_block_height: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStatus {
    slot: u64,
    err: Option<Value>,
    confirmation_status: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSimulated {
    err: Option<Value>,
    units_consumed: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFee {
    prioritization_fee: u64,
}

/// A cluster, through its nodes.
#[derive(Clone, Debug)]
pub struct Node {
    client: RpcClient,
    /// All of them, where there are several.
    several: Option<Nodes>,
    strangers: Strangers,
}

/// A node's place and its newest slot; none where it does not answer.
async fn newest_of(one: One) -> Option<(usize, u64)> {
    let params = json!([{ "commitment": "confirmed" }]);
    let slot: Result<u64, TransportError> = one.client().request("getSlot", params).await;
    Some((one.at(), slot.ok()?))
}

fn key(text: &str) -> Option<[u8; 32]> {
    bs58::decode(text).into_vec().ok()?.try_into().ok()
}

fn unreadable(method: &'static str, what: impl std::fmt::Display) -> ChainError {
    ChainError::Rpc { method, reason: format!("the answer cannot be read: {what}") }
}

impl Node {
    /// Prepares to talk to the nodes of the configuration; nothing is sent yet.
    ///
    /// # Errors
    /// A URL is not http or https, or the program of this build is for another chain.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Config { key: "chain", reason };
        let served = solana::chain().map_err(|error| refuse(error.to_string()))?;
        if served != config.chain {
            let chain = config.chain;
            return Err(refuse(format!("{chain} is not {served}, the cluster of the program of this build")));
        }
        // Of a cluster on somebody's own machine nobody knows the first block.
        let named = (config.chain.to_string() != LOCAL).then_some(Identity {
            chain: config.chain,
            method: "getGenesisHash",
            read: |genesis| Some(ChainId::Solana(Cluster::of_genesis(key(genesis)?))),
        });
        let strangers = Strangers::default();
        let nodes = Nodes::new(config, named, &strangers)?;
        Ok(Self { client: nodes.client(), several: nodes.are_several().then_some(nodes), strangers })
    }

    /// Whether there is more than one.
    pub const fn has_several(&self) -> bool {
        self.several.is_some()
    }

    /// Where there are several, each that does not rest by itself, with its host; and how many are more than half of all.
    pub fn each(&self) -> (Vec<(String, Self)>, usize) {
        let Some(nodes) = &self.several else { return (Vec::new(), 1) };
        let (awake, needed) = nodes.each();
        let alone = |one: One| {
            let strangers = self.strangers.clone();
            (one.host(), Self { client: one.client(), several: None, strangers })
        };
        (awake.into_iter().map(alone).collect(), needed)
    }

    /// Which of its nodes are none of this cluster.
    pub const fn strangers(&self) -> &Strangers {
        &self.strangers
    }

    async fn call<T: RpcRecv>(&self, method: &'static str, params: Value) -> Result<T, ChainError> {
        self.client.request(method, params).await.map_err(|error: TransportError| ChainError::Rpc {
            method,
            reason: error.to_string().chars().take(500).collect(),
        })
    }

    /// Asks every node for its newest slot, and the next one first from now on that has a newer one than this, which the present one
    /// told; whether there is one.
    pub async fn go_on(&self, newest: u64) -> bool {
        let Some(nodes) = &self.several else { return false };
        let (awake, _) = nodes.each();
        nodes.go_on(awake.into_iter().map(newest_of).collect(), newest).await
    }

    /// Whether the program is on the cluster.
    ///
    /// # Errors
    /// It is not, or no node answers.
    pub async fn check(&self) -> Result<(), ChainError> {
        let program = solana::program();
        let there = self.accounts(Commitment::Confirmed, &[program], Some(0), 0).await?;
        match there.accounts.first() {
            Some(Some(account)) if account.executable => Ok(()),
            _ => Err(ChainError::Lacks(format!("program {program}"))),
        }
    }

    /// Height of the newest final block.
    ///
    /// # Errors
    /// The node does not answer; so with everything below.
    pub async fn final_height(&self) -> Result<u64, ChainError> {
        self.call("getBlockHeight", json!([{ "commitment": "finalized" }])).await
    }

    /// Reads accounts as of one slot, `least_slot` or a later one; of their data only the first `length` bytes where that is
    /// given. At most 100.
    ///
    /// # Errors
    /// As [`Node::final_height`], or the node is behind `least_slot`.
    pub async fn accounts(
        &self,
        commitment: Commitment,
        keys: &[Pubkey],
        length: Option<usize>,
        least_slot: u64,
    ) -> Result<Accounts, ChainError> {
        const METHOD: &str = "getMultipleAccounts";
        let keys: Vec<String> = keys.iter().take(ACCOUNTS_MAX).map(Pubkey::to_string).collect();
        let mut config = json!({
            "encoding": "base64",
            "commitment": commitment.as_str(),
            "minContextSlot": least_slot,
        });
        if let (Some(length), Some(config)) = (length, config.as_object_mut()) {
            config.insert("dataSlice".to_owned(), json!({ "offset": 0, "length": length }));
        }
        let read: At<Vec<Option<RawAccount>>> = self.call(METHOD, json!([keys, config])).await?;
        if read.value.len() != keys.len() {
            return Err(unreadable(METHOD, format!("{} accounts for {}", read.value.len(), keys.len())));
        }
        if read.context.slot < least_slot {
            return Err(unreadable(METHOD, format!("slot {} is before {least_slot}", read.context.slot)));
        }
        let account = |raw: RawAccount| {
            let owner = key(&raw.owner).ok_or_else(|| unreadable(METHOD, &raw.owner))?;
            let data = STANDARD.decode(&raw.data.0).map_err(|error| unreadable(METHOD, error))?;
            let owner = Pubkey::new_from_array(owner);
            Ok(Account { owner, lamports: raw.lamports, data, executable: raw.executable })
        };
        let accounts = read.value.into_iter().map(|raw| raw.map(account).transpose());
        Ok(Accounts { slot: read.context.slot, accounts: accounts.collect::<Result<_, ChainError>>()? })
    }

    /// A blockhash to sign with.
    ///
    /// # Errors
    /// As [`Node::final_height`].
    pub async fn blockhash(&self) -> Result<Blockhash, ChainError> {
        const METHOD: &str = "getLatestBlockhash";
        let read: At<RawBlockhash> = self.call(METHOD, json!([{ "commitment": "confirmed" }])).await?;
        let hash = key(&read.value.blockhash).ok_or_else(|| unreadable(METHOD, &read.value.blockhash))?;
        Ok(Blockhash { hash, last_valid_height: read.value.last_valid_block_height })
    }

    /// Where a transaction is, however long ago that was.
    ///
    /// # Errors
    /// As [`Node::final_height`].
    pub async fn status(&self, signature: &str) -> Result<Known, ChainError> {
        let (slot, statuses) = self.statuses(&[signature.to_owned()]).await?;
        Ok(Known { slot, status: statuses.into_iter().next().flatten() })
    }

    /// Where transactions are, however long ago that was, as of a slot of the node; at most 256.
    ///
    /// # Errors
    /// As [`Node::final_height`].
    pub async fn statuses(&self, signatures: &[String]) -> Result<(u64, Vec<Option<Status>>), ChainError> {
        const METHOD: &str = "getSignatureStatuses";
        let params = json!([signatures, { "searchTransactionHistory": true }]);
        let read: At<Vec<Option<RawStatus>>> = self.call(METHOD, params).await?;
        if read.value.len() != signatures.len() {
            return Err(unreadable(
                METHOD,
                format!("{} statuses for {}", read.value.len(), signatures.len()),
            ));
        }
        let statuses = read.value.into_iter().map(|raw| {
            raw.map(|raw| Status {
                slot: raw.slot,
                success: raw.err.is_none(),
                commitment: match raw.confirmation_status.as_deref() {
                    Some("finalized") => Some(Commitment::Finalized),
                    Some("confirmed") => Some(Commitment::Confirmed),
                    _ => None,
                },
            })
        });
        Ok((read.context.slot, statuses.collect()))
    }

    /// What a transaction would do as of `least_slot` or a later one, whatever its blockhash.
    ///
    /// # Errors
    /// As [`Node::final_height`], or the node is behind `least_slot`.
    pub async fn simulate(
        &self,
        raw: &[u8],
        commitment: Commitment,
        least_slot: u64,
    ) -> Result<Simulated, ChainError> {
        const METHOD: &str = "simulateTransaction";
        let config = json!({
            "encoding": "base64",
            "commitment": commitment.as_str(),
            "sigVerify": false,
            "replaceRecentBlockhash": true,
            "minContextSlot": least_slot,
        });
        let params = json!([STANDARD.encode(raw), config]);
        let read: At<RawSimulated> = self.call(METHOD, params).await?;
        if read.context.slot < least_slot {
            return Err(unreadable(METHOD, format!("slot {} is before {least_slot}", read.context.slot)));
        }
        Ok(Simulated { error: read.value.err, units: read.value.units_consumed.unwrap_or(0) })
    }

    /// What transactions that write these accounts lately paid for priority, in millionths of a lamport a compute unit.
    ///
    /// # Errors
    /// As [`Node::final_height`].
    pub async fn recent_prices(&self, written: &[Pubkey]) -> Result<Vec<u64>, ChainError> {
        let keys: Vec<String> = written.iter().take(ACCOUNTS_MAX).map(Pubkey::to_string).collect();
        let fees: Vec<RawFee> = self.call("getRecentPrioritizationFees", json!([keys])).await?;
        Ok(fees.into_iter().map(|fee| fee.prioritization_fee).collect())
    }

    /// Hands a signed transaction to the network, once.
    ///
    /// # Errors
    /// The node's words. They are for the log alone: a transaction that a node refused may still be in a block.
    pub async fn send(&self, raw: &[u8]) -> Result<(), ChainError> {
        let config = json!({
            "encoding": "base64",
            "skipPreflight": false,
            "preflightCommitment": "confirmed",
            "maxRetries": 0,
        });
        let params = json!([STANDARD.encode(raw), config]);
        self.call::<String>("sendTransaction", params).await.map(drop)
    }
}
