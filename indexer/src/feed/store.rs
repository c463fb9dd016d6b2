//! Events and what was told of them.

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::AccountId,
    wire::feed::{ChainEvent, EventBody, FeedEntry, Finality},
};
use sqlx::{AnyConnection, any::AnyRow};

use crate::{
    Error,
    columns::{Columns, finality_name, int, json},
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
fn place(ordinal: u32, log_index: u64) -> u64 {
    u64::from(ordinal) << 32 | log_index & u64::from(u32::MAX)
}

/// The newest entry's position; 0 when there is none.
pub(crate) async fn last_seq(on: &mut AnyConnection) -> Result<u64, Error> {
    let row = sqlx::query("SELECT COALESCE(MAX(seq), 0) AS seq FROM feed").fetch_one(on).await?;
    row.number("seq")
}

/// Tells entries at the end of the feed. Positions are given within one writer's turn, so they are in commit order and
/// without gaps.
#[derive(Debug)]
pub(crate) struct Teller {
    pub seq: u64,
    pub now: i64,
}

impl Teller {
    pub async fn begin(on: &mut AnyConnection, now: i64) -> Result<Self, Error> {
        Ok(Self { seq: last_seq(on).await?, now })
    }

    async fn tell(&mut self, on: &mut AnyConnection, event: B256, finality: Finality) -> Result<(), Error> {
        self.seq = self.seq.saturating_add(1);
        sqlx::query("INSERT INTO feed (seq, event, finality, told_at) VALUES ($1, $2, $3, $4)")
            .bind(int(self.seq))
            .bind(event.to_string())
            .bind(finality_name(finality))
            .bind(self.now)
            .execute(on)
            .await?;
        Ok(())
    }

    /// Stores an event of the canonical chain and tells it as seen. An event whose block left the chain and came back is
    /// the same event, canonical again; on Solana, where its transaction may have come into another block, in its new place.
    pub async fn seen(&mut self, on: &mut AnyConnection, decoded: &Decoded) -> Result<(), Error> {
        let event = &decoded.event;
        sqlx::query(
            "INSERT INTO events (id, chain, block_hash, log_index, block_number, block_time, transaction_hash, \
             contract, topics, data, name, body, subject, canonical, finality) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, 'seen') \
             ON CONFLICT (id) DO UPDATE SET canonical = 1, finality = 'seen', block_hash = excluded.block_hash, \
             log_index = excluded.log_index, block_number = excluded.block_number, \
             block_time = excluded.block_time, topics = excluded.topics, data = excluded.data, \
             name = excluded.name, body = excluded.body, subject = excluded.subject, contract = excluded.contract",
        )
        .bind(event.id.to_string())
        .bind(event.chain().to_string())
        .bind(event.block_hash.to_string())
        .bind(int(place(decoded.ordinal, event.log_index)))
        .bind(int(event.block_number))
        .bind(int(event.block_time))
        .bind(event.transaction.to_string())
        .bind(event.contract.to_string())
        .bind(json(&decoded.topics)?)
        .bind(decoded.data.to_string())
        .bind(event.body.name())
        .bind(json(&event.body)?)
        .bind(subject_of(event).to_string())
        .execute(&mut *on)
        .await?;
        self.tell(on, event.id, Finality::Seen).await
    }

    /// Tells the events of every block above `fork` as retracted, newest first, and answers them.
    pub async fn retract_above(
        &mut self,
        on: &mut AnyConnection,
        fork: u64,
    ) -> Result<Vec<ChainEvent>, Error> {
        let rows = sqlx::query(
            "SELECT * FROM events WHERE canonical = 1 AND block_number > $1 \
             ORDER BY block_number DESC, log_index DESC",
        )
        .bind(int(fork))
        .fetch_all(&mut *on)
        .await?;
        let mut retracted = Vec::new();
        for row in &rows {
            let event = event(row)?;
            sqlx::query("UPDATE events SET canonical = 0, finality = 'retracted' WHERE id = $1")
                .bind(event.id.to_string())
                .execute(&mut *on)
                .await?;
            self.tell(&mut *on, event.id, Finality::Retracted).await?;
            retracted.push(event);
        }
        Ok(retracted)
    }

    /// Tells as `finality`, safe or final, every event above `above` and up to `number` that is told as less, oldest
    /// first.
    pub async fn settle(
        &mut self,
        on: &mut AnyConnection,
        finality: Finality,
        above: Option<u64>,
        number: u64,
    ) -> Result<(), Error> {
        // An event that was told as safe is told as final too, but not as safe again.
        let also = if finality == Finality::Final { "safe" } else { "seen" };
        let told = sqlx::query(
            "INSERT INTO feed (seq, event, finality, told_at) \
             SELECT $1 + ROW_NUMBER() OVER (ORDER BY block_number, log_index), id, CAST($2 AS TEXT), \
             CAST($3 AS BIGINT) FROM events WHERE canonical = 1 AND finality <> 'final' \
             AND block_number > $4 AND block_number <= $5 AND finality IN ('seen', $6)",
        )
        .bind(int(self.seq))
        .bind(finality_name(finality))
        .bind(self.now)
        .bind(above.map_or(-1, int))
        .bind(int(number))
        .bind(also)
        .execute(&mut *on)
        .await?
        .rows_affected();
        if told > 0 {
            sqlx::query(
                "UPDATE events SET finality = $1 WHERE canonical = 1 AND finality <> 'final' \
                 AND block_number > $2 AND block_number <= $3 AND finality IN ('seen', $4)",
            )
            .bind(finality_name(finality))
            .bind(above.map_or(-1, int))
            .bind(int(number))
            .bind(also)
            .execute(&mut *on)
            .await?;
            self.seq = self.seq.saturating_add(told);
        }
        Ok(())
    }
}

/// The event that a row of `events` holds.
pub(crate) fn event(row: &AnyRow) -> Result<ChainEvent, Error> {
    Ok(ChainEvent {
        id: row.hash("id")?,
        contract: row.parsed::<AccountId>("contract")?,
        block_number: row.number("block_number")?,
        block_hash: row.hash("block_hash")?,
        block_time: row.number("block_time")?,
        transaction: row.parsed("transaction_hash")?,
        log_index: row.number("log_index")? & u64::from(u32::MAX),
        body: row.decoded::<EventBody>("body")?,
    })
}

/// The canonical events about a subject, oldest first.
pub(crate) async fn canonical_of(
    on: &mut AnyConnection,
    subject: &Subject,
) -> Result<Vec<ChainEvent>, Error> {
    let rows = sqlx::query(
        "SELECT * FROM events WHERE subject = $1 AND canonical = 1 ORDER BY block_number, log_index",
    )
    .bind(subject.to_string())
    .fetch_all(on)
    .await?;
    rows.iter().map(event).collect()
}

fn entry(row: &AnyRow) -> Result<FeedEntry, Error> {
    Ok(FeedEntry { seq: row.number("seq")?, finality: row.finality("told")?, event: event(row)? })
}

/// Entries after `after`, ascending.
pub(crate) async fn page(on: &mut AnyConnection, after: u64, limit: u64) -> Result<Vec<FeedEntry>, Error> {
    let rows = sqlx::query(
        "SELECT feed.seq AS seq, feed.finality AS told, events.* FROM feed \
         JOIN events ON events.id = feed.event WHERE feed.seq > $1 ORDER BY feed.seq LIMIT $2",
    )
    .bind(int(after))
    .bind(int(limit))
    .fetch_all(on)
    .await?;
    rows.iter().map(entry).collect()
}

/// The newest entry about an event.
pub(crate) async fn newest(on: &mut AnyConnection, id: B256) -> Result<Option<FeedEntry>, Error> {
    let row = sqlx::query(
        "SELECT feed.seq AS seq, feed.finality AS told, events.* FROM feed \
         JOIN events ON events.id = feed.event WHERE feed.event = $1 ORDER BY feed.seq DESC LIMIT 1",
    )
    .bind(id.to_string())
    .fetch_optional(on)
    .await?;
    row.as_ref().map(entry).transpose()
}
