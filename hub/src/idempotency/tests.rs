//! The same request twice, over HTTP on both engines; and a hub that dies between the effect and the answer. What is kept of
//! offers of credentials is in `reputation/tests/wallets.rs`.

use std::{path::Path, sync::Arc};

use axum::http::{HeaderMap, HeaderValue};
use futures::future::select;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::db::Engine;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{HEADER, read};
use crate::{
    config::Config,
    testing::{
        Answer, Person, START_MS, StillClock, TestHub, death,
        noise::{edited, edits, text},
    },
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

async fn open(hub: &TestHub, key: &str, body: &Value) -> Answer {
    hub.ask(hub.request(reqwest::Method::POST, "/v1/sessions").header(HEADER, key).json(body)).await
}

async fn make(hub: &TestHub, session: &str, key: &str, body: &Value) -> Answer {
    let request = hub.request(reqwest::Method::POST, "/v1/tokens").bearer_auth(session);
    hub.ask(request.header(HEADER, key).json(body)).await
}

async fn count(hub: &TestHub, table: &str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}"));
    sqlx::query_scalar(sql).fetch_one(&hub.eyes).await.unwrap()
}

fn reused() -> (u16, &'static str, &'static str, &'static str) {
    (422, "", "idempotency_key_reused", HEADER)
}

#[tokio::test]
async fn a_request_sent_again_has_its_effect_once_and_the_same_answer() {
    for mut hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let asked = anna.session_request(&hub).await;
        let first = open(&hub, "\"8e03978e-40d5\"", &asked).await;
        assert_eq!((first.status, first.kind.as_str()), (201, "application/json"), "{first:?}");
        let session = first.body["token"].as_str().unwrap().to_owned();
        // With or without the quotes; also after a restart.
        for key in ["\"8e03978e-40d5\"", "8e03978e-40d5"] {
            let again = open(&hub, key, &asked).await;
            assert_eq!((again.status, &again.body), (201, &first.body));
        }
        hub.restart_after(1_000).await;
        assert_eq!(open(&hub, "8e03978e-40d5", &asked).await.body, first.body);
        assert_eq!(hub.get_as(&session, "/v1/ledger/accounts").await.status, 200);
        assert_eq!(count(&hub, "sessions").await, 1);
        // Another key is another request, and its nonce has served.
        assert_eq!(open(&hub, "another", &asked).await.refusal().0, 401);

        let bought = json!({ "label": "the bookkeeper", "scopes": ["read:ledger"], "days": 30 });
        let asked = anna.token_request(&hub, bought).await;
        let first = make(&hub, &session, "t.1", &asked).await;
        assert_eq!(first.status, 201, "{first:?}");
        assert_eq!(make(&hub, &session, "t.1", &asked).await.body, first.body);
        assert_eq!(count(&hub, "sessions").await, 2);
        let token = first.body["token"].as_str().unwrap();
        assert_eq!(hub.get_as(token, "/v1/ledger/accounts").await.status, 200);
        hub.end().await;
    }
}

#[tokio::test]
async fn a_key_is_for_one_request_of_one_account() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let (ours, theirs) = (anna.session_request(&hub).await, ben.session_request(&hub).await);
        let first = open(&hub, "k", &ours).await;
        assert_eq!(first.status, 201);
        // The same key of another account is another key.
        let other = open(&hub, "k", &theirs).await;
        assert_eq!(other.status, 201);
        assert_ne!(other.body, first.body);
        // Another body, and another path.
        let next = anna.session_request(&hub).await;
        assert_eq!(open(&hub, "k", &next).await.refusal(), reused());
        let session = first.body["token"].as_str().unwrap();
        let asked = json!({ "label": "x", "scopes": ["read:all"], "days": 1 });
        let asked = anna.token_request(&hub, asked).await;
        assert_eq!(make(&hub, session, "k", &asked).await.refusal(), reused());
        assert_eq!(count(&hub, "sessions").await, 2);
        // What was refused left nothing, and the same request with a key of its own is taken.
        assert_eq!(open(&hub, "k2", &next).await.status, 201);
        hub.end().await;
    }
}

