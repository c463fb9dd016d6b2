//! JSON-RPC of a chain's nodes: limits, the turn from a failing node to the next, and who is believed.

mod alike;
mod failure;

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::{
    primitives::B256,
    rpc::{
        client::RpcClient,
        json_rpc::{RpcRecv, RpcSend},
    },
    transports::TransportError,
};
use protocol::chain::ChainId;
use service::{failpoint, rpc::Http};

use super::{
    quorum,
    source::{self, Served},
};
pub use failure::RpcError;
pub(crate) use failure::classify;

/// The longest that is waited for one of several providers whom all the same is asked.
const POLL_MAX: Duration = Duration::from_secs(5);

/// What is known of a provider since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Requests that it did not answer, or not usefully.
    pub failures: u64,
    /// Of them, since it answered last as a node of the chain.
    pub in_a_row: u32,
    /// Answers that were proven wrong.
    pub lies: u64,
    /// The fault about that is open.
    accused: bool,
    /// The lie was about logs: that it has the same hashes as the others says nothing of them.
    pub misled: bool,
    /// It is not asked any more but for whether it agrees again.
    pub distrusted: bool,
    /// Until this round it is left alone, for it did not answer.
    rests_until: u64,
}

/// One provider.
#[derive(Debug)]
pub(crate) struct Node {
    pub client: RpcClient,
    pub host: String,
    /// Whether it was asked for its chain and gave the right one.
    right_chain: AtomicBool,
    health: Mutex<Health>,
}

impl Node {
    /// A provider by any transport.
    pub fn new(host: String, client: RpcClient) -> Self {
        Self { client, host, right_chain: AtomicBool::new(false), health: Mutex::default() }
    }

    pub fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What nodes are allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For one request.
    pub timeout: Duration,
    /// Length of one answer, in bytes.
    pub answer_bytes_max: usize,
    /// How many must agree on what is final; none is more than half.
    pub quorum: Option<usize>,
}

/// The nodes of one chain.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    present: AtomicUsize,
    chain: ChainId,
    timeout: Duration,
    /// How many must agree on what is final.
    pub quorum: usize,
    /// Counts the times that all of them were asked.
    round: AtomicU64,
    /// Who was caught lying or agrees again, and in what words, until it is recorded.
    caught: Mutex<Vec<Caught>>,
    /// The first block's hash, once it is known, of a chain whose name alone does not tell it from others.
    genesis: OnceLock<B256>,
}

/// A provider whose word is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caught {
    pub host: String,
    /// How it lied; none where it agrees again.
    pub lie: Option<String>,
}

/// Notes that wait to be recorded; more are dropped.
const CAUGHT_MAX: usize = 64;

impl Nodes {
    /// # Errors
    /// Text that is not an HTTP URL; answers the position of it.
    pub fn new(urls: &[String], chain: ChainId, limits: Limits) -> Result<Self, usize> {
        let mut nodes = Vec::new();
        for (index, url) in urls.iter().enumerate() {
            let transport = Http::new(url, limits.timeout, limits.answer_bytes_max).map_err(|_| index)?;
            let host = transport.host();
            // Two of one host are told apart by their place.
            let taken = nodes.iter().any(|node: &Node| node.host == host);
            let host = if taken { format!("{host}#{index}") } else { host };
            nodes.push(Node::new(host, RpcClient::new(transport, false)));
        }
        Ok(Self::of(nodes, chain, limits))
    }

    /// Nodes by any transport.
    pub fn of(nodes: Vec<Node>, chain: ChainId, limits: Limits) -> Self {
        let quorum =
            limits.quorum.unwrap_or_else(|| quorum::majority(nodes.len())).clamp(1, nodes.len().max(1));
        Self {
            nodes,
            present: AtomicUsize::new(0),
            chain,
            timeout: limits.timeout,
            quorum,
            round: AtomicU64::new(0),
            caught: Mutex::default(),
            genesis: OnceLock::new(),
        }
    }

    /// From now on the chain must begin with this block.
    pub fn insist_on(&self, genesis: B256) {
        self.genesis.get_or_init(|| genesis);
    }

    /// Whether it is known with which block the chain must begin.
    pub fn insists(&self) -> bool {
        self.genesis.get().is_some()
    }

