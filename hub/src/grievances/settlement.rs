//! Deals that are open on a chain. The hub moves nothing of them: a mediator proposes, and the chain closes a deal by what both
//! parties have signed or by its jury's ruling. What its final events say ends the grievance.

use protocol::wire::{
    act::PartyAct,
    feed::{EventBody, FeedEntry, Finality},
};
use service::db::Write;
use sqlx::AnyConnection;

use super::{
    api::NextStep,
    model::{Ending, Outcome},
    room::tell,
    store::{self, Grievance, Resolution, corrupt},
    subject::Deal,
    table::{self, Action, Actor, Next, State},
};
use crate::{
    communities::{self, Scope},
    deals::{
        acts::ActBody,
        events,
        status::Status,
        store::{self as purchases, Purchase},
    },
    error::{Error, Refusal},
    ledger::model::{AMOUNT_MAX, Asset},
    records::{Accepted, RecordId},
};

/// The deal of a purchase, where it is funded and nobody has disputed it, and where the pool that its terms name serves everybody or this
/// community.
///
/// # Errors
/// [`Error::Refused`]: `not_open`, `other_community`, `amount`; the database fails.
pub(super) async fn open(
    on: &mut AnyConnection,
    community: &RecordId,
    purchase: &Purchase,
) -> Result<Deal, Error> {
    let Purchase { id, deal, terms, position, .. } = purchase;
    if !matches!(position.status, Status::Funded | Status::Delivered) {
        let told = format!(
            "the deal of {id} is {}: what is funded or delivered is mediated, not what is disputed or over",
            position.status.as_str()
        );
        return Err(Refusal::conflict("not_open", "/body/subject", told).into());
    }
    let pool = communities::pool(on, &terms.arbiter, &terms.panel).await?;
    let serves = |scope: &Scope| matches!(scope, Scope::Public) || *scope == Scope::Community(*community);
    if pool.is_some_and(|pool| !pool.scopes.iter().any(serves)) {
        let told = format!("the pool of {id}, {}, serves another community", terms.panel);
        return Err(Refusal::rule("other_community", "/about", told).into());
    }
    let amount = i128::try_from(terms.amount).ok().filter(|amount| *amount <= AMOUNT_MAX);
    let Some(amount) = amount else {
        let told = format!("the deal of {id} is of {}, and {AMOUNT_MAX} is the most", terms.amount);
        return Err(Refusal::rule("amount", "/body/subject", told).into());
    };
    let Purchase { buyer, seller, .. } = *purchase;
    Ok(Deal { id: *deal, asset: Asset::Chain(terms.asset), buyer, seller, amount })
}

/// How a deal has closed; none while it is open.
async fn ending(on: &mut AnyConnection, purchase: &Purchase) -> Result<Option<Ending>, Error> {
    if purchase.position.closing.is_none() {
        return Ok(None);
    }
    let ends = events::named(on, purchase.deal, &["Settled", "Ruled"]).await?;
    let ended = ends.iter().find_map(|event| match event.body {
        _ if event.contract != purchase.terms.escrow => None,
        EventBody::Settled { .. } => Some(Ending::Settled),
        EventBody::Ruled { .. } => Some(Ending::Ruled),
        _ => None,
    });
    Ok(Some(ended.unwrap_or(Ending::Closed)))
}

/// What comes of a deal's totals for this complainant.
fn outcome(deal: &Deal, complainant: RecordId, purchase: &Purchase) -> Result<Outcome, Error> {
    let position = &purchase.position;
    let theirs = if complainant == deal.seller { position.released } else { position.refunded };
    Ok(Outcome::of_settlement(i128::try_from(theirs).map_err(corrupt)?, deal.amount))
}

/// What a `chain-event@1` means for the grievances about its deal, after the deal itself has moved: a dispute escalates them, and they
/// end with the deal.
///
/// # Errors
/// The database fails.
pub(crate) async fn follow(write: &mut Write, accepted: &Accepted) -> Result<(), Error> {
    let on = write.on();
    let about = accepted.record.about()?;
    let mut open = store::open_about(on, &about).await?;
    open.retain(|one| one.subject.deal.is_some());
    if open.is_empty() {
        return Ok(());
    }
    let Some(purchase) = purchases::by_id(on, &about).await? else { return Ok(()) };
    let ending = ending(on, &purchase).await?;
    let action = match ending {
        Some(_) => Action::Close,
        None if purchase.position.status == Status::Disputed => Action::Dispute,
        None => return Ok(()),
    };
    let FeedEntry { finality, event, .. } = accepted.record.body_as()?;
    let disputes = finality == Finality::Final && matches!(event.body, EventBody::Disputed { .. });
    for mut grievance in open {
        let Some(deal) = grievance.subject.deal else { continue };
        match table::next(grievance.state, action, Actor::Hub) {
            Next::To(to, _) => (grievance.state, grievance.due_at) = (to, None),
            _ if disputes => {}
            _ => continue,
        }
        if disputes {
            // What was signed before names another status of the deal, and is worthless.
            grievance.accepted = None;
        }
        if let Some(ending) = ending {
            let outcome = Some(outcome(&deal, grievance.complainant, &purchase)?);
            let at = accepted.received_at;
            grievance.resolution = Some(Resolution { ending, outcome, at, unexecuted: None });
        }
        store::put(on, &grievance).await?;
        tell(on, &grievance, &[]).await?;
    }
    Ok(())
}

/// Keeps that a party has accepted what is proposed for its deal, where that is what its `act@1` settles it at.
///
/// # Errors
/// The database fails.
pub(crate) async fn signed(write: &mut Write, accepted: &Accepted) -> Result<(), Error> {
    let ActBody { act, .. } = accepted.record.body_as()?;
    let PartyAct::Settle { seller_total, .. } = act else { return Ok(()) };
    let on = write.on();
    for mut grievance in store::open_about(on, &accepted.record.about()?).await? {
        let (Some(deal), Some(proposed)) = (grievance.subject.deal, grievance.proposed) else { continue };
        let total = deal.sellers(grievance.complainant, proposed.outcome);
        if grievance.accepted.is_some() || u128::try_from(total) != Ok(seller_total) {
            continue;
        }
        grievance.accepted = Some(accepted.record.account());
        store::put(on, &grievance).await?;
        tell(on, &grievance, &[]).await?;
    }
    Ok(())
}

/// What is to be done about the deal; none where it is about none, and when it is over.
pub(super) async fn next(on: &mut AnyConnection, grievance: &Grievance) -> Result<Option<NextStep>, Error> {
    if grievance.subject.deal.is_none() {
        return Ok(None);
    }
    Ok(match grievance.state {
        State::Filed | State::Mediation => Some(NextStep::Mediate),
        State::Proposed => Some(NextStep::Sign),
        State::Escalated | State::Voting => {
            let purchase = purchases::by_id(on, &grievance.body.subject).await?;
            let disputed = purchase.is_some_and(|one| one.position.status == Status::Disputed);
            Some(if disputed { NextStep::AwaitRuling } else { NextStep::Dispute })
        }
        State::Resolved => None,
    })
}
