//! Deals in the database.

use alloy::primitives::B256;
use protocol::wire::{
    feed::Finality,
    view::{DealTransaction, DealView},
};
use sqlx::AnyConnection;

use crate::{
    Error,
    columns::{Columns, int},
    states::{self, model::Subject},
};

pub(crate) async fn find(on: &mut AnyConnection, deal: B256) -> Result<Option<DealView>, Error> {
    let found = states::store::view(on, &Subject::Deal(deal)).await?;
    Ok(found.map(|(deal, finality)| DealView { deal, finality }))
}

const TRANSACTIONS_MAX: u64 = 500;

pub(crate) async fn transactions(on: &mut AnyConnection, deal: B256) -> Result<Vec<DealTransaction>, Error> {
    let rows = sqlx::query(
        "SELECT events.id AS id, events.name AS name, logs.transaction_hash AS transaction_hash, \
         logs.block_number AS block_number, logs.block_time AS block_time, logs.finality AS finality \
         FROM events JOIN logs ON logs.number = events.number \
         WHERE events.subject = $1 AND logs.canonical = 1 \
         ORDER BY logs.block_number DESC, logs.log_index DESC LIMIT $2",
    )
    .bind(Subject::Deal(deal).to_string())
    .bind(int(TRANSACTIONS_MAX))
    .fetch_all(on)
    .await?;
    rows.iter()
        .rev()
        .map(|row| {
            let finality: Finality = row.finality("finality")?;
            Ok(DealTransaction {
                event: row.hash("id")?,
                name: row.text("name")?,
                transaction: row.parsed("transaction_hash")?,
                block_number: row.number("block_number")?,
                block_time: row.number("block_time")?,
                finality,
            })
        })
        .collect()
}
