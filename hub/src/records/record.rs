//! The record, its id, and how one is made. Needs no server.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use serde_path_to_error::Segment;
use sha2::{Digest, Sha256};

use super::{
    device::{Device, DeviceKey},
    proof::{self, ProofError},
    schema,
    stamp::{Stamp, text},
};
use crate::{access::Audience, error::Refusal};

/// Multihash code and length of SHA2-256.
const SHA2_256: [u8; 2] = [0x12, 0x20];

/// Why something cannot be a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not an id.
    #[error("`{value}` is not a record id: it must be multibase base58btc (z…) of a SHA2-256 multihash")]
    Id {
        /// The text as given, cut to 100 characters.
        value: String,
    },
    /// Not an entry of an audience.
    #[error("`{value}` is not an audience: it must be public, account:<id> or community:<id>")]
    Audience {
        /// The text as given, cut to 100 characters.
        value: String,
    },
    /// It cannot be signed or has no canonical form.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// The id of a record: multibase base58btc of the SHA2-256 multihash of the JCS of the record without `id` and
/// `proof`. An account is named by the id of its first `identity@1` record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId([u8; 32]);

impl RecordId {
    /// The id that a record must carry, whatever it carries.
    ///
    /// # Errors
    /// The value is not an object or has no canonical form.
    pub fn of(record: &Value) -> Result<Self, ProofError> {
        let mut said = record.as_object().cloned().unwrap_or_default();
        said.remove("id");
        said.remove("proof");
        Ok(Self(Sha256::digest(proof::canonical(&Value::Object(said))?).into()))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut multihash = [0; 34];
        let (code, digest) = multihash.split_at_mut(2);
        code.copy_from_slice(&SHA2_256);
        digest.copy_from_slice(&self.0);
        write!(f, "z{}", bs58::encode(multihash).into_string())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecordId {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Self, RecordError> {
        text.strip_prefix('z')
            .filter(|base58| base58.len() <= 60)
            .and_then(|base58| bs58::decode(base58).into_vec().ok())
            .and_then(|bytes| bytes.strip_prefix(&SHA2_256)?.try_into().ok())
            .map(Self)
            .ok_or_else(|| RecordError::Id { value: text.chars().take(100).collect() })
    }
}

text!(RecordId);

/// What its author wants to say, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// `name@version`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The account that says it; none for an account's first record.
    pub author: Option<RecordId>,
    /// The record that this one speaks of.
    pub about: Option<RecordId>,
    /// The newest records of this author that the device had seen, at most 16.
    pub parents: Vec<RecordId>,
    /// When it was said.
    pub created: Stamp,
    /// Who may read it, 1 to 16.
    pub audience: Vec<Audience>,
    /// A JSON object; numbers are integers within ±(2^53 - 1), anything larger is a decimal string.
    pub body: Value,
}

impl Draft {
    /// A draft that everyone may read, about nothing.
    pub fn new(kind: &str, author: Option<RecordId>, created: Stamp, body: Value) -> Self {
        Self {
            kind: kind.to_owned(),
            author,
            about: None,
            parents: Vec::new(),
            created,
            audience: vec![Audience::Public],
            body,
        }
    }

    /// Names the record that it speaks of.
    #[must_use]
    pub const fn about(mut self, about: RecordId) -> Self {
        self.about = Some(about);
        self
    }

    /// Narrows who may read it.
    #[must_use]
    pub fn only_for(mut self, audience: Vec<Audience>) -> Self {
        self.audience = audience;
        self
    }

    /// The signed record, as it is sent to `POST /v1/records`. Signing is deterministic.
    ///
    /// # Errors
    /// The draft has no canonical form.
    pub fn sign(&self, key: &DeviceKey) -> Result<Value, RecordError> {
        let mut said = serde_json::to_value(self)
            .map_err(|error| ProofError::Malformed { field: "", rule: error.to_string() })?;
        if let Some(members) = said.as_object_mut() {
            members.insert("device".to_owned(), key.device().to_string().into());
        }
        let id = RecordId::of(&said)?;
        if let Some(members) = said.as_object_mut() {
            members.insert("id".to_owned(), id.to_string().into());
        }
        Ok(proof::sign(said, key, proof::ASSERTION, self.created)?)
    }
}

/// A record whose form has been checked ([`Record::read`]); whether its proof holds is another question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// See [`RecordId`].
    pub id: RecordId,
    /// `name@version`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The account that says it; none for an account's first record.
    pub author: Option<RecordId>,
    /// The device that signed.
    pub device: Device,
    /// The record that this one speaks of.
    pub about: Option<RecordId>,
    /// The newest records of this author that the device had seen.
    pub parents: Vec<RecordId>,
    /// When it was said, as its author has it.
    pub created: Stamp,
    /// Who may read it.
    pub audience: Vec<Audience>,
    /// What is said; its form belongs to the type.
    pub body: Value,
    /// The Data Integrity proof.
    pub proof: Value,
}

impl Record {
    /// Reads a record of any type and verifies its id and proof; whether its author may say it, only a hub knows.
    ///
    /// # Errors
    /// Step `schema` or `proof`, with the member at fault.
    pub fn read(received: &Value) -> Result<Self, Refusal> {
        let (record, _) = schema::read(received)?;
        schema::genuine(&record, received)?;
        Ok(record)
    }

    /// The account that speaks: the author, or the account that this record begins.
    pub fn account(&self) -> RecordId {
        self.author.unwrap_or(self.id)
    }

    /// The body in its type's form.
    ///
    /// # Errors
    /// Step `schema`, field `/body/…`: a member is missing, unknown or of another form.
    pub fn body_as<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_path_to_error::deserialize(&self.body).map_err(|error| {
            let detail = format!("{}: {}", self.kind, error.inner());
            Refusal::schema("body", format!("/body{}", member(&error)), detail)
        })
    }

    /// The record this one must speak of.
    ///
    /// # Errors
    /// Step `schema`, field `/about`.
    pub fn about(&self) -> Result<RecordId, Refusal> {
        self.about.ok_or_else(|| {
            Refusal::schema("about", "/about", format!("{} must name the record it is about", self.kind))
        })
    }
}

/// Where in a JSON document something is wrong, as a JSON pointer (RFC 6901). A member that is missing or unknown is told by the
/// words alone, in backticks.
fn member(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let mut pointer = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    let told = error.inner().to_string();
    let named = ["missing field `", "unknown field `"]
        .iter()
        .find_map(|words| told.strip_prefix(words)?.split('`').next())
        .filter(|name| !pointer.ends_with(&format!("/{name}")));
    if let Some(name) = named {
        pointer.push_str(&format!("/{name:.60}"));
    }
    pointer
}
