//! The nodes of a chain behind one client: asked in turn, the next one when one fails, and transactions sent to all.

mod alike;
mod each;
mod turn;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use alloy::{
    primitives::U256,
    rpc::{
        client::RpcClient,
        json_rpc::{Id, Request, RequestPacket, ResponsePacket, ResponsePayload, RpcError},
    },
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use futures::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use protocol::chain::ChainId;
use service::{failpoint, rpc::Http};
use tokio::{sync::Semaphore, time::Instant};
use tower::Service as _;

use self::alike::Alike;
pub use self::each::{One, most};
use super::{ChainError, strangers::Strangers};
use crate::{config::Config, error::Error};

/// The longest one node may take to answer.
const CALL_TIME: Duration = Duration::from_secs(15);
/// For how long the other nodes are waited for when one has taken a transaction.
const TAKEN_TIME: Duration = Duration::from_millis(250);
/// A node that failed after so long is left alone, as one is that let a transaction lie that another took; and for how long.
const SLOW: Duration = Duration::from_secs(5);
const REST: Duration = Duration::from_secs(30);
/// Transactions that are being handed on to late nodes at one time.
const UNWAITED_MAX: usize = 64;
/// The longest that another node may take to know what the first one does not, or one of another chain to name it again.
const SECOND_TIME: Duration = Duration::from_secs(2);
/// The methods whose answer "there is none" another node may know better.
const LOOKUPS: [&str; 2] = ["eth_getTransactionReceipt", "getSignatureStatuses"];
/// The methods whose answers name what they are about, as the first parameter may, and the field in which they do.
const NAMING: [(&str, &str); 2] =
    [("eth_getTransactionReceipt", "transactionHash"), ("eth_getBlockByNumber", "number")];
/// The methods that hand in a transaction.
const BROADCASTS: [&str; 2] = ["eth_sendRawTransaction", "sendTransaction"];
/// JSON-RPC's code for a revert, by the execution API.
const REVERTED: i64 = 3;
/// JSON-RPC's code for a method that is not served.
const NO_METHOD: i64 = -32_601;
/// How many characters are kept of what such a node says.
const WORDS_MAX: usize = 300;

/// How a node names the chain that it serves, and which it must be.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// By the configuration.
    pub chain: ChainId,
    /// The JSON-RPC method, which takes nothing and answers text.
    pub method: &'static str,
    /// Reads that; none where it names no chain.
    pub read: fn(&str) -> Option<ChainId>,
}

/// One node.
#[derive(Clone, Debug)]
struct Node {
    http: Http,
    identity: Option<Identity>,
    /// Whether it served the right chain since it last failed.
    right: Arc<AtomicBool>,
    /// Its place among all, and who is left alone because it did not.
    at: usize,
    strangers: Strangers,
}

impl Node {
    /// Asks a node that serves the right chain. After a failure that is looked at again: another process may answer at its
    /// address then.
    async fn call(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        if let Some(words) = self.strangers.rests(self.at) {
            return Err(TransportErrorKind::custom_str(&words));
        }
        let answer = async {
            if !self.right.load(Ordering::Relaxed) {
                self.prove().await?;
            }
            self.http.clone().call(packet).await
        };
        let answer = answer.await;
        if answer.is_err() {
            self.right.store(false, Ordering::Relaxed);
        }
        answer
    }

    /// Makes sure that it serves the right chain.
    async fn prove(&self) -> Result<(), TransportError> {
        self.check().await?;
        self.right.store(true, Ordering::Relaxed);
        self.strangers.forget(self.at);
        Ok(())
    }

