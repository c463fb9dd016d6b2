//! JSON-RPC of a Solana cluster's nodes. The few methods that are needed, over the same client as every chain's: Solana's
//! own client crates would bring some hundred others along for them.

use alloy::primitives::B256;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use protocol::{
    chain::{Address, TransactionId},
    solana::{from_key, program},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::read::{Told, Transaction};
use crate::chain::{
    quorum,
    rpc::{Node, Nodes, RpcError},
    store::Block,
};

/// How sure the cluster must be of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commitment {
    Confirmed,
    Finalized,
}

impl Commitment {
    const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Finalized => "finalized",
        }
    }
}

/// A transaction that names the program, as a list of them has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub signature: TransactionId,
    pub slot: u64,
    pub failed: bool,
}

#[derive(Debug, Deserialize)]
struct RawListed {
    signature: String,
    slot: u64,
    err: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBlock {
    blockhash: String,
    previous_blockhash: String,
    block_time: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct RawContext {
    context: RawSlot,
    value: Option<RawAccount>,
}

#[derive(Debug, Deserialize)]
struct RawSlot {
    slot: u64,
}

#[derive(Debug, Deserialize)]
struct RawAccount {
    owner: String,
    /// With the name of its encoding.
    data: (String, String),
}

/// The hash of the first block that a node serves.
pub(crate) async fn genesis_of(nodes: &Nodes, node: &Node) -> Result<B256, RpcError> {
    hash(&nodes.ask_of::<_, String>(node, "getGenesisHash", ()).await?)
}

fn hash(text: &str) -> Result<B256, RpcError> {
    let read = text.parse::<Address>().ok().and_then(|read| read.solana());
    read.map(B256::new)
        .ok_or_else(|| RpcError::Inconsistent(format!("`{text:.100}` is no hash of 32 bytes in base58")))
}

/// Slots are stored as signed numbers.
fn bounded(slot: u64) -> Result<u64, RpcError> {
    match i64::try_from(slot) {
        Ok(_) => Ok(slot),
        Err(_) => Err(RpcError::Inconsistent(format!("the slot {slot} is beyond 63 bits"))),
    }
}

/// A block, of which nothing is asked but what is in it.
#[derive(Debug, Deserialize)]
struct RawSignatures {
    signatures: Vec<String>,
}

/// The nodes of one cluster.
#[derive(Debug)]
pub(crate) struct Rpc(pub Nodes);

impl Rpc {
    /// The hash of the chain's first block.
    pub async fn genesis(&self) -> Result<B256, RpcError> {
        let node = self.0.node().await?;
        genesis_of(&self.0, node).await
    }

    /// The newest slot that a quorum of the nodes has come to and says is final; none where too few say so.
    pub async fn finalized(&self) -> Result<Option<u64>, RpcError> {
        let config = json!({"commitment": Commitment::Finalized.name()});
        let config = &config;
        let ask = |node| async move { bounded(self.0.ask_of(node, "getSlot", (config.clone(),)).await?) };
        let said: Vec<u64> = self.0.poll(ask).await?.into_iter().map(|(_, slot)| slot).collect();
        Ok(quorum::height(&said, self.0.quorum))
    }

    /// The newest slot.
    pub async fn slot(&self, commitment: Commitment) -> Result<u64, RpcError> {
        bounded(self.0.ask("getSlot", (json!({"commitment": commitment.name()}),)).await?)
    }

    /// The confirmed block of a slot; none where there is none, or the node does not have it.
    pub async fn block(&self, slot: u64) -> Result<Option<Block>, RpcError> {
        self.block_of(self.0.node().await?, slot, Commitment::Confirmed).await
    }

    /// The final block of a slot as a quorum of the nodes tells it alike; none where as many have none.
    pub async fn agreed_block(&self, slot: u64) -> Result<Option<Block>, RpcError> {
        let ask = |node| self.block_of(node, slot, Commitment::Finalized);
        self.0.alike(&format!("the block of slot {slot}"), ask).await
    }

    async fn block_of(
        &self,
        node: &Node,
        slot: u64,
        commitment: Commitment,
    ) -> Result<Option<Block>, RpcError> {
        let config = json!({
            "commitment": commitment.name(), "encoding": "json", "transactionDetails": "none", "rewards": false,
            "maxSupportedTransactionVersion": 0,
        });
        let raw = match self.0.ask_of::<_, Option<RawBlock>>(node, "getBlock", (slot, config)).await {
            Err(RpcError::Unknown { .. }) | Ok(None) => return Ok(None),
            Ok(Some(raw)) => raw,
            Err(error) => return Err(error),
        };
        let time = raw.block_time.and_then(|time| u64::try_from(time).ok()).ok_or_else(|| {
            RpcError::Inconsistent(format!("the node tells no time of the block in slot {slot}"))
        })?;
        Ok(Some(Block {
            number: slot,
            hash: hash(&raw.blockhash)?,
            parent: hash(&raw.previous_blockhash)?,
            time,
        }))
    }

    /// Transactions that name an account as one node lists them, newest first: those before `before` and after `until`, at most
    /// `limit` of them. It must have come to the slot `least`.
    pub async fn signatures(
        &self,
        node: &Node,
        account: Address,
        commitment: Commitment,
        (before, until): (Option<TransactionId>, Option<TransactionId>),
        (limit, least): (u64, u64),
    ) -> Result<Vec<Listed>, RpcError> {
        let mut config = json!({"commitment": commitment.name(), "limit": limit, "minContextSlot": least});
        for (key, value) in [("before", before), ("until", until)] {
            if let (Some(value), Some(fields)) = (value, config.as_object_mut()) {
                fields.insert(key.to_owned(), json!(value));
            }
        }
        let params = (account.to_string(), config);
        let raw: Vec<RawListed> = self.0.ask_of(node, "getSignaturesForAddress", params).await?;
        raw.into_iter()
            .map(|raw| {
                let read = raw.signature.parse::<TransactionId>().ok().filter(|id| id.solana().is_some());
                let signature = read.ok_or_else(|| {
                    RpcError::Inconsistent(format!("`{:.100}` is no signature", raw.signature))
                })?;
                Ok(Listed {
                    signature,
                    slot: bounded(raw.slot)?,
                    failed: raw.err.is_some_and(|err| !err.is_null()),
                })
            })
            .collect()
    }

    /// A confirmed transaction; none where the node does not have it.
    pub async fn transaction(&self, signature: TransactionId) -> Result<Option<Transaction>, RpcError> {
        self.transaction_of(self.0.node().await?, signature, Commitment::Confirmed).await
    }

    async fn transaction_of(
        &self,
        node: &Node,
        signature: TransactionId,
        commitment: Commitment,
    ) -> Result<Option<Transaction>, RpcError> {
        let config = json!({
            "commitment": commitment.name(), "encoding": "json", "maxSupportedTransactionVersion": 0,
        });
        self.0.ask_of(node, "getTransaction", (signature.to_string(), config)).await
    }

    /// What the program told in a final transaction of this slot, as a quorum of the nodes tells it alike; none where as many say
    /// that it is not in there: they have it in another slot, or its block, which does not hold it.
    ///
    /// # Errors
    /// They tell different things, or too few keep it or its block: who has let go of both does not say that it was not there.
    pub async fn agreed_transaction(&self, listed: &Listed) -> Result<Option<Vec<Told>>, RpcError> {
        let (signature, slot) = (listed.signature, listed.slot);
        let ask = |node| async move {
            let told = match self.transaction_of(node, signature, Commitment::Finalized).await {
                Err(RpcError::Unknown { .. }) => None,
                told => told?,
            };
            if let Some(transaction) = told {
                // Others may not have come to the other slot yet: of both it is true that it is not in this one.
                let here = transaction.slot == slot;
                return Ok(Some(if here { Some(transaction.told()?) } else { None }));
            }
            // Another machine may have answered, which had not come so far: its block says whether it is there.
            let signatures = self.signatures_of(node, slot).await?;
            Ok::<_, RpcError>(signatures.filter(|all| !all.contains(&signature)).map(|_| None))
        };
        let told = self.0.alike(&format!("what {signature} did in slot {slot}"), ask).await?;
        told.ok_or_else(|| RpcError::Inconsistent(format!("too few nodes keep {signature} or its block")))
    }

    /// The transactions in a final block; none where the node does not have it.
    async fn signatures_of(&self, node: &Node, slot: u64) -> Result<Option<Vec<TransactionId>>, RpcError> {
        let config = json!({
            "commitment": Commitment::Finalized.name(), "encoding": "json", "transactionDetails": "signatures",
            "rewards": false, "maxSupportedTransactionVersion": 0,
        });
        let raw = match self.0.ask_of::<_, Option<RawSignatures>>(node, "getBlock", (slot, config)).await {
            Err(RpcError::Unknown { .. }) => None,
            raw => raw?,
        };
        let Some(raw) = raw else { return Ok(None) };
        let all: Result<Vec<TransactionId>, _> = raw.signatures.iter().map(|one| one.parse()).collect();
        let read =
            all.map_err(|_| RpcError::Inconsistent(format!("no signature in the block of slot {slot}")));
        read.map(Some)
    }

    /// Whether a quorum of the nodes have a transaction as final, in its slot, and as one that did not fail.
    pub async fn is_final(&self, listed: &Listed) -> bool {
        let mut have = 0_usize;
        for node in self.0.in_turn() {
            if self.0.right(node).await.is_err() {
                continue;
            }
            let told = self.transaction_of(node, listed.signature, Commitment::Finalized).await;
            let has =
                told.is_ok_and(|told| told.is_some_and(|told| told.slot == listed.slot && !told.failed()));
            have = have.saturating_add(usize::from(has));
            if have >= self.0.quorum {
                return true;
            }
        }
        false
    }

    /// The data of a confirmed account of the program; none where there is none.
    pub async fn account_data(&self, address: Address) -> Result<Option<Vec<u8>>, RpcError> {
        Ok(self.account(address, Commitment::Confirmed, 0).await?.1)
    }

    /// The data of a final account of the program, none where there is none, and the slot as of which that is so: `least` or
    /// later.
    pub async fn final_account(
        &self,
        address: Address,
        least: u64,
    ) -> Result<(u64, Option<Vec<u8>>), RpcError> {
        self.account(address, Commitment::Finalized, least).await
    }

    async fn account(
        &self,
        address: Address,
        commitment: Commitment,
        least: u64,
    ) -> Result<(u64, Option<Vec<u8>>), RpcError> {
        let config = json!({"commitment": commitment.name(), "encoding": "base64", "minContextSlot": least});
        let raw: RawContext = self.0.ask("getAccountInfo", (address.to_string(), config)).await?;
        let program = from_key(&program()).to_string();
        let slot = bounded(raw.context.slot)?;
        let Some(account) = raw.value.filter(|account| account.owner == program) else {
            return Ok((slot, None));
        };
        let data = BASE64.decode(&account.data.0);
        let damaged = |_| RpcError::Inconsistent(format!("the data of {address} is no base64"));
        data.map(|data| (slot, Some(data))).map_err(damaged)
    }
}
