//! Credentials: what a party issues about the other, and whether one holds. Both rest on the chain's own events, or on the signed
//! records of a payment in hours.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hub::{
    access::Audience,
    deals::{PurchaseView, position::fold, status::Status},
    identity::{self, AccountView},
    records::{Device, Receipt, Record, RecordId, Stamp},
    reputation::{
        CredentialView, OpenList, RevocationBody,
        exchange::{self, Exchange, Payment},
        model::{self, Facts, Form, Issuing, Kind, Verified, WalletDid},
        status::{self, Entry, Purpose, Standing},
    },
};
use protocol::chain::AccountId;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    chain::Chain,
    http::Http,
    hub::{Hub, Member, now},
    records::genuine,
    trade::details,
};
use crate::exit::Failure;

/// How often an entry of a status list is drawn: at most half of them are taken, so that once in a million tries none of
/// so many is free.
const DRAWS: u32 = 20;
/// The most bytes of a status list.
const LIST_MAX: usize = 64 * 1024;
/// The longest that it is waited for.
const LIST_WAIT: Duration = Duration::from_secs(10);

/// Issues this person's credential about the other party of a completed purchase, and hands it to the hub.
pub async fn issue(member: &Member, chain: &Chain, purchase: &PurchaseView, form: Form) -> Result<Receipt> {
    let kind = if member.account == purchase.buyer { Kind::TrustedSeller } else { Kind::ReliablePayer };
    let details = details(purchase)?;
    let first = details.transactions.first().ok_or_else(|| {
        anyhow!(
            "purchase {} is {}: only a completed one earns a credential",
            purchase.id,
            purchase.status.as_str()
        )
    })?;
    let entries = chain.deal_events(details.terms.escrow, purchase.deal, first.block_number).await?;
    let (position, _) = fold(Status::Created, &details.terms, entries.iter().map(|entry| &entry.event));
    let party = if kind == Kind::TrustedSeller { details.terms.buyer } else { details.terms.seller };
    let word = member.profile.word_of(party)?;
    let record: Record = member.get(&format!("/v1/records/{word}")).await?;
    let word = identity::word_in(&record)?.ok_or_else(|| anyhow!("{word} carries no wallet's word"))?;
    let device = &member.profile.device;
    hand_in(member, purchase.id, |entry| {
        let issuing = Issuing { authorisation: Some(word.clone()), status: Some(entry), form };
        model::issue(kind, &details.terms, &position, issuing, device, now())
    })
    .await
}

/// Issues this person's credential about whoever it paid in hours for something, and hands it to the hub.
pub async fn issue_for(member: &Member, payment: RecordId, kind: Kind, form: Form) -> Result<Receipt> {
    let http = &member.hub.http;
    let record = genuine(http, payment).await?;
    let hold = match record.about.filter(|_| record.kind == "capture@1") {
        Some(about) => Some(genuine(http, about).await?),
        None => None,
    };
    let Payment { exchange, device: signer } = Payment::of(&record, hold.as_ref())?;
    let device = &member.profile.device;
    if device.device() != signer {
        bail!("{payment} was signed by {signer}: only that device can say what it was for");
    }
    let payee: AccountView = member.get(&format!("/v1/accounts/{}", exchange.payee)).await?;
    let wallet = payee.wallets.first().copied();
    let wallet = wallet.ok_or_else(|| anyhow!("{} has no wallet that it could be about", exchange.payee))?;
    hand_in(member, payment, |entry| {
        exchange::issue(kind, exchange, WalletDid(wallet), Some(entry), form, device, now())
    })
    .await
}

/// The records by which a credential about a payment is checked, from a hub that knows them.
pub async fn records_of(http: &Http, exchange: &Exchange) -> Result<Vec<Record>> {
    let payment = genuine(http, exchange.payment).await?;
    let mut records = vec![genuine(http, exchange.payee).await?, genuine(http, exchange.payer).await?];
    if let Some(about) = payment.about.filter(|_| payment.kind == "capture@1") {
        records.push(genuine(http, about).await?);
    }
    records.push(payment);
    Ok(records)
}

/// Hands in a credential about a record, with an entry in the open list: drawn again where it is taken.
async fn hand_in(
    member: &Member,
    about: RecordId,
    make: impl Fn(Entry) -> std::result::Result<Value, model::Refusal>,
) -> Result<Receipt> {
    let mut draws = 1_u32;
    loop {
        let open: OpenList = member.get("/v1/status/revocation").await?;
        let base = member.hub.http.base();
        let base = open.url.rsplit_once("/v1/status/").map_or(base, |(base, _)| base);
        let index = status::draw(rand::random());
        let entry = Entry::new(base, Purpose::Revocation, open.list, index);
        let credential = make(entry)?;
        let draft = member.draft("credential@1", &json!({ "credential": credential }))?;
        let said = member.say(&draft.about(about).only_for(vec![Audience::Public])).await;
        match said {
            Err(error) if draws < DRAWS && format!("{error:#}").contains("status_taken") => {
                draws = draws.saturating_add(1);
            }
            said => return said,
        }
    }
}

