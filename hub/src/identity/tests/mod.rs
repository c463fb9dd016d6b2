#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use alloy::primitives::Address;
use protocol::chain::ChainId;
use serde_json::{Value, json};

use super::{session_request, silence_statement, siwx::SignIn};
use crate::{
    records::{DeviceKey, Draft, Stamp},
    testing::{
        Person, TestHub, Wallet, Window, message, says as says_it, signed,
        trade::{CHAIN, Ground},
    },
};

mod brightid;
mod control;
mod crash;
mod history;
mod messages;
mod passkeys;
mod persons;
mod published;
mod recovery;
mod tokens;
mod verified;
mod wallets;

/// A hub on each engine, with the chain whose wallets are used there.
async fn on_both_with_wallets() -> Vec<(TestHub, ChainId)> {
    let chains = [CHAIN, Ground::solana().chain];
    TestHub::on_both().await.into_iter().zip(chains.into_iter().cycle()).collect()
}

#[tokio::test]
async fn a_wallet_begins_an_account_and_its_device_speaks() {
    for (hub, chain) in on_both_with_wallets().await {
        let anna = Person::arrive_on(&hub, chain, 1).await;
        let view = hub.get(&format!("/v1/accounts/{}", anna.account)).await.body;
        assert_eq!(view["name"], "Somebody");
        assert_eq!(view["wallets"], json!([anna.wallet_id()]));
        assert_eq!(view["devices"], json!([{ "device": anna.device.device(), "authorised": true }]));
        hub.say(&anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
        assert_eq!(hub.get("/v1/accounts/nobody").await.refusal(), (400, "", "", "path"));
        hub.end().await;
    }
}

#[tokio::test]
async fn a_bad_sign_in_is_refused_by_name_and_nothing_is_kept() {
    let chain = fixture::Chain::start().await;
    let window = Window::on(&chain).await;
    for hub in TestHub::on_both_with(|config| drop(config.indexers.insert(CHAIN, window.url.clone()))).await {
        let (wallet, device) = Person::keys(1);
        let other = Person::keys(2).0;
        let fresh = || message(&hub, wallet.address(), &device);
        type Change = fn(&mut SignIn);
        let changes: [(Change, &str); 6] = [
            (|m| m.domain = "evil.example".to_owned(), "message_domain"),
            (|m| m.uri = "http://evil.example".to_owned(), "message_uri"),
            (|m| m.wallet.chain = ChainId::Eip155(1), "message_chain"),
            (|m| m.nonce = "0123456789abcdef".to_owned(), "nonce"),
            (|m| m.expiration_time = Some("2026-11-21T10:00:00Z".to_owned()), "message_expired"),
            (|m| m.not_before = Some("2026-11-21T10:00:01Z".to_owned()), "message_early"),
        ];
        for (change, rule) in changes {
            let mut message = fresh().await;
            change(&mut message);
            let record = Person::identity(&hub, &message, &wallet, &device, "Anna");
            let refusal = hub.refuses(&record).await;
            let expected = (403, "access".to_owned(), rule.to_owned(), "/body/message".to_owned());
            assert_eq!(refusal, expected);
        }
        // Another wallet's signature, another device's record, no signature at all.
        let message = fresh().await;
        let record = Person::identity(&hub, &message, &other, &device, "Anna");
        assert_eq!(hub.refuses(&record).await.2, "wallet_signature");
        let record = Person::identity(&hub, &message, &wallet, &Person::keys(3).1, "Anna");
        assert_eq!(hub.refuses(&record).await.2, "message_device");
        for (signature, rule) in
            [("0x", "wallet_signature"), ("0xzz", "signature_form"), ("", "signature_form")]
        {
            let body = json!({ "message": message.to_string(), "signature": signature, "name": "Anna" });
            let record =
                Draft::new("identity@1", None, Stamp::from_ms(hub.now()), body).sign(&device).unwrap();
            assert_eq!(hub.refuses(&record).await.2, rule);
        }
        // The refusals used no nonce up: the same message still begins an account, once.
        let record = Person::identity(&hub, &message, &wallet, &device, "Anna");
        hub.say(&record).await;
        let record = Person::identity(&hub, &message, &wallet, &device, "Anna again");
        assert_eq!(hub.refuses(&record).await.2, "nonce");
        // The wallet has its account; another device joins that one.
        let taken = Person::identity(&hub, &fresh().await, &wallet, &device, "Anna");
        assert_eq!(hub.refuses(&taken).await.2, "wallet_taken");
        // A nonce is worth ten minutes.
        let mut late = message_for(&hub, &other, &device).await;
        late.expiration_time = None;
        hub.clock.pass_ms(10 * 60 * 1000);
        assert_eq!(hub.refuses(&Person::identity(&hub, &late, &other, &device, "Late")).await.2, "nonce");
        hub.end().await;
    }
}

#[tokio::test]
async fn a_wallet_of_solana_signs_in_by_its_own_key_alone() {
    let chain = Ground::solana().chain;
    for hub in TestHub::on_both().await {
        let fields = hub.get("/v1/sign-in/nonce").await.body;
        assert_eq!(fields["chains"], json!([CHAIN, chain]));
        let ((wallet, device), (other, _)) = (Person::keys_on(chain, 1), Person::keys_on(chain, 2));
        let message = message(&hub, wallet.address(), &device).await;
        let says = |signature: String| {
            let body = json!({ "message": message.to_string(), "signature": signature, "name": "Anna" });
            Draft::new("identity@1", None, Stamp::from_ms(hub.now()), body).sign(&device).unwrap()
        };
        let good = signed(&wallet, &message.to_string());
        let mut altered = good.clone();
        altered.replace_range(20..21, if good.as_bytes()[20] == b'0' { "1" } else { "0" });
        // No indexer answers: none is asked, for no contract can speak for a key of Solana.
        for (rule, signature) in [
            ("wallet_signature", signed(&other, &message.to_string())),
            ("wallet_signature", signed(&wallet, &format!("{message} "))),
            ("wallet_signature", altered),
            ("wallet_signature", format!("{good}00")),
            ("wallet_signature", good[..128].to_owned()),
            ("wallet_signature", "0x".to_owned()),
            ("signature_form", good[2..].to_owned()),
        ] {
            assert_eq!(hub.refuses(&says(signature)).await.2, rule);
        }
        // Another cluster than the hub follows.
        let mut elsewhere = message.clone();
        elsewhere.wallet.chain = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".parse().unwrap();
        let record = Person::identity(&hub, &elsewhere, &wallet, &device, "Anna");
        assert_eq!(hub.refuses(&record).await.2, "message_chain");
        let account = hub.say(&says(good)).await;
        let view = hub.get(&format!("/v1/accounts/{account}")).await.body;
        assert_eq!(view["wallets"], json!([message.wallet]));
        // One account, wallets of both kinds; either brings a device in.
        let anna = Person { wallet: Person::keys(1).0, device, account };
        let on_solana = Person { wallet: wallet.clone(), device: anna.device.clone(), account };
        hub.say(&anna.record(&hub, "wallet@1", on_solana.joining(&hub, &anna.wallet).await)).await;
        for (seed, by) in [(11, &anna.wallet), (12, &wallet)] {
            let phone = DeviceKey::from_seed([seed; 32]);
            let word = message_for(&hub, by, &phone).await;
            hub.say(&add(&hub, &anna, &phone, &word, by)).await;
        }
        let view = hub.get(&format!("/v1/accounts/{account}")).await.body;
        let count = |name: &str| view[name].as_array().unwrap().len();
        assert_eq!((count("wallets"), count("devices")), (2, 3));
        hub.end().await;
    }
}

async fn message_for(hub: &TestHub, wallet: &Wallet, device: &DeviceKey) -> SignIn {
    message(hub, wallet.address(), device).await
}

#[tokio::test]
async fn without_the_indexer_a_contract_wallet_waits() {
    for hub in TestHub::on_both().await {
        let (wallet, device) = Person::keys(1);
        let message = message(&hub, Address::repeat_byte(5), &device).await;
        let record = Person::identity(&hub, &message, &wallet, &device, "Anna");
        let before = hub.rows().await;
        assert_eq!(hub.post("/v1/records", &record).await.refusal().0, 503);
        assert_eq!(hub.rows().await, before);
        hub.end().await;
    }
}

/// Init code of a contract that answers every call with the 32 bytes that `answer` begins.
fn answers(answer: [u8; 4]) -> alloy::primitives::Bytes {
    let mut runtime = vec![0x63];
    runtime.extend(answer);
    // PUSH4 answer, PUSH1 224, SHL, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN
    runtime.extend([0x60, 224, 0x1b, 0x5f, 0x52, 0x60, 32, 0x5f, 0xf3]);
    let size = u8::try_from(runtime.len()).unwrap();
    // PUSH1 size, PUSH1 9, PUSH0, CODECOPY, PUSH1 size, PUSH0, RETURN
    let mut init = vec![0x60, size, 0x60, 9, 0x5f, 0x39, 0x60, size, 0x5f, 0xf3];
    let offset = u8::try_from(init.len()).unwrap();
    init[3] = offset;
    init.extend(runtime);
    init.into()
}

#[tokio::test]
async fn a_contract_says_itself_whose_signature_is_its_own() {
    let chain = fixture::Chain::start().await;
    let window = Window::on(&chain).await;
    let accepts = chain.deploy(answers([0x16, 0x26, 0xba, 0x7e])).await;
    let refuses = chain.deploy(answers([0xff, 0xff, 0xff, 0xff])).await;
    for hub in TestHub::on_both_with(|config| drop(config.indexers.insert(CHAIN, window.url.clone()))).await {
        let (owner, device) = Person::keys(1);
        let nobody = Address::repeat_byte(5);
        for contract in [refuses, nobody, fixture::evm(chain.pools.address)] {
            let message = message(&hub, contract, &device).await;
            let record = Person::identity(&hub, &message, &owner, &device, "Anna");
            assert_eq!(hub.refuses(&record).await.2, "wallet_signature", "{contract}");
        }
        let message = message(&hub, accepts, &device).await;
        let account = hub.say(&Person::identity(&hub, &message, &owner, &device, "Anna")).await;
        let view = hub.get(&format!("/v1/accounts/{account}")).await.body;
        assert_eq!(view["wallets"], json!([format!("eip155:31337:{accepts}")]));
        hub.end().await;
    }
}

fn add(hub: &TestHub, person: &Person, signer: &DeviceKey, message: &SignIn, by: &Wallet) -> Value {
    let text = message.to_string();
    let body = json!({ "add": { "message": text, "signature": signed(by, &text) } });
    person.draft(hub, "device@1", body).sign(signer).unwrap()
}

#[tokio::test]
async fn devices_come_and_go() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let (phone, laptop) = (DeviceKey::from_seed([11; 32]), DeviceKey::from_seed([12; 32]));
        let says = |key: &DeviceKey, name: &str| {
            anna.draft(&hub, "community@1", json!({ "name": name })).sign(key).unwrap()
        };
        assert_eq!(hub.refuses(&says(&phone, "Phones")).await.2, "device_unknown");
        assert_eq!(hub.refuses(&says(&ben.device, "Ben's")).await.2, "device_unknown");
        // An authorised device brings another one in; a new one may also come by the wallet's word alone.
        let word = message_for(&hub, &anna.wallet, &phone).await;
        hub.say(&add(&hub, &anna, &anna.device, &word, &anna.wallet)).await;
        hub.say(&says(&phone, "Phones")).await;
        let word = message_for(&hub, &anna.wallet, &laptop).await;
        hub.say(&add(&hub, &anna, &laptop, &word, &anna.wallet)).await;
        // Ben's wallet has no say in Anna's devices, nor has a device that is not Anna's.
        let other = DeviceKey::from_seed([13; 32]);
        let word = message_for(&hub, &ben.wallet, &other).await;
        assert_eq!(
            hub.refuses(&add(&hub, &anna, &anna.device, &word, &ben.wallet)).await.2,
            "wallet_unknown"
        );
        let word = message_for(&hub, &anna.wallet, &other).await;
        assert_eq!(
            hub.refuses(&add(&hub, &anna, &ben.device, &word, &anna.wallet)).await.2,
            "device_unknown"
        );
        // Revoked: it speaks no more and its session is over; only the wallet brings it back.
        let token = anna.sign_in(&hub).await;
        assert_eq!(hub.get_as(&token, "/v1/listings").await.status, 200);
        // A device silences itself alone; another one by the word of a wallet, for this device and this account.
        let silence = |by: Value, signer: &DeviceKey| {
            hub.clock.pass_ms(1);
            let body = json!({ "revoke": { "device": anna.device.device(), "by": by } });
            anna.draft(&hub, "device@1", body).sign(signer).unwrap()
        };
        let told = hub.refuses(&silence(Value::Null, &phone)).await;
        assert_eq!((told.0, told.2.as_str()), (403, "device_word"));
        let statement = silence_statement(&anna.account, &anna.device.device());
        let bens = says_it(&hub, &ben.wallet, statement.clone()).await;
        assert_eq!(hub.refuses(&silence(bens, &phone)).await.2, "wallet_unknown");
        let other_device = silence_statement(&anna.account, &phone.device());
        let of_another = says_it(&hub, &anna.wallet, other_device).await;
        assert_eq!(hub.refuses(&silence(of_another, &phone)).await.2, "message_statement");
        hub.say(&silence(says_it(&hub, &anna.wallet, statement.clone()).await, &phone)).await;
        assert_eq!(hub.refuses(&says(&anna.device, "Late")).await.2, "device_revoked");
        assert_eq!(hub.get_as(&token, "/v1/listings").await.refusal().0, 401);
        hub.clock.pass_ms(1);
        let twice = silence(says_it(&hub, &anna.wallet, statement).await, &phone);
        assert_eq!(hub.refuses(&twice).await.2, "device_unknown");
        let word = message_for(&hub, &anna.wallet, &anna.device).await;
        hub.say(&add(&hub, &anna, &anna.device, &word, &anna.wallet)).await;
        hub.say(&says(&anna.device, "Back")).await;
        hub.end().await;
    }
}

