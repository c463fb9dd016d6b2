//! Events and what was told of them.

use std::collections::BTreeMap;

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::{AccountId, ChainId, TransactionId, event_id},
    wire::feed::{ChainEvent, FeedEntry, FeedId, Finality},
};
use service::db::{Db, Engine};
use sqlx::{AnyConnection, any::AnyRow};

use crate::{
    Error,
    chain::source::read_again,
    columns::{Columns, finality_name, int},
    states::model::{Subject, subject_of},
};

/// An event with the log that it was decoded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub event: ChainEvent,
    /// Where `log_index` counts within a transaction, the place of that among those of its block; 0 elsewhere.
    pub ordinal: u32,
    pub topics: Vec<B256>,
    pub data: Bytes,
}

/// What the column `log_index` holds, by which the events of a block are in order: below 32 bits is the event's own index.
pub(super) fn place(ordinal: u32, log_index: u64) -> u64 {
    u64::from(ordinal) << 32 | index_of(log_index)
}

/// The event's own index of such a place.
pub(crate) const fn index_of(place: u64) -> u64 {
    place & 0xffff_ffff
}

/// Who told the entry at a position; of 0, the first one.
pub(crate) async fn feed_at(on: &mut AnyConnection, seq: u64) -> Result<FeedId, Error> {
    let run = sqlx::query("SELECT id FROM runs WHERE first <= $1 ORDER BY first DESC LIMIT 1");
    run.bind(int(seq.max(1))).fetch_one(on).await?.parsed("id")
}

/// Who told the entries from one position to another, by the first that each of them told.
pub(crate) async fn runs(on: &mut AnyConnection, from: u64, to: u64) -> Result<BTreeMap<u64, FeedId>, Error> {
    let runs = sqlx::query(
        "SELECT first, id FROM runs WHERE first >= (SELECT MAX(first) FROM runs WHERE first <= $1) AND first <= $2",
    );
    let rows = runs.bind(int(from)).bind(int(to)).fetch_all(on).await?;
    rows.iter().map(|row| Ok((row.number("first")?, row.parsed("id")?))).collect()
}

/// What is told from now on is told by a process of its own. So a database that was put back from a backup, and tells other
/// things at the same places, has another feed from there on.
pub(crate) async fn begin_run(db: &Db) -> Result<(), Error> {
    let insert = match db.engine() {
        Engine::Sqlite => {
            "INSERT INTO runs (first, id) VALUES ($1, '0x' || lower(hex(randomblob(16)))) \
             ON CONFLICT (first) DO UPDATE SET id = excluded.id"
        }
        Engine::Postgres => {
            "INSERT INTO runs (first, id) VALUES ($1, '0x' || replace(gen_random_uuid()::text, '-', '')) \
             ON CONFLICT (first) DO UPDATE SET id = excluded.id"
        }
    };
    let mut write = db.begin().await?;
    let first = last_seq(write.on()).await?.saturating_add(1);
    sqlx::query(insert).bind(int(first)).execute(write.on()).await?;
    Ok(write.commit().await?)
}

/// How often an event was told at the level of an entry, up to that entry: a telling of a level ends with the retraction
/// of what was told at it or above.
pub(crate) async fn times_told(on: &mut AnyConnection, entry: &FeedEntry) -> Result<u64, Error> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS times FROM feed JOIN events ON events.number = feed.log \
         WHERE events.id = $1 AND feed.finality = 'retracted' AND feed.seq < $2 \
         AND ($3 IN ('seen', 'retracted') OR feed.was = 'final' OR ($3 = 'safe' AND feed.was = 'safe'))",
    )
    .bind(entry.event.id.to_vec())
    .bind(int(entry.seq))
    .bind(finality_name(entry.finality))
    .fetch_one(on)
    .await?;
    Ok(row.number("times")?.saturating_add(1))
}

