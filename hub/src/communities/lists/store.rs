use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use alloy::primitives::B256;
use protocol::chain::{AccountId, Address, ChainId};
use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::{
    communities::{Scope, pools},
    error::Error,
    records::RecordId,
};

/// A member list as a vote decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub community: RecordId,
    pub arbiter: AccountId,
    pub panel: B256,
    pub proposal: RecordId,
    /// The `tally@1`.
    pub tally: RecordId,
    /// [`protocol::arbitration::list_digest`] of the members.
    pub digest: B256,
    /// Ascending; empty where decisions are read without them.
    pub members: Vec<Address>,
    pub size: i64,
    /// Unix milliseconds.
    pub at: i64,
}

fn corrupt(what: impl Display) -> Error {
    Error::Corrupt(format!("lists of pools: {what}"))
}

fn parsed<T: FromStr<Err: Display>>(row: &AnyRow, column: &str) -> Result<T, Error> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error| corrupt(format_args!("{column}: {error}")))
}

/// An account of a community is a candidate with this wallet, in the place of another one on its chain. Who says it again is one
/// since the first time.
pub(in crate::communities) async fn stand(
    on: &mut AnyConnection,
    (community, account): (&RecordId, &RecordId),
    wallet: &AccountId,
    now: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO candidates (community, account, chain, wallet, since) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (community, account, chain) DO UPDATE SET wallet = excluded.wallet,
             since = CASE WHEN candidates.wallet = excluded.wallet THEN candidates.since ELSE excluded.since END",
    )
    .bind(community.to_string())
    .bind(account.to_string())
    .bind(wallet.chain.to_string())
    .bind(wallet.to_string())
    .bind(now)
    .execute(on)
    .await?;
    Ok(())
}

/// An account is no candidate with this wallet any more.
pub(in crate::communities) async fn stand_down(
    on: &mut AnyConnection,
    (community, account): (&RecordId, &RecordId),
    wallet: &AccountId,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM candidates WHERE community = $1 AND account = $2 AND wallet = $3")
        .bind(community.to_string())
        .bind(account.to_string())
        .bind(wallet.to_string())
        .execute(on)
        .await?;
    Ok(())
}

/// Who is a candidate of a community on a chain since before a moment (Unix milliseconds), each with the wallet; at most one more than
/// `most`.
pub(super) async fn candidates(
    on: &mut AnyConnection,
    community: &RecordId,
    chain: ChainId,
    before: i64,
    most: usize,
) -> Result<BTreeMap<RecordId, AccountId>, Error> {
    let rows = sqlx::query(
        "SELECT account, wallet FROM candidates WHERE community = $1 AND chain = $2 AND since < $3
         ORDER BY account LIMIT $4",
    )
    .bind(community.to_string())
    .bind(chain.to_string())
    .bind(before)
    .bind(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1))
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| Ok((parsed(row, "account")?, parsed(row, "wallet")?))).collect()
}

/// With which wallets an account is a candidate of a community, and since when, in Unix milliseconds.
pub(super) async fn candidacies(
    on: &mut AnyConnection,
    community: &RecordId,
    account: &RecordId,
    limit: i64,
) -> Result<Vec<(AccountId, i64)>, Error> {
    let rows = sqlx::query(
        "SELECT wallet, since FROM candidates WHERE community = $1 AND account = $2 ORDER BY chain LIMIT $3",
    )
    .bind(community.to_string())
    .bind(account.to_string())
    .bind(limit)
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| Ok((parsed(row, "wallet")?, row.try_get("since")?))).collect()
}

