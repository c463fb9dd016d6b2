//! Wallets that come and go, and profiles, over HTTP on both engines; and what the contract behind a wallet may answer.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use proptest::{collection::vec, prelude::*};
use protocol::chain::AccountId;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{add, message_for};
use crate::{
    chain::Indexers,
    identity::{add_statement, contract_accepts, revoke_statement},
    records::DeviceKey,
    testing::{
        Person, TestHub, Wallet, account,
        answers::Answers,
        message,
        noise::{edited, edits, grafted, grafts},
        says, signed,
        trade::CHAIN,
    },
};

async fn revoking(hub: &TestHub, person: &Person, wallet: &Wallet, by: &Wallet) -> Value {
    let wallet = account(wallet.address());
    let by = says(hub, by, revoke_statement(&person.account, &wallet)).await;
    json!({ "revoke": { "wallet": wallet, "by": by } })
}

#[tokio::test]
async fn a_wallet_joins_by_its_own_word_and_that_of_another() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let (second, third) = (Person::keys(3).0, Person::keys(4).0);
        let says_it = |body: Value| anna.record(&hub, "wallet@1", body);
        // Ben's wallet does not speak for Anna's account, whatever it says, and is not hers to take.
        let mut body = anna.joining(&hub, &second).await;
        let statement = add_statement(&anna.account, &account(second.address()));
        body["add"]["by"] = says(&hub, &ben.wallet, statement.clone()).await;
        assert_eq!(hub.refuses(&says_it(body)).await.2, "wallet_unknown");
        assert_eq!(hub.refuses(&says_it(anna.joining(&hub, &ben.wallet).await)).await.2, "wallet_taken");
        // The word is for this wallet and this account, in these words, and genuine.
        let mut body = anna.joining(&hub, &second).await;
        body["add"]["by"] =
            says(&hub, &anna.wallet, add_statement(&anna.account, &account(third.address()))).await;
        let refusal = hub.refuses(&says_it(body)).await;
        assert_eq!((refusal.2.as_str(), refusal.3.as_str()), ("message_statement", "/body/add/by/message"));
        let mut body = anna.joining(&hub, &second).await;
        body["add"]["by"] =
            says(&hub, &anna.wallet, add_statement(&ben.account, &account(second.address()))).await;
        assert_eq!(hub.refuses(&says_it(body)).await.2, "message_statement");
        // A sign-in message for a device is no such word.
        let mut body = anna.joining(&hub, &second).await;
        let sign_in = message_for(&hub, &anna.wallet, &anna.device).await.to_string();
        body["add"]["by"] = json!({ "message": sign_in, "signature": signed(&anna.wallet, &sign_in) });
        assert_eq!(hub.refuses(&says_it(body)).await.2, "message_statement");
        // A signature of another key could be a contract's: nobody answers who could say so.
        let mut body = anna.joining(&hub, &second).await;
        body["add"]["by"]["signature"] = body["add"]["signature"].clone();
        let before = hub.rows().await;
        assert_eq!(hub.post("/v1/records", &says_it(body)).await.refusal().0, 503);
        assert_eq!(hub.rows().await, before);
        // The joining wallet's word is for the device that signs.
        let mut body = anna.joining(&hub, &second).await;
        let text = message_for(&hub, &second, &ben.device).await.to_string();
        body["add"]["message"] = json!(text);
        body["add"]["signature"] = json!(signed(&second, &text));
        assert_eq!(hub.refuses(&says_it(body)).await.2, "message_device");
        // A later identity@1 is none: an account begins once.
        let text = message_for(&hub, &second, &anna.device).await.to_string();
        let body = json!({ "message": text, "signature": signed(&second, &text), "name": "Anna" });
        assert_eq!(hub.refuses(&anna.record(&hub, "identity@1", body)).await.2, "author");
        hub.say(&says_it(anna.joining(&hub, &second).await)).await;
        let view = hub.get(&format!("/v1/accounts/{}", anna.account)).await.body;
        let second = account(second.address());
        assert_eq!(view["wallets"].as_array().unwrap().len(), 2);
        let controllers = view["controllers"].as_array().unwrap();
        assert!(controllers.contains(&json!(format!("did:pkh:{second}"))), "{view}");
        assert!(controllers.contains(&json!(anna.device.device())), "{view}");
        hub.end().await;
    }
}

#[tokio::test]
async fn no_contract_is_asked_about_a_wallet_that_is_not_the_accounts() {
    // Nobody answers who could say what a contract holds good: were one asked, it would be 503.
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let phone = DeviceKey::from_seed([11; 32]);
        let word = message(&hub, Address::repeat_byte(5), &phone).await;
        for signer in [&phone, &anna.device] {
            let told = hub.refuses(&add(&hub, &anna, signer, &word, &anna.wallet)).await;
            assert_eq!((told.0, told.2.as_str()), (403, "wallet_unknown"));
        }
        let second = Person::keys(3).0;
        let mut body = anna.joining(&hub, &second).await;
        let statement = add_statement(&anna.account, &account(second.address()));
        body["add"]["by"] = says(&hub, &ben.wallet, statement).await;
        body["add"]["by"]["signature"] = body["add"]["signature"].clone();
        assert_eq!(hub.refuses(&anna.record(&hub, "wallet@1", body)).await.2, "wallet_unknown");
        hub.end().await;
    }
}

