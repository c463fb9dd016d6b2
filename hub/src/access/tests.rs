mod visibility;

use std::collections::BTreeMap;

use proptest::prelude::*;

use axum::http::Method;

use super::{
    scope::{Need, allows, need},
    *,
};
use crate::records::{DeviceKey, RecordId};

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

fn caller(scopes: Option<&[&str]>) -> Caller {
    let scopes = scopes.map(|scopes| scopes.iter().map(|scope| scope.parse().unwrap()).collect());
    Caller { account: id(1), device: DeviceKey::from_seed([1; 32]).device(), id: "t".to_owned(), scopes }
}

#[test]
fn a_token_is_good_for_its_scopes_alone() {
    let routes = [
        (Method::GET, "/v1/ledger/statement"),
        (Method::POST, "/v1/records"),
        (Method::GET, "/v1/purchases/{id}"),
        (Method::GET, "/v1/purchases/{id}/case"),
        (Method::HEAD, "/v1/purchases/{id}/credentials"),
        (Method::POST, "/v1/tokens"),
        (Method::DELETE, "/v1/sessions/current"),
        (Method::GET, "/v1/something/new"),
        (Method::GET, "/v1/sign-in/nonce"),
        (Method::POST, "/v1/chain-events"),
        (Method::GET, "/openapi.json"),
    ];
    for (scopes, expected) in [
        (None, [true; 11]),
        (Some(&[][..]), [false, false, false, false, false, false, false, false, true, true, true]),
        (
            Some(&["read:ledger"][..]),
            [true, false, false, false, false, false, false, false, true, true, true],
        ),
        (
            Some(&["write:ledger"][..]),
            [false, false, false, false, false, false, false, false, true, true, true],
        ),
        (Some(&["read:all"][..]), [true, false, true, true, true, false, false, false, true, true, true]),
        (Some(&["write:all"][..]), [false, true, false, false, false, false, false, false, true, true, true]),
        (
            Some(&["read:deals", "read:reputation", "write:records"][..]),
            [false, true, true, false, true, false, false, false, true, true, true],
        ),
        (
            Some(&["read:disputes"][..]),
            [false, false, false, true, false, false, false, false, true, true, true],
        ),
    ] {
        let caller = caller(scopes);
        let come = routes.each_ref().map(|(method, route)| allows(&caller, need(method, route)).is_ok());
        assert_eq!(come, expected, "{scopes:?}");
    }
    assert_eq!(need(&Method::GET, "/v1/something/new"), Need::Session);
}

#[test]
fn a_scope_is_one_text() {
    for area in Area::ALL.into_iter().map(Some).chain([None]) {
        for write in [false, true] {
            let scope = Scope { write, area };
            assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
        }
    }
    for bad in
        ["", "read", "read:", "Read:ledger", "read:everything", "delete:ledger", "read:ledger:x", "all"]
    {
        assert!(bad.parse::<Scope>().is_err(), "{bad}");
    }
}
