//! How far each chain is, and the blocks that it is known by.

use std::collections::BTreeMap;

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::{AccountId, ChainId, TransactionId},
    wire::{feed::Finality, view::BlockRef},
};
use service::db::Db;
use sqlx::{AnyConnection, any::AnyRow};

use crate::{
    Error,
    bulk::Insert,
    columns::{Columns, int, json},
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

    /// How settled an event of a block of ours is.
    pub fn finality(&self, number: u64) -> Finality {
        if self.finalized.is_some_and(|block| number <= block.number) {
            Finality::Final
        } else if self.safe.is_some_and(|block| number <= block.number) {
            Finality::Safe
        } else {
            Finality::Seen
        }
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

/// Gives a chain its number, once, and refuses one that is followed otherwise than the configuration says.
pub(crate) async fn register(
    db: &Db,
    chain: ChainId,
    contracts: &[AccountId],
    start_block: u64,
    now: i64,
) -> Result<i64, Error> {
    if let Some(number) = registered(db, chain, contracts, start_block).await? {
        return Ok(number);
    }
    let mut write = db.begin().await?;
    let row = sqlx::query(
        "INSERT INTO chains (number, chain, contracts, start_block, updated_at) \
         VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM chains), $1, $2, $3, $4) \
         ON CONFLICT (chain) DO UPDATE SET contracts = excluded.contracts, start_block = excluded.start_block \
         RETURNING number",
    )
    .bind(chain.to_string())
    .bind(json(&contracts)?)
    .bind(int(start_block))
    .bind(now)
    .fetch_one(write.on())
    .await?;
    write.commit().await?;
    Ok(int(row.number("number")?))
}

/// The number of a chain that is followed as the configuration says; none where it is not followed yet. Refuses one that is
/// followed otherwise.
pub(crate) async fn registered(
    db: &Db,
    chain: ChainId,
    contracts: &[AccountId],
    start_block: u64,
) -> Result<Option<i64>, Error> {
    let find = "SELECT number, contracts, start_block, tip_number FROM chains WHERE chain = $1";
    let found = sqlx::query(find).bind(chain.to_string()).fetch_optional(db.reader()).await?;
    let configured = json(&contracts)?;
    let number = found.as_ref().map(|row| row.number("number").map(int)).transpose()?;
    if let Some((row, number)) = found.zip(number) {
        let mut same = true;
        for (key, stored, configured) in [
            ("contracts", row.text("contracts")?, configured),
            ("start_block", row.number("start_block")?.to_string(), start_block.to_string()),
        ] {
            if stored == configured {
                continue;
            }
            same = false;
            // Nothing is known of it before its first step.
            if row.number_or_none("tip_number")?.is_some() {
                return Err(Error::OtherDatabase { chain: chain.to_string(), key, stored, configured });
            }
        }
        return Ok(same.then_some(number));
    }
    Ok(None)
}

/// Every chain of the database, followed or not, with its number.
pub(crate) async fn chains(on: &mut AnyConnection) -> Result<Vec<(i64, ChainId)>, Error> {
    let rows = sqlx::query("SELECT number, chain FROM chains ORDER BY number").fetch_all(on).await?;
    rows.iter().map(|row| Ok((int(row.number("number")?), row.parsed("chain")?))).collect()
}

/// How far a chain is; none before its first step.
pub(crate) async fn position(on: &mut AnyConnection, chain: i64) -> Result<Option<Position>, Error> {
    let row = sqlx::query("SELECT * FROM chains WHERE number = $1").bind(chain).fetch_optional(on).await?;
    let Some(row) = row else { return Ok(None) };
    let block = |number: &'static str, hash: &'static str| {
        let both = row.number_or_none(number)?.zip(row.parsed_or_none(hash)?);
        Ok::<_, Error>(both.map(|(number, hash)| BlockRef { number, hash }))
    };
    let Some(tip) = block("tip_number", "tip_hash")? else { return Ok(None) };
    Ok(Some(Position {
        tip,
        settled: Settled {
            safe: block("safe_number", "safe_hash")?,
            finalized: block("final_number", "final_hash")?,
        },
        start_block: row.number("start_block")?,
    }))
}

/// Begins with the anchor: the block below the first one that is read (or the first block of the chain itself).
pub(crate) async fn begin(db: &Db, chain: i64, anchor: &Block, now: i64) -> Result<(), Error> {
    let mut write = db.begin().await?;
    move_to(write.on(), chain, anchor.block(), Settled::default(), now).await?;
    keep_blocks(write.on(), chain, &[*anchor]).await?;
    write.commit().await?;
    Ok(())
}

/// Moves the cursor.
pub(super) async fn move_to(
    on: &mut AnyConnection,
    chain: i64,
    tip: BlockRef,
    settled: Settled,
    now: i64,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE chains SET tip_number = $2, tip_hash = $3, safe_number = $4, safe_hash = $5, \
         final_number = $6, final_hash = $7, updated_at = $8 WHERE number = $1",
    )
    .bind(chain)
    .bind(int(tip.number))
    .bind(tip.hash.to_string())
    .bind(settled.safe.map(|b| int(b.number)))
    .bind(settled.safe.map(|b| b.hash.to_string()))
    .bind(settled.finalized.map(|b| int(b.number)))
    .bind(settled.finalized.map(|b| b.hash.to_string()))
    .bind(now)
    .execute(on)
    .await?;
    Ok(())
}

/// Keeps blocks as those of the canonical chain.
pub(super) async fn keep_blocks(on: &mut AnyConnection, chain: i64, blocks: &[Block]) -> Result<(), Error> {
    const KEEP: Insert<6> = Insert {
        table: "blocks",
        columns: ["chain", "hash", "number", "parent", "time", "canonical"],
        then: "ON CONFLICT (chain, hash) DO UPDATE SET canonical = 1",
    };
    // One statement must not meet the same block twice.
    let blocks: BTreeMap<u64, &Block> = blocks.iter().map(|block| (block.number, block)).collect();
    let row = |block: &&Block| {
        [
            chain.into(),
            block.hash.to_string().into(),
            int(block.number).into(),
            block.parent.to_string().into(),
            int(block.time).into(),
            1.into(),
        ]
    };
    KEEP.rows(on, blocks.values().map(|block| Ok(row(block)))).await
}

/// The blocks above `fork` are off the chain.
pub(super) async fn leave_blocks(on: &mut AnyConnection, chain: i64, fork: u64) -> Result<(), Error> {
    sqlx::query("UPDATE blocks SET canonical = 0 WHERE chain = $1 AND canonical = 1 AND number > $2")
        .bind(chain)
        .bind(int(fork))
        .execute(on)
        .await?;
    Ok(())
}

/// Blocks that are kept below the final one.
const KEPT_BELOW_FINAL: u64 = 256;

/// Blocks far below the final one are needed no more; the anchor is, to know the chain by.
pub(super) async fn prune(
    on: &mut AnyConnection,
    chain: i64,
    finalized: u64,
    start_block: u64,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM blocks WHERE chain = $1 AND number < $2 AND number > $3")
        .bind(chain)
        .bind(int(finalized.saturating_sub(KEPT_BELOW_FINAL)))
        .bind(int(start_block))
        .execute(on)
        .await?;
    Ok(())
}

/// Our canonical block at a height.
pub(crate) async fn block_at(
    on: &mut AnyConnection,
    chain: i64,
    number: u64,
) -> Result<Option<BlockRef>, Error> {
    Ok(block_below(on, chain, number).await?.filter(|block| block.number == number))
}

/// The highest canonical block that we keep at or below a height.
pub(crate) async fn block_below(
    on: &mut AnyConnection,
    chain: i64,
    number: u64,
) -> Result<Option<BlockRef>, Error> {
    let row = sqlx::query(
        "SELECT number, hash FROM blocks WHERE chain = $1 AND canonical = 1 AND number <= $2 \
         ORDER BY number DESC LIMIT 1",
    )
    .bind(chain)
    .bind(int(number))
    .fetch_optional(on)
    .await?;
    row.map(|row| Ok(BlockRef { number: row.number("number")?, hash: row.hash("hash")? })).transpose()
}

/// A log as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub block_hash: B256,
    /// Unix seconds.
    pub block_time: u64,
    pub transaction: TransactionId,
    pub contract: AccountId,
    pub topics: Vec<B256>,
    pub data: Bytes,
}

