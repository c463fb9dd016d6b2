//! Telling: every log that joins the chain, settles or leaves it becomes an entry at the end of the feed.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use protocol::wire::feed::{ChainEvent, Finality};
use sqlx::AnyConnection;

use super::store::{Decoded, last_seq, place};
use crate::{
    Error,
    bulk::{About, Insert, about},
    chain::store::Settled,
    columns::{Columns, finality_name, int, json},
    states::model::subject_of,
};

/// Tells entries about one chain at the end of the feed. Positions are given within one writer's turn, so they are in
/// commit order and without gaps.
#[derive(Debug)]
pub(crate) struct Teller {
    pub seq: u64,
    chain: i64,
    /// The newest log's number.
    number: u64,
    /// Whether logs of this chain are off it, which may come back.
    orphans: bool,
    now: i64,
}

const LOGS: Insert<13> = Insert {
    table: "logs",
    columns: [
        "number",
        "chain",
        "block_number",
        "log_index",
        "canonical",
        "finality",
        "told",
        "block_time",
        "block_hash",
        "transaction_hash",
        "contract",
        "topics",
        "data",
    ],
    then: "ON CONFLICT (number) DO UPDATE SET canonical = 1, finality = excluded.finality, \
     told = excluded.told, block_number = excluded.block_number, log_index = excluded.log_index, \
     block_time = excluded.block_time, block_hash = excluded.block_hash, \
     transaction_hash = excluded.transaction_hash, contract = excluded.contract, topics = excluded.topics, \
     data = excluded.data",
};

const EVENTS: Insert<5> = Insert {
    table: "events",
    columns: ["number", "id", "name", "subject", "body"],
    then: "ON CONFLICT (number) DO UPDATE SET name = excluded.name, subject = excluded.subject, body = excluded.body",
};

/// Writes what logs say, each with the log's number, at most [`crate::bulk::ROWS_MAX`].
pub(crate) async fn write_events<'a>(
    on: &mut AnyConnection,
    events: impl IntoIterator<Item = (u64, &'a ChainEvent)>,
) -> Result<(), Error> {
    let mut rows = Vec::new();
    for (number, event) in events {
        let subject = subject_of(event).to_string();
        rows.push([
            int(number).into(),
            event.id.to_string().into(),
            event.body.name().into(),
            subject.into(),
            json(&event.body)?.into(),
        ]);
    }
    EVENTS.rows(on, rows).await
}

const ENTRIES: Insert<6> =
    Insert { table: "feed", columns: ["seq", "chain", "log", "finality", "was", "told_at"], then: "" };

const KNOWN: About = about!(
    "SELECT events.number AS number, events.id AS id FROM events JOIN logs ON logs.number = events.number \
     WHERE logs.canonical = 0 AND events.id IN",
    ""
);

impl Teller {
    pub async fn begin(on: &mut AnyConnection, chain: i64, now: i64) -> Result<Self, Error> {
        let seq = last_seq(&mut *on).await?;
        let newest =
            sqlx::query("SELECT COALESCE(MAX(number), 0) AS number FROM logs").fetch_one(&mut *on).await?;
        let mut teller = Self { seq, chain, number: newest.number("number")?, orphans: false, now };
        teller.look_for_orphans(on).await?;
        Ok(teller)
    }

    async fn look_for_orphans(&mut self, on: &mut AnyConnection) -> Result<(), Error> {
        let one = sqlx::query("SELECT number FROM logs WHERE chain = $1 AND canonical = 0 LIMIT 1")
            .bind(self.chain)
            .fetch_optional(on)
            .await?;
        self.orphans = one.is_some();
        Ok(())
    }

    /// Numbers of those of these events that were there before and left the chain.
    async fn known(&self, on: &mut AnyConnection, events: &[Decoded]) -> Result<BTreeMap<B256, u64>, Error> {
        if !self.orphans {
            return Ok(BTreeMap::new());
        }
        let ids: Vec<B256> = events.iter().map(|decoded| decoded.event.id).collect();
        let rows = KNOWN.texts(on, &ids)?.fetch_all(&mut *on).await?;
        rows.iter().map(|row| Ok((row.hash("id")?, row.number("number")?))).collect()
    }

