//! Events and states told anew from the logs alone, without a chain.

use std::collections::BTreeMap;

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::{AccountId, event_id},
    wire::feed::ChainEvent,
};
use service::{clock::Clock, db::Engine};
use sqlx::{AnyConnection, AssertSqlSafe};
use tokio::sync::mpsc;

use crate::{
    Error,
    bulk::ROWS_MAX,
    chain::{source::decode, store::chains},
    columns::{Columns, int},
    config::Config,
    faults,
    feed::{store::index_of, teller},
    states::store::Folding,
    verify::Progress,
};

/// What [`reindex`] wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reindexed {
    /// Events, orphaned ones included.
    pub events: u64,
    /// States of deals, cases and pools.
    pub states: u64,
}

/// Decodes every log of the database again and writes events and states anew, on every chain, in one transaction: whoever
/// reads meanwhile sees what was there before, and so does everybody where this does not come to its end. Whoever writes
/// waits. Logs and feed stay as they are. Memory holds some pages of logs and a bounded number of states; the disk must
/// have room for another copy of events and states.
///
/// # Errors
/// The database cannot be opened, read or written, or holds a log that this version cannot decode; then nothing is changed.
pub async fn reindex(
    config: &Config,
    clock: &dyn Clock,
    mut progress: impl FnMut(Progress),
) -> Result<Reindexed, Error> {
    let (db, _) = crate::open(config, clock).await?;
    let now = clock.now_ms();
    let mut write = db.begin().await?;
    let on = write.on();
    let stamped = int(stamp(&mut *on).await?).saturating_add(1);
    let indexes = if db.engine() == Engine::Sqlite { drop_indexes(&mut *on).await? } else { Vec::new() };
    sqlx::query("DELETE FROM events").execute(&mut *on).await?;
    sqlx::query("DELETE FROM states").execute(&mut *on).await?;
    faults::clear_all_gaps(&mut *on, now).await?;
    let mut at = Progress::begin(&mut *on).await?;
    for (chain, _) in chains(&mut *on).await? {
        // What is decoded waits for its turn to be written, and the next is read and decoded meanwhile.
        let (sender, mut pages) = mpsc::channel(1);
        let mut reader = db.reader().acquire().await?;
        let read = async {
            let read = read(&mut reader, chain, &sender).await;
            drop(sender);
            read
        };
        let fold = async {
            let mut folding = Folding::anew(chain, now);
            while let Some(page) = pages.recv().await {
                let page: Page = page;
                teller::write_events(&mut *on, page.events.iter().map(|(number, event)| (*number, event)))
                    .await?;
                if page.canonical {
                    let events = page.events.iter().map(|(number, event)| (*number, event));
                    folding.add(&mut *on, events).await?;
                }
                at.done = at.done.saturating_add(u64::try_from(page.events.len()).unwrap_or_default());
                progress(at);
            }
            folding.write(&mut *on).await
        };
        tokio::try_join!(read, fold)?;
    }
    for index in indexes {
        sqlx::query(AssertSqlSafe(index)).execute(&mut *on).await?;
    }
    sqlx::query("DELETE FROM reindexed").execute(&mut *on).await?;
    sqlx::query("INSERT INTO reindexed (at) VALUES ($1)").bind(now.max(stamped)).execute(&mut *on).await?;
    let count = "SELECT (SELECT COUNT(*) FROM events) AS events, (SELECT COUNT(*) FROM states) AS states";
    let row = sqlx::query(count).fetch_one(&mut *on).await?;
    let reindexed = Reindexed { events: row.number("events")?, states: row.number("states")? };
    write.commit().await?;
    db.close().await;
    Ok(reindexed)
}

/// When the database was last re-indexed, in Unix milliseconds, no two times the same; zero where it never was.
pub(crate) async fn stamp(on: &mut AnyConnection) -> Result<u64, Error> {
    let row = sqlx::query("SELECT COALESCE(MAX(at), 0) AS at FROM reindexed").fetch_one(on).await?;
    row.number("at")
}

/// Drops the secondary indexes of what is written anew, and answers the statements that make them again: sorted at the end
/// they cost a fraction of what they cost row by row. On PostgreSQL that would shut out whoever reads.
async fn drop_indexes(on: &mut AnyConnection) -> Result<Vec<String>, Error> {
    let rows = sqlx::query(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('events', 'states') \
         AND sql IS NOT NULL ORDER BY name",
    )
    .fetch_all(&mut *on)
    .await?;
    let mut statements = Vec::new();
    for row in &rows {
        // Both are this program's own words.
        let drop = format!("DROP INDEX {}", row.text("name")?);
        sqlx::query(AssertSqlSafe(drop)).execute(&mut *on).await?;
        statements.push(row.text("sql")?);
    }
    Ok(statements)
}

