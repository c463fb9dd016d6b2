//! API tokens over HTTP on both engines.

use proptest::prelude::*;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    records::DeviceKey,
    testing::{
        Person, TestHub, message,
        noise::{edited, edits, text},
        signed,
    },
};

fn asked(scopes: &[&str]) -> Value {
    json!({ "label": "the bookkeeper", "scopes": scopes, "days": 30 })
}

async fn make(hub: &TestHub, by: &Person, session: &str, scopes: &[&str]) -> (String, String) {
    let answer = hub.post_as(session, "/v1/tokens", &by.token_request(hub, asked(scopes)).await).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_until_it_ends() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let session = anna.sign_in(&hub).await;
        let (id, token) = make(&hub, &anna, &session, &["read:ledger"]).await;
        assert_eq!(hub.get_as(&token, "/v1/ledger/accounts").await.status, 200);
        // Every other room is closed to it, those that strangers may read, too; and so is the making of tokens.
        for path in ["/v1/listings", "/v1/purchases", "/v1/recovery", "/v1/communities"] {
            let refused = hub.get_as(&token, path).await;
            assert_eq!(refused.refusal(), (403, "", "scope", ""), "{path}");
        }
        assert_eq!(hub.get_as(&token, "/v1/tokens").await.refusal().0, 403);
        assert_eq!(hub.post_as(&token, "/v1/tokens", &asked(&["read:all"])).await.refusal().0, 403);
        assert_eq!(hub.delete_as(&token, &format!("/v1/tokens/{id}")).await.refusal().0, 403);
        let record = anna.record(&hub, "community@1", json!({ "name": "Gardens" }));
        assert_eq!(hub.post_as(&token, "/v1/records", &record).await.refusal().0, 403);
        let (_, writing) = make(&hub, &anna, &session, &["write:records"]).await;
        assert_eq!(hub.post_as(&writing, "/v1/records", &record).await.status, 201);
        assert_eq!(hub.get_as(&writing, "/v1/ledger/accounts").await.refusal().0, 403);
        // Listed without its secret, of which only a hash is kept.
        let all = hub.get_as(&session, "/v1/tokens").await.body;
        assert_eq!(all.as_array().unwrap().len(), 3);
        let listed = all.as_array().unwrap().iter().find(|one| one["id"] == json!(id)).unwrap();
        assert_eq!(
            (&listed["label"], &listed["scopes"]),
            (&json!("the bookkeeper"), &json!(["read:ledger"]))
        );
        let secret = token.split_once('.').unwrap().1;
        assert!(!all.to_string().contains(secret));
        let kept: Vec<String> =
            sqlx::query_scalar("SELECT secret_hash FROM sessions").fetch_all(&hub.eyes).await.unwrap();
        assert!(kept.iter().all(|hash| hash.len() == 64 && hash != secret));
        // Another's secret, or none, under its id.
        let (_, other) = make(&hub, &anna, &session, &["read:ledger"]).await;
        let mixed = format!("{id}.{}", other.split_once('.').unwrap().1);
        for bad in [mixed.as_str(), &id, &format!("{id}."), secret, &"x".repeat(200)] {
            assert_eq!(hub.get_as(bad, "/v1/ledger/accounts").await.refusal().0, 401, "{bad}");
        }
        // Nobody else's to end; its owner ends it.
        let ben = Person::arrive(&hub, 2).await.sign_in(&hub).await;
        assert_eq!(hub.delete_as(&ben, &format!("/v1/tokens/{id}")).await.refusal().0, 404);
        assert_eq!(hub.delete_as(&session, &format!("/v1/tokens/{id}")).await.status, 204);
        assert_eq!(hub.get_as(&token, "/v1/ledger/accounts").await.refusal().0, 401);
        hub.clock.pass_ms(30 * 24 * 60 * 60 * 1000 - 1);
        assert_eq!(hub.get_as(&other, "/v1/ledger/accounts").await.status, 200);
        hub.clock.pass_ms(1);
        assert_eq!(hub.get_as(&other, "/v1/ledger/accounts").await.refusal().0, 401);
        hub.end().await;
    }
}

