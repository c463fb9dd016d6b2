//! JSON-RPC of an EVM chain's nodes.

use alloy::{
    primitives::{Address, B256, Bloom, Bytes, U64},
    rpc::{json_rpc::RpcError as Json, types::Log},
};
use protocol::{chain::ChainId, wire::feed::CallOutcome};
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::Header;
use crate::chain::rpc::{Node, Nodes, RpcError, classify};

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHeader {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
    logs_bloom: Bloom,
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
        })
    }
}

/// The nodes of one chain.
#[derive(Debug)]
pub(crate) struct Rpc(pub Nodes);

/// Gas that a read-only call may use.
const CALL_GAS: u64 = 30_000_000;

/// Which chain a node serves.
pub(crate) async fn chain_of(nodes: &Nodes, node: &Node) -> Result<ChainId, RpcError> {
    let served: U64 = nodes.ask_of(node, "eth_chainId", ()).await?;
    Ok(ChainId::Eip155(served.to()))
}

impl Rpc {
    /// The header of a block by number or tag; none where the node does not know it.
    async fn header(&self, block: Value) -> Result<Option<Header>, RpcError> {
        let raw: Option<RawHeader> = self.0.ask("eth_getBlockByNumber", (block, false)).await?;
        raw.map(Header::try_from).transpose()
    }

    /// The newest block.
    pub async fn head(&self) -> Result<Header, RpcError> {
        self.header(json!("latest")).await?.ok_or_else(|| RpcError::Unknown {
            method: "eth_getBlockByNumber",
            reason: "no latest block".to_owned(),
        })
    }

    /// The block of a tag, `safe` or `finalized`; none where the node knows no such tag.
    pub async fn tagged(&self, tag: &'static str) -> Result<Option<Header>, RpcError> {
        match self.header(json!(tag)).await {
            Err(RpcError::Unknown { .. }) => Ok(None),
            answer => answer,
        }
    }

    /// The block at a height; none where the node has not come so far.
    pub async fn at(&self, number: u64) -> Result<Option<Header>, RpcError> {
        let header = self.header(json!(U64::from(number))).await?;
        match header {
            Some(h) if h.number != number => {
                Err(RpcError::Inconsistent(format!("asked for block {number}, answered block {}", h.number)))
            }
            header => Ok(header),
        }
    }

    /// The block of a hash.
    pub async fn by_hash(&self, hash: B256) -> Result<Header, RpcError> {
        let method = "eth_getBlockByHash";
        let raw: Option<RawHeader> = self.0.ask(method, (hash, false)).await?;
        match raw.map(Header::try_from).transpose()? {
            Some(header) if header.hash == hash => Ok(header),
            Some(header) => {
                Err(RpcError::Inconsistent(format!("asked for {hash}, answered {}", header.hash)))
            }
            None => Err(RpcError::Unknown { method, reason: format!("no block {hash}") }),
        }
    }

    /// Logs of the contracts in one block; all logs of the block where none are named.
    pub async fn logs_of(&self, block: B256, contracts: &[Address]) -> Result<Vec<Log>, RpcError> {
        let filter = if contracts.is_empty() {
            json!({"blockHash": block})
        } else {
            json!({"blockHash": block, "address": contracts})
        };
        self.0.ask("eth_getLogs", (filter,)).await
    }

    /// Logs of the contracts in a range of blocks, and the header of its last block by the same node in the same batch:
    /// a node that has not come so far would otherwise leave out the end of the range without a word.
    pub async fn logs_between(
        &self,
        from: u64,
        to: u64,
        contracts: &[Address],
    ) -> Result<(Vec<Log>, Header), RpcError> {
        let method = "eth_getLogs";
        let node = self.0.node().await?;
        let filter = json!({"fromBlock": U64::from(from), "toBlock": U64::from(to), "address": contracts});
        let both = async {
            let mut batch = node.client.new_batch();
            let logs = batch.add_call::<_, Vec<Log>>(method, &(filter,))?;
            let last =
                batch.add_call::<_, Option<RawHeader>>("eth_getBlockByNumber", &(U64::from(to), false))?;
            batch.send().await?;
            Ok((logs.await?, last.await?))
        };
        let answer = self.0.within(method, both).await;
        let answer = answer.and_then(|answer| answer.map_err(|error| classify(method, &error)));
        let (logs, last) = answer.inspect_err(|error| self.0.failed(node, method, error))?;
        match last.map(Header::try_from).transpose()? {
            Some(last) if last.number == to => Ok((logs, last)),
            _ => Err(RpcError::Inconsistent(format!("the node does not have block {to} yet"))),
        }
    }

    /// A read-only call at the newest block.
    pub async fn call(&self, to: Address, data: &Bytes) -> Result<CallOutcome, RpcError> {
        let method = "eth_call";
        let node = self.0.node().await?;
        let params = (json!({"to": to, "input": data, "gas": U64::from(CALL_GAS)}), "latest");
        let answer =
            self.0.within(method, async { node.client.request::<_, Bytes>(method, params).await }).await;
        let error = match answer {
            Ok(Ok(data)) => return Ok(CallOutcome::Returned { data }),
            Ok(Err(Json::ErrorResp(payload)))
                if payload.code == 3 || payload.message.to_lowercase().contains("revert") =>
            {
                let data = payload.as_revert_data().unwrap_or_default();
                return Ok(CallOutcome::Reverted { data });
            }
            Ok(Err(error)) => classify(method, &error),
            Err(error) => error,
        };
        self.0.failed(node, method, &error);
        Err(error)
    }
}
