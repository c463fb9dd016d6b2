//! Golden records: one file or more for every type that a room takes, beside this one. They stand for what logs have had since
//! long ago, which a hub has to read for ever: a body that is read otherwise, or no more, would leave an old log without replay.
//!
//! A file that is there is never written anew. With `EARNEST_GOLDEN=write` the test writes those that are missing; a type or a form
//! of a body that is new gets a line among the [`samples`], and then a file.

#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use std::{collections::BTreeSet, path::PathBuf};

use alloy::primitives::B256;
use serde::{Serialize, de::DeserializeOwned};

use super::*;
use crate::{
    communities::{CandidacyBody, CommunityBody, MembershipBody, PoolBody},
    deals::{
        acts::{ActBody, StandingBody},
        model::{AcceptanceBody, PurchaseBody, WithdrawalBody},
    },
    disputes::{
        Come,
        model::{AppealBody, BallotBody, EvidenceBody, RecusalBody},
    },
    governance::model::{DepositBody, ProposalBody, TallyBody, VoteBody},
    grievances::model::{GrievanceBody, StepBody, TimeoutBody},
    identity::{
        Claim, DeviceBody, HubBody, IdentityBody, PasskeyBody, ProfileBody, RecoveryBody, RecoveryRuleBody,
        RecoveryStepBody, RecoveryVetoBody, SignIn, WalletBody, add_statement, creation_statement,
        passkey_statement, revoke_passkey_statement, revoke_statement, rule_statement, silence_statement,
        veto_statement,
    },
    ledger::{AssetBody, CaptureBody, HoldBody, ReleaseBody, TransferBody},
    market::ListingBody,
    reputation::{
        RevocationBody,
        exchange::{self, Exchange},
        loss::{self, Loss, Ruled},
        model::{Form, Kind, WalletDid},
        tests::praised,
    },
    rooms::Room,
    testing::{
        Authenticator, START_MS, Wallet, account as wallet_account, authenticator::encoded,
        signed as signed_by, trade::ARBITER,
    },
};

const DOMAIN: &str = "hub.example";
const URI: &str = "https://hub.example";
const NONCE: &str = "abcdefgh";
/// Three days.
const LATER_MS: i64 = START_MS + 3 * 24 * 3_600_000;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/records/tests/golden"))
}

fn signs(wallet: &Wallet, message: &SignIn) -> Value {
    let text = message.to_string();
    json!({ "message": text, "signature": signed_by(wallet, &text) })
}

/// A wallet's word for a device.
fn authorises(wallet: &Wallet, device: &DeviceKey) -> Value {
    let (by, now, end) =
        (wallet_account(wallet.address()), Stamp::from_ms(START_MS), Stamp::from_ms(LATER_MS));
    signs(wallet, &SignIn::for_device(DOMAIN, URI, by, NONCE, &device.device(), now, end))
}

/// A wallet's word in words.
fn states(wallet: &Wallet, statement: String) -> Value {
    let (by, now, end) =
        (wallet_account(wallet.address()), Stamp::from_ms(START_MS), Stamp::from_ms(LATER_MS));
    signs(wallet, &SignIn::saying(DOMAIN, URI, by, NONCE, statement, now, end))
}

/// Who says something to whom.
#[derive(Clone, Copy)]
enum Says {
    /// Anna, to everybody.
    Openly,
    /// Anna, to herself.
    Alone,
    /// The hub, to everybody.
    Hub,
    /// The hub, to Anna.
    HubToAnna,
}