    async fn check(&self) -> Result<(), TransportError> {
        let Some(Identity { chain, method, read }) = self.identity else { return Ok(()) };
        let request = Request::new(method, Id::Number(0), Vec::<()>::new());
        let request = request.serialize().map_err(RpcError::ser_err)?;
        let ResponsePacket::Single(answer) = self.http.clone().call(request.into()).await? else {
            return Err(self.is_strange(format!("{method}: many answers to one question")));
        };
        let served = match answer.payload {
            ResponsePayload::Success(text) => {
                serde_json::from_str::<String>(text.get()).ok().and_then(|text| read(&text))
            }
            // One that is asked too often, or has lost its own node for a moment, says nothing about its chain.
            ResponsePayload::Failure(error) if error.code != NO_METHOD => {
                return Err(TransportErrorKind::custom_str(&format!("{method}: {error}")));
            }
            ResponsePayload::Failure(error) => {
                return Err(self.is_strange(format!("{method}: {error}")));
            }
        };
        match served {
            Some(served) if served == chain => Ok(()),
            Some(served) => {
                let other = ChainError::OtherChain { wanted: chain, found: served.to_string() };
                Err(self.is_strange(other.to_string()))
            }
            None => Err(self.is_strange(format!("{method}: the answer names no chain"))),
        }
    }

    /// Notes that the node serves another chain, or does not say which.
    fn is_strange(&self, words: String) -> TransportError {
        let words: String = words.chars().take(WORDS_MAX).collect();
        tracing::error!(node = self.host(), words, "a node that is none of this chain is asked nothing");
        self.strangers.put(self.at, self.host(), &words);
        TransportErrorKind::custom_str(&words)
    }

    fn host(&self) -> String {
        self.http.host()
    }
}

/// The nodes, and whose turn it is. Each is asked nothing and handed nothing before it has named its chain, where that has a name; who
/// names another one is among the strangers. No error of theirs repeats more of an address than the host.
#[derive(Clone, Debug)]
pub struct Nodes {
    nodes: Arc<[Node]>,
    turn: Arc<AtomicUsize>,
    /// Which are asked nothing.
    mute: Rests,
    /// Which are not waited for when another one answers about a transaction.
    late: Rests,
    /// Places for what is handed on without waiting.
    unwaited: Arc<Semaphore>,
}

/// Until when which node is left alone.
#[derive(Clone, Debug, Default)]
struct Rests(Arc<Mutex<HashMap<usize, Instant>>>);

impl Rests {
    fn has(&self, at: usize) -> bool {
        let rests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rests.get(&at).is_some_and(|until| *until > Instant::now())
    }

    /// Ends a node's rest.
    fn end(&self, at: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&at);
    }

    /// Leaves a node alone for a while.
    fn put(&self, at: usize) {
        let until = Instant::now().checked_add(REST);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(until.map(|until| (at, until)));
    }
}

impl Nodes {
    /// The nodes of the configuration; nothing is sent yet.
    ///
    /// # Errors
    /// A URL is not http or https.
    pub fn new(config: &Config, identity: Option<Identity>, strangers: &Strangers) -> Result<Self, Error> {
        let refuse = |reason| Error::Config { key: "rpc_urls", reason };
        let nodes = config.rpc_urls.iter().map(|url| Http::new(url, CALL_TIME, config.answer_bytes_max));
        let nodes: Vec<Http> = nodes.collect::<Result<_, _>>().map_err(refuse)?;
        let node =
            |(at, http)| Node { http, identity, right: Arc::default(), at, strangers: strangers.clone() };
        let nodes: Vec<Node> = nodes.into_iter().enumerate().map(node).collect();
        if nodes.is_empty() {
            return Err(refuse("there must be at least one".to_owned()));
        }
        Ok(Self {
            nodes: nodes.into(),
            turn: Arc::default(),
            mute: Rests::default(),
            late: Rests::default(),
            unwaited: Arc::new(Semaphore::new(UNWAITED_MAX)),
        })
    }

    /// Whether there is more than one.
    pub fn are_several(&self) -> bool {
        self.nodes.len() > 1
    }

    /// A client that asks them in turn, and hands transactions to all.
    pub fn client(&self) -> RpcClient {
        RpcClient::new(self.clone(), false)
    }

    /// Where there are several, another one for calls alone, whose answers are what more than half of them tell alike.
    pub fn alike(&self) -> Option<RpcClient> {
        self.are_several().then(|| RpcClient::new(Alike(self.clone()), false))
    }

