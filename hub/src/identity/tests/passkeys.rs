//! Passkeys: what they say, as bytes and over HTTP on both engines.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{add, message_for};
use crate::{
    identity::{
        DeviceBody, Passkey, PasskeyWord, add_statement, device_statement, passkey_statement,
        revoke_passkey_statement, revoke_statement,
        webauthn::{CREATE, GET, Said},
    },
    records::{DeviceKey, Record},
    testing::{
        Authenticator, Person, TestHub, account,
        authenticator::{BOTH, encoded, nonce},
        noise::{edited, edits, text},
        says,
    },
};

const URL: &str = "https://hub.example:8443";
const NONCE: &str = "0123456789abcdef";

fn phone() -> DeviceKey {
    DeviceKey::from_seed([11; 32])
}

fn word(said: Value) -> PasskeyWord {
    serde_json::from_value(said).unwrap()
}

fn rule(said: Value) -> &'static str {
    word(said).verify(URL).err().map_or("", |error| error.rule)
}

/// One of each kind.
fn authenticators() -> [Authenticator; 2] {
    [Authenticator::p256(URL), Authenticator::ed25519(URL, 7)]
}

/// WebAuthn level 3, section 16.2: "ES256 Credential with No Attestation". Its person was not verified, which no hub takes.
#[test]
fn the_published_vectors_hold() {
    let attestation = hex::decode(
        "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5\
         e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94\
         ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56\
         b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220",
    )
    .unwrap();
    let client = hex::decode(
        "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a22414d4d507434557878475453746e6364\
         7134313759447742466938767049612d7077386f4f755657345441222c226f726967696e223a2268747470733a2f2f6578616d706c652e\
         6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d61\
         7920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c20737563\
         6820617320746869733a20426b5165446a646354427258426941774a544c453551227d",
    )
    .unwrap();
    // What the browser's `getAuthenticatorData()` cuts out: all that follows the head of the attestation object's last member.
    let data = &attestation[attestation.len() - 164..];
    let (_, passkey, id) = Said::made(&encoded(data), &encoded(&client)).unwrap();
    assert_eq!(id, "-R85HbTJsv3g6nAYnLo_tj9Xm6YSKzOtlP8-wzAIS-Q");
    assert_eq!(passkey.to_string(), "did:key:zDnaecGkKjZyassc7vrW4LpfkKUdJoRbWqgYHN1d3NzMRUFeG");
    let data =
        hex::decode("bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000").unwrap();
    let client = br#"{"type":"webauthn.get","challenge":"OcDnUhQXulTUPo3JUXT0I97pvzzYBP9tZchXyav01Ag","origin":"https://example.org","crossOrigin":false}"#;
    let signature = hex::decode(
        "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd\
         5d78c6e486013f937295ea13653e331e87",
    )
    .unwrap();
    let said = Said::used(&encoded(&data), &encoded(client)).unwrap();
    assert!(said.is_signed(&passkey, &signature));
    let mut other = data.clone();
    other[32] ^= 0x04;
    assert!(!Said::used(&encoded(&other), &encoded(client)).unwrap().is_signed(&passkey, &signature));
    let other: Passkey = Authenticator::p256(URL).passkey();
    assert!(!said.is_signed(&other, &signature));
}

#[test]
fn a_passkey_is_one_text() {
    for (text, good) in [
        // Two examples of P-256 in did:key's specification (W3C CCG), and the Ed25519 key of `records/tests.rs`.
        ("did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169", true),
        ("did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv", true),
        ("did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2", true),
        ("did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU216", false),
        ("did:key:DnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169", false),
        ("zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169", false),
        ("did:key:z", false),
        ("", false),
    ] {
        assert_eq!(text.parse::<Passkey>().is_ok_and(|key| key.to_string() == text), good, "{text}");
        assert_eq!(text.parse::<Passkey>().is_ok(), good, "{text}");
    }
    let point = |bytes: &[u8]| {
        let whole = [&[0x80_u8, 0x24][..], bytes].concat();
        format!("did:key:z{}", bs58::encode(whole).into_string()).parse::<Passkey>()
    };
    let mut good = [0x11_u8; 33];
    good[0] = 2;
    // Every other x or so is of a point; one beyond the field is of none.
    let found = (0..=255_u8).find(|last| {
        good[32] = *last;
        point(&good).is_ok()
    });
    assert!(found.is_some());
    good[0] = 4;
    assert!(point(&good).is_err());
    assert!(point(&[&[2_u8][..], &[0xff_u8; 32]].concat()).is_err());
    for one in authenticators() {
        assert_eq!(one.passkey().to_string(), one.did());
    }
}

