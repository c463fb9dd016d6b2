//! The cursor, the blocks, and the one transaction of a step.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use protocol::{
    chain::{AccountId, ChainId, TransactionId},
    wire::{
        feed::Finality,
        view::{BlockRef, FaultKind},
    },
};
use service::db::Db;
use sqlx::AnyConnection;

use crate::{
    Error,
    columns::{Columns, int, json},
    faults,
    feed::store::{Decoded, Teller},
    states::{model::subject_of, store::Touched},
};

/// A block that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its height; on Solana its slot.
    pub number: u64,
    pub hash: B256,
    pub parent: B256,
    /// Unix seconds.
    pub time: u64,
}

impl Block {
    pub const fn block(&self) -> BlockRef {
        BlockRef { number: self.number, hash: self.hash }
    }
}

/// Up to where events may be told as safe and as final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub safe: Option<BlockRef>,
    pub finalized: Option<BlockRef>,
}

impl Settled {
    /// What of it reaches up to `tip`, a block that was just read by its height from the same chain.
    pub fn cut(self, tip: BlockRef) -> Self {
        let cut = |block: Option<BlockRef>| block.map(|b| if b.number > tip.number { tip } else { b });
        Self { safe: cut(self.safe), finalized: cut(self.finalized) }
    }
}

/// What the chain says is settled, never less than before. `ours` are our blocks at the heights that it says.
///
/// A block that we do not hold, or hold under another hash, settles nothing: it is for the head rules to find the fork.
pub(crate) fn promote(before: Settled, said: Settled, ours: &[BlockRef]) -> Settled {
    let accept = |before: Option<BlockRef>, said: Option<BlockRef>| match said {
        Some(block) if before.is_none_or(|b| b.number < block.number) && ours.contains(&block) => Some(block),
        _ => before,
    };
    let finalized = accept(before.finalized, said.finalized);
    let safe = accept(before.safe, said.safe);
    // What is final is safe.
    let safe = match (safe, finalized) {
        (Some(s), Some(f)) if s.number < f.number => Some(f),
        (safe, _) => safe,
    };
    Settled { safe, finalized }
}

/// What a watched contract told that is no event of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undecodable {
    pub block: BlockRef,
    /// What it is and why, in words.
    pub detail: String,
}

/// How far the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Everything up to this block is in the database.
    pub tip: BlockRef,
    /// Up to here events were told as safe and as final.
    pub settled: Settled,
    /// The first block that is read.
    pub start_block: u64,
}

pub(crate) async fn position(on: &mut AnyConnection) -> Result<Option<Position>, Error> {
    let row = sqlx::query("SELECT * FROM position WHERE one = 1").fetch_optional(on).await?;
    row.map(|row| {
        let block = |number: Option<u64>, hash: Option<B256>| {
            number.zip(hash).map(|(number, hash)| BlockRef { number, hash })
        };
        Ok(Position {
            tip: BlockRef { number: row.number("tip_number")?, hash: row.hash("tip_hash")? },
            settled: Settled {
                safe: block(row.number_or_none("safe_number")?, row.parsed_or_none("safe_hash")?),
                finalized: block(row.number_or_none("final_number")?, row.parsed_or_none("final_hash")?),
            },
            start_block: row.number("start_block")?,
        })
    })
    .transpose()
}

/// Refuses a database that follows something else.
pub(crate) async fn check_identity(
    on: &mut AnyConnection,
    chain: ChainId,
    contracts: &[AccountId],
    start_block: u64,
) -> Result<(), Error> {
    let Some(row) = sqlx::query("SELECT * FROM position WHERE one = 1").fetch_optional(on).await? else {
        return Ok(());
    };
    for (key, stored, configured) in [
        ("chain", row.text("chain")?, chain.to_string()),
        ("contracts", row.text("contracts")?, json(&contracts)?),
        ("start_block", row.number("start_block")?.to_string(), start_block.to_string()),
    ] {
        if stored != configured {
            return Err(Error::OtherDatabase { key, stored, configured });
        }
    }
    Ok(())
}

