//! What other rooms have posted: each call is one batch, in the caller's transaction.

use std::collections::BTreeSet;

use protocol::chain::AssetId;
use sqlx::AnyConnection;

use super::{
    model::{Asset, AssetRules, Holder, Key, Kind, Moved, OperationId, difference},
    post::{Batch, Leg, Operation, Refused},
    reversals,
    rules::{Authority, Purpose},
    store,
};
use crate::{
    error::{Error, Refusal},
    records::RecordId,
};

/// How many accounts of a holder are read at once.
const ACCOUNTS_OF_A_PAGE: i64 = 100;

/// Which community governs an asset, if one does.
///
/// # Errors
/// Step `rule`: there is no such asset.
pub(crate) async fn governor(on: &mut AnyConnection, asset: Asset) -> Result<Option<RecordId>, Error> {
    match store::rules(on, asset).await? {
        Some(rules) => Ok(rules.governed_by),
        None => Err(Refusal::from(Refused::UnknownAsset(asset)).into()),
    }
}

/// A transfer that a vote has decided. The transaction must be undone when this fails.
///
/// # Errors
/// [`Error::Refused`] by the ledger's rules; the database fails.
pub(crate) async fn decided(
    on: &mut AnyConnection,
    id: OperationId,
    purpose: Purpose,
    legs: Vec<Leg>,
    at: i64,
) -> Result<(), Error> {
    transfer(on, Authority::Vote, id, purpose, legs, at).await
}

/// A transfer that an account has signed. The transaction must be undone when this fails.
///
/// # Errors
/// As [`decided`].
pub(crate) async fn signed(
    on: &mut AnyConnection,
    author: RecordId,
    id: OperationId,
    purpose: Purpose,
    legs: Vec<Leg>,
    at: i64,
) -> Result<(), Error> {
    transfer(on, Authority::Account(author), id, purpose, legs, at).await
}

/// What an operation moved from one account to one other, and by which it was reversed; none where it cannot be.
///
/// # Errors
/// The database fails.
pub(crate) async fn moved(on: &mut AnyConnection, id: OperationId) -> Result<Option<Moved>, Error> {
    let mut found = reversals::moved(on, &BTreeSet::from([id])).await?;
    reversals::mark(on, &mut found).await?;
    Ok(found.remove(&id))
}

/// Gives back what an operation moved, in part or as a whole, by a ruling. The transaction must be undone when this fails.
///
/// # Errors
/// As [`decided`]; `reversed` where it was before.
pub(crate) async fn reversed(
    on: &mut AnyConnection,
    id: OperationId,
    reversed: OperationId,
    amount: i128,
    at: i64,
) -> Result<(), Error> {
    let operations = vec![Operation::Reverse { id, reversed, amount }];
    store::post(on, &Batch { by: Authority::Vote, operations }, at).await.map(drop)
}

/// The balance of a deal's own account, by its purchase: minus what the ledger counts in the deal.
///
/// # Errors
/// The database fails, or holds what cannot be read.
pub(crate) async fn counted(
    on: &mut AnyConnection,
    asset: AssetId,
    purchase: RecordId,
) -> Result<i128, Error> {
    let account = store::account(on, &Key::mirror(Asset::Chain(asset), purchase)).await?;
    Ok(account.map_or(0, |account| account.balance))
}

/// Transfers that a record of a final event brought about, in their order and as one batch; the asset is kept from the first one
/// on. What the ledger refuses is answered, and nothing of it is kept but, on PostgreSQL, accounts without entries: the chain does not
/// ask whether it may.
///
/// # Errors
/// The database fails.
pub(crate) async fn mirrored(
    on: &mut AnyConnection,
    record: RecordId,
    asset: AssetId,
    transfers: Vec<Vec<Leg>>,
    at: i64,
) -> Result<Result<(), Refusal>, Error> {
    let mirror = Asset::Chain(asset);
    if store::asset(on, mirror).await?.is_none()
        && let Some(rules) = AssetRules::unsaid(mirror)
    {
        store::put_asset(on, mirror, &rules, &record).await?;
    }
    let operations = (0..)
        .zip(transfers)
        .map(|(part, legs)| Operation::Transfer {
            id: OperationId { record, part },
            purpose: Purpose::Mirror,
            legs,
        })
        .collect();
    match store::post(on, &Batch { by: Authority::Chain, operations }, at).await {
        Ok(_) => Ok(Ok(())),
        Err(Error::Refused(refusal)) => Ok(Err(refusal)),
        Err(error) => Err(error),
    }
}

async fn transfer(
    on: &mut AnyConnection,
    by: Authority,
    id: OperationId,
    purpose: Purpose,
    legs: Vec<Leg>,
    at: i64,
) -> Result<(), Error> {
    let batch = Batch { by, operations: vec![Operation::Transfer { id, purpose, legs }] };
    store::post(on, &batch, at).await.map(drop)
}

/// Whether a member has less than nothing in some asset, with what is set aside for others.
pub(crate) async fn owes(on: &mut AnyConnection, account: &RecordId) -> Result<bool, Error> {
    let mut after = None;
    loop {
        let page = store::accounts_of(on, Holder::Record(*account), after, ACCOUNTS_OF_A_PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(false) };
        after = Some(last.key);
        let owing = page
            .iter()
            .filter(|(one, _)| one.key.kind == Kind::Member)
            .any(|(one, _)| difference(one.balance, one.held).is_none_or(|available| available < 0));
        if owing {
            return Ok(true);
        }
    }
}

/// Gives an account a floor of its own, by a vote; none: the asset's.
///
/// # Errors
/// The database fails. The asset must be known.
pub(crate) async fn set_floor(on: &mut AnyConnection, key: &Key, floor: Option<i128>) -> Result<(), Error> {
    store::set_floor(on, key, floor).await
}