#[tokio::test]
async fn a_session_is_a_device_that_signed_a_fresh_nonce() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let request = anna.session_request(&hub).await;
        let with = |pointer: &str, value: Value| {
            let mut changed = request.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            changed
        };
        let before = hub.rows().await;
        for (bad, status, field) in [
            (with("/domain", json!("evil.example")), 401, "/domain"),
            (with("/nonce", json!("0123456789")), 401, "/proof/proofValue"),
            (with("/nonce", json!("\0")), 422, "/nonce"),
            (with("/account", json!(ben.account)), 401, "/proof/proofValue"),
            (with("/account", json!("anna")), 422, ""),
            (with("/proof/proofPurpose", json!("assertionMethod")), 401, "/proof/proofPurpose"),
            (json!({ "account": anna.account }), 422, ""),
        ] {
            let answer = hub.post("/v1/sessions", &bad).await;
            assert_eq!(answer.refusal(), (status, "", "", field), "{bad}");
        }
        let foreign = Person { account: anna.account, ..Person::arrive(&hub, 3).await };
        assert_eq!(hub.post("/v1/sessions", &foreign.session_request(&hub).await).await.refusal().0, 401);
        // A nonce for a wallet of credentials is none to sign in with.
        let given = hub.post("/v1/openid/nonce", &Value::Null).await.body;
        let (domain, nonce) = (request["domain"].as_str().unwrap(), given["c_nonce"].as_str().unwrap());
        let now = Stamp::from_ms(hub.now());
        let elsewhere = session_request(&anna.account, domain, nonce, &anna.device, now).unwrap();
        assert_eq!(hub.post("/v1/sessions", &elsewhere).await.refusal().3, "/nonce");
        assert_eq!(hub.rows().await.last(), before.last());
        let token = hub.post("/v1/sessions", &request).await.body["token"].as_str().unwrap().to_owned();
        assert_eq!(hub.post("/v1/sessions", &request).await.refusal().3, "/nonce");
        let kept: String =
            sqlx::query_scalar("SELECT secret_hash FROM sessions").fetch_one(&hub.eyes).await.unwrap();
        assert!(!token.contains(&kept));
        assert_eq!(hub.get_as(&token, "/v1/listings").await.status, 200);
        assert_eq!(hub.get_as("nonsense", "/v1/listings").await.refusal().0, 401);
        let end = || hub.request(reqwest::Method::DELETE, "/v1/sessions/current");
        assert_eq!(hub.ask(end()).await.refusal().0, 401);
        assert_eq!(hub.ask(end().bearer_auth(&token)).await.status, 204);
        assert_eq!(hub.get_as(&token, "/v1/listings").await.refusal().0, 401);
        let token = anna.sign_in(&hub).await;
        hub.clock.pass_ms(12 * 60 * 60 * 1000);
        assert_eq!(hub.get_as(&token, "/v1/listings").await.refusal().0, 401);
        hub.end().await;
    }
}

