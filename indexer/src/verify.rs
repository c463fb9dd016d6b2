//! Whether what the database says can be told again from its logs alone.

use std::{cmp::Ordering, collections::VecDeque};

use alloy::primitives::{B256, Bytes};
use protocol::{
    chain::{ChainId, event_id},
    wire::{
        feed::{ChainEvent, Finality},
        view::Fault,
    },
};
use service::db::Engine;
use sqlx::{AnyConnection, any::AnyRow};

use crate::{
    Error,
    chain::{source::decode, store::chains},
    columns::{Columns, finality_name, int},
    config::Config,
    faults,
    feed::store::{event, event_columns},
    states::{
        self,
        model::{State, fold, subject_of},
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
    /// Events that were told as final and then as retracted: none but where an operator accepted that.
    pub final_retracted: u64,
    /// What does not agree, in words; at most 100.
    pub differences: Vec<String>,
    /// Faults that are open, at most 100 of each chain.
    pub faults: Vec<(ChainId, Fault)>,
}

impl Report {
    fn differ(&mut self, words: String) {
        const DIFFERENCES_MAX: usize = 100;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(words);
        }
    }
}

/// How far a long run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Logs that are done.
    pub done: u64,
    /// Logs that there are.
    pub total: u64,
}

impl Progress {
    pub(crate) async fn begin(on: &mut AnyConnection) -> Result<Self, Error> {
        let row = sqlx::query("SELECT COUNT(*) AS total FROM logs").fetch_one(on).await?;
        Ok(Self { done: 0, total: row.number("total")? })
    }
}

const PAGE: u64 = 1_000;

/// Decodes every log again, folds every state again from the canonical events, follows the feed from its first entry, and
/// compares, on every chain of the database. Changes nothing, and may run beside the indexer: all of it is read from one
/// snapshot. Memory holds a page of each, and the events about one subject.
///
/// # Errors
/// The database cannot be opened or read.
pub async fn verify(config: &Config, mut progress: impl FnMut(Progress)) -> Result<Report, Error> {
    let db = crate::open_existing(config).await?;
    let mut snapshot = match db.engine() {
        Engine::Sqlite => db.reader().begin().await?,
        Engine::Postgres => db.reader().begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?,
    };
    let mut report = Report::default();
    logs_agree(&mut snapshot, &mut report, &mut progress).await?;
    states_agree(&mut snapshot, &mut report).await?;
    feed_agrees(&mut snapshot, &mut report).await?;
    for (number, chain) in chains(&mut snapshot).await? {
        let open = faults::open(&mut snapshot, number).await?;
        report.faults.extend(open.into_iter().map(|fault| (chain, fault)));
    }
    drop(snapshot);
    db.close().await;
    Ok(report)
}

/// Checks every event against its log.
async fn logs_agree(
    on: &mut AnyConnection,
    report: &mut Report,
    progress: &mut impl FnMut(Progress),
) -> Result<(), Error> {
    let chains = chains(&mut *on).await?;
    let mut at = Progress::begin(&mut *on).await?;
    let mut after = 0;
    loop {
        let rows = sqlx::query(concat!(
            "SELECT logs.number AS number, logs.chain AS chain, logs.topics AS topics, logs.data AS data, \
             events.name AS name, events.subject AS subject, ",
            event_columns!(),
            " FROM logs LEFT JOIN events ON events.number = logs.number \
             WHERE logs.number > $1 ORDER BY logs.number LIMIT $2"
        ))
        .bind(int(after))
        .bind(int(PAGE))
        .fetch_all(&mut *on)
        .await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            after = row.number("number")?;
            if row.parsed_or_none::<B256>("id")?.is_none() {
                report.differ(format!("log {after}: no event is kept of it"));
                continue;
            }
            report.events = report.events.saturating_add(1);
            let event = event(row)?;
            let id = event_id(event.chain(), event.block_hash, event.transaction, event.log_index);
            if id != Ok(event.id) {
                report.differ(format!("event {}: the id is not that of its place", event.id));
            }
            let (topics, data) = (row.decoded::<Vec<B256>>("topics")?, row.parsed::<Bytes>("data")?);
            if decode(event.contract, topics, data).ok().as_ref() != Some(&event.body) {
                report.differ(format!("event {}: the body is not that of its log", event.id));
            }
            if row.text("subject")? != subject_of(&event).to_string()
                || row.text("name")? != event.body.name()
            {
                report.differ(format!("event {}: name or subject are not those of its body", event.id));
            }
            if !chains.contains(&(int(row.number("chain")?), event.chain())) {
                report.differ(format!("event {}: its log stands among those of another chain", event.id));
            }
        }
        at.done = at.done.saturating_add(u64::try_from(rows.len()).unwrap_or_default());
        progress(at);
    }
    let rows = sqlx::query(
        "SELECT events.number AS number FROM events LEFT JOIN logs ON logs.number = events.number \
         WHERE logs.number IS NULL ORDER BY events.number LIMIT 100",
    )
    .fetch_all(on)
    .await?;
    for row in &rows {
        report.differ(format!("event {}: there is no log of it", row.number("number")?));
    }
    Ok(())
}

