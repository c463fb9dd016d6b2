//! Proof of personhood: contracts that speak Proof of Humanity's two versions on a real chain, and the doors of the market.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, FixedBytes, keccak256};
use protocol::chain::AccountId;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::brightid::public;
use crate::{
    config::{Config, Personhood},
    records::{KeyError, Stamp, proof},
    testing::{Person, START_MS, TestHub, Window, trade::CHAIN},
};

pub(super) const LIFE_MS: i64 = 90 * 24 * 60 * 60 * 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
pub(super) fn required(config: &mut Config) {
    config.personhood = Personhood::Required;
}

pub(super) fn claim(hub: &TestHub, person: &Person, body: Value) -> Value {
    person.record(hub, "personhood@1", body)
}

pub(super) fn listing(hub: &TestHub, person: &Person, title: &str) -> Value {
    let body = json!({
        "kind": "service", "title": title, "description": "", "price_type": "fixed",
        "price": [{ "asset": "time_credit", "amount": "100" }], "fiat": null, "tags": [], "location_pref": "local",
        "visibility": "public", "status": "active", "pay_to": null, "panel": null,
    });
    person.record(hub, "listing@1", body)
}

/// Init code of a registry: for a selector and an address the word it answers; zero for any other address of a selector
/// that it knows; it reverts otherwise.
fn registry(answers: &[(&str, Address, [u8; 32])]) -> Bytes {
    let selector = |name: &str| keccak256(name).0[..4].to_vec();
    // PUSH0 CALLDATALOAD PUSH1 224 SHR PUSH4 selector EQ
    let asks = |name: &str| {
        let mut code = vec![0x5f, 0x35, 0x60, 224, 0x1c, 0x63];
        code.extend(selector(name));
        code.push(0x14);
        code
    };
    // PUSH2 target JUMPI, over an answer of 1 + 33 + 2 + 2 + 1 + 1 bytes, which this is skipped by unless asked.
    let answer = |code: &mut Vec<u8>, word: [u8; 32]| {
        // ISZERO PUSH2 after JUMPI PUSH32 word PUSH0 MSTORE PUSH1 32 PUSH0 RETURN JUMPDEST
        let after = u16::try_from(code.len() + 5 + 33 + 2 + 4).unwrap();
        code.extend([0x15, 0x61]);
        code.extend(after.to_be_bytes());
        code.extend([0x57, 0x7f]);
        code.extend(word);
        code.extend([0x5f, 0x52, 0x60, 32, 0x5f, 0xf3, 0x5b]);
    };
    let mut code = Vec::new();
    for (name, address, word) in answers {
        code.extend(asks(name));
        // PUSH1 4 CALLDATALOAD PUSH20 address EQ AND
        code.extend([0x60, 4, 0x35, 0x73]);
        code.extend(address.as_slice());
        code.extend([0x14, 0x16]);
        answer(&mut code, *word);
    }
    for (name, ..) in answers {
        code.extend(asks(name));
        answer(&mut code, [0; 32]);
    }
    // PUSH0 PUSH0 REVERT
    code.extend([0x5f, 0x5f, 0xfd]);
    let size = u16::try_from(code.len()).unwrap().to_be_bytes();
    // PUSH2 size DUP1 PUSH1 11 PUSH0 CODECOPY PUSH0 RETURN
    let mut init = vec![0x61, size[0], size[1], 0x80, 0x60, 10, 0x5f, 0x39, 0x5f, 0xf3];
    init.extend(code);
    init.into()
}

fn yes() -> [u8; 32] {
    B256::with_last_byte(1).0
}

fn evm(person: &Person) -> Address {
    person.wallet.address().evm().unwrap()
}