    /// Asks the node whose turn it is, and the others when it fails or objects. A revert is an answer.
    async fn ask(self, packet: RequestPacket, lookup: bool) -> Result<ResponsePacket, TransportError> {
        let count = self.nodes.len();
        let first = self.turn.load(Ordering::Relaxed);
        let mut unknown = None;
        let mut objection = None;
        let mut failures = Vec::new();
        let everybody_rests = (0..count).all(|at| self.mute.has(at));
        for offset in 0..count {
            let turn = first.wrapping_add(offset);
            let Some((at, node)) = turn.checked_rem(count).and_then(|at| Some((at, self.nodes.get(at)?)))
            else {
                break;
            };
            if self.mute.has(at) && !everybody_rests {
                continue;
            }
            let begun = Instant::now();
            let rested = node.strangers.rests(at).is_some();
            let call = node.clone().call(packet.clone());
            let answer = if unknown.is_some() {
                match tokio::time::timeout(SECOND_TIME, call).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        self.mute.put(at);
                        continue;
                    }
                }
            } else {
                call.await
            };
            // One that mixes up its answers says nothing about this, and the next one may.
            let answer = answer.and_then(|answer| match of_another(&packet, &answer) {
                Some(words) => Err(TransportErrorKind::custom_str(&words)),
                None => Ok(answer),
            });
            match answer {
                Ok(answer) if lookup && knows_none(&answer) => unknown = unknown.or(Some(answer)),
                Ok(answer) if !objects(&answer) => return Ok(answer),
                // It may lag, or keep less than another: that does not move the turn.
                Ok(answer) => objection = objection.or(Some(answer)),
                Err(error) => {
                    // Of one that rests nothing was asked.
                    if !rested {
                        metrics::counter!("relayer_rpc_failures_total", "node" => node.host()).increment(1);
                    }
                    if begun.elapsed() >= SLOW {
                        self.mute.put(at);
                    }
                    let _moved = self.turn.compare_exchange(
                        turn,
                        turn.wrapping_add(1),
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                    failures.push(format!("{}: {error}", node.host()));
                }
            }
        }
        match unknown.or(objection) {
            Some(answer) => Ok(answer),
            None => Err(TransportErrorKind::custom_str(&failures.join("; "))),
        }
    }

    /// Looks again at nodes of another chain whose rest is over and to which what is asked did not come, each once in a while: one
    /// that has become right is said no longer. One that hangs is hardly waited for.
    async fn look_again(&self) {
        // All have the same list.
        let rested = self.nodes.first().map(|node| node.strangers.rested()).unwrap_or_default();
        let some: Vec<Node> = rested.into_iter().filter_map(|at| self.nodes.get(at).cloned()).collect();
        let looks: Vec<_> = some.iter().map(|node| tokio::time::timeout(SECOND_TIME, node.prove())).collect();
        drop(join_all(looks).await);
    }

    /// Hands a transaction to every node: one that takes it is enough, and the others are hardly waited for. One that hangs is
    /// waited for once in a while, whether another one answers or not; it is handed the rest without waiting.
    async fn broadcast(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let all = 0..self.nodes.len();
        let (mute, others): (Vec<usize>, Vec<usize>) = all.partition(|at| self.mute.has(*at));
        let (late, awake): (Vec<usize>, Vec<usize>) = others.into_iter().partition(|at| self.late.has(*at));
        let answer = self.hand_to(&awake, &packet).await;
        // That it is known already, or its nonce used, is an answer as well.
        if let Some(Ok(answer)) = answer {
            self.hand_on(&late, &packet);
            return Ok(answer);
        }
        let last = self.hand_to(&late, &packet).await;
        if !matches!(last, Some(Ok(_))) {
            self.hand_on(&mute, &packet);
        }
        match (last, answer) {
            (Some(Ok(last)), _) => Ok(last),
            (_, Some(answer)) | (Some(answer), None) => answer,
            (None, None) => {
                Err(TransportErrorKind::custom_str("every node ran into its time: not waited for"))
            }
        }
    }

    /// Hands a transaction to nodes that are late, and waits for none: the one that took it may keep it to itself. One that
    /// answers rests no longer.
    fn hand_on(&self, some: &[usize], packet: &RequestPacket) {
        for at in some.iter().copied() {
            let (Some(node), Ok(place)) = (self.nodes.get(at), self.unwaited.clone().try_acquire_owned())
            else {
                continue;
            };
            let (call, mute) = (node.clone().call(packet.clone()), self.mute.clone());
            tokio::spawn(async move {
                if call.await.is_ok() {
                    mute.end(at);
                }
                drop(place);
            });
        }
    }

    /// Hands a transaction to these nodes; the answer of the first that took it, or else the one that says most.
    async fn hand_to(
        &self,
        some: &[usize],
        packet: &RequestPacket,
    ) -> Option<Result<ResponsePacket, TransportError>> {
        let mut silent: HashSet<usize> = some.iter().copied().collect();
        let calls = some.iter().filter_map(|at| Some((*at, self.nodes.get(*at)?)));
        let mut asked: FuturesUnordered<_> = calls
            .map(|(at, node)| {
                let (begun, call) = (Instant::now(), node.clone().call(packet.clone()));
                async move {
                    let answer = call.await.map_err(|error| {
                        if begun.elapsed() >= SLOW {
                            self.mute.put(at);
                        }
                        named(node, &error)
                    });
                    (at, answer)
                }
            })
            .collect();
        let mut worst = None;
        while let Some((at, answer)) = asked.next().await {
            silent.remove(&at);
            match answer {
                Ok(taken) if !taken.is_error() => {
                    let others = async {
                        while let Some((at, _)) = asked.next().await {
                            silent.remove(&at);
                        }
                    };
                    if tokio::time::timeout(TAKEN_TIME, others).await.is_err() {
                        silent.into_iter().for_each(|at| self.late.put(at));
                    }
                    return Some(Ok(taken));
                }
                Ok(refused) => worst = Some(Ok(refused)),
                Err(error) => worst = worst.or(Some(Err(error))),
            }
        }
        worst
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

/// Whether an answer says that what was looked up is not there, or not all of it.
fn knows_none(answer: &ResponsePacket) -> bool {
    let ResponsePacket::Single(response) = answer else { return false };
    let ResponsePayload::Success(found) = &response.payload else { return false };
    let Ok(found) = serde_json::from_str::<serde_json::Value>(found.get()) else { return false };
    let statuses = found.get("value").and_then(serde_json::Value::as_array);
    found.is_null() || statuses.is_some_and(|statuses| statuses.iter().any(serde_json::Value::is_null))
}

/// What an answer is about, and what was asked for, where that is another transaction or block.
fn of_another(packet: &RequestPacket, answer: &ResponsePacket) -> Option<String> {
    let (RequestPacket::Single(request), ResponsePacket::Single(response)) = (packet, answer) else {
        return None;
    };
    let (method, field) = NAMING.into_iter().find(|(method, _)| *method == request.method())?;
    let ResponsePayload::Success(found) = &response.payload else { return None };
    let params: Vec<serde_json::Value> = serde_json::from_str(request.params()?.get()).ok()?;
    // A block may be asked for by a name, as the newest one is.
    let wanted = params.first()?.as_str().filter(|wanted| wanted.starts_with("0x"))?;
    let answered: serde_json::Value = serde_json::from_str(found.get()).ok()?;
    let found = answered.get(field)?.as_str()?;
    // As numbers, hashes too: nodes write them in more than one way.
    let number = |text: &str| text.parse::<U256>().ok();
    let differs = Some(number(wanted)?) != number(found);
    differs.then(|| format!("{method}: {wanted} was asked for, and an answer about another, {found}, came"))
}

fn named(node: &Node, error: &TransportError) -> TransportError {
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
                let lookup = LOOKUPS.contains(&method.as_str());
                let answer = nodes.clone().ask(packet, lookup).await;
                nodes.look_again().await;
                answer
            };
            failpoint::pass(&["relayer.rpc", &method, "after"]);
            answer
        })
    }
}
