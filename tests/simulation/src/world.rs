//! Everything outside the two services: the chain, its nodes with their faults, the people, the hub. It answers what the services
//! send, each request by chance of its own: by the seed, the step, what is asked and for the how many-th time.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    panic::resume_unwind,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use alloy::primitives::{B256, Bloom};
use axum::{
    Router,
    body::{Body, to_bytes},
    http,
};
use protocol::wire::feed::Delivery;
use serde_json::{Value, json};
use service::{
    clock::Clock,
    simulation::{Answer, Later, Request},
};
use tower::ServiceExt as _;

use crate::{
    chain::{BLOCK_SECONDS, Chain, View},
    dice::{Dice, digest},
    faults::Faults,
    hub::{Backups, Hub},
    node::Node,
    people::People,
    scene::SCENE,
};

/// What a killed service unwinds with.
pub struct Killed;

/// The nodes of a world by their URLs; those of the relayer come after those of the indexer.
pub fn node_url(at: usize) -> String {
    format!("http://node-{at}.simulated/")
}

/// Where the hub answers, and where the indexer does.
pub const HUB_URL: &str = "http://hub.simulated";
pub const INDEXER_URL: &str = "http://indexer.simulated";
/// Views of the chain that a backend of a node may still have.
const VIEWS: usize = 6;
/// Turns of the other tasks that a late answer waits at most; fewer than whoever writes to a database waits for all of them, so
/// that a seed stays one world.
const LATE_MAX: u64 = 24;

/// A world.
pub struct World {
    seed: u64,
    pub step: u64,
    pub faults: Faults,
    pub chain: Chain,
    pub people: People,
    pub hub: Hub,
    backups: Backups,
    /// The node that lies, if one does.
    pub liar: Option<usize>,
    blocks_max: u64,
    results_max: usize,
    views: VecDeque<View>,
    asked: HashMap<u64, u32>,
    /// A service is at work, so that it can be killed.
    pub at_work: bool,
    /// The service that was at work is dead, though a task of it may not know it yet.
    pub dead: bool,
    pub app: Option<Router>,
    /// Blocks of which a node left out what they have.
    pub hidden: HashSet<B256>,
    /// Every transaction that reached a node, or was lost on the way to it.
    pub sent: HashSet<B256>,
    /// What happened in each step, as one number; the order within a step does not count.
    pub trace: Vec<u64>,
    in_step: u64,
    dear_until: u64,
    /// Boundaries that were passed.
    pub points: u64,
    /// Somebody looks on.
    aloud: bool,
}

/// A world that services can be in.
#[derive(Clone)]
pub struct Shared {
    world: Arc<Mutex<World>>,
    now_ms: Arc<AtomicI64>,
}

impl Clock for Shared {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }
}

impl Shared {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::of(("world", seed));
        let faults = Faults::new(&mut dice);
        let chain = Chain::new(&SCENE.first, dice.within(4, 40));
        let world = World {
            seed,
            step: 0,
            faults,
            chain,
            people: People::default(),
            hub: Hub::default(),
            backups: Backups::default(),
            liar: None,
            blocks_max: dice.pick(&[10, 50, 1_000]),
            results_max: dice.pick(&[5, 100, 1_000]),
            views: VecDeque::new(),
            asked: HashMap::new(),
            at_work: false,
            dead: false,
            app: None,
            hidden: HashSet::new(),
            sent: HashSet::new(),
            trace: Vec::new(),
            in_step: 0,
            dear_until: 0,
            points: 0,
            aloud: std::env::var_os("EARNEST_SEED").is_some(),
        };
        let now_ms = Arc::new(AtomicI64::new(1_800_000_000_000));
        Self { world: Arc::new(Mutex::new(world)), now_ms }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn pass_ms(&self, ms: u64) {
        self.now_ms.fetch_add(i64::try_from(ms).unwrap(), Ordering::SeqCst);
    }
}

