//! `earnest deal`: the escrow itself, in transactions from one's own wallet.

use std::path::PathBuf;

use alloy::primitives::{B256, Bytes};
use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use hub::{deals::PurchaseView, records::RecordId};
use protocol::{
    chain::{Address, deal_id},
    terms::Terms,
    wire::act::TimeOut,
};
use serde_json::json;

use super::{
    Session, record_id,
    verify_deal::{self, DealArgs},
};
use crate::{
    amount,
    client::{
        acts::{self, Act},
        asks,
        chain::{Chain, Sent},
        hub::Member,
        trade,
    },
};

/// Deals.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Pay the price into the escrow
    #[command(after_help = "Example:\n  earnest --as buyer deal fund zQmPurchase…")]
    Fund(Of),
    /// Say that you delivered
    Deliver {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        how: How,
        /// SHA-256 of what was delivered
        #[arg(long, default_value_t = B256::ZERO)]
        hash: B256,
    },
    /// Let the seller have it
    #[command(
        after_help = "Examples:\n  earnest --as buyer deal release zQmPurchase…              from your wallet\n  \
        earnest --as buyer deal release zQmPurchase… --sponsored  signed by it; the hub's relayer pays"
    )]
    Release {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        how: How,
        /// The seller's total in the smallest unit [default: the whole amount]
        #[arg(long)]
        total: Option<u128>,
    },
    /// Give it back to the buyer
    Refund {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        how: How,
        /// The buyer's total in the smallest unit [default: the whole amount]
        #[arg(long)]
        total: Option<u128>,
    },
    /// Dispute
    Dispute {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        how: How,
        /// SHA-256 of what shows why
        #[arg(long, default_value_t = B256::ZERO)]
        evidence: B256,
    },
    /// Point at evidence, on the chain itself
    Evidence {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        how: How,
        /// SHA-256 of what is shown
        #[arg(long)]
        hash: B256,
        /// Where it can be had, at most 256 bytes
        #[arg(long, default_value = "")]
        uri: String,
    },
    /// Agree to close it at a total of the seller; done when the other party agrees to the same
    #[command(
        after_help = "Signed only, handed to the hub; its relayer sends it once both have signed.\nExample:\n  \
        earnest --as buyer  deal settle zQmPurchase… --total 600\n  \
        earnest --as seller deal settle zQmPurchase… --total 600"
    )]
    Settle {
        /// The purchase
        #[arg(value_parser = record_id)]
        purchase: RecordId,
        /// What the seller has in the end, in the smallest unit
        #[arg(long)]
        total: u128,
        /// For how many seconds you agree
        #[arg(long, default_value_t = DAY)]
        valid_for: u64,
    },
    /// Take what the escrow owes you because a payment failed; signed only, the hub's relayer pays
    Withdraw {
        /// The purchase
        #[arg(value_parser = record_id)]
        purchase: RecordId,
        /// Who is paid [default: you]; for a token on Solana an account of that token
        #[arg(long)]
        to: Option<Address>,
        /// How much in the smallest unit [default: all]
        #[arg(long)]
        amount: Option<u128>,
        /// For how many seconds the signature is good
        #[arg(long, default_value_t = DAY)]
        valid_for: u64,
    },
    /// Have the hub send time-outs for you once their time has come, whoever is awake then
    #[command(
        after_help = "Replaces what you asked for before; without any of them, takes it back.\nExamples:\n  \
        earnest --as seller deal standing zQmPurchase… --claim --lapse\n  \
        earnest --as buyer  deal standing zQmPurchase… --reclaim\n  \
        earnest --as buyer  deal standing zQmPurchase…                 take it back"
    )]
    Standing {
        /// The purchase
        #[arg(value_parser = record_id)]
        purchase: RecordId,
        /// Nobody disputed in time: pay me what is left (seller)
        #[arg(long)]
        claim: bool,
        /// Nothing was delivered in time: give me back what is left (buyer)
        #[arg(long)]
        reclaim: bool,
        /// Nobody ruled in time: close by the share that the terms name
        #[arg(long)]
        lapse: bool,
    },
    /// Not delivered in time: return what is left to the buyer
    Reclaim(Of),
    /// Not disputed in time: pay what is left to the seller
    Claim(Of),
    /// Not ruled in time: close by the share that the terms name
    Lapse(Of),
    /// Not funded yet: make the terms worthless for good, as their seller or their buyer
    #[command(
        after_help = "The seller's signature of terms binds until their fund_by. Whoever wants out before that closes \
        the deal's id,\nwhich nobody can then fund. Funded deals end by release, refund, settling or their \
        time-outs.\nExample:\n  earnest --as seller deal retract zQmPurchase…"
    )]
    Retract(Of),
    /// Show what the escrow says
    Show(Of),
    /// Check a deal without trusting anyone; the same as `earnest verify deal`
    #[command(long_about = verify_deal::ABOUT, after_help = verify_deal::EXAMPLES)]
    Verify(DealArgs),
}