/// One record of every type at least, of every form of its body where there are a few, always the same.
fn samples() -> Vec<Value> {
    let ((wallet, device), (other_wallet, other_device)) = (Person::keys(1), Person::keys(2));
    let hub_key = DeviceKey::from_seed([99; 32]);
    let (now, later) = (Stamp::from_ms(START_MS), Stamp::from_ms(LATER_MS));
    let id = |record: &Value| record["id"].as_str().unwrap().parse::<RecordId>().unwrap();
    let begins =
        |kind: &str, key: &DeviceKey, body: Value| Draft::new(kind, None, now, body).sign(key).unwrap();
    let arrives = |wallet: &Wallet, device: &DeviceKey| {
        let mut body = authorises(wallet, device);
        body["name"] = json!("Gärtnerin");
        begins("identity@1", device, body)
    };
    let first = begins("hub@1", &hub_key, json!({ "did": "did:web:hub.example" }));
    let (anna, ben) = (arrives(&wallet, &device), arrives(&other_wallet, &other_device));
    let (hub, me, other) = (id(&first), id(&anna), id(&ben));
    let says = |statement: String| states(&wallet, statement);
    let wallets = [&wallet, &other_wallet].map(|wallet| wallet_account(wallet.address()));
    let (credential, terms, event) = praised();
    let exchange = Exchange { payment: other, payer: me, payee: other };
    let thanks = exchange::issue(
        Kind::SkillProvider,
        exchange,
        WalletDid(wallets[1]),
        None,
        Form::DataIntegrity,
        &device,
        now,
    )
    .unwrap();
    let loss = Loss { record: other, community: other, outcome: Ruled::PartialAdjustment };
    let lost = loss::issue(loss, WalletDid(wallets[0]), None, &hub_key, now).unwrap();
    let signature = signed_by(&wallet, "any");
    let hash = B256::repeat_byte(3);
    let passkey = Authenticator::ed25519(URI, 7);
    let mut add_wallet = authorises(&other_wallet, &device);
    add_wallet["by"] = says(add_statement(&me, &wallets[1]));
    let silence = says(silence_statement(&me, &other_device.device()));
    let pay = json!({ "asset": "time_credit", "to": other, "amount": "150", "note": "Two hours of weeding" });
    let mut hold = pay.clone();
    hold["expires"] = json!(later);
    let proposal = |needs: Value, effect: Value| {
        json!({
            "title": "A shed", "text": "Where the tools are dry.", "electorate": { "roles": ["member", "steward"] },
            "rule": { "quorum": "1/2", "needs": needs }, "ballots": "open", "closes": later, "effect": effect,
        })
    };
    let votes = |effect: Value| ("proposal@1", Says::Openly, proposal(json!("majority"), effect));
    let step = |step: Value| ("grievance-step@1", Says::Alone, json!({ "step": step }));
    let act = |act: Value| ("act@1", Says::Openly, json!({ "act": act, "signature": signature }));
    let said: Vec<(&str, Says, Value)> = vec![
        ("wallet@1", Says::Openly, json!({ "add": add_wallet })),
        (
            "wallet@1",
            Says::Openly,
            json!({ "revoke": { "wallet": wallets[1], "by": says(revoke_statement(&me, &wallets[1])) } }),
        ),
        (
            "passkey@1",
            Says::Openly,
            json!({ "add": {
                "nonce": NONCE, "authenticator_data": encoded(passkey.data(true)),
                "client_data": encoded(passkey.client("webauthn.create", &creation_statement(&me, NONCE))),
                "by": says(passkey_statement(&me, &passkey.passkey())),
            } }),
        ),
        (
            "passkey@1",
            Says::Openly,
            json!({ "revoke": {
                "passkey": passkey.did(), "by": says(revoke_passkey_statement(&me, &passkey.passkey())),
            } }),
        ),
        ("device@1", Says::Openly, json!({ "add": authorises(&wallet, &other_device) })),
        ("device@1", Says::Openly, json!({ "add_by_passkey": passkey.word(&other_device, NONCE) })),
        ("device@1", Says::Openly, json!({ "revoke": { "device": other_device.device(), "by": null } })),
        ("device@1", Says::Openly, json!({ "revoke": { "device": other_device.device(), "by": silence } })),
        (
            "recovery-rule@1",
            Says::Alone,
            json!({ "guardians": [other], "threshold": 1, "delay_hours": 48, "by": says(rule_statement(&me, &[other], 1, 48)) }),
        ),
        ("recovery@1", Says::Alone, authorises(&other_wallet, &other_device)),
        ("recovery-approval@1", Says::Alone, json!({})),
        ("recovery-veto@1", Says::Alone, json!({ "by": says(veto_statement(&me, &other)) })),
        ("recovery-end@1", Says::HubToAnna, json!({})),
        (
            "profile@1",
            Says::Openly,
            json!({ "name": "Anna", "text": "I weed.", "languages": ["en", "pt-BR"], "avatar": hash }),
        ),
        ("erasure@1", Says::Openly, json!({})),
        ("personhood@1", Says::Openly, json!({ "brightid": {} })),
        (
            "personhood@1",
            Says::Openly,
            json!({ "proof_of_humanity": { "registry": ARBITER, "wallet": wallets[0] } }),
        ),
        (
            "asset@1",
            Says::Hub,
            json!({ "asset": "time_credit", "rules": {
                "unit": "hour", "scale": 2, "issuer": "nobody", "credit_limit": "1000", "governed_by": null } }),
        ),
        ("transfer@1", Says::Openly, pay),
        ("hold@1", Says::Openly, hold),
        ("capture@1", Says::Openly, json!({ "amount": "100" })),
        ("release@1", Says::Openly, json!({})),
        ("expiry@1", Says::Hub, json!({})),
        ("community@1", Says::Openly, json!({ "name": "Gärten am Fluss" })),
        ("membership@1", Says::Openly, json!({ "account": other, "role": "member" })),
        ("membership@1", Says::Openly, json!({ "account": other, "role": null })),
        ("candidacy@1", Says::Alone, json!({ "wallet": wallets[0], "stands": true })),
        ("pool@1", Says::Openly, json!({ "arbiter": ARBITER, "panel": terms.panel })),
        votes(json!("text")),
        votes(json!({ "admin_adjustment": {
            "asset": "time_credit", "against": "treasury", "entries": [{ "account": other, "amount": "-5" }] } })),
        votes(json!({ "treasury_transfer": {
            "asset": "time_credit", "to": other, "amount": "90", "payment": "reward" } })),
        votes(json!({ "credit_limit": { "asset": "time_credit", "account": other, "limit": null } })),
        votes(json!({ "membership": { "account": other, "role": "steward" } })),
        votes(json!({ "setting": { "setting": "window_min_seconds", "value": "86400" } })),
        votes(json!({ "pool": { "arbiter": ARBITER, "panel": hash, "serves": true } })),
        votes(json!({ "pool_list": { "arbiter": ARBITER, "panel": hash } })),
        (
            "proposal@1",
            Says::Openly,
            proposal(json!({ "median": { "lowest": "-2", "highest": "5" } }), json!("text")),
        ),
        ("vote@1", Says::Alone, json!({ "choice": "yes" })),
        ("vote@1", Says::Alone, json!({ "choice": { "number": "7200" } })),
        (
            "tally@1",
            Says::Hub,
            json!({ "electorate": hex::encode(hash), "ballots": hex::encode(hash), "result": {
                "electors": 3, "voted": 2, "yes": 2, "no": 0, "abstained": 0, "median": null, "verdict": "accepted" } }),
        ),
        ("deposit@1", Says::Openly, json!({ "asset": "time_credit", "amount": "5", "note": "" })),
        (
            "grievance@1",
            Says::Alone,
            json!({ "kind": "trade", "remedy": "reversal", "subject": me, "respondent": other,
                "title": "The bed is not weeded", "text": "Nothing was done." }),
        ),
        step(json!("take")),
        step(json!({ "evidence": { "text": "A photograph.", "uri": null, "sha256": null } })),
        step(json!({ "propose": { "outcome": { "partial_adjustment": { "amount": "5" } }, "reason": "" } })),
        step(json!({ "accept": { "proposal": other } })),
        step(json!({ "conflict": { "reason": "" } })),
        step(json!("community_wide")),
        ("grievance-timeout@1", Says::HubToAnna, json!({ "state": "filed" })),
        (
            "listing@1",
            Says::Openly,
            json!({
                "kind": "physical", "title": "A chair", "description": "Of oak.", "price_type": "fixed",
                "price": [{ "asset": "eip155:31337/slip44:60", "amount": "1000" }], "tags": ["chair"],
                "location_pref": "global", "visibility": "public", "status": "active", "pay_to": wallets[0],
            }),
        ),
        (
            "purchase@1",
            Says::Openly,
            json!({ "terms": terms, "agreement": { "deliverable": "One chair of oak." } }),
        ),
        ("acceptance@1", Says::Openly, json!({ "signature": signature })),
        ("withdrawal@1", Says::Openly, json!({ "reason": "It is sold." })),
        act(json!({ "what": "deliver", "delivery": hash, "valid_until": "1795258800" })),
        act(json!({ "what": "release", "total": "1000" })),
        ("standing@1", Says::Openly, json!({ "time_outs": ["reclaim", "claim"] })),
        ("chain-event@1", Says::Hub, json!(event)),
        (
            "evidence@1",
            Says::Openly,
            json!({ "hash": hash, "uri": "https://files.example/1", "note": "Of pine." }),
        ),
        (
            "ballot@1",
            Says::Alone,
            json!({ "jury": 0, "seat": 2, "share": 5000, "reason": "Half.", "signature": signature }),
        ),
        ("recusal@1", Says::Alone, json!({ "reason": "The seller is my brother." })),
        ("appeal@1", Says::Openly, json!({ "valid_until": "1795258800", "signature": signature })),
        ("due@1", Says::Hub, json!({ "what": "open_case", "instance": 0, "jury": 0 })),
        ("due@1", Says::Hub, json!({ "time_out": "claim" })),
        ("credential@1", Says::Openly, json!({ "credential": credential })),
        ("credential@1", Says::Openly, json!({ "credential": thanks })),
        ("credential@1", Says::Hub, json!({ "credential": lost })),
        ("revocation@1", Says::Openly, json!({ "reason": "It came back." })),
    ];
    let records = said.into_iter().map(|(kind, who, body)| {
        let (author, key, audience) = match who {
            Says::Openly => (me, &device, Audience::Public),
            Says::Alone => (me, &device, Audience::Account(me)),
            Says::Hub => (hub, &hub_key, Audience::Public),
            Says::HubToAnna => (hub, &hub_key, Audience::Account(me)),
        };
        let draft = Draft::new(kind, Some(author), now, body).only_for(vec![audience]);
        // A listing that is about none is a new one; everything else is about something, whatever it is.
        let draft = if kind == "listing@1" { draft } else { draft.about(other) };
        draft.sign(key).unwrap()
    });
    [first, anna].into_iter().chain(records).collect()
}

