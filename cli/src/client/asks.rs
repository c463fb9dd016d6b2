//! What a party asks the hub to have done: signed by its wallet, sent by the hub's relayer.

use alloy::primitives::U256;
use anyhow::{Result, anyhow, bail};
use hub::{
    deals::{
        PurchaseView,
        acts::{ActBody, StandingBody},
    },
    records::Receipt,
};
use protocol::{
    chain::Address,
    deal::Status,
    evm::{address_of, escrow::Escrow, pools::ArbitrationPools},
    solana,
    terms::Terms,
    wire::act::{PartyAct, TimeOut},
};

use super::{acts::Act, chain::Chain, hub::Member, trade, wallet::Said};

/// What a party signs for an act of its own; none where there is no such form.
pub fn signable(act: &Act, valid_until: u64) -> Option<PartyAct> {
    Some(match act {
        Act::Deliver(delivery) => PartyAct::Deliver { delivery: *delivery, valid_until },
        Act::Release(total) => PartyAct::Release { total: *total },
        Act::Refund(total) => PartyAct::Refund { total: *total },
        Act::Dispute(evidence) => PartyAct::Dispute { evidence: *evidence, valid_until },
        Act::Evidence(evidence, uri) => {
            PartyAct::Evidence { evidence: *evidence, uri: uri.clone(), valid_until }
        }
        Act::Reclaim | Act::Claim | Act::Lapse | Act::Retract => return None,
    })
}

/// Signs an act and hands it to the hub.
pub async fn ask(member: &Member, view: &PurchaseView, act: PartyAct) -> Result<Receipt> {
    let terms = &trade::details(view)?.terms;
    let (chain, wallet) = (terms.escrow.chain, &member.profile.wallet);
    let account = wallet.account(chain)?;
    if account != terms.buyer && account != terms.seller {
        bail!("purchase {}: your wallet {account} is neither its buyer nor its seller", view.id);
    }
    let signature = wallet.sign(chain, Said::Act { terms, act: &act })?;
    let draft = member.draft("act@1", &ActBody { act, signature })?;
    member.say(&draft.about(view.id).only_for(trade::parties(view))).await
}

/// Tells the hub which time-outs to send for this person.
pub async fn stand(member: &Member, view: &PurchaseView, time_outs: Vec<TimeOut>) -> Result<Receipt> {
    let draft = member.draft("standing@1", &StandingBody { time_outs })?;
    member.say(&draft.about(view.id).only_for(trade::parties(view))).await
}

/// What to sign in order to close a deal at this total of the seller: what the other party signed already, where it is still
/// good for this and for no longer than `valid_until`, else a new offer as the deal stands now.
///
/// # Errors
/// The deal is not open, or the chain does not answer.
pub async fn settlement(
    chain: &Chain,
    view: &PurchaseView,
    me: Address,
    seller_total: u128,
    valid_until: u64,
) -> Result<PartyAct> {
    let details = trade::details(view)?;
    let terms = &details.terms;
    let state = chain.deal_state(terms, view.deal).await?;
    if !state.status.is_open() {
        bail!("purchase {}: the deal is {}, not open", view.id, state.status);
    }
    let status = Status::ALL.iter().position(|one| *one == state.status);
    let status = status.and_then(|at| u8::try_from(at).ok()).ok_or_else(|| anyhow!("an unknown status"))?;
    // Outside a dispute the escrow asks no arbiter.
    let disputed = state.status == Status::Disputed;
    let rulings = if disputed { rulings(chain, terms, view).await? } else { 0 };
    let now = chain.now().await?;
    let mine = PartyAct::Settle { seller_total, status, rulings, valid_until };
    let offered = details.acts.iter().rev().filter(|one| one.party != me).map(|one| &one.act);
    Ok(offered.into_iter().find(|act| serves(act, &mine, now)).cloned().unwrap_or(mine))
}

/// Whether the other party's offer says what one's own would, is still good, and binds for no longer than that.
fn serves(offered: &PartyAct, mine: &PartyAct, now: u64) -> bool {
    let (
        PartyAct::Settle { valid_until: theirs, seller_total, status, rulings },
        PartyAct::Settle {
            valid_until: until,
            seller_total: my_total,
            status: my_status,
            rulings: my_rulings,
        },
    ) = (offered, mine)
    else {
        return false;
    };
    (seller_total, status, rulings) == (my_total, my_status, my_rulings) && (now..=*until).contains(theirs)
}

/// How many rulings the arbiter of a disputed deal has accepted.
async fn rulings(chain: &Chain, terms: &Terms, view: &PurchaseView) -> Result<u8> {
    match chain {
        Chain::Evm(chain) => {
            let escrow = address_of("escrow", terms.escrow)?;
            let asked = ArbitrationPools::rulingsCall { escrow, deal: view.deal };
            // An arbiter that does not answer counts as none, as the escrow has it; a node that does not is a failure.
            Ok(chain.read_of_any(address_of("arbiter", terms.arbiter)?, &asked).await?.unwrap_or(0))
        }
        Chain::Solana(chain) => Ok(chain.deal(view.deal).await?.map_or(0, |deal| deal.rulings)),
    }
}

/// What to sign in order to take credit: `amount`, or all there is.
pub async fn withdrawal(
    chain: &Chain,
    view: &PurchaseView,
    me: Address,
    to: Address,
    amount: Option<u128>,
    valid_until: u64,
) -> Result<PartyAct> {
    let terms = &trade::details(view)?.terms;
    let (credit, nonce) = match chain {
        Chain::Evm(chain) => {
            let known = |field, address| {
                address_of(field, protocol::chain::AccountId { chain: terms.escrow.chain, address })
            };
            let (escrow, creditor) = (known("escrow", terms.escrow.address)?, known("party", me)?);
            let asset = known("asset", terms.asset.address())?;
            let credit: U256 = chain.read(escrow, &Escrow::creditOfCall { creditor, asset }).await?;
            let nonce: U256 = chain.read(escrow, &Escrow::withdrawalNonceOfCall { creditor }).await?;
            (credit.saturating_to(), nonce.saturating_to())
        }
        Chain::Solana(chain) => {
            let deal = chain.deal(view.deal).await?;
            let deal = deal.ok_or_else(|| anyhow!("purchase {}: the deal has no account", view.id))?;
            if me == solana::from_key(&deal.seller) {
                (deal.seller_credit.into(), deal.seller_withdrawals.into())
            } else {
                (deal.buyer_credit.into(), deal.buyer_withdrawals.into())
            }
        }
    };
    if credit == 0 {
        bail!("purchase {}: the escrow owes {me} nothing", view.id);
    }
    Ok(PartyAct::Withdraw { amount: amount.unwrap_or(credit), to, nonce, valid_until })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_taken_where_it_is_good_and_binds_no_longer_than_asked_for() {
        let (now, until) = (1_000, 2_000);
        let settle = |seller_total, status, rulings, valid_until| PartyAct::Settle {
            seller_total,
            status,
            rulings,
            valid_until,
        };
        let mine = settle(600, 3, 1, until);
        for good in [now, now + 1, until] {
            assert!(serves(&settle(600, 3, 1, good), &mine, now), "{good}");
        }
        let others = [
            settle(601, 3, 1, until),
            settle(600, 2, 1, until),
            settle(600, 3, 0, until),
            settle(600, 3, 1, now - 1),
            settle(600, 3, 1, until + 1),
            PartyAct::Release { total: 600 },
        ];
        for other in others {
            assert!(!serves(&other, &mine, now), "{other:?}");
        }
    }
}
