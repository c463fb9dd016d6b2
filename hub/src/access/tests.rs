mod visibility;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use axum::http::Method;

use super::{
    person::asked_for,
    scope::{Need, allows, need},
    *,
};
use crate::{
    config::Personhood,
    records::{DeviceKey, RecordId},
    rooms::Room,
};

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
        let belongs = |reader: &Reader| reader.entries().iter().any(|entry| audience.contains(entry));
        assert_eq!(readers.map(belongs), expected, "{audience:?}");
    }
}

/// Every type of record that docs/architecture.md tells of.
fn record_types() -> BTreeSet<String> {
    let page = include_str!("../../../docs/architecture.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    rows.flat_map(|cell| cell.split(", ")).filter(|name| name.ends_with("@1")).map(str::to_owned).collect()
}

#[test]
fn every_type_of_record_against_every_setting_of_personhood() {
    // Whether `required` asks for a person, and whether `everything` does; `open` never does.
    let table = [
        ("erasure@1", false, false),
        ("hub@1", false, false),
        ("identity@1", false, false),
        ("wallet@1", false, false),
        ("passkey@1", false, false),
        ("device@1", false, false),
        ("recovery-rule@1", false, false),
        ("recovery@1", false, false),
        ("recovery-approval@1", false, false),
        ("recovery-veto@1", false, false),
        ("recovery-end@1", false, false),
        ("profile@1", false, false),
        ("personhood@1", false, false),
        ("asset@1", false, false),
        ("transfer@1", false, true),
        ("hold@1", false, true),
        ("capture@1", false, false),
        ("release@1", false, false),
        ("expiry@1", false, false),
        ("community@1", false, true),
        ("membership@1", false, true),
        ("candidacy@1", false, true),
        ("deposit@1", false, true),
        ("proposal@1", false, true),
        ("vote@1", false, true),
        ("tally@1", false, false),
        ("grievance@1", false, false),
        ("grievance-step@1", false, false),
        ("grievance-timeout@1", false, false),
        ("pool@1", false, true),
        ("listing@1", true, true),
        ("purchase@1", true, true),
        ("acceptance@1", true, true),
        ("withdrawal@1", false, false),
        ("evidence@1", false, false),
        ("ballot@1", false, true),
        ("recusal@1", false, false),
        ("appeal@1", false, false),
        ("act@1", false, false),
        ("standing@1", false, false),
        ("credential@1", false, true),
        ("revocation@1", false, false),
        ("chain-event@1", false, false),
        ("due@1", false, false),
    ];
    assert_eq!(table.map(|(kind, ..)| kind.to_owned()).into_iter().collect::<BTreeSet<_>>(), record_types());
    let body = serde_json::json!({ "role": "member" });
    for (kind, required, everything) in table {
        assert!(Room::of(kind).is_some(), "{kind}");
        let asks = |setting| asked_for(setting, kind, &body).is_some();
        assert_eq!(asks(Personhood::Required), required, "{kind}");
        assert_eq!(asks(Personhood::Everything), everything, "{kind}");
        assert!(!asks(Personhood::Open), "{kind}");
    }
    // Whoever leaves or removes somebody ends something.
    let leaves = serde_json::json!({ "role": null });
    assert_eq!(asked_for(Personhood::Everything, "membership@1", &leaves), None);
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
        let belongs = reader.entries().iter().any(|entry| audience.contains(entry));
        prop_assert_eq!(may_read(&reader, &audience), belongs);
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
    let reputation = Need::Scope("read:reputation".parse().unwrap());
    assert_eq!(need(&Method::GET, "/v1/accounts/{id}/reputation"), reputation);
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
