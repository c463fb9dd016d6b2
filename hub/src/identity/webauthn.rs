//! What an authenticator, and the browser before it, says (WebAuthn levels 2 and 3): read, and held against what was asked. Needs
//! no server.
//!
//! There is no reader of CBOR here. All that is looked at in it is a new credential's public key, and that has one form: CTAP2's
//! canonical CBOR with no member that the key could do without (section 6.5.1). So it is compared, not read.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::passkey::{Passkey, PasskeyError};

/// What a browser calls the making of a passkey.
pub(super) const CREATE: &str = "webauthn.create";
/// What a browser calls the use of a passkey.
pub(super) const GET: &str = "webauthn.get";

/// The most characters of authenticator data and of client data, 2,048 bytes: a credential's id alone may have 1,023.
const PART_MAX: usize = 2_731;
/// The most characters of a signature, 72 bytes: ECDSA over P-256 in DER.
const SIGNATURE_MAX: usize = 96;
const CREDENTIAL_ID: std::ops::RangeInclusive<usize> = 1..=1_023;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const WITH_CREDENTIAL: u8 = 0x40;
const WITH_EXTENSIONS: u8 = 0x80;

/// COSE keys in CTAP2's canonical CBOR: {1: 2, 3: -7, -1: 1, -2: x, -3: y} (ES256) and {1: 1, 3: -8, -1: 6, -2: x} (EdDSA).
const ES256_X: [u8; 10] = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
const ES256_Y: [u8; 3] = [0x22, 0x58, 0x20];
const EDDSA_X: [u8; 10] = [0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];

/// The relying party's id of a hub: the host of its URL.
pub(super) fn rp_id(url: &str) -> String {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    authority.split(':').next().unwrap_or_default().to_ascii_lowercase()
}

/// A hub's origin as browsers write it: in small letters, without the port that its scheme means anyway.
fn origin(url: &str) -> String {
    let url = url.to_ascii_lowercase();
    let usual = if url.starts_with("https://") { ":443" } else { ":80" };
    url.strip_suffix(usual).unwrap_or(&url).to_owned()
}

/// The challenge by which a passkey says something: the statement's SHA-256 in base64url without padding.
pub fn challenge(statement: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(statement))
}

fn malformed(field: &'static str, detail: impl Into<String>) -> PasskeyError {
    PasskeyError { rule: "passkey_form", field, detail: detail.into() }
}

fn bytes(field: &'static str, text: &str, max: usize) -> Result<Vec<u8>, PasskeyError> {
    let short = Some(text).filter(|text| text.len() <= max);
    short.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(|| {
        malformed(field, format!("must be base64url without padding, at most {max} characters"))
    })
}

/// A signature's bytes.
pub(super) fn signature(text: &str) -> Result<Vec<u8>, PasskeyError> {
    bytes("signature", text, SIGNATURE_MAX)
}

/// How authenticator data begin (section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    /// SHA-256 of the relying party's id.
    rp: [u8; 32],
    flags: u8,
    sign_count: u32,
}

/// What the browser says of the ceremony (section 5.8.1). It may say more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    ceremony: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: Option<bool>,
}

/// What was said in one ceremony, whose form has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    head: Head,
    client: ClientData,
    /// What an authenticator signs: its data, then the SHA-256 of the browser's (section 6.3.3).
    signed: Vec<u8>,
}

impl Said {
    /// Of a new credential, with its key and its id as browsers write it: in base64url without padding.
    pub(super) fn made(
        authenticator_data: &str,
        client_data: &str,
    ) -> Result<(Self, Passkey, String), PasskeyError> {
        let (said, rest) = Self::read(authenticator_data, client_data)?;
        let (key, id) = credential(said.head.flags, &rest).ok_or_else(|| {
            let told = "must end with a new credential whose key is of ES256 (P-256) or EdDSA (Ed25519)";
            malformed("authenticator_data", told)
        })?;
        Ok((said, key, URL_SAFE_NO_PAD.encode(id)))
    }

    /// Of a credential that was there.
    pub(super) fn used(authenticator_data: &str, client_data: &str) -> Result<Self, PasskeyError> {
        let (said, rest) = Self::read(authenticator_data, client_data)?;
        let more = said.head.flags & (WITH_CREDENTIAL | WITH_EXTENSIONS) != 0;
        if rest.is_empty() == more {
            return Err(malformed("authenticator_data", "must have what its flags tell of, and no more"));
        }
        Ok(said)
    }