/// For how many seconds what is signed is good, where nothing else is said.
const DAY: u64 = 86_400;

/// Who sends it.
#[derive(Args, Debug)]
pub struct How {
    /// Sign only, and let the hub's relayer send and pay it
    #[arg(long, conflicts_with = "terms")]
    sponsored: bool,
    /// With --sponsored: for how many seconds the signature is good
    #[arg(long, default_value_t = DAY, value_name = "SECONDS")]
    valid_for: u64,
}

/// Which deal: of a purchase at the hub, or by a file with its terms.
#[derive(Args, Debug)]
pub struct Of {
    /// The purchase
    #[arg(value_parser = record_id, required_unless_present = "terms")]
    pub(super) purchase: Option<RecordId>,
    /// A file with the terms (JSON), so that no hub is needed
    #[arg(long, value_name = "FILE", conflicts_with = "purchase")]
    terms: Option<PathBuf>,
    /// With --terms: the seller's signature, for funding
    #[arg(long, value_name = "HEX", requires = "terms")]
    seller_signature: Option<Bytes>,
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Fund(of) => fund(session, &of).await,
        Verb::Show(of) => show(session, &of).await,
        Verb::Verify(arguments) => verify_deal::run(session, arguments).await,
        Verb::Reclaim(of) => send(session, &of, |_| Act::Reclaim).await,
        Verb::Claim(of) => send(session, &of, |_| Act::Claim).await,
        Verb::Lapse(of) => send(session, &of, |_| Act::Lapse).await,
        Verb::Retract(of) => send(session, &of, |_| Act::Retract).await,
        Verb::Deliver { of, how, hash } => either(session, &of, &how, |_| Act::Deliver(hash)).await,
        Verb::Dispute { of, how, evidence } => either(session, &of, &how, |_| Act::Dispute(evidence)).await,
        Verb::Evidence { of, how, hash, uri } => {
            either(session, &of, &how, |_| Act::Evidence(hash, uri)).await
        }
        Verb::Release { of, how, total } => {
            either(session, &of, &how, |terms| Act::Release(total.unwrap_or(terms.amount))).await
        }
        Verb::Refund { of, how, total } => {
            either(session, &of, &how, |terms| Act::Refund(total.unwrap_or(terms.amount))).await
        }
        Verb::Settle { purchase, total, valid_for } => {
            let (member, view, chain) = seen(session, purchase).await?;
            let me = member.profile.wallet.address(chain.id())?;
            let until = chain.now().await?.saturating_add(valid_for);
            let act = asks::settlement(&chain, &view, me, total, until).await?;
            session.accepted("settlement", &asks::ask(&member, &view, act).await?)
        }
        Verb::Withdraw { purchase, to, amount, valid_for } => {
            let (member, view, chain) = seen(session, purchase).await?;
            let me = member.profile.wallet.address(chain.id())?;
            let until = chain.now().await?.saturating_add(valid_for);
            let act = asks::withdrawal(&chain, &view, me, to.unwrap_or(me), amount, until).await?;
            session.accepted("withdrawal", &asks::ask(&member, &view, act).await?)
        }
        Verb::Standing { purchase, claim, reclaim, lapse } => {
            let member = session.member().await?;
            let view = trade::read(&member, purchase).await?;
            let asked = [(claim, TimeOut::Claim), (reclaim, TimeOut::Reclaim), (lapse, TimeOut::Lapse)];
            let wanted = asked.into_iter().filter(|(wanted, _)| *wanted).map(|(_, time_out)| time_out);
            let receipt = asks::stand(&member, &view, wanted.collect()).await?;
            session.accepted("standing order", &receipt)
        }
    }
}

