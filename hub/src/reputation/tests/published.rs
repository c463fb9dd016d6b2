//! The cases of the W3C's suites of Verifiable Credentials 2.0 (w3c/vc-data-model-2.0-test-suite, `tests/input`) and of Bitstring
//! Status Lists 1.0 (w3c/vc-bitstring-status-list-test-suite, `fixtures` of the commits cf8e51a, 2c74c28 and 25c0636), by their names
//! there: what each of them does to a credential or a list is done to one of ours, which is then signed by its issuer.

use super::{
    super::status::{self, Standing},
    *,
};

/// What a case does to a good document.
type Change<'a> = &'a dyn Fn(&mut Value);
/// What is made of a good entry.
type EntryChange = fn(&mut Entry);

fn base() -> Value {
    let mut subject = serde_json::Map::new();
    subject.insert("id".to_owned(), "did:example:subject".into());
    let issued = Stamp::from_ms(START_MS);
    let document = vc::Document::new("ExampleTestCredential", device(1).device(), issued, subject);
    let mut base = serde_json::to_value(document).unwrap();
    // `credential-ok` has the base context alone.
    base["@context"] = json!([vc::CONTEXTS[0]]);
    base
}

fn signed_after(change: Change<'_>) -> Value {
    let mut document = base();
    change(&mut document);
    vc::secure(document, vc::Form::DataIntegrity, &device(1), Stamp::from_ms(START_MS)).unwrap()
}

fn without(document: &mut Value, member: &str) {
    document.as_object_mut().unwrap().remove(member).unwrap();
}

const EXAMPLES: &str = "https://www.w3.org/ns/credentials/examples/v2";

