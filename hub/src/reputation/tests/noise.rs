//! Credentials, tokens, presentations, proofs of possession, status lists, bundles and what wallets send after changes that nobody
//! meant.

use std::{cell::Cell, io::Write as _};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, write::GzEncoder};
use proptest::{collection::vec, sample::Index};
use service::db::testing::sqlite;
use tokio::runtime::Runtime;

use super::{
    super::{
        bundle::{Bundle, Verdict, check},
        exchange, heading,
        issuance::{self, GRANT},
        jose::{self, Holder, Token},
        loss,
        presentation::{self, Asked},
        status,
    },
    *,
};
use crate::{
    governance::tests::community,
    grievances::tests::{complaint, does, file},
    records::Device,
    testing::{
        Answer, TestHub,
        noise::{edited, edited_text, edits, grafted, grafts, json as any_json, text},
        trade::{Ground, Trade},
    },
};

const ASKED: Asked<'static> = Asked { challenge: "n-0S6_WzA2Mj", domain: "https://shop.example" };

fn now() -> Stamp {
    Stamp::from_ms(START_MS)
}

fn in_form(form: Form, kind: Kind) -> Value {
    let story = Story::completed();
    let (by, entry) = (device(1), Entry::new("https://hub.example", Purpose::Revocation, 0, 7));
    let issuing = Issuing { authorisation: Some(word(1, &by)), status: Some(entry), form };
    issue(kind, &story.terms, &story.position(), issuing, &by, now()).unwrap()
}

/// Everything that looks at a document that somebody shows; none of it may stop.
fn looked_at(document: &Value) {
    if let Ok((credential, _)) = read(document) {
        let _ = wallet_question(&credential);
        let _ = verify(document, &Story::completed().facts());
    }
    let _ = (vc::open(document), vc::signer(document), vc::unsecured(document));
    let _ = (heading::read(document), exchange::verify(document, &[]));
    let _ = loss::verify(document, device(9).device());
    let _ = presentation::verify(document, ASKED, now());
    if let Ok(entry) = serde_json::from_value::<Entry>(document["credentialStatus"].clone()) {
        let _ = (entry.check(), entry.number(), status::look(&entry, document, device(9).device(), now()));
        let written = serde_json::to_value(&entry).unwrap();
        assert_eq!(serde_json::from_value::<Entry>(written).ok().as_ref(), Some(&entry));
    }
    if let Ok(device) = jose::device_of(document) {
        assert_eq!(jose::device_of(&jose::jwk(&device)).ok(), Some(device));
    }
}

/// Everything that looks at a text that somebody shows.
fn read_as_token(text: &str) {
    for typ in ["vc+jwt", "vp+jwt", "openid4vci-proof+jwt"] {
        let _ = Token::read(text, typ);
        let _ = jose::verify(text, typ);
    }
    let _ = issuance::check_proof(text, "https://hub.example", now());
    if let Ok(holder) = Holder::of_did(text) {
        assert_eq!(holder.did, text);
        assert_eq!(Holder::of_method(&holder.method()).ok(), Some(holder));
    }
    let _ = (Holder::of_method(text), Device::of_verification_method(text));
}