#[tokio::test]
async fn a_registry_of_humans_makes_a_person_of_whose_wallet_stands_in_it() {
    let chain = fixture::Chain::start().await;
    let window = Window::on(&chain).await;
    let keys: Vec<Address> = (1..4).map(|seed| Person::keys(seed).0.address().evm().unwrap()).collect();
    // Wallets 1 and 2 are one human's, who moved from the first to the second.
    let mut humanity = [0; 32];
    humanity[..20].copy_from_slice(FixedBytes::<20>::repeat_byte(0xab).as_slice());
    let second = chain
        .deploy(registry(&[
            ("isHuman(address)", keys[0], yes()),
            ("isHuman(address)", keys[1], yes()),
            ("humanityOf(address)", keys[0], humanity),
            ("humanityOf(address)", keys[1], humanity),
        ]))
        .await;
    let first = chain.deploy(registry(&[("isRegistered(address)", keys[0], yes())])).await;
    let broken = chain
        .deploy(registry(&[("isHuman(address)", keys[0], yes()), ("humanityOf(address)", keys[1], humanity)]))
        .await;
    let at = |address: Address| AccountId { chain: CHAIN, address: address.into() };
    let empty = at(Address::repeat_byte(9));
    let (first, second, broken) = (at(first), at(second), at(broken));
    let change = |config: &mut Config| {
        required(config);
        config.indexers.insert(CHAIN, window.url.clone());
        config.humanity_registries = vec![first, second, broken, empty];
    };
    for hub in TestHub::on_both_with(change).await {
        let (anna, ben, carl) =
            (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        let by = |person: &Person, registry: AccountId, wallet: AccountId| {
            hub.clock.pass_ms(1);
            claim(&hub, person, json!({ "proof_of_humanity": { "registry": registry, "wallet": wallet } }))
        };
        assert_eq!((evm(&anna), evm(&ben)), (keys[0], keys[1]));
        assert_eq!(hub.refuses(&by(&carl, second, carl.wallet_id())).await.2, "not_a_person");
        assert_eq!(hub.refuses(&by(&carl, first, carl.wallet_id())).await.2, "not_a_person");
        assert_eq!(hub.refuses(&by(&carl, second, anna.wallet_id())).await.2, "foreign_wallet");
        let unknown = at(Address::repeat_byte(8));
        assert_eq!(hub.refuses(&by(&anna, unknown, anna.wallet_id())).await.2, "unknown_provider");
        // What answers neither question, and what calls a human whom it has no id of, says nothing.
        for silent in [empty, broken] {
            let answer = hub.post("/v1/records", &by(&anna, silent, anna.wallet_id())).await;
            assert_eq!(answer.refusal().0, 503, "{answer:?}");
        }
        hub.say(&by(&anna, second, anna.wallet_id())).await;
        hub.say(&listing(&hub, &anna, "A bicycle, repaired")).await;
        // One human is one person, by whichever wallet, as long as the proof stands.
        assert_eq!(hub.refuses(&by(&ben, second, ben.wallet_id())).await.2, "person_known");
        assert_eq!(hub.refuses(&listing(&hub, &ben, "Twice")).await.2, "personhood");
        hub.say(&by(&anna, first, anna.wallet_id())).await;
        let view = hub.get(&format!("/v1/accounts/{}", anna.account)).await.body;
        assert_eq!(view["personhood"].as_array().unwrap().len(), 2);
        hub.clock.pass_ms(LIFE_MS);
        hub.say(&by(&ben, second, ben.wallet_id())).await;
        assert_eq!(hub.refuses(&by(&anna, second, anna.wallet_id())).await.2, "person_known");
        hub.end().await;
    }
}

#[tokio::test]
async fn a_hub_says_whether_it_asks_for_persons() {
    for hub in TestHub::on_both_with(|config| {
        required(config);
        config.personhood_stand_in = true;
    })
    .await
    {
        let anna = Person::arrive(&hub, 1).await;
        // What takes no part in the market is for everybody; so is the ending of what stands.
        hub.say(&anna.record(&hub, "community@1", json!({ "name": "Gardens" }))).await;
        assert_eq!(hub.refuses(&listing(&hub, &anna, "Early")).await.2, "personhood");
        assert_eq!(hub.refuses(&claim(&hub, &anna, json!({ "brightid": {} }))).await.2, "unknown_provider");
        assert_eq!(hub.refuses(&claim(&hub, &anna, json!({ "trust_me": {} }))).await.2, "body");
        let token = anna.sign_in(&hub).await;
        assert_eq!(hub.get_as(&token, "/v1/personhood/credential").await.refusal().0, 404);
        hub.say(&claim(&hub, &anna, json!({ "stand_in": {} }))).await;
        hub.say(&listing(&hub, &anna, "A bicycle, repaired")).await;
        // What the hub says of her, anyone can check by its DID document.
        let said = hub.get_as(&token, "/v1/personhood/credential").await.body;
        assert_eq!(said["credentialSubject"]["id"], json!(format!("did:pkh:{}", anna.wallet_id())));
        // It has no entry in a status list, so it is good for a day and asked for again.
        assert_eq!(said["validUntil"], json!(Stamp::from_ms(hub.now() + DAY_MS)));
        hub.clock.pass_ms(LIFE_MS - 1);
        let late = anna.sign_in(&hub).await;
        let last = hub.get_as(&late, "/v1/personhood/credential").await.body;
        assert_eq!(last["validUntil"], json!(Stamp::from_ms(hub.now() + 1)));
        hub.clock.pass_ms(1 - LIFE_MS);
        let document = hub.get("/.well-known/did.json").await.body;
        let method = document["verificationMethod"][0].clone();
        assert_eq!(said["issuer"], document["id"]);
        let resolve = |named: &str| {
            assert_eq!(json!(named), method["id"]);
            format!("did:key:{}", method["publicKeyMultibase"].as_str().unwrap())
                .parse()
                .map_err(|error: KeyError| error.to_string())
        };
        assert!(proof::verify_with(&said, proof::ASSERTION, resolve).is_ok());
        assert_eq!(hub.get("/v1/personhood/credential").await.refusal().0, 401);
        hub.end().await;
    }
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        hub.say(&listing(&hub, &anna, "A bicycle, repaired")).await;
        assert_eq!(hub.refuses(&claim(&hub, &anna, json!({ "stand_in": {} }))).await.2, "unknown_provider");
        assert_eq!(hub.get("/v1/personhood").await.body["required"], json!(false));
        hub.end().await;
    }
}

