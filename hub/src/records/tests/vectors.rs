//! Published vectors of JCS (RFC 8785), did:key and eddsa-jcs-2022. What matters of them stands here with its source; where
//! `../shared/vectors` is beside the clone, that what stands here is what stands there too. Licences: docs/dependencies.md.

use std::path::PathBuf;

use super::*;

/// A file of the published vectors; none where only the clone is.
fn published(path: &str) -> Option<String> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors"));
    let file = folder.join(path);
    // The folder may be missing, and no file of it.
    folder
        .is_dir()
        .then(|| std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}")))
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn jcs(value: &Value) -> String {
    String::from_utf8(proof::canonical(value).unwrap()).unwrap()
}

#[test]
fn the_constants_are_the_files_of_the_suite() {
    let of = |name: &str| published(&format!("eddsa-jcs-2022/{name}"));
    let Some(keys) = of("keyPair.json") else { return };
    let keys = json_of(&keys);
    assert_eq!(keys["publicKeyMultibase"], PUBLIC.trim_start_matches("did:key:"));
    assert_eq!(keys["privateKeyMultibase"], format!("z{SECRET}"));
    let unsigned = json_of(UNSIGNED);
    assert_eq!(json_of(&of("unsigned.json").unwrap()), unsigned);
    assert_eq!(of("canonDocJCS.txt").unwrap(), jcs(&unsigned));
    assert_eq!(of("docHashJCS.txt").unwrap(), DOCUMENT_HASH);
    let signed = proof::sign(unsigned, &vector_key(), proof::ASSERTION, CREATED.parse().unwrap()).unwrap();
    assert_eq!(json_of(&of("signedJCS.json").unwrap()), signed);
    let mut options = signed["proof"].clone();
    options.as_object_mut().unwrap().remove("proofValue");
    assert_eq!(json_of(&of("proofConfigJCS.json").unwrap()), options);
    assert_eq!(of("proofCanonJCS.txt").unwrap(), jcs(&options));
    assert_eq!(of("proofHashJCS.txt").unwrap(), OPTIONS_HASH);
    assert_eq!(of("combinedHashJCS.txt").unwrap(), format!("{OPTIONS_HASH}{DOCUMENT_HASH}"));
    assert_eq!(of("sigBTC58JCS.txt").unwrap(), VALUE);
    let signature = bs58::decode(&VALUE[1..]).into_vec().unwrap();
    assert_eq!(of("sigHexJCS.txt").unwrap(), hex::encode(signature));
}

/// `employmentAuth.json`, a credential of a P-256 key's, which the suite signs with eddsa-rdfc-2022 alone (`eddsa-rdfc-2022/employ` in
/// w3c/vc-di-eddsa).
const EMPLOYMENT: &str = r#"{
    "@context": ["https://www.w3.org/ns/credentials/v2", "https://w3id.org/citizenship/v4rc1"],
    "type": ["VerifiableCredential", "EmploymentAuthorizationDocumentCredential"],
    "issuer": {
        "id": "did:key:zDnaegE6RR3atJtHKwTRTWHsJ3kNHqFwv7n9YjTgmU7TyfU76",
        "image": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVQIW2NgUPr/HwADaAIhG61j/AAAAABJRU5ErkJggg=="
    },
    "credentialSubject": {
        "type": ["Person", "EmployablePerson"], "givenName": "JOHN", "additionalName": "JACOB", "familyName": "SMITH",
        "image": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVQIW2Ng+M/wHwAEAQH/7yMK/gAAAABJRU5ErkJggg==",
        "gender": "Male", "residentSince": "2015-01-01", "birthCountry": "Bahamas", "birthDate": "1999-07-17",
        "employmentAuthorizationDocument": {
            "type": "EmploymentAuthorizationDocument", "identifier": "83627465", "lprCategory": "C09",
            "lprNumber": "999-999-999"
        }
    },
    "name": "Employment Authorization Document", "description": "Example Employment Authorization Document.",
    "validFrom": "2019-12-03T00:00:00Z", "validUntil": "2029-12-03T00:00:00Z"
}"#;
/// The SHA-256 of its canonical form and what the suite's key signs of it by eddsa-jcs-2022 at [`CREATED`]: no published values, but
/// those of another implementation (Python's `json`, `hashlib` and `cryptography`), which makes the published ones of the other document.
const EMPLOYMENT_HASH: &str = "6ca388adaff807c71d063f666548493ba60c8c0fa109b3dd1e2564d61abe09cc";
const EMPLOYMENT_VALUE: &str =
    "z55PWbjtiUSzeGoGSJvBZGYKxVxtjrWC3MLmGUmHojBNxB9wHjrV9yjGiDXP9TUgGgdJhJk73AxAwuPfRDXWtUGDs";