/// The canonical logs of the blocks after `above` and up to `to`, by block and index.
pub(crate) async fn kept_between(
    on: &mut AnyConnection,
    chain: i64,
    above: u64,
    to: u64,
) -> Result<BTreeMap<(u64, u64), Kept>, Error> {
    let rows = sqlx::query(
        "SELECT (SELECT chains.chain FROM chains WHERE chains.number = logs.chain) AS chain, block_number, log_index, \
         block_hash, block_time, transaction_hash, contract, topics, data FROM logs \
         WHERE logs.chain = $1 AND canonical = 1 AND block_number > $2 AND block_number <= $3",
    )
    .bind(chain)
    .bind(int(above))
    .bind(int(to))
    .fetch_all(on)
    .await?;
    let kept = |row: &AnyRow| {
        let kept = Kept {
            block_hash: row.word("block_hash")?,
            block_time: row.number("block_time")?,
            transaction: row.transaction("transaction_hash")?,
            contract: AccountId { chain: row.parsed("chain")?, address: row.address("contract")? },
            topics: row.topics("topics")?,
            data: Bytes::copy_from_slice(row.bytes("data")?),
        };
        Ok(((row.number("block_number")?, row.number("log_index")?), kept))
    };
    rows.iter().map(kept).collect()
}

/// The transaction of the newest event up to a block.
pub(crate) async fn newest_transaction(
    on: &mut AnyConnection,
    chain: i64,
    number: u64,
) -> Result<Option<TransactionId>, Error> {
    let row = sqlx::query(
        "SELECT transaction_hash FROM logs WHERE chain = $1 AND canonical = 1 AND block_number <= $2 \
         ORDER BY block_number DESC, log_index DESC LIMIT 1",
    )
    .bind(chain)
    .bind(int(number))
    .fetch_optional(on)
    .await?;
    row.map(|row| row.transaction("transaction_hash")).transpose()
}

/// Transactions with events in the blocks after `above` and up to `to`, each with the number of its block.
pub(crate) async fn transactions_between(
    on: &mut AnyConnection,
    chain: i64,
    above: u64,
    to: u64,
) -> Result<BTreeMap<TransactionId, u64>, Error> {
    let rows = sqlx::query(
        "SELECT DISTINCT transaction_hash, block_number FROM logs \
         WHERE chain = $1 AND canonical = 1 AND block_number > $2 AND block_number <= $3",
    )
    .bind(chain)
    .bind(int(above))
    .bind(int(to))
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| Ok((row.transaction("transaction_hash")?, row.number("block_number")?))).collect()
}