#[tokio::test]
async fn a_key_has_one_form() {
    let hub = TestHub::start(service::db::testing::sqlite(), |_| {}).await;
    let anna = Person::arrive(&hub, 1).await;
    let asked = anna.session_request(&hub).await;
    let malformed = (400, "", "idempotency_key_malformed", HEADER);
    for bad in ["", "\"\"", "\"", "a b", "a\"b", "ä", &"x".repeat(65)] {
        let request = hub.request(reqwest::Method::POST, "/v1/sessions");
        let bad = reqwest::header::HeaderValue::from_bytes(bad.as_bytes()).unwrap();
        let answer = hub.ask(request.header(HEADER, &bad).json(&asked)).await;
        assert_eq!(answer.refusal(), malformed, "{bad:?}");
    }
    let twice = hub.request(reqwest::Method::POST, "/v1/sessions").header(HEADER, "a").header(HEADER, "b");
    assert_eq!(hub.ask(twice.json(&asked)).await.refusal(), malformed);
    assert_eq!(open(&hub, &"x".repeat(64), &asked).await.status, 201);
    hub.end().await;
}

proptest! {
    #[test]
    fn every_key_is_read_with_and_without_quotes(key in "[a-zA-Z0-9_.:-]{1,64}") {
        for written in [key.clone(), format!("\"{key}\"")] {
            let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), written.parse().unwrap())]);
            prop_assert_eq!(read(&headers).unwrap(), Some(key.clone()));
        }
    }

    #[test]
    fn a_header_is_a_key_or_refused_by_name(edits in edits(), other in text(), twice: bool) {
        for bytes in [edited(b"\"8e03978e-40d5:2_a.b\"", &edits), other.into_bytes()] {
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { continue };
            let mut headers = HeaderMap::new();
            for _ in 0..=u8::from(twice) {
                headers.append(HEADER, value.clone());
            }
            match read(&headers) {
                Ok(key) => {
                    let key = key.unwrap();
                    let shown = [key.clone(), format!("\"{key}\"")].map(String::into_bytes);
                    prop_assert!(!twice && (1..=64).contains(&key.len()) && shown.contains(&bytes), "{key}");
                }
                Err(problem) => {
                    let told = (problem.status, problem.rule.as_deref(), problem.field.as_deref());
                    prop_assert_eq!(told, (400, Some("idempotency_key_malformed"), Some(HEADER)));
                }
            }
        }
    }
}

#[tokio::test]
async fn while_a_request_is_answered_the_same_key_waits() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let asked = anna.session_request(&hub).await;
        // Somebody else writes, so that who comes first cannot be done.
        let mut other = hub.eyes.begin().await.unwrap();
        let hold = match hub.engine {
            Engine::Sqlite => "DELETE FROM idempotency_keys",
            Engine::Postgres => "LOCK TABLE idempotency_keys",
        };
        sqlx::query(hold).execute(&mut *other).await.unwrap();
        let [one, two] = [(), ()].map(|()| Box::pin(open(&hub, "k", &asked)));
        let (refused, first) = select(one, two).await.factor_first();
        assert_eq!(refused.refusal(), (409, "", "idempotency_key_in_flight", HEADER));
        other.rollback().await.unwrap();
        let done = first.await;
        assert_eq!(done.status, 201, "{done:?}");
        assert_eq!(open(&hub, "k", &asked).await.body, done.body);
        assert_eq!(count(&hub, "sessions").await, 1);
        hub.end().await;
    }
}

#[tokio::test]
async fn answers_are_kept_for_a_day_and_an_account_has_256_of_them() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let asked = anna.session_request(&hub).await;
        assert_eq!(open(&hub, "k", &asked).await.status, 201);
        for n in 0..255 {
            let sql = "INSERT INTO idempotency_keys (key_hash, account, request, status, answer, expires_at)
                       VALUES ($1, $2, '', 201, '', $3)";
            let row = sqlx::query(sql).bind(format!("{n}")).bind(anna.account.to_string());
            row.bind(START_MS + DAY_MS).execute(&hub.eyes).await.unwrap();
        }
        let next = anna.session_request(&hub).await;
        let full = open(&hub, "k2", &next).await;
        assert_eq!(full.refusal(), (409, "", "idempotency_keys_full", HEADER));
        assert_eq!((count(&hub, "sessions").await, count(&hub, "idempotency_keys").await), (1, 256));
        // Who is full is so alone, and may still ask without a key.
        let ben = Person::arrive(&hub, 2).await;
        assert_eq!(open(&hub, "k2", &ben.session_request(&hub).await).await.status, 201);
        assert_eq!(hub.post("/v1/sessions", &next).await.status, 201);
        hub.clock.pass_ms(DAY_MS - 1);
        assert_eq!(open(&hub, "k", &asked).await.status, 201);
        hub.clock.pass_ms(1);
        assert_eq!(open(&hub, "k", &asked).await.refusal(), (401, "", "", "/nonce"));
        assert_eq!(open(&hub, "k", &anna.session_request(&hub).await).await.status, 201);
        assert_eq!(count(&hub, "idempotency_keys").await, 1);
        hub.end().await;
    }
}

