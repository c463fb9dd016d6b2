//! Credentials: what a party issues about the other, and whether one holds. Both rest on the chain's own events.

use anyhow::{Context, Result, anyhow};
use hub::{
    access::Audience,
    deals::{PurchaseView, position::fold, status::Status},
    identity::{IdentityBody, WalletAuthorisation},
    records::{Device, Receipt, Record},
    reputation::{
        CredentialView,
        model::{self, Facts, Kind, Verified},
    },
};
use protocol::chain::AccountId;
use serde_json::{Value, json};

use super::{
    chain::Chain,
    hub::{Hub, Member, now},
    trade::details,
};
use crate::exit::Failure;

/// Issues this person's credential about the other party of a completed purchase, and hands it to the hub.
pub async fn issue(member: &Member, chain: &Chain, purchase: &PurchaseView) -> Result<Receipt> {
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
    let IdentityBody { message, signature, .. } = record.body_as()?;
    let word = WalletAuthorisation { message, signature };
    let credential =
        model::issue(kind, &details.terms, &position, Some(word), &member.profile.device, now())?;
    let draft = member.draft("credential@1", &json!({ "credential": credential }))?;
    member.say(&draft.about(purchase.id).only_for(vec![Audience::Public])).await
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
