mod append_only;
mod erasure;
mod golden;
mod noise;
mod rebuild;
mod tree;
mod vectors;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    access::Audience,
    testing::{Person, TestHub},
};

// W3C Data Integrity EdDSA Cryptosuites v1.0, test vectors of eddsa-jcs-2022 (w3c/vc-di-eddsa, `TestVectors`).
const PUBLIC: &str = "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2";
const SECRET: &str = "3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq";
const UNSIGNED: &str = r#"{
    "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
    "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
    "type": ["VerifiableCredential", "AlumniCredential"],
    "name": "Alumni Credential",
    "description": "A minimum viable example of an Alumni Credential.",
    "issuer": "https://vc.example/issuers/5678",
    "validFrom": "2023-01-01T00:00:00Z",
    "credentialSubject": { "id": "did:example:abcdefgh", "alumniOf": "The School of Examples" }
}"#;
const DOCUMENT_HASH: &str = "59b7cb6251b8991add1ce0bc83107e3db9dbbab5bd2c28f687db1a03abc92f19";
const OPTIONS_HASH: &str = "66ab154f5c2890a140cb8388a22a160454f80575f6eae09e5a097cabe539a1db";
const CREATED: &str = "2023-02-24T23:36:38Z";
const VALUE: &str =
    "z2HnFSSPPBzR36zdDgK8PbEHeXbR56YF24jwMpt3R1eHXQzJDMWS93FCzpvJpwTWd3GAVFuUfjoJdcnTMuVor51aX";

fn vector_key() -> DeviceKey {
    // Multicodec ed25519-priv (0x1300 as a varint), then the seed.
    let bytes = bs58::decode(SECRET).into_vec().unwrap();
    DeviceKey::from_seed(bytes.strip_prefix(&[0x80, 0x26]).unwrap().try_into().unwrap())
}

fn sha256(value: &Value) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(proof::canonical(value).unwrap()))
}

#[test]
fn signs_as_the_published_vectors_do() {
    let key = vector_key();
    assert_eq!(key.device().to_string(), PUBLIC);
    let unsigned: Value = serde_json::from_str(UNSIGNED).unwrap();
    assert_eq!(sha256(&unsigned), DOCUMENT_HASH);
    let signed = proof::sign(unsigned.clone(), &key, proof::ASSERTION, CREATED.parse().unwrap()).unwrap();
    assert_eq!(signed["proof"]["proofValue"], VALUE);
    assert_eq!(signed["proof"]["@context"], unsigned["@context"]);
    let mut options = signed["proof"].clone();
    options.as_object_mut().unwrap().remove("proofValue");
    assert_eq!(sha256(&options), OPTIONS_HASH);
    assert_eq!(proof::verify(&signed, proof::ASSERTION).unwrap().to_string(), PUBLIC);
}

#[test]
fn verifies_nothing_but_what_was_signed() {
    let unsigned: Value = serde_json::from_str(UNSIGNED).unwrap();
    let signed = proof::sign(unsigned, &vector_key(), proof::ASSERTION, CREATED.parse().unwrap()).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut changed = signed.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        proof::verify(&changed, proof::ASSERTION)
    };
    let mismatch = |result: Result<Device, ProofError>| matches!(result, Err(ProofError::Mismatch { .. }));
    let malformed = |result: Result<Device, ProofError>, at: &str| matches!(result, Err(ProofError::Malformed { field, .. }) if field == at);
    assert!(mismatch(with("/name", json!("Alumni credential"))));
    assert!(mismatch(with("/proof/created", json!("2023-02-24T23:36:39Z"))));
    assert!(malformed(with("/proof/created", json!("yesterday")), "/proof/created"));
    assert!(malformed(with("/proof/type", json!("Ed25519Signature2020")), "/proof/type"));
    assert!(malformed(with("/proof/cryptosuite", json!("eddsa-rdfc-2022")), "/proof/cryptosuite"));
    assert!(malformed(with("/proof/proofPurpose", json!("authentication")), "/proof/proofPurpose"));
    assert!(malformed(with("/proof/proofValue", json!(VALUE.replace('z', "u"))), "/proof/proofValue"));
    assert!(malformed(with("/proof/proofValue", json!("z111")), "/proof/proofValue"));
    let other = DeviceKey::from_seed([9; 32]).device();
    assert!(mismatch(with("/proof/verificationMethod", json!(other.verification_method()))));
    let crossed = format!("{other}#{}", vector_key().device().multibase());
    assert!(malformed(with("/proof/verificationMethod", json!(crossed)), "/proof/verificationMethod"));
    // What would narrow the proof is refused, not passed over.
    for option in ["expires", "domain", "challenge", "nonce", "previousProof", "anything"] {
        let mut narrowed = signed.clone();
        narrowed["proof"][option] = json!("2000-01-01T00:00:00Z");
        assert!(malformed(proof::verify(&narrowed, proof::ASSERTION), "/proof"), "{option}");
    }
    // The proof's contexts must begin the document's: one more behind them is not signed and does not count.
    let contexts = json!(["https://www.w3.org/ns/credentials/v2"]);
    assert!(malformed(with("/@context", contexts), "/proof/@context"));
    assert!(malformed(with("/proof", json!([])), "/proof"));
    assert!(proof::sign(signed.clone(), &vector_key(), proof::ASSERTION, CREATED.parse().unwrap()).is_err());
}

