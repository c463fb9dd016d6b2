//! JSON-RPC of a chain's nodes: limits, kinds of failure, and the turn from a failing node to the next.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, Bloom, Bytes, U64},
    rpc::{
        client::RpcClient,
        json_rpc::{RpcError as Json, RpcRecv, RpcSend},
        types::Log,
    },
    transports::TransportError,
};
use protocol::{chain::ChainId, wire::feed::CallOutcome};
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::Header;

/// Why a node gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// It did not answer in time, or not at all, or with an error of its own.
    #[error("{method} failed: {reason}")]
    Failed {
        /// The method.
        method: &'static str,
        /// In the node's or the transport's words, cut to 300 characters.
        reason: String,
    },
    /// It refuses to answer so much at once.
    #[error("{method} was refused as too large: {reason}")]
    TooLarge {
        /// The method.
        method: &'static str,
        /// In the node's words.
        reason: String,
    },
    /// It does not know the block, the tag or the method.
    #[error("{method} is not answered: {reason}")]
    Unknown {
        /// The method.
        method: &'static str,
        /// In the node's words.
        reason: String,
    },
    /// Its answers contradict one another or the question.
    #[error("the node contradicts itself: {0}")]
    Inconsistent(String),
    /// It serves another chain.
    #[error("the node at {node} serves {served}, not {wanted}")]
    WrongChain {
        /// Host of the node.
        node: String,
        /// The chain it serves.
        served: String,
        /// The chain that is wanted.
        wanted: String,
    },
}

/// How a failure is to be met, from its code and words.
fn classify(method: &'static str, error: &TransportError) -> RpcError {
    let cut = |text: &str| text.chars().take(300).collect::<String>();
    match error {
        Json::ErrorResp(payload) => {
            let reason = cut(&format!("{} ({})", payload.message, payload.code));
            let words = payload.message.to_lowercase();
            if too_large(payload.code, &words) {
                RpcError::TooLarge { method, reason }
            } else if matches!(payload.code, -32601 | -32602 | -39001) || words.contains("not found") {
                RpcError::Unknown { method, reason }
            } else {
                RpcError::Failed { method, reason }
            }
        }
        Json::NullResp => RpcError::Unknown { method, reason: "null".to_owned() },
        // The answer's text may be megabytes.
        Json::DeserError { err, .. } => {
            RpcError::Failed { method, reason: cut(&format!("the answer does not decode: {err}")) }
        }
        // Its words may hold the URL, and the URL a key.
        Json::Transport(kind) => {
            let status = kind.as_http_error().map(|http| http.status);
            if status == Some(413) {
                RpcError::TooLarge { method, reason: "HTTP 413".to_owned() }
            } else {
                let reason = status.map_or_else(|| "no connection".to_owned(), |s| format!("HTTP {s}"));
                RpcError::Failed { method, reason }
            }
        }
        other => RpcError::Failed { method, reason: cut(&other.to_string()) },
    }
}

/// Providers have no common code for it; these are the words that they use.
fn too_large(code: i64, words: &str) -> bool {
    const WORDS: [&str; 9] = [
        "too many results",
        "query returned more than",
        "response size",
        "response is too big",
        "block range",
        "range is too",
        "range too",
        "exceeds the limit",
        "max results",
    ];
    code == -32005 || WORDS.iter().any(|w| words.contains(w))
}

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

#[derive(Debug)]
struct Node {
    client: RpcClient,
    host: String,
    /// Whether it was asked for its chain id and gave the right one.
    right_chain: AtomicBool,
}

/// The nodes of one chain.
#[derive(Debug)]
pub(crate) struct Rpc {
    nodes: Vec<Node>,
    present: AtomicUsize,
    chain: ChainId,
    timeout: Duration,
}

/// Gas that a read-only call may use.
const CALL_GAS: u64 = 30_000_000;