#[tokio::test]
async fn nobody_speaks_for_the_hub() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let stamp = Stamp::from_ms(hub.now());
        let first = Draft::new("hub@1", None, stamp, json!({ "did": "did:web:evil.example" }));
        assert_eq!(hub.refuses(&first.sign(&anna.device).unwrap()).await.2, "hub_only");
        let nobody = Draft::new("community@1", None, stamp, json!({ "name": "Nobody's" }));
        assert_eq!(hub.refuses(&nobody.sign(&anna.device).unwrap()).await.2, "author");
        hub.end().await;
    }
}

#[tokio::test]
async fn whoever_asks_for_nonces_fills_nothing() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let before = hub.rows().await;
        for _ in 0..100 {
            assert_eq!(hub.get("/v1/sign-in/nonce").await.status, 200);
        }
        assert_eq!(hub.rows().await, before);
        // One that has served does not serve in another spelling either.
        let request = anna.session_request(&hub).await;
        assert_eq!(hub.post("/v1/sessions", &request).await.status, 201);
        let (domain, nonce) = (request["domain"].as_str().unwrap(), request["nonce"].as_str().unwrap());
        let capitals = session_request(
            &anna.account,
            domain,
            &nonce.to_uppercase(),
            &anna.device,
            Stamp::from_ms(hub.now()),
        );
        assert_eq!(hub.post("/v1/sessions", &capitals.unwrap()).await.refusal().3, "/nonce");
        // What has served is forgotten a day after it could not serve any more.
        hub.clock.pass_ms(10 * 60 * 1000);
        assert_eq!(hub.post("/v1/sessions", &request).await.refusal().3, "/nonce");
        hub.clock.pass_ms(24 * 60 * 60 * 1000);
        anna.sign_in(&hub).await;
        let kept: i64 = sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM used_nonces")
            .fetch_one(&hub.eyes)
            .await
            .unwrap();
        assert_eq!(kept, 1);
        hub.end().await;
    }
}

