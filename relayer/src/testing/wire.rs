//! A node that can lose calls, memories and its mind.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// What becomes of the transactions that are sent over a wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// They arrive.
    #[default]
    Arrive,
    /// They are lost.
    Lost,
    /// They arrive, and the answer is lost.
    Unanswered,
    /// They are lost, and the answer says this.
    Refused(&'static str),
    /// They are lost, and those that were not sent before are never answered: who sends them waits until it is killed.
    Held,
}

/// What a node that stands still says again.
const STILL: [&str; 5] =
    ["eth_blockNumber", "eth_getBlockByNumber", "getBlockHeight", "getMultipleAccounts", "getSlot"];
/// Of how many blocks a forgetful node keeps the state.
pub const KEPT_BLOCKS: u64 = 32;

/// A node that can lose transactions on their way in, and memories.
pub struct Wire {
    pub url: String,
    state: Arc<Mutex<Ways>>,
    _task: JoinHandle<()>,
}

/// The method whose answers are changed, and how.
type Mistake = (&'static str, fn(&mut Value));

/// How the node behaves, and what it was asked.
#[derive(Default)]
struct Ways {
    fate: Fate,
    forgetful: bool,
    blind: bool,
    /// Of this transaction alone it knows nothing, and says of every other that it is final.
    lost: Option<String>,
    /// It does not serve this method.
    lacks: Option<&'static str>,
    /// The next call of this method it answers with this error.
    stumbles: Option<(&'static str, i64, String)>,
    /// What it answers to calls of this method is changed by this.
    wrong: Option<Mistake>,
    /// It says of calls of this method that they revert with this.
    reverts: Option<(&'static str, String)>,
    /// It never answers calls of this method that say this.
    silent: Option<(&'static str, String)>,
    /// It answers nothing.
    away: bool,
    /// It stands still, and this is what it said since then.
    still: Option<HashMap<String, Value>>,
    /// Another node than at first answers at its address.
    other: Option<String>,
    /// It counts so many transactions of every account.
    nonces: Option<u64>,
    sent: Vec<String>,
    asked: HashMap<String, usize>,
    unanswered: usize,
}

#[derive(Clone)]
struct Forward {
    to: String,
    state: Arc<Mutex<Ways>>,
    client: reqwest::Client,
}

impl Wire {
    pub async fn to(rpc_url: String) -> Self {
        let state: Arc<Mutex<Ways>> = Arc::default();
        let forward = Forward { to: rpc_url, state: state.clone(), client: reqwest::Client::new() };
        let routes = Router::new().route("/", post(pass_on)).with_state(forward);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, state, _task: task }
    }

    fn state<T>(&self, look: impl FnOnce(&mut Ways) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    /// Whether every call is lost.
    pub fn away(&self, away: bool) {
        self.state(|ways| ways.away = away);
    }

    /// The node stands still from now on: of how far the chain is, and of accounts on Solana, it says again what it said first.
    pub async fn stand_still(&self) {
        self.state(|ways| ways.still = Some(HashMap::new()));
        // Whoever asks this first later is told how far the chain is now.
        let confirmed = json!([{ "commitment": "confirmed" }]);
        for call in [
            json!({ "jsonrpc": "2.0", "id": 0, "method": "eth_blockNumber" }),
            json!({ "jsonrpc": "2.0", "id": 0, "method": "getSlot", "params": confirmed }),
        ] {
            reqwest::Client::new().post(&self.url).json(&call).send().await.unwrap();
        }
    }

    /// The node at this address answers from now on.
    pub fn lead_to(&self, rpc_url: String) {
        self.state(|ways| ways.other = Some(rpc_url));
    }

    /// Whether transactions are lost.
    pub fn cut(&self, cut: bool) {
        self.fate(if cut { Fate::Lost } else { Fate::Arrive });
    }

    /// What becomes of transactions from now on.
    pub fn fate(&self, fate: Fate) {
        self.state(|ways| ways.fate = fate);
    }

    /// Whether the node has forgotten what was: the state of all but the last [`KEPT_BLOCKS`] on an EVM chain, every
    /// transaction on Solana.
    pub fn forget(&self, forgetful: bool) {
        self.state(|ways| ways.forgetful = forgetful);
    }

    /// The node knows nothing of this transaction on Solana, and says of every other that it is final.
    pub fn lose(&self, signature: &str) {
        self.state(|ways| ways.lost = Some(signature.to_owned()));
    }

    /// Whether the node knows no receipt, as one that lags.
    pub fn blind(&self, blind: bool) {
        self.state(|ways| ways.blind = blind);
    }

    /// The node never answers calls of this method that say this, in lower case.
    pub fn hang(&self, method: &'static str, saying: &str) {
        self.state(|ways| ways.silent = Some((method, saying.to_lowercase())));
    }

    /// The node does not serve this method, or every one.
    pub fn lack(&self, method: Option<&'static str>) {
        self.state(|ways| ways.lacks = method);
    }

    /// The node answers the next call of this method with this error, and is right again.
    pub fn stumble(&self, method: &'static str, code: i64, words: &str) {
        self.state(|ways| ways.stumbles = Some((method, code, words.to_owned())));
    }

    /// Changes whatever the node answers to calls of this method, but for nothing.
    pub fn mistake(&self, method: &'static str, how: fn(&mut Value)) {
        self.state(|ways| ways.wrong = Some((method, how)));
    }

    /// The node says of every call of this method that it reverts with this, in hexadecimal.
    pub fn revert(&self, method: &'static str, data: &str) {
        self.state(|ways| ways.reverts = Some((method, data.to_owned())));
    }

    /// What the node answers is right again.
    pub fn is_right(&self) {
        self.state(|ways| (ways.wrong, ways.reverts) = (None, None));
    }

    /// How many calls it never answered.
    pub fn unanswered(&self) -> usize {
        self.state(|ways| ways.unanswered)
    }

    /// The node counts so many transactions of every account, or as many as there are.
    pub fn count(&self, nonces: Option<u64>) {
        self.state(|ways| ways.nonces = nonces);
    }

    /// Every transaction that was sent, lost or not.
    pub fn sent(&self) -> Vec<String> {
        self.state(|ways| ways.sent.clone())
    }

    /// How many calls of a method there were.
    pub fn asked(&self, method: &str) -> usize {
        self.state(|ways| ways.asked.get(method).copied().unwrap_or(0))
    }
}

impl Forward {
    async fn ask(&self, call: &Value) -> Value {
        let answer = self.client.post(&self.to).json(call).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// What a node says that has forgotten what is asked for; none where it has not.
    async fn forgotten(&self, call: &Value) -> Option<Value> {
        let id = &call["id"];
        let at = match call["method"].as_str()? {
            "getSignatureStatuses" => {
                let mut answer = self.ask(call).await;
                for status in answer["result"]["value"].as_array_mut()? {
                    *status = Value::Null;
                }
                return Some(answer);
            }
            "eth_call" | "eth_getTransactionCount" => &call["params"][1],
            _ => return None,
        };
        let header = |method: &str, which: &Value| {
            let call = json!({ "jsonrpc": "2.0", "id": 0, "method": method, "params": [which, false] });
            let forward = self.clone();
            async move { forward.ask(&call).await["result"]["number"].clone() }
        };
        let number = |value: Value| u64::from_str_radix(value.as_str()?.trim_start_matches("0x"), 16).ok();
        let asked = match (&at["blockHash"], at.as_str()) {
            (Value::String(_), _) => header("eth_getBlockByHash", &at["blockHash"]).await,
            (_, Some(hash)) if hash.len() == 66 => header("eth_getBlockByHash", at).await,
            _ => header("eth_getBlockByNumber", at).await,
        };
        let latest = number(header("eth_getBlockByNumber", &"latest".into()).await)?;
        let kept = number(asked)? + KEPT_BLOCKS > latest;
        let refusal = json!({ "code": -32000, "message": "missing trie node" });
        (!kept).then(|| json!({ "jsonrpc": "2.0", "id": id, "error": refusal }))
    }
}

async fn pass_on(State(mut forward): State<Forward>, body: Bytes) -> Response {
    let call: Value = serde_json::from_slice(&body).unwrap();
    let (id, method) = (&call["id"], call["method"].as_str().unwrap());
    let answered =
        |result: Value| Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response();
    let (mut fate, mut held) = (Fate::Arrive, false);
    let (silent, lacks, stumbled, reverted, blind, forgetful, nonces, away, lost, wrong, still) = {
        let mut ways = forward.state.lock().unwrap();
        *ways.asked.entry(method.to_owned()).or_default() += 1;
        if ["eth_sendRawTransaction", "sendTransaction"].contains(&method) {
            let raw = call["params"][0].as_str().unwrap().to_owned();
            fate = ways.fate;
            held = fate == Fate::Held && !ways.sent.contains(&raw);
            ways.sent.push(raw);
        }
        let silent = ways.silent.as_ref().is_some_and(|(silent, saying)| {
            *silent == method && call["params"].to_string().to_lowercase().contains(saying)
        });
        ways.unanswered += usize::from(silent);
        if let Some(other) = &ways.other {
            forward.to.clone_from(other);
        }
        (
            silent,
            ways.lacks == Some(method),
            ways.stumbles.take_if(|(stumbles, ..)| *stumbles == method),
            ways.reverts.clone().filter(|(reverts, _)| *reverts == method),
            ways.blind,
            ways.forgetful,
            ways.nonces,
            ways.away,
            ways.lost.clone(),
            ways.wrong.filter(|(wrong, _)| *wrong == method),
            ways.still.is_some(),
        )
    };
    if away {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    if let (Some(lost), "getSignatureStatuses") = (&lost, method) {
        let known =
            json!({ "slot": 1, "confirmations": null, "err": null, "confirmationStatus": "finalized" });
        let status =
            |signature: &Value| if signature.as_str() == Some(lost) { Value::Null } else { known.clone() };
        let mut answer = forward.ask(&call).await;
        answer["result"]["value"] = call["params"][0].as_array().unwrap().iter().map(status).collect();
        return Json(answer).into_response();
    }
    if silent || held {
        return std::future::pending().await;
    }
    if lacks {
        let refusal = json!({ "code": -32601, "message": "the method is not available" });
        return Json(json!({ "jsonrpc": "2.0", "id": id, "error": refusal })).into_response();
    }
    if let Some((_, code, words)) = stumbled {
        let refusal = json!({ "code": code, "message": words });
        return Json(json!({ "jsonrpc": "2.0", "id": id, "error": refusal })).into_response();
    }
    if let Some((_, data)) = reverted {
        let refusal = json!({ "code": 3, "message": "execution reverted", "data": data });
        return Json(json!({ "jsonrpc": "2.0", "id": id, "error": refusal })).into_response();
    }
    match (fate, method, nonces) {
        (Fate::Lost | Fate::Held, ..) => return StatusCode::BAD_GATEWAY.into_response(),
        (Fate::Refused(words), ..) => {
            let refusal = json!({ "code": -32000, "message": words });
            return Json(json!({ "jsonrpc": "2.0", "id": id, "error": refusal })).into_response();
        }
        (_, "eth_getTransactionReceipt", _) if blind => return answered(Value::Null),
        (_, "eth_getTransactionCount", Some(count)) => return answered(format!("{count:#x}").into()),
        _ => {}
    }
    if forgetful && let Some(answer) = forward.forgotten(&call).await {
        return Json(answer).into_response();
    }
    if still && STILL.contains(&method) {
        let question = format!("{method} {}", call["params"]);
        let before =
            forward.state.lock().unwrap().still.as_ref().and_then(|said| said.get(&question).cloned());
        let result = match before {
            Some(result) => result,
            None => forward.ask(&call).await["result"].clone(),
        };
        forward.state.lock().unwrap().still.get_or_insert_default().insert(question, result.clone());
        return answered(result);
    }
    if let Some((_, how)) = wrong {
        let mut answer = forward.ask(&call).await;
        if !answer["result"].is_null() {
            how(&mut answer["result"]);
        }
        return Json(answer).into_response();
    }
    let answer = forward.client.post(&forward.to).header(header::CONTENT_TYPE, "application/json").body(body);
    match answer.send().await {
        Ok(answer) if fate == Fate::Arrive => answer.bytes().await.unwrap().into_response(),
        _ => StatusCode::BAD_GATEWAY.into_response(),
    }
}
