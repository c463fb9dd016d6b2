//! JSON-RPC of an EVM chain's nodes.

use alloy::{
    consensus::ReceiptEnvelope,
    primitives::{Address, B256, Bloom, Bytes, U64},
    rpc::{
        json_rpc::{RpcError as Json, RpcRecv},
        types as rpc_types,
    },
    transports::TransportError,
};
use protocol::{
    chain::ChainId,
    wire::{feed::CallOutcome, view::BlockRef},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::Header;
use crate::chain::{
    refusals,
    rpc::{Node, Nodes, RpcError, classify},
};

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHeader {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
    logs_bloom: Bloom,
    receipts_root: B256,
}

impl TryFrom<RawHeader> for Header {
    type Error = RpcError;

    fn try_from(raw: RawHeader) -> Result<Self, RpcError> {
        let bounded = |field, value: U64| match i64::try_from(value.to::<u64>()) {
            Ok(_) => Ok(value.to()),
            Err(_) => Err(RpcError::Inconsistent(format!("{field} {value} of a block is beyond 63 bits"))),
        };
        Ok(Self {
            number: bounded("the number", raw.number)?,
            hash: raw.hash,
            parent: raw.parent_hash,
            time: bounded("the time", raw.timestamp)?,
            bloom: raw.logs_bloom,
            receipts_root: raw.receipts_root,
            sealed: false,
        })
    }
}

/// A header as a node tells it, and whether all that it tells makes up the hash.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Value")]
struct ToldHeader {
    raw: RawHeader,
    sealed: bool,
}

impl TryFrom<Value> for ToldHeader {
    type Error = serde_json::Error;

    fn try_from(told: Value) -> Result<Self, serde_json::Error> {
        let raw = RawHeader::deserialize(&told)?;
        // Some chains leave out fields that Ethereum has, and hash otherwise: not their fault.
        let whole: Option<rpc_types::Header> = serde_json::from_value(told).ok();
        let sealed = whole.is_some_and(|whole| whole.hash == raw.hash && whole.inner.hash_slow() == raw.hash);
        Ok(Self { raw, sealed })
    }
}

impl TryFrom<ToldHeader> for Header {
    type Error = RpcError;

    fn try_from(told: ToldHeader) -> Result<Self, RpcError> {
        Ok(Self { sealed: told.sealed, ..Self::try_from(told.raw)? })
    }
}

/// A log as a node tells it, as far as it is read: the whole of it takes three times as long.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawLog {
    pub address: Address,
    pub topics: Vec<B256>,
    pub data: Bytes,
    pub block_hash: Option<B256>,
    pub block_number: Option<U64>,
    #[serde(default)]
    pub block_timestamp: Option<U64>,
    pub transaction_hash: Option<B256>,
    pub log_index: Option<U64>,
    #[serde(default)]
    pub removed: bool,
}

/// A header whose fields are proven by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed(pub Header);

/// A transaction's receipt as a node tells it.
pub(crate) type Receipt = rpc_types::TransactionReceipt<ReceiptEnvelope<rpc_types::Log>>;

/// A range of blocks as one node tells it in one answer.
#[derive(Debug)]
pub(crate) struct RawRange {
    pub logs: Vec<RawLog>,
    pub first: Header,
    pub last: Header,
    /// Position of the node.
    pub by: usize,
}

/// The nodes of one chain.
#[derive(Debug)]
pub(crate) struct Rpc(pub Nodes);

/// Gas that a read-only call may use.
const CALL_GAS: u64 = 30_000_000;
const BY_NUMBER: &str = "eth_getBlockByNumber";
const BY_HASH: &str = "eth_getBlockByHash";

/// Which chain a node serves.
pub(crate) async fn chain_of(nodes: &Nodes, node: &Node) -> Result<ChainId, RpcError> {
    let served: U64 = nodes.ask_of(node, "eth_chainId", ()).await?;
    Ok(ChainId::Eip155(served.to()))
}

fn is_at(header: Option<Header>, number: u64) -> Result<Option<Header>, RpcError> {
    match header {
        Some(h) if h.number != number => {
            Err(RpcError::Inconsistent(format!("asked for block {number}, answered block {}", h.number)))
        }
        header => Ok(header),
    }
}

fn is_of(header: Option<Header>, hash: B256) -> Result<Header, RpcError> {
    match header {
        Some(header) if header.hash == hash => Ok(header),
        Some(header) => Err(RpcError::Inconsistent(format!("asked for {hash}, answered {}", header.hash))),
        None => Err(RpcError::Unknown { method: BY_HASH, reason: format!("no block {hash}") }),
    }
}

