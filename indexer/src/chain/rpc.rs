//! JSON-RPC of a chain's nodes: limits, kinds of failure, and the turn from a failing node to the next.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::{
    primitives::B256,
    rpc::{
        client::RpcClient,
        json_rpc::{RpcError as Json, RpcRecv, RpcSend},
    },
    transports::TransportError,
};
use protocol::chain::ChainId;

use super::source::{self, Served};

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
    /// It serves a chain of the same name that began anew, as local ones do.
    #[error(
        "the node at {node} serves a chain that begins with block {served}, but the database follows the one that began \
         with {stored}: that chain is gone; start this one fresh, with an empty database"
    )]
    OtherGenesis {
        /// Host of the node.
        node: String,
        /// Hash of the first block that it serves.
        served: B256,
        /// Hash of the first block that the database follows.
        stored: B256,
    },
}

/// How a failure is to be met, from its code and words.
pub(crate) fn classify(method: &'static str, error: &TransportError) -> RpcError {
    let cut = |text: &str| text.chars().take(300).collect::<String>();
    match error {
        Json::ErrorResp(payload) => {
            let reason = cut(&format!("{} ({})", payload.message, payload.code));
            let words = payload.message.to_lowercase();
            if too_large(payload.code, &words) {
                RpcError::TooLarge { method, reason }
            } else if matches!(payload.code, -32601 | -32602 | -39001)
                || not_there(payload.code)
                || words.contains("not found")
            {
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

/// Solana's codes for a slot without a block, and for what the node does not have yet.
const fn not_there(code: i64) -> bool {
    matches!(code, -32004 | -32007 | -32009 | -32014 | -32016)
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

#[derive(Debug)]
pub(crate) struct Node {
    pub client: RpcClient,
    pub host: String,
    /// Whether it was asked for its chain and gave the right one.
    right_chain: AtomicBool,
}

/// The nodes of one chain.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    present: AtomicUsize,
    chain: ChainId,
    timeout: Duration,
    /// The first block's hash, once it is known, of a chain whose name alone does not tell it from others.
    genesis: OnceLock<B256>,
}

impl Nodes {
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
        Ok(Self { nodes, present: AtomicUsize::new(0), chain, timeout, genesis: OnceLock::new() })
    }

    /// From now on the chain must begin with this block.
    pub fn insist_on(&self, genesis: B256) {
        self.genesis.get_or_init(|| genesis);
    }

    /// Whether it is known with which block the chain must begin.
    pub fn insists(&self) -> bool {
        self.genesis.get().is_some()
    }

    /// The node whose turn it is, if it serves the right chain.
    pub async fn node(&self) -> Result<&Node, RpcError> {
        let index = self.present.load(Ordering::Relaxed).checked_rem(self.nodes.len()).unwrap_or(0);
        let Some(node) = self.nodes.get(index) else {
            return Err(RpcError::Failed { method: "any", reason: "no node is configured".to_owned() });
        };
        if !node.right_chain.load(Ordering::Relaxed) {
            let served = source::served(self, node, self.chain).await?;
            self.check(node, served).inspect_err(|_| self.turn())?;
            node.right_chain.store(true, Ordering::Relaxed);
        }
        Ok(node)
    }

    fn check(&self, node: &Node, served: Served) -> Result<(), RpcError> {
        let node = node.host.clone();
        match (served, self.genesis.get()) {
            (Served::Other(served), _) => {
                Err(RpcError::WrongChain { node, served, wanted: self.chain.to_string() })
            }
            (Served::Wanted(Some(served)), Some(stored)) if served != *stored => {
                Err(RpcError::OtherGenesis { node, served, stored: *stored })
            }
            (Served::Wanted(_), _) => Ok(()),
        }
    }

    fn turn(&self) {
        self.present.fetch_add(1, Ordering::Relaxed);
    }

    /// What a failure means for the node: another process may answer at its address the next time, perhaps of another
    /// chain, and another node may do better meanwhile.
    pub fn failed(&self, node: &Node, method: &'static str, error: &RpcError) {
        metrics::counter!("indexer_rpc_errors_total", "method" => method).increment(1);
        if matches!(error, RpcError::Failed { .. }) {
            node.right_chain.store(false, Ordering::Relaxed);
            self.turn();
        }
    }

    /// Does something with a node, for no longer than a request may take; answers what the node said.
    pub async fn within<T>(
        &self,
        method: &'static str,
        work: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<Result<T, TransportError>, RpcError> {
        let started = Instant::now();
        let answer = tokio::time::timeout(self.timeout, work).await;
        metrics::histogram!("indexer_rpc_seconds", "method" => method).record(started.elapsed());
        answer.map_err(|_| RpcError::Failed { method, reason: "no answer in time".to_owned() })
    }

    /// Asks one node.
    pub async fn ask_of<P: RpcSend, R: RpcRecv>(
        &self,
        node: &Node,
        method: &'static str,
        params: P,
    ) -> Result<R, RpcError> {
        let answer = self.within(method, async { node.client.request::<P, R>(method, params).await }).await;
        let answer = answer.and_then(|answer| answer.map_err(|error| classify(method, &error)));
        answer.inspect_err(|error| self.failed(node, method, error))
    }

    /// Asks the node whose turn it is.
    pub async fn ask<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R, RpcError> {
        let node = self.node().await?;
        self.ask_of(node, method, params).await
    }
}
