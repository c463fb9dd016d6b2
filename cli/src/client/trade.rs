//! A purchase from offer to acceptance: what each side builds, checks and signs itself.

use std::time::Duration;

use alloy::primitives::B256;
use anyhow::{Result, anyhow, bail};
use hub::{
    access::Audience,
    deals::{
        PurchaseDetails, PurchaseView,
        model::{AcceptanceBody, Agreement, Price, PurchaseBody, WithdrawalBody, agreement_hash},
        status::Status,
    },
    market::{ListingView, PriceAsset},
    records::{Receipt, RecordId},
};
use protocol::{
    chain::{self, AccountId},
    terms::Terms,
};
use tokio::time::{Instant, sleep};

use super::{hub::Member, wallet::Said};

/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(250);

/// What the buyer chooses. Times in seconds.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The escrow contract.
    pub escrow: AccountId,
    /// The contract that rules.
    pub arbiter: AccountId,
    /// Its pool.
    pub panel: B256,
    /// From now until the seller's signature is worthless.
    pub fund_within: u64,
    /// From now until an undelivered deal returns to the buyer.
    pub deliver_within: u64,
    /// After delivery.
    pub inspection: u32,
    /// After a dispute; at least the pool's worst case.
    pub ruling: u32,
    /// Basis points.
    pub lapse_share: u16,
    /// Which of the listing's prices, by its place.
    pub price: usize,
}

/// Offers to buy a listing. `now` is the chain's time.
pub async fn offer(member: &Member, listing: &ListingView, wish: &Wish, now: u64) -> Result<Receipt> {
    let price = listing.body.price.get(wish.price).ok_or_else(|| {
        anyhow!("--price {}: the listing has {} prices, counted from 0", wish.price, listing.body.price.len())
    })?;
    let PriceAsset::Chain(asset) = price.asset else {
        bail!(
            "--price {}: a price in time credits is not paid through an escrow: choose another",
            wish.price
        );
    };
    let seller = listing
        .body
        .pay_to
        .ok_or_else(|| anyhow!("the listing names no pay_to wallet: it is not sold through an escrow"))?;
    let agreement = serde_json::to_value(Agreement {
        listing: listing.id,
        buyer: member.account,
        seller: listing.seller,
        price: Price { asset, amount: price.amount },
        deliverable: listing.body.title.clone(),
    })?;
    let terms = Terms {
        escrow: wish.escrow,
        buyer: member.profile.wallet.account(wish.escrow.chain)?,
        seller,
        arbiter: wish.arbiter,
        asset,
        amount: price.amount,
        fund_by: now.saturating_add(wish.fund_within),
        deliver_by: now.saturating_add(wish.deliver_within),
        inspection: wish.inspection,
        ruling: wish.ruling,
        lapse_share: wish.lapse_share,
        metered: false,
        panel: wish.panel,
        agreement: agreement_hash(&agreement)?,
        salt: B256::from(rand::random::<[u8; 32]>()),
    };
    let body = PurchaseBody { terms, agreement };
    let parties = vec![Audience::Account(member.account), Audience::Account(listing.seller)];
    member.say(&member.draft("purchase@1", &body)?.about(listing.id).only_for(parties)).await
}

/// Accepts an offer: the wallet signs the terms, whose id is computed here and not taken from the hub.
pub async fn accept(member: &Member, purchase: RecordId) -> Result<Receipt> {
    let view = read(member, purchase).await?;
    let terms = &details(&view)?.terms;
    let deal = chain::deal_id(terms)?;
    let (chain, wallet) = (terms.escrow.chain, &member.profile.wallet);
    if terms.seller != wallet.account(chain)? {
        bail!("purchase {purchase}: its seller is {}, not your wallet", terms.seller);
    }
    let body = AcceptanceBody { signature: wallet.sign(chain, Said::Terms(deal))? };
    let draft = member.draft("acceptance@1", &body)?.about(purchase).only_for(parties(&view));
    member.say(&draft).await
}

/// Steps back before funding; the seller declines or withdraws, the buyer withdraws.
pub async fn withdraw(member: &Member, purchase: RecordId, reason: String) -> Result<Receipt> {
    let view = read(member, purchase).await?;
    let draft = member.draft("withdrawal@1", &WithdrawalBody { reason })?;
    member.say(&draft.about(purchase).only_for(parties(&view))).await
}

/// Buyer and seller, as an audience.
pub fn parties(view: &PurchaseView) -> Vec<Audience> {
    vec![Audience::Account(view.buyer), Audience::Account(view.seller)]
}

/// A purchase as the hub shows it to this person.
pub async fn read(member: &Member, purchase: RecordId) -> Result<PurchaseView> {
    member.get(&format!("/v1/purchases/{purchase}")).await
}

/// What only parties and jurors see of it.
pub fn details(view: &PurchaseView) -> Result<&PurchaseDetails> {
    view.details
        .as_ref()
        .ok_or_else(|| anyhow!("purchase {}: its terms are shown to its parties alone", view.id))
}

/// Waits until the hub says that the purchase is in one of these states by final events.
pub async fn wait_for(
    member: &Member,
    purchase: RecordId,
    wanted: &[Status],
    at_most: Duration,
) -> Result<PurchaseView> {
    let started = Instant::now();
    loop {
        let view = read(member, purchase).await?;
        if wanted.contains(&view.status) {
            return Ok(view);
        }
        if started.elapsed() > at_most {
            let wanted: Vec<&str> = wanted.iter().map(|status| status.as_str()).collect();
            bail!(
                "purchase {purchase} is {} after {} s and not {}: see the services' logs",
                view.status.as_str(),
                at_most.as_secs(),
                wanted.join(" or ")
            );
        }
        sleep(LOOK).await;
    }
}