/// The newest entry's position; 0 when there is none.
pub(crate) async fn last_seq(on: &mut AnyConnection) -> Result<u64, Error> {
    let row = sqlx::query("SELECT COALESCE(MAX(seq), 0) AS seq FROM feed").fetch_one(on).await?;
    row.number("seq")
}

/// The newest entry's position and when it was told, in Unix milliseconds; zeros when there is none.
pub(crate) async fn end(on: &mut AnyConnection) -> Result<(u64, u64), Error> {
    let row =
        sqlx::query("SELECT seq, told_at FROM feed ORDER BY seq DESC LIMIT 1").fetch_optional(on).await?;
    row.map_or(Ok((0, 0)), |row| Ok((row.number("seq")?, row.number("told_at")?)))
}

/// A log as it is kept.
#[derive(Debug)]
pub(crate) struct Logged {
    pub number: u64,
    pub contract: AccountId,
    pub block_number: u64,
    pub block_hash: B256,
    pub block_time: u64,
    pub transaction: TransactionId,
    /// What the column `log_index` holds.
    pub place: u64,
    pub topics: Vec<B256>,
    pub data: Bytes,
}

impl Logged {
    /// The event that it tells.
    pub fn event(self) -> Result<ChainEvent, Error> {
        let Self { number, contract, block_number, block_hash, block_time, transaction, place, topics, data } =
            self;
        let wrong = |reason| Error::Undecodable { number: int(number), reason };
        let log_index = index_of(place);
        let id = event_id(contract.chain, block_hash, transaction, log_index);
        Ok(ChainEvent {
            id: id.map_err(|error| wrong(error.to_string()))?,
            contract,
            block_number,
            block_hash,
            block_time,
            transaction,
            log_index,
            body: read_again(contract, topics, data).map_err(wrong)?,
        })
    }
}

/// The event that a row of `logs` tells.
pub(crate) fn event(row: &AnyRow) -> Result<ChainEvent, Error> {
    let chain =
        row.parsed_or_none("chain")?.ok_or_else(|| Error::damaged("logs.chain", "no chain of ours"))?;
    let kept = Logged {
        number: row.number("number")?,
        contract: AccountId { chain, address: row.address("contract")? },
        block_number: row.number("block_number")?,
        block_hash: row.word("block_hash")?,
        block_time: row.number("block_time")?,
        transaction: row.transaction("transaction_hash")?,
        place: row.number("log_index")?,
        topics: row.topics("topics")?,
        data: Bytes::copy_from_slice(row.bytes("data")?),
    };
    kept.event()
}

/// The columns of `logs` that [`event`] reads.
macro_rules! event_columns {
    () => {
        "logs.number AS number, (SELECT chains.chain FROM chains WHERE chains.number = logs.chain) AS chain, \
         logs.contract AS contract, logs.block_number AS block_number, logs.block_hash AS block_hash, \
         logs.block_time AS block_time, logs.transaction_hash AS transaction_hash, logs.log_index AS log_index, \
         logs.topics AS topics, logs.data AS data"
    };
}
pub(crate) use event_columns;

/// Logs of one page of [`Canonical`], at most as many as [`ROWS_MAX`](crate::bulk::ROWS_MAX). All but the rarest deals have
/// fewer events, and are read with one query.
pub(crate) const PAGE_MAX: u16 = 1_000;

/// The canonical events about a subject, in the chain's order, a page at a time: a party may add evidence without limit, so
/// whoever folds them holds a page and what the pages before it add up to.
#[derive(Debug)]
pub(crate) struct Canonical {
    subject: Subject,
    /// Block, place in it and number of the last log that was read.
    after: (i64, i64, i64),
    ended: bool,
}

impl Canonical {
    /// From the first one on.
    pub const fn of(subject: Subject) -> Self {
        Self { subject, after: (i64::MIN, i64::MIN, i64::MIN), ended: false }
    }

