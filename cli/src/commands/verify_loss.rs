//! `earnest verify credential` of one about a lost grievance: a hub's word, and no chain's.

use anyhow::Result;
use hub::{
    records::Device,
    reputation::{
        loss::{self, Loss},
        model::Kind,
    },
};
use serde_json::{Value, json};

use super::Session;
use crate::{client::credential::standing, exit::Failure};

/// Checks it, where the word of the hub with this device is taken. What rests behind it is in the grievance's bundle.
pub async fn run(session: &Session, hub: Device, secured: &Value) -> Result<()> {
    let said = loss::verify(secured, hub).map_err(|refusal| {
        Failure::does_not_hold(format!("the credential does not hold: {} ({refusal})", refusal.rule()))
    })?;
    let known = standing(said.status.as_ref(), Some(hub)).await;
    if known.is_revoked() {
        return Err(Failure::does_not_hold(format!("the credential is revoked: {}", known.words())));
    }
    let Loss { record, community, outcome } = said.subject.grievance;
    let kind = Kind::DisputeLost.name();
    let ruled = json!(outcome);
    let value = json!({
        "holds": true, "kind": kind, "issuer": said.issuer, "subject": said.subject.id, "grievance": record,
        "community": community, "outcome": ruled, "status": known,
    });
    session.output.one(
        &value,
        &[
            ("holds", "yes".to_owned()),
            ("kind", kind.to_owned()),
            ("issuer", said.issuer.to_string()),
            ("for", "the hub".to_owned()),
            ("about", said.subject.id.to_string()),
            ("grievance", record.to_string()),
            ("community", community.to_string()),
            ("outcome", ruled.as_str().unwrap_or_default().to_owned()),
            ("status", known.words()),
        ],
    )
}