impl Rpc {
    /// # Errors
    /// Text that is not an HTTP URL; answers the position of it.
    pub fn new(urls: &[String], chain: ChainId, timeout: Duration) -> Result<Self, usize> {
        let mut nodes = Vec::new();
        for (index, url) in urls.iter().enumerate() {
            let url: alloy::transports::http::reqwest::Url = url.parse().map_err(|_| index)?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(index);
            }
            let host = url.host_str().unwrap_or_default().to_owned();
            nodes.push(Node { client: RpcClient::new_http(url), host, right_chain: AtomicBool::new(false) });
        }
        Ok(Self { nodes, present: AtomicUsize::new(0), chain, timeout })
    }

    async fn node(&self) -> Result<&Node, RpcError> {
        let index = self.present.load(Ordering::Relaxed).checked_rem(self.nodes.len()).unwrap_or(0);
        let Some(node) = self.nodes.get(index) else {
            return Err(RpcError::Failed { method: "any", reason: "no node is configured".to_owned() });
        };
        if !node.right_chain.load(Ordering::Relaxed) {
            let served: U64 = self.timed(node, "eth_chainId", ()).await?;
            let served = ChainId::Eip155(served.to());
            if served != self.chain {
                self.turn();
                return Err(RpcError::WrongChain {
                    node: node.host.clone(),
                    served: served.to_string(),
                    wanted: self.chain.to_string(),
                });
            }
            node.right_chain.store(true, Ordering::Relaxed);
        }
        Ok(node)
    }

    fn turn(&self) {
        self.present.fetch_add(1, Ordering::Relaxed);
    }

    /// What a failure means for the node: another process may answer at its address the next time, perhaps of another
    /// chain, and another node may do better meanwhile.
    fn failed(&self, node: &Node, method: &'static str, error: &RpcError) {
        metrics::counter!("indexer_rpc_errors_total", "method" => method).increment(1);
        if matches!(error, RpcError::Failed { .. }) {
            node.right_chain.store(false, Ordering::Relaxed);
            self.turn();
        }
    }

    async fn timed<P: RpcSend, R: RpcRecv>(
        &self,
        node: &Node,
        method: &'static str,
        params: P,
    ) -> Result<R, RpcError> {
        let started = Instant::now();
        let answer = tokio::time::timeout(self.timeout, node.client.request::<P, R>(method, params)).await;
        metrics::histogram!("indexer_rpc_seconds", "method" => method).record(started.elapsed());
        let answer = answer.map_or_else(
            |_| Err(RpcError::Failed { method, reason: "no answer in time".to_owned() }),
            |answer| answer.map_err(|error| classify(method, &error)),
        );
        answer.inspect_err(|error| self.failed(node, method, error))
    }

    async fn ask<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R, RpcError> {
        let node = self.node().await?;
        self.timed(node, method, params).await
    }

    /// The header of a block by number or tag; none where the node does not know it.
    async fn header(&self, block: Value) -> Result<Option<Header>, RpcError> {
        let raw: Option<RawHeader> = self.ask("eth_getBlockByNumber", (block, false)).await?;
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
        let raw: Option<RawHeader> = self.ask(method, (hash, false)).await?;
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
        self.ask("eth_getLogs", (filter,)).await
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
        let node = self.node().await?;
        let filter = json!({"fromBlock": U64::from(from), "toBlock": U64::from(to), "address": contracts});
        let started = Instant::now();
        let both = async {
            let mut batch = node.client.new_batch();
            let logs = batch.add_call::<_, Vec<Log>>(method, &(filter,))?;
            let last =
                batch.add_call::<_, Option<RawHeader>>("eth_getBlockByNumber", &(U64::from(to), false))?;
            batch.send().await?;
            Ok((logs.await?, last.await?))
        };
        let answer = match tokio::time::timeout(self.timeout, both).await {
            Ok(answer) => answer.map_err(|error| classify(method, &error)),
            Err(_) => Err(RpcError::Failed { method, reason: "no answer in time".to_owned() }),
        };
        metrics::histogram!("indexer_rpc_seconds", "method" => method).record(started.elapsed());
        let (logs, last) = answer.inspect_err(|error| self.failed(node, method, error))?;
        match last.map(Header::try_from).transpose()? {
            Some(last) if last.number == to => Ok((logs, last)),
            _ => Err(RpcError::Inconsistent(format!("the node does not have block {to} yet"))),
        }
    }

    /// A read-only call at the newest block.
    pub async fn call(&self, to: Address, data: &Bytes) -> Result<CallOutcome, RpcError> {
        let method = "eth_call";
        let node = self.node().await?;
        let params = (json!({"to": to, "input": data, "gas": U64::from(CALL_GAS)}), "latest");
        let started = Instant::now();
        let answer =
            tokio::time::timeout(self.timeout, node.client.request::<_, Bytes>(method, params)).await;
        metrics::histogram!("indexer_rpc_seconds", "method" => method).record(started.elapsed());
        match answer {
            Err(_) => {
                let error = RpcError::Failed { method, reason: "no answer in time".to_owned() };
                self.failed(node, method, &error);
                Err(error)
            }
            Ok(Ok(data)) => Ok(CallOutcome::Returned { data }),
            Ok(Err(error)) => match &error {
                Json::ErrorResp(payload)
                    if payload.code == 3 || payload.message.to_lowercase().contains("revert") =>
                {
                    Ok(CallOutcome::Reverted { data: payload.as_revert_data().unwrap_or_default() })
                }
                _ => {
                    let error = classify(method, &error);
                    self.failed(node, method, &error);
                    Err(error)
                }
            },
        }
    }
}