#[test]
fn a_new_passkey_is_read_whatever_its_extensions_are() {
    for mut one in authenticators() {
        let client = encoded(one.client(CREATE, "Make one."));
        for length in [1, 16, 1_023] {
            one.credential = vec![9; length];
            let (said, passkey, id) = Said::made(&encoded(one.data(true)), &client).unwrap();
            assert_eq!((passkey, id), (one.passkey(), encoded(&one.credential)));
            said.meets(CREATE, "Make one.", URL).unwrap();
        }
        let refuses = |data: Vec<u8>| {
            let told = Said::made(&encoded(data), &client).unwrap_err();
            assert_eq!((told.rule, told.field), ("passkey_form", "authenticator_data"), "{told}");
        };
        for length in [0, 1_024] {
            one.credential = vec![9; length];
            refuses(one.data(true));
        }
        one.credential = vec![9; 16];
        // Extensions follow where the flags say so, and there alone.
        one.extensions = vec![0xa1, 0x61, 0x61, 0xf5];
        refuses(one.data(true));
        one.flags = BOTH | 0x80;
        assert!(Said::made(&encoded(one.data(true)), &client).is_ok());
        one.extensions.clear();
        refuses(one.data(true));
        one.flags = BOTH;
        let good = one.data(true);
        for end in 0..good.len() {
            refuses(good[..end].to_vec());
        }
        refuses([&good[..], &[0_u8]].concat());
        refuses(one.data(false));
        // Without the flag there is no credential, whatever follows.
        let mut without = good.clone();
        without[32] = BOTH;
        refuses(without);
        // The key has one form: no byte of what names kind, curve and members may be another.
        let key = good.len() - if good.len() > 140 { 77 } else { 42 };
        for at in key..key + 10 {
            let mut other = good.clone();
            other[at] ^= 1;
            refuses(other);
        }
    }
    // No point of the curve, and a key under which anybody could sign.
    let (p256, ed25519) = (Authenticator::p256(URL), Authenticator::ed25519(URL, 7));
    let client = encoded(p256.client(CREATE, "Make one."));
    let mut off = p256.data(true);
    *off.last_mut().unwrap() ^= 1;
    let mut weak = ed25519.data(true);
    let start = weak.len() - 32;
    weak[start..].fill(0);
    for data in [off, weak] {
        assert_eq!(Said::made(&encoded(data), &client).unwrap_err().rule, "passkey_form");
    }
}