#[tokio::test]
async fn a_nonce_serves_once_though_the_log_is_ahead_of_the_clock() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let request = anna.session_request(&hub).await;
        assert_eq!(hub.post("/v1/sessions", &request).await.status, 201);
        // The log is past the nonce's end, and the clock is then set back to before it.
        hub.clock.pass_ms(10 * 60 * 1000 + 1);
        hub.say(&anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
        hub.clock.pass_ms(-2 * 60 * 1000);
        Person::arrive(&hub, 2).await;
        assert_eq!(hub.post("/v1/sessions", &request).await.refusal().3, "/nonce");
        hub.end().await;
    }
}

/// Whoever is nobody here is answered while somebody writes.
#[tokio::test]
async fn a_session_that_is_refused_keeps_no_writer_waiting() {
    let hub = TestHub::start(service::db::testing::sqlite(), |_| {}).await;
    let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
    let used = anna.session_request(&hub).await;
    assert_eq!(hub.post("/v1/sessions", &used).await.status, 201);
    let strange = Person { account: anna.account, ..ben }.session_request(&hub).await;
    let mut writer = hub.eyes.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::query("UPDATE accounts SET name = 'Writing'").execute(&mut *writer).await.unwrap();
    for (request, field) in [(&used, "/nonce"), (&strange, "/account")] {
        // Whoever waited for the writer would be answered otherwise: it does not end before.
        let answer = hub.post("/v1/sessions", request).await;
        assert_eq!((answer.refusal().0, answer.refusal().3), (401, field));
    }
    writer.rollback().await.unwrap();
    hub.end().await;
}

