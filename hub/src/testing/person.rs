//! People with wallets and devices.

use protocol::chain::{AccountId, Address, ChainId};
use serde_json::{Value, json};

use super::{TestHub, Wallet, trade};
use crate::{
    identity::{SignIn, add_statement, session_request},
    records::{DeviceKey, Draft, RecordId, Stamp, proof},
};

/// Somebody with a wallet, a device and an account.
pub(crate) struct Person {
    pub wallet: Wallet,
    pub device: DeviceKey,
    pub account: RecordId,
}

/// What a sign-in message says, with a fresh nonce of the hub.
pub(crate) async fn message(hub: &TestHub, wallet: impl Into<Address>, device: &DeviceKey) -> SignIn {
    let fields = hub.get("/v1/sign-in/nonce").await.body;
    let text = |name: &str| fields[name].as_str().unwrap().to_owned();
    SignIn::for_device(
        &text("domain"),
        &text("uri"),
        account(wallet.into()),
        &text("nonce"),
        &device.device(),
        text("issued_at").parse().unwrap(),
        text("expiration_time").parse().unwrap(),
    )
}

/// What a wallet says, with a fresh nonce of the hub: `{message, signature}`.
pub(crate) async fn says(hub: &TestHub, wallet: &Wallet, statement: String) -> Value {
    let fields = hub.get("/v1/sign-in/nonce").await.body;
    let text = |name: &str| fields[name].as_str().unwrap().to_owned();
    let message = SignIn::saying(
        &text("domain"),
        &text("uri"),
        account(wallet.address()),
        &text("nonce"),
        statement,
        text("issued_at").parse().unwrap(),
        text("expiration_time").parse().unwrap(),
    )
    .to_string();
    json!({ "message": message, "signature": signed(wallet, &message) })
}

pub(crate) fn signed(wallet: &Wallet, message: &str) -> String {
    wallet.sign_text(message).to_string()
}

/// A wallet on the tests' chain of its kind.
pub(crate) fn account(address: Address) -> AccountId {
    let chains = [trade::CHAIN, trade::Ground::solana().chain];
    let chain = chains.into_iter().find(|chain| chain.has(address)).unwrap();
    AccountId { chain, address }
}

impl Person {
    /// A wallet of the EVM and a device made from `seed`, without an account yet.
    pub(crate) fn keys(seed: u8) -> (Wallet, DeviceKey) {
        Self::keys_on(trade::CHAIN, seed)
    }

    /// A wallet of the chain's kind and a device.
    pub(crate) fn keys_on(chain: ChainId, seed: u8) -> (Wallet, DeviceKey) {
        (Wallet::of_seed(chain, seed), DeviceKey::from_seed([seed; 32]))
    }

    /// The `identity@1` of a message.
    pub(crate) fn identity(
        hub: &TestHub,
        message: &SignIn,
        wallet: &Wallet,
        device: &DeviceKey,
        name: &str,
    ) -> Value {
        let text = message.to_string();
        let body = json!({ "message": text, "signature": signed(wallet, &text), "name": name });
        Draft::new("identity@1", None, Stamp::from_ms(hub.now()), body).sign(device).unwrap()
    }

    /// Somebody with an account on this hub.
    pub(crate) async fn arrive(hub: &TestHub, seed: u8) -> Self {
        Self::arrive_on(hub, trade::CHAIN, seed).await
    }

    /// Somebody with a wallet of the chain's kind.
    pub(crate) async fn arrive_on(hub: &TestHub, chain: ChainId, seed: u8) -> Self {
        let (wallet, device) = Self::keys_on(chain, seed);
        Self::arrive_with(hub, wallet, device).await
    }

    /// Somebody with this wallet.
    pub(crate) async fn arrive_with(hub: &TestHub, wallet: Wallet, device: DeviceKey) -> Self {
        let message = message(hub, wallet.address(), &device).await;
        let record = Self::identity(hub, &message, &wallet, &device, "Somebody");
        let account = hub.say(&record).await;
        Self { wallet, device, account }
    }

    /// The body of a `wallet@1` by which this wallet joins the account.
    pub(crate) async fn joining(&self, hub: &TestHub, wallet: &Wallet) -> Value {
        let text = message(hub, wallet.address(), &self.device).await.to_string();
        let by = says(hub, &self.wallet, add_statement(&self.account, &account(wallet.address()))).await;
        json!({ "add": { "message": text, "signature": signed(wallet, &text), "by": by } })
    }

    /// The wallet's account on the tests' chain of its kind.
    pub(crate) fn wallet_id(&self) -> AccountId {
        account(self.wallet.address())
    }

    /// A public draft of this person.
    pub(crate) fn draft(&self, hub: &TestHub, kind: &str, body: Value) -> Draft {
        Draft::new(kind, Some(self.account), Stamp::from_ms(hub.now()), body)
    }

    /// A public record about nothing.
    pub(crate) fn record(&self, hub: &TestHub, kind: &str, body: Value) -> Value {
        self.draft(hub, kind, body).sign(&self.device).unwrap()
    }

    /// A public record about another.
    pub(crate) fn record_about(&self, hub: &TestHub, kind: &str, about: RecordId, body: Value) -> Value {
        self.draft(hub, kind, body).about(about).sign(&self.device).unwrap()
    }

    /// What opens a session, with a fresh nonce.
    pub(crate) async fn session_request(&self, hub: &TestHub) -> Value {
        let fields = hub.get("/v1/sign-in/nonce").await.body;
        let text = |name: &str| fields[name].as_str().unwrap();
        let created = Stamp::from_ms(hub.now());
        session_request(&self.account, text("domain"), text("nonce"), &self.device, created).unwrap()
    }

    /// What asks for an API token (`label`, `scopes`, `days`), with a fresh nonce.
    pub(crate) async fn token_request(&self, hub: &TestHub, asked: Value) -> Value {
        let fields = hub.get("/v1/sign-in/nonce").await.body;
        let mut document = asked;
        for name in ["domain", "nonce"] {
            document[name] = fields[name].clone();
        }
        document["account"] = json!(self.account);
        let created = Stamp::from_ms(hub.now());
        proof::sign(document, &self.device, proof::AUTHENTICATION, created).unwrap()
    }

    /// A session's token.
    pub(crate) async fn sign_in(&self, hub: &TestHub) -> String {
        let answer = hub.post("/v1/sessions", &self.session_request(hub).await).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["token"].as_str().unwrap().to_owned()
    }
}