#[test]
fn a_word_is_for_one_device_one_nonce_and_one_hub() {
    for mut one in authenticators() {
        let good = one.word(&phone(), NONCE);
        word(good.clone()).verify(URL).unwrap();
        word(good.clone()).verify("https://HUB.example:8443").unwrap();
        let with = |name: &str, value: Value| {
            let mut changed = good.clone();
            changed[name] = value;
            changed
        };
        // Bound to the device and the nonce by the challenge, to the rest by the signature.
        let other = DeviceKey::from_seed([12; 32]).device();
        assert_eq!(rule(with("device", json!(other))), "passkey_challenge");
        assert_eq!(rule(with("nonce", json!("0123456789abcdee"))), "passkey_challenge");
        assert_eq!(rule(with("nonce", json!("not a nonce"))), "passkey_form");
        for stranger in [Authenticator::p256(URL), Authenticator::ed25519(URL, 8)] {
            assert_eq!(rule(with("passkey", json!(stranger.did()))), "passkey_signature");
        }
        for url in ["https://hub.example", "http://hub.example:8443", "https://example:8443"] {
            assert_eq!(word(good.clone()).verify(url).unwrap_err().rule, "passkey_origin", "{url}");
        }
        // A count that was changed, a signature that was.
        let mut data = one.data(false);
        data[36] ^= 1;
        assert_eq!(rule(with("authenticator_data", json!(encoded(&data)))), "passkey_signature");
        for signature in [vec![], vec![0_u8; 64], vec![0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01]] {
            assert_eq!(rule(with("signature", json!(encoded(signature)))), "passkey_signature");
        }
        // What is no base64url, has too much of it, or is not the browser's.
        for (name, value) in [
            ("signature", encoded([0_u8; 73])),
            ("signature", "AA==".to_owned()),
            ("signature", "AB".to_owned()),
            ("signature", "+/".to_owned()),
            ("authenticator_data", encoded(&one.data(false)[..36])),
            ("authenticator_data", encoded([one.data(false), vec![0]].concat())),
            ("authenticator_data", encoded(vec![0_u8; 2_049])),
            ("client_data", encoded("{}")),
            ("client_data", encoded("[1]")),
            (
                "client_data",
                encoded(r#"{"type":"webauthn.get","type":"webauthn.get","challenge":"","origin":""}"#),
            ),
            ("client_data", encoded(format!("{}{}", "[".repeat(1_000), "]".repeat(1_000)))),
            ("client_data", encoded(vec![b' '; 2_049])),
        ] {
            let told = word(with(name, json!(value))).verify(URL).unwrap_err();
            assert_eq!((told.rule, told.field), ("passkey_form", name), "{value:.80}");
        }
        // Another ceremony, a page of another origin or within one, another relying party, nobody there.
        let statement = device_statement(&phone().device(), NONCE);
        let client = one.client(CREATE, &statement);
        let data = one.data(false);
        let mut created = with("client_data", json!(encoded(&client)));
        created["signature"] = json!(encoded(one.signature(&data, &client)));
        assert_eq!(rule(created), "passkey_type");
        one.cross_origin = true;
        assert_eq!(rule(one.word(&phone(), NONCE)), "passkey_origin");
        one.cross_origin = false;
        one.origin = "https://hub.example:8444".to_owned();
        assert_eq!(rule(one.word(&phone(), NONCE)), "passkey_origin");
        one.origin = URL.to_owned();
        one.rp_id = "example".to_owned();
        assert_eq!(rule(one.word(&phone(), NONCE)), "passkey_rp");
        one.rp_id = "hub.example".to_owned();
        for (flags, expected) in [
            (0x00, "passkey_user"),
            (0x01, "passkey_user"),
            (0x04, "passkey_user"),
            (BOTH | 0x10, "passkey_backup"),
            (BOTH | 0x08, ""),
            (BOTH | 0x18, ""),
            (BOTH | 0x22, ""),
            (BOTH | 0x80, "passkey_form"),
        ] {
            one.flags = flags;
            assert_eq!(rule(one.word(&phone(), NONCE)), expected, "{flags:#x}");
        }
        one.flags = BOTH | 0x80;
        one.extensions = vec![0xa0];
        assert_eq!(rule(one.word(&phone(), NONCE)), "");
    }
    // The port that a scheme means anyway is not in an origin.
    for url in
        ["https://hub.example:443", "http://hub.example:80", "http://localhost:7401", "http://127.0.0.1"]
    {
        let mut one = Authenticator::p256(url);
        one.origin = url.trim_end_matches(":443").trim_end_matches(":80").to_owned();
        word(one.word(&phone(), NONCE)).verify(url).unwrap();
    }
}

proptest! {
    #[test]
    fn no_bytes_stop_the_readers(
        kind: bool, new: bool, at_data in edits(), at_client in edits(), words in text(),
    ) {
        let one = if kind { Authenticator::p256(URL) } else { Authenticator::ed25519(URL, 7) };
        let data = encoded(edited(&one.data(new), &at_data));
        let client = encoded(edited(one.client(GET, &words).as_bytes(), &at_client));
        for (data, client) in [(&data, &client), (&words, &client), (&data, &words), (&words, &words)] {
            if let Ok((said, passkey, _)) = Said::made(data, client) {
                prop_assert_eq!(passkey.to_string().parse::<Passkey>(), Ok(passkey));
                let _ = said.meets(CREATE, &words, URL);
            }
            if let Ok(said) = Said::used(data, client) {
                let _ = said.meets(GET, &words, &words);
                prop_assert!(!said.is_signed(&one.passkey(), words.as_bytes()));
            }
        }
        if let Ok(passkey) = words.parse::<Passkey>() {
            prop_assert_eq!(passkey.to_string(), words);
        }
    }

    /// Whatever byte is another one: the word is not the passkey's any more.
    #[test]
    fn a_changed_byte_is_no_word(
        kind: bool, part in 0..3_usize, at in any::<proptest::sample::Index>(), bit in 0..8_u32,
    ) {
        let one = if kind { Authenticator::p256(URL) } else { Authenticator::ed25519(URL, 7) };
        let mut said = one.word(&phone(), NONCE);
        let name = ["authenticator_data", "client_data", "signature"][part];
        let mut bytes = URL_SAFE_NO_PAD.decode(said[name].as_str().unwrap()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        said[name] = json!(encoded(bytes));
        prop_assert!(word(said).verify(URL).is_err());
    }
}

async fn revoking(hub: &TestHub, person: &Person, passkey: &Authenticator, by: &Person) -> Value {
    let passkey = passkey.passkey();
    let by = says(hub, &by.wallet, revoke_passkey_statement(&person.account, &passkey)).await;
    json!({ "revoke": { "passkey": passkey, "by": by } })
}

#[tokio::test]
async fn a_passkey_joins_by_a_wallets_word_and_brings_devices_in() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let url = hub.config.public_url.clone();
        let fields = hub.get("/v1/sign-in/nonce").await.body;
        assert_eq!(fields["rp_id"], "127.0.0.1");
        for (one, seed) in [(Authenticator::p256(&url), 11_u8), (Authenticator::ed25519(&url, 7), 12)] {
            let phone = DeviceKey::from_seed([seed; 32]);
            let says_it = |body: Value| anna.record(&hub, "passkey@1", body);
            // Nothing is brought in by a passkey that has not joined.
            let early = anna.draft(&hub, "device@1", one.brings(&hub, &phone).await).sign(&phone).unwrap();
            let told = hub.refuses(&early).await;
            assert_eq!((told.0, told.2.as_str()), (403, "passkey_unknown"));
            // A wallet of the account says it, of this passkey and this account; a device alone cannot.
            let joining = one.joins(&hub, &anna).await;
            for (by, statement, expected) in [
                (&ben, passkey_statement(&anna.account, &one.passkey()), "wallet_unknown"),
                (&anna, passkey_statement(&ben.account, &one.passkey()), "message_statement"),
                (
                    &anna,
                    passkey_statement(&anna.account, &Authenticator::p256(&url).passkey()),
                    "message_statement",
                ),
                (&anna, add_statement(&anna.account, &anna.wallet_id()), "message_statement"),
            ] {
                let mut body = joining.clone();
                body["add"]["by"] = says(&hub, &by.wallet, statement).await;
                assert_eq!(hub.refuses(&says_it(body)).await.2, expected);
            }
            let unsigned = anna.draft(&hub, "passkey@1", joining.clone()).sign(&phone).unwrap();
            assert_eq!(hub.refuses(&unsigned).await.2, "device_unknown");
            // It was made for this account, at this hub, by somebody who was there.
            let mut body = joining.clone();
            body["add"]["client_data"] = one.joins(&hub, &ben).await["add"]["client_data"].clone();
            let told = hub.refuses(&says_it(body)).await;
            let told = (told.0, told.2.as_str(), told.3.as_str());
            assert_eq!(told, (403, "passkey_challenge", "/body/add/client_data"));
            let mut body = joining.clone();
            body["add"]["authenticator_data"] = json!("AA");
            let told = hub.refuses(&says_it(body)).await;
            let told = (told.0, told.2.as_str(), told.3.as_str());
            assert_eq!(told, (422, "passkey_form", "/body/add/authenticator_data"));
            let mut body = joining.clone();
            body["add"]["nonce"] = json!(NONCE);
            let told = hub.refuses(&says_it(body)).await;
            assert_eq!((told.2.as_str(), told.3.as_str()), ("nonce", "/body/add/nonce"));
            // The refusals used no nonce up.
            hub.say(&says_it(joining.clone())).await;
            hub.clock.pass_ms(1);
            assert_eq!(hub.refuses(&says_it(joining)).await.2, "nonce");
            assert_eq!(hub.refuses(&says_it(one.joins(&hub, &anna).await)).await.2, "passkey_known");
            let taken = ben.record(&hub, "passkey@1", one.joins(&hub, &ben).await);
            assert_eq!(hub.refuses(&taken).await.2, "passkey_taken");

            // The device signs for itself, with the passkey's word, and from then on silently.
            let body = one.brings(&hub, &phone).await;
            let with = |name: &str, value: Value| {
                let mut changed = body.clone();
                changed["add_by_passkey"][name] = value;
                anna.draft(&hub, "device@1", changed).sign(&phone).unwrap()
            };
            let told = hub.refuses(&with("signature", json!("AA"))).await;
            let told = (told.0, told.2.as_str(), told.3.as_str());
            assert_eq!(told, (403, "passkey_signature", "/body/add_by_passkey/signature"));
            assert_eq!(hub.refuses(&with("nonce", json!(nonce(&hub).await))).await.2, "passkey_challenge");
            assert_eq!(hub.refuses(&with("device", json!(ben.device.device()))).await.2, "device_unknown");
            assert_eq!(hub.refuses(&with("more", json!(1))).await.2, "body");
            let elsewhere = ben.draft(&hub, "device@1", body.clone()).sign(&phone).unwrap();
            assert_eq!(hub.refuses(&elsewhere).await.2, "passkey_unknown");
            let id = hub.say(&anna.draft(&hub, "device@1", body.clone()).sign(&phone).unwrap()).await;
            hub.clock.pass_ms(1);
            let again = anna.draft(&hub, "device@1", body).sign(&phone).unwrap();
            assert_eq!(hub.refuses(&again).await.2, "nonce");
            let name = format!("Phones {seed}");
            hub.say(&anna.draft(&hub, "community@1", json!({ "name": name })).sign(&phone).unwrap()).await;
            let with_phone =
                Person { wallet: anna.wallet.clone(), device: phone.clone(), account: anna.account };
            let token = with_phone.sign_in(&hub).await;
            assert_eq!(hub.get_as(&token, "/v1/tokens").await.status, 200);

            // Whoever has the record sees that it is the passkey's word for this device, without the hub.
            let kept = hub.get(&format!("/v1/records/{id}")).await.body;
            let record = Record::read(&kept).unwrap();
            let DeviceBody::AddByPasskey(said) = record.body_as().unwrap() else { panic!("{kept}") };
            said.verify(&url).unwrap();
            assert_eq!((said.passkey, said.device), (one.passkey(), phone.device()));
            let view = hub.get(&format!("/v1/accounts/{}", anna.account)).await.body;
            let shown = view["passkeys"].as_array().unwrap();
            let shown = shown.iter().find(|shown| shown["passkey"] == one.did()).unwrap();
            assert_eq!(shown["wallet"], json!(anna.wallet_id()));
            assert_eq!(shown["credential"], encoded(&one.credential));
            assert!(view["controllers"].as_array().unwrap().contains(&json!(one.did())), "{view}");
        }
        let view = hub.get(&format!("/v1/accounts/{}", anna.account)).await.body;
        assert_eq!(view["passkeys"].as_array().unwrap().len(), 2);
        hub.end().await;
    }
}

