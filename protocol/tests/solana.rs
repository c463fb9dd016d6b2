//! Ids, lines, signatures and addresses on Solana are those of an implementation from `docs/solana.md` alone, in another
//! language: both sides are held to `tests/ethers/solana/vectors.json`, which that implementation wrote. And the refusals
//! of the program are those of the protocol.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::{collections::BTreeSet, str::FromStr};

use alloy::primitives::{B256, Bytes};
use protocol::{
    arbitration,
    chain::{self, Address, ChainId, NotSigned, Signed, TermsError, TransactionId},
    deal,
    solana::{self, Failed, Line, Pubkey, call},
    terms::Terms,
    wire::feed::RuleBook,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

fn list(name: &str) -> Vec<Value> {
    let mut vectors: Value =
        serde_json::from_str(include_str!("../../tests/ethers/solana/vectors.json")).unwrap();
    let list: Vec<Value> = serde_json::from_value(vectors[name].take()).unwrap();
    assert!(!list.is_empty(), "no vectors of {name}");
    list
}

fn get<T: DeserializeOwned>(value: &Value, field: &str) -> T {
    serde_json::from_value(value[field].clone()).unwrap_or_else(|error| panic!("{field}: {error}"))
}

/// A number that may be written as a decimal string.
fn number<T: FromStr>(value: &Value, field: &str) -> T {
    let text = value[field].as_str().map_or_else(|| value[field].to_string(), str::to_owned);
    text.parse().unwrap_or_else(|_| panic!("{field}: {text}"))
}

fn key(value: &Value, field: &str) -> Pubkey {
    Pubkey::new_from_array(get::<Address>(value, field).solana().unwrap())
}

fn home() -> ChainId {
    solana::chain().unwrap()
}

#[test]
fn deals() {
    for vector in list("deals") {
        let terms: Terms = get(&vector, "terms");
        assert_eq!(chain::deal_id(&terms), Ok(get(&vector["expected"], "deal")));
        assert_eq!(serde_json::to_value(&terms).unwrap(), vector["terms"]);
        assert!(chain::misfits(&terms).is_empty());
    }
}

#[test]
fn terms_of_another_chain_or_too_large_have_no_form() {
    let terms: Terms = get(&list("deals")[0], "terms");
    let elsewhere = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".parse().unwrap();
    let field = |terms: Terms| match chain::deal_id(&terms).unwrap_err() {
        TermsError::OtherChain { field, .. } | TermsError::TooLarge { field, .. } => field,
        other @ TermsError::UnsupportedChain(_) => panic!("{other}"),
    };
    let mut escrow = terms.clone();
    escrow.escrow.address = terms.buyer.address;
    let (mut buyer, mut arbiter, mut asset) = (terms.clone(), terms.clone(), terms.clone());
    buyer.buyer.chain = elsewhere;
    arbiter.arbiter.address = Address::from(alloy::primitives::Address::repeat_byte(1));
    asset.asset.chain = elsewhere;
    let amount = Terms { amount: solana::AMOUNT_MAX + 1, ..terms };
    let fields = [escrow, buyer, arbiter, asset, amount].map(field);
    assert_eq!(fields, ["escrow", "buyer", "arbiter", "asset", "amount"]);
}

#[test]
fn lines_and_their_signatures() {
    let mut seen = BTreeSet::new();
    for vector in list("messages") {
        let (name, of): (String, &Value) = (get(&vector, "name"), &vector["fields"]);
        let until = || number(of, "valid_until");
        let deal = || get::<B256>(of, "deal");
        let line = match name.as_str() {
            "terms" => Line::terms(deal()),
            "fund" => Line::fund(deal(), until()),
            "deliver" => Line::deliver(deal(), get(of, "delivery"), until()),
            "release" => Line::release(deal(), number(of, "total")),
            "refund" => Line::refund(deal(), number(of, "total")),
            "dispute" => Line::dispute(deal(), get(of, "evidence"), until()),
            "evidence" => Line::evidence(deal(), get(of, "evidence"), &get::<String>(of, "uri"), until()),
            "settle" => {
                let (total, rulings) = (number(of, "seller_total"), get(of, "rulings"));
                Line::settle(deal(), total, get(of, "status"), rulings, until())
            }
            "withdraw" => {
                let (amount, to, nonce) = (number(of, "amount"), key(of, "to"), get(of, "withdrawals"));
                Line::withdraw(deal(), &key(of, "creditor"), amount, &to, nonce, until())
            }
            "ballot" => Line::ballot(get(of, "case"), get(of, "share"), get(of, "reason")),
            "appeal" => Line::appeal(deal(), until()),
            other => panic!("unknown line {other}"),
        };
        let expected = &vector["expected"];
        assert_eq!(line.digest, get::<B256>(expected, "digest"), "{name}");
        assert_eq!(String::from_utf8(line.bytes()).unwrap(), get::<String>(expected, "line"));
        let (signer, signature): (Address, Bytes) = (get(expected, "signer"), get(expected, "signature"));
        assert!(solana::signed_by(&line, signer, &signature), "{name}");
        for at in [0, 63] {
            let mut other = signature.to_vec();
            other[at] ^= 1;
            assert!(!solana::signed_by(&line, signer, &other), "{name}");
        }
        assert!(!solana::signed_by(&Line::appeal(B256::ZERO, 0), signer, &signature));
        assert!(!solana::signed_by(&line, signer, &signature[..63]));
        seen.insert(name);
    }
    assert_eq!(seen.len(), solana::Signable::ALL.len());
}

#[test]
fn signatures_are_checked_through_the_neutral_door() {
    let vectors = list("messages");
    let find = |name: &str| vectors.iter().find(|vector| vector["name"] == name).unwrap();
    let escrow = chain::AccountId { chain: home(), address: solana::from_key(&solana::program()) };
    let appeal = find("appeal");
    let (deal, until) = (get(&appeal["fields"], "deal"), number(&appeal["fields"], "valid_until"));
    let signer: Address = get(&appeal["expected"], "signer");
    let signature: Bytes = get(&appeal["expected"], "signature");
    let checked = chain::appeal_signature(escrow, deal, until, signer, &signature);
    assert_eq!(checked, Ok(Signed::ByKey));
    let other = chain::appeal_signature(escrow, deal, until + 1, signer, &signature);
    assert!(matches!(other, Err(NotSigned::NotOfKey { .. })), "{other:?}");
    let short = chain::appeal_signature(escrow, deal, until, signer, &signature[1..]);
    assert_eq!(short, Err(NotSigned::Length(63)));

    let ballot = find("ballot");
    let (case, share, reason) =
        (get(&ballot["fields"], "case"), get(&ballot["fields"], "share"), get(&ballot["fields"], "reason"));
    let (signer, signature): (Address, Bytes) =
        (get(&ballot["expected"], "signer"), get(&ballot["expected"], "signature"));
    assert_eq!(chain::ballot_signature(escrow, case, share, reason, signer, &signature), Ok(()));
    let other = chain::ballot_signature(escrow, case, share ^ 1, reason, signer, &signature);
    assert!(other.is_err(), "{other:?}");
    assert_eq!(chain::ballot_form(home(), &signature), Ok(()));
    assert_eq!(chain::ballot_form(home(), &signature[1..]), Err(NotSigned::Length(63)));
}

#[test]
fn pools_cases_and_events() {
    for vector in list("pools") {
        let book: RuleBook = get(&vector, "book");
        assert_eq!(chain::pool_id(home(), &book), Ok(get(&vector, "expected")));
    }
    let escrow = chain::AccountId { chain: home(), address: solana::from_key(&solana::program()) };
    for vector in list("cases") {
        let (pool, deal, seed) = (get(&vector, "pool"), get(&vector, "deal"), get(&vector, "seed"));
        let id = chain::case_id(pool, escrow, deal, get(&vector, "instance"), get(&vector, "jury"), seed);
        assert_eq!(id, Ok(get(&vector, "expected")));
    }
    for vector in list("events") {
        let signature: Bytes = get(&vector, "signature");
        let transaction = TransactionId::Solana(signature.as_ref().try_into().unwrap());
        let place = get::<u64>(&vector, "instruction") << 16 | get::<u64>(&vector, "inner");
        let id = chain::event_id(home(), B256::ZERO, transaction, place);
        assert_eq!(id, Ok(get(&vector, "expected")));
    }
}

#[test]
fn addresses() {
    for vector in list("places") {
        let (name, of): (String, &Value) = (get(&vector, "name"), &vector["of"]);
        let deal = || get::<B256>(of, "deal");
        let found = match name.as_str() {
            "deal" => solana::deal_address(deal()),
            "vault" => solana::vault_address(deal()),
            "jury" => solana::jury_address(deal(), get(of, "ordinal")),
            "pool" => solana::pool_address(get(of, "pool")),
            "list" => solana::list_address(get(of, "pool"), get(of, "index")),
            "consent" => solana::consent(&key(of, "signer"), get(of, "digest")),
            "arbiter" => solana::arbiter(),
            "allowance" => solana::allowance(),
            other => panic!("unknown address {other}"),
        };
        assert_eq!(solana::from_key(&found), get::<Address>(&vector, "expected"), "{name}");
    }
}

#[test]
fn an_ed25519_instruction_carries_all_of_its_parts() {
    let brought = |byte: u8, length: usize| call::Brought {
        key: Pubkey::new_from_array([byte; 32]),
        message: vec![byte; length],
        signature: [byte; 64],
    };
    let data = call::ed25519(&[brought(1, 5), brought(2, 0)]).data;
    assert_eq!(data.len(), 2 + 2 * 14 + 64 + 32 + 5 + 64 + 32);
    assert_eq!(data[..2], [2, 0]);
    let numbers: Vec<u16> =
        data[2..30].chunks(2).map(|two| u16::from_le_bytes(two.try_into().unwrap())).collect();
    assert_eq!(numbers[..7], [30, 0xffff, 94, 0xffff, 126, 5, 0xffff]);
    assert_eq!(numbers[7..], [131, 0xffff, 195, 0xffff, 227, 0, 0xffff]);
    assert_eq!((data[30], data[126], data[131], data[226]), (1, 1, 2, 2));
}

/// Refusals that no account and no instruction on Solana can bring about.
const EVM_ALONE: [&str; 4] = ["WrongValue", "NotEnoughGas", "Reentered", "BadPage"];
/// The first of the refusals that only Solana has; the rest of the list follows it.
const FIRST_OF_ITS_OWN: &str = "UnsafeMint";

#[test]
fn the_programs_refusals_are_those_of_the_protocol_and_a_few_of_its_own() {
    let names = earnest_program::Refusal::NAMES;
    let own = names.iter().position(|name| *name == FIRST_OF_ITS_OWN).unwrap();
    let of_protocol: BTreeSet<&str> = deal::Refusal::ALL
        .iter()
        .chain(arbitration::Refusal::ALL)
        .map(|(name, _)| *name)
        .filter(|name| !EVM_ALONE.contains(name))
        .collect();
    assert_eq!(of_protocol, names[..own].iter().copied().collect());
    let page = include_str!("../../docs/solana.md");
    let row = page.lines().find(|line| line.starts_with("| refusals of its own")).unwrap();
    let told: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
    assert_eq!(told, names[own..]);
    let row = page.lines().find(|line| line.starts_with("| refusals that cannot occur")).unwrap();
    assert_eq!(row.split('`').skip(1).step_by(2).collect::<Vec<_>>(), EVM_ALONE);
}

#[test]
fn failures_read_as_refusals() {
    let deal = Some((100, 100));
    assert_eq!(solana::decode_failure(6_000, None), Failed::Refused("ZeroParty"));
    assert_eq!(solana::decode_failure(6_007, deal), Failed::Refused("UnknownDeal"));
    for missing in [3_012, 3_007] {
        assert_eq!(solana::decode_failure(missing, deal), Failed::Refused("UnknownDeal"));
        assert_eq!(solana::decode_failure(missing, Some((100, 101))), Failed::Refused("DealClosed"));
        assert_eq!(solana::decode_failure(missing, None), Failed::Account(missing));
    }
    assert_eq!(solana::decode_failure(2_000, deal), Failed::Account(2_000));
    assert_eq!(solana::decode_failure(1, deal), Failed::Other(1));
    assert_eq!(solana::decode_failure(6_999, deal), Failed::Other(6_999));
}