/// A session that is in other hands makes nothing that outlasts it.
#[tokio::test]
async fn a_token_asks_for_the_word_of_the_sessions_own_device() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let session = anna.sign_in(&hub).await;
        let bare = hub.post_as(&session, "/v1/tokens", &asked(&["read:all"])).await;
        assert_eq!(bare.refusal().0, 422, "{bare:?}");
        let good = anna.token_request(&hub, asked(&["read:all"])).await;
        let with = |pointer: &str, value: Value| {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            changed
        };
        // Another device of hers has to open its own session, and nobody signs for her.
        let phone = DeviceKey::from_seed([11; 32]);
        let text = message(&hub, anna.wallet.address(), &phone).await.to_string();
        let add = json!({ "add": { "message": text, "signature": signed(&anna.wallet, &text) } });
        hub.say(&anna.record(&hub, "device@1", add)).await;
        let by_phone = Person { wallet: Person::keys(1).0, device: phone, account: anna.account };
        for (bad, field) in [
            (with("/days", json!(366)), "/proof/proofValue"),
            (with("/scopes", json!(["write:all"])), "/proof/proofValue"),
            (with("/domain", json!("evil.example")), "/domain"),
            (with("/account", json!(ben.account)), "/account"),
            (ben.token_request(&hub, asked(&["read:all"])).await, "/account"),
            (by_phone.token_request(&hub, asked(&["read:all"])).await, "/proof/verificationMethod"),
        ] {
            let answer = hub.post_as(&session, "/v1/tokens", &bad).await;
            assert_eq!((answer.refusal().0, answer.refusal().3), (401, field), "{bad}");
        }
        assert_eq!(hub.post_as(&session, "/v1/tokens", &good).await.status, 201);
        assert_eq!(hub.post_as(&session, "/v1/tokens", &good).await.refusal().3, "/nonce");
        // What opens a session makes no token, and the other way round.
        let request = anna.session_request(&hub).await;
        assert_eq!(hub.post_as(&session, "/v1/tokens", &request).await.refusal().0, 422);
        let token = anna.token_request(&hub, asked(&["read:all"])).await;
        assert_eq!(hub.post("/v1/sessions", &token).await.refusal().0, 422);
        hub.end().await;
    }
}

#[tokio::test]
async fn a_token_is_bounded_and_ends_with_its_device() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let session = anna.sign_in(&hub).await;
        let with = |name: &str, value: Value| {
            let mut changed = asked(&["read:ledger"]);
            changed[name] = value;
            changed
        };
        for (bad, field) in [
            (with("label", json!("")), "/label"),
            (with("scopes", json!([])), "/scopes"),
            (with("scopes", json!(["read:everything"])), ""),
            (with("days", json!(0)), "/days"),
            (with("days", json!(367)), "/days"),
            (with("admin", json!(true)), ""),
        ] {
            let signed = anna.token_request(&hub, bad.clone()).await;
            let answer = hub.post_as(&session, "/v1/tokens", &signed).await;
            assert_eq!((answer.refusal().0, answer.refusal().3), (422, field), "{bad}");
        }
        assert_eq!(hub.post("/v1/tokens", &asked(&["read:ledger"])).await.refusal().0, 401);
        let mut last = String::new();
        for _ in 0..32 {
            last = make(&hub, &anna, &session, &["read:ledger"]).await.1;
        }
        let another = anna.token_request(&hub, asked(&["read:ledger"])).await;
        let full = hub.post_as(&session, "/v1/tokens", &another).await;
        assert_eq!(full.refusal(), (409, "", "tokens_full", ""));
        // Sessions are counted by themselves and push no token out.
        for _ in 0..17 {
            hub.clock.pass_ms(1);
            anna.sign_in(&hub).await;
        }
        assert_eq!(hub.get_as(&last, "/v1/ledger/accounts").await.status, 200);
        let device = anna.device.device();
        hub.say(&anna.record(&hub, "device@1", json!({ "revoke": { "device": device, "by": null } }))).await;
        assert_eq!(hub.get_as(&last, "/v1/ledger/accounts").await.refusal().0, 401);
        let text = message(&hub, anna.wallet.address(), &anna.device).await.to_string();
        let add = json!({ "message": text, "signature": signed(&anna.wallet, &text) });
        hub.say(&anna.record(&hub, "device@1", json!({ "add": add }))).await;
        assert_eq!(hub.get_as(&last, "/v1/ledger/accounts").await.refusal().0, 401);
        hub.end().await;
    }
}

/// Nothing but the token itself is anybody's.
#[test]
fn a_token_that_was_changed_is_nobodys() {
    let runtime = Runtime::new().unwrap();
    for hub in runtime.block_on(TestHub::on_both()) {
        let session = runtime.block_on(async { Person::arrive(&hub, 1).await.sign_in(&hub).await });
        proptest!(|(edits in edits(), other in text())| {
            for token in [edited(session.as_bytes(), &edits), other.into_bytes()] {
                let shown = [b"Bearer ".as_slice(), token.as_slice()].concat();
                let Ok(shown) = HeaderValue::from_bytes(&shown) else { continue };
                let request = hub.request(reqwest::Method::GET, "/v1/ledger/accounts");
                let answer = runtime.block_on(hub.ask(request.header("authorization", &shown)));
                // What follows a header's value is no part of it.
                let is_it = token.trim_ascii_end() == session.as_bytes();
                prop_assert_eq!(answer.status, if is_it { 200 } else { 401 }, "{:?}", shown);
            }
        });
        runtime.block_on(hub.end());
    }
}