/// Takes a credential back for good, in the name of its issuer.
pub async fn revoke(member: &Member, credential: RecordId, reason: String) -> Result<Receipt> {
    let draft = member.draft("revocation@1", &RevocationBody { reason })?;
    member.say(&draft.about(credential).only_for(vec![Audience::Public])).await
}

/// What is known of a credential's status.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "standing", rename_all = "lowercase")]
pub enum Known {
    /// It has none: nobody can take it back.
    None,
    /// What its list said.
    Told {
        /// What.
        told: Standing,
        /// Since when the list has said so.
        since: Stamp,
    },
    /// Nobody can tell.
    Unknown {
        /// Why.
        reason: String,
    },
}

impl Known {
    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::None => "it has no status list".to_owned(),
            Self::Told { told: Standing::Good, since } => format!("not revoked, says its list of {since}"),
            Self::Told { told: Standing::Revoked, since } => format!("REVOKED, says its list of {since}"),
            Self::Unknown { reason } => format!("unknown: {reason}"),
        }
    }

    /// Whether it is known to be revoked.
    pub const fn is_revoked(&self) -> bool {
        matches!(self, Self::Told { told: Standing::Revoked, .. })
    }
}

/// What the list of an entry says, where the hub that signs it is trusted and answers.
pub async fn standing(entry: Option<&Entry>, hub: Option<Device>) -> Known {
    let Some(entry) = entry else { return Known::None };
    let Some(hub) = hub else {
        return Known::Unknown { reason: "no hub is named whose word on it you take".to_owned() };
    };
    let told = match fetch_list(&entry.list).await {
        Ok(list) => status::look(entry, &list, hub, now()).map_err(|error| error.to_string()),
        Err(error) => Err(format!("{error:#}")),
    };
    match told {
        Ok((told, since)) => Known::Told { told, since },
        Err(reason) => Known::Unknown { reason },
    }
}

/// A status list from where a credential says that it is. The answer is not believed but for its signature.
async fn fetch_list(url: &str) -> Result<Value> {
    let client = reqwest::Client::builder()
        .timeout(LIST_WAIT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("the HTTP client")?;
    let mut answer = client.get(url).send().await.map_err(|_| anyhow!("nobody answers at {url:.300}"))?;
    if !answer.status().is_success() {
        bail!("{url:.300} answers {}", answer.status());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.with_context(|| format!("{url:.300} broke off"))? {
        if bytes.len().saturating_add(chunk.len()) > LIST_MAX {
            bail!("{url:.300} answers more than {LIST_MAX} bytes");
        }
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).with_context(|| format!("{url:.300} answers no JSON"))
}

/// The credentials about a purchase.
pub async fn of_purchase(member: &Member, purchase: &PurchaseView) -> Result<Vec<CredentialView>> {
    member.get(&format!("/v1/purchases/{}/credentials", purchase.id)).await
}

/// The device with which a hub signs, from its DID document.
pub async fn device_of(hub: &Hub) -> Result<Device> {
    let document: Value = hub.http.get("/.well-known/did.json").await?;
    let key = document.pointer("/verificationMethod/0/publicKeyMultibase").and_then(Value::as_str);
    let key = key.ok_or_else(|| anyhow!("{}: the DID document names no key", hub.http.base()))?;
    format!("did:key:{key}").parse().context("the hub's DID document")
}

/// Checks a credential against the chain. `hub` is the device whose word on lost disputes is taken, `escrow` the contract
/// whose word on deals is; without it, any that runs the code in this binary.
pub async fn check(
    chain: &Chain,
    hub: Option<Device>,
    escrow: Option<AccountId>,
    credential: &Value,
) -> Result<Verified> {
    let does_not_hold = |refusal: model::Refusal| {
        Failure::does_not_hold(format!("the credential does not hold: {} ({refusal})", refusal.rule()))
    };
    let (read, _) = model::read(credential).map_err(does_not_hold)?;
    let deal = read.subject.deal;
    chain.must_be(deal.chain, "what the credential is about")?;
    let escrows = match escrow {
        Some(escrow) => vec![escrow],
        None if chain.runs_escrow(deal.escrow).await? => vec![deal.escrow],
        None => Vec::new(),
    };
    let events = match chain.block_of(deal.funding_transaction).await? {
        Some(block) if !escrows.is_empty() => chain.deal_events(deal.escrow, deal.deal_id, block).await?,
        _ => Vec::new(),
    };
    let contract_wallet = match model::wallet_question(&read).map_err(does_not_hold)? {
        None => None,
        Some((wallet, hash, signature)) => Some(chain.contract_accepts(wallet, hash, signature).await?),
    };
    let facts = Facts { events: &events, escrows: &escrows, contract_wallet, hub };
    model::verify(credential, &facts).map_err(does_not_hold)
}
