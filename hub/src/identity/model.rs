//! Bodies of the identity records and of the session request; needs no server.

use protocol::chain::AccountId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::siwx::{SignIn, SignInError};
use crate::{
    error::Refusal,
    records::{Device, DeviceKey, ProofError, RecordId, Stamp, proof},
};

/// The most bytes of a wallet's signature: contract wallets of many owners concatenate theirs.
pub(crate) const SIGNATURE_MAX: usize = 4096;
const NAME_MAX: usize = 80;

/// `hub@1`: the hub's own account begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubBody {
    /// The hub's did:web at that time.
    pub did: String,
}

/// `identity@1`: a wallet authorises the device that signs the record. The first begins an account; a later one, with
/// the account as author, adds another wallet to it and sets the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityBody {
    /// The CAIP-122 message (EIP-4361, or Sign In With Solana); its resources hold the device's did:key.
    pub message: String,
    /// The wallet's signature of the message, 0x-hexadecimal: EIP-191, or whatever its ERC-1271 contract accepts; on Solana
    /// the 64 bytes of Ed25519.
    pub signature: String,
    /// What the account is called, 1 to 80 characters on one line.
    pub name: String,
}

/// A wallet's word for a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletAuthorisation {
    /// As in [`IdentityBody`].
    pub message: String,
    /// As in [`IdentityBody`].
    pub signature: String,
}

/// `device@1`: signed by an authorised device of the account, or by the very device that the wallet authorises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DeviceBody {
    /// A wallet of the account authorises another device, or one that was revoked.
    Add(WalletAuthorisation),
    /// The device may not speak for the account any more.
    Revoke(Device),
}

/// A message and signature whose form has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorisation {
    pub text: String,
    pub message: SignIn,
    pub signature: Vec<u8>,
    pub device: Device,
}

impl Authorisation {
    pub(crate) fn read(message: &str, signature: &str, within: &str) -> Result<Self, Refusal> {
        let told =
            |error: SignInError| Refusal::schema(error.rule, format!("{within}/message"), error.to_string());
        let parsed: SignIn = message.parse().map_err(told)?;
        let device = parsed.device().map_err(told)?;
        let bytes = signature
            .strip_prefix("0x")
            .filter(|digits| digits.len() <= SIGNATURE_MAX.saturating_mul(2))
            .and_then(|digits| hex::decode(digits).ok())
            .ok_or_else(|| {
                Refusal::schema(
                    "signature_form",
                    format!("{within}/signature"),
                    format!("must be 0x and hexadecimal digits of at most {SIGNATURE_MAX} bytes"),
                )
            })?;
        Ok(Self { text: message.to_owned(), message: parsed, signature: bytes, device })
    }

    pub(crate) const fn wallet(&self) -> AccountId {
        self.message.wallet
    }
}

/// One line of 1 to 80 characters, none of them a control character, not beginning or ending in space.
pub(crate) fn check_name(name: &str, field: &str) -> Result<(), Refusal> {
    let length = name.chars().count();
    if length == 0 || length > NAME_MAX || name.trim() != name || name.chars().any(char::is_control) {
        return Err(Refusal::schema(
            "name",
            field,
            format!("must be one line of 1 to {NAME_MAX} characters without space at either end"),
        ));
    }
    Ok(())
}

/// The body of `POST /v1/sessions`, signed by the device; `nonce` and `domain` from `GET /v1/sign-in/nonce`.
///
/// # Errors
/// None that input can cause.
pub fn session_request(
    account: &RecordId,
    domain: &str,
    nonce: &str,
    key: &DeviceKey,
    created: Stamp,
) -> Result<Value, ProofError> {
    let document = json!({ "account": account, "domain": domain, "nonce": nonce });
    proof::sign(document, key, proof::AUTHENTICATION, created)
}
