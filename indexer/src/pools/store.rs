//! Pools in the database.

use alloy::primitives::B256;
use protocol::wire::view::PoolView;
use sqlx::AnyConnection;

use crate::{Error, states};

/// The pools of that id: one at each arbiter that has it; at most as many as are watched.
pub(crate) async fn find(on: &mut AnyConnection, pool: B256) -> Result<Vec<PoolView>, Error> {
    // `~` is above everything that stands in a subject.
    let (from, to) = (format!("pool/{pool}/"), format!("pool/{pool}/~"));
    let rows = states::store::views(on, (&from, &to), 64).await?;
    Ok(rows.into_iter().map(|(pool, finality)| PoolView { pool, finality }).collect())
}
