//! Pools as the chain had them, and whom they serve.

use alloy::primitives::B256;
use protocol::chain::AccountId;
use sqlx::{AnyConnection, Row as _, any::AnyRow};

use super::{
    model::{PoolFacts, Scope},
    store::{json, parse, text},
};
use crate::{
    access::{List, Order, Reader, belongs_to, hide_from, readable, show_also},
    error::Error,
    records::RecordId,
};

/// A pool that this hub knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    pub arbiter: AccountId,
    pub panel: B256,
    /// Its place in the log.
    pub seq: i64,
    /// As the chain had it at `read_at`; without the members where a list was read.
    pub facts: PoolFacts,
    /// How many members there are.
    pub size: u32,
    /// Unix milliseconds.
    pub read_at: i64,
    /// Whom it serves.
    pub scopes: Vec<Scope>,
}

/// Keeps what the chain said of a pool, the newest reading, and that it serves `scope`.
pub(crate) async fn put_pool(on: &mut AnyConnection, pool: &Pool, scope: Scope) -> Result<(), Error> {
    let worst_case = i64::try_from(pool.facts.worst_case).unwrap_or(i64::MAX);
    sqlx::query(
        "INSERT INTO pools (arbiter, panel, seq, book, parent, worst_case, members, size, read_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (arbiter, panel) DO UPDATE SET book = excluded.book, parent = excluded.parent,
             worst_case = excluded.worst_case, members = excluded.members, size = excluded.size, read_at = excluded.read_at",
    )
    .bind(pool.arbiter.to_string())
    .bind(pool.panel.to_string())
    .bind(pool.seq)
    .bind(text(&pool.facts.book)?)
    .bind(text(&pool.facts.parent)?)
    .bind(worst_case)
    .bind(text(&pool.facts.members)?)
    .bind(i64::from(pool.size))
    .bind(pool.read_at)
    .execute(&mut *on)
    .await?;
    serve(on, (&pool.arbiter, &pool.panel), scope).await
}

/// From now on a pool serves `scope`, too, and the list of pools shows it there.
pub(super) async fn serve(
    on: &mut AnyConnection,
    pool: (&AccountId, &B256),
    scope: Scope,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO pool_scopes (arbiter, panel, scope) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(pool.0.to_string())
        .bind(pool.1.to_string())
        .bind(scope.to_string())
        .execute(&mut *on)
        .await?;
    let seq = place(on, pool).await?;
    show_also(on, List::Pools, seq, &scope.audience()).await
}

/// From now on a pool does not serve `scope`, and the list of pools does not show it there.
pub(super) async fn serve_no_more(
    on: &mut AnyConnection,
    pool: (&AccountId, &B256),
    scope: Scope,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM pool_scopes WHERE arbiter = $1 AND panel = $2 AND scope = $3")
        .bind(pool.0.to_string())
        .bind(pool.1.to_string())
        .bind(scope.to_string())
        .execute(&mut *on)
        .await?;
    let seq = place(on, pool).await?;
    hide_from(on, List::Pools, seq, &scope.audience()).await
}

/// A pool's place in the log.
async fn place(on: &mut AnyConnection, (arbiter, panel): (&AccountId, &B256)) -> Result<i64, Error> {
    Ok(sqlx::query_scalar("SELECT seq FROM pools WHERE arbiter = $1 AND panel = $2")
        .bind(arbiter.to_string())
        .bind(panel.to_string())
        .fetch_one(on)
        .await?)
}

async fn scopes(on: &mut AnyConnection, arbiter: &str, panel: &str) -> Result<Vec<Scope>, Error> {
    let scopes: Vec<String> =
        sqlx::query_scalar("SELECT scope FROM pool_scopes WHERE arbiter = $1 AND panel = $2 ORDER BY scope")
            .bind(arbiter)
            .bind(panel)
            .fetch_all(on)
            .await?;
    scopes.iter().map(|scope| parse(scope)).collect()
}

/// A list of members may be a megabyte, so lists of pools go without.
const POOL: &str = "SELECT arbiter, panel, seq, book, parent, worst_case, members, size, read_at FROM pools";
const POOL_IN_A_LIST: &str =
    "SELECT arbiter, panel, seq, book, parent, worst_case, '[]' AS members, size, read_at FROM pools";

async fn read_pool(on: &mut AnyConnection, row: &AnyRow) -> Result<Pool, Error> {
    let arbiter: String = row.try_get("arbiter")?;
    let panel: String = row.try_get("panel")?;
    let worst_case: i64 = row.try_get("worst_case")?;
    Ok(Pool {
        arbiter: parse(&arbiter)?,
        panel: parse(&panel)?,
        seq: row.try_get("seq")?,
        facts: PoolFacts {
            book: json(row.try_get("book")?)?,
            parent: json(row.try_get("parent")?)?,
            worst_case: u64::try_from(worst_case).unwrap_or(0),
            members: json(row.try_get("members")?)?,
        },
        size: u32::try_from(row.try_get::<i64, _>("size")?).unwrap_or(u32::MAX),
        read_at: row.try_get("read_at")?,
        scopes: scopes(on, &arbiter, &panel).await?,
    })
}

/// A pool that this hub knows.
pub(crate) async fn pool(
    on: &mut AnyConnection,
    arbiter: &AccountId,
    panel: &B256,
) -> Result<Option<Pool>, Error> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("{POOL} WHERE arbiter = $1 AND panel = $2")))
        .bind(arbiter.to_string())
        .bind(panel.to_string())
        .fetch_optional(&mut *on)
        .await?;
    match row {
        Some(row) => read_pool(on, &row).await.map(Some),
        None => Ok(None),
    }
}

/// How many communities of one pool are asked for a reward.
const OWNERS_MAX: i64 = 16;

/// Whose votes have said last that a pool is theirs, by their ids, the first [`OWNERS_MAX`]. A steward's word alone, by which a pool
/// serves a community, spends nothing of its treasury.
pub(crate) async fn owners(
    on: &mut AnyConnection,
    arbiter: &AccountId,
    panel: &B256,
) -> Result<Vec<RecordId>, Error> {
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT community FROM pool_decisions WHERE arbiter = $1 AND panel = $2 AND serves = 1
         ORDER BY community LIMIT $3",
    )
    .bind(arbiter.to_string())
    .bind(panel.to_string())
    .bind(OWNERS_MAX)
    .fetch_all(on)
    .await?;
    found.iter().map(|community| parse(community)).collect()
}

/// Pools that serve the reader, after `after` in the log, ascending.
pub(crate) async fn pools(
    on: &mut AnyConnection,
    reader: &Reader,
    after: i64,
    limit: i64,
) -> Result<Vec<Pool>, Error> {
    let page = readable(on, List::Pools, Order::Oldest, "");
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{POOL_IN_A_LIST} WHERE {page}")))
        .bind(belongs_to(reader)?)
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *on)
        .await?;
    let mut pools = Vec::with_capacity(rows.len());
    for row in &rows {
        pools.push(read_pool(on, row).await?);
    }
    Ok(pools)
}
