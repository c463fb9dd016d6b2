//! The keys that sign records: Ed25519, named by `did:key` (W3C CCG did:key, section 3.1).

use std::{fmt, str::FromStr};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DID_KEY: &str = "did:key:";
/// Multicodec `ed25519-pub` as a varint.
const ED25519_PUB: [u8; 2] = [0xed, 0x01];

/// Why a text names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a did:key of an Ed25519 key: {rule}")]
pub struct KeyError {
    /// The text as given, cut to 100 characters.
    pub value: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

/// A device by its public key; written `did:key:z6Mk…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Device([u8; 32]);

impl Device {
    /// The device with this public key; none where nobody could sign with it alone.
    pub(crate) fn of_key(key: [u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(&key).is_ok_and(|point| !point.is_weak()).then_some(Self(key))
    }

    /// The key as multibase base58btc of its multicodec form: what follows `did:key:`.
    pub fn multibase(&self) -> String {
        let mut bytes = Vec::with_capacity(34);
        bytes.extend(ED25519_PUB);
        bytes.extend(self.0);
        format!("z{}", bs58::encode(bytes).into_string())
    }

    /// The key's own name within its DID document: `did:key:z6Mk…#z6Mk…`.
    pub fn verification_method(&self) -> String {
        format!("{self}#{}", self.multibase())
    }

    /// The device of a `did:key:z6Mk…#z6Mk…`.
    ///
    /// # Errors
    /// The DID is no Ed25519 did:key, or the fragment is not its own key.
    pub fn of_verification_method(method: &str) -> Result<Self, KeyError> {
        let (did, fragment) = method.split_once('#').unwrap_or((method, ""));
        let device: Self = did.parse()?;
        if device.multibase() == fragment {
            Ok(device)
        } else {
            Err(KeyError {
                value: method.chars().take(200).collect(),
                rule: "the fragment must repeat the key after #",
            })
        }
    }

    /// Whether the signature is this device's: strict verification, one valid form for each signature.
    pub fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DID_KEY}{}", self.multibase())
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Device {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let refuse = |rule| KeyError { value: text.chars().take(100).collect(), rule };
        let multibase = text.strip_prefix(DID_KEY).ok_or_else(|| refuse("it must begin with did:key:"))?;
        let base58 = multibase.strip_prefix('z').ok_or_else(|| refuse("the key must be base58btc (z…)"))?;
        if base58.len() > 60 {
            return Err(refuse("the key is too long"));
        }
        let bytes = bs58::decode(base58).into_vec().map_err(|_| refuse("the key must be base58btc (z…)"))?;
        let key: [u8; 32] = bytes
            .strip_prefix(&ED25519_PUB)
            .and_then(|key| key.try_into().ok())
            .ok_or_else(|| refuse("the key must be an Ed25519 public key (z6Mk…)"))?;
        Self::of_key(key).ok_or_else(|| refuse("the bytes are not a usable Ed25519 public key"))
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A device's secret key. Never printed.
#[derive(Clone)]
pub struct DeviceKey(SigningKey);

impl DeviceKey {
    /// From the 32 secret bytes of RFC 8032, section 5.1.5.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The 32 secret bytes, to be kept where only the owner reads.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The device that this key signs for.
    pub fn device(&self) -> Device {
        Device(self.0.verifying_key().to_bytes())
    }

    /// Signs the bytes as they are (Ed25519, deterministic).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({})", self.device())
    }
}
