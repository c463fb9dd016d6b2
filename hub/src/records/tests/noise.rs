//! Every text and every record that somebody may send, after changes that nobody meant: what is read is read back as it was, and
//! what is not is refused in words. `PROPTEST_CASES` says how many there are of each; `scripts/test --long` asks for ten thousand.

#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use std::{cell::Cell, fmt};

use proptest::sample::{Index, select};
use protocol::{
    chain::{AccountId, Address, AssetId, ChainId, TransactionId},
    terms::Terms,
    wire::{feed::Delivery, intent::ProgressReport},
};
use serde::{Serialize, de::DeserializeOwned};
use service::db::testing::sqlite;
use tokio::runtime::Runtime;

use super::*;
use crate::{
    access::Scope,
    reputation::model::WalletDid,
    rooms::Room,
    testing::{
        Authenticator, RELAYER_KEY,
        noise::{
            edited, edited_text, edits, grafted, grafts, in_one_form, json as any_json, reads_back, text,
        },
        trade::{Ground, Trade},
    },
};

/// One of each.
const TEXTS: [&str; 17] = [
    "zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr",
    PUBLIC,
    "2026-11-21T10:00:00.5Z",
    "public",
    "account:zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr",
    "community:zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr",
    "read:all",
    "write:records",
    "eip155:31337",
    "solana:EarnestLoca1Net11111111111111111",
    "eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "solana:EarnestLoca1Net11111111111111111:TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
    "eip155:31337/slip44:60",
    "eip155:1/erc20:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "did:pkh:eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "0x1111111111111111111111111111111111111111111111111111111111111111",
];

/// How many kinds of text it is.
fn kinds_of(text: &str) -> usize {
    let read = [
        in_one_form::<RecordId>(text),
        in_one_form::<Device>(text),
        in_one_form::<Stamp>(text),
        in_one_form::<Audience>(text),
        in_one_form::<Scope>(text),
        in_one_form::<ChainId>(text),
        reads_back::<AccountId>(text),
        reads_back::<AssetId>(text),
        reads_back::<Address>(text),
        reads_back::<TransactionId>(text),
        reads_back::<WalletDid>(text),
    ];
    read.into_iter().filter(|read| *read).count()
}

#[test]
fn each_text_is_of_one_kind() {
    for text in TEXTS {
        assert_eq!(kinds_of(text), 1, "{text}");
    }
}

proptest! {
    #[test]
    fn a_text_that_is_read_reads_back(good in select(&TEXTS[..]), edits in edits(), other in text()) {
        let changed = edited_text(good, &edits);
        prop_assert!(kinds_of(&changed) <= 1, "{changed}");
        prop_assert!(kinds_of(&other) <= 1, "{other}");
    }
}

/// Whether the steps that need nothing but the record take it; then it is written as it was sent, and its room has looked at it.
fn is_read(received: &Value) -> bool {
    let Ok((record, canonical)) = schema::read(received) else { return false };
    assert_eq!(serde_json::to_value(&record).unwrap(), *received);
    assert_eq!(serde_json::from_str::<Value>(&canonical).unwrap(), *received);
    assert!(canonical.len() <= RECORD_SIZE_MAX);
    Room::of(&record.kind).is_some_and(|room| room.check(&record).is_ok())
}

/// What serde reads is written to what reads the same.
fn is_of<T: DeserializeOwned + Serialize + fmt::Debug + PartialEq>(value: &Value) -> bool {
    let read = T::deserialize(value).ok();
    if let Some(read) = &read {
        let written = serde_json::to_value(read).unwrap();
        assert_eq!(T::deserialize(&written).ok().as_ref(), Some(read), "{written}");
    }
    read.is_some()
}

fn is_of_the_wire(value: &Value) -> bool {
    [is_of::<Terms>(value), is_of::<Delivery>(value), is_of::<ProgressReport>(value)].contains(&true)
}