/// Begins with the anchor: the block below the first one that is read (or the first block of the chain itself).
pub(crate) async fn begin(
    db: &Db,
    chain: ChainId,
    contracts: &[AccountId],
    start_block: u64,
    anchor: &Block,
    now: i64,
) -> Result<(), Error> {
    let mut write = db.begin().await?;
    sqlx::query(
        "INSERT INTO position (one, chain, contracts, start_block, tip_number, tip_hash, updated_at) \
         VALUES (1, $1, $2, $3, $4, $5, $6)",
    )
    .bind(chain.to_string())
    .bind(json(&contracts)?)
    .bind(int(start_block))
    .bind(int(anchor.number))
    .bind(anchor.hash.to_string())
    .bind(now)
    .execute(write.on())
    .await?;
    insert_block(write.on(), anchor).await?;
    write.commit().await?;
    Ok(())
}

async fn insert_block(on: &mut AnyConnection, header: &Block) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO blocks (hash, number, parent, time, canonical) VALUES ($1, $2, $3, $4, 1) \
         ON CONFLICT (hash) DO UPDATE SET canonical = 1",
    )
    .bind(header.hash.to_string())
    .bind(int(header.number))
    .bind(header.parent.to_string())
    .bind(int(header.time))
    .execute(on)
    .await?;
    Ok(())
}

/// Our canonical block at a height.
pub(crate) async fn block_at(on: &mut AnyConnection, number: u64) -> Result<Option<BlockRef>, Error> {
    let row = sqlx::query("SELECT number, hash FROM blocks WHERE canonical = 1 AND number = $1")
        .bind(int(number))
        .fetch_optional(on)
        .await?;
    row.map(|row| Ok(BlockRef { number: row.number("number")?, hash: row.hash("hash")? })).transpose()
}

/// The highest canonical block that we keep at or below a height.
pub(crate) async fn block_below(on: &mut AnyConnection, number: u64) -> Result<Option<BlockRef>, Error> {
    let row = sqlx::query(
        "SELECT number, hash FROM blocks WHERE canonical = 1 AND number <= $1 ORDER BY number DESC LIMIT 1",
    )
    .bind(int(number))
    .fetch_optional(on)
    .await?;
    row.map(|row| Ok(BlockRef { number: row.number("number")?, hash: row.hash("hash")? })).transpose()
}

/// The transaction of the newest event up to a block.
pub(crate) async fn newest_transaction(
    on: &mut AnyConnection,
    number: u64,
) -> Result<Option<TransactionId>, Error> {
    let row = sqlx::query(
        "SELECT transaction_hash FROM events WHERE canonical = 1 AND block_number <= $1 \
         ORDER BY block_number DESC, log_index DESC LIMIT 1",
    )
    .bind(int(number))
    .fetch_optional(on)
    .await?;
    row.map(|row| row.parsed("transaction_hash")).transpose()
}

/// Transactions with events in the blocks after `above` and up to `to`, each with the number of its block.
pub(crate) async fn transactions_between(
    on: &mut AnyConnection,
    above: u64,
    to: u64,
) -> Result<BTreeMap<TransactionId, u64>, Error> {
    let rows = sqlx::query(
        "SELECT DISTINCT transaction_hash, block_number FROM events \
         WHERE canonical = 1 AND block_number > $1 AND block_number <= $2",
    )
    .bind(int(above))
    .bind(int(to))
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| Ok((row.parsed("transaction_hash")?, row.number("block_number")?))).collect()
}

/// What one step does.
#[derive(Debug)]
pub(crate) struct Step {
    /// The tip that the step was planned for.
    pub from: BlockRef,
    /// Our blocks above this one left the chain.
    pub fork: Option<BlockRef>,
    /// Headers to keep, ascending; the last is the new tip.
    pub headers: Vec<Block>,
    /// Events that joined the chain, in the chain's order.
    pub events: Vec<Decoded>,
    /// A block below the new tip to keep as well, for what is settled to be told by.
    pub mark: Option<Block>,
    /// The block after that, which cannot be decoded.
    pub stuck: Option<Undecodable>,
    /// What the chain says is settled.
    pub said: Settled,
}

impl Step {
    /// A step that tells what is settled and nothing else.
    pub const fn settling(from: BlockRef, said: Settled) -> Self {
        Self { from, fork: None, headers: Vec::new(), events: Vec::new(), mark: None, stuck: None, said }
    }
}

