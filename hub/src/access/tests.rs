use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::records::RecordId;

fn id(n: u8) -> RecordId {
    RecordId::of(&serde_json::json!({ "n": n })).unwrap()
}

fn reader(account: Option<u8>, communities: &[u8]) -> Reader {
    let roles = communities.iter().map(|n| (id(*n), Role::Member)).collect::<BTreeMap<_, _>>();
    Reader { account: account.map(id), roles }
}

#[test]
fn every_reader_against_every_audience() {
    let (public, anna, gardens) = (Audience::Public, Audience::Account(id(1)), Audience::Community(id(10)));
    let stranger = reader(None, &[]);
    let (anna_alone, ben_alone) = (reader(Some(1), &[]), reader(Some(2), &[]));
    let (anna_in, ben_in, ben_elsewhere) =
        (reader(Some(1), &[10]), reader(Some(2), &[10]), reader(Some(2), &[11]));
    let readers = [&stranger, &anna_alone, &ben_alone, &anna_in, &ben_in, &ben_elsewhere];
    for (audience, expected) in [
        (vec![], [false, false, false, false, false, false]),
        (vec![public], [true, true, true, true, true, true]),
        (vec![anna], [false, true, false, true, false, false]),
        (vec![gardens], [false, false, false, true, true, false]),
        (vec![anna, gardens], [false, true, false, true, true, false]),
        (vec![gardens, public], [true, true, true, true, true, true]),
        // An account is no community of the same id, and the other way round.
        (vec![Audience::Account(id(10))], [false, false, false, false, false, false]),
        (vec![Audience::Community(id(1))], [false, false, false, false, false, false]),
    ] {
        assert_eq!(readers.map(|reader| may_read(reader, &audience)), expected, "{audience:?}");
    }
}

fn audience() -> impl Strategy<Value = Audience> {
    prop_oneof![
        Just(Audience::Public),
        (0..4_u8).prop_map(|n| Audience::Account(id(n))),
        (10..14_u8).prop_map(|n| Audience::Community(id(n))),
    ]
}

proptest! {
    #[test]
    fn one_entry_more_never_takes_anything_away(
        audience in proptest::collection::vec(audience(), 0..5),
        more in audience(),
        account in proptest::option::of(0..4_u8),
        communities in proptest::collection::vec(10..14_u8, 0..3),
    ) {
        let reader = reader(account, if account.is_some() { &communities } else { &[] });
        let mut longer = audience.clone();
        longer.push(more);
        prop_assert!(!may_read(&reader, &audience) || may_read(&reader, &longer));
        prop_assert_eq!(may_read(&Reader::stranger(), &audience), audience.contains(&Audience::Public));
    }

    #[test]
    fn an_audience_is_one_text(audience in audience()) {
        prop_assert_eq!(audience.to_string().parse::<Audience>().unwrap(), audience);
    }
}

#[test]
fn other_texts_are_no_audience() {
    for bad in ["", "Public", "public:", "everyone", "account:", "account:x", "community", "group:zQm"] {
        assert!(bad.parse::<Audience>().is_err(), "{bad}");
    }
}