#[tokio::test]
async fn a_count_that_does_not_go_up_is_refused() {
    for hub in TestHub::on_both().await {
        let anna = Person::arrive(&hub, 1).await;
        let mut one = Authenticator::p256(&hub.config.public_url);
        one.sign_count = 5;
        hub.say(&anna.record(&hub, "passkey@1", one.joins(&hub, &anna).await)).await;
        let phone = phone();
        for (count, taken) in [(5, false), (0, false), (6, true), (6, false), (u32::MAX, true), (0, false)] {
            one.sign_count = count;
            let body = one.brings(&hub, &phone).await;
            let record = anna.draft(&hub, "device@1", body).sign(&phone).unwrap();
            if taken {
                hub.say(&record).await;
            } else {
                let told = hub.refuses(&record).await;
                assert_eq!((told.0, told.2.as_str()), (403, "passkey_counter"), "{count}");
            }
        }
        // One that goes from machine to machine does not count.
        let two = Authenticator::ed25519(&hub.config.public_url, 7);
        hub.say(&anna.record(&hub, "passkey@1", two.joins(&hub, &anna).await)).await;
        for seed in [12, 13] {
            let device = DeviceKey::from_seed([seed; 32]);
            hub.say(&anna.record(&hub, "device@1", two.brings(&hub, &device).await)).await;
        }
        hub.end().await;
    }
}

