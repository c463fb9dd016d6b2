//! Steps one and two of `submit`, which need nothing but the record: size and schema, then id and proof.

use serde::Deserialize;
use serde_json::Value;

use super::{
    proof::{self, ProofError},
    record::{Record, RecordId},
};
use crate::error::Refusal;

/// The most bytes of a record in its canonical form, and of the request that carries it.
pub const RECORD_SIZE_MAX: usize = service::http::BODY_MAX;
/// How many objects and lists may stand within one another.
pub const BODY_DEPTH_MAX: usize = 16;
const PARENTS_MAX: usize = 16;
const AUDIENCE_MAX: usize = 16;
const KIND_MAX: usize = 40;
/// The largest integer that every JSON reader keeps exactly: 2^53 - 1.
const INTEGER_MAX: u64 = 9_007_199_254_740_991;

/// A record of the right form, and its canonical bytes as the log keeps them.
pub(crate) fn read(received: &Value) -> Result<(Record, String), Refusal> {
    plain(received, 0)?;
    let canonical =
        proof::canonical(received).map_err(|error| Refusal::schema("json", "", error.to_string()))?;
    if canonical.len() > RECORD_SIZE_MAX {
        return Err(Refusal::schema(
            "size",
            "",
            format!("the record has {} bytes and may have {RECORD_SIZE_MAX}", canonical.len()),
        ));
    }
    let record =
        Record::deserialize(received).map_err(|error| Refusal::schema("shape", "", error.to_string()))?;
    // Every member present and written in its one form: what is stored reads back as what was signed.
    if serde_json::to_value(&record).ok().as_ref() != Some(received) {
        return Err(Refusal::schema(
            "shape",
            "",
            "every member of a record must be present (null where there is nothing): id, type, author, device, \
             about, parents, created, audience, body, proof",
        ));
    }
    let name = record.kind.split_once('@').filter(|(name, version)| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
            && version.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == *version)
    });
    if name.is_none() || record.kind.len() > KIND_MAX {
        return Err(Refusal::schema(
            "type",
            "/type",
            format!("`{:.60}` must read name@version, such as listing@1", record.kind),
        ));
    }
    if record.audience.is_empty() || record.audience.len() > AUDIENCE_MAX {
        return Err(Refusal::schema(
            "audience",
            "/audience",
            format!("has {} entries and must have 1 to {AUDIENCE_MAX}", record.audience.len()),
        ));
    }
    if record.parents.len() > PARENTS_MAX {
        return Err(Refusal::schema(
            "parents",
            "/parents",
            format!("has {} entries and may have {PARENTS_MAX}", record.parents.len()),
        ));
    }
    if !record.body.is_object() {
        return Err(Refusal::schema("body", "/body", "must be a JSON object"));
    }
    let text =
        String::from_utf8(canonical).map_err(|error| Refusal::schema("json", "", error.to_string()))?;
    Ok((record, text))
}

/// Depth, numbers and texts.
fn plain(value: &Value, depth: usize) -> Result<(), Refusal> {
    if depth > BODY_DEPTH_MAX {
        return Err(Refusal::schema(
            "depth",
            "",
            format!("objects and lists may stand {BODY_DEPTH_MAX} deep within one another"),
        ));
    }
    let deeper = depth.saturating_add(1);
    match value {
        Value::Number(number) => {
            let exact = number.as_u64().is_some_and(|n| n <= INTEGER_MAX)
                || number.as_i64().is_some_and(|n| n.unsigned_abs() <= INTEGER_MAX);
            if exact {
                Ok(())
            } else {
                Err(Refusal::schema(
                    "number",
                    "",
                    format!("{number} must be an integer within 2^53 - 1; write anything else as a string"),
                ))
            }
        }
        // PostgreSQL's TEXT has no place for it, so a projection could not hold what the record says.
        Value::String(text) if text.contains('\0') => {
            Err(Refusal::schema("text", "", "a text may not contain the character U+0000"))
        }
        Value::Array(items) => items.iter().try_for_each(|item| plain(item, deeper)),
        Value::Object(members) => members.values().try_for_each(|member| plain(member, deeper)),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// Whether the id is the content's and the proof is by the device that the record names.
pub(crate) fn genuine(record: &Record, received: &Value) -> Result<(), Refusal> {
    let refuse = |error: ProofError| {
        let field = match &error {
            ProofError::Malformed { field, .. } => *field,
            ProofError::Mismatch { .. } => "/proof/proofValue",
        };
        Refusal::proof("proof", field, error.to_string())
    };
    let id = RecordId::of(received).map_err(refuse)?;
    if id != record.id {
        return Err(Refusal::proof(
            "id",
            "/id",
            format!("is {}; the record's content makes it {id}", record.id),
        ));
    }
    let signer = proof::verify(received, proof::ASSERTION).map_err(refuse)?;
    if signer == record.device {
        Ok(())
    } else {
        Err(Refusal::proof("device", "/device", format!("is {}; the proof is by {signer}", record.device)))
    }
}