#[test]
fn a_device_is_one_text() {
    assert_eq!(PUBLIC.parse::<Device>().unwrap().to_string(), PUBLIC);
    for bad in [
        // P-256 (the issuer in `employmentAuth.json`, there), another base, another method, nothing.
        "did:key:zDnaegE6RR3atJtHKwTRTWHsJ3kNHqFwv7n9YjTgmU7TyfU76",
        "did:key:u6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",
        "did:web:example.com",
        "did:key:",
        "did:key:z",
    ] {
        assert!(bad.parse::<Device>().is_err(), "{bad}");
    }
    // The neutral point: anybody can make signatures for it.
    let mut neutral = vec![0xed, 0x01, 1];
    neutral.resize(34, 0);
    assert!(format!("did:key:z{}", bs58::encode(neutral).into_string()).parse::<Device>().is_err());
}

#[test]
fn a_moment_is_one_text() {
    for good in ["2026-11-21T10:00:00Z", "2026-11-21T10:00:00.125Z", "1970-01-01T00:00:00Z"] {
        assert_eq!(good.parse::<Stamp>().unwrap().to_string(), good);
    }
    for bad in [
        "2026-11-21 10:00:00Z",
        "2026-11-21T10:00:00+00:00",
        "2026-11-21T10:00:00.000Z",
        "2026-11-21T10:00:00.1234Z",
        "2026-11-21t10:00:00z",
        "1969-12-31T23:59:59Z",
        "2026-11-21",
        "",
    ] {
        assert!(bad.parse::<Stamp>().is_err(), "{bad}");
    }
}

/// A record whose id and proof were computed once by another implementation (Python's integers and SHA-2) from the seed.
fn golden() -> Value {
    let created = "2026-11-21T10:00:00Z".parse().unwrap();
    Draft::new("community@1", None, created, json!({ "name": "Gärten am Fluss" }))
        .sign(&DeviceKey::from_seed([7; 32]))
        .unwrap()
}

#[test]
fn a_record_reads_back_as_it_was_signed() {
    let signed = golden();
    let record = Record::read(&signed).unwrap();
    assert_eq!(serde_json::to_value(&record).unwrap(), signed);
    assert_eq!(record.id, RecordId::of(&signed).unwrap());
    assert_eq!(record.id.to_string().parse::<RecordId>().unwrap(), record.id);
    assert_eq!(record.device, DeviceKey::from_seed([7; 32]).device());
    assert_eq!(signed["id"], "zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr");
    assert_eq!(
        signed["proof"]["proofValue"],
        "z1wyQS1im7B1tSioFPWtQTFXBoUfoWM2RSXKbbE2QN2cdtcE6pfHKp6s4F2i2BPaCGSsd35qvvcLLovZPRY3TNGb"
    );
}

proptest! {
    #[test]
    fn a_changed_byte_is_refused(at in 0..1000_usize, to in any::<u8>()) {
        let mut bytes = proof::canonical(&golden()).unwrap();
        let at = at.checked_rem(bytes.len()).unwrap();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        if let Ok(changed) = serde_json::from_slice::<Value>(&bytes) {
            prop_assert!(Record::read(&changed).is_err(), "{changed}");
        }
    }

    #[test]
    fn ids_differ_when_anything_said_differs(name in "\\PC{1,20}", other in "\\PC{1,20}") {
        prop_assume!(name != other);
        let id = |name: &str| RecordId::of(&json!({ "body": { "name": name } })).unwrap();
        prop_assert_ne!(id(&name), id(&other));
        prop_assert_eq!(id(&name), RecordId::of(&json!({ "proof": 1, "id": 2, "body": { "name": name } })).unwrap());
    }

    #[test]
    fn no_text_stops_the_reader(text in "\\PC{0,100}") {
        let _ = text.parse::<RecordId>();
        let _ = text.parse::<Device>();
        let _ = text.parse::<Stamp>();
        let _ = text.parse::<Audience>();
        let _ = Record::read(&Value::String(text));
    }
}

