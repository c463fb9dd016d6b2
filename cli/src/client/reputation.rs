//! The score of a wallet or an account, computed here from what the hub gives and compared with what it says.

use std::collections::BTreeMap;

use anyhow::Result;
use hub::{
    identity::AccountView,
    page::Page,
    records::{Device, RecordId},
    reputation::{
        AccountReputationView, CredentialView, ReputationView, SAID_MAX, heading,
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

/// The same of all wallets of an account.
#[derive(Clone, Debug, Serialize)]
pub struct FoundOfAccount {
    /// By the credentials.
    pub computed: AccountReputationView,
    /// By the hub.
    pub told: AccountReputationView,
    /// Everything that does not hold.
    pub differences: Vec<String>,
}

/// Reads the public credentials about a wallet, checks each signature and each status, and computes the score.
pub async fn look(hub: &Hub, subject: WalletDid) -> Result<Found> {
    let told: ReputationView = hub.http.get(&format!("/v1/reputation/{subject}")).await?;
    let mut reading = Reading::of(hub).await?;
    let computed = score(&reading.said(subject).await?);
    reading.compare(&computed, &told.score, computed != told.score);
    Ok(Found { subject, computed, told: told.score, differences: reading.differences })
}

/// The same of the wallets that an account has now.
pub async fn look_at_account(hub: &Hub, account: RecordId) -> Result<FoundOfAccount> {
    let told: AccountReputationView = hub.http.get(&format!("/v1/accounts/{account}/reputation")).await?;
    let view: AccountView = hub.http.get(&format!("/v1/accounts/{account}")).await?;
    let mut reading = Reading::of(hub).await?;
    let mut wallets = Vec::new();
    for subject in view.wallets.into_iter().map(WalletDid) {
        wallets.push((subject, reading.said(subject).await?));
    }
    let computed = AccountReputationView::new(account, &wallets);
    reading.compare(&computed.score, &told.score, computed != told);
    Ok(FoundOfAccount { computed, told, differences: reading.differences })
}

/// What is read of a hub.
struct Reading<'a> {
    hub: &'a Hub,
    device: Device,
    /// The status lists that were asked for, by their numbers.
    lists: BTreeMap<u32, Value>,
    /// How many credentials still count.
    left: u32,
    differences: Vec<String>,
}

impl<'a> Reading<'a> {
    async fn of(hub: &'a Hub) -> Result<Self> {
        let device = device_of(hub).await?;
        Ok(Self { hub, device, lists: BTreeMap::new(), left: SAID_MAX, differences: Vec::new() })
    }

    /// What the public credentials about a wallet say, as far as they hold.
    async fn said(&mut self, subject: WalletDid) -> Result<Vec<Said>> {
        let (mut said, mut after) = (Vec::new(), String::from("0"));
        while self.left > 0 {
            let path = format!("/v1/credentials?subject={subject}&limit=100&after={after}");
            let page: Page<CredentialView> = self.hub.http.get(&path).await?;
            for view in page.items {
                if self.left == 0 {
                    break;
                }
                self.left = self.left.saturating_sub(1);
                match self.check(&view, subject).await? {
                    Ok(one) => said.push(one),
                    Err(reason) => self.differences.push(format!("credential {}: {reason}", view.id)),
                }
            }
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        Ok(said)
    }

    /// A credential as the score sees it, or why it does not count.
    async fn check(&mut self, view: &CredentialView, subject: WalletDid) -> Result<Result<Said, String>> {
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
        let Some((entry, number)) = read.status.as_ref().and_then(|entry| Some((entry, entry.number()?)))
        else {
            return Ok(Err("it has no entry in a status list".to_owned()));
        };
        let list = match self.lists.get(&number) {
            Some(list) => list.clone(),
            None => {
                let path = format!("/v1/status/{}/{number}", entry.purpose.name());
                let list: Value = self.hub.http.get(&path).await?;
                self.lists.insert(number, list.clone());
                list
            }
        };
        let revoked = match status::look(entry, &list, self.device, now()) {
            Ok((standing, _)) => standing == Standing::Revoked,
            Err(refusal) => return Ok(Err(refusal.to_string())),
        };
        Ok(Ok(Said { kind: read.kind, by: view.issuer, revoked }))
    }

    fn compare(&mut self, computed: &Score, told: &Score, differ: bool) {
        let (ours, theirs) = (computed.points, told.points);
        if ours != theirs {
            self.differences.push(format!("the credentials come to {ours} points, the hub says {theirs}"));
        } else if differ {
            self.differences
                .push(format!("the hub says {theirs} points, too, but by other wallets or terms"));
        }
    }
}
