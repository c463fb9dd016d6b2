//! Data Integrity proofs with the cryptosuite `eddsa-jcs-2022` (W3C Data Integrity EdDSA Cryptosuites v1.0, section 3.3).
//!
//! The one place where JSON documents are signed and checked: records, session challenges, credentials. Needs no server.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    device::{Device, DeviceKey},
    stamp::Stamp,
};

/// The one cryptosuite that is made and accepted.
pub const CRYPTOSUITE: &str = "eddsa-jcs-2022";
/// The purpose of proofs that state something: records, credentials.
pub const ASSERTION: &str = "assertionMethod";
/// The purpose of proofs that show who is there: session challenges.
pub const AUTHENTICATION: &str = "authentication";

/// What a proof may say besides `proofValue`. Others, such as `expires` or `domain`, narrow what it is good for, and are taken
/// by [`verify_narrow`] alone.
const OPTIONS: [&str; 6] =
    ["@context", "type", "cryptosuite", "created", "verificationMethod", "proofPurpose"];

/// Why a document's proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The document or its proof is not of the form that the suite fixes.
    #[error("{field}: {rule}")]
    Malformed {
        /// The member at fault, as a JSON pointer.
        field: &'static str,
        /// The rule it breaks.
        rule: String,
    },
    /// Everything is in its place and the signature is not of this key over this document.
    #[error("the signature of {method} does not match the document")]
    Mismatch {
        /// The verification method that the proof names.
        method: String,
    },
}

fn malformed(field: &'static str, rule: impl Into<String>) -> ProofError {
    ProofError::Malformed { field, rule: rule.into() }
}

/// The JSON canonicalisation scheme (RFC 8785).
///
/// # Errors
/// A number that no double holds.
pub fn canonical(value: &Value) -> Result<Vec<u8>, ProofError> {
    serde_json_canonicalizer::to_vec(value)
        .map_err(|error| malformed("", format!("no canonical form: {error}")))
}

/// What is signed: the hash of the proof's options, then the hash of the document (section 3.3.4).
fn hash_data(document: &Value, options: &Value) -> Result<[u8; 64], ProofError> {
    let mut data = [0; 64];
    let (first, second) = data.split_at_mut(32);
    first.copy_from_slice(&Sha256::digest(canonical(options)?));
    second.copy_from_slice(&Sha256::digest(canonical(document)?));
    Ok(data)
}

/// Signs a document as the device that `key` belongs to; the answer is the document with its `proof`.
///
/// # Errors
/// The document is not an object, or already carries a proof.
pub fn sign(document: Value, key: &DeviceKey, purpose: &str, created: Stamp) -> Result<Value, ProofError> {
    let method = key.device().verification_method();
    sign_as(document, key, &method, purpose, created)
}

/// Signs a document under a verification method of another DID that names the same key, such as the hub's did:web.
///
/// # Errors
/// As [`sign`].
pub fn sign_as(
    document: Value,
    key: &DeviceKey,
    method: &str,
    purpose: &str,
    created: Stamp,
) -> Result<Value, ProofError> {
    sign_narrow(document, key, method, purpose, created, &[])
}

/// Signs a document for one use alone: `narrow` are further members of the proof, such as `challenge` and `domain`.
///
/// # Errors
/// As [`sign`].
pub fn sign_narrow(
    document: Value,
    key: &DeviceKey,
    method: &str,
    purpose: &str,
    created: Stamp,
    narrow: &[(&str, &str)],
) -> Result<Value, ProofError> {
    let Value::Object(mut members) = document else {
        return Err(malformed("", "only a JSON object can carry a proof"));
    };
    if members.contains_key("proof") {
        return Err(malformed("/proof", "the document already carries a proof"));
    }
    let mut options = Map::new();
    if let Some(context) = members.get("@context") {
        options.insert("@context".to_owned(), context.clone());
    }
    for (name, value) in [
        ("type", "DataIntegrityProof"),
        ("cryptosuite", CRYPTOSUITE),
        ("verificationMethod", method),
        ("proofPurpose", purpose),
    ] {
        options.insert(name.to_owned(), value.into());
    }
    options.insert("created".to_owned(), created.to_string().into());
    for (name, value) in narrow {
        options.insert((*name).to_owned(), (*value).into());
    }
    let unsecured = Value::Object(members.clone());
    let signature = key.sign(&hash_data(&unsecured, &Value::Object(options.clone()))?);
    options.insert("proofValue".to_owned(), format!("z{}", bs58::encode(signature).into_string()).into());
    members.insert("proof".to_owned(), Value::Object(options));
    Ok(Value::Object(members))
}