impl World {
    /// The chance of one occasion.
    fn occasion(&mut self, kind: &str, what: &[u8]) -> Dice {
        let key = digest((kind, what));
        let times = self.asked.entry(key).or_default();
        *times += 1;
        Dice::of((self.seed, self.step, key, *times))
    }

    /// Adds to the trace.
    pub fn note(&mut self, what: impl std::hash::Hash) {
        self.in_step = self.in_step.wrapping_add(digest(what));
    }

    /// Tells a person who looks on.
    pub fn say(&self, words: impl FnOnce() -> String) {
        if self.aloud {
            println!("  {:>4} {}", self.step, words());
        }
    }

    /// Lets the world go on for a step.
    pub fn turn(&mut self) {
        self.trace.push(std::mem::take(&mut self.in_step));
        self.asked.clear();
        self.step += 1;
        let mut dice = Dice::of((self.seed, "turn", self.step));
        let head = self.chain.view().head();
        if self.faults.strike("evicted", &mut dice) && !self.chain.evict(&mut dice) {
            self.faults.counts[crate::faults::index("evicted")] -= 1;
        }
        if self.faults.strike("fees rise", &mut dice) {
            self.chain.base_fee = 1_000_000_000 * dice.within(2, 30);
            self.dear_until = head + dice.within(3, 30);
        }
        if head >= self.dear_until || self.faults.calm {
            self.chain.base_fee = 1_000_000_000;
        }
        if self.faults.strike("same height", &mut dice) && self.chain.depth_max() >= 1 {
            self.chain.retreat(1, &mut dice);
            self.chain.mine(&mut dice);
        } else if self.faults.strike("reorganisation", &mut dice) && self.chain.depth_max() >= 1 {
            let depth = dice.within(1, self.chain.depth_max());
            self.chain.retreat(depth, &mut dice);
            let shorter = self.faults.strike("node goes back", &mut dice);
            let blocks = if shorter { dice.below(depth) } else { depth + dice.below(3) };
            for _ in 0..blocks {
                self.chain.mine(&mut dice);
            }
        }
        if self.faults.strike("hub put back", &mut dice)
            && let Some(before) = self.backups.one(&mut dice)
        {
            self.hub = before;
        }
        if !self.faults.calm {
            self.backups.keep(&self.hub);
        }
        let blocks = if self.faults.calm {
            2
        } else if self.faults.strike("chain runs ahead", &mut dice) {
            dice.within(2, 30)
        } else {
            dice.below(3)
        };
        for _ in 0..blocks {
            if !self.faults.calm && dice.hits(700_000) {
                self.people.act(&mut self.chain, &mut dice);
            }
            self.chain.mine(&mut dice);
        }
        let view = self.chain.view().clone();
        self.views.push_front(view);
        self.views.truncate(VIEWS);
        let view = self.chain.view();
        self.say(|| format!("head {} final {}", view.head(), view.finalized));
        self.note(("head", self.chain.head().hash, self.chain.view().finalized));
    }

    /// Seconds that a step takes by the clock.
    pub fn step_ms(&mut self) -> u64 {
        let mut dice = Dice::of((self.seed, "clock", self.step));
        let jump = if self.faults.strike("clock jumps", &mut dice) { dice.below(600_000) } else { 0 };
        dice.within(100, BLOCK_SECONDS * 1_000) + jump
    }

