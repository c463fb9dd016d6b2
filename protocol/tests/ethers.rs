//! Ids, digests, draws and signatures are those of ethers.js: both sides are held to `tests/ethers/vectors.json`, which
//! ethers.js alone wrote.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use std::str::FromStr;

use alloy::{
    primitives::{
        Address, B256, Bytes, U256,
        aliases::{U40, U88},
    },
    sol_types::SolStruct,
};
use protocol::{
    arbitration,
    caip::AccountId,
    evm::{
        appeal_digest, ballot_digest, case_id, deal_id, escrow::Escrow, escrow_domain, event_id, pool_id,
        recover, typed,
    },
    terms::Terms,
    wire::feed::RuleBook,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

fn list(name: &str) -> Vec<Value> {
    let mut vectors: Value = serde_json::from_str(include_str!("../../tests/ethers/vectors.json")).unwrap();
    let list: Vec<Value> = serde_json::from_value(vectors[name].take()).unwrap();
    assert!(!list.is_empty(), "no vectors of {name}");
    list
}

/// A field as its type reads from JSON.
fn get<T: DeserializeOwned>(value: &Value, field: &str) -> T {
    serde_json::from_value(value[field].clone()).unwrap_or_else(|error| panic!("{field}: {error}"))
}

/// A number written as a decimal string.
fn number<T: FromStr>(value: &Value, field: &str) -> T {
    let text: String = get(value, field);
    text.parse().unwrap_or_else(|_| panic!("{field}: {text}"))
}

#[test]
fn deals() {
    for vector in list("deals") {
        let terms: Terms = get(&vector, "terms");
        assert_eq!(deal_id(&terms), Ok(get(&vector["expected"], "deal")));
        let folded = Escrow::Deal::try_from(&terms).unwrap();
        assert_eq!(folded.annex, get::<B256>(&vector["expected"], "annex"));
        assert_eq!(
            serde_json::to_value(&terms).unwrap(),
            lower_case_as_checksummed(&vector["terms"], &terms)
        );
    }
}

/// The vectors write addresses in lower case; the protocol writes checksums, which the deal's id does not see.
fn lower_case_as_checksummed(given: &Value, terms: &Terms) -> Value {
    let mut given = given.clone();
    for (field, account) in [
        ("escrow", terms.escrow),
        ("buyer", terms.buyer),
        ("seller", terms.seller),
        ("arbiter", terms.arbiter),
    ] {
        assert_eq!(get::<String>(&given, field), account.to_string().to_lowercase());
        given[field] = account.to_string().into();
    }
    assert_eq!(get::<String>(&given, "asset"), terms.asset.to_string().to_lowercase());
    given["asset"] = terms.asset.to_string().into();
    given
}

fn digest(contract: AccountId, kind: &str, value: &Value) -> B256 {
    let until = || number::<U40>(value, "validUntil");
    let deal = || get::<B256>(value, "deal");
    let domain = escrow_domain(contract);
    match kind {
        "Fund" => typed::Fund { deal: deal(), validUntil: until() }.eip712_signing_hash(&domain),
        "Deliver" => typed::Deliver { deal: deal(), delivery: get(value, "delivery"), validUntil: until() }
            .eip712_signing_hash(&domain),
        "Release" => {
            typed::Release { deal: deal(), total: number(value, "total") }.eip712_signing_hash(&domain)
        }
        "Refund" => {
            typed::Refund { deal: deal(), total: number(value, "total") }.eip712_signing_hash(&domain)
        }
        "Dispute" => typed::Dispute { deal: deal(), evidence: get(value, "evidence"), validUntil: until() }
            .eip712_signing_hash(&domain),
        "Evidence" => typed::Evidence {
            deal: deal(),
            evidence: get(value, "evidence"),
            uri: get(value, "uri"),
            validUntil: until(),
        }
        .eip712_signing_hash(&domain),
        "Settle" => typed::Settle {
            deal: deal(),
            sellerTotal: number::<U88>(value, "sellerTotal"),
            status: get(value, "status"),
            rulings: get(value, "rulings"),
            validUntil: until(),
        }
        .eip712_signing_hash(&domain),
        "Withdraw" => typed::Withdraw {
            creditor: get(value, "creditor"),
            asset: get(value, "asset"),
            amount: number::<U256>(value, "amount"),
            to: get(value, "to"),
            nonce: number::<U256>(value, "nonce"),
            validUntil: until(),
        }
        .eip712_signing_hash(&domain),
        "Ballot" => ballot_digest(contract, get(value, "caseId"), get(value, "share"), get(value, "reason")),
        "Appeal" => appeal_digest(contract, deal(), number(value, "validUntil")).unwrap(),
        other => panic!("no type {other}"),
    }
}

#[test]
fn messages_and_their_signers() {
    for vector in list("messages") {
        let (contract, kind): (AccountId, String) = (get(&vector, "contract"), get(&vector, "type"));
        let digest = digest(contract, &kind, &vector["value"]);
        let expected = &vector["expected"];
        assert_eq!(digest, get::<B256>(expected, "digest"), "{kind}");
        let signature: Bytes = get(expected, "signature");
        assert_eq!(recover(digest, &signature), Ok(get(expected, "signer")), "{kind}");
    }
}

#[test]
fn pools() {
    for vector in list("pools") {
        assert_eq!(pool_id(&get::<RuleBook>(&vector, "book")), get::<B256>(&vector["expected"], "pool"));
    }
}

#[test]
fn cases() {
    for vector in list("cases") {
        let id = case_id(
            get(&vector, "pool"),
            get(&vector, "escrow"),
            get(&vector, "deal"),
            get(&vector, "instance"),
            get(&vector, "jury"),
            get(&vector, "seed"),
        );
        assert_eq!(id, get::<B256>(&vector["expected"], "case_id"));
    }
}

#[test]
fn draws() {
    let member = |number: &usize| Address::left_padding_from(&number.to_be_bytes());
    for vector in list("draws") {
        let seed = arbitration::seed(
            get(&vector, "block_hash"),
            get(&vector, "deal"),
            get(&vector, "instance"),
            get(&vector, "jury"),
        );
        assert_eq!(seed, get::<B256>(&vector["expected"], "seed"));
        let members: Vec<_> = (1..=get::<usize>(&vector, "members")).map(|number| member(&number)).collect();
        let parties: Vec<_> = get::<Vec<usize>>(&vector, "passed_over").iter().map(member).collect();
        let seats: Vec<_> = get::<Vec<usize>>(&vector["expected"], "seats").iter().map(member).collect();
        assert_eq!(arbitration::draw(seed, &members, &parties, get(&vector, "jury_size")), Ok(seats));
    }
}

#[test]
fn events() {
    for vector in list("events") {
        let id = event_id(get(&vector, "chain"), get(&vector, "block_hash"), number(&vector, "log_index"));
        assert_eq!(id, get::<B256>(&vector["expected"], "event_id"));
    }
}
