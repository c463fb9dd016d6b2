//! What the hub says of whoever a jury of a community's members ruled against, about what was paid or given. Needs no server.
//!
//! Whoever may read the community reads it: everybody, or its members and the respondent. So it names the grievance and what was ruled, and nothing of what was filed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    kinds::Kind,
    model::{Refusal, WalletDid},
    plain::Plain,
    status::Entry,
    vc::{self, Form},
};
use crate::{
    grievances::model::{Kind as Of, Outcome},
    records::{Device, DeviceKey, RecordId, Stamp},
};

/// What a jury has ruled against somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruled {
    /// The complainant is right.
    Upheld,
    /// A part of what was paid is given back.
    PartialAdjustment,
    /// All of it is.
    VoidTransaction,
}

impl Ruled {
    /// What is lost by an outcome of a grievance of this kind. None by one that is rejected; nor where a credential or a membership was
    /// judged: the first is taken back, the second ended or restored, and that is all.
    pub const fn of(kind: Of, outcome: Outcome) -> Option<Self> {
        match (kind, outcome) {
            (Of::Attestation | Of::Membership, _) | (_, Outcome::Rejected) => None,
            (Of::Trade | Of::Contribution, Outcome::Upheld) => Some(Self::Upheld),
            (Of::Trade | Of::Contribution, Outcome::PartialAdjustment { .. }) => {
                Some(Self::PartialAdjustment)
            }
            (Of::Trade | Of::Contribution, Outcome::VoidTransaction) => Some(Self::VoidTransaction),
        }
    }
}

/// A ruling, as far as everybody may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// The `grievance@1`.
    pub record: RecordId,
    /// Whose members judged.
    pub community: RecordId,
    /// What they ruled.
    pub outcome: Ruled,
}

/// Whom a credential is about, and the ruling that it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// A wallet of the respondent.
    pub id: WalletDid,
    /// The ruling.
    pub grievance: Loss,
}

/// What a credential says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The hub's device.
    pub issuer: Device,
    /// Of whom, and which ruling.
    pub subject: Subject,
    /// Where it would show that it was revoked.
    pub status: Option<Entry>,
}

/// Issues the hub's word on a wallet of whoever was ruled against.
///
/// # Errors
/// It has no canonical form.
pub fn issue(
    loss: Loss,
    wallet: WalletDid,
    status: Option<Entry>,
    key: &DeviceKey,
    now: Stamp,
) -> Result<Value, Refusal> {
    let subject = Subject { id: wallet, grievance: loss };
    let plain = Plain { kind: Kind::DisputeLost, issuer: key.device(), subject, status };
    plain.issue(Form::DataIntegrity, key, now)
}

/// Reads a credential's members, whichever way it is secured; says nothing yet about whether they hold.
///
/// # Errors
/// [`Refusal::Form`], [`Refusal::Context`], [`Refusal::Type`] or [`Refusal::Status`].
pub fn read(secured: &Value) -> Result<Said, Refusal> {
    let Plain { kind, issuer, subject, status } = Plain::<Subject>::read(secured)?;
    if kind != Kind::DisputeLost {
        return Err(Refusal::Type);
    }
    Ok(Said { issuer, subject, status })
}

/// Whether this hub says so. What rests behind it is in the grievance's bundle, for whoever may read that.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(secured: &Value, hub: Device) -> Result<Said, Refusal> {
    let said = read(secured)?;
    let signer = vc::signer(secured)?;
    if signer != said.issuer {
        return Err(Refusal::Issuer { issuer: said.issuer, signer });
    }
    if signer != hub {
        return Err(Refusal::UnknownHub(signer));
    }
    Ok(said)
}
