//! Presentations: somebody shows credentials that are bound to a key, and signs with that key for this verifier
//! (`domain`) and this occasion (`challenge`). Needs no server.

use serde_json::{Map, Value, json};

use super::{
    jose::{self, Holder},
    vc::{self, CONTEXTS, Document, Form},
};
use crate::records::{
    DeviceKey, ProofError, Stamp,
    proof::{self, AUTHENTICATION},
};

/// The type of every presentation.
const TYPE: &str = "VerifiablePresentation";
/// The type of a credential that stands in a presentation as a token.
const ENVELOPED: &str = "EnvelopedVerifiableCredential";
/// What its id begins with.
const DATA: &str = "data:application/vc+jwt,";
/// The most credentials of a presentation.
pub const CREDENTIALS_MAX: usize = 16;
/// The most characters of a challenge and of a domain.
const ASKED_MAX: usize = 300;

/// What the verifier asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// What it drew for this occasion and takes once.
    pub challenge: &'a str,
    /// Itself.
    pub domain: &'a str,
}

/// A presentation that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Who presents.
    pub holder: Holder,
    /// What is shown, each signed by its issuer, in its time, and bound to the holder. Whether it was revoked is to be
    /// looked up.
    pub credentials: Vec<Document>,
}

/// Why a presentation does not hold.
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
    /// The holder's proof does not hold, or is for another verifier or occasion.
    #[error("proof: {0}")]
    Proof(#[from] ProofError),
    /// A credential does not hold.
    #[error("/verifiableCredential/{at}: {refusal}")]
    Credential {
        /// Which, from 0.
        at: usize,
        /// Why.
        refusal: vc::Refusal,
    },
    /// A credential is about somebody else.
    #[error("/verifiableCredential/{at}: it is bound to `{bound:.200}`, not to the holder")]
    NotTheHolder {
        /// Which, from 0.
        at: usize,
        /// To whom.
        bound: String,
    },
}

impl Refusal {
    /// The refusal's name.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Form { .. } => "presentation_form",
            Self::Proof(_) => "presentation_proof",
            Self::Credential { refusal, .. } => refusal.rule(),
            Self::NotTheHolder { .. } => "not_the_holder",
        }
    }

    /// The member at fault, as a JSON pointer into the presentation.
    pub fn field(&self) -> String {
        match self {
            Self::Form { field, .. } => (*field).to_owned(),
            Self::Proof(ProofError::Malformed { field, .. }) => (*field).to_owned(),
            Self::Proof(ProofError::Mismatch { .. }) => "/proof".to_owned(),
            Self::Credential { at, .. } | Self::NotTheHolder { at, .. } => {
                format!("/verifiableCredential/{at}")
            }
        }
    }
}

fn malformed(field: &'static str, rule: impl Into<String>) -> Refusal {
    Refusal::Form { field, rule: rule.into() }
}

/// Shows credentials (each in either form), signed by the holder's key for this verifier and occasion.
///
/// # Errors
/// Too many, or what cannot be signed.
pub fn present(
    credentials: &[Value],
    holder: &Holder,
    asked: Asked<'_>,
    form: Form,
    key: &DeviceKey,
    now: Stamp,
) -> Result<Value, Refusal> {
    if credentials.len() > CREDENTIALS_MAX {
        return Err(malformed("/verifiableCredential", format!("may have {CREDENTIALS_MAX} entries")));
    }
    let shown: Vec<Value> = credentials
        .iter()
        .map(|one| match one {
            Value::String(token) => {
                json!({ "@context": CONTEXTS[..1], "type": ENVELOPED, "id": format!("{DATA}{token}") })
            }
            object => object.clone(),
        })
        .collect();
    let mut document = json!({
        "@context": CONTEXTS, "type": [TYPE], "holder": holder.did, "verifiableCredential": shown,
    });
    Ok(match form {
        Form::DataIntegrity => {
            let narrow = [("challenge", asked.challenge), ("domain", asked.domain)];
            proof::sign_narrow(document, key, &holder.method(), AUTHENTICATION, now, &narrow)?
        }
        Form::Jose => {
            if let Some(members) = document.as_object_mut() {
                members.insert("nonce".to_owned(), asked.challenge.into());
                members.insert("aud".to_owned(), asked.domain.into());
            }
            jose::sign(&document, jose::PRESENTATION, &holder.method(), key).map(Value::String)?
        }
    })
}

