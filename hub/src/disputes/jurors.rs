//! What concerns jurors alone: who steps aside, and what they are paid when a case is over.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use protocol::chain::{AccountId, Address};
use sqlx::AnyConnection;

use super::{
    case::{Case, Stage},
    model::{self, RecusalBody, Recusing},
    room::{self, Ballots},
    store,
};
use crate::{
    communities,
    deals::store::Purchase,
    error::{Error, Refusal},
    grievances, identity,
    ledger::model::OperationId,
    records::{Accepted, RecordId},
};

/// The first part of a purchase's operations that pays jurors.
const FIRST_PART: u16 = 1_000;

/// `recusal@1`: a juror with an interest in the case steps aside for good.
pub(super) async fn recuse(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let record = &accepted.record;
    let purchase = room::purchase(on, record).await?;
    let body: RecusalBody = record.body_as()?;
    let held = room::open_case(on, &purchase).await?;
    let mut voted = BTreeSet::new();
    for jury in held.as_ref().map(|held| held.case.present()).unwrap_or_default() {
        let ballots = Ballots::of(on, purchase.deal, jury).await?;
        voted.extend(ballots.voted.into_iter().map(|seat| (jury.jury, seat)));
    }
    let wallets = identity::wallets_of(on, &record.account()).await?;
    let gone = store::recused(on, purchase.deal).await?;
    let recusing = Recusing {
        case: held.as_ref().map(|held| &held.case),
        chain: purchase.terms.arbiter.chain,
        wallets: &wallets,
        voted: &voted,
        gone: &gone,
    };
    for wallet in model::check_recusal(&body, &recusing).map_err(Refusal::from)? {
        store::recuse(on, purchase.deal, &wallet, accepted).await?;
    }
    room::tell(on, &purchase, "recusal").await
}

/// Whether somebody with these wallets has a seat in the case of a purchase, and has not stepped aside.
///
/// # Errors
/// The database fails.
pub(crate) async fn sits(
    on: &mut AnyConnection,
    purchase: &Purchase,
    wallets: &[AccountId],
) -> Result<bool, Error> {
    // The same address on another chain may be somebody else's contract.
    let chain = purchase.terms.arbiter.chain;
    let ours = wallets.iter().filter(|wallet| wallet.chain == chain).map(|wallet| wallet.address);
    let ours: Vec<Address> = ours.collect();
    Ok(store::has_seat(on, purchase.deal, &ours).await? && !stands_aside(on, purchase.deal, wallets).await?)
}

/// Whether somebody with these wallets has stepped aside in the case of a deal: then it is as if they had no seat.
///
/// # Errors
/// The database fails.
pub(super) async fn stands_aside(
    on: &mut AnyConnection,
    deal: B256,
    wallets: &[AccountId],
) -> Result<bool, Error> {
    let gone = store::recused(on, deal).await?;
    Ok(wallets.iter().any(|wallet| gone.contains(wallet)))
}

/// When a ruling is executed for good, the treasuries of the communities whose pools have judged pay whoever's ballots the chain has
/// counted on the juries that the rulings are of; by the rules of grievances, and nothing where those say so.
pub(super) async fn reward(
    on: &mut AnyConnection,
    purchase: &Purchase,
    (before, case): (Option<Stage>, &Case),
    accepted: &Accepted,
) -> Result<(), Error> {
    if case.stage != Stage::Executed || before == Some(Stage::Executed) {
        return Ok(());
    }
    let arbiter = purchase.terms.arbiter;
    let gone = store::recused(on, purchase.deal).await?;
    let mut earned: BTreeMap<B256, BTreeSet<RecordId>> = BTreeMap::new();
    for jury in case.ruling_juries() {
        let Some(pool) = jury.pool else { continue };
        for juror in jury.counted_jurors() {
            let wallet = AccountId { chain: arbiter.chain, address: juror };
            let Some(account) = identity::account_of_wallet(on, &wallet).await? else { continue };
            let wallets = identity::wallets_of(on, &account).await?;
            // Who has an interest in the case is paid for no ballot that went to the chain all the same.
            if !purchase.is_party(&account) && !wallets.iter().any(|wallet| gone.contains(wallet)) {
                earned.entry(pool).or_default().insert(account);
            }
        }
    }
    for (part, (pool, jurors)) in (FIRST_PART..).zip(earned) {
        let id = OperationId { record: purchase.id, part };
        // An operator may have final events taken back, and the ruling be executed again.
        if grievances::was_rewarded(on, id).await? {
            continue;
        }
        for community in communities::owners(on, &arbiter, &pool).await? {
            if grievances::rewarded(on, &community, &jurors, id, accepted).await? {
                break;
            }
        }
    }
    Ok(())
}