    /// The next events with the numbers of their logs; none behind the last page. A page has fewer, even none, where other
    /// subjects have the same key.
    pub async fn page(&mut self, on: &mut AnyConnection) -> Result<Option<Vec<(u64, ChainEvent)>>, Error> {
        if self.ended {
            return Ok(None);
        }
        // Of two chains events may stand at the same place: the number tells which comes first.
        let rows = sqlx::query(concat!(
            "SELECT ",
            event_columns!(),
            " FROM events JOIN logs ON logs.number = events.number \
             WHERE events.subject = $1 AND logs.canonical = 1 \
             AND (logs.block_number, logs.log_index, logs.number) > ($2, $3, $4) \
             ORDER BY logs.block_number, logs.log_index, logs.number LIMIT $5"
        ))
        .bind(self.subject.key())
        .bind(self.after.0)
        .bind(self.after.1)
        .bind(self.after.2)
        .bind(i64::from(PAGE_MAX))
        .fetch_all(on)
        .await?;
        self.ended = rows.len() < usize::from(PAGE_MAX);
        if let Some(last) = rows.last() {
            self.after = (last.key("block_number")?, last.key("log_index")?, last.key("number")?);
        }
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            let event = event(row)?;
            if subject_of(&event) == self.subject {
                events.push((row.number("number")?, event));
            }
        }
        Ok(Some(events))
    }
}

/// Which entries of the feed to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Of this chain alone.
    pub chain: Option<ChainId>,
    /// From this level on, `seen`, `safe` or `final`, with the retractions of what was told at it or above.
    pub level: Finality,
}

impl Default for Filter {
    /// Everything.
    fn default() -> Self {
        Self { chain: None, level: Finality::Seen }
    }
}

fn entry(row: &AnyRow) -> Result<FeedEntry, Error> {
    Ok(FeedEntry { seq: row.number("seq")?, finality: row.finality("finality")?, event: event(row)? })
}

/// Entries after `after`, ascending, at most `limit`.
pub(crate) async fn page(
    on: &mut AnyConnection,
    after: u64,
    limit: u64,
    filter: &Filter,
) -> Result<Vec<FeedEntry>, Error> {
    // One text for each, so that either is read along an index.
    const ALL: &str = concat!(
        "SELECT feed.seq AS seq, feed.finality AS finality, ",
        event_columns!(),
        " FROM feed JOIN logs ON logs.number = feed.log \
         WHERE feed.seq > $1 AND ($3 = 'seen' OR feed.finality = 'final' OR feed.was = 'final' \
         OR ($3 = 'safe' AND (feed.finality = 'safe' OR feed.was = 'safe'))) \
         ORDER BY feed.seq LIMIT $2"
    );
    const OF_CHAIN: &str = concat!(
        "SELECT feed.seq AS seq, feed.finality AS finality, ",
        event_columns!(),
        " FROM feed JOIN logs ON logs.number = feed.log \
         WHERE feed.chain = (SELECT number FROM chains WHERE chain = $4) AND feed.seq > $1 \
         AND ($3 = 'seen' OR feed.finality = 'final' OR feed.was = 'final' \
         OR ($3 = 'safe' AND (feed.finality = 'safe' OR feed.was = 'safe'))) \
         ORDER BY feed.seq LIMIT $2"
    );
    let query = sqlx::query(if filter.chain.is_some() { OF_CHAIN } else { ALL })
        .bind(int(after))
        .bind(int(limit))
        .bind(finality_name(filter.level));
    let query = match filter.chain {
        Some(chain) => query.bind(chain.to_string()),
        None => query,
    };
    let rows = query.fetch_all(on).await?;
    rows.iter().map(entry).collect()
}

/// The newest entry about an event.
pub(crate) async fn newest(on: &mut AnyConnection, id: B256) -> Result<Option<FeedEntry>, Error> {
    let row = sqlx::query(concat!(
        "SELECT logs.told AS seq, logs.finality AS finality, ",
        event_columns!(),
        " FROM events JOIN logs ON logs.number = events.number WHERE events.id = $1"
    ))
    .bind(id.to_vec())
    .fetch_optional(on)
    .await?;
    row.as_ref().map(entry).transpose()
}
