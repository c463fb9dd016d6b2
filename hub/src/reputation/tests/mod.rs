#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

mod exchanges;
mod issued;
mod noise;
mod published;
mod told;
mod wallets;

pub(crate) use exchanges::{handed_in, thanks};
pub(crate) use told::{praise, praise_among};

use alloy::primitives::{Address, B256, U256};
use proptest::prelude::*;
use protocol::{
    chain::{self, AccountId},
    terms::Terms,
    wire::feed::{ChainEvent, EventBody, FeedEntry, Finality},
};
use serde_json::{Value, json};

use super::{
    model::{Facts, Form, Issuing, Kind, Refusal, WalletDid, issue, read, verify, wallet_question},
    status::{Entry, Purpose},
    vc,
};
use crate::{
    deals::{
        position::{Position, fold},
        status::Status,
    },
    identity::{SignIn, WalletAuthorisation},
    records::{
        DeviceKey, Stamp,
        proof::{self, ASSERTION},
    },
    testing::{
        Person, START_MS, Wallet, signed,
        trade::{ARBITER, CHAIN, ESCROW},
    },
};

/// A deal between the wallets of seeds 1 (buys) and 2 (sells), with its events.
struct Story {
    terms: Terms,
    events: Vec<FeedEntry>,
}

fn wallet(seed: u8) -> Wallet {
    Person::keys(seed).0
}

fn device(seed: u8) -> DeviceKey {
    Person::keys(seed).1
}

fn account(address: impl Into<chain::Address>) -> AccountId {
    AccountId { chain: CHAIN, address: address.into() }
}

impl Story {
    fn new(bodies: impl Fn(B256) -> Vec<EventBody>) -> Self {
        let terms = Terms {
            escrow: ESCROW,
            buyer: account(wallet(1).address()),
            seller: account(wallet(2).address()),
            arbiter: ARBITER,
            asset: "eip155:31337/slip44:60".parse().unwrap(),
            amount: 1000,
            fund_by: 1000,
            deliver_by: 2000,
            inspection: 10,
            ruling: 10,
            lapse_share: 0,
            metered: false,
            panel: B256::ZERO,
            agreement: B256::ZERO,
            salt: B256::ZERO,
        };
        let deal = chain::deal_id(&terms).unwrap();
        let funded = EventBody::Funded { deal, terms: terms.clone() };
        let events = (1_u64..)
            .zip([funded].into_iter().chain(bodies(deal)))
            .map(|(block, body)| FeedEntry {
                seq: block,
                finality: Finality::Final,
                event: ChainEvent {
                    id: B256::from(U256::from(block)),
                    contract: ESCROW,
                    block_number: block,
                    block_hash: B256::ZERO,
                    block_time: 100 + block,
                    transaction: B256::repeat_byte(block as u8).into(),
                    log_index: 0,
                    body,
                },
            })
            .collect();
        Self { terms, events }
    }

    /// Paid in full after delivery.
    fn completed() -> Self {
        Self::new(|deal| {
            vec![
                EventBody::Delivered { deal, delivery: B256::ZERO, count: 2 },
                EventBody::Released { deal, released: 1000, count: 3 },
            ]
        })
    }

    /// Disputed and ruled.
    fn ruled(released: u128) -> Self {
        Self::new(|deal| {
            let share = (released * 10) as u16;
            vec![
                EventBody::Disputed { deal, by: Address::ZERO.into(), evidence: B256::ZERO, count: 2 },
                EventBody::Ruled { deal, share, released, refunded: 1000 - released, count: 3 },
            ]
        })
    }

    fn position(&self) -> Position {
        fold(Status::Created, &self.terms, self.events.iter().map(|entry| &entry.event)).0
    }

    /// Signed by the party's own device, with its wallet's word.
    fn credential(&self, kind: Kind) -> Value {
        let seed = if kind == Kind::TrustedSeller { 1 } else { 2 };
        let word = (kind != Kind::DisputeLost).then(|| word(seed, &device(seed)));
        self.issue(kind, word, &device(if kind == Kind::DisputeLost { 9 } else { seed })).unwrap()
    }

    fn issue(
        &self,
        kind: Kind,
        word: Option<WalletAuthorisation>,
        key: &DeviceKey,
    ) -> Result<Value, Refusal> {
        let issuing = Issuing { authorisation: word, ..Issuing::default() };
        issue(kind, &self.terms, &self.position(), issuing, key, Stamp::from_ms(START_MS))
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            events: &self.events,
            escrows: &[ESCROW],
            contract_wallet: None,
            hub: Some(device(9).device()),
        }
    }
}

