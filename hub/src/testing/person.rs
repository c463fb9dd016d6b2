//! People with wallets and devices.

use alloy::{
    primitives::{Address, B256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use protocol::chain::AccountId;
use serde_json::{Value, json};

use super::TestHub;
use crate::{
    identity::{SignIn, session_request},
    records::{DeviceKey, Draft, RecordId, Stamp},
};

/// Somebody with a wallet, a device and an account.
pub(crate) struct Person {
    pub wallet: PrivateKeySigner,
    pub device: DeviceKey,
    pub account: RecordId,
}

/// What a sign-in message says, with a fresh nonce of the hub.
pub(crate) async fn message(hub: &TestHub, wallet: Address, device: &DeviceKey) -> SignIn {
    let fields = hub.get("/v1/sign-in/nonce").await.body;
    let text = |name: &str| fields[name].as_str().unwrap().to_owned();
    SignIn::for_device(
        &text("domain"),
        &text("uri"),
        wallet,
        31337,
        &text("nonce"),
        &device.device(),
        text("issued_at").parse().unwrap(),
        text("expiration_time").parse().unwrap(),
    )
}

pub(crate) fn signed(wallet: &PrivateKeySigner, message: &str) -> String {
    let signature = wallet.sign_message_sync(message.as_bytes()).unwrap();
    format!("0x{}", hex::encode(signature.as_bytes()))
}

impl Person {
    /// A wallet and a device made from `seed`, without an account yet.
    pub(crate) fn keys(seed: u8) -> (PrivateKeySigner, DeviceKey) {
        let wallet = PrivateKeySigner::from_bytes(&B256::repeat_byte(seed)).unwrap();
        (wallet, DeviceKey::from_seed([seed; 32]))
    }

    /// The `identity@1` of a message.
    pub(crate) fn identity(
        hub: &TestHub,
        message: &SignIn,
        wallet: &PrivateKeySigner,
        device: &DeviceKey,
        name: &str,
    ) -> Value {
        let text = message.to_string();
        let body = json!({ "message": text, "signature": signed(wallet, &text), "name": name });
        Draft::new("identity@1", None, Stamp::from_ms(hub.now()), body).sign(device).unwrap()
    }

    /// Somebody with an account on this hub.
    pub(crate) async fn arrive(hub: &TestHub, seed: u8) -> Self {
        let (wallet, device) = Self::keys(seed);
        Self::arrive_with(hub, wallet, device).await
    }

    /// Somebody with this wallet.
    pub(crate) async fn arrive_with(hub: &TestHub, wallet: PrivateKeySigner, device: DeviceKey) -> Self {
        let message = message(hub, wallet.address(), &device).await;
        let record = Self::identity(hub, &message, &wallet, &device, "Somebody");
        let account = hub.say(&record).await;
        Self { wallet, device, account }
    }

    /// The wallet's account on the tests' chain.
    pub(crate) fn wallet_id(&self) -> AccountId {
        AccountId { chain: "eip155:31337".parse().unwrap(), address: self.wallet.address().into() }
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

    /// A session's token.
    pub(crate) async fn sign_in(&self, hub: &TestHub) -> String {
        let answer = hub.post("/v1/sessions", &self.session_request(hub).await).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["token"].as_str().unwrap().to_owned()
    }
}
