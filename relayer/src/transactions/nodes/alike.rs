//! What more than half of the nodes tell alike: the word of one is not enough for what is never looked at again.

use std::task::{Context, Poll};

use alloy::{
    rpc::json_rpc::{RequestPacket, ResponsePacket, ResponsePayload},
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use service::failpoint;
use tokio::time::Instant;

use super::{Nodes, REVERTED, SLOW, named};

/// The same nodes, all of which are asked.
#[derive(Clone, Debug)]
pub(super) struct Alike(pub(super) Nodes);

impl Nodes {
    /// Asks every node at one time; the answer that more than half of them give. One that fails, objects or rests counts as none; of
    /// how many, those of another chain are not.
    async fn ask_all(&self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let (ours, needed) = self.ours();
        // With nobody to agree with, what it objects is an answer as well.
        if let [at] = ours.as_slice()
            && let Some(node) = self.nodes.get(*at)
        {
            let begun = Instant::now();
            return node.clone().call(packet).await.map_err(|error| {
                self.failed(*at, begun);
                named(node, &error)
            });
        }
        let mut asked = FuturesUnordered::new();
        for at in ours.iter().copied().filter(|at| !self.mute.has(*at)) {
            let Some(node) = self.nodes.get(at) else { continue };
            let (begun, call) = (Instant::now(), node.clone().call(packet.clone()));
            asked.push(async move { (at, begun, call.await) });
        }
        let mut said: Vec<(usize, String)> = Vec::new();
        while let Some((at, begun, answer)) = asked.next().await {
            let Ok(answer) = answer else {
                self.failed(at, begun);
                continue;
            };
            let Some(words) = told(&answer) else { continue };
            said.push((at, words.clone()));
            let (alike, others): (Vec<_>, Vec<_>) = said.iter().partition(|(_, other)| *other == words);
            if alike.len() >= needed {
                for node in others.into_iter().filter_map(|(at, _)| self.nodes.get(*at)) {
                    tracing::warn!(node = node.host(), "a node tells otherwise than most of a block");
                }
                return Ok(answer);
            }
        }
        let (count, answered) = (ours.len(), said.len());
        let words = format!("fewer than {needed} of {count} nodes say the same, {answered} answered");
        Err(TransportErrorKind::custom_str(&words))
    }

    /// Notes that a node failed that was asked then.
    pub(super) fn failed(&self, at: usize, begun: Instant) {
        if let Some(node) = self.nodes.get(at) {
            metrics::counter!("relayer_rpc_failures_total", "node" => node.host()).increment(1);
        }
        if begun.elapsed() >= SLOW {
            self.mute.put(at);
        }
    }
}

/// What an answer says, however the node writes it; none where the node objects.
fn told(answer: &ResponsePacket) -> Option<String> {
    let ResponsePacket::Single(response) = answer else { return None };
    match &response.payload {
        ResponsePayload::Success(found) => Some(found.get().to_lowercase()),
        ResponsePayload::Failure(error) => {
            let data = error.as_revert_data();
            let reverts = data.is_some() || error.code == REVERTED;
            reverts.then(|| format!("reverts with {}", data.unwrap_or_default()))
        }
    }
}

impl tower::Service<RequestPacket> for Alike {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let nodes = self.0.clone();
        Box::pin(async move {
            let method = packet.method_names().next().unwrap_or_default().to_owned();
            failpoint::pass(&["relayer.rpc", &method, "before"]);
            let answer = nodes.ask_all(packet).await;
            nodes.look_again().await;
            failpoint::pass(&["relayer.rpc", &method, "after"]);
            answer
        })
    }
}
