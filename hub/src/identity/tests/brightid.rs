//! Proof of personhood by a server that speaks a BrightID node's API v6.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinHandle};

use super::persons::{LIFE_MS, claim, listing, required};
use crate::{
    config::Config,
    identity::BrightId,
    testing::{
        Person, START_MS, TestHub,
        answers::Answers,
        noise::{edited, edits, grafted, grafts, json as any_json},
    },
};

const EXPRESSION: &str = "BrightID and Bitu.score>0";

/// What the node knows and how it answers: members of its answers that a test has it say otherwise.
#[derive(Default)]
struct Known {
    /// Users that are linked, and whether BrightID calls the person unique.
    linked: BTreeMap<String, bool>,
    /// Changed in the next answers, after signing.
    said: BTreeMap<&'static str, Value>,
    /// Unix milliseconds.
    at: i64,
    stranger: bool,
}

struct Node {
    url: String,
    known: Arc<Mutex<Known>>,
    task: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn public(seed: u8) -> String {
    STANDARD.encode(key(seed).verifying_key().to_bytes())
}

impl Node {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/node/v6", listener.local_addr().unwrap());
        let known = Arc::new(Mutex::new(Known { at: START_MS, ..Known::default() }));
        let app = Router::new()
            .route("/node/v6/verifications/{app}/{user}", get(verifications))
            .with_state(known.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, known, task }
    }

    fn set(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap());
    }
}

/// What a node says of a user, signed with the key of a seed where it is that the person is unique.
fn verification(app: &str, user: &str, unique: bool, at: i64, seed: u8) -> Value {
    let hash = hex::encode(Sha256::digest(EXPRESSION));
    let mut one = json!({
        "unique": unique, "app": app, "appUserId": user, "verification": EXPRESSION, "verificationHash": hash,
        "timestamp": at, "sig": "",
    });
    if unique {
        let message = format!("{app},{user},{hash},{at}");
        one["sig"] = json!(STANDARD.encode(key(seed).sign(message.as_bytes()).to_bytes()));
        one["publicKey"] = json!(public(seed));
    }
    one
}

/// As a node answers `GET /verifications/:app/:appUserId`.
async fn verifications(
    State(known): State<Arc<Mutex<Known>>>,
    Path((app, user)): Path<(String, String)>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let known = known.lock().unwrap();
    let Some(unique) = known.linked.get(&user) else {
        let told = format!("{user} is not linked");
        return (StatusCode::NOT_FOUND, Json(json!({ "error": true, "code": 404, "errorMessage": told })));
    };
    assert_eq!((asked["signed"].as_str(), asked["timestamp"].as_str()), ("nacl", "milliseconds"));
    let mut one = verification(&app, &user, *unique, known.at, if known.stranger { 8 } else { 7 });
    for (name, value) in &known.said {
        one[*name] = value.clone();
    }
    (StatusCode::OK, Json(json!({ "data": [one] })))
}

#[tokio::test]
async fn a_brightid_nodes_signed_word_makes_a_person() {
    let node = Node::start().await;
    let change = |config: &mut Config| {
        required(config);
        config.brightid_url.clone_from(&node.url);
        config.brightid_app = "earnest".to_owned();
        config.brightid_signers = vec![public(6), public(7)];
    };
    for hub in TestHub::on_both_with(change).await {
        node.set(|known| *known = Known { at: START_MS, ..Known::default() });
        let anna = Person::arrive(&hub, 1).await;
        let asks = || {
            hub.clock.pass_ms(1);
            claim(&hub, &anna, json!({ "brightid": {} }))
        };
        let refused = hub.refuses(&listing(&hub, &anna, "Early")).await;
        assert_eq!((refused.0, refused.1.as_str(), refused.2.as_str()), (403, "access", "personhood"));
        assert_eq!(hub.refuses(&asks()).await.2, "not_a_person");
        node.set(|known| known.linked.extend([(anna.account.to_string(), false)]));
        assert_eq!(hub.refuses(&asks()).await.2, "not_a_person");
        node.set(|known| known.linked.extend([(anna.account.to_string(), true)]));
        // What the node did not sign, or somebody else did, is not believed, and leaves nothing.
        let before = hub.rows().await;
        let day = 24 * 60 * 60 * 1000;
        let other_hash = hex::encode(Sha256::digest("nothing"));
        let wrong = [
            ("app", json!("elsewhere")),
            ("appUserId", json!("somebody")),
            ("verification", json!("nothing")),
            ("verificationHash", json!(other_hash)),
            ("timestamp", json!(START_MS + 1)),
            ("timestamp", Value::Null),
            ("publicKey", json!(public(6))),
            ("publicKey", json!("AAAA")),
            ("sig", json!(STANDARD.encode([1; 64]))),
            ("sig", json!({ "r": "00", "s": "00", "v": 27 })),
            ("unique", json!("yes")),
        ];
        for (name, value) in wrong {
            node.set(|known| known.said = BTreeMap::from([(name, value.clone())]));
            let answer = hub.post("/v1/records", &asks()).await;
            assert_eq!(answer.refusal().0, 503, "{name}: {value}: {answer:?}");
        }
        node.set(|known| known.said.clear());
        for (stranger, at) in [(true, START_MS), (false, START_MS - 91 * day), (false, START_MS + day)] {
            node.set(|known| (known.stranger, known.at) = (stranger, at));
            assert_eq!(hub.post("/v1/records", &asks()).await.refusal().0, 503, "{stranger} {at}");
        }
        assert_eq!(hub.rows().await, before);
        node.set(|known| (known.stranger, known.at) = (false, START_MS));
        hub.say(&asks()).await;
        hub.say(&listing(&hub, &anna, "A bicycle, repaired")).await;
        let view = hub.get(&format!("/v1/accounts/{}", anna.account)).await.body;
        assert_eq!(view["personhood"][0]["provider"], "brightid");
        let setting = hub.get("/v1/personhood").await.body;
        assert_eq!((&setting["required"], &setting["brightid"]), (&json!(true), &json!("earnest")));
        // Good for 90 days, then the node is asked again.
        hub.clock.pass_ms(LIFE_MS - 1);
        hub.say(&listing(&hub, &anna, "Another one")).await;
        hub.clock.pass_ms(1);
        assert_eq!(hub.refuses(&listing(&hub, &anna, "Late")).await.2, "personhood");
        node.set(|known| known.at = START_MS + LIFE_MS);
        hub.say(&asks()).await;
        hub.say(&listing(&hub, &anna, "Late")).await;
        hub.end().await;
    }
}