    /// What a node answers, and after how many turns of others.
    fn rpc(&mut self, node: usize, body: &[u8]) -> (Answer, u64) {
        let mut asked: Value = serde_json::from_slice(body).unwrap();
        let batch = asked.is_array();
        let calls = if batch { asked.as_array_mut().unwrap().split_off(0) } else { vec![asked] };
        // One request of HTTP is answered by one backend.
        let plain: Vec<_> = calls.iter().map(|call| (&call["method"], &call["params"])).collect();
        let plain = serde_json::to_vec(&(node, plain)).unwrap();
        let mut dice = self.occasion("rpc", &plain);
        self.note(&plain);
        let faults = &mut self.faults;
        let turns = if faults.strike("late answer", &mut dice) { dice.within(1, LATE_MAX) } else { 0 };
        for (fault, answer) in [("no answer", None), ("HTTP 502", Some((502, Vec::new())))] {
            if faults.strike(fault, &mut dice) {
                return (answer, turns);
            }
        }
        if faults.strike("asked too often", &mut dice) {
            return (Some((429, Vec::new())), turns);
        }
        let stale = faults.strike("stale answer", &mut dice);
        let back = if stale { dice.below(self.views.len() as u64) } else { 0 };
        let view = self.views[usize::try_from(back).unwrap()].clone();
        let answers: Vec<Value> = calls
            .iter()
            .map(|call| {
                let mut answer = self.one(node, view.clone(), call, &mut dice);
                answer["jsonrpc"] = json!("2.0");
                answer["id"] = call["id"].clone();
                answer
            })
            .collect();
        let answer = if batch { Value::Array(answers) } else { answers.into_iter().next().unwrap() };
        let mut answer = serde_json::to_vec(&answer).unwrap();
        self.note(digest(&answer));
        if self.faults.strike("answer cut off", &mut dice) {
            answer.truncate(usize::try_from(dice.below(answer.len() as u64)).unwrap());
        }
        (Some((200, answer)), turns)
    }

    fn one(&mut self, node: usize, view: View, call: &Value, dice: &mut Dice) -> Value {
        let method = call["method"].as_str().unwrap();
        let (params, faults) = (&call["params"], &mut self.faults);
        let refuse = |code: i64, words: &str| json!({"error": {"code": code, "message": words}});
        if faults.strike("null answer", dice) {
            return json!({"result": null});
        }
        if method == "eth_chainId" && faults.strike("other chain", dice) {
            return json!({"result": "0x1"});
        }
        if matches!(params[0].as_str(), Some("safe" | "finalized")) && faults.strike("no tag", dice) {
            return refuse(-39001, "Unknown block");
        }
        if method == "eth_sendRawTransaction" {
            let hash = alloy::primitives::keccak256(
                params[0].as_str().unwrap().parse::<alloy::primitives::Bytes>().unwrap(),
            );
            self.sent.insert(hash);
            if faults.strike("transaction lost", dice) {
                return refuse(-32000, "internal error");
            }
        }
        let range = method == "eth_getLogs" && !params[0]["fromBlock"].is_null();
        if range && !faults.calm {
            let number =
                |key: &str| params[0][key].as_str().unwrap().parse::<alloy::primitives::U64>().unwrap();
            let blocks = number("toBlock").to::<u64>().saturating_sub(number("fromBlock").to());
            if blocks >= self.blocks_max {
                faults.counts[crate::faults::index("range refused")] += 1;
                return refuse(
                    -32000,
                    &format!("block range is too large, at most {} blocks", self.blocks_max),
                );
            }
        }
        let answer = Node { chain: &mut self.chain, view }.answer(method, params);
        let faults = &mut self.faults;
        if method == "eth_sendRawTransaction" && faults.strike("answer lost", dice) {
            return refuse(-32000, "request timed out");
        }
        let mut answer = match answer {
            Ok(result) => result,
            Err((code, words, data)) => {
                let mut refusal = refuse(code, &words);
                if let Some(data) = data {
                    refusal["error"]["data"] = json!(data);
                }
                return refusal;
            }
        };
        if method == "eth_getLogs"
            && let Some(logs) = answer.as_array_mut()
            && !logs.is_empty()
        {
            if range && logs.len() > self.results_max && !faults.calm {
                faults.counts[crate::faults::index("range refused")] += 1;
                return refuse(-32005, &format!("query returned more than {} results", self.results_max));
            }
            let lies = self.liar == Some(node);
            if lies && faults.strike("logs left out", dice) {
                let log = logs.remove(usize::try_from(dice.below(logs.len() as u64)).unwrap());
                self.hidden.insert(block_of(&log));
            }
            if lies && faults.strike("logs hidden", dice) {
                self.hidden.extend(logs.drain(..).map(|log| block_of(&log)));
            }
            if !logs.is_empty() && faults.strike("log twice", dice) {
                let again = logs[0].clone();
                logs.push(again);
            }
        }
        let header = matches!(method, "eth_getBlockByNumber" | "eth_getBlockByHash") && answer.is_object();
        if header && self.liar == Some(node) && self.faults.strike("header fields", dice) {
            let (field, value) = dice.pick(&[
                ("logsBloom", json!(Bloom::ZERO)),
                ("receiptsRoot", json!(B256::repeat_byte(0xbb))),
                ("parentHash", json!(B256::repeat_byte(0xbb))),
                ("timestamp", json!("0x65000000")),
            ]);
            answer[field] = value;
        }
        json!({"result": answer})
    }