/// Writes the files that are missing: `TYPE.json`, and `TYPE.2.json` and so on where a body has several forms.
fn write() {
    std::fs::create_dir_all(folder()).unwrap();
    let mut kinds: Vec<String> = Vec::new();
    for record in samples() {
        let kind = record["type"].as_str().unwrap().to_owned();
        let nth = kinds.iter().filter(|known| **known == kind).count() + 1;
        let name = if nth == 1 { format!("{kind}.json") } else { format!("{kind}.{nth}.json") };
        kinds.push(kind);
        let file = folder().join(name);
        if !file.exists() {
            std::fs::write(file, format!("{}\n", serde_json::to_string_pretty(&record).unwrap())).unwrap();
        }
    }
}

/// The body as the type writes it that reads it.
fn written(record: &Record) -> Value {
    fn by<T: DeserializeOwned + Serialize>(record: &Record) -> Value {
        serde_json::to_value(record.body_as::<T>().unwrap()).unwrap()
    }
    match record.kind.as_str() {
        "hub@1" => by::<HubBody>(record),
        "identity@1" => by::<IdentityBody>(record),
        "wallet@1" => by::<WalletBody>(record),
        "passkey@1" => by::<PasskeyBody>(record),
        "device@1" => by::<DeviceBody>(record),
        "recovery-rule@1" => by::<RecoveryRuleBody>(record),
        "recovery@1" => by::<RecoveryBody>(record),
        "recovery-approval@1" | "recovery-end@1" => by::<RecoveryStepBody>(record),
        "recovery-veto@1" => by::<RecoveryVetoBody>(record),
        "profile@1" => by::<ProfileBody>(record),
        "erasure@1" => by::<ErasureBody>(record),
        "personhood@1" => by::<Claim>(record),
        "asset@1" => by::<AssetBody>(record),
        "transfer@1" => by::<TransferBody>(record),
        "hold@1" => by::<HoldBody>(record),
        "capture@1" => by::<CaptureBody>(record),
        "release@1" | "expiry@1" => by::<ReleaseBody>(record),
        "community@1" => by::<CommunityBody>(record),
        "membership@1" => by::<MembershipBody>(record),
        "candidacy@1" => by::<CandidacyBody>(record),
        "pool@1" => by::<PoolBody>(record),
        "proposal@1" => by::<ProposalBody>(record),
        "vote@1" => by::<VoteBody>(record),
        "tally@1" => by::<TallyBody>(record),
        "deposit@1" => by::<DepositBody>(record),
        "grievance@1" => by::<GrievanceBody>(record),
        "grievance-step@1" => by::<StepBody>(record),
        "grievance-timeout@1" => by::<TimeoutBody>(record),
        "listing@1" => by::<ListingBody>(record),
        "purchase@1" => by::<PurchaseBody>(record),
        "acceptance@1" => by::<AcceptanceBody>(record),
        "withdrawal@1" => by::<WithdrawalBody>(record),
        "act@1" => by::<ActBody>(record),
        "standing@1" => by::<StandingBody>(record),
        "chain-event@1" => by::<protocol::wire::feed::FeedEntry>(record),
        "evidence@1" => by::<EvidenceBody>(record),
        "ballot@1" => by::<BallotBody>(record),
        "recusal@1" => by::<RecusalBody>(record),
        "appeal@1" => by::<AppealBody>(record),
        "due@1" => by::<Come>(record),
        "revocation@1" => by::<RevocationBody>(record),
        // Kept as its issuer signed it; its own reader sees that each member is written in its one form.
        "credential@1" => record.body.clone(),
        other => panic!("{other}: name the type of its body here"),
    }
}