#[tokio::test]
async fn a_silent_node_makes_nobody_a_person() {
    let change = |config: &mut Config| {
        config.brightid_url = "http://127.0.0.1:1".to_owned();
        config.brightid_app = "earnest".to_owned();
        config.brightid_signers = vec![public(7)];
    };
    for hub in TestHub::on_both_with(change).await {
        let anna = Person::arrive(&hub, 1).await;
        let answer = hub.post("/v1/records", &claim(&hub, &anna, json!({ "brightid": {} }))).await;
        assert_eq!(answer.refusal().0, 503);
        hub.end().await;
    }
}

/// Whatever a node answers: believed are the words that it signed, and nothing beside them.
#[test]
fn an_answer_of_a_node_is_its_signed_words_or_cannot_be_used() {
    let runtime = Runtime::new().unwrap();
    let answers = runtime.block_on(Answers::start());
    let config = Config {
        brightid_url: answers.url.clone(),
        brightid_app: "earnest".to_owned(),
        brightid_signers: vec![public(7)],
        ..Config::default()
    };
    let node = BrightId::new(&config).unwrap().unwrap();
    let person = |status: u16, body: Vec<u8>| {
        answers.say([(status, "application/json", body)]);
        runtime.block_on(node.person("somebody", START_MS))
    };
    let [linked, unknown] =
        [true, false].map(|unique| verification("earnest", "somebody", unique, START_MS, 7));
    let good = json!({ "data": [unknown, linked] });
    let bytes = serde_json::to_vec(&good).unwrap();
    assert_eq!(person(200, bytes.clone()).unwrap().as_deref(), Some("somebody"));
    assert_eq!(person(404, bytes.clone()).unwrap(), None);
    for status in [302, 500] {
        assert!(person(status, bytes.clone()).unwrap_err().to_string().contains("cannot be used"));
    }
    let long = person(200, vec![b' '; 64 * 1024 + 1]).unwrap_err().to_string();
    assert!(long.contains("more than"), "{long}");
    proptest!(|(edits in edits(), grafts in grafts(), other in any_json())| {
        let grafted = serde_json::to_vec(&grafted(&good, &grafts)).unwrap();
        for body in [edited(&bytes, &edits), grafted, serde_json::to_vec(&other).unwrap()] {
            match person(200, body.clone()) {
                Ok(None) => {}
                Ok(Some(name)) => {
                    let read: Value = serde_json::from_slice(&body).unwrap();
                    let all = read["data"].as_array().unwrap().iter();
                    let said: Vec<_> = all.filter(|one| one["unique"] == json!(true)).collect();
                    prop_assert!(name == "somebody" && !said.is_empty());
                    for (member, value) in linked.as_object().unwrap() {
                        prop_assert!(said.iter().all(|one| one[member] == *value), "{member}: {read}");
                    }
                }
                Err(error) => {
                    let told = error.to_string();
                    prop_assert!(told.contains("cannot be used"), "{told}");
                }
            }
        }
    });
}
