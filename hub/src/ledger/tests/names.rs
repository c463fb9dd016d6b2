//! The names of assets, holders, accounts and operations, as requests bring them. `PROPTEST_CASES` says how many there are of each.

use std::{fmt, str::FromStr};

use proptest::sample::select;
use protocol::chain::{AccountId, Address, AssetId, ChainId};

use super::*;
use crate::{
    ledger::model::NotOfTheLedger,
    records::RecordId,
    testing::noise::{edited_text, edits, in_one_form, reads_back, text},
};

/// A contract on either kind of chain.
fn contracts() -> impl Strategy<Value = AccountId> {
    let evm = (1_u64.., any::<[u8; 20]>()).prop_map(|(id, address)| AccountId {
        chain: ChainId::Eip155(id),
        address: Address::Evm(address.into()),
    });
    let solana = any::<[u8; 32]>().prop_map(|key| AccountId {
        chain: "solana:EarnestLoca1Net11111111111111111".parse().unwrap(),
        address: Address::Solana(key),
    });
    prop_oneof![evm, solana]
}

fn records() -> impl Strategy<Value = RecordId> {
    any::<u32>().prop_map(record)
}

fn units() -> impl Strategy<Value = Asset> {
    let chain = (contracts(), any::<bool>()).prop_map(|(at, is_token)| {
        Asset::Chain(AssetId { chain: at.chain, token: is_token.then_some(at.address) })
    });
    prop_oneof![Just(Asset::TimeCredit), chain, records().prop_map(Asset::Issued)]
}

fn keys() -> impl Strategy<Value = Key> {
    let holder = prop_oneof![records().prop_map(Holder::Record), contracts().prop_map(Holder::Contract)];
    (units(), select(Kind::ALL.to_vec()), holder).prop_map(|(asset, kind, holder)| Key {
        asset,
        kind,
        holder,
    })
}

/// One of each, and each part that is one of several.
const NAMES: [&str; 8] = [
    "time_credit",
    "eip155:31337/slip44:60",
    "eip155:1/erc20:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr",
    "eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "time_credit|member|zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr",
    "eip155:31337/slip44:60|mirror|eip155:1:0x4e59b44847b379578588920cA78FbF26c0B4956C",
    "zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr/65535",
];

/// Whether it is read, and then also back; what is not is named, cut short, beside what it should have been.
fn is_a<T: FromStr<Err = NotOfTheLedger> + fmt::Display + fmt::Debug + PartialEq>(text: &str) -> bool {
    if let Err(refused) = text.parse::<T>() {
        assert!(text.contains(&refused.value) && refused.value.chars().count() <= 200, "{refused:?}");
        assert!(refused.to_string().ends_with(refused.what) && !refused.what.is_empty(), "{refused}");
    }
    reads_back::<T>(text)
}

fn is_a_name(text: &str) -> bool {
    [is_a::<Asset>(text), is_a::<Holder>(text), is_a::<Key>(text), in_one_form::<OperationId>(text)]
        .contains(&true)
}

#[test]
fn each_of_the_names_is_one() {
    assert!(NAMES.into_iter().all(is_a_name));
    assert!(!is_a::<OperationId>("one/of/them"));
}

proptest! {
    #[test]
    fn every_name_reads_back_as_it_was_written(key in keys(), record in records(), part: u16) {
        prop_assert_eq!(key.to_string().parse::<Key>(), Ok(key));
        prop_assert_eq!(key.asset.to_string().parse::<Asset>(), Ok(key.asset));
        prop_assert_eq!(key.holder.to_string().parse::<Holder>(), Ok(key.holder));
        let id = OperationId { record, part };
        prop_assert_eq!(id.to_string().parse::<OperationId>(), Ok(id));
    }

    #[test]
    fn a_name_that_is_read_reads_back_and_no_other_stops_the_reader(
        good in select(&NAMES[..]), edits in edits(), other in text(),
    ) {
        for text in [edited_text(good, &edits), other] {
            is_a_name(&text);
        }
    }
}

#[test]
fn names_read_back_as_they_were_written() {
    for key in [
        hours(0),
        Key { kind: Kind::Issuer, ..Key::member(voucher(), person(1)) },
        Key {
            asset: coin(),
            kind: Kind::Mirror,
            holder: Holder::Contract("eip155:1:0x4e59b44847b379578588920cA78FbF26c0B4956C".parse().unwrap()),
        },
    ] {
        assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
    }
    for bad in ["", "time_credit", "time_credit|member", "time_credit|member|x", "hours|member|x", "a|b|c|d"]
    {
        assert!(bad.parse::<Key>().is_err(), "{bad}");
    }
    let id = OperationId { record: record(1), part: 65_535 };
    assert_eq!(id.to_string().parse::<OperationId>().unwrap(), id);
    for bad in [
        "0",
        "/0",
        &format!("{}/65536", record(1)),
        &format!("{}/01", record(1)),
        &format!("{}/+1", record(1)),
    ] {
        assert!(bad.parse::<OperationId>().is_err(), "{bad}");
    }
}
