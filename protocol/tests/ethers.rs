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
        self, B256, Bytes, U256,
        aliases::{U40, U88},
    },
    sol_types::SolStruct,
};
use protocol::{
    arbitration,
    chain::{
        AccountId, Address, ChainId, NotSigned, Signed, TermsError, appeal_signature, ballot_form,
        ballot_signature, case_id, deal_id, event_id, pool_id,
    },
    evm::{SignatureError, appeal_digest, ballot_digest, escrow::Escrow, escrow_domain, recover, typed},
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
    let domain = escrow_domain(contract).unwrap();
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
        "Ballot" => {
            ballot_digest(contract, get(value, "caseId"), get(value, "share"), get(value, "reason")).unwrap()
        }
        "Appeal" => appeal_digest(contract, deal(), number(value, "validUntil")).unwrap(),
        other => panic!("no type {other}"),
    }
}

/// What the protocol says of a signature, whatever the chain.
fn signed_by(
    signer: Address,
    contract: AccountId,
    kind: &str,
    value: &Value,
    digest: B256,
    signature: &[u8],
) {
    let other = contract.address;
    if kind == "Ballot" {
        let (case, share, reason) = (get(value, "caseId"), get(value, "share"), get(value, "reason"));
        let check = |juror, signature| ballot_signature(contract, case, share, reason, juror, signature);
        assert_eq!(check(signer, signature), Ok(()));
        assert_eq!(check(other, signature), Err(NotSigned::Other { signer, wanted: other }));
        let short = NotSigned::Form(SignatureError::Length(64));
        assert_eq!(check(signer, &signature[..64]), Err(short.clone()));
        assert_eq!(ballot_form(contract.chain, signature), Ok(()));
        assert_eq!(ballot_form(contract.chain, &signature[..64]), Err(short));
    }
    if kind == "Appeal" {
        let (deal, until) = (get(value, "deal"), number(value, "validUntil"));
        let check = |party, signature| appeal_signature(contract, deal, until, party, signature);
        assert_eq!(check(signer, signature), Ok(Signed::ByKey));
        for (party, signature) in [(other, signature), (signer, &signature[..64]), (signer, &[])] {
            assert_eq!(check(party, signature), Ok(Signed::AskContract(digest)));
        }
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
        let signer: Address = get(expected, "signer");
        assert_eq!(recover(digest, &signature).ok(), signer.evm(), "{kind}");
        signed_by(signer, contract, &kind, &vector["value"], digest, &signature);
    }
}

#[test]
fn pools() {
    for vector in list("pools") {
        let chain = ChainId::Eip155(1);
        let mut book: RuleBook = get(&vector, "book");
        assert_eq!(pool_id(chain, &book), Ok(get::<B256>(&vector["expected"], "pool")));
        book.keeper = Address::Solana(book.keeper.word().0);
        let refused = pool_id(chain, &book);
        assert!(matches!(refused, Err(TermsError::OtherChain { field: "keeper", .. })), "{refused:?}");
    }
}

#[test]
fn cases() {
    for vector in list("cases") {
        let escrow: Address = get(&vector, "escrow");
        let id = case_id(
            get(&vector, "pool"),
            AccountId { chain: ChainId::Eip155(1), address: escrow },
            get(&vector, "deal"),
            get(&vector, "instance"),
            get(&vector, "jury"),
            get(&vector, "seed"),
        );
        assert_eq!(id, Ok(get::<B256>(&vector["expected"], "case_id")));
    }
}

#[test]
fn draws() {
    let member = |number: &usize| Address::Evm(primitives::Address::left_padding_from(&number.to_be_bytes()));
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
        let (block, transaction) = (get(&vector, "block_hash"), B256::ZERO.into());
        let id = event_id(get(&vector, "chain"), block, transaction, number(&vector, "log_index"));
        assert_eq!(id, Ok(get::<B256>(&vector["expected"], "event_id")));
    }
}