/// The records of a deal that is funded, its terms, and what the relayer says of it.
async fn deal() -> (Vec<Value>, Vec<Value>) {
    let trade = Trade::start(sqlite(), Ground::EVM).await;
    let bought = trade.agree(1).await;
    trade.fund(&bought).await;
    let kept = "SELECT record FROM log ORDER BY seq";
    let records: Vec<String> = sqlx::query_scalar(kept).fetch_all(&trade.hub.eyes).await.unwrap();
    let records: Vec<Value> = records.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let entry = trade.script.tells(&trade.script.newest(), protocol::wire::feed::Finality::Final);
    let wire = vec![
        json!(bought.terms),
        json!({ "entries": [entry] }),
        json!({ "key": "k", "progress": { "state": "failed", "reason": "because" } }),
    ];
    trade.hub.end().await;
    (records, wire)
}

#[test]
fn a_record_that_is_read_is_what_was_sent() {
    let (records, wire) = Runtime::new().unwrap().block_on(deal());
    let kinds: std::collections::BTreeSet<_> = records.iter().map(|one| one["type"].to_string()).collect();
    assert!(kinds.len() >= 6, "{kinds:?}");
    assert!(records.iter().all(is_read));
    assert!(wire.iter().all(is_of_the_wire), "{wire:?}");
    proptest!(|(at in any::<Index>(), grafts in grafts(), edits in edits(), other in any_json())| {
        for good in [at.get(&records), at.get(&wire)] {
            let bytes = edited(&serde_json::to_vec(good).unwrap(), &edits);
            for received in [serde_json::from_slice(&bytes).ok(), Some(grafted(good, &grafts))].into_iter().flatten() {
                is_read(&received);
                is_of_the_wire(&received);
                if let Ok(record) = Record::read(&received) {
                    prop_assert!(records.contains(&serde_json::to_value(&record).unwrap()), "{received}");
                }
            }
        }
        is_read(&other);
        is_of_the_wire(&other);
    });
}

/// What people say in a market without a chain, said once.
async fn market(hub: &TestHub) -> (Person, Vec<Value>) {
    let (anna, ben) = (Person::arrive(hub, 1).await, Person::arrive(hub, 2).await);
    let community = hub.say(&anna.record(hub, "community@1", json!({ "name": "Gardens" }))).await;
    let (later, closes) = (Stamp::from_ms(hub.now() + 3_600_000), Stamp::from_ms(hub.now() + 3 * 86_400_000));
    let between = vec![Audience::Account(anna.account), Audience::Account(ben.account)];
    let pay = json!({ "asset": "time_credit", "to": ben.account, "amount": "10", "note": "" });
    let mut hold = pay.clone();
    hold["expires"] = json!(later);
    let passkey = Authenticator::ed25519(&hub.config.public_url, 7);
    let joins = passkey.joins(hub, &anna).await;
    let brings = passkey.brings(hub, &DeviceKey::from_seed([9; 32])).await;
    let profile = json!({ "name": "Anna", "text": "", "languages": ["en"], "avatar": null });
    let profile = anna.draft(hub, "profile@1", profile);
    let said = profile.sign(&anna.device).unwrap()["id"].as_str().unwrap().parse().unwrap();
    let drafts = [
        anna.draft(hub, "passkey@1", joins),
        anna.draft(hub, "device@1", brings),
        anna.draft(hub, "transfer@1", pay).only_for(between.clone()),
        anna.draft(hub, "hold@1", hold).only_for(between),
        profile,
        anna.draft(hub, "erasure@1", json!({})).about(said),
        anna.draft(hub, "membership@1", json!({ "account": ben.account, "role": "member" })).about(community),
        anna.draft(hub, "deposit@1", json!({ "asset": "time_credit", "amount": "5", "note": "" })).about(community),
        anna.draft(hub, "proposal@1", json!({
            "title": "A shed", "text": "", "electorate": { "roles": ["member", "steward"] },
            "rule": { "quorum": "1/2", "needs": "majority" }, "ballots": "open", "closes": closes, "effect": null,
        })).about(community),
        anna.draft(hub, "grievance@1", json!({
            "kind": "membership", "subject": community, "respondent": ben.account, "remedy": "statement",
            "title": "The shed", "text": "",
        })).about(community).only_for(vec![Audience::Account(anna.account)]),
        anna.draft(hub, "grievance-step@1", json!({ "step": { "propose": {
            "outcome": { "partial_adjustment": { "amount": "5" } }, "reason": "",
        } } })).about(community).only_for(vec![Audience::Account(anna.account)]),
        anna.draft(hub, "listing@1", json!({
            "kind": "service", "title": "Bicycle repair", "description": "Punctures, brakes, gears.",
            "price_type": "fixed", "price": [{ "asset": "time_credit", "amount": "150" }], "tags": ["bicycle"],
            "location_pref": "local", "visibility": "public", "status": "active",
        })),
        anna.draft(hub, "personhood@1", json!({ "provider": "stand_in" })),
        anna.draft(hub, "device@1", json!({ "revoke": anna.device.device() })),
        anna.draft(hub, "evidence@1", json!({ "hash": "0x", "uri": "", "note": "" })).about(community),
    ];
    let mut said = Vec::new();
    for draft in drafts {
        let record = draft.sign(&anna.device).unwrap();
        let status = hub.post("/v1/records", &record).await.status;
        println!("{}: {status}", record["type"]);
        assert!(status < 500, "{record}");
        said.push(serde_json::to_value(&draft).unwrap());
    }
    (anna, said)
}