/// Whether a node would not answer a method, or not so much, if it were asked again either.
fn is_refusal(method: &'static str, error: &TransportError) -> bool {
    match error {
        Json::ErrorResp(_) => !matches!(classify(method, error), RpcError::Busy { .. }),
        Json::DeserError { .. } | Json::NullResp => true,
        Json::Transport(kind) => {
            // 408 and 429 are for later.
            let status = kind.as_http_error().map(|http| http.status);
            status.is_some_and(|status| matches!(status, 400..=407 | 409..=428 | 430..=499 | 501))
        }
        _ => false,
    }
}

impl Rpc {
    /// The header of a block by number or tag, of one node; none where it does not know it.
    async fn header(&self, node: &Node, block: Value) -> Result<Option<Header>, RpcError> {
        let told: Option<ToldHeader> = self.0.ask_of(node, BY_NUMBER, (block, false)).await?;
        told.map(Header::try_from).transpose()
    }

    /// The newest block.
    pub async fn head(&self) -> Result<Header, RpcError> {
        let head = self.head_of(self.0.node().await?).await?;
        head.ok_or_else(|| RpcError::Unknown { method: BY_NUMBER, reason: "no latest block".to_owned() })
    }

    /// The newest block of one node.
    pub async fn head_of(&self, node: &Node) -> Result<Option<Header>, RpcError> {
        self.header(node, json!("latest")).await
    }

    /// The block of a tag, `safe` or `finalized`; none where the node knows no such tag.
    pub async fn tagged(&self, tag: &'static str) -> Result<Option<Header>, RpcError> {
        self.tagged_of(self.0.node().await?, tag).await
    }

    /// The block of a tag, of one node.
    pub async fn tagged_of(&self, node: &Node, tag: &'static str) -> Result<Option<Header>, RpcError> {
        match self.header(node, json!(tag)).await {
            Err(RpcError::Unknown { .. }) => Ok(None),
            answer => answer,
        }
    }

    /// The block at a height; none where the node has not come so far.
    pub async fn at(&self, number: u64) -> Result<Option<Header>, RpcError> {
        self.at_of(self.0.node().await?, number).await
    }

    /// The block at a height, of one node.
    pub async fn at_of(&self, node: &Node, number: u64) -> Result<Option<Header>, RpcError> {
        is_at(self.header(node, json!(U64::from(number))).await?, number)
    }

    /// The hash of the block at a height as each of the nodes has it, by position.
    pub async fn hashes_at(
        &self,
        number: u64,
        of: impl Fn(usize) -> bool,
    ) -> Result<Vec<(usize, B256)>, RpcError> {
        let of = &of;
        let ask = |node| async move {
            if of(self.0.position(node)) { self.at_of(node, number).await } else { Ok(None) }
        };
        let said = self.0.poll(ask).await?;
        Ok(said.into_iter().filter_map(|(at, header)| header.map(|header| (at, header.hash))).collect())
    }

    /// Whether a block is canonical and final to one who answers both by one batch: at its height, and not above what has the
    /// tag `finalized`, or else not above `depth` blocks below the newest.
    pub async fn has_settled(&self, block: BlockRef, depth: Option<u64>) -> Result<bool, RpcError> {
        let tag = if depth.is_none() { "finalized" } else { "latest" };
        let asked = [json!(U64::from(block.number)), json!(tag)].into_iter().map(|which| (which, false));
        let raws: Vec<Option<RawHeader>> = match self.batch(BY_NUMBER, asked).await {
            Err(RpcError::Unknown { .. }) => return Ok(false),
            answer => answer?,
        };
        let headers: Vec<Option<Header>> =
            raws.into_iter().map(|raw| raw.map(Header::try_from).transpose()).collect::<Result<_, _>>()?;
        Ok(match headers.as_slice() {
            [Some(at), Some(newest)] => {
                let settled = newest.number.checked_sub(depth.unwrap_or(0));
                at.block() == block && settled.is_some_and(|settled| settled >= block.number)
            }
            _ => false,
        })
    }

    /// The block of a hash.
    pub async fn by_hash(&self, hash: B256) -> Result<Header, RpcError> {
        let told: Option<ToldHeader> = self.0.ask(BY_HASH, (hash, false)).await?;
        is_of(told.map(Header::try_from).transpose()?, hash)
    }

