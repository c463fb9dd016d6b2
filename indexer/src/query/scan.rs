//! Looking through the states of one room, in the order of their subjects and in bounded steps. An index finds those of a
//! buyer, a seller or a status; every other filter is a pure function over the state.

use protocol::wire::feed::Finality;
use sqlx::AnyConnection;

use crate::{
    Error,
    bulk::Cell,
    columns::{Columns, int},
    feed::store::event_columns,
    states::store::{Stored, state_columns, state_views},
};

/// States that one request looks at: a list of which a filter takes nothing costs no more than any.
const LOOKED_AT_MAX: u64 = 2_000;
/// States that are read at once at least, however few are asked for.
const READ_MIN: u64 = 200;

/// Which states are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Among {
    All,
    /// Of whoever is found by this key, as of the others.
    Buyer(i64),
    Seller(i64),
    /// Buyer or seller.
    Party(i64),
    /// Of this status, which is not closed: in time nearly all are.
    Open(&'static str),
}

/// A part of a room.
#[derive(Debug)]
pub(crate) struct Found<T> {
    /// The states that the filter takes, with the finality of each one's newest event.
    pub items: Vec<(T, Finality)>,
    /// The last subject that was looked at; none when there is nothing after it.
    pub next: Option<String>,
}

struct Row<T> {
    subject: String,
    state: T,
    finality: Finality,
}

macro_rules! rows {
    ($and:literal) => {
        concat!(
            state_views!(),
            " WHERE states.subject > $1 AND states.subject < $2",
            $and,
            " ORDER BY states.subject LIMIT $3"
        )
    };
}

async fn of_one<T: Stored>(
    on: &mut AnyConnection,
    (after, below): (&str, &str),
    text: &'static str,
    value: Option<Cell>,
    limit: u64,
) -> Result<Vec<Row<T>>, Error> {
    let query = sqlx::query(text).bind(after).bind(below).bind(int(limit));
    let query = match value {
        Some(value) => value.bind(query),
        None => query,
    };
    let found = query.fetch_all(on).await?;
    found
        .iter()
        .map(|row| {
            Ok(Row {
                subject: row.text("subject")?,
                state: T::stored(row)?,
                finality: row.finality("finality")?,
            })
        })
        .collect()
}

async fn rows<T: Stored>(
    on: &mut AnyConnection,
    between: (&str, &str),
    among: &Among,
    limit: u64,
) -> Result<Vec<Row<T>>, Error> {
    const BUYER: &str = rows!(" AND states.buyer = $4");
    const SELLER: &str = rows!(" AND states.seller = $4");
    match among {
        Among::All => of_one(on, between, rows!(""), None, limit).await,
        Among::Buyer(buyer) => of_one(on, between, BUYER, Some((*buyer).into()), limit).await,
        Among::Seller(seller) => of_one(on, between, SELLER, Some((*seller).into()), limit).await,
        Among::Open(status) => {
            of_one(
                on,
                between,
                rows!(" AND states.status = $4 AND states.status <> '' AND states.status <> 'closed'"),
                Some((*status).into()),
                limit,
            )
            .await
        }
        Among::Party(party) => {
            let mut both: Vec<Row<T>> =
                of_one(&mut *on, between, BUYER, Some((*party).into()), limit).await?;
            both.extend(of_one(on, between, SELLER, Some((*party).into()), limit).await?);
            both.sort_by(|a, b| a.subject.cmp(&b.subject));
            both.dedup_by(|a, b| a.subject == b.subject);
            both.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(both)
        }
    }
}

/// A pure condition on a state.
pub(crate) trait Takes<T>: Sync {
    /// Whether it holds.
    fn takes(&self, state: &T) -> bool;
}

/// States whose subjects begin with `room`, after the subject `after`, at most `limit` that `filter` takes.
pub(crate) async fn scan<T: Stored>(
    on: &mut AnyConnection,
    room: &str,
    after: Option<String>,
    among: &Among,
    limit: u64,
    filter: &impl Takes<T>,
) -> Result<Found<T>, Error> {
    // `~` is above everything that stands in a subject.
    let below = format!("{room}~");
    let mut after = after.unwrap_or_else(|| room.to_owned());
    let mut items = Vec::new();
    let mut looked_at = 0_u64;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let size = limit.max(READ_MIN);
    while looked_at < LOOKED_AT_MAX {
        let page = rows(&mut *on, (&after, &below), among, size).await?;
        let whole = u64::try_from(page.len()) == Ok(size);
        looked_at = looked_at.saturating_add(size);
        for row in page {
            after = row.subject;
            if filter.takes(&row.state) {
                items.push((row.state, row.finality));
                if items.len() == wanted {
                    return Ok(Found { items, next: Some(after) });
                }
            }
        }
        if !whole {
            return Ok(Found { items, next: None });
        }
    }
    Ok(Found { items, next: Some(after) })
}