    /// All of them, with what is known of each.
    pub fn all(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// The node whose turn it is, if it serves the right chain. One that was caught lying has no turn while there is
    /// another.
    pub async fn node(&self) -> Result<&Node, RpcError> {
        let present = self.present.load(Ordering::Relaxed);
        let Some(node) = self.whose_turn(present).and_then(|at| self.nodes.get(at)) else {
            return Err(RpcError::Failed { method: "any", reason: "no node is configured".to_owned() });
        };
        self.right(node).await.map(|()| node)
    }

    /// The position of the first node from `present` on that was not caught lying, or of that one where all were.
    fn whose_turn(&self, present: usize) -> Option<usize> {
        let turns =
            (0..self.nodes.len()).filter_map(|more| present.wrapping_add(more).checked_rem(self.nodes.len()));
        let mut turns = turns.peekable();
        let first = turns.peek().copied();
        let trusted = |at: &usize| self.nodes.get(*at).is_some_and(|node| !node.health().distrusted);
        turns.find(trusted).or(first)
    }

    /// All of them, from the one whose turn it is on: first those that were not caught lying and answered last, for others are
    /// asked only where these are too few.
    pub fn in_turn(&self) -> Vec<&Node> {
        let present = self.present.load(Ordering::Relaxed);
        let turns =
            (0..self.nodes.len()).filter_map(|more| present.wrapping_add(more).checked_rem(self.nodes.len()));
        let mut nodes: Vec<&Node> = turns.filter_map(|at| self.nodes.get(at)).collect();
        nodes.sort_by_key(|node| {
            let health = node.health();
            (health.distrusted, health.in_a_row > 0)
        });
        nodes
    }

    /// Whether a node serves the right chain.
    pub async fn right(&self, node: &Node) -> Result<(), RpcError> {
        if !node.right_chain.load(Ordering::Relaxed) {
            let served = source::served(self, node, self.chain).await?;
            self.check(node, served).inspect_err(|error| self.failed(node, "chain", error))?;
            node.right_chain.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Asks all of them the same, those that do not answer seldom; answers by position. Only where there is more than one
    /// is one that fails left out without a word.
    ///
    /// # Errors
    /// The only one failed.
    pub async fn poll<'a, T, F: Future<Output = Result<T, RpcError>>>(
        &'a self,
        ask: impl Fn(&'a Node) -> F,
    ) -> Result<Vec<(usize, T)>, RpcError> {
        if let [only] = self.nodes.as_slice() {
            self.right(only).await?;
            return Ok(vec![(0, ask(only).await?)]);
        }
        let round = self.round.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let mut asked = Vec::with_capacity(self.nodes.len());
        for (at, node) in self.nodes.iter().enumerate() {
            if node.health().rests_until <= round {
                asked.push(self.poll_one(round, at, node, ask(node)));
            }
        }
        Ok(futures::future::join_all(asked).await.into_iter().flatten().collect())
    }

    async fn poll_one<T>(
        &self,
        round: u64,
        at: usize,
        node: &Node,
        answer: impl Future<Output = Result<T, RpcError>>,
    ) -> Option<(usize, T)> {
        let answer = async {
            self.right(node).await?;
            answer.await
        };
        match tokio::time::timeout(self.timeout.min(POLL_MAX), answer).await {
            Ok(Ok(answer)) => Some((at, answer)),
            Ok(Err(RpcError::Unknown { .. })) => None,
            away => {
                // Who was not waited for was not counted by the request either.
                if away.is_err() {
                    let reason = "no answer in time".to_owned();
                    self.failed(node, "any", &RpcError::Failed { method: "any", reason });
                }
                node.note(|health| {
                    // A node that is away must not slow down every look at the chain.
                    let rest = 2_u64.saturating_pow(health.in_a_row.clamp(1, 6));
                    health.rests_until = round.saturating_add(rest);
                });
                None
            }
        }
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

    /// What the present node said does not fit together: perhaps another one does better.
    pub fn doubt(&self) {
        metrics::counter!("indexer_rpc_inconsistent_total", "chain" => self.label()).increment(1);
        self.leave();
    }

    /// The present node did not give what it was asked for: where another may, it is that one's turn. Who did not answer at all
    /// has lost its turn already.
    pub fn turn_after(&self, error: &RpcError) {
        match error {
            RpcError::Inconsistent(_) => self.doubt(),
            error if error.another_may_know() => self.leave(),
            _ => {}
        }
    }

    fn leave(&self) {
        if let Some(at) = self.whose_turn(self.present.load(Ordering::Relaxed)) {
            self.turn_from(at);
        }
    }

    /// The next node has its turn, if it is this one's: of many requests that fail at once only the first moves on.
    fn turn_from(&self, at: usize) {
        let present = self.present.load(Ordering::Relaxed);
        if self.whose_turn(present) == Some(at) {
            let next = at.wrapping_add(1).checked_rem(self.nodes.len()).unwrap_or_default();
            // Where it fails, another has moved on.
            let _ = self.present.compare_exchange(present, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn label(&self) -> String {
        self.chain.to_string()
    }

    /// What a failure means for the node: another process may answer at its address the next time, perhaps of another
    /// chain, and another node may do better meanwhile.
    pub fn failed(&self, node: &Node, method: &'static str, error: &RpcError) {
        metrics::counter!("indexer_rpc_errors_total", "chain" => self.label(), "method" => method)
            .increment(1);
        let (turns, forgets) = match error {
            RpcError::Failed { .. } | RpcError::WrongChain { .. } | RpcError::OtherGenesis { .. } => {
                (true, true)
            }
            RpcError::Busy { .. } => (true, false),
            _ => (false, false),
        };
        node.note(|health| {
            health.failures = health.failures.saturating_add(1);
            if turns {
                health.in_a_row = health.in_a_row.saturating_add(1);
            }
        });
        if forgets {
            node.right_chain.store(false, Ordering::Relaxed);
        }
        if turns {
            self.turn_from(self.position(node));
        }
    }

    /// A hash that a node told was proven wrong, by position: from now on others are asked, if there are any, until it has
    /// the same hashes as they again.
    pub fn lied(&self, at: usize, words: String) {
        self.accuse(at, words, false);
    }

    /// The logs that a node told of a range were proven wrong or not all, by position: from now on others are asked, if there
    /// are any, as long as the process lives, whatever its hashes.
    pub fn misled(&self, at: usize, words: String) {
        self.accuse(at, words, true);
    }

    fn accuse(&self, at: usize, words: String, misled: bool) {
        let Some(node) = self.nodes.get(at) else { return };
        tracing::error!(node = node.host, words, "a provider lied");
        metrics::counter!("indexer_provider_lies_total", "chain" => self.label(), "node" => node.host.clone())
            .increment(1);
        node.note(|health| {
            health.lies = health.lies.saturating_add(1);
            health.misled |= misled;
            health.accused = true;
            health.distrusted = self.nodes.len() > 1;
        });
        self.catch(Caught { host: node.host.clone(), lie: Some(words) });
    }

    /// Distrusts who was accused before the process started, by host, until it agrees with the others; answers those that
    /// are no nodes of this chain any more.
    pub fn suspect(&self, hosts: Vec<String>) -> Vec<String> {
        let gone = |host: &String| {
            let node = self.nodes.iter().find(|node| node.host == *host);
            if let Some(node) = node {
                node.note(|health| (health.accused, health.distrusted) = (true, self.nodes.len() > 1));
            }
            node.is_none()
        };
        hosts.into_iter().filter(gone).collect()
    }

    /// A node has the hash that the others have: if it told another before, it is asked again.
    pub fn agrees(&self, at: usize) {
        let Some(node) = self.nodes.get(at) else { return };
        let health = node.health();
        if health.distrusted && !health.misled {
            tracing::warn!(node = node.host, "a provider that lied agrees again");
            self.acquit(node);
        }
    }

    fn acquit(&self, node: &Node) {
        node.note(|health| (health.distrusted, health.accused, health.misled) = (false, false, false));
        self.catch(Caught { host: node.host.clone(), lie: None });
    }

    /// What was read lately was proven, and nothing was missing: who lied before and is asked all the same, because there is
    /// no other or none that did not lie, is no alarm any more.
    pub fn proved(&self) {
        let asked = self.whose_turn(self.present.load(Ordering::Relaxed));
        for (at, node) in self.nodes.iter().enumerate() {
            let health = node.health();
            if health.accused && (!health.distrusted || asked == Some(at)) {
                self.acquit(node);
            }
        }
    }

    /// The position of a node.
    pub fn position(&self, node: &Node) -> usize {
        self.nodes.iter().position(|other| std::ptr::eq(other, node)).unwrap_or(usize::MAX)
    }

    fn catch(&self, caught: Caught) {
        let mut all = self.caught.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < CAUGHT_MAX {
            all.push(caught);
        }
    }

    /// What is to be recorded of a provider next.
    pub fn caught(&self) -> Option<Caught> {
        self.caught.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    /// It is recorded.
    pub fn recorded(&self, caught: &Caught) {
        let mut all = self.caught.lock().unwrap_or_else(PoisonError::into_inner);
        if all.first() == Some(caught) {
            all.remove(0);
        }
    }

    /// Does something with a node, for no longer than a request may take; answers what the node said.
    pub async fn within<T>(
        &self,
        method: &'static str,
        work: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<Result<T, TransportError>, RpcError> {
        let started = Instant::now();
        failpoint::pass(&["indexer.rpc", method, "before"]);
        let answer = tokio::time::timeout(self.timeout, work).await;
        failpoint::pass(&["indexer.rpc", method, "after"]);
        metrics::histogram!("indexer_rpc_seconds", "chain" => self.label(), "method" => method)
            .record(started.elapsed());
        answer.map_err(|_| RpcError::Failed { method, reason: "no answer in time".to_owned() })
    }

    /// Does something with one node and says what came of it.
    pub async fn ask_with<T>(
        &self,
        node: &Node,
        method: &'static str,
        work: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, RpcError> {
        let answer = self.within(method, work).await;
        let answer = answer.and_then(|answer| answer.map_err(|error| classify(method, &error)));
        match &answer {
            // That it names its chain is no use yet.
            Ok(_) if node.right_chain.load(Ordering::Relaxed) => node.note(|health| health.in_a_row = 0),
            Ok(_) => {}
            Err(error) => self.failed(node, method, error),
        }
        answer
    }

    /// Asks one node.
    pub async fn ask_of<P: RpcSend, R: RpcRecv>(
        &self,
        node: &Node,
        method: &'static str,
        params: P,
    ) -> Result<R, RpcError> {
        self.ask_with(node, method, async { node.client.request::<P, R>(method, params).await }).await
    }

    /// Asks the node whose turn it is.
    pub async fn ask<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R, RpcError> {
        let node = self.node().await?;
        self.ask_of(node, method, params).await
    }
}

#[cfg(test)]
mod tests;