    fn read(authenticator_data: &str, client_data: &str) -> Result<(Self, Vec<u8>), PasskeyError> {
        let mut signed = bytes("authenticator_data", authenticator_data, PART_MAX)?;
        let client_data = bytes("client_data", client_data, PART_MAX)?;
        let client: ClientData = serde_json::from_slice(&client_data)
            .map_err(|error| malformed("client_data", format!("is not the browser's: {error}")))?;
        let (head, rest) =
            head(&signed).ok_or_else(|| malformed("authenticator_data", "must have at least 37 bytes"))?;
        let rest = rest.to_vec();
        signed.extend_from_slice(&Sha256::digest(&client_data));
        Ok((Self { head, client, signed }, rest))
    }

    /// How often the authenticator says that it has signed; 0 of one that does not count.
    pub(super) const fn sign_count(&self) -> u32 {
        self.head.sign_count
    }

    /// Whether it is what was asked for: this ceremony about this statement, at the hub with this URL, by a person who was there
    /// and was known.
    pub(super) fn meets(&self, ceremony: &str, statement: &str, url: &str) -> Result<(), PasskeyError> {
        let refuse = |rule, field, detail| Err(PasskeyError { rule, field, detail });
        let ClientData { ceremony: came, challenge: answered, origin: from, cross_origin } = &self.client;
        if came != ceremony {
            return refuse("passkey_type", "client_data", format!("type `{came:.40}` must be {ceremony}"));
        }
        let asked = challenge(statement);
        if *answered != asked {
            let told =
                format!("challenge `{answered:.60}` must be {asked}, which is the SHA-256 of: {statement}");
            return refuse("passkey_challenge", "client_data", told);
        }
        let ours = origin(url);
        if *from != ours || *cross_origin == Some(true) {
            let told = format!("origin `{from:.100}` must be {ours}, and no page within one of another");
            return refuse("passkey_origin", "client_data", told);
        }
        let host = rp_id(url);
        let rp: [u8; 32] = Sha256::digest(&host).into();
        if self.head.rp != rp {
            return refuse("passkey_rp", "authenticator_data", format!("must be for {host}, as its rp.id"));
        }
        let flags = self.head.flags;
        if flags & USER_PRESENT == 0 || flags & USER_VERIFIED == 0 {
            let told = format!("flags 0x{flags:02x}: the person must be present (0x01) and verified (0x04)");
            return refuse("passkey_user", "authenticator_data", told);
        }
        if flags & BACKED_UP != 0 && flags & BACKUP_ELIGIBLE == 0 {
            let told = format!("flags 0x{flags:02x}: backed up (0x10) without being made for it (0x08)");
            return refuse("passkey_backup", "authenticator_data", told);
        }
        Ok(())
    }

    /// Whether the passkey has signed it.
    pub(super) fn is_signed(&self, passkey: &Passkey, signature: &[u8]) -> bool {
        passkey.has_signed(&self.signed, signature)
    }
}

fn head(data: &[u8]) -> Option<(Head, &[u8])> {
    let (rp, rest) = data.split_first_chunk::<32>()?;
    let (flags, rest) = rest.split_first()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    Some((Head { rp: *rp, flags: *flags, sign_count: u32::from_be_bytes(*count) }, rest))
}

/// The key and the id of a new credential: the authenticator's model, the length of the credential's id, the id, the key; after that extensions,
/// where the flags say so, and nothing else.
fn credential(flags: u8, rest: &[u8]) -> Option<(Passkey, &[u8])> {
    let (_model, rest) = rest.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (id, rest) = rest.split_at_checked(length).filter(|_| CREDENTIAL_ID.contains(&length))?;
    let (key, rest) = cose_key(rest)?;
    let extended = flags & WITH_EXTENSIONS != 0;
    (flags & WITH_CREDENTIAL != 0 && rest.is_empty() != extended).then_some((key, id))
}

fn cose_key(bytes: &[u8]) -> Option<(Passkey, &[u8])> {
    if let Some(rest) = bytes.strip_prefix(&ES256_X) {
        let (x, rest) = rest.split_first_chunk::<32>()?;
        let (y, rest) = rest.strip_prefix(&ES256_Y)?.split_first_chunk::<32>()?;
        return Some((Passkey::p256(x, y)?, rest));
    }
    let (key, rest) = bytes.strip_prefix(&EDDSA_X)?.split_first_chunk::<32>()?;
    Some((Passkey::ed25519(*key)?, rest))
}
