//! The form that every credential here has (Verifiable Credentials Data Model 2.0) and the two ways to secure one: a Data
//! Integrity proof (`eddsa-jcs-2022`) in it, or a token around it (`vc+jwt`). Needs no server.
//!
//! Rooms that issue in the hub's name fill a [`Document`] and [`secure`] it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{jose, status::Entry};
use crate::{
    identity::WalletAuthorisation,
    records::{
        Device, DeviceKey, ProofError, Stamp,
        proof::{self, ASSERTION},
    },
};

/// The contexts of every credential, in this order. They are names, compared and never fetched; the second one maps
/// the members that are Earnest's own.
pub const CONTEXTS: [&str; 2] =
    ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/undefined-terms/v2"];
/// The first type of every credential.
pub const TYPE: &str = "VerifiableCredential";
/// The most bytes of a credential in canonical form, without its proof.
pub const SIZE_MAX: usize = 32 * 1024;
/// The most members of a subject.
const MEMBERS_MAX: usize = 32;

/// How a credential is secured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `eddsa-jcs-2022`: a JSON object with a `proof`.
    #[default]
    DataIntegrity,
    /// `vc+jwt`: a JSON string, the token.
    Jose,
}

/// Why something is no credential, or one that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A member is not as it must be.
    #[error("{field}: {rule}")]
    Form {
        /// The member, as a JSON pointer.
        field: &'static str,
        /// The rule that it breaks.
        rule: String,
    },
    /// The proof does not hold.
    #[error("proof: {0}")]
    Proof(#[from] ProofError),
    /// Signed by another than its issuer.
    #[error("issuer {issuer} did not sign it: {signer} did")]
    Issuer {
        /// As named.
        issuer: Device,
        /// As signed.
        signer: Device,
    },
    /// Not valid at this time.
    #[error("valid from {from} until {}: not at {now}", until.map_or_else(|| "any time".to_owned(), |until| until.to_string()))]
    Time {
        /// `validFrom`.
        from: Stamp,
        /// `validUntil`.
        until: Option<Stamp>,
        /// The time that was asked about.
        now: Stamp,
    },
}

impl Refusal {
    /// The refusal's name.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Form { .. } => "credential_form",
            Self::Proof(_) => "credential_proof",
            Self::Issuer { .. } => "credential_issuer",
            Self::Time { .. } => "credential_time",
        }
    }
}

fn malformed(field: &'static str, rule: impl Into<String>) -> Refusal {
    Refusal::Form { field, rule: rule.into() }
}

/// A credential without what secures it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// [`CONTEXTS`], or the first of them alone.
    #[serde(rename = "@context")]
    pub context: Vec<String>,
    /// Its own URL, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// [`TYPE`] and one more.
    #[serde(rename = "type")]
    pub types: Vec<String>,
    /// The device that signs.
    pub issuer: Device,
    /// From when on it holds.
    #[serde(rename = "validFrom")]
    pub valid_from: Stamp,
    /// Until when; none for ever.
    #[serde(default, rename = "validUntil", skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Stamp>,
    /// Whom it is about (`id`), and what it says.
    #[serde(rename = "credentialSubject")]
    pub subject: Map<String, Value>,
    /// Where to see whether it was revoked.
    #[serde(default, rename = "credentialStatus", skip_serializing_if = "Option::is_none")]
    pub status: Option<Entry>,
    /// Why the issuer's device may speak for a wallet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorisation: Option<WalletAuthorisation>,
}

impl Document {
    /// A credential of one more type than [`TYPE`].
    pub fn new(kind: &str, issuer: Device, valid_from: Stamp, subject: Map<String, Value>) -> Self {
        Self {
            context: CONTEXTS.map(str::to_owned).to_vec(),
            id: None,
            types: vec![TYPE.to_owned(), kind.to_owned()],
            issuer,
            valid_from,
            valid_until: None,
            subject,
            status: None,
            authorisation: None,
        }
    }

    /// Its type besides [`TYPE`].
    pub fn kind(&self) -> &str {
        self.types.get(1).map_or("", String::as_str)
    }