/// Signed as it stands, whatever it is; none where it has no canonical form.
fn signed(said: &Value, key: &DeviceKey, created: Stamp) -> Option<Value> {
    let mut said = said.clone();
    said.as_object_mut()?.insert("device".to_owned(), json!(key.device()));
    let id = RecordId::of(&said).ok()?;
    said.as_object_mut()?.insert("id".to_owned(), json!(id));
    proof::sign(said, key, proof::ASSERTION, created).ok()
}

#[test]
fn whatever_is_signed_is_taken_or_refused_and_a_replay_comes_to_the_same() {
    let runtime = Runtime::new().unwrap();
    for hub in runtime.block_on(TestHub::on_both_with(|config| config.time_credit_limit = 1_000)) {
        let (anna, said) = runtime.block_on(market(&hub));
        let created = Stamp::from_ms(hub.now());
        let taken = Cell::new(0);
        proptest!(|(at in any::<Index>(), grafts in grafts(), whole: bool)| {
            let mut draft = at.get(&said).clone();
            if whole {
                draft = grafted(&draft, &grafts);
            } else {
                draft["body"] = grafted(&draft["body"], &grafts);
            }
            if let Some(record) = signed(&draft, &anna.device, created) {
                let answer = runtime.block_on(hub.post("/v1/records", &record));
                let expected = [200, 201, 400, 403, 409, 413, 422, 503].contains(&answer.status);
                prop_assert!(expected, "{record}: {answer:?}");
                taken.set(taken.get() + usize::from(answer.status == 201));
            }
        });
        println!("{} were taken", taken.get());
        let kept: i64 =
            runtime.block_on(sqlx::query_scalar("SELECT count(*) FROM log").fetch_one(&hub.eyes)).unwrap();
        assert!(kept > 8, "a replay of nothing says nothing");
        runtime.block_on(hub.end());
    }
}

#[test]
fn whatever_the_relayer_s_key_brings_is_taken_or_refused() {
    let runtime = Runtime::new().unwrap();
    let (_, wire) = runtime.block_on(deal());
    for hub in runtime.block_on(TestHub::on_both()) {
        proptest!(|(at in any::<Index>(), grafts in grafts(), other in any_json())| {
            for body in [grafted(at.get(&wire), &grafts), other] {
                for path in ["/v1/chain-events", "/v1/intents/progress"] {
                    let answer = runtime.block_on(hub.post_as(RELAYER_KEY, path, &body));
                    let expected = [200, 204, 400, 409, 413, 422, 425, 503].contains(&answer.status);
                    prop_assert!(expected, "{path} {body}: {answer:?}");
                }
            }
        });
        runtime.block_on(hub.end());
    }
}
