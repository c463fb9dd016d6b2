//! What every credential of a member tells, whatever it rests on. Needs no server.

use serde_json::{Value, json};

use super::{
    exchange,
    kinds::Kind,
    loss,
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
    /// The ruling of a jury of members.
    Grievance,
}

impl Basis {
    /// The member of the subject that names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deal => "deal",
            Self::Exchange => "exchange",
            Self::Grievance => "grievance",
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

/// By its kind; of what the hub says of a lost dispute, by its subject.
fn basis_of(secured: &Value) -> Option<Basis> {
    let unsecured = vc::unsecured(secured).ok()?;
    let kind = Kind::of_name(unsecured.get("type")?.get(1)?.as_str()?)?;
    let grievance = unsecured.get("credentialSubject")?.get(Basis::Grievance.name());
    Some(match kind {
        Kind::DisputeLost if grievance.is_some() => Basis::Grievance,
        _ if kind.is_of_deals() => Basis::Deal,
        _ => Basis::Exchange,
    })
}

/// Reads it; says nothing yet about whether it holds.
///
/// # Errors
/// As [`model::read`], [`exchange::read`] and [`loss::read`].
pub fn read(secured: &Value) -> Result<Heading, Refusal> {
    match basis_of(secured).unwrap_or(Basis::Deal) {
        Basis::Deal => {
            let (credential, kind) = model::read(secured)?;
            let model::Credential { issuer, subject, status, .. } = credential;
            let rests_on = (Basis::Deal, json!(subject.deal));
            Ok(Heading { kind, issuer, subject: subject.id, status, rests_on })
        }
        Basis::Exchange => {
            let exchange::Said { kind, issuer, subject, status } = exchange::read(secured)?;
            let rests_on = (Basis::Exchange, json!(subject.exchange));
            Ok(Heading { kind, issuer, subject: subject.id, status, rests_on })
        }
        Basis::Grievance => {
            let loss::Said { issuer, subject, status } = loss::read(secured)?;
            let rests_on = (Basis::Grievance, json!(subject.grievance));
            Ok(Heading { kind: Kind::DisputeLost, issuer, subject: subject.id, status, rests_on })
        }
    }
}
