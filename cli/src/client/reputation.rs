//! The score of a wallet, computed here from what the hub gives and compared with what it says.

use std::collections::BTreeMap;

use anyhow::Result;
use hub::{
    page::Page,
    records::Device,
    reputation::{
        CredentialView, ReputationView, SAID_MAX, heading,
        model::WalletDid,
        score::{Said, Score, score},
        status::{self, Standing},
        vc,
    },
};
use serde::Serialize;
use serde_json::Value;

use super::{
    credential::device_of,
    hub::{Hub, now},
};

/// What was computed, and where it is not what the hub says.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// About whom.
    pub subject: WalletDid,
    /// By the credentials.
    pub computed: Score,
    /// By the hub.
    pub told: Score,
    /// Everything that does not hold.
    pub differences: Vec<String>,
}

/// Reads the public credentials about a wallet, checks each signature and each status, and computes the score.
pub async fn look(hub: &Hub, subject: WalletDid) -> Result<Found> {
    let told: ReputationView = hub.http.get(&format!("/v1/reputation/{subject}")).await?;
    let device = device_of(hub).await?;
    let (mut said, mut differences) = (Vec::new(), Vec::new());
    let mut lists = BTreeMap::new();
    let (mut after, mut read) = (String::from("0"), 0_u32);
    loop {
        let path = format!("/v1/credentials?subject={subject}&limit=100&after={after}");
        let page: Page<CredentialView> = hub.http.get(&path).await?;
        for view in page.items {
            if read == SAID_MAX {
                break;
            }
            read = read.saturating_add(1);
            match check(hub, &view, subject, device, &mut lists).await? {
                Ok(one) => said.push(one),
                Err(reason) => differences.push(format!("credential {}: {reason}", view.id)),
            }
        }
        match page.next {
            Some(next) if read < SAID_MAX => after = next,
            _ => break,
        }
    }
    let computed = score(&said);
    if computed != told.score {
        let (ours, theirs) = (computed.points, told.score.points);
        differences.push(format!("the credentials come to {ours} points, the hub says {theirs}"));
    }
    Ok(Found { subject, computed, told: told.score, differences })
}

/// A credential as the score sees it, or why it does not count.
async fn check(
    hub: &Hub,
    view: &CredentialView,
    subject: WalletDid,
    device: Device,
    lists: &mut BTreeMap<u32, Value>,
) -> Result<Result<Said, String>> {
    let read = match heading::read(&view.credential) {
        Ok(read) => read,
        Err(refusal) => return Ok(Err(refusal.to_string())),
    };
    match vc::signer(&view.credential) {
        Ok(signer) if signer == read.issuer => {}
        Ok(signer) => return Ok(Err(format!("{signer} signed it, not {}", read.issuer))),
        Err(error) => return Ok(Err(error.to_string())),
    }
    if read.subject != subject {
        return Ok(Err(format!("it is about {}", read.subject)));
    }
    let Some((entry, number)) = read.status.as_ref().and_then(|entry| Some((entry, entry.number()?))) else {
        return Ok(Err("it has no entry in a status list".to_owned()));
    };
    let list = match lists.get(&number) {
        Some(list) => list.clone(),
        None => {
            let path = format!("/v1/status/{}/{number}", entry.purpose.name());
            let list: Value = hub.http.get(&path).await?;
            lists.insert(number, list.clone());
            list
        }
    };
    let revoked = match status::look(entry, &list, device, now()) {
        Ok((standing, _)) => standing == Standing::Revoked,
        Err(refusal) => return Ok(Err(refusal.to_string())),
    };
    Ok(Ok(Said { kind: read.kind, by: view.issuer, revoked }))
}
