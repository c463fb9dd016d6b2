//! The two sample trades on a chain, made as anyone would make them: through the hub's HTTP and the chain's JSON-RPC.

use std::time::{Duration, Instant};

use alloy::primitives::{B256, U256};
use anyhow::{Result, anyhow, bail};
use hub::{
    deals::{PurchaseView, status::Status},
    disputes::case::Stage,
    records::RecordId,
    reputation::model::Form,
};
use protocol::{chain::ChainId, terms::Terms, wire::view::DealTransaction};
use serde::Serialize;
use serde_json::Value;

use super::{
    progress::{Progress, Step},
    sample::{Person, Sample},
};
use crate::{
    amount,
    client::{
        acts::{self, Act},
        chain::{Chain, Sent},
        credential, dispute, trade,
    },
};

/// The longest wait for what the services do by themselves, restarts included.
const WAIT: Duration = Duration::from_secs(120);
/// A party ruled at 0 % gets nothing.
const NOTHING: u16 = 0;

/// A trade that is over, and what it proves.
#[derive(Debug, Serialize)]
pub struct Trade {
    name: &'static str,
    chain: ChainId,
    purchase: RecordId,
    deal: B256,
    status: Status,
    /// What the parties sent.
    transactions: Vec<Sent>,
    /// Everything that the chain says about the deal, by whoever sent it.
    events: Vec<DealTransaction>,
    payouts: Payouts,
    balances: Balances,
    credentials: Vec<Value>,
    steps: Vec<Step>,
    milliseconds: u64,
    blocks: u64,
}

/// What the escrow paid, in the coin's smallest unit as decimal strings.
#[derive(Debug, Serialize)]
struct Payouts {
    seller: String,
    buyer: String,
}

#[derive(Debug, Serialize)]
struct Balances {
    seller: Balance,
    buyer: Balance,
}

/// A wallet's balance before and after, in the coin's smallest unit as decimal strings: after = before + change - fees - rent.
#[derive(Debug, Serialize)]
struct Balance {
    wallet: String,
    before: String,
    after: String,
    fees_paid: String,
    rent_paid: String,
    change: String,
}

/// A trade under way.
struct Course<'a> {
    sample: &'a Sample,
    progress: &'a Progress,
    purchase: RecordId,
    terms: Terms,
    sent: Vec<Sent>,
    steps: usize,
    started: Instant,
    first_block: u64,
    before: (U256, U256),
}

pub(super) async fn run(sample: &Sample, progress: &Progress) -> Result<Vec<Trade>> {
    progress.say("\nA trade that both are happy with");
    let completed = completed(sample, progress).await?;
    progress.say("\nA trade that ends before a jury");
    let disputed = disputed(sample, progress).await?;
    Ok(vec![completed, disputed])
}

async fn completed(sample: &Sample, progress: &Progress) -> Result<Trade> {
    let Sample { chain, buyer, seller, .. } = sample;
    let mut course = Course::begin(sample, progress).await?;
    let delivery = Act::Deliver(dispute::hash_of(b"The bicycle stands in front of your door."));
    course.act(seller, "the seller delivers", delivery).await?;
    course.act(buyer, "the buyer releases the whole price", Act::Release(course.terms.amount)).await?;
    let view = course.settled(Status::Completed).await?;
    let issue = async {
        credential::issue(&buyer.member, chain, &view, Form::default()).await?;
        credential::issue(&seller.member, chain, &view, Form::default()).await
    };
    progress.step("both issue credentials", issue).await?;
    course.end("completed", &view, 2).await
}

async fn disputed(sample: &Sample, progress: &Progress) -> Result<Trade> {
    let Sample { buyer, seller, .. } = sample;
    let mut course = Course::begin(sample, progress).await?;
    let purchase = course.purchase;
    let photo = dispute::hash_of(b"photo of a broken chain");
    course.act(buyer, "the buyer disputes", Act::Dispute(photo)).await?;
    let disputed = trade::wait_for(&buyer.member, purchase, &[Status::Disputed], WAIT);
    let view = progress.step("the hub learns that the dispute is final", disputed).await?;
    let show = async {
        let uri = "https://example.org/broken-chain.jpg".to_owned();
        let note = "The chain broke on the first ride.".to_owned();
        dispute::show(&buyer.member, &view, photo, uri, note).await?;
        let receipt = dispute::hash_of(b"receipt of a new chain");
        let uri = "https://example.org/receipt.pdf".to_owned();
        dispute::show(&seller.member, &view, receipt, uri, "I put on a new chain.".to_owned()).await
    };
    progress.step("both show evidence", show).await?;
    let drawn = dispute::wait_for(&buyer.member, purchase, Stage::Drawn, WAIT);
    let case = progress.step("the relayer opens the case and draws a jury", drawn).await?;
    let vote = async {
        for seat in case.juries.iter().flat_map(|jury| &jury.seats) {
            let juror = sample.jurors.iter().find(|juror| seat.juror == juror.purse.address());
            let juror = juror.ok_or_else(|| anyhow!("{} was drawn and is no sample juror", seat.juror))?;
            dispute::vote(&juror.member, purchase, NOTHING, "The chain broke at once.".to_owned()).await?;
            progress.say(&format!("  {} votes in seat {}", juror.name(), seat.seat));
        }
        Ok(())
    };
    progress.step("the jurors vote: nothing for the seller", vote).await?;
    let view = course.settled(Status::Refunded).await?;
    course.end("disputed", &view, 1).await
}

