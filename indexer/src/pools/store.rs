//! Pools in the database.

use alloy::primitives::B256;
use protocol::wire::view::PoolView;
use sqlx::AnyConnection;

use crate::{Error, columns::Columns};

/// The pools of that id: one at each arbiter that has it.
pub(crate) async fn find(on: &mut AnyConnection, pool: B256) -> Result<Vec<PoolView>, Error> {
    let rows = sqlx::query(
        "SELECT states.state AS state, (SELECT e.finality FROM events e WHERE e.canonical = 1 \
         AND e.subject = states.subject ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1) AS finality \
         FROM states WHERE states.subject > $1 AND states.subject < $2 ORDER BY states.subject",
    )
    // `0` is the character after `/`.
    .bind(format!("pool/{pool}/"))
    .bind(format!("pool/{pool}0"))
    .fetch_all(on)
    .await?;
    rows.iter()
        .map(|row| Ok(PoolView { pool: row.from_json("state")?, finality: row.finality("finality")? }))
        .collect()
}
