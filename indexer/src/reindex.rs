//! Events and states told anew from the logs alone, without a chain.

use protocol::wire::feed::ChainEvent;
use service::{clock::Clock, db::Engine};
use sqlx::{Any, AnyConnection, AssertSqlSafe, pool::PoolConnection};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Error,
    bulk::ROWS_MAX,
    chain::store::chains,
    columns::{Columns, int},
    config::Config,
    faults,
    feed::{
        store::{event, event_columns},
        teller,
    },
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
    let alone = crate::alone(config, &db).await?;
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
        let (sender, mut pages) = mpsc::channel(PAGES);
        let reader = db.reader().acquire().await?;
        let reading = AbortOnDropHandle::new(tokio::spawn(read(reader, chain, sender)));
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

/// Reads the logs of a chain, the canonical ones in the chain's order and then the others, and has them decoded.
async fn read(mut on: PoolConnection<Any>, chain: i64, pages: mpsc::Sender<Decoding>) -> Result<(), Error> {
    const CANONICAL: &str = concat!(
        "SELECT ",
        event_columns!(),
        " FROM logs WHERE logs.chain = $1 AND logs.canonical = 1 AND (logs.block_number, logs.log_index) > ($2, $3) \
         ORDER BY logs.block_number, logs.log_index LIMIT $4"
    );
    const ORPHANED: &str = concat!(
        "SELECT ",
        event_columns!(),
        " FROM logs WHERE logs.chain = $1 AND logs.canonical = 0 AND (logs.number, logs.number) > ($2, $3) \
         ORDER BY logs.number LIMIT $4"
    );
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
            let columns = if canonical { ["block_number", "log_index"] } else { ["number", "number"] };
            let [first, second] = columns.map(|column| last.number(column).map(int));
            after = (first?, second?);
            let decoding = tokio::task::spawn_blocking(move || {
                let decoded = rows.iter().map(|row| Ok((row.number("number")?, event(row)?)));
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
