//! What is kept of the log's tree: beside each entry the hashes of the whole subtrees that it completed, one row an entry, two
//! hashes on average. Rows never change.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _, any::AnyRow};

use super::{
    api::Receipt,
    tree::{self, Nodes, Parts},
};
use crate::error::Error;

/// Rows that one query reads.
const READ_MAX: usize = 500;

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::Corrupt(format!("log_nodes: {what}"))
}

fn number(seq: i64) -> Result<u64, Error> {
    u64::try_from(seq).map_err(corrupt)
}

/// Hashes as a row has them: 64 hexadecimal digits each, from the leaf up.
pub(super) fn written(hashes: &[B256]) -> String {
    hashes.iter().map(hex::encode).collect()
}

fn read(row: &AnyRow) -> Result<(u64, Vec<B256>), Error> {
    let seq = number(row.try_get("seq")?)?;
    let nodes: String = row.try_get("nodes")?;
    let bytes = hex::decode(nodes).map_err(corrupt)?;
    let hashes = bytes.chunks(32).map(|hash| B256::try_from(hash).map_err(corrupt));
    Ok((seq, hashes.collect::<Result<_, _>>()?))
}

/// Puts the newest entry into the tree; the caller holds the writers' turn.
pub(super) async fn grow(on: &mut AnyConnection, newest: &Receipt) -> Result<(), Error> {
    let seq = number(newest.seq)?;
    let mut lefts = Vec::new();
    for left in tree::lefts(seq) {
        let end = i64::try_from(left.end).map_err(corrupt)?;
        let row = sqlx::query("SELECT seq, nodes FROM log_nodes WHERE seq = $1").bind(end);
        let mut nodes = Nodes::default();
        if let Some(row) = row.fetch_optional(&mut *on).await? {
            let (end, hashes) = read(&row)?;
            nodes.put(end, hashes);
        }
        let left = nodes.one(left).ok_or_else(|| corrupt(format!("entry {end} is not in it")))?;
        lefts.push(left);
    }
    let hashes = tree::completed(tree::leaf(seq, &newest.id, newest.received), &lefts);
    sqlx::query("INSERT INTO log_nodes (seq, nodes) VALUES ($1, $2)")
        .bind(newest.seq)
        .bind(written(&hashes))
        .execute(on)
        .await?;
    Ok(())
}

/// How many entries the tree has.
pub(crate) async fn size(on: &mut AnyConnection) -> Result<u64, Error> {
    let last = sqlx::query_scalar("SELECT seq FROM log_nodes ORDER BY seq DESC LIMIT 1");
    let last: Option<i64> = last.fetch_optional(on).await?;
    number(last.unwrap_or_default())
}

async fn rows(on: &mut AnyConnection, ends: &BTreeSet<u64>) -> Result<Nodes, Error> {
    let mut nodes = Nodes::default();
    let ends: Vec<String> = ends.iter().map(u64::to_string).collect();
    for some in ends.chunks(READ_MAX) {
        let sql = format!("SELECT seq, nodes FROM log_nodes WHERE seq IN ({})", some.join(", "));
        // Hardly ever the same text twice.
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for row in query.fetch_all(&mut *on).await? {
            let (end, hashes) = read(&row)?;
            nodes.put(end, hashes);
        }
    }
    Ok(nodes)
}

/// The root of the tree when it had `size` entries, at least one.
pub(crate) async fn root(on: &mut AnyConnection, size: u64) -> Result<B256, Error> {
    let root = tree::root(size);
    let nodes = rows(on, &tree::ends([&root])).await?;
    nodes.hash(&root).ok_or_else(|| corrupt(format!("it is not whole below entry {size}")))
}

/// The hashes of proofs: each the nodes that [`tree::inclusion`] or [`tree::consistency`] names.
pub(crate) async fn paths(on: &mut AnyConnection, proofs: &[Vec<Parts>]) -> Result<Vec<Vec<B256>>, Error> {
    let nodes = rows(on, &tree::ends(proofs.iter().flatten())).await?;
    let paths = proofs.iter().map(|proof| nodes.path(proof));
    paths.collect::<Option<_>>().ok_or_else(|| corrupt("it is not whole"))
}

/// The paths that show that these entries are in the tree of `size` entries, in their order.
pub(crate) async fn inclusion(
    on: &mut AnyConnection,
    entries: &[i64],
    size: u64,
) -> Result<Vec<Vec<B256>>, Error> {
    let mut proofs = Vec::new();
    for seq in entries {
        let proof = tree::inclusion(number(*seq)?, size);
        proofs.push(proof.ok_or_else(|| corrupt(format!("entry {seq} is not in it")))?);
    }
    paths(on, &proofs).await
}

/// What is kept beside the entries above `after` up to `last`, by entry; the first `limit` of them.
pub(super) async fn kept(
    on: &mut AnyConnection,
    after: i64,
    last: i64,
    limit: i64,
) -> Result<BTreeMap<i64, String>, Error> {
    let sql = "SELECT seq, nodes FROM log_nodes WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3";
    let rows = sqlx::query(sql).bind(after).bind(last).bind(limit).fetch_all(on).await?;
    rows.iter().map(|row| Ok((row.try_get("seq")?, row.try_get("nodes")?))).collect()
}