#[test]
fn what_the_suite_takes_is_taken() {
    let entry = Entry::new("https://example.org", Purpose::Revocation, 0, 1);
    let cases: [(&str, Change<'_>); 5] = [
        ("credential-ok", &|_| {}),
        ("credential-single-id-ok", &|d| d["id"] = json!("urn:uuid:986380ce-a04e-4393-800a-76dd29d8672d")),
        ("credential-id-other-ok", &|d| d["id"] = json!("https://id.example/things#123")),
        ("credential-subject-single-id-ok", &|d| d["credentialSubject"]["id"] = json!("did:example:other")),
        ("credential-status-ok", &|d| d["credentialStatus"] = json!(entry)),
    ];
    for (name, change) in cases {
        let opened = vc::open(&signed_after(change));
        assert!(opened.is_ok(), "{name}: {opened:?}");
    }
}

#[test]
fn what_the_suite_refuses_is_refused() {
    let cases: [(&str, Change<'_>); 21] = [
        ("credential-no-context-fail", &|d| without(d, "@context")),
        ("credential-missing-base-context-fail", &|d| d["@context"] = json!([EXAMPLES])),
        ("credential-context-order-fail", &|d| d["@context"] = json!([EXAMPLES, vc::CONTEXTS[0]])),
        ("credential-no-type-fail", &|d| without(d, "type")),
        ("credential-missing-required-type-fail", &|d| d["type"] = json!(["ExampleTestCredential"])),
        ("credential-not-url-id-fail", &|d| d["id"] = json!("not-a-url")),
        ("credential-nonsingle-id-fail", &|d| d["id"] = json!(["urn:uuid:1", "urn:uuid:2"])),
        ("credential-id-nonidentifier-fail", &|d| d["id"] = json!({ "name": "no identifier" })),
        ("credential-no-issuer-fail", &|d| without(d, "issuer")),
        ("credential-issuer-nonurl-fail", &|d| d["issuer"] = json!("not-a-url")),
        ("credential-issuer-null-fail", &|d| d["issuer"] = Value::Null),
        ("credential-issuer-object-no-id-fail", &|d| d["issuer"] = json!({ "name": "Issuer" })),
        ("credential-issuer-object-id-null-fail", &|d| d["issuer"] = json!({ "id": null })),
        ("credential-no-subject-fail", &|d| without(d, "credentialSubject")),
        ("credential-subject-no-claims-fail", &|d| d["credentialSubject"] = json!({})),
        ("credential-subject-multiple-empty-fail", &|d| d["credentialSubject"] = json!([])),
        ("credential-status-missing-type-fail", &|d| {
            d["credentialStatus"] = json!({ "id": "https://example.org/1#1" })
        }),
        ("credential-status-nonurl-id-fail", &|d| {
            d["credentialStatus"] = json!(Entry::new("https://example.org", Purpose::Revocation, 0, 1));
            d["credentialStatus"]["id"] = json!("not-a-url");
        }),
        ("credential-schema-no-type-fail", &|d| {
            d["credentialSchema"] = json!({ "id": "https://example.org/s" })
        }),
        ("credential-evidence-missing-type-fail", &|d| {
            d["evidence"] = json!({ "id": "https://example.org/e" })
        }),
        ("credential-refresh-no-type-fail", &|d| {
            d["refreshService"] = json!({ "id": "https://example.org/r" })
        }),
    ];
    for (name, change) in cases {
        assert_eq!(vc::open(&signed_after(change)).unwrap_err().rule(), "credential_form", "{name}");
    }
    let mut proof = signed_after(&|_| {});
    without(&mut proof["proof"], "type");
    assert_eq!(
        vc::open(&proof).unwrap_err().rule(),
        "credential_proof",
        "credential-proof-missing-type-fail"
    );
    let mut subject = base();
    subject["credentialSubject"]["id"] = json!("not-a-url");
    let subject = vc::secure(subject, vc::Form::Jose, &device(1), Stamp::from_ms(START_MS)).unwrap();
    assert!(matches!(vc::open(&subject), Err(vc::Refusal::Form { field: "/credentialSubject", .. })));
}

/// What the suite takes and a hub does not, each for its reason.
#[test]
fn what_is_stricter_than_the_suite_on_purpose() {
    let cases: [(&str, &str, Change<'_>); 8] = [
        (
            "credential-context-combo1-ok",
            "contexts are names that are compared and never fetched, so there are two and no more",
            &|d| d["@context"] = json!([vc::CONTEXTS[0], EXAMPLES]),
        ),
        (
            "credential-issuer-object-ok",
            "the issuer is the did:key that signs: one text, and nobody to ask",
            &|d| d["issuer"] = json!({ "id": d["issuer"] }),
        ),
        ("credential-issuer-url-ok", "the same", &|d| d["issuer"] = json!("https://example.org/issuer")),
        (
            "credential-subject-multiple-ok",
            "a credential is about one outcome, and so about one subject",
            &|d| d["credentialSubject"] = json!([{ "id": "did:example:a" }, { "id": "did:example:b" }]),
        ),
        ("credential-schema-ok", "a member that nobody here reads would be signed and not looked at", &|d| {
            d["credentialSchema"] = json!({ "id": "https://example.org/s", "type": "JsonSchema" })
        }),
        ("credential-evidence-ok", "the same", &|d| d["evidence"] = json!({ "type": "ExampleEvidence" })),
        ("credential-termsofuse-id-ok", "the same", &|d| {
            d["termsOfUse"] = json!({ "id": "https://example.org/t", "type": "ExampleTerms" })
        }),
        ("credential-refresh-ok", "the same", &|d| d["refreshService"] = json!({ "type": "ExampleRefresh" })),
    ];
    for (name, reason, change) in cases {
        let rule = vc::open(&signed_after(change)).unwrap_err().rule();
        assert_eq!(rule, "credential_form", "{name}: {reason}");
    }
}

/// The list of `status-credentials/multi-purpose-ok`: 200,000 entries, of which 201, 57,444 and 94,023 are set.
const LIST: &str =
    "H4sIACbOo2YC_-3QMREAMAgEsGerLPyrQgFjB-4SCUkWHQAAAAAAAOCwpwAAAADgrFIAAAAAAAAAAAAAAAAA3wxvOeOvqGEAAA";
/// That of `status-credentials/short-encoded-list-fail`: 200 entries.
const SHORT: &str = "H4sIAN7Lo2YC_2NgwAEAjw7P6RkAAAA";
const HUB: &str = "https://hub.example";

/// A list of the hub's after a change.
fn listed(change: Change<'_>) -> Value {
    let url = status::url(HUB, Purpose::Revocation, 0);
    let mut list = status::issue(&url, Purpose::Revocation, &[], START_MS, &device(9), START_MS).unwrap();
    without(&mut list, "proof");
    change(&mut list);
    vc::secure(list, vc::Form::DataIntegrity, &device(9), Stamp::from_ms(START_MS)).unwrap()
}

/// A list with these entries.
fn of(encoded: &str) -> Value {
    listed(&|d| d["credentialSubject"]["encodedList"] = json!(encoded))
}

/// What a list says of an entry; the member at fault where it says nothing.
fn standing(entry: &Entry, list: &Value) -> Result<Standing, &'static str> {
    let told = status::look(entry, list, device(9).device(), Stamp::from_ms(START_MS));
    told.map(|(standing, _)| standing).map_err(|refusal| match refusal {
        status::Refusal::Form { field, .. }
        | status::Refusal::Credential(vc::Refusal::Form { field, .. }) => field,
        status::Refusal::Credential(vc::Refusal::Time { .. }) => "/validUntil",
        other => panic!("{other}"),
    })
}

fn entry(index: u32) -> Entry {
    Entry::new(HUB, Purpose::Revocation, 0, index)
}

#[test]
fn the_lists_of_the_suite_say_what_they_say_there() {
    let list = of(&format!("u{LIST}"));
    for (name, index, expected) in [
        ("should-be-revoked", 201, Standing::Revoked),
        ("sl-purpose-single-ok", 1, Standing::Good),
        ("the others that are set", 57_444, Standing::Revoked),
        ("the others that are set", 94_023, Standing::Revoked),
        ("beside them", 202, Standing::Good),
        ("the last one of the list, which is longer than a hub's own", 199_999, Standing::Good),
    ] {
        assert_eq!(standing(&entry(index), &list), Ok(expected), "{name}");
    }
    assert_eq!(standing(&entry(200_000), &list), Err("/credentialStatus/statusListIndex"));
}

#[test]
fn what_the_suite_refuses_of_lists_is_refused() {
    let purpose = "/credentialSubject/statusPurpose";
    let cases: [(&str, &str, Change<'_>); 7] = [
        ("sl-date-expired-fail", "/validUntil", &|d| {
            d["validFrom"] = json!("2020-01-01T00:00:00Z");
            d["validUntil"] = json!("2021-01-01T00:00:00Z");
        }),
        ("sl-encoded-list-invalid-fail", "/credentialSubject/encodedList", &|d| {
            d["credentialSubject"]["encodedList"] = json!("uinvalid-encoded-list");
        }),
        ("sl-encoded-list-short-fail", "/credentialSubject/encodedList", &|d| {
            d["credentialSubject"]["encodedList"] = json!(format!("u{SHORT}"));
        }),
        ("sl-vc-type-missing-fail", "/type", &|d| d["type"] = json!([vc::TYPE])),
        ("sl-vc-type-wrong-fail", "/type", &|d| d["type"] = json!([vc::TYPE, "WrongType"])),
        ("single-purpose-fail", purpose, &|d| {
            d["credentialSubject"]["statusPurpose"] = json!("randomPurpose")
        }),
        ("multi-purpose-fail", purpose, &|d| {
            d["credentialSubject"]["statusPurpose"] = json!(["random", "purposes"]);
        }),
    ];
    for (name, field, change) in cases {
        assert_eq!(standing(&entry(201), &listed(change)), Err(field), "{name}");
    }
    let good = of(&format!("u{LIST}"));
    let entries: [(&str, EntryChange); 2] = [
        ("invalidCredentialStatusType", |e| e.kind = "InvalidType".to_owned()),
        ("invalidStatusListCredentialId", |e| e.list = "invalid-status-list-credential-id".to_owned()),
    ];
    for (name, change) in entries {
        let mut entry = entry(201);
        change(&mut entry);
        assert_eq!(standing(&entry, &good), Err("/credentialStatus"), "{name}");
    }
}

/// What the suite takes of lists and a hub does not, each for its reason.
#[test]
fn what_is_stricter_than_the_suite_of_lists_on_purpose() {
    // A list says one thing: nobody has to find out which of several a bit means.
    let many = listed(&|d| {
        d["credentialSubject"]["encodedList"] = json!(format!("u{LIST}"));
        d["credentialSubject"]["statusPurpose"] = json!(["revocation", "suspension"]);
    });
    assert_eq!(standing(&entry(1), &many), Err("/credentialSubject/statusPurpose"), "multi-purpose-ok");
    // The fixtures are of a draft: since then an encoded list begins with the letter of its base (multibase).
    assert_eq!(standing(&entry(1), &of(LIST)), Err("/credentialSubject/encodedList"), "single-purpose-ok");
    // An entry has an id, the list's URL and its own number, so that it is told in one way; and nothing is taken back for a while.
    let mut published = json!({
        "type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "201",
        "statusListCredential": "https://lists.example/purpose-single-ok.jsonld",
    });
    assert!(serde_json::from_value::<Entry>(published.clone()).is_err(), "should-be-revoked");
    published["id"] = json!("https://lists.example/purpose-single-ok.jsonld#201");
    assert!(serde_json::from_value::<Entry>(published.clone()).unwrap().check().is_ok());
    published["statusPurpose"] = json!("suspension");
    assert!(serde_json::from_value::<Entry>(published).is_err(), "should-be-suspended");
}