/// What the buyer says of a deal that went well, the deal's terms, and its first event.
pub(crate) fn praised() -> (Value, Terms, FeedEntry) {
    let story = Story::completed();
    let first = story.events[0].clone();
    (story.credential(Kind::TrustedSeller), story.terms, first)
}

/// What the wallet of a seed signs for a device.
fn word(seed: u8, device: &DeviceKey) -> WalletAuthorisation {
    let (now, later) = (Stamp::from_ms(START_MS), Stamp::from_ms(START_MS + 1000));
    let wallet = wallet(seed);
    let message = SignIn::for_device(
        "hub.example",
        "https://hub.example",
        account(wallet.address()),
        "abcdefgh",
        &device.device(),
        now,
        later,
    )
    .to_string();
    let signature = signed(&wallet, &message);
    WalletAuthorisation { message, signature }
}

/// The same document, changed and signed again by this device.
fn forged(credential: &Value, key: &DeviceKey, change: impl Fn(&mut Value)) -> Value {
    let mut document = credential.clone();
    document.as_object_mut().unwrap().remove("proof");
    change(&mut document);
    proof::sign(document, key, ASSERTION, Stamp::from_ms(START_MS)).unwrap()
}

#[test]
fn each_kind_holds_about_its_wallet() {
    let completed = Story::completed();
    for (kind, subject, party) in [
        (Kind::TrustedSeller, completed.terms.seller, completed.terms.buyer),
        (Kind::ReliablePayer, completed.terms.buyer, completed.terms.seller),
    ] {
        let credential = completed.credential(kind);
        let verified = verify(&credential, &completed.facts()).unwrap();
        assert_eq!((verified.kind, verified.subject, verified.party), (kind, subject, Some(party)));
        assert_eq!((verified.outcome, verified.seller_share_bps), (Status::Completed, 10_000));
        assert_eq!(verified.deal, chain::deal_id(&completed.terms).unwrap());
        assert_eq!(credential["credentialSubject"]["id"], json!(format!("did:pkh:{subject}")));
        // Whoever only checks the proof finds a plain eddsa-jcs-2022 one.
        assert_eq!(proof::verify(&credential, ASSERTION).unwrap(), verified.issuer);
    }
    for (released, loser) in
        [(0, Some(false)), (499, Some(false)), (500, None), (501, Some(true)), (1000, Some(true))]
    {
        let story = Story::ruled(released);
        let Some(buyer_lost) = loser else {
            assert_eq!(story.issue(Kind::DisputeLost, None, &device(9)), Err(Refusal::NothingLost));
            continue;
        };
        let verified = verify(&story.credential(Kind::DisputeLost), &story.facts()).unwrap();
        let expected = if buyer_lost { story.terms.buyer } else { story.terms.seller };
        assert_eq!((verified.subject, verified.party), (expected, None), "{released}");
    }
}

#[test]
fn a_deal_that_did_not_earn_it_yields_no_credential() {
    let open = Story::new(|deal| vec![EventBody::Delivered { deal, delivery: B256::ZERO, count: 2 }]);
    let refunded = Story::new(|deal| vec![EventBody::Refunded { deal, refunded: 1000, count: 2 }]);
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_of_deals()) {
        let told = Story::completed().issue(kind, None, &device(1));
        assert_eq!(told, Err(Refusal::Outcome(kind)));
    }
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_of_deals()) {
        assert_eq!(open.issue(kind, None, &device(1)).unwrap_err().rule(), "deal_not_closed");
        let expected = if kind == Kind::DisputeLost { Refusal::NothingLost } else { Refusal::NotCompleted };
        assert_eq!(refunded.issue(kind, None, &device(1)), Err(expected));
    }
}

