//! A dispute: what the parties show, and how a juror votes.

use std::time::Duration;

use alloy::primitives::{B256, Bytes};
use anyhow::{Result, anyhow, bail};
use hub::{
    deals::PurchaseView,
    disputes::{
        CaseView, JuryView,
        case::Stage,
        model::{AppealBody, BallotBody, EvidenceBody, RecusalBody},
    },
    records::{Receipt, RecordId},
};
use protocol::{
    chain::{self, Address},
    terms::Terms,
};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::{hub::Member, trade, wallet::Said};

/// Between two looks at a case that is waited for.
const LOOK: Duration = Duration::from_millis(250);

/// SHA-256, as evidence, deliveries and reasons are named on chain.
pub fn hash_of(bytes: &[u8]) -> B256 {
    B256::from_slice(&Sha256::digest(bytes))
}

/// Shows evidence at the hub, to the parties and the jurors.
pub async fn show(
    member: &Member,
    purchase: &PurchaseView,
    hash: B256,
    uri: String,
    note: String,
) -> Result<Receipt> {
    let draft = member.draft("evidence@1", &EvidenceBody { hash, uri, note })?;
    member.say(&draft.about(purchase.id).only_for(trade::parties(purchase))).await
}

/// The case of a purchase.
pub async fn case(member: &Member, purchase: RecordId) -> Result<CaseView> {
    member.get(&format!("/v1/purchases/{purchase}/case")).await
}

/// Waits until the case is at least this far; a case that is not there yet is waited for too.
pub async fn wait_for(
    member: &Member,
    purchase: RecordId,
    stage: Stage,
    at_most: Duration,
) -> Result<CaseView> {
    let reached = |at: Stage| Stage::ALL.iter().position(|one| *one == at);
    let started = Instant::now();
    loop {
        let seen = case(member, purchase).await;
        match seen {
            Ok(view) if reached(view.stage) >= reached(stage) => return Ok(view),
            Err(error) if started.elapsed() > at_most => return Err(error),
            Ok(view) if started.elapsed() > at_most => bail!(
                "the case of purchase {purchase} is {:?} after {} s: see the services' logs",
                view.stage,
                at_most.as_secs()
            ),
            _ => sleep(LOOK).await,
        }
    }
}

/// Votes: the wallet signs the ballot, bound to this case and jury. `share` is the seller's, in basis points.
pub async fn vote(member: &Member, purchase: RecordId, share: u16, reason: String) -> Result<Receipt> {
    let case = case(member, purchase).await?;
    let (chain, wallet) = (case.arbiter.chain, &member.profile.wallet);
    let (jury, seat) = seat_of(&case, wallet.address(chain)?)?;
    let id = jury.case_id.ok_or_else(|| anyhow!("purchase {purchase}: no jury is drawn yet"))?;
    let mut ballot = BallotBody { jury: jury.jury, seat, share, reason, signature: Bytes::new() };
    let said = Said::Ballot { arbiter: case.arbiter, case: id, share, reason: ballot.reason_hash() };
    ballot.signature = wallet.sign(chain, said)?;
    let to_myself = vec![hub::access::Audience::Account(member.account)];
    member.say(&member.draft("ballot@1", &ballot)?.about(purchase).only_for(to_myself)).await
}

/// Steps aside as a juror, for the parties to read why.
pub async fn recuse(member: &Member, purchase: &PurchaseView, reason: String) -> Result<Receipt> {
    let draft = member.draft("recusal@1", &RecusalBody { reason })?;
    member.say(&draft.about(purchase.id).only_for(trade::parties(purchase))).await
}

/// The wallet's seat, on a jury of the instance that hears the case now.
fn seat_of(case: &CaseView, wallet: Address) -> Result<(&JuryView, u8)> {
    let present = case.juries.last().map(|last| last.instance);
    case.juries
        .iter()
        .filter(|jury| Some(jury.instance) == present)
        .find_map(|jury| jury.seats.iter().find(|seat| seat.juror == wallet).map(|seat| (jury, seat.seat)))
        .ok_or_else(|| anyhow!("purchase {}: your wallet {wallet} has no seat on the jury", case.purchase))
}

/// Hands a signed appeal to the hub, whose relayer carries it to the chain. It is worth nothing once the time for appeal is
/// over.
pub async fn appeal(member: &Member, purchase: &PurchaseView, terms: &Terms) -> Result<Receipt> {
    let case = case(member, purchase.id).await?;
    let valid_until = case
        .rulings
        .last()
        .ok_or_else(|| anyhow!("purchase {}: no ruling is accepted yet", purchase.id))?
        .appeal_until
        .ok_or_else(|| anyhow!("purchase {}: its ruling cannot be appealed", purchase.id))?;
    let said = Said::Appeal { arbiter: terms.arbiter, deal: chain::deal_id(terms)?, valid_until };
    let body = AppealBody { valid_until, signature: member.profile.wallet.sign(terms.escrow.chain, said)? };
    let draft = member.draft("appeal@1", &body)?;
    member.say(&draft.about(purchase.id).only_for(trade::parties(purchase))).await
}