#[tokio::test]
async fn every_bad_form_is_refused_by_name_and_nothing_is_kept() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let good = anna.record(&hub, "community@1", json!({ "name": "Gardens" }));
        let with = |pointer: &str, value: Value| {
            let mut changed = good.clone();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            changed.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
            changed
        };
        let said = |body: Value| anna.record(&hub, "community@1", body);
        let deep = (0..20).fold(json!(1), |inner, _| json!([inner]));
        for (record, status, step, rule, field) in [
            (with("/surprise", json!(1)), 422, "schema", "shape", ""),
            (with("/body", json!(1)), 422, "schema", "body", "/body"),
            (with("/created", json!("now")), 422, "schema", "shape", ""),
            (with("/audience", json!([])), 422, "schema", "audience", "/audience"),
            (with("/audience", json!(["everyone"])), 422, "schema", "shape", ""),
            (with("/parents", json!(vec![anna.account; 17])), 422, "schema", "parents", "/parents"),
            (with("/type", json!("community")), 422, "schema", "type", "/type"),
            (with("/type", json!("community@01")), 422, "schema", "type", "/type"),
            (with("/type", json!("weather@1")), 422, "schema", "type", "/type"),
            (said(json!({ "name": "Gardens", "colour": "green" })), 422, "schema", "body", "/body/colour"),
            (said(json!({})), 422, "schema", "body", "/body/name"),
            (said(json!({ "name": ["Gardens"] })), 422, "schema", "body", "/body/name"),
            (said(json!({ "name": " Gardens" })), 422, "schema", "name", "/body/name"),
            (said(json!({ "name": deep })), 422, "schema", "depth", ""),
            (said(json!({ "name": "a\0b" })), 422, "schema", "text", ""),
            (said(json!({ "name": 0.5 })), 422, "schema", "number", ""),
            (said(json!({ "name": 9_007_199_254_740_992_u64 })), 422, "schema", "number", ""),
            (with("/id", json!(anna.account)), 422, "proof", "id", "/id"),
            (with("/body", json!({ "name": "Garden" })), 422, "proof", "id", "/id"),
            (
                with("/proof/created", json!("2026-11-21T10:00:01Z")),
                422,
                "proof",
                "proof",
                "/proof/proofValue",
            ),
            (with("/proof/extra", json!(1)), 422, "proof", "proof", "/proof"),
        ] {
            let refusal = hub.refuses(&record).await;
            let told = (refusal.0, refusal.1.as_str(), refusal.2.as_str(), refusal.3.as_str());
            assert_eq!(told, (status, step, rule, field), "{record}");
        }
        // A proof by somebody else's device, over the same words.
        let mut bare = good.clone();
        bare.as_object_mut().unwrap().remove("proof");
        let created = good["created"].as_str().unwrap().parse().unwrap();
        let forged = proof::sign(bare, &DeviceKey::from_seed([9; 32]), proof::ASSERTION, created).unwrap();
        assert_eq!(hub.refuses(&forged).await.2, "device");
        let mut draft = anna.draft(&hub, "community@1", json!({ "name": "Gardens" }));
        draft.created = Stamp::from_ms(hub.now() + 5 * 60 * 1000 + 1);
        assert_eq!(hub.refuses(&draft.sign(&anna.device).unwrap()).await.2, "created");
        draft.created = Stamp::from_ms(hub.now() + 5 * 60 * 1000);
        hub.say(&draft.sign(&anna.device).unwrap()).await;

        let before = hub.rows().await;
        let post = |body: String, kind: &'static str| {
            hub.request(reqwest::Method::POST, "/v1/records").header("content-type", kind).body(body)
        };
        for (body, kind, status) in [
            ("{\"id\":".to_owned(), "application/json", 400),
            (good.to_string(), "text/plain", 415),
            (said(json!({ "name": "x".repeat(70_000) })).to_string(), "application/json", 413),
            (format!("{}1{}", "[".repeat(200), "]".repeat(200)), "application/json", 400),
            ("\"a record\"".to_owned(), "application/json", 422),
        ] {
            let answer = hub.ask(post(body, kind)).await;
            assert_eq!(answer.refusal().0, status);
        }
        assert_eq!(hub.rows().await, before);
        hub.end().await;
    }
}