    /// Makes sure of a header whose fields do not make up its hash: one node tells the same with all that does, or, as on
    /// chains that hash otherwise, none tells that and a quorum tells the same. Who tells other fields than are proven by
    /// the hash lied.
    ///
    /// # Errors
    /// It is not so.
    pub async fn is_told_alike(&self, header: &Header) -> Result<(), RpcError> {
        let hash = header.hash;
        let said = self
            .0
            .poll(|node| async move {
                let told: Option<ToldHeader> = self.0.ask_of(node, BY_HASH, (hash, false)).await?;
                told.map(Header::try_from).transpose()
            })
            .await?;
        let said: Vec<(usize, Header)> = said
            .into_iter()
            .filter_map(|(at, told)| told.filter(|told| told.hash == hash).map(|told| (at, told)))
            .collect();
        let sound = match said.iter().map(|(_, told)| *told).find(|told| told.sealed) {
            Some(right) => {
                for (at, _) in said.iter().filter(|(_, told)| !told.is(&right)) {
                    self.0
                        .misled(*at, format!("it tells other fields of block {hash} than make up its hash"));
                }
                header.is(&right)
            }
            None => said.iter().filter(|(_, told)| told.is(header)).count() >= self.0.quorum,
        };
        if sound {
            return Ok(());
        }
        Err(RpcError::Inconsistent(format!(
            "the fields of block {hash} do not make up its hash, and no {} nodes tell them alike",
            self.0.quorum
        )))
    }

    /// The blocks of hashes, by one batch.
    pub async fn by_hashes(&self, hashes: &[B256]) -> Result<Vec<Header>, RpcError> {
        let params = hashes.iter().map(|hash| (*hash, false));
        let raws: Vec<Option<RawHeader>> = self.batch(BY_HASH, params).await?;
        raws.into_iter()
            .zip(hashes)
            .map(|(raw, hash)| is_of(raw.map(Header::try_from).transpose()?, *hash))
            .collect()
    }

    /// The blocks at successive heights from `from` to `to`, by one batch, each with whether its hash is that of its
    /// fields.
    ///
    /// # Errors
    /// The node does not have one of them, or the fields of one are not those of its hash.
    pub async fn sealed(&self, from: u64, to: u64) -> Result<Vec<Sealed>, RpcError> {
        self.sealed_of(self.0.node().await?, from, to).await
    }

    /// The same of one node.
    ///
    /// # Errors
    /// As [`Rpc::sealed`].
    pub async fn sealed_of(&self, node: &Node, from: u64, to: u64) -> Result<Vec<Sealed>, RpcError> {
        let params = (from..=to).map(|number| (U64::from(number), false));
        let raws: Vec<Option<rpc_types::Header>> = self.batch_of(node, BY_NUMBER, params).await?;
        raws.into_iter()
            .zip(from..=to)
            .map(|(raw, number)| {
                let raw = raw.ok_or_else(|| {
                    RpcError::Inconsistent(format!("the node does not have block {number} yet"))
                })?;
                let fields = &raw.inner;
                if fields.hash_slow() != raw.hash {
                    return Err(RpcError::Inconsistent(format!(
                        "the fields of block {number} are not those of its hash {}",
                        raw.hash
                    )));
                }
                Header::try_from(RawHeader {
                    number: U64::from(fields.number),
                    hash: raw.hash,
                    parent_hash: fields.parent_hash,
                    timestamp: U64::from(fields.timestamp),
                    logs_bloom: fields.logs_bloom,
                    receipts_root: fields.receipts_root,
                })
                .and_then(|header| is_at(Some(header), number))
                .and_then(|header| header.ok_or_else(|| RpcError::Inconsistent("no block".to_owned())))
                .map(|header| Sealed(Header { sealed: true, ..header }))
            })
            .collect()
    }

    /// The same method with many parameters, by one batch to the node whose turn it is, in order.
    async fn batch<P: alloy::rpc::json_rpc::RpcSend, R: RpcRecv>(
        &self,
        method: &'static str,
        params: impl Iterator<Item = P>,
    ) -> Result<Vec<R>, RpcError> {
        self.batch_of(self.0.node().await?, method, params).await
    }

    async fn batch_of<P: alloy::rpc::json_rpc::RpcSend, R: RpcRecv>(
        &self,
        node: &Node,
        method: &'static str,
        params: impl Iterator<Item = P>,
    ) -> Result<Vec<R>, RpcError> {
        let work = async {
            let mut batch = node.client.new_batch();
            let waiting: Vec<_> =
                params.map(|params| batch.add_call::<P, R>(method, &params)).collect::<Result<_, _>>()?;
            if waiting.is_empty() {
                return Ok(Vec::new());
            }
            batch.send().await?;
            let mut answers = Vec::with_capacity(waiting.len());
            for answer in waiting {
                answers.push(answer.await?);
            }
            Ok(answers)
        };
        self.0.ask_with(node, method, work).await
    }

    /// Logs of the contracts in one block; all logs of the block where none are named.
    pub async fn logs_of(&self, block: B256, contracts: &[Address]) -> Result<Vec<RawLog>, RpcError> {
        self.logs_by(self.0.node().await?, block, contracts).await
    }

