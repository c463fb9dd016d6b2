//! Deals in the database.

use std::collections::VecDeque;

use alloy::primitives::B256;
use protocol::wire::{
    dec,
    feed::EventBody,
    view::{Deal, DealStatus, DealTransaction, DealView},
};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, any::AnyRow};

use crate::{
    Error,
    columns::{Columns, json},
    feed::store::{event, event_columns},
    states::{
        self,
        model::{Subject, subject_of},
        store::Stored,
    },
};

/// What a column holds of a deal: all that is not in the event of its funding.
#[derive(Serialize, Deserialize)]
struct Standing {
    status: DealStatus,
    closed_by: Option<String>,
    #[serde(with = "dec")]
    released: u128,
    #[serde(with = "dec")]
    refunded: u128,
    #[serde(with = "dec")]
    since: u64,
    share: Option<u16>,
    count: u8,
    complete: bool,
}

pub(crate) fn standing(deal: &Deal) -> Result<String, Error> {
    json(&Standing {
        status: deal.status,
        closed_by: deal.closed_by.clone(),
        released: deal.released,
        refunded: deal.refunded,
        since: deal.since,
        share: deal.share,
        count: deal.count,
        complete: deal.complete,
    })
}

impl Stored for Deal {
    fn stored(row: &AnyRow) -> Result<Self, Error> {
        let funding = event(row)?;
        let EventBody::Funded { deal, terms } = funding.body else {
            return Err(Error::damaged("states.terms", funding.body.name()));
        };
        let Standing { status, closed_by, released, refunded, since, share, count, complete } =
            row.decoded("state")?;
        let funded_at = funding.block_time;
        Ok(Self {
            deal,
            terms,
            status,
            closed_by,
            released,
            refunded,
            funded_at,
            since,
            share,
            count,
            complete,
        })
    }
}

pub(crate) async fn find(on: &mut AnyConnection, deal: B256) -> Result<Option<DealView>, Error> {
    let found = states::store::view(on, &Subject::Deal(deal)).await?;
    Ok(found.map(|(deal, finality)| DealView { deal, finality }))
}

const TRANSACTIONS_MAX: u16 = 500;

/// The newest of a deal, oldest first.
pub(crate) async fn transactions(on: &mut AnyConnection, deal: B256) -> Result<Vec<DealTransaction>, Error> {
    let mut transactions = VecDeque::new();
    let mut before = (i64::MAX, i64::MAX);
    let most = usize::from(TRANSACTIONS_MAX);
    loop {
        let rows = sqlx::query(concat!(
            "SELECT logs.finality AS finality, ",
            event_columns!(),
            " FROM events JOIN logs ON logs.number = events.number \
             WHERE events.subject = $1 AND logs.canonical = 1 AND (logs.block_number, logs.log_index) < ($2, $3) \
             ORDER BY logs.block_number DESC, logs.log_index DESC LIMIT $4"
        ))
        .bind(Subject::Deal(deal).key())
        .bind(before.0)
        .bind(before.1)
        .bind(i64::from(TRANSACTIONS_MAX))
        .fetch_all(&mut *on)
        .await?;
        for row in &rows {
            let event = event(row)?;
            // Another subject may have the same key.
            if subject_of(&event) == Subject::Deal(deal) && transactions.len() < most {
                transactions.push_front(DealTransaction {
                    event: event.id,
                    name: event.body.name().to_owned(),
                    transaction: event.transaction,
                    block_number: event.block_number,
                    block_time: event.block_time,
                    finality: row.finality("finality")?,
                });
            }
        }
        match rows.last() {
            Some(row) if rows.len() == most && transactions.len() < most => {
                before = (row.key("block_number")?, row.key("log_index")?);
            }
            _ => return Ok(transactions.into()),
        }
    }
}