/// Verifies a document signed by a did:key, and says by which.
///
/// # Errors
/// The form is not the suite's, the purpose is another, the verification method is no Ed25519 did:key, or the
/// signature does not match.
pub fn verify(document: &Value, purpose: &str) -> Result<Device, ProofError> {
    verify_with(document, purpose, |method| Device::of_verification_method(method).map_err(|e| e.to_string()))
}

/// Verifies a document whose verification method `resolve` turns into a key, and says by which.
///
/// # Errors
/// As [`verify`]; `resolve`'s own words where it refuses.
pub fn verify_with(
    document: &Value,
    purpose: &str,
    resolve: impl FnOnce(&str) -> Result<Device, String>,
) -> Result<Device, ProofError> {
    verify_narrow(document, purpose, &[], resolve)
}

/// Verifies a document that was signed for one use alone: the proof must have each of the members `narrow`, with this value.
///
/// # Errors
/// As [`verify`].
pub fn verify_narrow(
    document: &Value,
    purpose: &str,
    narrow: &[(&str, &str)],
    resolve: impl FnOnce(&str) -> Result<Device, String>,
) -> Result<Device, ProofError> {
    let mut unsecured =
        document.as_object().cloned().ok_or_else(|| malformed("", "only a JSON object can carry a proof"))?;
    let Some(Value::Object(mut options)) = unsecured.remove("proof") else {
        return Err(malformed("/proof", "one proof object is required"));
    };
    let Some(Value::String(value)) = options.remove("proofValue") else {
        return Err(malformed("/proof/proofValue", "a string is required"));
    };
    let text = |name: &str| options.get(name).and_then(Value::as_str);
    if text("type") != Some("DataIntegrityProof") {
        return Err(malformed("/proof/type", "must be DataIntegrityProof"));
    }
    if text("cryptosuite") != Some(CRYPTOSUITE) {
        return Err(malformed("/proof/cryptosuite", format!("must be {CRYPTOSUITE}")));
    }
    if text("proofPurpose") != Some(purpose) {
        return Err(malformed("/proof/proofPurpose", format!("must be {purpose}")));
    }
    for (name, value) in narrow {
        if text(name) != Some(value) {
            return Err(malformed("/proof", format!("must have the member `{name}` with `{value:.300}`")));
        }
    }
    let is_known = |name: &str| OPTIONS.contains(&name) || narrow.iter().any(|(known, _)| *known == name);
    if let Some(name) = options.keys().find(|name| !is_known(name)) {
        return Err(malformed("/proof", format!("may not have the member `{name:.40}`")));
    }
    if let Some(created) = options.get("created")
        && created.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).is_none()
    {
        return Err(malformed("/proof/created", "must be an RFC 3339 time"));
    }
    let method = text("verificationMethod")
        .ok_or_else(|| malformed("/proof/verificationMethod", "a string is required"))?
        .to_owned();
    if let Some(context) = options.get("@context") {
        if !begins_with(unsecured.get("@context"), context) {
            return Err(malformed("/proof/@context", "the document's @context must begin with the proof's"));
        }
        unsecured.insert("@context".to_owned(), context.clone());
    }
    let device = resolve(&method).map_err(|rule| malformed("/proof/verificationMethod", rule))?;
    let signature = signature(&value)?;
    let data = hash_data(&Value::Object(unsecured), &Value::Object(options))?;
    if device.has_signed(&data, &signature) { Ok(device) } else { Err(ProofError::Mismatch { method }) }
}

/// Section 3.3.2, step 4: all of the proof's contexts, in order, at the start of the document's.
fn begins_with(document: Option<&Value>, proof: &Value) -> bool {
    let list = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    };
    document.is_some_and(|document| list(document).starts_with(&list(proof)))
}

fn signature(value: &str) -> Result<[u8; 64], ProofError> {
    let refuse = || malformed("/proof/proofValue", "must be multibase base58btc (z…) of 64 bytes");
    let base58 = value.strip_prefix('z').filter(|text| text.len() <= 100).ok_or_else(refuse)?;
    bs58::decode(base58).into_vec().ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(refuse)
}