#[test]
fn everything_that_a_verifier_relies_on_is_refused_by_name_when_it_is_not_so() {
    let story = Story::completed();
    let good = story.credential(Kind::TrustedSeller);
    let by_buyer = device(1);
    let subject = |member: &'static str, value: Value| {
        move |document: &mut Value| document["credentialSubject"]["deal"][member] = value.clone()
    };
    let someone = json!(WalletDid(account(Address::repeat_byte(7))));
    let cases: Vec<(&str, Value)> = vec![
        ("credential_form", json!("no object")),
        ("credential_form", forged(&good, &by_buyer, |d| d["name"] = json!("more"))),
        (
            "credential_form",
            forged(&good, &by_buyer, |d| d["validFrom"] = json!("2026-11-21T10:00:00+00:00")),
        ),
        (
            "credential_context",
            forged(&good, &by_buyer, |d| d["@context"][1] = json!("https://example.org/evil")),
        ),
        (
            "credential_context",
            forged(&good, &by_buyer, |d| d["@context"] = json!(["https://www.w3.org/ns/credentials/v2"])),
        ),
        ("credential_type", forged(&good, &by_buyer, |d| d["type"][1] = json!("ExcellentSellerCredential"))),
        ("credential_type", forged(&good, &by_buyer, |d| d["type"][0] = json!("Credential"))),
        ("credential_issuer", forged(&good, &by_buyer, |d| d["issuer"] = json!(device(7).device()))),
        ("credential_deal", forged(&good, &by_buyer, subject("deal_id", json!(B256::ZERO)))),
        ("credential_deal", forged(&good, &by_buyer, subject("escrow", json!(ARBITER)))),
        ("credential_deal", forged(&good, &by_buyer, subject("chain", json!("eip155:1")))),
        (
            "credential_deal",
            forged(&good, &by_buyer, |d| {
                d["credentialSubject"]["terms"]["salt"] = json!(B256::repeat_byte(1))
            }),
        ),
        ("credential_chain", forged(&good, &by_buyer, subject("funding_transaction", json!(B256::ZERO)))),
        ("credential_chain", forged(&good, &by_buyer, subject("closing_transaction", json!(B256::ZERO)))),
        ("credential_chain", forged(&good, &by_buyer, subject("outcome", json!("refunded")))),
        ("credential_chain", forged(&good, &by_buyer, subject("seller_share_bps", json!(9999)))),
        ("credential_subject", forged(&good, &by_buyer, |d| d["credentialSubject"]["id"] = someone.clone())),
        // The other party's word, a stranger's word, a word for another device, no word, and one letter of it changed.
        (
            "credential_authorisation",
            story.issue(Kind::TrustedSeller, Some(word(2, &by_buyer)), &by_buyer).unwrap(),
        ),
        (
            "credential_authorisation",
            story.issue(Kind::TrustedSeller, Some(word(7, &by_buyer)), &by_buyer).unwrap(),
        ),
        (
            "credential_authorisation",
            story.issue(Kind::TrustedSeller, Some(word(1, &device(7))), &by_buyer).unwrap(),
        ),
        ("credential_authorisation", story.issue(Kind::TrustedSeller, None, &by_buyer).unwrap()),
        (
            "credential_authorisation",
            forged(&good, &by_buyer, |d| {
                let message = d["authorisation"]["message"].as_str().unwrap().replace("abcdefgh", "abcdefgi");
                d["authorisation"]["message"] = json!(message);
            }),
        ),
        // A wrong party's otherwise valid credential: the seller praises itself, the buyer praises itself.
        (
            "credential_authorisation",
            story.issue(Kind::TrustedSeller, Some(word(2, &device(2))), &device(2)).unwrap(),
        ),
        (
            "credential_authorisation",
            story.issue(Kind::ReliablePayer, Some(word(1, &device(1))), &device(1)).unwrap(),
        ),
    ];
    for (rule, credential) in cases {
        let told = verify(&credential, &story.facts()).unwrap_err();
        assert_eq!(told.rule(), rule, "{told}: {credential}");
    }
    for kind in ["SkillProviderCredential", "ReliableSharerCredential"] {
        let told = verify(&forged(&good, &by_buyer, |d| d["type"][1] = json!(kind)), &story.facts());
        assert_eq!(told.unwrap_err().rule(), "credential_outcome");
    }
    let elsewhere = json!({ "type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "1",
        "id": "file:///list#1", "statusListCredential": "file:///list" });
    let told =
        verify(&forged(&good, &by_buyer, |d| d["credentialStatus"] = elsewhere.clone()), &story.facts());
    assert_eq!(told.unwrap_err().rule(), "credential_status");
    let mut purpose = good.clone();
    purpose["proof"]["proofPurpose"] = json!("authentication");
    assert_eq!(verify(&purpose, &story.facts()).unwrap_err().rule(), "credential_proof");

    // Somebody's own contract, which emits what a deal would: everything fits, and it is no escrow to the verifier.
    let invented = Facts { escrows: &[ARBITER], ..story.facts() };
    let told = verify(&story.credential(Kind::TrustedSeller), &invented);
    assert_eq!(told.unwrap_err().rule(), "unknown_escrow");

    let lost = Story::ruled(0);
    let credential = lost.credential(Kind::DisputeLost);
    let stranger = lost.issue(Kind::DisputeLost, None, &device(8)).unwrap();
    assert_eq!(verify(&stranger, &lost.facts()).unwrap_err().rule(), "unknown_hub");
    let nobody = Facts { hub: None, ..lost.facts() };
    assert_eq!(verify(&credential, &nobody).unwrap_err().rule(), "unknown_hub");
}

