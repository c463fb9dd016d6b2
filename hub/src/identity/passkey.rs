//! Passkeys (WebAuthn): their names, and what they and the wallets of their account say in records. Needs no server.
//!
//! A passkey is named by the did:key of its public key, and signs over the SHA-256 of a statement that names the device and a nonce. So
//! a record says all that is needed to hold the passkey's word against it, whenever it is read.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::{
    model::WalletAuthorisation,
    webauthn::{self, Said},
};
use crate::{
    error::Refusal,
    records::{Device, RecordId, text},
};

const DID_KEY: &str = "did:key:z";
/// Multicodec `p256-pub` as a varint; the key is a compressed point.
const P256_PUB: [u8; 2] = [0x80, 0x24];
const NONCE_MAX: usize = 64;

/// Why something is not a passkey, or not its word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("passkey, {field}: {detail}")]
pub struct PasskeyError {
    /// The rule's name.
    pub rule: &'static str,
    /// The member at fault.
    pub field: &'static str,
    /// The value and the rule in words.
    pub detail: String,
}

/// A passkey by its public key; written `did:key:zDn…` (P-256) or `did:key:z6Mk…` (Ed25519).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Passkey(Key);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    /// A point of the curve, compressed (SEC 1, section 2.3.3).
    P256([u8; 33]),
    Ed25519(Device),
}

impl Passkey {
    /// The key with these coordinates; none where they are no point of the curve.
    pub(super) fn p256(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let whole = [[4_u8].as_slice(), x.as_slice(), y.as_slice()].concat();
        let mut point = [0_u8; 33];
        let (sign, rest) = point.split_first_mut()?;
        *sign = 2 | (y.last()? & 1);
        rest.copy_from_slice(x);
        is_point(&whole).then_some(Self(Key::P256(point)))
    }

    pub(super) fn ed25519(key: [u8; 32]) -> Option<Self> {
        Device::of_key(key).map(|key| Self(Key::Ed25519(key)))
    }

    /// Whether the signature is this passkey's: ECDSA with SHA-256 in DER, or Ed25519.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Key::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).is_ok()
            }
            Key::Ed25519(key) => {
                <&[u8; 64]>::try_from(signature).is_ok_and(|signature| key.has_signed(message, signature))
            }
        }
    }
}

fn is_point(bytes: &[u8]) -> bool {
    ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, bytes).is_ok()
}

impl fmt::Display for Passkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Key::P256(point) => {
                let bytes = [P256_PUB.as_slice(), point.as_slice()].concat();
                write!(f, "{DID_KEY}{}", bs58::encode(bytes).into_string())
            }
            Key::Ed25519(key) => fmt::Display::fmt(key, f),
        }
    }
}

impl fmt::Debug for Passkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Passkey {
    type Err = PasskeyError;

    fn from_str(text: &str) -> Result<Self, PasskeyError> {
        if let Ok(key) = text.parse::<Device>() {
            return Ok(Self(Key::Ed25519(key)));
        }
        let point: Option<[u8; 33]> = text
            .strip_prefix(DID_KEY)
            .filter(|base58| base58.len() <= 60)
            .and_then(|base58| bs58::decode(base58).into_vec().ok())
            .and_then(|bytes| bytes.strip_prefix(&P256_PUB)?.try_into().ok());
        // Whatever else may name a point: a compressed one begins with 2 or 3.
        point
            .filter(|point| matches!(point.first(), Some(2 | 3)) && is_point(point))
            .map(|point| Self(Key::P256(point)))
            .ok_or_else(|| PasskeyError {
                rule: "passkey_form",
                field: "passkey",
                detail: format!("`{text:.100}` must be a did:key of a P-256 or Ed25519 key"),
            })
    }
}

text!(Passkey);

/// `passkey@1`: by whose word devices speak besides that of wallets. Signed by an authorised device; wallets say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PasskeyBody {
    /// A passkey joins, and stands by the word of a wallet. It was made under the challenge of [`creation_statement`].
    Add {
        /// From `GET /v1/sign-in/nonce`, another one than the wallet's.
        nonce: String,
        /// What `getAuthenticatorData()` of the browser's answer gave, base64url without padding: it holds the public key.
        authenticator_data: String,
        /// `clientDataJSON` of that answer, base64url without padding.
        client_data: String,
        /// A message of a wallet of the account, whose statement is [`passkey_statement`].
        by: WalletAuthorisation,
    },
    /// A passkey goes, and the devices that stand by its word are silent; of those the one that signs the record stands by the
    /// wallet's from then on.
    Revoke {
        /// Which.
        passkey: Passkey,
        /// A message of a wallet of the account, whose statement is [`revoke_passkey_statement`].
        by: WalletAuthorisation,
    },
}