/// Stored states ascending by subject, page by page.
#[derive(Default)]
struct Stored {
    page: VecDeque<states::store::Raw>,
    after: String,
    over: bool,
}

impl Stored {
    /// The next one, if it is not above `subject`.
    async fn up_to(
        &mut self,
        on: &mut AnyConnection,
        subject: &str,
    ) -> Result<Option<states::store::Raw>, Error> {
        if self.page.is_empty() && !self.over {
            self.page = states::store::raw(on, &self.after, PAGE).await?.into();
            match self.page.back() {
                Some(last) => self.after.clone_from(&last.subject),
                None => self.over = true,
            }
        }
        Ok(self.page.pop_front_if(|next| next.subject.as_str() <= subject))
    }
}

/// The canonical events about one subject.
#[derive(Default)]
struct Group {
    subject: String,
    /// Place in the chain's order, number of the log, event.
    events: Vec<((u64, u64), u64, ChainEvent)>,
}

impl Group {
    /// Folds them and compares with what is stored up to this subject.
    async fn compare(
        mut self,
        on: &mut AnyConnection,
        stored: &mut Stored,
        report: &mut Report,
    ) -> Result<(), Error> {
        self.events.sort_by_key(|(place, _, _)| *place);
        let (mut expected, mut about) = (None, None);
        for (_, number, event) in &self.events {
            about = Some(subject_of(event));
            let before = expected.take().map(|(state, _)| state);
            expected = fold(before, event).0.map(|state| (state, *number));
        }
        let mut found = None;
        while let Some(next) = stored.up_to(&mut *on, &self.subject).await? {
            report.states = report.states.saturating_add(1);
            if next.subject.as_str().cmp(&self.subject) == Ordering::Equal {
                found = Some(next);
            } else {
                report.differ(format!("{}: stored, but no canonical event is about it", next.subject));
            }
        }
        match (expected, found, about) {
            (Some((state, newest)), Some(found), Some(about)) => {
                let same = State::read(&about, &found.state).is_ok_and(|stored| stored == state);
                if !same || found.newest != newest {
                    report.differ(format!(
                        "{}: stored {} of log {}, the events give {} of log {newest}",
                        self.subject,
                        found.state,
                        found.newest,
                        state.write()?
                    ));
                }
            }
            (Some(_), None, _) => {
                report.differ(format!(
                    "{}: canonical events are about it, but nothing is stored",
                    self.subject
                ));
            }
            (_, Some(_), _) => {
                report.differ(format!("{}: stored, but its events add up to nothing", self.subject));
            }
            (_, None, _) => {}
        }
        Ok(())
    }
}

async fn states_agree(on: &mut AnyConnection, report: &mut Report) -> Result<(), Error> {
    let mut stored = Stored::default();
    let mut group = Group::default();
    let mut after = 0;
    loop {
        let rows = sqlx::query(concat!(
            "SELECT events.subject AS subject, events.number AS number, logs.log_index AS place, ",
            event_columns!(),
            " FROM events JOIN logs ON logs.number = events.number \
             WHERE logs.canonical = 1 AND events.subject <> '' \
             AND (events.subject > $1 OR (events.subject = $1 AND events.number > $2)) \
             ORDER BY events.subject, events.number LIMIT $3"
        ))
        .bind(&group.subject)
        .bind(int(after))
        .bind(int(PAGE))
        .fetch_all(&mut *on)
        .await?;
        let last = rows.is_empty();
        for row in &rows {
            let subject = row.text("subject")?;
            if subject != group.subject {
                let whole = std::mem::replace(&mut group, Group { subject, events: Vec::new() });
                whole.compare(&mut *on, &mut stored, report).await?;
            }
            after = row.number("number")?;
            group.events.push(((row.number("block_number")?, row.number("place")?), after, event(row)?));
        }
        if last {
            break;
        }
    }
    group.compare(&mut *on, &mut stored, report).await?;
    // `~` is above everything that stands in a subject.
    while let Some(next) = stored.up_to(&mut *on, "~").await? {
        report.states = report.states.saturating_add(1);
        report.differ(format!("{}: stored, but no canonical event is about it", next.subject));
    }
    Ok(())
}

