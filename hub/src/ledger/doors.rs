//! What other rooms have posted: each call is one batch of one operation, in the caller's transaction.

use sqlx::AnyConnection;

use super::{
    model::{Asset, Holder, Key, Kind, OperationId, difference},
    post::{Batch, Leg, Operation, Refused},
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
    match store::asset(on, asset).await? {
        Some((rules, _)) => Ok(rules.governed_by),
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
