//! The nodes of a chain behind one client: asked in turn, the next one when one fails, and transactions sent to all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use alloy::{
    rpc::{
        client::RpcClient,
        json_rpc::{RequestPacket, ResponsePacket, ResponsePayload},
    },
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use service::{failpoint, rpc::Http};
use tower::Service as _;

use crate::{config::Config, error::Error};

/// The longest one node may take to answer.
const CALL_TIME: Duration = Duration::from_secs(15);
/// The methods that hand in a transaction.
const BROADCASTS: [&str; 2] = ["eth_sendRawTransaction", "sendTransaction"];
/// JSON-RPC's code for a revert, by the execution API.
const REVERTED: i64 = 3;

/// The nodes, and whose turn it is.
#[derive(Clone, Debug)]
struct Nodes {
    nodes: Arc<[Http]>,
    turn: Arc<AtomicUsize>,
}

/// A client for the nodes of the configuration; nothing is sent yet. No error of it repeats more of an address than the host.
///
/// # Errors
/// A URL is not http or https.
pub fn client(config: &Config) -> Result<RpcClient, Error> {
    let refuse = |reason| Error::Config { key: "rpc_urls", reason };
    let nodes = config.rpc_urls.iter().map(|url| Http::new(url, CALL_TIME, config.answer_bytes_max));
    let nodes: Vec<Http> = nodes.collect::<Result<_, _>>().map_err(refuse)?;
    if nodes.is_empty() {
        return Err(refuse("there must be at least one".to_owned()));
    }
    Ok(RpcClient::new(Nodes { nodes: nodes.into(), turn: Arc::default() }, false))
}

impl Nodes {
    /// Asks the node whose turn it is, and the others when it fails or objects. A revert is an answer.
    async fn ask(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let count = self.nodes.len();
        let first = self.turn.load(Ordering::Relaxed);
        let mut objection = None;
        let mut failure = None;
        for offset in 0..count {
            let turn = first.wrapping_add(offset);
            let Some(node) = turn.checked_rem(count).and_then(|at| self.nodes.get(at)) else { break };
            match node.clone().call(packet.clone()).await {
                Ok(answer) if !objects(&answer) => return Ok(answer),
                // It may lag, or keep less than another: that does not move the turn.
                Ok(answer) => objection = objection.or(Some(answer)),
                Err(error) => {
                    metrics::counter!("relayer_rpc_failures_total", "node" => node.host()).increment(1);
                    let _moved = self.turn.compare_exchange(
                        turn,
                        turn.wrapping_add(1),
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                    failure = failure.or(Some(named(node, &error)));
                }
            }
        }
        match (objection, failure) {
            (Some(answer), _) => Ok(answer),
            (None, Some(error)) => Err(error),
            (None, None) => Err(TransportErrorKind::custom_str("there is no node")),
        }
    }

    /// Hands a transaction to every node: one that takes it is enough.
    async fn broadcast(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let asked = self.nodes.iter().map(|node| {
            let call = node.clone().call(packet.clone());
            async move { call.await.map_err(|error| named(node, &error)) }
        });
        let mut worst = None;
        for answer in futures::future::join_all(asked).await {
            match answer {
                Ok(taken) if !taken.is_error() => return Ok(taken),
                // The words of a node say more than the want of any.
                Ok(refused) => worst = Some(Ok(refused)),
                Err(error) => worst = worst.or(Some(Err(error))),
            }
        }
        worst.unwrap_or_else(|| Err(TransportErrorKind::custom_str("there is no node")))
    }
}

fn objects(answer: &ResponsePacket) -> bool {
    match answer {
        ResponsePacket::Single(response) => match &response.payload {
            ResponsePayload::Failure(error) => error.code != REVERTED && error.as_revert_data().is_none(),
            ResponsePayload::Success(_) => false,
        },
        ResponsePacket::Batch(_) => false,
    }
}

fn named(node: &Http, error: &TransportError) -> TransportError {
    TransportErrorKind::custom_str(&format!("{}: {error}", node.host()))
}

impl tower::Service<RequestPacket> for Nodes {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let nodes = self.clone();
        Box::pin(async move {
            let method = packet.method_names().next().unwrap_or_default().to_owned();
            failpoint::pass(&["relayer.rpc", &method, "before"]);
            let answer = if BROADCASTS.contains(&method.as_str()) {
                nodes.broadcast(packet).await
            } else {
                nodes.ask(packet).await
            };
            failpoint::pass(&["relayer.rpc", &method, "after"]);
            answer
        })
    }
}
