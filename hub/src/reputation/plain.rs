//! Credentials that say of a wallet what they rest on, and nothing else. Needs no server.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    kinds::Kind,
    model::Refusal,
    status::Entry,
    vc::{self, CONTEXTS, Document, Form, TYPE},
};
use crate::records::{Device, DeviceKey, Stamp};

/// What one says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plain<S> {
    pub kind: Kind,
    /// The device that it names as its issuer.
    pub issuer: Device,
    pub subject: S,
    /// Where to see whether it was revoked.
    pub status: Option<Entry>,
}

impl<S: Serialize + DeserializeOwned> Plain<S> {
    /// Signs it, dated now.
    ///
    /// # Errors
    /// It has no canonical form.
    pub(super) fn issue(self, form: Form, key: &DeviceKey, now: Stamp) -> Result<Value, Refusal> {
        let malformed = |error: &dyn std::fmt::Display| Refusal::Form(error.to_string());
        let subject = serde_json::to_value(self.subject).map_err(|error| malformed(&error))?;
        let subject: Map<String, Value> = subject.as_object().cloned().unwrap_or_default();
        let mut document = Document::new(self.kind.name(), self.issuer, now, subject);
        document.status = self.status;
        document.secure(form, key, now).map_err(|error| malformed(&error))
    }

    /// Reads one, whichever way it is secured; says nothing yet about whether it holds.
    ///
    /// # Errors
    /// [`Refusal::Form`], [`Refusal::Context`], [`Refusal::Type`] or [`Refusal::Status`].
    pub(super) fn read(secured: &Value) -> Result<Self, Refusal> {
        let malformed = |told: &str| Refusal::Form(told.to_owned());
        let unsecured = vc::unsecured(secured).map_err(|error| Refusal::Form(error.to_string()))?;
        let document = Document::deserialize(&unsecured).map_err(|error| Refusal::Form(error.to_string()))?;
        let given = Value::Object(document.subject.clone());
        let subject = S::deserialize(&given).map_err(|error| Refusal::Form(error.to_string()))?;
        // One form for each value: what was read is what was signed, to the letter.
        if serde_json::to_value(&document).ok().as_ref() != Some(&unsecured)
            || serde_json::to_value(&subject).ok().as_ref() != Some(&given)
        {
            return Err(malformed("a member is not written in its one form"));
        }
        if document.context != CONTEXTS {
            return Err(Refusal::Context);
        }
        let [general, special] = document.types.as_slice() else { return Err(Refusal::Type) };
        let kind = Kind::of_name(special).ok_or(Refusal::Type)?;
        if general != TYPE {
            return Err(Refusal::Type);
        }
        if document.id.is_some() || document.valid_until.is_some() || document.authorisation.is_some() {
            return Err(malformed("it has no id, validUntil or authorisation"));
        }
        if let Some(entry) = &document.status {
            entry.check().map_err(Refusal::Status)?;
        }
        Ok(Self { kind, issuer: document.issuer, subject, status: document.status })
    }
}