#[tokio::test]
async fn what_is_kept_tells_neither_the_key_nor_the_answer() {
    let hub = TestHub::start(service::db::testing::sqlite(), |_| {}).await;
    let anna = Person::arrive(&hub, 1).await;
    let asked = anna.session_request(&hub).await;
    let answer = open(&hub, "anna-s-key", &asked).await;
    let row: (String, String, String) =
        sqlx::query_as("SELECT key_hash, request, answer FROM idempotency_keys")
            .fetch_one(&hub.eyes)
            .await
            .unwrap();
    let kept = [row.0.as_bytes(), row.1.as_bytes(), &hex::decode(&row.2).unwrap()].concat();
    let kept = String::from_utf8_lossy(&kept);
    let (id, secret) = answer.body["token"].as_str().unwrap().split_once('.').unwrap();
    assert!(!kept.contains(id) && !kept.contains(secret) && !kept.contains("anna"), "{kept}");
    // One that was changed is not told.
    let changed = if row.2.ends_with('0') { "1" } else { "0" };
    sqlx::query("UPDATE idempotency_keys SET answer = SUBSTR(answer, 1, LENGTH(answer) - 1) || $1")
        .bind(changed)
        .execute(&hub.eyes)
        .await
        .unwrap();
    assert_eq!(open(&hub, "anna-s-key", &asked).await.refusal().0, 500);
    hub.end().await;
}

const NAME: &str =
    "idempotency::tests::a_hub_that_dies_between_effect_and_answer_tells_the_answer_and_does_nothing_twice";

#[derive(Serialize, Deserialize)]
struct Plan {
    config: Config,
    asked: Value,
}

/// A hub on a port of its own, asked once.
async fn child(folder: &Path) {
    let Plan { config, asked } =
        serde_json::from_slice(&std::fs::read(folder.join("plan")).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/sessions", listener.local_addr().unwrap());
    let clock = Arc::new(StillClock::at(START_MS));
    let passing = clock.passing();
    let stop = CancellationToken::new();
    let hub = tokio::spawn(crate::run_by(config, listener, clock, passing, Arc::default(), stop));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(url).header(HEADER, "k").json(&asked).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    hub.abort();
}

#[tokio::test]
async fn a_hub_that_dies_between_effect_and_answer_tells_the_answer_and_does_nothing_twice() {
    if let Some(folder) = death::folder() {
        return child(&folder).await;
    }
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        for (point, done) in [("hub.commit.before:1", 0), ("hub.commit.after:1", 1)] {
            let before = count(&hub, "sessions").await;
            let asked = anna.session_request(&hub).await;
            let folder = tempfile::tempdir().unwrap();
            let plan = Plan { config: hub.config.clone(), asked: asked.clone() };
            std::fs::write(folder.path().join("plan"), serde_json::to_vec(&plan).unwrap()).unwrap();
            assert!(!death::lives(NAME, folder.path(), point).await, "{point}");
            assert_eq!(count(&hub, "sessions").await, before + done, "{point}");
            assert_eq!(count(&hub, "idempotency_keys").await, before + done, "{point}");
            // Whoever lost the answer asks again.
            let answer = open(&hub, if done == 0 { "k0" } else { "k" }, &asked).await;
            assert_eq!(answer.status, 201, "{point}: {answer:?}");
            assert_eq!(count(&hub, "sessions").await, before + 1, "{point}");
            let token = answer.body["token"].as_str().unwrap();
            assert_eq!(hub.get_as(token, "/v1/ledger/accounts").await.status, 200, "{point}");
        }
        hub.end().await;
    }
}