    /// Whom it is about; empty where it does not say.
    pub fn about(&self) -> &str {
        self.subject.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it is valid at this time.
    ///
    /// # Errors
    /// [`Refusal::Time`].
    pub fn at(&self, now: Stamp) -> Result<(), Refusal> {
        if self.valid_from <= now && self.valid_until.is_none_or(|until| now < until) {
            return Ok(());
        }
        Err(Refusal::Time { from: self.valid_from, until: self.valid_until, now })
    }

    /// Signs it.
    ///
    /// # Errors
    /// It has no canonical form.
    pub fn secure(&self, form: Form, key: &DeviceKey, now: Stamp) -> Result<Value, Refusal> {
        let unsecured = serde_json::to_value(self).map_err(|error| malformed("", error.to_string()))?;
        Ok(secure(unsecured, form, key, now)?)
    }
}

/// Signs a credential in this form.
///
/// # Errors
/// It is no JSON object without a proof, or has no canonical form.
pub fn secure(unsecured: Value, form: Form, key: &DeviceKey, now: Stamp) -> Result<Value, ProofError> {
    match form {
        Form::DataIntegrity => proof::sign(unsecured, key, ASSERTION, now),
        Form::Jose => {
            let method = key.device().verification_method();
            jose::sign(&unsecured, jose::CREDENTIAL, &method, key).map(Value::String)
        }
    }
}

/// What a credential says, without looking at its signature.
///
/// # Errors
/// Neither an object nor a token, or too large.
pub fn unsecured(secured: &Value) -> Result<Value, Refusal> {
    let unsecured = match secured {
        Value::String(token) => jose::Token::read(token, jose::CREDENTIAL)?.payload,
        Value::Object(members) => {
            let mut members = members.clone();
            members.remove("proof");
            Value::Object(members)
        }
        _ => {
            return Err(malformed(
                "",
                "must be a JSON object with a proof, or a token (vc+jwt) as a JSON string",
            ));
        }
    };
    if proof::canonical(&unsecured)?.len() > SIZE_MAX {
        return Err(malformed("", format!("a credential may have {SIZE_MAX} bytes")));
    }
    Ok(unsecured)
}

/// Verifies what secures a credential, and says whose key made it.
///
/// # Errors
/// The form is wrong or the signature does not hold.
pub fn signer(secured: &Value) -> Result<Device, ProofError> {
    match secured {
        Value::String(token) => Ok(jose::verify(token, jose::CREDENTIAL)?.1.device),
        object => proof::verify(object, ASSERTION),
    }
}

/// Whether an identifier is a URL, as the data model (section 4.4) asks: a scheme, and printable ASCII behind it.
fn is_url(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !rest.is_empty()
            && rest.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

/// Reads a credential of any kind and verifies that its issuer signed it. Says nothing of its time and status.
///
/// # Errors
/// The first thing that does not hold.
pub fn open(secured: &Value) -> Result<Document, Refusal> {
    let unsecured = unsecured(secured)?;
    let document = Document::deserialize(&unsecured).map_err(|error| malformed("", error.to_string()))?;
    if serde_json::to_value(&document).ok().as_ref() != Some(&unsecured) {
        return Err(malformed("", "a member is not written in its one form"));
    }
    if document.context.is_empty()
        || document.context.len() > CONTEXTS.len()
        || !CONTEXTS.iter().zip(&document.context).all(|(known, given)| known == given)
    {
        return Err(malformed("/@context", format!("must begin {CONTEXTS:?} and end there")));
    }
    match document.types.as_slice() {
        [general, special] if general == TYPE && (1..=100).contains(&special.len()) => {}
        _ => return Err(malformed("/type", format!("must be {TYPE} and one more"))),
    }
    if document.id.as_deref().is_some_and(|id| !is_url(id)) {
        return Err(malformed("/id", "must be a URL"));
    }
    if document.subject.len() > MEMBERS_MAX || !is_url(document.about()) {
        let rule = format!("must have a URL as its id and at most {MEMBERS_MAX} members");
        return Err(malformed("/credentialSubject", rule));
    }
    if let Some(entry) = &document.status {
        entry.check().map_err(|rule| malformed("/credentialStatus", rule))?;
    }
    let signer = signer(secured)?;
    if signer != document.issuer {
        return Err(Refusal::Issuer { issuer: document.issuer, signer });
    }
    Ok(document)
}