/// Keeps whether a vote has made the pool the community's, and lets it serve the community or not. With a pool that is the
/// community's no more goes the list that was decided for it.
pub(super) async fn decide_pool(
    on: &mut AnyConnection,
    (community, tally): (&RecordId, &RecordId),
    (arbiter, panel): (&AccountId, &B256),
    serves: bool,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO pool_decisions (community, arbiter, panel, serves, tally) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (community, arbiter, panel) DO UPDATE SET serves = excluded.serves, tally = excluded.tally",
    )
    .bind(community.to_string())
    .bind(arbiter.to_string())
    .bind(panel.to_string())
    .bind(i64::from(serves))
    .bind(tally.to_string())
    .execute(&mut *on)
    .await?;
    let scope = Scope::Community(*community);
    if serves {
        return pools::serve(on, (arbiter, panel), scope).await;
    }
    pools::serve_no_more(on, (arbiter, panel), scope).await?;
    sqlx::query("DELETE FROM pool_lists WHERE community = $1 AND arbiter = $2 AND panel = $3")
        .bind(community.to_string())
        .bind(arbiter.to_string())
        .bind(panel.to_string())
        .execute(on)
        .await?;
    Ok(())
}

/// Whether the last vote on it has said that the pool is not the community's.
pub(in crate::communities) async fn dropped(
    on: &mut AnyConnection,
    community: &RecordId,
    arbiter: &AccountId,
    panel: &B256,
) -> Result<bool, Error> {
    let serves: Option<i64> = sqlx::query_scalar(
        "SELECT serves FROM pool_decisions WHERE community = $1 AND arbiter = $2 AND panel = $3",
    )
    .bind(community.to_string())
    .bind(arbiter.to_string())
    .bind(panel.to_string())
    .fetch_optional(on)
    .await?;
    Ok(serves == Some(0))
}

/// Keeps a list in the place of the one that was decided before.
pub(super) async fn keep(on: &mut AnyConnection, list: &Decided) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO pool_lists (community, arbiter, panel, proposal, tally, digest, members, size, decided_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (community, arbiter, panel) DO UPDATE SET proposal = excluded.proposal,
             tally = excluded.tally, digest = excluded.digest, members = excluded.members, size = excluded.size,
             decided_at = excluded.decided_at",
    )
    .bind(list.community.to_string())
    .bind(list.arbiter.to_string())
    .bind(list.panel.to_string())
    .bind(list.proposal.to_string())
    .bind(list.tally.to_string())
    .bind(list.digest.to_string())
    .bind(serde_json::to_string(&list.members).map_err(corrupt)?)
    .bind(list.size)
    .bind(list.at)
    .execute(on)
    .await?;
    Ok(())
}

fn read(row: &AnyRow) -> Result<Decided, Error> {
    let members: String = row.try_get("members")?;
    Ok(Decided {
        community: parsed(row, "community")?,
        arbiter: parsed(row, "arbiter")?,
        panel: parsed(row, "panel")?,
        proposal: parsed(row, "proposal")?,
        tally: parsed(row, "tally")?,
        digest: parsed(row, "digest")?,
        members: serde_json::from_str(&members).map_err(corrupt)?,
        size: row.try_get("size")?,
        at: row.try_get("decided_at")?,
    })
}

/// What a community has decided of a pool's list.
pub(super) async fn decided(
    on: &mut AnyConnection,
    community: &RecordId,
    arbiter: &AccountId,
    panel: &B256,
) -> Result<Option<Decided>, Error> {
    let row = sqlx::query(
        "SELECT community, arbiter, panel, proposal, tally, digest, members, size, decided_at FROM pool_lists
         WHERE community = $1 AND arbiter = $2 AND panel = $3",
    )
    .bind(community.to_string())
    .bind(arbiter.to_string())
    .bind(panel.to_string())
    .fetch_optional(on)
    .await?;
    row.as_ref().map(read).transpose()
}

/// What the communities of an account have decided of a pool's list, the oldest decision first; without the members.
pub(super) async fn decided_around(
    on: &mut AnyConnection,
    account: &RecordId,
    (arbiter, panel): (&AccountId, &B256),
    limit: i64,
) -> Result<Vec<Decided>, Error> {
    let rows = sqlx::query(
        "SELECT community, arbiter, panel, proposal, tally, digest, '[]' AS members, size, decided_at
         FROM pool_lists WHERE arbiter = $1 AND panel = $2
         AND community IN (SELECT community FROM members WHERE account = $3)
         ORDER BY decided_at, community LIMIT $4",
    )
    .bind(arbiter.to_string())
    .bind(panel.to_string())
    .bind(account.to_string())
    .bind(limit)
    .fetch_all(on)
    .await?;
    rows.iter().map(read).collect()
}