#[tokio::test]
async fn a_passkey_that_goes_takes_its_devices_with_it() {
    for hub in TestHub::on_both().await {
        let (anna, ben) = (Person::arrive(&hub, 1).await, Person::arrive(&hub, 2).await);
        let one = Authenticator::p256(&hub.config.public_url);
        let (phone, laptop) = (phone(), DeviceKey::from_seed([12; 32]));
        hub.say(&anna.record(&hub, "passkey@1", one.joins(&hub, &anna).await)).await;
        for device in [&phone, &laptop] {
            let body = one.brings(&hub, device).await;
            hub.say(&anna.draft(&hub, "device@1", body).sign(device).unwrap()).await;
        }
        let community = |key: &DeviceKey, name: &str| {
            anna.draft(&hub, "community@1", json!({ "name": name })).sign(key).unwrap()
        };
        let token = Person { wallet: anna.wallet.clone(), device: laptop.clone(), account: anna.account };
        let token = token.sign_in(&hub).await;
        let revoke = |body: Value, key: &DeviceKey| anna.draft(&hub, "passkey@1", body).sign(key).unwrap();
        let bens = revoking(&hub, &anna, &one, &ben).await;
        assert_eq!(hub.refuses(&revoke(bens, &phone)).await.2, "wallet_unknown");
        let stranger = Authenticator::p256(&hub.config.public_url);
        let other = revoking(&hub, &anna, &stranger, &anna).await;
        assert_eq!(hub.refuses(&revoke(other, &phone)).await.2, "passkey_unknown");
        // The phone signs, and goes over to the wallet's word; the laptop is silent, and so is its session.
        hub.say(&revoke(revoking(&hub, &anna, &one, &anna).await, &phone)).await;
        assert_eq!(hub.refuses(&community(&laptop, "Laptops")).await.2, "device_revoked");
        assert_eq!(hub.get_as(&token, "/v1/listings").await.refusal().0, 401);
        hub.say(&community(&phone, "Phones")).await;
        hub.say(&community(&anna.device, "Gardens")).await;
        hub.clock.pass_ms(1);
        let twice = revoking(&hub, &anna, &one, &anna).await;
        assert_eq!(hub.refuses(&revoke(twice, &phone)).await.2, "passkey_unknown");
        let late = anna.draft(&hub, "device@1", one.brings(&hub, &laptop).await).sign(&laptop).unwrap();
        assert_eq!(hub.refuses(&late).await.2, "passkey_unknown");
        // It may join again; a wallet that goes takes the passkeys that stand by its word.
        hub.say(&anna.record(&hub, "passkey@1", one.joins(&hub, &anna).await)).await;
        let body = one.brings(&hub, &laptop).await;
        hub.say(&anna.draft(&hub, "device@1", body).sign(&laptop).unwrap()).await;
        hub.say(&community(&laptop, "Laptops")).await;
        let second = Person::keys(3).0;
        hub.say(&anna.record(&hub, "wallet@1", anna.joining(&hub, &second).await)).await;
        let first = account(anna.wallet.address());
        let by = says(&hub, &second, revoke_statement(&anna.account, &first)).await;
        let gone = json!({ "revoke": { "wallet": first, "by": by } });
        hub.say(&anna.record(&hub, "wallet@1", gone)).await;
        hub.clock.pass_ms(1);
        assert_eq!(hub.refuses(&community(&laptop, "Late")).await.2, "device_revoked");
        let view = hub.get(&format!("/v1/accounts/{}", anna.account)).await.body;
        assert_eq!(view["passkeys"], json!([]));
        let word = message_for(&hub, &second, &laptop).await;
        hub.say(&add(&hub, &anna, &laptop, &word, &second)).await;
        hub.say(&community(&laptop, "Back")).await;
        hub.end().await;
    }
}