pub(super) async fn terms(session: &Session, of: &Of) -> Result<(Terms, Option<Bytes>)> {
    if let Some(file) = &of.terms {
        let text = std::fs::read_to_string(file).with_context(|| format!("--terms {}", file.display()))?;
        let terms = serde_json::from_str(&text).with_context(|| format!("--terms {}", file.display()))?;
        return Ok((terms, of.seller_signature.clone()));
    }
    let purchase = of.purchase.ok_or_else(|| anyhow!("name a purchase, or --terms FILE"))?;
    let view = trade::read(&session.member().await?, purchase).await?;
    let details = trade::details(&view)?;
    Ok((details.terms.clone(), details.seller_signature.clone()))
}

async fn fund(session: &Session, of: &Of) -> Result<()> {
    let (terms, signature) = terms(session, of).await?;
    let signature = signature.ok_or_else(|| {
        anyhow!("the seller has not signed the terms yet: wait until the purchase is created")
    })?;
    let purse = session.purse_on(terms.escrow.chain).await?;
    told(session, &terms, &acts::fund(&purse, &terms, signature).await?)
}

/// From the person's wallet, or by the hub's relayer.
async fn either(session: &Session, of: &Of, how: &How, act: impl FnOnce(&Terms) -> Act) -> Result<()> {
    if !how.sponsored {
        return send(session, of, act).await;
    }
    let purchase = of.purchase.ok_or_else(|| anyhow!("--sponsored: name the purchase"))?;
    let (member, view, chain) = seen(session, purchase).await?;
    let act = act(&trade::details(&view)?.terms);
    let until = chain.now().await?.saturating_add(how.valid_for);
    let signable = asks::signable(&act, until);
    let signable = signable.ok_or_else(|| anyhow!("--sponsored: {} has no signed form", act.name()))?;
    session.accepted(act.name(), &asks::ask(&member, &view, signable).await?)
}

/// The person, the purchase and a node of its chain.
async fn seen(session: &Session, purchase: RecordId) -> Result<(Member, PurchaseView, Chain)> {
    let member = session.member().await?;
    let view = trade::read(&member, purchase).await?;
    let chain = session.chain_for(trade::details(&view)?.terms.escrow.chain).await?;
    Ok((member, view, chain))
}

async fn send(session: &Session, of: &Of, act: impl FnOnce(&Terms) -> Act) -> Result<()> {
    let (terms, _) = terms(session, of).await?;
    let act = act(&terms);
    let purse = session.purse_on(terms.escrow.chain).await?;
    told(session, &terms, &[acts::act(&purse, &terms, act).await?])
}

pub(super) fn told(session: &Session, terms: &Terms, sent: &[Sent]) -> Result<()> {
    let deal = deal_id(terms)?;
    let rows = sent
        .iter()
        .map(|one| {
            vec![
                one.what.clone(),
                one.transaction.to_string(),
                one.block.to_string(),
                amount::coins(terms.escrow.chain, one.fee_paid),
            ]
        })
        .collect();
    let value = json!({ "deal": deal, "transactions": sent });
    session.output.many(&value, &["what", "transaction", "block", "fee (coins)"], rows)
}

async fn show(session: &Session, of: &Of) -> Result<()> {
    let (terms, _) = terms(session, of).await?;
    let deal = deal_id(&terms)?;
    let state = session.chain_for(terms.escrow.chain).await?.deal_state(&terms, deal).await?;
    let status = state.status.to_string();
    let value = json!({
        "deal": deal, "escrow": terms.escrow, "status": status, "released": state.released.to_string(), "refunded": state.refunded.to_string(),
        "funded_at": state.funded_at.to_string(), "since": state.since.to_string(),
        "events": state.count, "terms": terms,
    });
    session.output.one(
        &value,
        &[
            ("deal", deal.to_string()),
            ("escrow", terms.escrow.to_string()),
            ("status", status),
            ("amount", amount::of(&terms.asset, terms.amount)),
            ("to the seller", amount::of(&terms.asset, state.released)),
            ("to the buyer", amount::of(&terms.asset, state.refunded)),
        ],
    )
}