    /// What the hub answers.
    fn hub(&mut self, path: &str, body: &[u8]) -> Answer {
        let mut dice = self.occasion("hub", &[path.as_bytes(), body].concat());
        if self.faults.strike("peer away", &mut dice) {
            return None;
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let asked = |key: &str| -> u64 {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            value.unwrap().parse().unwrap()
        };
        let answer = match path {
            "/v1/chain-events" => {
                let delivery: Delivery = serde_json::from_slice(body).unwrap();
                if self.faults.strike("hub refuses", &mut dice) {
                    return Some((422, br#"{"detail":"not now"}"#.to_vec()));
                }
                for entry in &delivery.entries {
                    self.note((entry.seq, entry.event.id, entry.finality));
                }
                json!(self.hub.take(delivery))
            }
            "/v1/intents" => json!(self.hub.page(asked("after"), usize::try_from(asked("limit")).unwrap())),
            "/v1/intents/progress" => return Some((204, Vec::new())),
            other => panic!("the hub has no {other}"),
        };
        if self.faults.strike("peer's answer lost", &mut dice) {
            return None;
        }
        Some((200, serde_json::to_vec(&answer).unwrap()))
    }
}

fn block_of(log: &Value) -> B256 {
    log["blockHash"].as_str().unwrap().parse().unwrap()
}

impl service::simulation::World for Shared {
    fn answer(&self, request: Request) -> Later<Answer> {
        let rest = |base: &str| request.url.strip_prefix(base).map(str::to_owned);
        let mut world = self.world();
        if let Some(path) = rest(HUB_URL) {
            let answer = world.hub(&path, &request.body);
            return Box::pin(async move { answer });
        }
        if let Some(path) = rest(INDEXER_URL) {
            let mut dice = world.occasion("indexer", path.as_bytes());
            let away = world.faults.strike("peer away", &mut dice);
            let app = world.app.clone().filter(|_| !away);
            // Nobody waits in a world where nothing happens meanwhile.
            let path =
                path.split('&').filter(|pair| !pair.starts_with("wait=")).collect::<Vec<_>>().join("&");
            return Box::pin(async move {
                let request = http::Request::get(path).body(Body::empty()).unwrap();
                let answer = app?.oneshot(request).await.unwrap();
                let status = answer.status().as_u16();
                Some((status, to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec()))
            });
        }
        let node = rest("http://node-").and_then(|rest| rest.split('.').next()?.parse().ok());
        let (answer, turns) = world.rpc(node.unwrap(), &request.body);
        Box::pin(async move {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            answer
        })
    }

    fn pass(&self, point: &str) {
        let mut held = self.world();
        held.points += 1;
        let mut dice = held.occasion("point", point.as_bytes());
        let world = &mut *held;
        if world.at_work && world.faults.strike("killed", &mut dice) {
            world.note(("killed", point));
            world.dead = true;
        }
        if world.dead {
            drop(held);
            resume_unwind(Box::new(Killed));
        }
    }

    fn refuses(&self, point: &str) -> bool {
        let mut world = self.world();
        let mut dice = world.occasion("refused", point.as_bytes());
        let fault = if point.ends_with("begin") { "transaction refused" } else { "commit refused" };
        world.at_work && world.faults.strike(fault, &mut dice)
    }
}