/// What may be told of an event after what was told of it last.
const fn may_follow(last: Option<Finality>, next: Finality) -> bool {
    use Finality::{Final, Retracted, Safe, Seen};
    match (last, next) {
        // An event comes back when its block does; what is final leaves by an operator's word alone.
        (None | Some(Retracted), Seen | Safe | Final)
        | (Some(Seen), Safe | Final | Retracted)
        | (Some(Safe), Final | Retracted)
        | (Some(Final), Retracted) => true,
        (None | Some(Seen | Safe | Final | Retracted), _) => false,
    }
}

async fn feed_agrees(on: &mut AnyConnection, report: &mut Report) -> Result<(), Error> {
    let row = sqlx::query("SELECT COUNT(*) AS entries FROM feed").fetch_one(&mut *on).await?;
    report.entries = row.number("entries")?;
    let words = |query: &'static str, words: fn(&AnyRow) -> Result<String, Error>| (query, words);
    for (query, words) in [
        words(
            "SELECT seq, last FROM (SELECT seq, COALESCE(LAG(seq) OVER (ORDER BY seq), 0) AS last FROM feed) f \
             WHERE seq <> last + 1 ORDER BY seq LIMIT 100",
            |row| Ok(format!("feed: after entry {} comes entry {}", row.number("last")?, row.number("seq")?)),
        ),
        words(
            "SELECT seq, log, was, last FROM (SELECT seq, log, was, \
             COALESCE(LAG(finality) OVER (PARTITION BY log ORDER BY seq), '') AS last FROM feed) f \
             WHERE was <> last ORDER BY seq LIMIT 100",
            |row| {
                Ok(format!(
                    "feed: entry {} follows upon `{}` of log {}, but before it was told as `{}`",
                    row.number("seq")?,
                    row.text("was")?,
                    row.number("log")?,
                    row.text("last")?
                ))
            },
        ),
        words(
            "SELECT logs.number AS number, logs.finality AS finality, logs.canonical AS canonical, \
             COALESCE(feed.finality, 'nothing') AS said FROM logs \
             LEFT JOIN feed ON feed.seq = logs.told AND feed.log = logs.number AND feed.chain = logs.chain \
             WHERE feed.seq IS NULL OR feed.finality <> logs.finality \
             OR logs.canonical = CASE WHEN logs.finality = 'retracted' THEN 1 ELSE 0 END \
             ORDER BY logs.number LIMIT 100",
            |row| {
                Ok(format!(
                    "log {}: is {} and canonical is {}, but the feed says {}",
                    row.number("number")?,
                    row.text("finality")?,
                    row.number("canonical")?,
                    row.text("said")?
                ))
            },
        ),
        words(
            "SELECT feed.seq AS seq, feed.log AS log FROM feed LEFT JOIN logs ON logs.number = feed.log \
             WHERE logs.number IS NULL OR feed.seq > logs.told ORDER BY feed.seq LIMIT 100",
            |row| {
                Ok(format!(
                    "feed: entry {} is about log {}, which does not know of it",
                    row.number("seq")?,
                    row.number("log")?
                ))
            },
        ),
    ] {
        for row in &sqlx::query(query).fetch_all(&mut *on).await? {
            report.differ(words(row)?);
        }
    }
    let rows = sqlx::query(
        "SELECT was, finality, MIN(seq) AS seq, COUNT(*) AS entries FROM feed GROUP BY was, finality",
    )
    .fetch_all(on)
    .await?;
    for row in &rows {
        let was = if row.text("was")?.is_empty() { None } else { Some(row.finality("was")?) };
        let next = row.finality("finality")?;
        if (was, next) == (Some(Finality::Final), Finality::Retracted) {
            report.final_retracted = row.number("entries")?;
        }
        if !may_follow(was, next) {
            report.differ(format!(
                "feed: entry {} tells an event as {} after {}",
                row.number("seq")?,
                finality_name(next),
                was.map_or("nothing", finality_name)
            ));
        }
    }
    Ok(())
}