#[test]
fn the_chain_must_show_the_deal_closed_for_good() {
    let story = Story::completed();
    let good = story.credential(Kind::TrustedSeller);
    let with = |events: &[FeedEntry]| verify(&good, &Facts { events, ..story.facts() });
    assert!(with(&story.events).is_ok());
    let mut backwards = story.events.clone();
    backwards.reverse();
    assert!(with(&backwards).is_ok());
    for missing in 0..story.events.len() {
        let mut events = story.events.clone();
        events.remove(missing);
        assert_eq!(with(&events).unwrap_err().rule(), "deal_not_closed", "without event {missing}");
        for finality in [Finality::Seen, Finality::Safe, Finality::Retracted] {
            let mut events = story.events.clone();
            events[missing].finality = finality;
            assert_eq!(with(&events).unwrap_err().rule(), "deal_not_closed");
        }
        let mut events = story.events.clone();
        events[missing].event.contract = ARBITER;
        assert_eq!(with(&events).unwrap_err().rule(), "deal_not_closed");
    }
    let mut other = story.events.clone();
    if let EventBody::Funded { terms, .. } = &mut other[0].event.body {
        terms.amount = 1;
    }
    assert_eq!(with(&other).unwrap_err().rule(), "deal_not_closed");
}

#[test]
fn both_forms_say_the_same() {
    let story = Story::completed();
    let status = Some(Entry::new("https://hub.example", Purpose::Revocation, 0, 7));
    let make = |form| {
        let authorisation = Some(word(1, &device(1)));
        let issuing = Issuing { authorisation, status: status.clone(), form };
        let now = Stamp::from_ms(START_MS);
        issue(Kind::TrustedSeller, &story.terms, &story.position(), issuing, &device(1), now).unwrap()
    };
    let (object, token) = (make(Form::DataIntegrity), make(Form::Jose));
    assert_eq!(verify(&object, &story.facts()).unwrap(), verify(&token, &story.facts()).unwrap());
    assert_eq!(vc::unsecured(&object).unwrap(), vc::unsecured(&token).unwrap());
    assert_eq!(verify(&object, &story.facts()).unwrap().status, status);
    assert_eq!(vc::open(&object).unwrap(), vc::open(&token).unwrap());
    let told = vc::open(&json!(7)).unwrap_err();
    assert_eq!(told.rule(), "credential_form");
}

#[test]
fn a_contract_wallets_word_is_what_the_contract_says_of_it() {
    let story = Story::completed();
    let mut word = word(1, &device(1));
    word.signature = "0x1234".to_owned();
    let credential = story.issue(Kind::TrustedSeller, Some(word), &device(1)).unwrap();
    let (form, _) = read(&credential).unwrap();
    let (asked, _, signature) = wallet_question(&form).unwrap().unwrap();
    assert_eq!((asked, signature.as_ref()), (story.terms.buyer, [0x12, 0x34].as_slice()));
    for (answer, rule) in [
        (None, Some("credential_authorisation")),
        (Some(false), Some("credential_authorisation")),
        (Some(true), None),
    ] {
        let facts = Facts { contract_wallet: answer, ..story.facts() };
        assert_eq!(verify(&credential, &facts).err().map(|told| told.rule()), rule);
    }
    let (form, _) = read(&story.credential(Kind::TrustedSeller)).unwrap();
    assert_eq!(wallet_question(&form).unwrap(), None);
}

proptest! {
    #[test]
    fn a_token_with_one_character_changed_does_not_hold(at in any::<prop::sample::Index>(), by in 0_u8..64) {
        let story = Story::completed();
        let authorisation = Some(word(1, &device(1)));
        let issuing = Issuing { authorisation, form: Form::Jose, ..Issuing::default() };
        let now = Stamp::from_ms(START_MS);
        let token = issue(Kind::TrustedSeller, &story.terms, &story.position(), issuing, &device(1), now).unwrap();
        let mut text = token.as_str().unwrap().to_owned().into_bytes();
        let at = at.index(text.len());
        let to = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[usize::from(by)];
        prop_assume!(text[at] != to);
        text[at] = to;
        let changed = Value::String(String::from_utf8(text).unwrap());
        prop_assert!(verify(&changed, &story.facts()).is_err(), "character {at} of {changed}");
    }

    #[test]
    fn a_credential_with_one_byte_changed_does_not_hold(at in any::<prop::sample::Index>(), by in 1_u8..=255, payer in any::<bool>()) {
        let story = Story::completed();
        let kind = if payer { Kind::ReliablePayer } else { Kind::TrustedSeller };
        let mut bytes = serde_json::to_vec(&story.credential(kind)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        if let Ok(changed) = serde_json::from_slice::<Value>(&bytes) {
            prop_assert!(verify(&changed, &story.facts()).is_err(), "byte {at} of {changed}");
        }
    }
}