proptest! {
    #[test]
    fn no_document_stops_who_looks_at_it(grafts in grafts(), edits in edits(), other in any_json(), list: bool) {
        let good = if list {
            status::issue("https://hub.example/v1/status/revocation/0", Purpose::Revocation, &[7], START_MS, &device(9), START_MS).unwrap()
        } else {
            in_form(Form::DataIntegrity, Kind::TrustedSeller)
        };
        let changed = grafted(&good, &grafts);
        // Signed again, so that what is behind the signature is looked at.
        if let Some(members) = changed.as_object().filter(|members| members.contains_key("proof")) {
            let mut unsigned = members.clone();
            unsigned.remove("proof");
            if let Ok(signed) = proof::sign(Value::Object(unsigned), &device(if list { 9 } else { 1 }), ASSERTION, now()) {
                looked_at(&signed);
                if list {
                    let entry = Entry::new("https://hub.example", Purpose::Revocation, 0, 7);
                    let _ = status::look(&entry, &signed, device(9).device(), now());
                }
            }
        }
        looked_at(&changed);
        looked_at(&other);
        if let Ok(edited) = serde_json::from_slice(&edited(&serde_json::to_vec(&good).unwrap(), &edits)) {
            looked_at(&edited);
        }
    }

    #[test]
    fn no_text_stops_who_looks_at_it(edits in edits(), other in text(), by_jwk: bool, at in any::<Index>()) {
        let key = device(3);
        let did = if by_jwk { jose::did_jwk(&key.device()) } else { key.device().to_string() };
        let holder = Holder::of_did(&did).unwrap();
        let proof = issuance::prove(&holder, "https://hub.example", "abcdefgh", &key, now()).unwrap();
        assert!(issuance::check_proof(&proof, "https://hub.example", now()).is_ok());
        let token = in_form(Form::Jose, Kind::TrustedSeller).as_str().unwrap().to_owned();
        let good = [proof, token, did, holder.method()];
        let changed = edited_text(&good[at.index(good.len())], &edits);
        for text in [changed, other] {
            read_as_token(&text);
            looked_at(&Value::String(text));
        }
    }

    /// Header and payload of a token are anything at all, under a signature that holds.
    #[test]
    fn no_claims_stop_who_looks_at_them(header in any_json(), payload in any_json(), grafts in grafts()) {
        let key = device(3);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = |header: &Value, payload: &Value| {
            let said = format!("{}.{}", part(header), part(payload));
            format!("{said}.{}", URL_SAFE_NO_PAD.encode(key.sign(said.as_bytes())))
        };
        let good = json!({ "alg": "EdDSA", "typ": "vp+jwt", "kid": key.device().verification_method() });
        let claims = json!({ "iss": key.device(), "aud": "https://shop.example", "nonce": "n-0S6_WzA2Mj", "iat": 1, "exp": 2,
            "type": ["VerifiablePresentation"], "verifiableCredential": [in_form(Form::Jose, Kind::TrustedSeller)] });
        for text in [token(&good, &payload), token(&header, &claims), token(&good, &grafted(&claims, &grafts))] {
            read_as_token(&text);
            looked_at(&Value::String(text));
        }
    }
}

/// The bundle of a deal with a credential, and the hub's device.
async fn bundle() -> (Value, Device) {
    let trade = Trade::start(sqlite(), Ground::EVM).await;
    let (_, bought) = praise(&trade, 1, 7, Form::DataIntegrity).await;
    let session = trade.buyer.sign_in(&trade.hub).await;
    let told = trade.hub.get_as(&session, &format!("/v1/purchases/{}/bundle", bought.id)).await.body;
    let did = trade.hub.get("/.well-known/did.json").await.body;
    let key = did["verificationMethod"][0]["publicKeyMultibase"].as_str().unwrap();
    let hub = format!("did:key:{key}").parse().unwrap();
    trade.hub.end().await;
    (told, hub)
}

/// The bundle of a grievance that its parties have settled, and the hub's device.
async fn settled() -> (Value, Device) {
    let hub = TestHub::start(sqlite(), |_| {}).await;
    let (people, community) = community(&hub, 3).await;
    let [steward, complains, respondent] = &people[..] else { panic!() };
    hub.clock.pass_ms(1);
    let words = json!({ "name": "Somebody", "text": "I weed.", "languages": ["en"], "avatar": null });
    let said = hub.say(&respondent.record(&hub, "profile@1", words)).await;
    let body = complaint("contribution", "statement", said, respondent);
    let grievance = file(&hub, complains, community, body).await;
    does(&hub, steward, grievance, json!("take")).await;
    let uphold = json!({ "propose": { "outcome": "upheld", "reason": "" } });
    let proposal = does(&hub, steward, grievance, uphold).await;
    for party in [complains, respondent] {
        does(&hub, party, grievance, json!({ "accept": { "proposal": proposal } })).await;
    }
    let session = complains.sign_in(&hub).await;
    let told = hub.get_as(&session, &format!("/v1/grievances/{grievance}/bundle")).await.body;
    let did = hub.get("/.well-known/did.json").await.body;
    let key = did["verificationMethod"][0]["publicKeyMultibase"].as_str().unwrap();
    let device = format!("did:key:{key}").parse().unwrap();
    hub.end().await;
    (told, device)
}

