//! The nodes one by one, each behind a client of its own: what they tell is compared where no two answers are the same, for each is of
//! a moment of its own.

use std::task::{Context, Poll};

use alloy::{
    rpc::{
        client::RpcClient,
        json_rpc::{RequestPacket, ResponsePacket},
    },
    transports::{TransportError, TransportFut},
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use service::failpoint;
use tokio::time::Instant;

use super::{Node, Nodes};

/// One of the nodes, which is asked alone.
#[derive(Clone, Debug)]
pub struct One {
    at: usize,
    node: Node,
    nodes: Nodes,
}

impl One {
    /// Its place among all.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Host and port, for messages.
    pub fn host(&self) -> String {
        self.node.host()
    }

    /// A client of this node alone.
    pub fn client(&self) -> RpcClient {
        RpcClient::new(self.clone(), false)
    }
}

impl Nodes {
    /// The places of the nodes that are of this chain, as far as that is known, and how many are more than half of these. One of
    /// another chain that rested is none of them before it was looked at again: it is not counted with them.
    pub(super) fn ours(&self) -> (Vec<usize>, usize) {
        // All have the same list.
        let strange = self.nodes.first().map(|node| node.strangers.places()).unwrap_or_default();
        let ours: Vec<usize> = (0..self.nodes.len()).filter(|at| !strange.contains(at)).collect();
        let needed = (ours.len() / 2).saturating_add(1);
        (ours, needed)
    }

    /// The nodes that do not rest, each by itself; and how many are more than half of all, those of another chain not counted.
    pub fn each(&self) -> (Vec<One>, usize) {
        let (ours, needed) = self.ours();
        let awake = ours.into_iter().filter(|at| !self.mute.has(*at));
        let awake = awake.filter_map(|at| {
            let node = self.nodes.get(at)?.clone();
            Some(One { at, node, nodes: self.clone() })
        });
        (awake.collect(), needed)
    }
}

/// What so many tell alike of those that are asked, each named by its host, and what the last of them tells beside that; none where
/// fewer do. Who answers nothing counts as none, and once enough have answered the others are not waited for.
pub async fn most<K: PartialEq, V, F>(asked: Vec<(String, F)>, needed: usize) -> Option<(K, V)>
where
    F: Future<Output = Option<(K, V)>>,
{
    let mut asked: FuturesUnordered<_> =
        asked.into_iter().map(|(host, told)| async move { (host, told.await) }).collect();
    let mut said: Vec<(String, K)> = Vec::new();
    while let Some((host, told)) = asked.next().await {
        let Some((told, beside)) = told else { continue };
        let alike = said.iter().filter(|(_, other)| *other == told).count();
        if alike.saturating_add(1) >= needed {
            for (host, _) in said.iter().filter(|(_, other)| *other != told) {
                tracing::warn!(node = host, "a node tells otherwise than most of an intent");
            }
            return Some((told, beside));
        }
        said.push((host, told));
    }
    None
}

impl tower::Service<RequestPacket> for One {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let Self { at, node, nodes } = self.clone();
        Box::pin(async move {
            let method = packet.method_names().next().unwrap_or_default().to_owned();
            failpoint::pass(&["relayer.rpc", &method, "before"]);
            let begun = Instant::now();
            let answer = node.call(packet).await;
            if answer.is_err() {
                nodes.failed(at, begun);
            }
            failpoint::pass(&["relayer.rpc", &method, "after"]);
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;
    use crate::{config::Config, transactions::strangers::Strangers};

    async fn told(answers: &[Option<u8>], needed: usize) -> Option<(u8, usize)> {
        let asked = answers.iter().enumerate();
        let asked = asked.map(|(at, told)| (at.to_string(), ready(told.map(|told| (told, at)))));
        most(asked.collect(), needed).await
    }

    #[tokio::test]
    async fn what_enough_nodes_tell_alike_is_told_and_the_others_are_not_waited_for() {
        assert_eq!(told(&[Some(7), Some(1), Some(1)], 2).await.map(|(told, _)| told), Some(1));
        assert_eq!(told(&[Some(7), Some(1), None], 2).await, None);
        assert_eq!(told(&[None, Some(1), Some(1)], 2).await.map(|(told, _)| told), Some(1));
        assert_eq!(told(&[Some(7)], 1).await, Some((7, 0)));
        assert_eq!(told(&[], 1).await, None);
    }
    #[tokio::test]
    async fn a_node_of_another_chain_is_not_among_those_that_are_asked_before_it_was_looked_at_again() {
        let rpc_urls = ["http://a", "http://b", "http://c"].map(str::to_owned).to_vec();
        let strangers = Strangers::default();
        let nodes = Nodes::new(&Config { rpc_urls, ..Config::default() }, None, &strangers).unwrap();
        let asked = || {
            let (awake, needed) = nodes.each();
            (awake.iter().map(One::at).collect::<Vec<_>>(), needed)
        };
        assert_eq!(asked(), (vec![0, 1, 2], 2));
        strangers.put(0, "a".to_owned(), "elsewhere");
        strangers.put(2, "c".to_owned(), "elsewhere");
        assert_eq!(asked(), (vec![1], 1));
        // Their rest is over.
        strangers.tell(30_000);
        assert_eq!((strangers.rests(0), asked()), (None, (vec![1], 1)));
        strangers.forget(2);
        assert_eq!(asked(), (vec![1, 2], 2));
        nodes.mute.put(1);
        assert_eq!(asked(), (vec![2], 2));
    }
}