/// What the suite's key signs of it by eddsa-rdfc-2022.
const EMPLOYMENT_BY_RDF: &str =
    "z64e3a7hAtYQ3pqCdBsPLRpNqJd5YTzbMP7WrotbqY7HtANPq3ZSYoycsz3tHxzqJM5GVR5bUk7TpjoxgdUDXMQaR";

#[test]
fn the_suites_other_document_is_signed_in_one_suite_alone() {
    let document = json_of(EMPLOYMENT);
    if let Some(file) = published("eddsa-jcs-2022/employmentAuth.json") {
        assert_eq!(json_of(&file), document);
    }
    assert_eq!(sha256(&document), EMPLOYMENT_HASH);
    let created = CREATED.parse().unwrap();
    let signed = proof::sign(document, &vector_key(), proof::ASSERTION, created).unwrap();
    assert_eq!(signed["proof"]["proofValue"], EMPLOYMENT_VALUE);
    assert_eq!(proof::verify(&signed, proof::ASSERTION).unwrap(), vector_key().device());
    // Stricter on purpose: what is signed as RDF is not canonicalised here and so says nothing; and a P-256 key is no device.
    let mut by_rdf = signed;
    by_rdf["description"] = json!("Example Country Employment Authorization Document.");
    by_rdf["proof"]["cryptosuite"] = json!("eddsa-rdfc-2022");
    by_rdf["proof"]["proofValue"] = json!(EMPLOYMENT_BY_RDF);
    by_rdf["proof"].as_object_mut().unwrap().remove("@context");
    assert!(matches!(
        proof::verify(&by_rdf, proof::ASSERTION),
        Err(ProofError::Malformed { field: "/proof/cryptosuite", .. })
    ));
    assert!(by_rdf["issuer"]["id"].as_str().unwrap().parse::<Device>().is_err());
}

/// FEP-8b32 (Object Integrity Proofs; julianlam/feps), `fep-8b32.feature`: a document with fractions, and a key that is not named by did:key.
const FEDERATED: &str = r#"{
    "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/data-integrity/v2"],
    "id": "https://server.example/activities/1", "type": "Create", "actor": "https://server.example/users/alice",
    "object": {
        "id": "https://server.example/objects/1", "type": "Note", "attributedTo": "https://server.example/users/alice",
        "content": "Hello world", "location": { "type": "Place", "longitude": -71.184902, "latitude": 25.273962 }
    }
}"#;
const FEDERATED_METHOD: &str = "https://server.example/users/alice#ed25519-key";
const FEDERATED_VALUE: &str =
    "z42ffGu6AUKPCFcFPiabmUvnGLPJzC7e4DGWC52NUasSSH37UMa9c58tdgVszUcZfytxa4fQ5TYHaJENCxUDe9SdL";

#[test]
fn an_object_of_the_fediverse_is_signed_and_verified_as_published() {
    let (document, created) = (json_of(FEDERATED), CREATED.parse().unwrap());
    let signed =
        proof::sign_as(document.clone(), &vector_key(), FEDERATED_METHOD, proof::ASSERTION, created).unwrap();
    assert_eq!(signed["proof"]["proofValue"], FEDERATED_VALUE);
    let resolve = |method: &str| {
        assert_eq!(method, FEDERATED_METHOD);
        Ok(vector_key().device())
    };
    assert_eq!(proof::verify_with(&signed, proof::ASSERTION, resolve).unwrap(), vector_key().device());
    // Stricter on purpose: a record's key is a did:key, so that no server need be asked who signed.
    assert!(matches!(
        proof::verify(&signed, proof::ASSERTION),
        Err(ProofError::Malformed { field: "/proof/verificationMethod", .. })
    ));
    if let Some(feature) = published("fep/fep-8b32.feature") {
        // Between each pair of quotes stands a document: unsigned, signed, signed again, and the actor.
        let documents: Vec<Value> = feature.split("\"\"\"").skip(1).step_by(2).map(json_of).collect();
        assert_eq!(documents[..3], [document, signed.clone(), signed]);
        assert_eq!(
            documents[3]["assertionMethod"][0]["publicKeyMultibase"],
            vector_key().device().multibase()
        );
    }
}