    /// The same of one node.
    pub async fn logs_by(
        &self,
        node: &Node,
        block: B256,
        contracts: &[Address],
    ) -> Result<Vec<RawLog>, RpcError> {
        let filter = if contracts.is_empty() {
            json!({"blockHash": block})
        } else {
            json!({"blockHash": block, "address": contracts})
        };
        self.0.ask_of(node, "eth_getLogs", (filter,)).await
    }

    /// Logs of the contracts in a range of blocks as one node tells them, and the headers of its ends in the same batch: a node
    /// that has not come so far would otherwise leave out the end of the range without a word.
    pub async fn range_of(
        &self,
        node: &Node,
        (from, to): (u64, u64),
        contracts: &[Address],
    ) -> Result<RawRange, RpcError> {
        let method = "eth_getLogs";
        self.0.right(node).await?;
        let filter = json!({"fromBlock": U64::from(from), "toBlock": U64::from(to), "address": contracts});
        let all = async {
            let mut batch = node.client.new_batch();
            let logs = batch.add_call::<_, Vec<RawLog>>(method, &(filter,))?;
            let first = batch.add_call::<_, Option<ToldHeader>>(BY_NUMBER, &(U64::from(from), false))?;
            let last = batch.add_call::<_, Option<ToldHeader>>(BY_NUMBER, &(U64::from(to), false))?;
            batch.send().await?;
            Ok((logs.await?, first.await?, last.await?))
        };
        let (logs, first, last) = self.0.ask_with(node, method, all).await?;
        let end = |told: Option<ToldHeader>, number| {
            is_at(told.map(Header::try_from).transpose()?, number)?
                .ok_or_else(|| RpcError::Inconsistent(format!("the node does not have block {number} yet")))
        };
        Ok(RawRange { logs, first: end(first, from)?, last: end(last, to)?, by: self.0.position(node) })
    }

    /// The receipts of a block by its hash; none where the node refuses the method, in whatever words, or tells receipts of
    /// kinds that are not known here.
    pub async fn receipts(&self, block: B256) -> Result<Option<Vec<Receipt>>, RpcError> {
        self.receipts_of(self.0.node().await?, block).await
    }

    /// The same of one node.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn receipts_of(&self, node: &Node, block: B256) -> Result<Option<Vec<Receipt>>, RpcError> {
        let method = "eth_getBlockReceipts";
        let request = node.client.request::<_, Option<Vec<Receipt>>>(method, (block,));
        let error = match self.0.within(method, request).await {
            Ok(Ok(receipts)) => return Ok(receipts),
            Ok(Err(error)) if is_refusal(method, &error) => return Ok(None),
            Ok(Err(error)) => classify(method, &error),
            Err(error) => error,
        };
        self.0.failed(node, method, &error);
        Err(error)
    }

    /// A read-only call at the newest block. Whatever it does, anybody may make it: no node is left for the sake of it that
    /// answers.
    ///
    /// # Errors
    /// The node does not answer, or says of something else than of the call that it went wrong.
    pub async fn call(&self, to: Address, data: &Bytes) -> Result<CallOutcome, RpcError> {
        let method = "eth_call";
        let node = self.0.node().await?;
        let params = (json!({"to": to, "input": data, "gas": U64::from(CALL_GAS)}), "latest");
        let answer =
            self.0.within(method, async { node.client.request::<_, Bytes>(method, params).await }).await;
        let error = match answer {
            Ok(Ok(data)) => return Ok(CallOutcome::Returned { data }),
            Ok(Err(Json::ErrorResp(payload))) if refusals::halted(payload.code, &payload.message) => {
                let data = payload.as_revert_data().unwrap_or_default();
                return Ok(CallOutcome::Reverted { data });
            }
            Ok(Err(error)) => match classify(method, &error) {
                RpcError::Busy { method, reason } => RpcError::Busy { method, reason },
                other if matches!(error, Json::ErrorResp(_)) => return Err(other),
                other => other,
            },
            Err(error) => error,
        };
        self.0.failed(node, method, &error);
        Err(error)
    }

    /// Read-only calls as of one block (EIP-1898), by one batch to one node.
    ///
    /// # Errors
    /// The node does not answer all of them; one that no longer has the block's state is one that does not.
    pub async fn calls_at(&self, calls: &[(Address, Bytes)], block: B256) -> Result<Vec<Bytes>, RpcError> {
        let params = calls.iter().map(|(to, data)| {
            let call = json!({"to": to, "input": data, "gas": U64::from(CALL_GAS)});
            (call, json!({"blockHash": block}))
        });
        self.batch("eth_call", params).await
    }
}