/// Decoded events with the numbers of their logs.
struct Page {
    events: Vec<(u64, ChainEvent)>,
    canonical: bool,
}

/// A page of logs as one JSON text, which costs a fraction of as many rows of so many columns: in the words of each engine.
macro_rules! page_of_logs {
    ($of:expr, $order:expr) => {
        [
            concat!(
                "SELECT json_group_array(json_array(number, block_number, log_index, block_hash, block_time, \
                 transaction_hash, contract, json(topics), data) ORDER BY ",
                $order,
                ") AS page FROM (SELECT * FROM logs WHERE chain = $1 AND ",
                $of,
                " ORDER BY ",
                $order,
                " LIMIT $4)"
            ),
            concat!(
                "SELECT CAST(COALESCE(json_agg(json_build_array(number, block_number, log_index, block_hash, block_time, \
                 transaction_hash, contract, CAST(topics AS json), data) ORDER BY ",
                $order,
                "), '[]') AS text) AS page FROM (SELECT * FROM logs WHERE chain = $1 AND ",
                $of,
                " ORDER BY ",
                $order,
                " LIMIT $4) AS page_of"
            ),
        ]
    };
}

/// A log: number, block, index, hash and time of its block, transaction, contract, topics, data.
type Log = (u64, u64, u64, B256, u64, String, String, Vec<B256>, Bytes);

/// Reads and decodes the logs of a chain: the canonical ones in the chain's order, and then the others.
async fn read(on: &mut AnyConnection, chain: i64, pages: &mpsc::Sender<Page>) -> Result<(), Error> {
    const CANONICAL: [&str; 2] =
        page_of_logs!("canonical = 1 AND (block_number, log_index) > ($2, $3)", "block_number, log_index");
    const ORPHANED: [&str; 2] = page_of_logs!("canonical = 0 AND (number, number) > ($2, $3)", "number");
    for ([sqlite, postgres], canonical) in [(CANONICAL, true), (ORPHANED, false)] {
        let query = if on.backend_name() == "PostgreSQL" { postgres } else { sqlite };
        let mut after = (-1, -1);
        loop {
            let row = sqlx::query(query)
                .bind(chain)
                .bind(after.0)
                .bind(after.1)
                .bind(i64::try_from(ROWS_MAX).unwrap_or(i64::MAX))
                .fetch_one(&mut *on)
                .await?;
            let text = row.text("page")?;
            let decoding = tokio::task::spawn_blocking(move || decoded(&text));
            let (last, events) = decoding.await.map_err(std::io::Error::other)??;
            let Some((number, block_number, log_index)) = last else { break };
            after = if canonical { (int(block_number), int(log_index)) } else { (int(number), int(number)) };
            if pages.send(Page { events, canonical }).await.is_err() {
                // Writing failed, and says so itself.
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Number, block and index of the last log of a page, and the events that its logs tell, with their numbers.
type Decoded = (Option<(u64, u64, u64)>, Vec<(u64, ChainEvent)>);

fn decoded(page: &str) -> Result<Decoded, Error> {
    let logs: Vec<Log> =
        serde_json::from_str(page).map_err(|error| Error::damaged("logs", &error.to_string()))?;
    let last = logs.last().map(|(number, block_number, log_index, ..)| (*number, *block_number, *log_index));
    // Reading one costs a hash for its checksum, and they are few.
    let mut contracts: BTreeMap<String, AccountId> = BTreeMap::new();
    let mut events = Vec::with_capacity(logs.len());
    for (number, block_number, place, block_hash, block_time, transaction, contract, topics, data) in logs {
        let contract = match contracts.get(&contract) {
            Some(known) => *known,
            None => {
                let read = contract.parse().map_err(|_| Error::damaged("contract", &contract))?;
                contracts.insert(contract, read);
                read
            }
        };
        let wrong = |reason: String| Error::Undecodable { number, reason };
        let transaction =
            transaction.parse().map_err(|_| Error::damaged("transaction_hash", &transaction))?;
        let log_index = index_of(place);
        let id = event_id(contract.chain, block_hash, transaction, log_index);
        let event = ChainEvent {
            id: id.map_err(|error| wrong(error.to_string()))?,
            contract,
            block_number,
            block_hash,
            block_time,
            transaction,
            log_index,
            body: decode(contract, topics, data).map_err(wrong)?,
        };
        events.push((number, event));
    }
    Ok((last, events))
}
