//! `earnest purchase`: offers, and what becomes of them.

use alloy::primitives::B256;
use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use hub::{
    deals::{IntentView, PurchaseView, status::Status},
    market::{ListingView, PriceAsset},
    page::Page,
    records::RecordId,
};
use protocol::{
    chain::{AccountId, ChainId},
    wire::{feed::Finality, intent::IntentProgress, view::DealTransaction},
};

use super::{Session, query, record_id, word};
use crate::{
    amount,
    client::trade::{self, Wish},
};

/// Purchases.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Offer to buy a listing
    #[command(
        after_help = "The terms are fixed here and signed by the seller; the deal's id is their hash.\nExample:\n  \
        earnest --as buyer purchase offer zQmListing…"
    )]
    Offer(Box<Offer>),
    /// Accept an offer for a listing of yours: your wallet signs the terms
    Accept {
        /// The purchase
        #[arg(value_parser = record_id)]
        id: RecordId,
    },
    /// Show a purchase
    Show {
        /// The purchase
        #[arg(value_parser = record_id)]
        id: RecordId,
    },
    /// List the chain's events about the deal of a purchase and their transactions; `show` has the first hundred
    Transactions {
        /// The purchase
        #[arg(value_parser = record_id)]
        id: RecordId,
        /// `next` of the page before
        #[arg(long)]
        after: Option<u64>,
    },
    /// List your purchases and sales, the newest first
    List {
        /// offered, created, funded, delivered, disputed, confirmed, completed, refunded, declined or withdrawn
        #[arg(long, value_parser = word::<Status>)]
        status: Option<Status>,
        /// `next` of the page before
        #[arg(long)]
        after: Option<u64>,
    },
    /// Step back before the deal is funded, or decline an offer
    Withdraw {
        /// The purchase
        #[arg(value_parser = record_id)]
        id: RecordId,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// What the buyer fixes.
#[derive(Args, Debug)]
pub struct Offer {
    /// The listing
    #[arg(value_parser = record_id)]
    listing: RecordId,
    /// The pool that may rule [default: the listing's, else that of `earnest up`]
    #[arg(long)]
    panel: Option<B256>,
    /// The contract that rules [default: as for --panel]
    #[arg(long, value_name = "CAIP-10")]
    arbiter: Option<AccountId>,
    /// The escrow [default: as `earnest up` deployed it]
    #[arg(long, value_name = "CAIP-10")]
    escrow: Option<AccountId>,
    /// Which of the listing's prices, counted from 0
    #[arg(long, default_value_t = 0)]
    price: usize,
    /// Seconds from now until the offer can no longer be funded
    #[arg(long, default_value_t = 86_400)]
    fund_within: u64,
    /// Seconds from now until an undelivered deal returns to you
    #[arg(long, default_value_t = 7 * 86_400)]
    deliver_within: u64,
    /// Seconds after delivery in which to release or dispute
    #[arg(long, default_value_t = 3 * 86_400)]
    inspection: u32,
    /// Seconds after a dispute in which the pool must have ruled
    #[arg(long, default_value_t = 14 * 86_400)]
    ruling: u32,
    /// The seller's share if no ruling comes in time, in basis points
    #[arg(long, default_value_t = 5_000)]
    lapse_share: u16,
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Offer(offer) => {
            let member = session.member().await?;
            let listing: ListingView = member.get(&format!("/v1/listings/{}", offer.listing)).await?;
            let proposed = listing.body.panel;
            // The deal is where its price is paid.
            let paid_in = listing.body.price.get(offer.price).map(|price| price.asset);
            let chain = match (offer.escrow, paid_in) {
                (Some(escrow), _) => escrow.chain,
                (None, Some(PriceAsset::Chain(asset))) => asset.chain,
                (None, _) => session.chain().await?.id(),
            };
            let panel = match (offer.panel, proposed) {
                (Some(panel), _) => panel,
                (None, Some(proposed)) => proposed.panel,
                (None, None) => session.panel(chain)?.ok_or_else(|| {
                    anyhow!(
                        "--panel is missing: the listing proposes no pool, so name one that serves you both"
                    )
                })?,
            };
            let wish = Wish {
                escrow: session.contract_on("--escrow", offer.escrow, chain, |side| side.escrow)?,
                arbiter: session.contract_on(
                    "--arbiter",
                    offer.arbiter.or(proposed.map(|pool| pool.arbiter)),
                    chain,
                    |side| side.arbiter,
                )?,
                panel,
                fund_within: offer.fund_within,
                deliver_within: offer.deliver_within,
                inspection: offer.inspection,
                ruling: offer.ruling,
                lapse_share: offer.lapse_share,
                price: offer.price,
            };
            let now = session.chain_for(chain).await?.now().await?;
            session.accepted("purchase", &trade::offer(&member, &listing, &wish, now).await?)
        }
        Verb::Accept { id } => {
            let receipt = trade::accept(&session.member().await?, id).await?;
            session.accepted("acceptance", &receipt)
        }
        Verb::Withdraw { id, reason } => {
            let receipt = trade::withdraw(&session.member().await?, id, reason).await?;
            session.accepted("withdrawal", &receipt)
        }
        Verb::Show { id } => {
            let view = trade::read(&session.member().await?, id).await?;
            session.output.one(&view, &lines(&view))
        }
        Verb::Transactions { id, after } => {
            let after = after.map(|after| after.to_string());
            let path = query(&format!("/v1/purchases/{id}/transactions"), &[("after", after)]);
            let page: Page<DealTransaction> = session.member().await?.get(&path).await?;
            let rows = page.items.iter().map(|one| {
                let finality = settled(one.finality).to_owned();
                vec![one.name.clone(), one.block_number.to_string(), finality, one.transaction.to_string()]
            });
            let heading = ["event", "block", "finality", "transaction"];
            session.output.many(&page, &heading, rows.collect())?;
            session.output.more(page.next.as_deref())
        }
        Verb::List { status, after } => {
            let status = status.map(|status| status.as_str().to_owned());
            let after = after.map(|after| after.to_string());
            let path = query("/v1/purchases", &[("status", status), ("after", after)]);
            let page: Page<PurchaseView> = session.member().await?.get(&path).await?;
            let rows = page
                .items
                .iter()
                .map(|one| vec![one.id.to_string(), one.status.as_str().to_owned(), one.deal.to_string()]);
            session.output.many(&page, &["purchase", "status", "deal"], rows.collect())
        }
    }
}