#[test]
fn a_bundle_that_was_changed_is_looked_at_to_its_end_and_fails() {
    let runtime = Runtime::new().unwrap();
    for (good, hub) in [runtime.block_on(bundle()), runtime.block_on(settled())] {
        every_change_is_noticed(&good, hub);
    }
}

fn every_change_is_noticed(good: &Value, hub: Device) {
    let whole: Bundle = serde_json::from_value(good.clone()).unwrap();
    let fails = |bundle: &Bundle| check(bundle, hub).iter().any(|one| one.verdict == Verdict::Fails);
    assert!(!fails(&whole));
    let bytes = serde_json::to_vec(good).unwrap();
    proptest!(|(grafts in grafts(), edits in edits())| {
        let read = serde_json::from_slice(&edited(&bytes, &edits)).ok();
        for changed in [read, Some(grafted(good, &grafts))].into_iter().flatten() {
            if let Ok(bundle) = serde_json::from_value::<Bundle>(changed) {
                let written = serde_json::to_value(&bundle).unwrap();
                prop_assert_eq!(&serde_json::from_value::<Bundle>(written).unwrap(), &bundle);
                // Without its list a credential's standing is not told; whatever else differs is noticed.
                let found = check(&bundle, hub);
                let lists = whole.status_lists.iter().all(|list| bundle.status_lists.contains(list));
                let same = bundle.records == whole.records && bundle.log == whole.log;
                let told = found.iter().any(|one| one.check.starts_with("status") && one.verdict == Verdict::Holds);
                prop_assert!(fails(&bundle) || (same && (lists || !told)), "{:?}", found);
            }
        }
    });
}

/// What this process has had of memory at most, in bytes.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A list that would inflate to seven hundred times what was sent is refused before it does.
#[cfg(target_os = "linux")]
#[test]
fn a_list_is_not_inflated_without_end() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..16 {
        gzip.write_all(&zeros).unwrap();
    }
    let packed = gzip.finish().unwrap();
    let url = "https://hub.example/v1/status/revocation/0";
    let mut list = status::issue(url, Purpose::Revocation, &[], START_MS, &device(9), START_MS).unwrap();
    let encoded = format!("u{}", URL_SAFE_NO_PAD.encode(packed));
    list["credentialSubject"]["encodedList"] = json!(encoded);
    list.as_object_mut().unwrap().remove("proof");
    let list = proof::sign(list, &device(9), ASSERTION, now()).unwrap();
    let entry = Entry::new("https://hub.example", Purpose::Revocation, 0, 7);
    let before = peak();
    let refused = status::look(&entry, &list, device(9).device(), now()).unwrap_err().to_string();
    assert!(refused.contains("encodedList"), "{refused}");
    // Half of what it would be, for the program's own pages come with it.
    assert!(peak() - before < 8 << 20, "{} bytes", peak() - before);
}

proptest! {
    #[test]
    fn no_encoded_list_stops_who_looks_at_it(bytes in vec(any::<u8>(), 0..400), edits in edits()) {
        let url = "https://hub.example/v1/status/revocation/0";
        let mut list = status::issue(url, Purpose::Revocation, &[3], START_MS, &device(9), START_MS).unwrap();
        let good = list["credentialSubject"]["encodedList"].as_str().unwrap().to_owned();
        let packed = URL_SAFE_NO_PAD.decode(good.trim_start_matches('u')).unwrap();
        list.as_object_mut().unwrap().remove("proof");
        for packed in [edited(&packed, &edits), bytes] {
            let mut changed = list.clone();
            changed["credentialSubject"]["encodedList"] = json!(format!("u{}", URL_SAFE_NO_PAD.encode(packed)));
            let changed = proof::sign(changed, &device(9), ASSERTION, now()).unwrap();
            let entry = Entry::new("https://hub.example", Purpose::Revocation, 0, 3);
            let _ = status::look(&entry, &changed, device(9).device(), now());
        }
    }
}

/// Whether a wallet is refused in one of these words of OAuth.
fn is_refused(answer: &Answer, words: &[&str]) -> bool {
    let told = ["error", "error_description"].map(|name| answer.body[name].as_str().unwrap_or_default());
    answer.status == 400 && words.contains(&told[0]) && !told[1].is_empty()
}