#[tokio::test]
async fn credit_is_for_persons() {
    for hub in TestHub::on_both_with(|config| {
        required(config);
        config.personhood_stand_in = true;
        config.time_credit_limit = 1_000;
    })
    .await
    {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let pays = |by: &Person, to: &Person, amount: &str| {
            hub.clock.pass_ms(1);
            let body = json!({ "asset": "time_credit", "to": to.account, "amount": amount, "note": "" });
            by.record(&hub, "transfer@1", body)
        };
        let hold = json!({
            "asset": "time_credit", "to": ben.account, "amount": "1", "expires": "2027-09-01T00:00:00Z", "note": "",
        });
        assert_eq!(hub.refuses(&pays(&anna, &ben, "1")).await.2, "personhood");
        assert_eq!(hub.refuses(&anna.record(&hub, "hold@1", hold.clone())).await.2, "personhood");
        hub.say(&claim(&hub, &anna, json!({ "stand_in": {} }))).await;
        hub.say(&pays(&anna, &ben, "500")).await;
        hub.say(&anna.record(&hub, "hold@1", hold)).await;
        // Who has is free to give, person or not; and no further.
        hub.say(&pays(&ben, &anna, "200")).await;
        hub.say(&pays(&ben, &anna, "300")).await;
        assert_eq!(hub.refuses(&pays(&ben, &anna, "1")).await.2, "personhood");
        hub.clock.pass_ms(LIFE_MS);
        assert_eq!(hub.refuses(&pays(&anna, &ben, "501")).await.2, "personhood");
        hub.end().await;
    }
}

#[tokio::test]
async fn a_hub_that_asks_for_persons_everywhere_hears_others_where_they_end_something() {
    let change = |config: &mut Config| {
        config.personhood = Personhood::Everything;
        config.personhood_stand_in = true;
    };
    for hub in TestHub::on_both_with(change).await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let setting = hub.get("/v1/personhood").await.body;
        assert_eq!((&setting["required"], &setting["setting"]), (&json!(true), &json!("everything")));
        let begin = anna.record(&hub, "community@1", json!({ "name": "Gardens" }));
        let told = hub.refuses(&begin).await;
        assert_eq!((told.0, told.1.as_str(), told.2.as_str()), (403, "access", "personhood"));
        hub.say(&claim(&hub, &anna, json!({ "stand_in": {} }))).await;
        let community = hub.say(&begin).await;
        let member = |role: Value| json!({ "account": ben.account, "role": role });
        hub.say(&anna.record_about(&hub, "membership@1", community, member(json!("member")))).await;
        let joins = ben.record_about(&hub, "membership@1", community, member(json!("member")));
        assert_eq!(hub.refuses(&joins).await.2, "personhood");
        // What belongs to one's own account is not asked for it, and neither is who declines.
        let profile = json!({ "name": "Ben", "text": "", "languages": [], "avatar": null });
        hub.say(&ben.record(&hub, "profile@1", profile)).await;
        hub.say(&ben.record_about(&hub, "membership@1", community, member(Value::Null))).await;
        hub.end().await;
    }
}

#[tokio::test]
async fn a_hub_for_persons_does_not_begin_without_anybody_who_says_who_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config {
        database: format!("sqlite:{}", folder.path().join("hub.sqlite").display()),
        data: folder.path().join("data"),
        ..Config::default()
    };
    let clock = Arc::new(crate::testing::StillClock::at(START_MS));
    let begun = crate::run(config, listener, clock, tokio_util::sync::CancellationToken::new());
    let error = tokio::time::timeout(std::time::Duration::from_secs(60), begun).await.unwrap().unwrap_err();
    let told = error.to_string();
    assert!(["personhood", "brightid_url", "open"].iter().all(|word| told.contains(word)), "{told}");
    assert!(!folder.path().join("data").exists());
    let stand_in = Config { personhood_stand_in: true, ..Config::default() };
    let open = Config { personhood: Personhood::Open, ..Config::default() };
    assert!(stand_in.can_serve().is_ok() && open.can_serve().is_ok());
}

