//! Telling: every log that joins the chain, settles or leaves it becomes an entry at the end of the feed.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{hex, primitives::B256};
use futures::TryStreamExt;
use protocol::wire::feed::{ChainEvent, Finality};
use sqlx::AnyConnection;

use super::store::{Decoded, event, event_columns, last_seq, place};
use crate::{
    Error,
    bulk::{About, Insert},
    chain::store::Settled,
    columns::{Columns, address_bytes, finality_name, int, topics_bytes, transaction_bytes},
    states::model::{Subject, subject_of},
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

const EVENTS: Insert<3> = Insert {
    table: "events",
    columns: ["number", "id", "subject"],
    then: "ON CONFLICT (number) DO UPDATE SET subject = excluded.subject",
};

/// Writes by what logs are found, each with the log's number.
pub(crate) async fn write_events<'a>(
    on: &mut AnyConnection,
    events: impl ExactSizeIterator<Item = (u64, &'a ChainEvent)>,
) -> Result<(), Error> {
    let row = |(number, event): (u64, &ChainEvent)| {
        Ok([int(number).into(), event.id.to_vec().into(), subject_of(event).key().into()])
    };
    EVENTS.rows(on, events.map(row)).await
}

const ENTRIES: Insert<6> =
    Insert { table: "feed", columns: ["seq", "chain", "log", "finality", "was", "told_at"], then: "" };

/// About ids in hexadecimal.
const KNOWN: About = About {
    sqlite: "SELECT events.number AS number, events.id AS id FROM events JOIN logs ON logs.number = events.number \
     WHERE logs.canonical = 0 AND events.id IN (SELECT unhex(value) FROM json_each($1))",
    postgres: "SELECT events.number AS number, events.id AS id FROM events JOIN logs ON logs.number = events.number \
     WHERE logs.canonical = 0 AND events.id IN \
     (SELECT decode(value, 'hex') FROM json_array_elements_text(CAST($1 AS json)))",
};

/// Where an event stands in this database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Of its log.
    pub number: u64,
    seq: u64,
    finality: &'static str,
    /// Whether it was there before and left the chain.
    again: bool,
}

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
        let ids: Vec<String> = events.iter().map(|decoded| hex::encode(decoded.event.id)).collect();
        let rows = KNOWN.texts(on, &ids)?.fetch_all(&mut *on).await?;
        rows.iter().map(|row| Ok((row.word("id")?, row.number("number")?))).collect()
    }

    /// Gives events of the canonical chain, at most [`crate::bulk::ROWS_MAX`], their places in this database. An event whose
    /// block left the chain and came back is the same event, canonical again; on Solana, where its transaction may have come
    /// into another block, in its new place.
    pub async fn places(
        &mut self,
        on: &mut AnyConnection,
        events: &[Decoded],
        settled: &Settled,
    ) -> Result<Vec<Place>, Error> {
        let known = self.known(on, events).await?;
        let place = |one: &Decoded| {
            self.seq = self.seq.saturating_add(1);
            let before = known.get(&one.event.id).copied();
            let number = before.unwrap_or_else(|| {
                self.number = self.number.saturating_add(1);
                self.number
            });
            let finality = finality_name(settled.finality(one.event.block_number));
            Place { number, seq: self.seq, finality, again: before.is_some() }
        };
        Ok(events.iter().map(place).collect())
    }

    /// Stores logs and events in these places, and tells each once, as settled as it is.
    pub async fn join(
        &self,
        on: &mut AnyConnection,
        places: &[Place],
        events: &[Decoded],
    ) -> Result<(), Error> {
        let (chain, now) = (self.chain, self.now);
        let log = |(at, one): (&Place, &Decoded)| {
            let event = &one.event;
            Ok([
                int(at.number).into(),
                chain.into(),
                int(event.block_number).into(),
                int(place(one.ordinal, event.log_index)).into(),
                1.into(),
                at.finality.into(),
                int(at.seq).into(),
                int(event.block_time).into(),
                event.block_hash.to_vec().into(),
                transaction_bytes(&event.transaction).into(),
                address_bytes(&event.contract.address).into(),
                topics_bytes(&one.topics).into(),
                one.data.to_vec().into(),
            ])
        };
        let entry = |at: &Place| {
            let was = if at.again { finality_name(Finality::Retracted) } else { "" };
            Ok([
                int(at.seq).into(),
                chain.into(),
                int(at.number).into(),
                at.finality.into(),
                was.into(),
                now.into(),
            ])
        };
        LOGS.rows(&mut *on, places.iter().zip(events).map(log)).await?;
        let numbers = places.iter().map(|place| place.number);
        write_events(&mut *on, numbers.zip(events.iter().map(|one| &one.event))).await?;
        ENTRIES.rows(on, places.iter().map(entry)).await
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
    pub async fn retract_above(&mut self, on: &mut AnyConnection, fork: u64) -> Result<Vec<Subject>, Error> {
        let mut subjects = BTreeSet::new();
        {
            let mut rows = sqlx::query(concat!(
                "SELECT ",
                event_columns!(),
                " FROM logs WHERE logs.chain = $1 AND logs.canonical = 1 AND logs.block_number > $2"
            ))
            .bind(self.chain)
            .bind(int(fork))
            .fetch(&mut *on);
            while let Some(row) = rows.try_next().await? {
                subjects.insert(subject_of(&event(&row)?));
            }
        }
        subjects.remove(&Subject::None);
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
        Ok(subjects.into_iter().collect())
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