/// An offer of a praise: as whom it names, and its code.
async fn offered(trade: &Trade, session: &str, praise: &Value) -> (String, String) {
    let asked = json!({ "credential": praise, "tx_code": false });
    let answer = trade.hub.post_as(session, "/v1/credential-offers", &asked).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let offer = &answer.body["offer"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&offer["credential_issuer"]), text(&offer["grants"][GRANT]["pre-authorized_code"]))
}

/// Whatever a wallet sends, a code serves as it was given, and once; so does an access token.
#[test]
fn what_a_wallet_never_meant_is_refused_in_words() {
    let runtime = Runtime::new().unwrap();
    let (trade, session, said) = runtime.block_on(async {
        let trade = Trade::start(sqlite(), Ground::EVM).await;
        let (said, _) = praise(&trade, 1, 7, Form::DataIntegrity).await;
        let session = trade.seller.sign_in(&trade.hub).await;
        (trade, session, json!(said))
    });
    let (_, code) = runtime.block_on(offered(&trade, &session, &said));
    let form = [("grant_type", GRANT), ("pre-authorized_code", code.as_str())];
    let form = serde_urlencoded::to_string(form).unwrap();
    let posts = |path: &str, kind: &str, body: Vec<u8>| {
        trade.hub.request(reqwest::Method::POST, path).header("content-type", kind).body(body)
    };
    let form_of = |body: Vec<u8>| {
        let request = posts("/v1/openid/token", "application/x-www-form-urlencoded", body);
        runtime.block_on(trade.hub.ask(request))
    };
    let words = ["invalid_request", "unsupported_grant_type", "invalid_grant"];
    let taken = Cell::new(0);
    proptest!(|(edits in edits(), other in text())| {
        for body in [edited(form.as_bytes(), &edits), other.into_bytes()] {
            if body == form.as_bytes() {
                continue;
            }
            let answer = form_of(body);
            taken.set(taken.get() + usize::from(answer.status == 200));
            prop_assert!(answer.status == 200 || is_refused(&answer, &words), "{answer:?}");
        }
    });
    // An edit may have meant the same.
    let last = form_of(form.clone().into_bytes());
    assert!(taken.get() <= 1 && (last.status == 200) == (taken.get() == 0), "{last:?}");

    let (issuer, code) = runtime.block_on(offered(&trade, &session, &said));
    let form = [("grant_type", GRANT), ("pre-authorized_code", code.as_str())];
    let token = form_of(serde_urlencoded::to_string(form).unwrap().into_bytes());
    let token = token.body["access_token"].as_str().unwrap().to_owned();
    let nonce = runtime.block_on(trade.hub.post("/v1/openid/nonce", &Value::Null));
    let (key, now) = (device(3), Stamp::from_ms(trade.hub.now()));
    let holder = Holder::of_device(key.device());
    let nonce = nonce.body["c_nonce"].as_str().unwrap();
    let proof = issuance::prove(&holder, &issuer, nonce, &key, now).unwrap();
    let good = json!({
        "credential_configuration_id": "TrustedSellerCredential_vc+jwt", "proofs": { "jwt": [proof] },
    });
    let ask = |body: Vec<u8>| {
        let request = posts("/v1/openid/credential", "application/json", body).bearer_auth(&token);
        runtime.block_on(trade.hub.ask(request))
    };
    let words =
        ["invalid_credential_request", "unknown_credential_configuration", "invalid_proof", "invalid_nonce"];
    let bytes = serde_json::to_vec(&good).unwrap();
    proptest!(|(edits in edits(), grafts in grafts(), other in any_json())| {
        let bodies = [edited(&bytes, &edits), serde_json::to_vec(&grafted(&good, &grafts)).unwrap()];
        for body in bodies.into_iter().chain([serde_json::to_vec(&other).unwrap()]) {
            // The same, or perhaps the same as lists: a list is read as the members in their order.
            let read = serde_json::from_slice::<Value>(&body).unwrap_or_default();
            if read == good || read.is_array() || read["proofs"].is_array() {
                continue;
            }
            let answer = ask(body);
            prop_assert!(is_refused(&answer, &words), "{answer:?}");
        }
    });
    // None of that used up the token or the nonce.
    assert_eq!(ask(bytes.clone()).status, 200);
    assert_eq!(ask(bytes).status, 401);
    runtime.block_on(trade.hub.end());
}