fn files() -> impl Iterator<Item = PathBuf> {
    let files =
        std::fs::read_dir(folder()).expect("the golden records: write them with EARNEST_GOLDEN=write");
    files.map(|file| file.unwrap().path())
}

/// A golden record of before may name one all the same: the door refuses it, and no replay asks.
#[test]
fn every_type_needs_a_record_that_it_is_about_or_has_none_or_is_one_of_three() {
    for path in files() {
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut record = Record::read(&golden).unwrap();
        record.about = None;
        let refused = Room::of(&record.kind).unwrap().check(&record).err();
        let kind = record.kind.as_str();
        let says = [
            refused.is_some_and(|refusal| refusal.rule == "about"),
            Room::is_about_nothing(kind),
            // Of a new one there is nothing yet; of a later word there is.
            ["asset@1", "listing@1", "pool@1"].contains(&kind),
        ];
        assert_eq!(says.iter().filter(|so| **so).count(), 1, "{kind}: {says:?}");
    }
}

#[test]
fn every_type_has_golden_records_that_are_read_for_ever() {
    if std::env::var("EARNEST_GOLDEN").is_ok_and(|how| how == "write") {
        write();
    }
    let mut kinds = BTreeSet::new();
    for path in files() {
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let record = Record::read(&golden).unwrap_or_else(|refusal| panic!("{}: {refusal}", path.display()));
        assert_eq!(serde_json::to_value(&record).unwrap(), golden, "{}", path.display());
        let room = Room::of(&record.kind).unwrap_or_else(|| panic!("{}: no room", path.display()));
        room.check(&record).unwrap_or_else(|refusal| panic!("{}: {refusal}", path.display()));
        assert_eq!(written(&record), record.body, "{}", path.display());
        kinds.insert(record.kind);
    }
    let without: Vec<_> = Room::KINDS.iter().filter(|(kind, _)| !kinds.contains(*kind)).collect();
    assert!(without.is_empty(), "no golden record of {without:?}: write them with EARNEST_GOLDEN=write");
}
