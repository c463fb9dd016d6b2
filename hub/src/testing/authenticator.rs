//! An authenticator in software, with the browser before it: the bytes that WebAuthn has them make (level 3, sections 5.8.1, 6.1 and
//! 6.5.1). It does as it is told, also what is wrong.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Person, TestHub, says};
use crate::{
    identity::{Passkey, creation_statement, device_statement, passkey_challenge, passkey_statement},
    records::DeviceKey,
};

/// User present, user verified.
pub(crate) const BOTH: u8 = 0x05;
const WITH_CREDENTIAL: u8 = 0x40;

enum Key {
    P256(EcdsaKeyPair),
    Ed25519(SigningKey),
}

/// A passkey, and what is said with it: tests change it.
pub(crate) struct Authenticator {
    key: Key,
    /// The relying party's id.
    pub rp_id: String,
    pub origin: String,
    pub cross_origin: bool,
    /// But the one for a new credential.
    pub flags: u8,
    pub sign_count: u32,
    pub credential: Vec<u8>,
    /// What follows the head, and the new credential where there is one.
    pub extensions: Vec<u8>,
}

pub(crate) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Authenticator {
    fn with(key: Key, url: &str) -> Self {
        let host = url.split("://").nth(1).unwrap().split(':').next().unwrap();
        Self {
            key,
            rp_id: host.to_owned(),
            origin: url.to_owned(),
            cross_origin: false,
            flags: BOTH,
            sign_count: 0,
            credential: vec![7; 32],
            extensions: Vec::new(),
        }
    }

    /// A new passkey of ES256 for the hub with this URL.
    pub(crate) fn p256(url: &str) -> Self {
        Self::with(Key::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()), url)
    }

    /// A passkey of EdDSA for the hub with this URL.
    pub(crate) fn ed25519(url: &str, seed: u8) -> Self {
        Self::with(Key::Ed25519(SigningKey::from_bytes(&[seed; 32])), url)
    }

    /// Its name, made of the key without the hub's code.
    pub(crate) fn did(&self) -> String {
        let bytes = match &self.key {
            Key::P256(pair) => {
                let whole: &[u8] = pair.public_key().as_ref();
                let sign = if whole[64].is_multiple_of(2) { 2 } else { 3 };
                [&[0x80_u8, 0x24, sign][..], &whole[1..33]].concat()
            }
            Key::Ed25519(key) => [&[0xed_u8, 0x01][..], key.verifying_key().as_bytes()].concat(),
        };
        format!("did:key:z{}", bs58::encode(bytes).into_string())
    }

    pub(crate) fn passkey(&self) -> Passkey {
        self.did().parse().unwrap()
    }

    /// The public key as COSE writes it, in canonical CBOR.
    fn cose(&self) -> Vec<u8> {
        match &self.key {
            Key::P256(pair) => {
                let whole: &[u8] = pair.public_key().as_ref();
                let head: [u8; 10] = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
                [&head[..], &whole[1..33], &[0x22_u8, 0x58, 0x20], &whole[33..]].concat()
            }
            Key::Ed25519(key) => {
                let head: [u8; 10] = [0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];
                [&head[..], key.verifying_key().as_bytes()].concat()
            }
        }
    }

    /// The authenticator's data: with a new credential, or of one that was there.
    pub(crate) fn data(&self, new: bool) -> Vec<u8> {
        let flags = if new { self.flags | WITH_CREDENTIAL } else { self.flags };
        let mut data = Sha256::digest(&self.rp_id).to_vec();
        data.push(flags);
        data.extend(self.sign_count.to_be_bytes());
        if new {
            data.extend([0_u8; 16]);
            data.extend(u16::try_from(self.credential.len()).unwrap().to_be_bytes());
            data.extend(&self.credential);
            data.extend(self.cose());
        }
        data.extend(&self.extensions);
        data
    }

    /// The browser's data.
    pub(crate) fn client(&self, ceremony: &str, statement: &str) -> String {
        json!({
            "type": ceremony, "challenge": passkey_challenge(statement), "origin": self.origin,
            "crossOrigin": self.cross_origin, "other_keys_can_be_added_here": "do not compare",
        })
        .to_string()
    }

    /// The signature of these data.
    pub(crate) fn signature(&self, data: &[u8], client: &str) -> Vec<u8> {
        let hash: [u8; 32] = Sha256::digest(client).into();
        let message = [data, hash.as_slice()].concat();
        match &self.key {
            Key::P256(pair) => pair.sign(&SystemRandom::new(), &message).unwrap().as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(&message).to_bytes().to_vec(),
        }
    }

    /// What `add_by_passkey` of a `device@1` says under a nonce.
    pub(crate) fn word(&self, device: &DeviceKey, nonce: &str) -> Value {
        let client = self.client("webauthn.get", &device_statement(&device.device(), nonce));
        let data = self.data(false);
        json!({
            "passkey": self.did(), "device": device.device(), "nonce": nonce,
            "authenticator_data": encoded(&data), "client_data": encoded(&client),
            "signature": encoded(self.signature(&data, &client)),
        })
    }

    /// The body of a `device@1` by which this passkey lets a device speak.
    pub(crate) async fn brings(&self, hub: &TestHub, device: &DeviceKey) -> Value {
        json!({ "add_by_passkey": self.word(device, &nonce(hub).await) })
    }

    /// The body of a `passkey@1` by which it joins the person's account.
    pub(crate) async fn joins(&self, hub: &TestHub, person: &Person) -> Value {
        let nonce = nonce(hub).await;
        let client = self.client("webauthn.create", &creation_statement(&person.account, &nonce));
        let by = says(hub, &person.wallet, passkey_statement(&person.account, &self.passkey())).await;
        json!({ "add": {
            "nonce": nonce, "authenticator_data": encoded(self.data(true)), "client_data": encoded(client), "by": by,
        } })
    }
}

/// A fresh nonce of the hub.
pub(crate) async fn nonce(hub: &TestHub) -> String {
    hub.get("/v1/sign-in/nonce").await.body["nonce"].as_str().unwrap().to_owned()
}