    /// Stores logs and events of the canonical chain, at most [`crate::bulk::ROWS_MAX`], and tells each once, as settled as
    /// it is. Answers the numbers of their logs. An event whose block left the chain and came back is the same event,
    /// canonical again; on Solana, where its transaction may have come into another block, in its new place.
    pub async fn join(
        &mut self,
        on: &mut AnyConnection,
        events: &[Decoded],
        settled: &Settled,
    ) -> Result<Vec<u64>, Error> {
        let known = self.known(&mut *on, events).await?;
        let (mut logs, mut entries) = (Vec::new(), Vec::new());
        let mut numbers = Vec::with_capacity(events.len());
        for one in events {
            let event = &one.event;
            self.seq = self.seq.saturating_add(1);
            let before = known.get(&event.id).copied();
            let number = before.unwrap_or_else(|| {
                self.number = self.number.saturating_add(1);
                self.number
            });
            let finality = finality_name(settled.finality(event.block_number));
            let was = if before.is_some() { finality_name(Finality::Retracted) } else { "" };
            logs.push([
                int(number).into(),
                self.chain.into(),
                int(event.block_number).into(),
                int(place(one.ordinal, event.log_index)).into(),
                1.into(),
                finality.into(),
                int(self.seq).into(),
                int(event.block_time).into(),
                event.block_hash.to_string().into(),
                event.transaction.to_string().into(),
                event.contract.to_string().into(),
                json(&one.topics)?.into(),
                one.data.to_string().into(),
            ]);
            entries.push([
                int(self.seq).into(),
                self.chain.into(),
                int(number).into(),
                finality.into(),
                was.into(),
                self.now.into(),
            ]);
            numbers.push(number);
        }
        LOGS.rows(&mut *on, logs).await?;
        write_events(&mut *on, numbers.iter().copied().zip(events.iter().map(|one| &one.event))).await?;
        ENTRIES.rows(on, entries).await?;
        Ok(numbers)
    }

    /// Marks what was just told in the logs that it is about: the last `told` entries, which are behind `seq`. That moves on.
    async fn mark(&mut self, on: &mut AnyConnection, told: u64) -> Result<(), Error> {
        if told > 0 {
            sqlx::query(
                "UPDATE logs SET finality = feed.finality, told = feed.seq, \
                 canonical = CASE WHEN feed.finality = 'retracted' THEN 0 ELSE 1 END \
                 FROM feed WHERE feed.seq > $1 AND logs.number = feed.log",
            )
            .bind(int(self.seq))
            .execute(on)
            .await?;
            self.seq = self.seq.saturating_add(told);
        }
        Ok(())
    }

    /// Tells the events of every block above `fork` as retracted, newest first, and answers what they were about.
    pub async fn retract_above(&mut self, on: &mut AnyConnection, fork: u64) -> Result<Vec<String>, Error> {
        let rows = sqlx::query(
            "SELECT DISTINCT events.subject AS subject FROM logs JOIN events ON events.number = logs.number \
             WHERE logs.chain = $1 AND logs.canonical = 1 AND logs.block_number > $2 AND events.subject <> '' \
             ORDER BY events.subject",
        )
        .bind(self.chain)
        .bind(int(fork))
        .fetch_all(&mut *on)
        .await?;
        let subjects = rows.iter().map(|row| row.text("subject")).collect::<Result<Vec<_>, _>>()?;
        let told = sqlx::query(
            "INSERT INTO feed (seq, chain, log, finality, was, told_at) \
             SELECT $1 + ROW_NUMBER() OVER (ORDER BY block_number DESC, log_index DESC), chain, number, \
             'retracted', finality, CAST($2 AS BIGINT) FROM logs \
             WHERE chain = $3 AND canonical = 1 AND block_number > $4",
        )
        .bind(int(self.seq))
        .bind(self.now)
        .bind(self.chain)
        .bind(int(fork))
        .execute(&mut *on)
        .await?
        .rows_affected();
        self.mark(&mut *on, told).await?;
        self.look_for_orphans(on).await?;
        Ok(subjects)
    }

    /// Tells what is settled now and was told as less, oldest first: first what is safe, then what is final. What becomes
    /// both is told as final alone.
    pub async fn settle(&mut self, on: &mut AnyConnection, settled: &Settled) -> Result<(), Error> {
        let finalized = settled.finalized.map(|block| block.number);
        for (finality, above, to) in [
            (Finality::Safe, finalized, settled.safe.map(|block| block.number)),
            (Finality::Final, None, finalized),
        ] {
            let Some(to) = to else { continue };
            let told = sqlx::query(
                "INSERT INTO feed (seq, chain, log, finality, was, told_at) \
                 SELECT $1 + ROW_NUMBER() OVER (ORDER BY block_number, log_index), chain, number, \
                 CAST($2 AS TEXT), finality, CAST($3 AS BIGINT) FROM logs \
                 WHERE chain = $4 AND canonical = 1 AND finality <> 'final' AND finality <> $2 \
                 AND block_number > $5 AND block_number <= $6",
            )
            .bind(int(self.seq))
            .bind(finality_name(finality))
            .bind(self.now)
            .bind(self.chain)
            .bind(above.map_or(-1, int))
            .bind(int(to))
            .execute(&mut *on)
            .await?
            .rows_affected();
            self.mark(&mut *on, told).await?;
        }
        Ok(())
    }
}
