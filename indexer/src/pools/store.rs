//! Pools in the database.

use alloy::primitives::B256;
use protocol::wire::view::PoolView;
use sqlx::AnyConnection;

use crate::{Error, states};

/// The pools of that id: one at each arbiter that has it; at most as many as are watched.
pub(crate) async fn find(on: &mut AnyConnection, pool: B256) -> Result<Vec<PoolView>, Error> {
    // `0` is the character after `/`.
    let between = (format!("pool/{pool}/"), format!("pool/{pool}0"));
    let rows = states::store::views(on, (&between.0, &between.1), ["", "", ""], 64).await?;
    Ok(rows.into_iter().map(|(pool, finality)| PoolView { pool, finality }).collect())
}