/// Credit is given to a person, who does not leave it behind with an account.
#[tokio::test]
async fn who_owes_with_one_account_is_not_given_another() {
    let chain = fixture::Chain::start().await;
    let window = Window::on(&chain).await;
    let keys: Vec<Address> = (1..3).map(|seed| Person::keys(seed).0.address().evm().unwrap()).collect();
    // One human: registered with the first version by the first wallet, whose address is her id with the second version,
    // where she moved to the second wallet.
    let mut humanity = [0; 32];
    humanity[..20].copy_from_slice(keys[0].as_slice());
    let first = chain.deploy(registry(&[("isRegistered(address)", keys[0], yes())])).await;
    let second = [("isHuman(address)", keys[1], yes()), ("humanityOf(address)", keys[1], humanity)];
    let second = chain.deploy(registry(&second)).await;
    let at = |address: Address| AccountId { chain: CHAIN, address: address.into() };
    let change = |config: &mut Config| {
        required(config);
        config.time_credit_limit = 1_000;
        config.indexers.insert(CHAIN, window.url.clone());
        config.humanity_registries = vec![at(first), at(second)];
    };
    for hub in TestHub::on_both_with(change).await {
        let (anna, again, carl) =
            (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        let by = |person: &Person, registry: Address| {
            hub.clock.pass_ms(1);
            let body = json!({ "registry": at(registry), "wallet": person.wallet_id() });
            claim(&hub, person, json!({ "proof_of_humanity": body }))
        };
        let pays = |by: &Person, to: &Person, amount: &str| {
            hub.clock.pass_ms(1);
            let body = json!({ "asset": "time_credit", "to": to.account, "amount": amount, "note": "" });
            by.record(&hub, "transfer@1", body)
        };
        hub.say(&by(&anna, first)).await;
        hub.say(&pays(&anna, &carl, "900")).await;
        // By whichever version, she is one person, and one account's at one time.
        assert_eq!(hub.refuses(&by(&again, second)).await.2, "person_known");
        hub.clock.pass_ms(LIFE_MS);
        let told = hub.refuses(&by(&again, second)).await;
        assert_eq!((told.0, told.2.as_str()), (409, "person_owes"));
        assert_eq!(hub.refuses(&pays(&again, &carl, "1")).await.2, "personhood");
        hub.say(&pays(&carl, &anna, "899")).await;
        assert_eq!(hub.refuses(&by(&again, second)).await.2, "person_owes");
        hub.say(&pays(&carl, &anna, "1")).await;
        hub.say(&by(&again, second)).await;
        hub.say(&pays(&again, &carl, "1000")).await;
        assert_eq!(hub.refuses(&pays(&anna, &carl, "1")).await.2, "personhood");
        hub.end().await;
    }
}

#[test]
fn who_may_say_that_somebody_is_a_person_is_configured_with_care() {
    assert_eq!(Config::default().personhood, Personhood::Required);
    let public_url = || "https://hub.example".to_owned();
    let stand_in = Config { personhood_stand_in: true, ..Config::default() };
    assert!(stand_in.public().is_ok());
    let error = Config { public_url: public_url(), ..stand_in }.public().unwrap_err();
    assert!(error.contains("personhood_stand_in") && error.contains("hub.example"), "{error}");
    let good = Config {
        brightid_url: "https://node.example/node/v6".to_owned(),
        brightid_app: "earnest".to_owned(),
        brightid_signers: vec![public(7)],
        ..Config::default()
    };
    assert!(good.public().is_ok());
    type Change = fn(&mut Config);
    let changes: [(Change, &str); 7] = [
        (|c| c.brightid_url = "node.example".to_owned(), "brightid_url"),
        (|c| c.brightid_app = String::new(), "brightid_app"),
        (|c| c.brightid_app = "a/b".to_owned(), "brightid_app"),
        (|c| c.brightid_signers.clear(), "brightid_signers"),
        (|c| c.brightid_signers = vec!["AAAA".to_owned()], "brightid_signers"),
        (|c| c.brightid_signers = vec![public(7); 9], "brightid_signers"),
        (
            |c| {
                c.humanity_registries =
                    vec!["eip155:1:0x0000000000000000000000000000000000000001".parse().unwrap()]
            },
            "humanity_registries",
        ),
    ];
    for (change, key) in changes {
        let mut config = good.clone();
        change(&mut config);
        let error = config.public().unwrap_err();
        assert!(error.contains(key), "{error}");
    }
}
