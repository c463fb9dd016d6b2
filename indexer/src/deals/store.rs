//! Deals in the database.

use alloy::primitives::B256;
use protocol::{
    caip::AccountId,
    wire::{
        feed::Finality,
        view::{DealStatus, DealTransaction, DealView},
    },
};
use sqlx::{AnyConnection, any::AnyRow};

use crate::{
    Error,
    columns::{Columns, int},
    states::model::Subject,
};

/// What to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub buyer: Option<AccountId>,
    pub seller: Option<AccountId>,
    pub status: Option<DealStatus>,
    pub after: Option<B256>,
    pub limit: u64,
}

fn view(row: &AnyRow) -> Result<DealView, Error> {
    Ok(DealView { deal: row.from_json("state")?, finality: row.finality("finality")? })
}

pub(crate) async fn list(on: &mut AnyConnection, filter: &Filter) -> Result<Vec<DealView>, Error> {
    let text = |account: Option<AccountId>| account.map(|a| a.to_string()).unwrap_or_default();
    // An empty text stands for "any": neither an account nor a status is empty. `deal0` comes after every `deal/…`.
    let rows = sqlx::query(
        "SELECT states.state AS state, (SELECT e.finality FROM events e WHERE e.canonical = 1 \
         AND e.subject = states.subject ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1) AS finality \
         FROM states WHERE states.subject > $1 AND states.subject < 'deal0' \
         AND ($2 = '' OR states.buyer = $2) AND ($3 = '' OR states.seller = $3) \
         AND ($4 = '' OR states.status = $4) ORDER BY states.subject LIMIT $5",
    )
    .bind(format!("deal/{}", filter.after.map(|deal| deal.to_string()).unwrap_or_default()))
    .bind(text(filter.buyer))
    .bind(text(filter.seller))
    .bind(filter.status.map(DealStatus::name).unwrap_or_default())
    .bind(int(filter.limit))
    .fetch_all(on)
    .await?;
    rows.iter().map(view).collect()
}

pub(crate) async fn find(on: &mut AnyConnection, deal: B256) -> Result<Option<DealView>, Error> {
    let row = sqlx::query(
        "SELECT states.state AS state, (SELECT e.finality FROM events e WHERE e.canonical = 1 \
         AND e.subject = states.subject ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1) AS finality \
         FROM states WHERE states.subject = $1",
    )
    .bind(Subject::Deal(deal).to_string())
    .fetch_optional(on)
    .await?;
    row.as_ref().map(view).transpose()
}

const TRANSACTIONS_MAX: u64 = 500;

pub(crate) async fn transactions(on: &mut AnyConnection, deal: B256) -> Result<Vec<DealTransaction>, Error> {
    let rows = sqlx::query(
        "SELECT id, name, transaction_hash, block_number, block_time, finality FROM events \
         WHERE subject = $1 AND canonical = 1 ORDER BY block_number DESC, log_index DESC LIMIT $2",
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
                transaction: row.hash("transaction_hash")?,
                block_number: row.number("block_number")?,
                block_time: row.number("block_time")?,
                finality,
            })
        })
        .collect()
}
