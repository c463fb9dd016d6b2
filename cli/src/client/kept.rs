//! A signed record that is kept until the hub has answered: whoever repeats a verb after an answer that was lost sends the very
//! same bytes, which the hub takes once.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use hub::records::{Draft, Stamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{http::Refused, profile::Profile};
use crate::place::{remove, write_secret};

/// Where the record of one intention is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    path: PathBuf,
}

impl Kept {
    /// For what this draft says at the hub of this URL, whenever it is said.
    pub fn of(profile: &Profile, hub: &str, draft: &Draft) -> Result<Self> {
        let Draft { kind, author, about, audience, body, .. } = draft;
        let said = json!([hub, kind, author, about, audience, body]);
        // Members of an object are written in one order.
        let digest = hex::encode(Sha256::digest(serde_json::to_vec(&said)?));
        let folder = profile.file("unanswered");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self { path: folder.join(format!("{digest}.json")) })
    }

    /// The record, where one is waiting for its answer.
    pub fn waiting(&self) -> Result<Option<Value>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => {
                let record = serde_json::from_str(&text);
                record
                    .map(Some)
                    .with_context(|| format!("{} is not a record: remove it", self.path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", self.path.display())),
        }
    }

    /// Keeps it, before it is sent.
    pub fn keep(&self, record: &Value) -> Result<()> {
        write_secret(&self.path, &record.to_string())
    }

    /// The hub has answered.
    pub fn forget(&self) -> Result<()> {
        remove(&self.path)
    }

    /// Forgets it where this error is the hub's own answer to the record, which then never happened.
    pub fn heard(&self, error: &anyhow::Error) -> Result<()> {
        match error.downcast_ref::<Refused>() {
            Some(Refused { step: Some(_), .. }) => self.forget(),
            _ => Ok(()),
        }
    }
}

/// Whether the hub refuses it for its age alone.
pub fn is_too_old(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.rule.as_deref() == Some("too_old"))
}

/// When a record was signed.
pub fn signed_at(record: &Value) -> Option<Stamp> {
    record.get("created")?.as_str()?.parse().ok()
}
