//! Events and states told anew from the logs alone, without a chain.

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::{AccountId, event_id},
    wire::feed::ChainEvent,
};
use service::{clock::Clock, db::Engine};
use sqlx::{AnyConnection, AssertSqlSafe, any::AnyRow};
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

/// Reads and decodes the logs of a chain: the canonical ones in the chain's order, and then the others.
async fn read(on: &mut AnyConnection, chain: i64, pages: &mpsc::Sender<Page>) -> Result<(), Error> {
    const CANONICAL: &str = "SELECT * FROM logs WHERE chain = $1 AND canonical = 1 \
         AND (block_number, log_index) > ($2, $3) ORDER BY block_number, log_index LIMIT $4";
    const ORPHANED: &str = "SELECT * FROM logs WHERE chain = $1 AND canonical = 0 \
         AND (number, number) > ($2, $3) ORDER BY number LIMIT $4";
    for (query, canonical) in [(CANONICAL, true), (ORPHANED, false)] {
        let mut after = (-1, -1);
        loop {
            let rows = sqlx::query(query)
                .bind(chain)
                .bind(after.0)
                .bind(after.1)
                .bind(i64::try_from(ROWS_MAX).unwrap_or(i64::MAX))
                .fetch_all(&mut *on)
                .await?;
            let Some(last) = rows.last() else { break };
            after = if canonical {
                (int(last.number("block_number")?), int(last.number("log_index")?))
            } else {
                (int(last.number("number")?), int(last.number("number")?))
            };
            let decoding = tokio::task::spawn_blocking(move || rows.iter().map(decoded).collect());
            let events: Result<Vec<_>, Error> = decoding.await.map_err(std::io::Error::other)?;
            if pages.send(Page { events: events?, canonical }).await.is_err() {
                // Writing failed, and says so itself.
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The event that a row of `logs` tells, with the log's number.
fn decoded(row: &AnyRow) -> Result<(u64, ChainEvent), Error> {
    let number = row.number("number")?;
    let contract: AccountId = row.parsed("contract")?;
    let (topics, data) = (row.decoded::<Vec<B256>>("topics")?, row.parsed::<Bytes>("data")?);
    let wrong = |reason: String| Error::Undecodable { number, reason };
    let (block_hash, transaction) = (row.hash("block_hash")?, row.parsed("transaction_hash")?);
    let log_index = index_of(row.number("log_index")?);
    let id = event_id(contract.chain, block_hash, transaction, log_index);
    let event = ChainEvent {
        id: id.map_err(|error| wrong(error.to_string()))?,
        contract,
        block_number: row.number("block_number")?,
        block_hash,
        block_time: row.number("block_time")?,
        transaction,
        log_index,
        body: decode(contract, topics, data).map_err(wrong)?,
    };
    Ok((number, event))
}