/// How settled an event is, in the words of `--json`.
const fn settled(finality: Finality) -> &'static str {
    match finality {
        Finality::Seen => "seen",
        Finality::Safe => "safe",
        Finality::Final => "final",
        Finality::Retracted => "retracted",
    }
}

/// A purchase for people.
fn lines(view: &PurchaseView) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("purchase", view.id.to_string()),
        ("status", view.status.as_str().to_owned()),
        ("listing", view.listing.to_string()),
        ("buyer", view.buyer.to_string()),
        ("seller", view.seller.to_string()),
        ("deal", view.deal.to_string()),
    ];
    if let Some(seen) = view.provisional {
        lines.push(("provisional", seen.status.as_str().to_owned()));
    }
    if let Some(details) = &view.details {
        let terms = &details.terms;
        lines.push(("amount", amount::of(&terms.asset, terms.amount)));
        lines.push(("to the seller", amount::of(&terms.asset, details.released)));
        lines.push(("to the buyer", amount::of(&terms.asset, details.refunded)));
        for one in &details.transactions {
            lines.push(("event", format!("{} in block {}: {}", one.name, one.block_number, one.transaction)));
        }
        for intent in &details.intents {
            lines.push(("asked of the relayer", asked(terms.escrow.chain, intent)));
        }
        for one in &details.acts {
            lines.push(("signed", format!("{} by {}", one.act.name(), one.party)));
        }
        for one in &details.standing {
            lines.push(("when its time has come", format!("{} for {}", one.time_out.name(), one.account)));
        }
    }
    lines
}

/// What is asked of the relayer, how far it says it is, and what that costs.
fn asked(chain: ChainId, intent: &IntentView) -> String {
    let far = match &intent.progress {
        None => String::new(),
        Some(IntentProgress::Waiting { reason }) => format!(": waits, {reason}"),
        Some(IntentProgress::Sent { estimate, .. }) => estimate.map_or(": sent".to_owned(), |estimate| {
            format!(": sent, for about {} coins", amount::coins(chain, estimate.cost_now))
        }),
        Some(IntentProgress::Done { .. }) => ": done".to_owned(),
        Some(IntentProgress::Failed { reason }) => format!(": failed, {reason}"),
    };
    format!("{}{far}", intent.key)
}