#[tokio::test]
async fn a_device_keeps_sixteen_sessions_and_loses_them_with_its_word() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let mut tokens = Vec::new();
        for _ in 0..17 {
            hub.clock.pass_ms(1);
            tokens.push(anna.sign_in(&hub).await);
        }
        assert_eq!(hub.get_as(&tokens[0], "/v1/listings").await.status, 401);
        assert_eq!(hub.get_as(&tokens[1], "/v1/listings").await.status, 200);
        let device = anna.device.device();
        hub.say(&anna.record(&hub, "device@1", json!({ "revoke": { "device": device, "by": null } }))).await;
        let message = message(&hub, anna.wallet.address(), &anna.device).await.to_string();
        let add = json!({ "message": message, "signature": signed(&anna.wallet, &message) });
        hub.say(&anna.record(&hub, "device@1", json!({ "add": add }))).await;
        assert_eq!(hub.get_as(&tokens[16], "/v1/listings").await.status, 401);
        hub.end().await;
    }
}

#[tokio::test]
async fn an_account_gathers_wallets_and_devices_up_to_a_limit() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        for seed in 2..=129 {
            let device = DeviceKey::from_seed([seed; 32]);
            let text = message(&hub, anna.wallet.address(), &device).await.to_string();
            let add = json!({ "add": { "message": text, "signature": signed(&anna.wallet, &text) } });
            let record = anna.record(&hub, "device@1", add);
            if seed == 129 {
                assert_eq!(hub.refuses(&record).await.2, "account_full");
            } else {
                hub.say(&record).await;
            }
        }
        for seed in 2..=17 {
            let body = anna.joining(&hub, &Person::keys(seed).0).await;
            let record = anna.record(&hub, "wallet@1", body);
            if seed == 17 {
                assert_eq!(hub.refuses(&record).await.2, "account_full");
            } else {
                hub.say(&record).await;
            }
        }
        hub.end().await;
    }
}