/// Who signed a presentation for this verifier and occasion, and what it says.
fn opened(presented: &Value, asked: Asked<'_>) -> Result<(Holder, Map<String, Value>), Refusal> {
    match presented {
        Value::String(token) => {
            let (payload, holder) = jose::verify(token, jose::PRESENTATION)?;
            let mut members = payload.as_object().cloned().unwrap_or_default();
            for (name, field, wanted) in [("nonce", "/nonce", asked.challenge), ("aud", "/aud", asked.domain)]
            {
                if members.remove(name).as_ref().and_then(Value::as_str) != Some(wanted) {
                    return Err(malformed(field, format!("must be `{wanted:.300}`")));
                }
            }
            Ok((holder, members))
        }
        Value::Object(members) => {
            let method = presented.pointer("/proof/verificationMethod").and_then(Value::as_str);
            let method =
                method.ok_or_else(|| malformed("/proof/verificationMethod", "a string is required"))?;
            let holder = Holder::of_method(method)?;
            let narrow = [("challenge", asked.challenge), ("domain", asked.domain)];
            proof::verify_narrow(presented, AUTHENTICATION, &narrow, |_| Ok(holder.device))?;
            let mut members = members.clone();
            members.remove("proof");
            Ok((holder, members))
        }
        _ => Err(malformed("", "must be a JSON object with a proof, or a token (vp+jwt) as a JSON string")),
    }
}

/// A credential of a presentation, as it was issued.
fn issued(shown: &Value) -> Result<Value, vc::Refusal> {
    if shown.get("type").and_then(Value::as_str) != Some(ENVELOPED) {
        return Ok(shown.clone());
    }
    let id = shown.get("id").and_then(Value::as_str).and_then(|id| id.strip_prefix(DATA));
    let rule = format!("an {ENVELOPED} must have an id that begins with {DATA}");
    let token = id.ok_or(vc::Refusal::Form { field: "/id", rule })?;
    Ok(Value::String(token.to_owned()))
}

/// Verifies a presentation: that the holder signed it for this verifier and occasion, and that every credential in it is
/// its issuer's, in its time, and about the holder. Whether the issuers are believed, and whether any of the credentials was
/// revoked, is the verifier's to see.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(presented: &Value, asked: Asked<'_>, now: Stamp) -> Result<Presented, Refusal> {
    for (field, text) in [("/challenge", asked.challenge), ("/domain", asked.domain)] {
        if text.is_empty() || text.len() > ASKED_MAX {
            return Err(malformed(field, format!("must have 1 to {ASKED_MAX} characters")));
        }
    }
    let (holder, members) = opened(presented, asked)?;
    let known = ["@context", "type", "holder", "verifiableCredential", "id"];
    if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(malformed("", format!("may not have the member `{name:.40}`")));
    }
    let contexts = members.get("@context").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if contexts.is_empty()
        || contexts.len() > CONTEXTS.len()
        || !CONTEXTS.iter().zip(contexts).all(|(known, given)| given.as_str() == Some(known))
    {
        return Err(malformed("/@context", format!("must begin {CONTEXTS:?} and end there")));
    }
    if members.get("type") != Some(&json!([TYPE])) {
        return Err(malformed("/type", format!("must be [{TYPE}]")));
    }
    let named = members.get("holder").and_then(Value::as_str);
    if !named.is_some_and(|named| holder.is(named)) {
        return Err(malformed("/holder", format!("must be whoever signed: {}", holder.did)));
    }
    let shown = members.get("verifiableCredential").and_then(Value::as_array).map(Vec::as_slice);
    let shown = shown.filter(|shown| (1..=CREDENTIALS_MAX).contains(&shown.len())).ok_or_else(|| {
        malformed("/verifiableCredential", format!("must have 1 to {CREDENTIALS_MAX} entries"))
    })?;
    let mut credentials = Vec::new();
    for (at, one) in shown.iter().enumerate() {
        let opened = issued(one).and_then(|one| vc::open(&one)).and_then(|document| {
            document.at(now)?;
            Ok(document)
        });
        let document = opened.map_err(|refusal| Refusal::Credential { at, refusal })?;
        if !holder.is(document.about()) {
            return Err(Refusal::NotTheHolder { at, bound: document.about().to_owned() });
        }
        credentials.push(document);
    }
    Ok(Presented { holder, credentials })
}
