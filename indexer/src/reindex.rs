//! Events and states told anew from the logs alone, without a chain.

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::{AccountId, ChainId},
    wire::feed::ChainEvent,
};
use service::{clock::Clock, db::Engine};
use sqlx::{Any, AnyConnection, AssertSqlSafe, pool::PoolConnection};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Error, Own,
    bulk::ROWS_MAX,
    chain::store::chains,
    columns::{Columns, address_of, damaged_bytes, int, topics_of, transaction_of},
    config::Config,
    faults,
    feed::{store::Logged, teller},
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
    progress: impl FnMut(Progress),
) -> Result<Reindexed, Error> {
    in_pages(config, clock, PAGE_BYTES, progress).await
}

/// The same with so many bytes of data in a page at most, but for a page of one log.
pub(crate) async fn in_pages(
    config: &Config,
    clock: &dyn Clock,
    page_bytes: u64,
    mut progress: impl FnMut(Progress),
) -> Result<Reindexed, Error> {
    let Own { db, alone, .. } = Own::open(config, clock).await?;
    let now = clock.now_ms();
    let mut write = db.begin().await?;
    let on = write.on();
    let stamped = int(stamp(&mut *on).await?).saturating_add(1);
    let indexes = if db.engine() == Engine::Sqlite { drop_indexes(&mut *on).await? } else { Vec::new() };
    sqlx::query("DELETE FROM events").execute(&mut *on).await?;
    sqlx::query("DELETE FROM states").execute(&mut *on).await?;
    faults::clear_all_gaps(&mut *on, now).await?;
    let mut at = Progress::begin(&mut *on).await?;
    for (chain, id) in chains(&mut *on).await? {
        // What is decoded waits for its turn to be written, and the next is read and decoded meanwhile.
        let (sender, mut pages) = mpsc::channel(PAGES);
        let reader = db.reader().acquire().await?;
        let reading = AbortOnDropHandle::new(tokio::spawn(read(reader, (chain, id), page_bytes, sender)));
        let mut folding = Folding::anew(chain, now);
        while let Some(page) = pages.recv().await {
            let Page { events, canonical } = page.await.map_err(std::io::Error::other)??;
            let told = || events.iter().map(|(number, event)| (*number, event));
            if canonical {
                folding.prepare(&mut *on, events.iter().map(|(_, event)| event)).await?;
            }
            let fold = async {
                if canonical {
                    folding.fold(told());
                }
            };
            let (written, ()) = tokio::join!(biased; teller::write_events(&mut *on, told()), fold);
            written?;
            at.done = at.done.saturating_add(u64::try_from(events.len()).unwrap_or_default());
            progress(at);
        }
        reading.await.map_err(std::io::Error::other)??;
        folding.raise(&mut *on).await?;
        folding.write(&mut *on).await?;
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
    alone.give_up().await;
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

/// Pages that are decoded and wait at one time.
const PAGES: usize = 2;

/// Decoded events with the numbers of their logs.
struct Page {
    events: Vec<(u64, ChainEvent)>,
    canonical: bool,
}

/// A page that is being decoded.
type Decoding = JoinHandle<Result<Page, Error>>;

/// Bytes of data that the logs of a page may have.
const PAGE_BYTES: u64 = 4 << 20;

/// A page of logs as one JSON text, which costs a fraction of as many rows of so many columns, in the words of each engine; and
/// how many bytes of data would be in it.
struct Paging {
    sqlite: &'static str,
    postgres: &'static str,
    bytes: &'static str,
}

/// The next `$4` logs of chain `$1` that are `$of`, in `$order`.
macro_rules! paging {
    ($of:literal, $order:literal) => {
        Paging {
            sqlite: concat!(
                "SELECT json_group_array(json_array(number, block_number, log_index, block_time, hex(block_hash), \
                 hex(transaction_hash), hex(contract), hex(topics), hex(data))) AS page FROM \
                 (SELECT * FROM logs WHERE chain = $1 AND ",
                $of,
                " ORDER BY ",
                $order,
                " LIMIT $4)"
            ),
            postgres: concat!(
                "SELECT CAST(COALESCE(json_agg(json_build_array(number, block_number, log_index, block_time, \
                 encode(block_hash, 'hex'), encode(transaction_hash, 'hex'), encode(contract, 'hex'), \
                 encode(topics, 'hex'), encode(data, 'hex'))), '[]') AS text) AS page FROM \
                 (SELECT * FROM logs WHERE chain = $1 AND ",
                $of,
                " ORDER BY ",
                $order,
                " LIMIT $4) AS page_of"
            ),
            bytes: concat!(
                "SELECT CAST(COALESCE(SUM(length), 0) AS BIGINT) AS bytes FROM \
                 (SELECT LENGTH(data) AS length FROM logs WHERE chain = $1 AND ",
                $of,
                " ORDER BY ",
                $order,
                " LIMIT $4) AS page_of"
            ),
        }
    };
}

/// A log: number, block, index, time of its block, hash of its block, transaction, contract, topics, data.
type Log = (i64, i64, i64, i64, Bytes, Bytes, Bytes, Bytes, Bytes);

/// Reads the logs of a chain, the canonical ones in the chain's order and then the others, and has them decoded.
async fn read(
    mut on: PoolConnection<Any>,
    (number, chain): (i64, ChainId),
    page_bytes: u64,
    pages: mpsc::Sender<Decoding>,
) -> Result<(), Error> {
    const CANONICAL: Paging =
        paging!("canonical = 1 AND (block_number, log_index) > ($2, $3)", "block_number, log_index");
    const ORPHANED: Paging = paging!("canonical = 0 AND (number, number) > ($2, $3)", "number");
    for (paging, canonical) in [(CANONICAL, true), (ORPHANED, false)] {
        let page = if on.backend_name() == "PostgreSQL" { paging.postgres } else { paging.sqlite };
        let mut after = (i64::MIN, i64::MIN);
        let mut rows = ROWS_MAX;
        loop {
            let next = |query, rows| {
                let rows = i64::try_from(rows).unwrap_or(i64::MAX);
                sqlx::query(query).bind(number).bind(after.0).bind(after.1).bind(rows)
            };
            rows = rows.saturating_mul(2).min(ROWS_MAX);
            while rows > 1
                && next(paging.bytes, rows).fetch_one(&mut *on).await?.number("bytes")? > page_bytes
            {
                rows = rows.div_ceil(2);
            }
            let row = next(page, rows).fetch_one(&mut *on).await?;
            let text = row.text("page")?;
            let reading = tokio::task::spawn_blocking(move || {
                let logs: Result<Vec<Log>, _> = serde_json::from_str(&text);
                let mut logs = logs.map_err(|error| Error::damaged("logs", &error.to_string()))?;
                // An array of rows is in no order that was promised.
                logs.sort_unstable_by_key(|log| if canonical { (log.1, log.2) } else { (log.0, log.0) });
                Ok::<_, Error>(logs)
            });
            let logs = reading.await.map_err(std::io::Error::other)??;
            let Some(last) = logs.last() else { break };
            after = if canonical { (last.1, last.2) } else { (last.0, last.0) };
            let decoding = tokio::task::spawn_blocking(move || {
                let decoded = logs.into_iter().map(|log| {
                    let number = log.0;
                    let damaged = |error: Error| Error::Undecodable { number, reason: error.to_string() };
                    let kept = kept(chain, log).map_err(damaged)?;
                    Ok((kept.number, kept.event()?))
                });
                Ok(Page { events: decoded.collect::<Result<_, Error>>()?, canonical })
            });
            if pages.send(decoding).await.is_err() {
                // Writing failed, and says so itself.
                return Ok(());
            }
        }
    }
    Ok(())
}

fn kept(chain: ChainId, log: Log) -> Result<Logged, Error> {
    let (number, block_number, place, block_time, block_hash, transaction, contract, topics, data) = log;
    let hash: &[u8] = &block_hash;
    let count =
        |column, value: i64| u64::try_from(value).map_err(|_| Error::damaged(column, &value.to_string()));
    Ok(Logged {
        number: count("number", number)?,
        contract: AccountId {
            chain,
            address: address_of(&contract).ok_or_else(|| damaged_bytes("contract", &contract))?,
        },
        block_number: count("block_number", block_number)?,
        block_hash: B256::try_from(hash).map_err(|_| damaged_bytes("block_hash", hash))?,
        block_time: count("block_time", block_time)?,
        transaction: transaction_of(&transaction)
            .ok_or_else(|| damaged_bytes("transaction_hash", &transaction))?,
        place: count("log_index", place)?,
        topics: topics_of(&topics).ok_or_else(|| damaged_bytes("topics", &topics))?,
        data,
    })
}
