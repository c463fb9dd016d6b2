//! A node of a cluster over JSON-RPC. Everything is read as of the newest confirmed slot.

use std::time::Duration;

use alloy::primitives::B256;
use anyhow::{Context, Result, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use protocol::{
    chain::{ChainId, Cluster},
    deal::DealState,
    solana::{self, Pubkey, state},
    wire::feed::RuleBook,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::Wallet;
use crate::client::chain::silent;

/// The longest that one call may take.
const CALL_WAIT: Duration = Duration::from_secs(30);
/// The longest answer in bytes: a member list of the largest size has 3.3 MB in base64.
const ANSWER_MAX: usize = 16 << 20;
/// Where programs read the time.
const CLOCK: &str = "SysvarC1ock11111111111111111111111111111111";
/// The clusters that everybody knows. The node of any other one is somebody's own.
const PUBLIC: [&str; 3] = [
    "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
    "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z",
    "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
];

/// A cluster behind a JSON-RPC address.
#[derive(Clone, Debug)]
pub struct Chain {
    url: String,
    client: reqwest::Client,
    /// The hash of its first block, as the node says.
    pub genesis: String,
    /// Its CAIP-2 id. A cluster that is none of the public ones is taken for the one that the program of this build is for.
    pub id: ChainId,
}

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// What it has.
    pub lamports: u64,
    /// The program that may change it.
    pub owner: Pubkey,
    /// What it holds.
    pub data: Vec<u8>,
    /// Whether it is a program.
    pub executable: bool,
}

/// The objection of a node.
#[derive(Clone, Debug, Deserialize)]
pub struct Objection {
    /// JSON-RPC's number.
    pub code: i64,
    /// In words.
    pub message: String,
    /// What it says beside.
    #[serde(default)]
    pub data: Value,
}

#[derive(Deserialize)]
struct Answer {
    result: Option<Value>,
    error: Option<Objection>,
}

#[derive(Deserialize)]
struct Of<T> {
    value: T,
}

#[derive(Deserialize)]
struct RawAccount {
    data: (String, String),
    executable: bool,
    lamports: u64,
    owner: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBlockhash {
    blockhash: String,
    last_valid_block_height: u64,
}

impl Chain {
    /// Connects and asks which cluster it is; none where whoever answers is no node of Solana.
    pub async fn connect(url: &str) -> Result<Option<Self>> {
        let client = reqwest::Client::builder().timeout(CALL_WAIT).build().context("the HTTP client")?;
        let id = solana::chain().context("the program of this build")?;
        let mut chain = Self { url: url.to_owned(), client, genesis: String::new(), id };
        let Ok(genesis) = chain.tried("getGenesisHash", json!([])).await? else { return Ok(None) };
        let Some(genesis) = genesis.as_str() else { return Ok(None) };
        let hash = bs58::decode(genesis).into_vec().ok().and_then(|hash| <[u8; 32]>::try_from(hash).ok());
        let Some(hash) = hash else { return Ok(None) };
        let told = ChainId::Solana(Cluster::of_genesis(hash));
        // A build for a public cluster is never taken for that of a node of somebody's own.
        let own = |name: &String| PUBLIC.contains(&name.as_str());
        if own(&told.to_string()) || own(&chain.id.to_string()) {
            chain.id = told;
        }
        genesis.clone_into(&mut chain.genesis);
        Ok(Some(chain))
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same chain with a key that signs and pays.
    pub fn signed_by(&self, key: &SigningKey) -> Wallet {
        Wallet::new(self.clone(), key.clone())
    }

    /// Asks; the inner error is the node's own objection.
    pub(super) async fn tried(&self, method: &str, params: Value) -> Result<Result<Value, Objection>> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        // Neither the URL, which may hold a key, nor more than a line of what a stranger answers is shown.
        let away = |error: reqwest::Error| silent(&self.url, error.without_url());
        let mut response = self.client.post(&self.url).json(&body).send().await.map_err(away)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(away)? {
            if bytes.len().saturating_add(part.len()) > ANSWER_MAX {
                bail!("{method}: the answer has more than {ANSWER_MAX} bytes");
            }
            bytes.extend_from_slice(&part);
        }
        let answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|error| anyhow!("{method}: the answer is no JSON-RPC ({status}): {error}"))?;
        Ok(match answer.error {
            Some(objection) => Err(objection),
            None => Ok(answer.result.unwrap_or_default()),
        })
    }

    pub(super) async fn ask<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T> {
        let result = self
            .tried(method, params)
            .await?
            .map_err(|objection| anyhow!("{method}: {} ({})", objection.message, objection.code))?;
        serde_json::from_value(result).with_context(|| format!("{method}: the answer cannot be read"))
    }

    /// What an account has, in lamports.
    pub async fn balance(&self, of: &Pubkey) -> Result<u64> {
        let params = json!([of.to_string(), { "commitment": "confirmed" }]);
        Ok(self.ask::<Of<u64>>("getBalance", params).await?.value)
    }

    /// The newest slot.
    pub async fn slot(&self) -> Result<u64> {
        self.ask("getSlot", json!([{ "commitment": "confirmed" }])).await
    }

    /// The newest slot that cannot be taken back.
    pub async fn final_slot(&self) -> Result<u64> {
        self.ask("getSlot", json!([{ "commitment": "finalized" }])).await
    }

    /// How many blocks there are below the newest one.
    pub(super) async fn block_height(&self) -> Result<u64> {
        self.ask("getBlockHeight", json!([{ "commitment": "confirmed" }])).await
    }

    /// Unix seconds as programs see them.
    pub async fn now(&self) -> Result<u64> {
        let clock = CLOCK.parse().map_err(|_| anyhow!("the clock's address"))?;
        let account = self.account(&clock).await?.ok_or_else(|| anyhow!("the node has no clock"))?;
        let seconds = account.data.get(32..40).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
        let seconds = seconds.map(i64::from_le_bytes).and_then(|seconds| u64::try_from(seconds).ok());
        seconds.ok_or_else(|| anyhow!("the node's clock cannot be read"))
    }

    /// An account; none where there is nothing at the address.
    pub async fn account(&self, at: &Pubkey) -> Result<Option<Account>> {
        let params = json!([at.to_string(), { "commitment": "confirmed", "encoding": "base64" }]);
        let Some(raw) = self.ask::<Of<Option<RawAccount>>>("getAccountInfo", params).await?.value else {
            return Ok(None);
        };
        let owner =
            raw.owner.parse().map_err(|_| anyhow!("getAccountInfo: `{:.60}` is no owner", raw.owner))?;
        let data = STANDARD.decode(&raw.data.0).context("getAccountInfo: the data")?;
        Ok(Some(Account { lamports: raw.lamports, owner, data, executable: raw.executable }))
    }

    /// An account of the program; none where there is none, or one of somebody else's.
    async fn own<T>(
        &self,
        at: &Pubkey,
        read: impl FnOnce(&[u8]) -> Result<T, solana::AccountError>,
    ) -> Result<Option<T>> {
        match self.account(at).await?.filter(|account| account.owner == solana::program()) {
            Some(account) => Ok(Some(read(&account.data).with_context(|| at.to_string())?)),
            None => Ok(None),
        }
    }

    /// A deal's account.
    pub async fn deal(&self, deal: B256) -> Result<Option<state::Deal>> {
        self.own(&solana::deal_address(deal), solana::read_deal).await
    }

    /// Where a deal stands. Of one that has no account nothing is known: it was never funded, or its account is closed.
    pub async fn deal_state(&self, deal: B256) -> Result<DealState> {
        Ok(self.deal(deal).await?.map_or(DealState::EMPTY, |account| solana::deal_state(&account)))
    }

    /// A jury of a deal's case, by how many it had before.
    pub async fn jury(&self, deal: B256, ordinal: u8) -> Result<Option<state::Jury>> {
        self.own(&solana::jury_address(deal, ordinal), solana::read_jury).await
    }

    /// A pool's rules, and how many lists it has.
    pub async fn pool(&self, pool: B256) -> Result<Option<(RuleBook, u32)>> {
        self.own(&solana::pool_address(pool), solana::read_pool).await
    }

    /// From when a list of a pool counts, in Unix seconds.
    pub async fn list_effective_at(&self, pool: B256, index: u32) -> Result<u64> {
        let read = self.own(&solana::list_address(pool, index), solana::list_head).await?;
        let head = read.ok_or_else(|| anyhow!("pool {pool} has no list {index}"))?;
        Ok(head.effective_at)
    }

    /// The slot of a transaction; none where no block that the node knows holds it.
    pub async fn slot_of(&self, signature: &[u8; 64]) -> Result<Option<u64>> {
        Ok(self.status(signature).await?.map(|status| status.slot))
    }

    pub(super) async fn status(&self, signature: &[u8; 64]) -> Result<Option<Status>> {
        let name = bs58::encode(signature).into_string();
        let params = json!([[name], { "searchTransactionHistory": true }]);
        let read: Of<Vec<Option<Status>>> = self.ask("getSignatureStatuses", params).await?;
        Ok(read.value.into_iter().next().flatten())
    }

    /// A blockhash to sign with, and the height of the last block that may hold what is signed with it.
    pub(super) async fn blockhash(&self) -> Result<([u8; 32], u64)> {
        let params = json!([{ "commitment": "confirmed" }]);
        let read: Of<RawBlockhash> = self.ask("getLatestBlockhash", params).await?;
        let hash = bs58::decode(&read.value.blockhash).into_vec().ok();
        let hash = hash.and_then(|hash| <[u8; 32]>::try_from(hash).ok());
        let hash = hash.ok_or_else(|| anyhow!("getLatestBlockhash: `{:.60}`", read.value.blockhash))?;
        Ok((hash, read.value.last_valid_block_height))
    }
}

/// Where a transaction is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    pub slot: u64,
    pub err: Option<Value>,
    pub confirmation_status: Option<String>,
}

impl Status {
    /// Whether most of the stake voted for its block, or it is final.
    pub fn is_confirmed(&self) -> bool {
        matches!(self.confirmation_status.as_deref(), Some("confirmed" | "finalized"))
    }
}