/// `test-vectors/ed25519-x25519.json` of the did:key method's specification (w3c-ccg/did-method-key): the last byte of the seed, and the
/// name.
const NAMED: [(u8, &str); 5] = [
    (0, "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"),
    (1, "did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG"),
    (2, "did:key:z6MknGc3ocHs3zdPiJbnaaqDi58NGb4pk1Sp9WxWufuXSdxf"),
    (3, "did:key:z6MkvqoYXQfDDJRv8L4wKzxYeuKyVZBfi9Qo6Ro8MiLH3kDQ"),
    (4, "did:key:z6MkwW6aqMnjgrhJXFUko3NnZPGzVpkNzhYK7yEhnsibmLwL"),
];
/// FEP-521a, `fep-521a.feature`: a public key and its multibase form.
const MULTIKEY: (&str, &str) = (
    "2e6fcce36701dc791488e0d0b1745cc1e33a4c1c9fcc41c63bd343dbbe0970e6",
    "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
);

#[test]
fn devices_are_named_as_published() {
    for (last, name) in NAMED {
        let mut seed = [0; 32];
        seed[31] = last;
        let device = DeviceKey::from_seed(seed).device();
        assert_eq!(device.to_string(), name);
        assert_eq!(name.parse::<Device>().unwrap(), device);
        let method = format!("{name}#{}", name.trim_start_matches("did:key:"));
        assert_eq!(device.verification_method(), method);
        assert_eq!(Device::of_verification_method(&method).unwrap(), device);
    }
    let (bytes, multibase) = MULTIKEY;
    let device: Device = format!("did:key:{multibase}").parse().unwrap();
    let decoded = bs58::decode(&device.multibase()[1..]).into_vec().unwrap();
    assert_eq!(hex::encode(decoded), format!("ed01{bytes}"));
    if let Some(feature) = published("fep/fep-521a.feature") {
        assert!(feature.contains(bytes) && feature.contains(multibase));
    }
}

/// Stricter on purpose: a device signs with Ed25519 alone, so that there is one suite to make and to check. The other keys
/// of the published vectors are therefore no devices.
#[test]
fn keys_of_other_kinds_are_no_devices() {
    for (kind, name) in [
        // `test-vectors/ed25519-x25519.json`, as above; the next two are examples in the text of the specification.
        ("X25519", "did:key:z6LShs9GGnqk85isEBzzshkuVWrVKsRp24GnDuHk8QWkARMW"),
        ("secp256k1", "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme"),
        ("P-256", "did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv"),
        ("no key", "did:key:z6Mk"),
        ("a URL in the DID", "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp?x=1"),
    ] {
        assert!(name.parse::<Device>().is_err(), "{kind}");
    }
}

/// RFC 8785, section 3.2.2: what is written anew, and section 3.2.3: the order of members by UTF-16.
#[test]
fn json_is_canonical_as_published() {
    let sample = r#"{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    let canonical = concat!(
        r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
        r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
    );
    assert_eq!(jcs(&json_of(sample)), canonical);
    let members = r#"{
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
        "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
    }"#;
    let written = jcs(&json_of(members));
    let order = [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ];
    let places: Vec<usize> = order.iter().map(|value| written.find(value).unwrap()).collect();
    assert!(places.is_sorted(), "{written}");
}

/// RFC 8785, appendix B: the bits of a double and how it is written.
const NUMBERS: [(u64, &str); 24] = [
    (0x0000_0000_0000_0000, "0"),
    (0x8000_0000_0000_0000, "0"),
    (0x0000_0000_0000_0001, "5e-324"),
    (0x8000_0000_0000_0001, "-5e-324"),
    (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
    (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
    (0x4340_0000_0000_0000, "9007199254740992"),
    (0xc340_0000_0000_0000, "-9007199254740992"),
    (0x4430_0000_0000_0000, "295147905179352830000"),
    (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
    (0x44b5_2d02_c7e1_4af6, "1e+23"),
    (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
    (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
    (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
    (0x444b_1ae4_d6e2_ef50, "1e+21"),
    (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
    (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
    (0x41b3_de43_5555_5553, "333333333.3333332"),
    (0x41b3_de43_5555_5554, "333333333.33333325"),
    (0x41b3_de43_5555_5555, "333333333.3333333"),
    (0x41b3_de43_5555_5556, "333333333.3333334"),
    (0x41b3_de43_5555_5557, "333333333.33333343"),
    (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
    (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
];

/// The canonical form is that of all of JSON. Stricter on purpose: a record has integers within 2^53 - 1 alone, so that no
/// reader need know how doubles are written.
#[test]
fn numbers_are_written_as_published() {
    for (bits, written) in NUMBERS {
        let number = json!(f64::from_bits(bits));
        assert_eq!(jcs(&number), written, "{bits:016x}");
    }
    assert!(serde_json::Number::from_f64(f64::from_bits(0x7fff_ffff_ffff_ffff)).is_none());
    assert!(serde_json::Number::from_f64(f64::from_bits(0x7ff0_0000_0000_0000)).is_none());
}