#[tokio::test]
async fn the_same_record_again_answers_the_same_and_changes_nothing() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let record = anna.record(&hub, "community@1", json!({ "name": "Gardens" }));
        let first = hub.post("/v1/records", &record).await;
        assert_eq!(first.status, 201);
        let rows = hub.rows().await;
        hub.clock.pass_ms(60_000);
        let again = hub.post("/v1/records", &record).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert_eq!(hub.rows().await, rows);
        let id = first.body["id"].as_str().unwrap();
        assert_eq!(hub.get(&format!("/v1/records/{id}")).await.body, record);
        assert_eq!(hub.get("/v1/records/zQm").await.refusal().0, 400);
        assert_eq!(
            hub.get(&format!("/v1/records/{}", golden()["id"].as_str().unwrap())).await.refusal().0,
            404
        );
        hub.end().await;
    }
}

#[tokio::test]
async fn what_is_about_nothing_names_no_record() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let pays = json!({ "asset": "time_credit", "to": ben.account, "amount": "10", "note": "" });
        let mut holds = pays.clone();
        holds["expires"] = json!(Stamp::from_ms(hub.now() + 3_600_000));
        let gardens = json!({ "name": "Gardens" });
        let profile = json!({ "name": "Anna", "text": "", "languages": ["en"], "avatar": null });
        for (kind, body) in [
            ("transfer@1", pays),
            ("hold@1", holds),
            ("community@1", gardens.clone()),
            ("profile@1", profile),
            ("device@1", json!({ "revoke": { "device": anna.device.device(), "by": null } })),
            ("personhood@1", json!({ "stand_in": {} })),
        ] {
            let refusal = hub.refuses(&anna.record_about(&hub, kind, ben.account, body)).await;
            let told = (refusal.0, refusal.1.as_str(), refusal.2.as_str(), refusal.3.as_str());
            assert_eq!(told, (422, "schema", "about", "/about"), "{kind}");
        }
        // A log of before may have one, which is answered as it was and replayed.
        let founded = anna.record_about(&hub, "community@1", ben.account, gardens);
        hub.took_before(&founded).await;
        assert_eq!(hub.post("/v1/records", &founded).await.status, 200);
        hub.end().await;
    }
}

#[tokio::test]
async fn ten_at_once_are_taken_once() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let record = anna.record(&hub, "community@1", json!({ "name": "Gardens" }));
        let answers = futures::future::join_all((0..10).map(|_| hub.post("/v1/records", &record))).await;
        let new = answers.iter().filter(|answer| answer.status == 201).count();
        let old = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!((new, old), (1, 9));
        hub.end().await;
    }
}

#[tokio::test]
async fn a_record_for_some_is_not_there_for_others() {
    for hub in TestHub::on_both().await {
        let (anna, ben, cora) =
            (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await, Person::arrive(&hub, 3).await);
        let draft = anna
            .draft(&hub, "community@1", json!({ "name": "Secret" }))
            .only_for(vec![Audience::Account(ben.account)]);
        let id = hub.say(&draft.sign(&anna.device).unwrap()).await;
        let path = format!("/v1/records/{id}");
        let tokens = [anna.sign_in(&hub).await, ben.sign_in(&hub).await, cora.sign_in(&hub).await];
        assert_eq!(hub.get(&path).await.refusal().0, 404);
        for (token, status) in tokens.iter().zip([200, 200, 404]) {
            assert_eq!(hub.get_as(token, &path).await.status, status);
        }
        hub.end().await;
    }
}

#[tokio::test]
async fn another_key_is_another_hub() {
    for hub in TestHub::on_both().await {
        let key = hub.config.data.join("hub.key");
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let kept = std::fs::read(&key).unwrap();
        std::fs::remove_file(&key).unwrap();
        let opens = async || {
            let opened = crate::Hub::existing(hub.config.clone(), hub.clock.clone()).await;
            opened.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(opens().await.contains("there is no"));
        assert!(!key.exists());
        std::fs::write(&key, "11".repeat(32)).unwrap();
        assert!(opens().await.contains("is not that of this database's hub"));
        std::fs::write(&key, kept).unwrap();
        hub.end().await;
    }
}
