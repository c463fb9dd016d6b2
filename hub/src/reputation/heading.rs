//! What every credential of a member tells, whatever it rests on. Needs no server.

use serde_json::{Value, json};

use super::{
    exchange,
    kinds::Kind,
    model::{self, Refusal, WalletDid},
    status::Entry,
    vc,
};
use crate::records::Device;

/// What a credential may rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// A deal at an escrow.
    Deal,
    /// A payment in hours.
    Exchange,
}

impl Basis {
    /// The member of the subject that names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deal => "deal",
            Self::Exchange => "exchange",
        }
    }
}

/// What a credential says, of whom, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// What it says.
    pub kind: Kind,
    /// The device that it names as its issuer.
    pub issuer: Device,
    /// The wallet that it is about.
    pub subject: WalletDid,
    /// Where to see whether it was revoked.
    pub status: Option<Entry>,
    /// What it rests on, as its subject names it.
    pub rests_on: (Basis, Value),
}

fn kind_of(secured: &Value) -> Option<Kind> {
    let unsecured = vc::unsecured(secured).ok()?;
    Kind::of_name(unsecured.get("type")?.get(1)?.as_str()?)
}

/// Reads it; says nothing yet about whether it holds.
///
/// # Errors
/// As [`model::read`] and [`exchange::read`].
pub fn read(secured: &Value) -> Result<Heading, Refusal> {
    if kind_of(secured).is_some_and(|kind| !kind.is_of_deals()) {
        let exchange::Said { kind, issuer, subject, status } = exchange::read(secured)?;
        let rests_on = (Basis::Exchange, json!(subject.exchange));
        return Ok(Heading { kind, issuer, subject: subject.id, status, rests_on });
    }
    let (credential, kind) = model::read(secured)?;
    Ok(Heading {
        kind,
        issuer: credential.issuer,
        subject: credential.subject.id,
        status: credential.status,
        rests_on: (Basis::Deal, json!(credential.subject.deal)),
    })
}