impl<'a> Course<'a> {
    /// From the offer to the funded deal.
    async fn begin(sample: &'a Sample, progress: &'a Progress) -> Result<Self> {
        let Sample { chain, buyer, seller, .. } = sample;
        let (steps, started) = (progress.steps().len(), Instant::now());
        let first_block = chain.height().await?;
        let before = balances(chain, buyer, seller, first_block).await?;
        let now = chain.now().await?;
        let wish = sample.wish();
        let offer = trade::offer(&buyer.member, &sample.listing, &wish, now);
        let purchase = progress.step("the buyer offers", offer).await?.id;
        progress
            .step("the seller accepts and signs the terms", trade::accept(&seller.member, purchase))
            .await?;
        let view = trade::read(&buyer.member, purchase).await?;
        let details = trade::details(&view)?;
        let signature = details
            .seller_signature
            .clone()
            .ok_or_else(|| anyhow!("the hub keeps the seller's signature from the buyer"))?;
        let terms = details.terms.clone();
        let fund = acts::fund(&buyer.purse, &terms, signature);
        let sent = progress.step("the buyer funds the deal", fund).await?;
        let mut course =
            Self { sample, progress, purchase, terms, sent: Vec::new(), steps, started, first_block, before };
        for sent in sent {
            course.note(sent);
        }
        progress.say(&format!("  deal {}", view.deal));
        Ok(course)
    }

    fn note(&mut self, sent: Sent) {
        self.progress.say(&format!("  {}: {} in block {}", sent.what, sent.transaction, sent.block));
        self.sent.push(sent);
    }

    async fn act(&mut self, person: &Person, what: &str, act: Act) -> Result<()> {
        let sent = self.progress.step(what, acts::act(&person.purse, &self.terms, act)).await?;
        self.note(sent);
        Ok(())
    }

    async fn settled(&self, wanted: Status) -> Result<PurchaseView> {
        let both = [Status::Completed, Status::Refunded];
        let settled = trade::wait_for(&self.sample.buyer.member, self.purchase, &both, WAIT);
        let view = self.progress.step("the hub learns that the deal is closed for good", settled).await?;
        if view.status != wanted {
            bail!("purchase {} is {} and not {}", view.id, view.status.as_str(), wanted.as_str());
        }
        Ok(view)
    }

    /// Reads what happened from the chain and checks it against the terms.
    async fn end(self, name: &'static str, view: &PurchaseView, credentials: usize) -> Result<Trade> {
        let Sample { chain, buyer, seller, .. } = self.sample;
        let details = trade::details(view)?;
        let (released, refunded) = (details.released, details.refunded);
        let last = chain.height().await?;
        let after = balances(chain, buyer, seller, last).await?;
        let of = |person: &Person, before, after, change| self.balance(person, before, after, change);
        let seller_balance = of(seller, self.before.1, after.1, signed(released, 0)?)?;
        let buyer_balance = of(buyer, self.before.0, after.0, signed(refunded, self.terms.amount)?)?;
        let held = credential::of_purchase(&buyer.member, view).await?;
        if held.len() != credentials {
            bail!("purchase {}: {} credentials, {credentials} expected", view.id, held.len());
        }
        for one in &held {
            self.progress.say(&format!("  {} about {}", one.kind, one.subject));
        }
        let paid = if released > 0 { ("seller", released) } else { ("buyer", refunded) };
        self.progress.say(&format!(
            "  {}: the {} got {}",
            view.status.as_str(),
            paid.0,
            amount::of(&self.terms.asset, paid.1)
        ));
        let milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Trade {
            name,
            chain: chain.id(),
            purchase: view.id,
            deal: view.deal,
            status: view.status,
            payouts: Payouts { seller: released.to_string(), buyer: refunded.to_string() },
            balances: Balances { seller: seller_balance, buyer: buyer_balance },
            credentials: held.into_iter().map(|one| one.credential).collect(),
            steps: self.progress.steps().split_off(self.steps),
            milliseconds,
            blocks: last.saturating_sub(self.first_block),
            events: details.transactions.clone(),
            transactions: self.sent,
        })
    }

    fn balance(&self, person: &Person, before: U256, after: U256, change: i128) -> Result<Balance> {
        let own = || self.sent.iter().filter(|sent| sent.from == person.purse.address());
        let fees = own().map(|sent| sent.fee_paid).fold(0, u128::saturating_add);
        let rent = own().map(|sent| sent.rent_paid).fold(0, u128::saturating_add);
        let expected = if change < 0 {
            before.checked_sub(U256::from(change.unsigned_abs()))
        } else {
            before.checked_add(U256::from(change.unsigned_abs()))
        };
        let expected =
            expected.and_then(|balance| balance.checked_sub(U256::from(fees.saturating_add(rent))));
        if expected != Some(after) {
            bail!(
                "{}: balance {after}, and {before} + {change} - {fees} of fees - {rent} of rent was expected",
                person.name()
            );
        }
        Ok(Balance {
            wallet: person.purse.address().to_string(),
            before: before.to_string(),
            after: after.to_string(),
            fees_paid: fees.to_string(),
            rent_paid: rent.to_string(),
            change: change.to_string(),
        })
    }
}

/// Buyer's and seller's balance after a block.
async fn balances(chain: &Chain, buyer: &Person, seller: &Person, block: u64) -> Result<(U256, U256)> {
    Ok((
        chain.balance_after(buyer.purse.address(), block).await?,
        chain.balance_after(seller.purse.address(), block).await?,
    ))
}

fn signed(plus: u128, minus: u128) -> Result<i128> {
    let (plus, minus) = (i128::try_from(plus)?, i128::try_from(minus)?);
    plus.checked_sub(minus).ok_or_else(|| anyhow!("an amount beyond 127 bits"))
}
