//! What an acceptance does to a community's pools, in the transaction of the tally.

use alloy::primitives::B256;
use protocol::{
    arbitration,
    chain::{AccountId, Address, ChainId},
};
use sqlx::AnyConnection;

use super::{
    model::{LIST_MAX, listed, publishable},
    store::{self, Decided},
};
use crate::{
    communities::{self, Pool, Scope},
    error::{Error, Refusal},
    identity,
    records::{Accepted, RecordId},
};

/// A pool that this hub has read from its contract.
///
/// # Errors
/// Step `rule`: no `pool@1` has named it yet.
pub(crate) async fn known_pool(
    on: &mut AnyConnection,
    arbiter: &AccountId,
    panel: &B256,
) -> Result<Pool, Error> {
    communities::pool(on, arbiter, panel).await?.ok_or_else(|| {
        let told = format!("this hub knows no pool {panel} of {arbiter}: a pool@1 has to name it first");
        Refusal::rule("unknown_pool", "/body/effect", told).into()
    })
}

/// A pool that serves the community.
///
/// # Errors
/// Step `rule`: there is none, or it is not the community's.
pub(crate) async fn served_pool(
    on: &mut AnyConnection,
    community: &RecordId,
    arbiter: &AccountId,
    panel: &B256,
) -> Result<Pool, Error> {
    let pool = known_pool(on, arbiter, panel).await?;
    if pool.scopes.contains(&Scope::Community(*community)) {
        return Ok(pool);
    }
    let told = format!("pool {panel} of {arbiter} is not community {community}'s");
    Err(Refusal::rule("not_its_pool", "/body/effect", told).into())
}

/// The list that a community's candidates come to on a chain since before a moment (Unix milliseconds): whoever belongs to it, had
/// said by then with which wallet it stands there, and has had that wallet ever since. None where more than [`LIST_MAX`] have said so.
/// After that moment, the close of the vote on it, each of them goes from it at most once, and nobody comes to it: no coming and going
/// keeps the tally waiting.
pub(crate) async fn roll(
    on: &mut AnyConnection,
    community: &RecordId,
    chain: ChainId,
    before: i64,
) -> Result<Option<Vec<Address>>, Error> {
    let candidates = store::candidates(on, community, chain, before, LIST_MAX).await?;
    if candidates.len() > LIST_MAX {
        return Ok(None);
    }
    let accounts = candidates.keys().copied().collect();
    let wallets = identity::wallets_on(on, &accounts, chain, before).await?;
    Ok(Some(listed(&candidates, wallets)))
}

/// A vote says whether a pool is the community's.
///
/// # Errors
/// As [`known_pool`].
pub(crate) async fn decide_pool(
    on: &mut AnyConnection,
    community: &RecordId,
    (arbiter, panel): (&AccountId, &B256),
    serves: bool,
    by: &Accepted,
) -> Result<(), Error> {
    known_pool(on, arbiter, panel).await?;
    store::decide_pool(on, (community, &by.record.id), (arbiter, panel), serves).await
}

/// A vote says that those who are the community's candidates since before a moment (Unix milliseconds) are the pool's next list.
///
/// # Errors
/// As [`served_pool`]; there are too many candidates, or the chain would refuse the list.
pub(crate) async fn decide_list(
    on: &mut AnyConnection,
    community: &RecordId,
    (arbiter, panel): (&AccountId, &B256),
    (proposal, before): (&RecordId, i64),
    by: &Accepted,
) -> Result<(), Error> {
    let pool = served_pool(on, community, arbiter, panel).await?;
    let Some(members) = roll(on, community, arbiter.chain, before).await? else {
        let told = format!(
            "more than {LIST_MAX} are candidates of community {community}, which is the most of a list"
        );
        return Err(Refusal::rule("too_many_members", "/body/effect", told).into());
    };
    publishable(&members, pool.facts.book.jury_size)?;
    let list = Decided {
        community: *community,
        arbiter: *arbiter,
        panel: *panel,
        proposal: *proposal,
        tally: by.record.id,
        digest: arbitration::list_digest(&members),
        size: i64::try_from(members.len()).unwrap_or(i64::MAX),
        members,
        at: by.received_at,
    };
    store::keep(on, &list).await
}
