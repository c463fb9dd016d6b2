//! Deals in the database.

use alloy::primitives::B256;
use protocol::wire::view::{DealTransaction, DealView};
use sqlx::AnyConnection;

use crate::{
    Error,
    columns::{Columns, int},
    feed::store::{event, event_columns},
    states::{
        self,
        model::{Subject, subject_of},
    },
};

pub(crate) async fn find(on: &mut AnyConnection, deal: B256) -> Result<Option<DealView>, Error> {
    let found = states::store::view(on, &Subject::Deal(deal)).await?;
    Ok(found.map(|(deal, finality)| DealView { deal, finality }))
}

const TRANSACTIONS_MAX: u64 = 500;

pub(crate) async fn transactions(on: &mut AnyConnection, deal: B256) -> Result<Vec<DealTransaction>, Error> {
    let rows = sqlx::query(concat!(
        "SELECT logs.finality AS finality, ",
        event_columns!(),
        " FROM events JOIN logs ON logs.number = events.number \
         WHERE events.subject = $1 AND logs.canonical = 1 \
         ORDER BY logs.block_number DESC, logs.log_index DESC LIMIT $2"
    ))
    .bind(Subject::Deal(deal).key())
    .bind(int(TRANSACTIONS_MAX))
    .fetch_all(on)
    .await?;
    let mut transactions = Vec::with_capacity(rows.len());
    for row in rows.iter().rev() {
        let event = event(row)?;
        // Another subject may have the same key.
        if subject_of(&event) == Subject::Deal(deal) {
            transactions.push(DealTransaction {
                event: event.id,
                name: event.body.name().to_owned(),
                transaction: event.transaction,
                block_number: event.block_number,
                block_time: event.block_time,
                finality: row.finality("finality")?,
            });
        }
    }
    Ok(transactions)
}
