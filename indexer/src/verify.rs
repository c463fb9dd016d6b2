//! Whether what the database says can be told again from its events alone.

use std::collections::BTreeMap;

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::event_id,
    wire::{feed::Finality, view::Fault},
};
use service::db::Engine;
use sqlx::AnyConnection;

use crate::{
    Error,
    chain::source::decode,
    columns::{Columns, finality_name, int},
    config::Config,
    faults, feed,
    states::{
        self,
        model::{State, Subject, fold, subject_of},
    },
};

/// What [`verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Events, orphaned ones included.
    pub events: u64,
    /// Entries of the feed.
    pub entries: u64,
    /// States of deals, cases and pools.
    pub states: u64,
    /// What does not agree, in words; at most 100.
    pub differences: Vec<String>,
    /// Faults that are open.
    pub faults: Vec<Fault>,
}

impl Report {
    fn differ(&mut self, words: String) {
        const DIFFERENCES_MAX: usize = 100;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(words);
        }
    }
}

const PAGE: u64 = 1_000;

/// Decodes every event again from its log, folds every state again from the canonical events, follows the feed from its
/// first entry, and compares. Changes nothing, and may run beside the indexer: all of it is read from one snapshot.
///
/// # Errors
/// The database cannot be opened or read.
pub async fn verify(config: &Config) -> Result<Report, Error> {
    let (db, _, _) = crate::open(config).await?;
    let mut snapshot = match db.engine() {
        Engine::Sqlite => db.reader().begin().await?,
        Engine::Postgres => db.reader().begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?,
    };
    let mut report = Report::default();
    let expected = events(&mut snapshot, &mut report).await?;
    states_agree(&mut snapshot, expected, &mut report).await?;
    feed_agrees(&mut snapshot, &mut report).await?;
    report.faults = faults::open(&mut snapshot).await?;
    drop(snapshot);
    db.close().await;
    Ok(report)
}

/// Checks every event against its log and answers the states that the canonical ones add up to.
async fn events(
    on: &mut AnyConnection,
    report: &mut Report,
) -> Result<BTreeMap<String, (Subject, State)>, Error> {
    let mut states: BTreeMap<String, (Subject, State)> = BTreeMap::new();
    let (mut block, mut index, mut last) = (-1_i64, -1_i64, String::new());
    loop {
        let rows = sqlx::query(
            "SELECT * FROM events WHERE block_number > $1 OR (block_number = $1 AND log_index > $2) \
             OR (block_number = $1 AND log_index = $2 AND id > $3) \
             ORDER BY block_number, log_index, id LIMIT $4",
        )
        .bind(block)
        .bind(index)
        .bind(&last)
        .bind(int(PAGE))
        .fetch_all(&mut *on)
        .await?;
        if rows.is_empty() {
            return Ok(states);
        }
        for row in &rows {
            let event = feed::store::event(row)?;
            (block, index) = (int(event.block_number), int(row.number("log_index")?));
            last = event.id.to_string();
            report.events = report.events.saturating_add(1);
            let id = event_id(event.chain(), event.block_hash, event.transaction, event.log_index);
            if id != Ok(event.id) {
                report.differ(format!("event {}: the id is not that of its place", event.id));
            }
            let (topics, data) = (row.decoded::<Vec<B256>>("topics")?, row.parsed::<Bytes>("data")?);
            if decode(event.contract, topics, data).ok().as_ref() != Some(&event.body) {
                report.differ(format!("event {}: the body is not that of its log", event.id));
            }
            let subject = subject_of(&event);
            let key = subject.to_string();
            if row.text("subject")? != key || row.text("name")? != event.body.name() {
                report.differ(format!("event {}: name or subject are not those of its body", event.id));
            }
            if row.number("canonical")? == 1 && subject != Subject::None {
                let before = states.remove(&key).map(|(_, state)| state);
                if let (Some(after), _) = fold(before, &event) {
                    states.insert(key, (subject, after));
                }
            }
        }
    }
}

async fn states_agree(
    on: &mut AnyConnection,
    mut expected: BTreeMap<String, (Subject, State)>,
    report: &mut Report,
) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let page = states::store::raw(&mut *on, &after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after.clone_from(last);
        for (subject, text) in page {
            report.states = report.states.saturating_add(1);
            match expected.remove(&subject) {
                Some((known, state)) if State::read(&known, &text).is_ok_and(|stored| stored == state) => {}
                Some((_, state)) => {
                    report.differ(format!("{subject}: stored {text}, the events give {}", state.write()?));
                }
                None => report.differ(format!("{subject}: stored, but no canonical event is about it")),
            }
        }
    }
    for subject in expected.keys() {
        report.differ(format!("{subject}: canonical events are about it, but nothing is stored"));
    }
    Ok(())
}

/// What may be told of an event after what was told of it last.
const fn may_follow(last: Option<Finality>, next: Finality) -> bool {
    use Finality::{Final, Retracted, Safe, Seen};
    match (last, next) {
        // An event comes back when its block does.
        (None | Some(Retracted), Seen)
        | (Some(Seen), Safe | Final | Retracted)
        | (Some(Safe), Final | Retracted) => true,
        (None | Some(Seen | Safe | Final | Retracted), _) => false,
    }
}

async fn feed_agrees(on: &mut AnyConnection, report: &mut Report) -> Result<(), Error> {
    let mut told: BTreeMap<B256, Finality> = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = feed::store::page(&mut *on, after, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for entry in page {
            report.entries = report.entries.saturating_add(1);
            if entry.seq != after.saturating_add(1) {
                report.differ(format!("feed: after entry {after} comes entry {}", entry.seq));
            }
            after = entry.seq;
            let last = told.insert(entry.event.id, entry.finality);
            if !may_follow(last, entry.finality) {
                report.differ(format!(
                    "feed: entry {} tells {} as {} after {}",
                    entry.seq,
                    entry.event.id,
                    finality_name(entry.finality),
                    last.map_or("nothing", finality_name)
                ));
            }
        }
    }
    let rows = sqlx::query("SELECT id, canonical, finality FROM events ORDER BY id").fetch_all(on).await?;
    for row in &rows {
        let (id, finality) = (row.hash("id")?, row.finality("finality")?);
        let canonical = row.number("canonical")? == 1;
        if told.get(&id) != Some(&finality) || canonical == (finality == Finality::Retracted) {
            report.differ(format!(
                "event {id}: is {} and canonical is {canonical}, but the feed says {}",
                finality_name(finality),
                told.get(&id).copied().map_or("nothing", finality_name)
            ));
        }
    }
    Ok(())
}