/// Blocks that are kept below the final one.
const KEPT_BELOW_FINAL: u64 = 256;

/// Does a step in one transaction; answers the newest entry of the feed.
pub(crate) async fn commit(db: &Db, step: &Step, now: i64) -> Result<u64, Error> {
    let mut write = db.begin().await?;
    let on = write.on();
    let Some(position) = position(&mut *on).await? else { return Err(Error::Raced) };
    if position.tip != step.from {
        return Err(Error::Raced);
    }
    let mut teller = Teller::begin(&mut *on, now).await?;
    let mut touched = Touched::default();
    if let Some(fork) = step.fork {
        for event in teller.retract_above(&mut *on, fork.number).await? {
            faults::clear(&mut *on, FaultKind::CountGap, &event.id.to_string(), now).await?;
            touched.forget(subject_of(&event));
        }
        sqlx::query("UPDATE blocks SET canonical = 0 WHERE canonical = 1 AND number > $1")
            .bind(int(fork.number))
            .execute(&mut *on)
            .await?;
        touched.refold(&mut *on, now).await?;
    }
    for header in step.mark.iter().chain(&step.headers) {
        insert_block(&mut *on, header).await?;
    }
    for decoded in &step.events {
        teller.seen(&mut *on, decoded).await?;
        touched.add(&mut *on, &decoded.event, now).await?;
    }
    touched.write(&mut *on).await?;

    let tip = step.headers.last().map_or(step.fork.unwrap_or(step.from), Block::block);
    // What is settled beyond a tip that was just read settles the tip; one that was not read now may be off the chain.
    let said = if step.headers.is_empty() { step.said } else { step.said.cut(tip) };
    let mut ours = Vec::new();
    for said in [said.safe, said.finalized].into_iter().flatten() {
        ours.extend(block_at(&mut *on, said.number).await?);
    }
    let settled = promote(position.settled, said, &ours);
    if let Some(block) = settled.safe.filter(|_| settled.safe != position.settled.safe) {
        // What becomes final in this same step is told as final alone.
        let above = settled.finalized.map(|f| f.number);
        teller.settle(&mut *on, Finality::Safe, above, block.number).await?;
    }
    if let Some(block) = settled.finalized {
        teller.settle(&mut *on, Finality::Final, None, block.number).await?;
        if settled.finalized != position.settled.finalized {
            prune(&mut *on, block.number, position.start_block).await?;
        }
    }
    sqlx::query(
        "UPDATE position SET tip_number = $1, tip_hash = $2, safe_number = $3, safe_hash = $4, \
         final_number = $5, final_hash = $6, updated_at = $7 WHERE one = 1",
    )
    .bind(int(tip.number))
    .bind(tip.hash.to_string())
    .bind(settled.safe.map(|b| int(b.number)))
    .bind(settled.safe.map(|b| b.hash.to_string()))
    .bind(settled.finalized.map(|b| int(b.number)))
    .bind(settled.finalized.map(|b| b.hash.to_string()))
    .bind(now)
    .execute(&mut *on)
    .await?;
    let stuck = step.stuck.as_ref().map(|stuck| (stuck.block.hash.to_string(), stuck.detail.as_str()));
    faults::clear_stops(&mut *on, stuck.as_ref().map(|(block, _)| block.as_str()), now).await?;
    if let Some((block, detail)) = &stuck {
        faults::raise(&mut *on, FaultKind::Quarantine, block, detail, now).await?;
    }
    write.commit().await?;
    for decoded in &step.events {
        metrics::counter!("indexer_events_total", "name" => decoded.event.body.name()).increment(1);
    }
    Ok(teller.seq)
}

/// Blocks far below the final one are needed no more; the anchor is, to know the chain by.
async fn prune(on: &mut AnyConnection, finalized: u64, start_block: u64) -> Result<(), Error> {
    sqlx::query("DELETE FROM blocks WHERE number < $1 AND number > $2")
        .bind(int(finalized.saturating_sub(KEPT_BELOW_FINAL)))
        .bind(int(start_block))
        .execute(on)
        .await?;
    Ok(())
}
