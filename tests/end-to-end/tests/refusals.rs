//! Bad input over the real stack: problem details that name the field and the rule, and nothing is kept.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::time::Duration;

use alloy::{
    primitives::{Address, B256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use end_to_end::{Folder, Running, json};
use hub::{
    identity::{IdentityBody, SignIn, SignInFields},
    records::{DeviceKey, Draft, RecordId, Stamp},
};
use protocol::chain::{AccountId, ChainId};
use reqwest::{StatusCode, header};
use serde_json::{Value, json as value};

/// A market without trades in it, and a person of its own to send bad input.
struct Market {
    folder: Folder,
    up: Running,
    http: reqwest::Client,
    /// Entries of the hub's log before any bad input.
    before: i64,
}

impl Market {
    async fn start() -> Self {
        let folder = Folder::new();
        let mut up = folder.up(&[], &[]);
        up.wait_for("Everything runs until", end_to_end::TRADES_WAIT);
        let mut this = Self { folder, up, http: reqwest::Client::new(), before: 0 };
        // What is under way still is written to the log.
        let purchase = this.folder.report()["trades"][1]["purchase"].as_str().expect("a purchase").to_owned();
        end_to_end::oracle::settled(&this.folder, &purchase, &end_to_end::oracle::DISPUTED);
        this.before = this.log().await;
        this
    }

    async fn log(&self) -> i64 {
        let url = format!("sqlite:{}?mode=ro", self.folder.data().join("hub.sqlite").display());
        let pool = sqlx::SqlitePool::connect(&url).await.expect("the hub's database");
        let (count,): (i64,) =
            sqlx::query_as("SELECT COUNT(*) FROM log").fetch_one(&pool).await.expect("a count");
        count
    }

    /// Sends bytes and expects problem details.
    async fn refused(&self, path: &str, body: Vec<u8>, key: Option<&str>) -> (StatusCode, Value) {
        let mut request = self
            .http
            .post(format!("{}{path}", self.folder.hub()))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.expect("an answer");
        let (status, kind) = (answer.status(), answer.headers().get(header::CONTENT_TYPE).cloned());
        let problem = json(&answer.bytes().await.expect("a body"));
        assert!(status.is_client_error(), "{status} {problem}");
        assert_eq!(
            kind.as_ref().map(|kind| kind.as_bytes()),
            Some(b"application/problem+json".as_slice()),
            "{problem}"
        );
        assert_eq!(problem["status"], status.as_u16(), "{problem}");
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        (status, problem)
    }

    async fn refused_record(&self, record: &Value) -> (StatusCode, Value) {
        let told = self.refused("/v1/records", serde_json::to_vec(record).expect("JSON"), None).await;
        let id = record["id"].as_str().expect("an id");
        let there =
            self.http.get(format!("{}/v1/records/{id}", self.folder.hub())).send().await.expect("an answer");
        assert_eq!(there.status(), StatusCode::NOT_FOUND, "a refused record is kept");
        told
    }

    async fn fields(&self) -> SignInFields {
        let answer =
            self.http.get(format!("{}/v1/sign-in/nonce", self.folder.hub())).send().await.expect("a nonce");
        answer.json().await.expect("sign-in fields")
    }

    async fn ends_clean(self) {
        assert_eq!(self.log().await, self.before, "something was kept");
        self.up.interrupt();
        let (code, said) = self.up.wait(Duration::from_secs(60));
        assert_eq!(code, Some(0), "{}", said.join("\n"));
    }

    fn relayer_key(&self) -> String {
        let market = std::fs::read(self.folder.data().join("market.json")).expect("market.json");
        json(&market)["relayer_key"].as_str().expect("a key").to_owned()
    }

    /// A device and account of the sample buyer.
    fn buyer(&self) -> (DeviceKey, RecordId) {
        let folder = self.folder.data().join("profiles/buyer");
        let seed: B256 = std::fs::read_to_string(folder.join("device.key"))
            .expect("a key")
            .trim()
            .parse()
            .expect("32 bytes");
        let card = json(&std::fs::read(folder.join("profile.json")).expect("a profile"));
        (DeviceKey::from_seed(seed.0), card["account"].as_str().expect("an account").parse().expect("an id"))
    }
}

struct Newcomer {
    wallet: PrivateKeySigner,
    device: DeviceKey,
}

impl Newcomer {
    fn new() -> Self {
        let device = DeviceKey::from_seed(PrivateKeySigner::random().to_bytes().0);
        Self { wallet: PrivateKeySigner::random(), device }
    }

    /// An `identity@1` made of a message that `alter` has changed, signed by `signer`.
    fn identity(
        &self,
        fields: &SignInFields,
        signer: &PrivateKeySigner,
        alter: impl FnOnce(&mut SignIn),
    ) -> Value {
        let mut message = SignIn {
            scheme: None,
            domain: fields.domain.clone(),
            wallet: AccountId { chain: fields.chains[0], address: self.wallet.address().into() },
            statement: None,
            uri: fields.uri.clone(),
            nonce: fields.nonce.clone(),
            issued_at: fields.issued_at.to_string(),
            expiration_time: Some(fields.expiration_time.to_string()),
            not_before: None,
            request_id: None,
            resources: vec![self.device.device().to_string()],
        };
        alter(&mut message);
        let message = message.to_string();
        let signature = signer.sign_message_sync(message.as_bytes()).expect("a signature").to_string();
        let body = IdentityBody { message, signature, name: "newcomer".to_owned() };
        let body = serde_json::to_value(body).expect("JSON");
        Draft::new("identity@1", None, fields.issued_at, body).sign(&self.device).expect("a record")
    }
}

#[tokio::test]
async fn bad_input_is_refused_by_name_and_leaves_nothing() {
    let market = Market::start().await;
    sign_in(&market).await;
    shapes(&market).await;
    purchases(&market).await;
    chain_events(&market).await;
    market.ends_clean().await;
}

async fn sign_in(market: &Market) {
    let someone = Newcomer::new();
    let stranger = PrivateKeySigner::random();
    let long_ago = Stamp::from_ms(1_000_000_000_000).to_string();

    let expired =
        someone.identity(&market.fields().await, &someone.wallet, |m| m.expiration_time = Some(long_ago));
    let (_, problem) = market.refused_record(&expired).await;
    assert_eq!(problem["rule"], "message_expired", "{problem}");

    let wrong_signer = someone.identity(&market.fields().await, &stranger, |_| ());
    let (_, problem) = market.refused_record(&wrong_signer).await;
    assert_eq!(problem["rule"], "wallet_signature", "{problem}");

    let wrong_chain = someone.identity(&market.fields().await, &someone.wallet, |m| {
        m.wallet.chain = ChainId::Eip155(1);
    });
    let (_, problem) = market.refused_record(&wrong_chain).await;
    assert_eq!(problem["rule"], "message_chain", "{problem}");

    let wrong_domain =
        someone.identity(&market.fields().await, &someone.wallet, |m| m.domain = "evil.example".to_owned());
    let (_, problem) = market.refused_record(&wrong_domain).await;
    assert_eq!(problem["rule"], "message_domain", "{problem}");

    let mut fields = market.fields().await;
    fields.nonce = "0123456789abcdef0123456789abcdef".to_owned();
    let foreign_nonce = someone.identity(&fields, &someone.wallet, |_| ());
    let (_, problem) = market.refused_record(&foreign_nonce).await;
    assert!(problem["rule"].as_str().is_some_and(|rule| rule.contains("nonce")), "{problem}");

    let (device, account) = market.buyer();
    let other = Newcomer::new().device;
    let forged = Draft::new("community@1", Some(account), fields.issued_at, value!({ "name": "forged" }));
    let (status, problem) = market.refused_record(&forged.sign(&other).expect("a record")).await;
    assert_eq!((status, problem["step"].as_str()), (StatusCode::FORBIDDEN, Some("access")), "{problem}");
    let mut altered = forged.sign(&device).expect("a record");
    altered["body"]["name"] = "altered".into();
    let (_, problem) = market.refused_record(&altered).await;
    assert_eq!(problem["step"], "proof", "{problem}");
}

async fn shapes(market: &Market) {
    for path in ["/v1/records", "/v1/sessions"] {
        let (status, _) = market.refused(path, b"{\"id\": ".to_vec(), None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let oversized = format!("{{\"pad\": \"{}\"}}", "x".repeat(70_000));
        let (status, _) = market.refused(path, oversized.into_bytes(), None).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        market.refused(path, deep.into_bytes(), None).await;
    }
    let (status, _) = market.refused("/v1/nowhere", b"{}".to_vec(), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

async fn purchases(market: &Market) {
    let (device, account) = market.buyer();
    let report = market.folder.report();
    let subject = &report["trades"][0]["credentials"][0]["credentialSubject"];
    let mut terms = subject["terms"].clone();
    terms["salt"] = value!(B256::repeat_byte(7));
    let unknown: RecordId = RecordId::of(&value!({ "no": "such listing" })).expect("an id");
    let listing: RecordId = json(
        &std::fs::read(market.folder.data().join("market.json")).expect("market.json"),
    )["sides"][0]["listing"]
        .as_str()
        .expect("a listing")
        .parse()
        .expect("an id");
    let now = market.fields().await.issued_at;
    let offer = |about: RecordId, terms: &Value| {
        let body = value!({ "terms": terms, "agreement": { "listing": about } });
        Draft::new("purchase@1", Some(account), now, body).about(about).sign(&device).expect("a record")
    };
    let (_, problem) = market.refused_record(&offer(unknown, &terms)).await;
    assert_eq!(problem["rule"], "no_listing", "{problem}");

    let mut dear = terms.clone();
    dear["amount"] = "1".into();
    let (_, problem) = market.refused_record(&offer(listing, &dear)).await;
    assert_eq!(
        (problem["rule"].as_str(), problem["field"].as_str()),
        (Some("wrong_price"), Some("/body/terms/amount")),
        "{problem}"
    );

    let mut elsewhere = terms.clone();
    elsewhere["escrow"] = format!("eip155:31337:{}", Address::repeat_byte(9).to_checksum(None)).into();
    let (_, problem) = market.refused_record(&offer(listing, &elsewhere)).await;
    assert_eq!(problem["rule"], "unknown_contract", "{problem}");

    let mut number = terms.clone();
    number["amount"] = value!(250_000);
    let (_, problem) = market.refused_record(&offer(listing, &number)).await;
    assert_eq!(problem["step"], "schema", "{problem}");
}

async fn chain_events(market: &Market) {
    let key = market.relayer_key();
    let feed = format!("{}/v1/feed?after=0&limit=500", market.folder.indexer());
    let feed = json(&reqwest::get(feed).await.expect("the feed").bytes().await.expect("the feed"));
    let entries = feed["entries"].as_array().expect("entries");
    let known = entries.iter().find(|entry| entry["event"]["body"]["name"] == "Funded").expect("a funding");
    let deliver = |entry: &Value| serde_json::to_vec(&value!({ "entries": [entry] })).expect("JSON");

    let (status, _) = market.refused("/v1/chain-events", deliver(known), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, _) =
        market.refused("/v1/chain-events", deliver(known), Some("not the key of any relayer")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    // An event that the chain does not know, about a deal that the chain does not know.
    let mut invented = known.clone();
    invented["event"]["id"] = value!(B256::repeat_byte(3));
    invented["event"]["body"]["deal"] = value!(B256::repeat_byte(4));
    let answer = market
        .http
        .post(format!("{}/v1/chain-events", market.folder.hub()))
        .bearer_auth(&key)
        .header(header::CONTENT_TYPE, "application/json")
        .body(deliver(&invented))
        .send()
        .await
        .expect("an answer");
    // Events of deals that are nobody's here are passed over or refused; either way nothing is kept.
    let (status, told) = (answer.status(), json(&answer.bytes().await.expect("a body")));
    assert!(status.is_client_error() || told["applied"] == 0, "{status} {told}");

    // A known deal, and something about it that the chain never said.
    let mut altered = known.clone();
    altered["event"]["body"]["terms"]["amount"] = "1".into();
    altered["event"]["id"] = value!(B256::repeat_byte(5));
    let (status, problem) = market.refused("/v1/chain-events", deliver(&altered), Some(&key)).await;
    assert!([StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY].contains(&status), "{status} {problem}");
}