/// A passkey's word for a device: what it signed under the challenge of [`device_statement`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasskeyWord {
    /// Whose word it is.
    pub passkey: Passkey,
    /// The device that is to speak.
    pub device: Device,
    /// From `GET /v1/sign-in/nonce`.
    pub nonce: String,
    /// `authenticatorData` of the browser's answer, base64url without padding.
    pub authenticator_data: String,
    /// `clientDataJSON` of that answer, base64url without padding.
    pub client_data: String,
    /// `signature` of that answer, base64url without padding: ECDSA in DER, or the 64 bytes of Ed25519.
    pub signature: String,
}

impl PasskeyWord {
    /// Whether the passkey has said this at the hub with this URL. Asks nobody: whoever has the record can.
    ///
    /// # Errors
    /// The form is wrong; it is for another device, nonce or hub; nobody was there; or the signature is not the passkey's.
    pub fn verify(&self, url: &str) -> Result<(), PasskeyError> {
        Spoken::read(self)?.verify(url)
    }
}

/// What a passkey is made for; its SHA-256 is the challenge.
pub fn creation_statement(account: &RecordId, nonce: &str) -> String {
    format!("Make a passkey for my account {account} on Earnest. Nonce: {nonce}")
}

/// What a passkey says so that a device speaks for its account; its SHA-256 is the challenge.
pub fn device_statement(device: &Device, nonce: &str) -> String {
    format!("Let the device {device} speak for me on Earnest. Nonce: {nonce}")
}

/// What a wallet of an account says so that a passkey joins it.
pub fn passkey_statement(account: &RecordId, passkey: &Passkey) -> String {
    format!("Let the passkey {passkey} bring devices to my account {account} on Earnest.")
}

/// What a wallet of an account says so that a passkey leaves it.
pub fn revoke_passkey_statement(account: &RecordId, passkey: &Passkey) -> String {
    format!("Take the passkey {passkey} away from my account {account} on Earnest.")
}

/// What a passkey says in a record, whose form has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    pub passkey: Passkey,
    /// The device that is to speak; none of a new passkey.
    pub device: Option<Device>,
    pub nonce: String,
    /// The id that browsers know a new passkey by.
    pub credential: Option<String>,
    said: Said,
    statement: String,
    /// None of a new passkey, which has signed nothing.
    signature: Option<Vec<u8>>,
}

impl Spoken {
    /// Of a passkey that joins.
    pub(super) fn new(
        account: &RecordId,
        nonce: String,
        authenticator_data: &str,
        client_data: &str,
    ) -> Result<Self, PasskeyError> {
        check_nonce(&nonce)?;
        let (said, passkey, credential) = Said::made(authenticator_data, client_data)?;
        let statement = creation_statement(account, &nonce);
        let credential = Some(credential);
        Ok(Self { passkey, device: None, nonce, credential, said, statement, signature: None })
    }

    /// Of a passkey that lets a device speak.
    pub(super) fn read(word: &PasskeyWord) -> Result<Self, PasskeyError> {
        check_nonce(&word.nonce)?;
        Ok(Self {
            passkey: word.passkey,
            device: Some(word.device),
            nonce: word.nonce.clone(),
            credential: None,
            said: Said::used(&word.authenticator_data, &word.client_data)?,
            statement: device_statement(&word.device, &word.nonce),
            signature: Some(webauthn::signature(&word.signature)?),
        })
    }

    /// How often the authenticator says that it has signed.
    pub(super) const fn sign_count(&self) -> u32 {
        self.said.sign_count()
    }

    /// See [`PasskeyWord::verify`].
    pub(super) fn verify(&self, url: &str) -> Result<(), PasskeyError> {
        let ceremony = if self.signature.is_some() { webauthn::GET } else { webauthn::CREATE };
        self.said.meets(ceremony, &self.statement, url)?;
        match &self.signature {
            Some(signature) if !self.said.is_signed(&self.passkey, signature) => Err(PasskeyError {
                rule: "passkey_signature",
                field: "signature",
                detail: format!("is not {}'s over these data", self.passkey),
            }),
            _ => Ok(()),
        }
    }
}

impl PasskeyError {
    /// The refusal of a form.
    pub(super) fn malformed(self, within: &str) -> Refusal {
        Refusal::schema(self.rule, format!("{within}/{}", self.field), self.detail)
    }

    /// The refusal of a word.
    pub(super) fn refused(self, within: &str) -> Refusal {
        Refusal::access(self.rule, format!("{within}/{}", self.field), self.detail)
    }
}

fn check_nonce(nonce: &str) -> Result<(), PasskeyError> {
    if nonce.len() <= NONCE_MAX && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let detail = format!("must be at most {NONCE_MAX} letters and digits, as GET /v1/sign-in/nonce gave it");
    Err(PasskeyError { rule: "passkey_form", field: "nonce", detail })
}