#[tokio::test]
async fn a_wallet_that_goes_takes_its_devices_with_it() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let second = Person::keys(3).0;
        let last = revoking(&hub, &anna, &anna.wallet, &anna.wallet).await;
        assert_eq!(hub.refuses(&anna.record(&hub, "wallet@1", last)).await.2, "wallet_last");
        hub.say(&anna.record(&hub, "wallet@1", anna.joining(&hub, &second).await)).await;
        // The first device went over to the second wallet's word with that; a phone stands by the first's.
        let phone = DeviceKey::from_seed([11; 32]);
        let word = message_for(&hub, &anna.wallet, &phone).await;
        hub.say(&add(&hub, &anna, &phone, &word, &anna.wallet)).await;
        let own = revoking(&hub, &anna, &anna.wallet, &anna.wallet).await;
        assert_eq!(hub.refuses(&anna.record(&hub, "wallet@1", own)).await.2, "wallet_own_word");
        let stranger = revoking(&hub, &anna, &anna.wallet, &Person::keys(9).0).await;
        assert_eq!(hub.refuses(&anna.record(&hub, "wallet@1", stranger)).await.2, "wallet_unknown");
        let token = anna.sign_in(&hub).await;
        let gone = revoking(&hub, &anna, &anna.wallet, &second).await;
        hub.say(&anna.record(&hub, "wallet@1", gone)).await;
        let community = |key: &DeviceKey, name: &str| {
            anna.draft(&hub, "community@1", json!({ "name": name })).sign(key).unwrap()
        };
        assert_eq!(hub.refuses(&community(&phone, "Phones")).await.2, "device_revoked");
        hub.say(&community(&anna.device, "Gardens")).await;
        assert_eq!(hub.get_as(&token, "/v1/tokens").await.status, 200);
        // From then on, in the log's order, the wallet says nothing for the account, and may begin its own.
        let word = message_for(&hub, &anna.wallet, &phone).await;
        assert_eq!(hub.refuses(&add(&hub, &anna, &phone, &word, &anna.wallet)).await.2, "wallet_unknown");
        let again = Person::arrive(&hub, 1).await;
        assert_ne!(again.account, anna.account);
        hub.end().await;
    }
}

#[tokio::test]
async fn an_account_says_what_it_is() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let view = async || hub.get(&format!("/v1/accounts/{}", anna.account)).await.body;
        assert_eq!(view().await["profile"], json!(null));
        let avatar = "0x00000000000000000000000000000000000000000000000000000000000000aa";
        let body = json!({
            "name": "Anna B.", "text": "I repair bicycles.\nSaturdays.", "languages": ["en", "pt-BR"], "avatar": avatar,
        });
        let record = hub.say(&anna.record(&hub, "profile@1", body.clone())).await;
        let shown = view().await;
        assert_eq!(shown["name"], "Anna B.");
        let profile = json!({
            "record": record, "text": body["text"], "languages": body["languages"], "avatar": body["avatar"],
        });
        assert_eq!(shown["profile"], profile);
        let with = |name: &str, value: Value| {
            let mut changed = body.clone();
            changed[name] = value;
            anna.record(&hub, "profile@1", changed)
        };
        for (bad, rule) in [
            (with("name", json!("")), "name"),
            (with("name", json!("two\nlines")), "name"),
            (with("text", json!("x".repeat(2_001))), "text"),
            (with("languages", json!(["en", "EN"])), "languages"),
            (with("languages", json!(["english"])), "languages"),
            (with("languages", json!(["en-"])), "languages"),
            (with("languages", json!(["aa", "ab", "ac", "ad", "ae", "af", "ag", "ah", "ai"])), "languages"),
            (with("avatar", json!("0xaa")), "body"),
            (with("homepage", json!("x")), "body"),
        ] {
            assert_eq!(hub.refuses(&bad).await.2, rule);
        }
        let hidden = anna.draft(&hub, "profile@1", body);
        let hidden = hidden.only_for(vec![crate::access::Audience::Account(anna.account)]);
        assert_eq!(hub.refuses(&hidden.sign(&anna.device).unwrap()).await.2, "audience");
        hub.clock.pass_ms(1);
        let bare = json!({ "name": "Anna", "text": "", "languages": [], "avatar": null });
        let record = hub.say(&anna.record(&hub, "profile@1", bare)).await;
        let bare = json!({ "record": record, "text": "", "languages": [], "avatar": null });
        assert_eq!(view().await["profile"], bare);
        hub.end().await;
    }
}

/// By one answer alone, the magic value as a word (ERC-1271).
#[test]
fn a_contract_has_signed_where_it_answers_the_magic_word() {
    let runtime = Runtime::new().unwrap();
    let answers = runtime.block_on(Answers::start());
    let indexers = Indexers::new(&BTreeMap::from([(CHAIN, answers.url.clone())]), "").unwrap();
    let wallet = AccountId { chain: CHAIN, address: Address::repeat_byte(9).into() };
    let accepts = |outcome: &Value| {
        answers.say([(200, "application/json", serde_json::to_vec(outcome).unwrap())]);
        runtime.block_on(contract_accepts(&indexers, wallet, B256::ZERO, &[1; 65]))
    };
    let told = |outcome: &str, data: &[u8]| json!({ "outcome": outcome, "data": format!("0x{}", hex::encode(data)) });
    let magic = [[0x16_u8, 0x26, 0xba, 0x7e].as_slice(), &[0; 28]].concat();
    let good = told("returned", &magic);
    assert!(accepts(&good).unwrap());
    proptest!(|(edits in edits(), other in vec(any::<u8>(), 0..70), grafts in grafts())| {
        for data in [edited(&magic, &edits), other, magic.clone()] {
            prop_assert_eq!(accepts(&told("returned", &data)).unwrap(), data == magic);
            prop_assert!(!accepts(&told("reverted", &data)).unwrap());
        }
        let changed = grafted(&good, &grafts);
        if let Ok(true) = accepts(&changed) {
            prop_assert_eq!([&changed["outcome"], &changed["data"]], [&good["outcome"], &good["data"]]);
        }
    });
}
