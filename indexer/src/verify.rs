//! Whether what the database says can be told again from its logs alone.

use std::collections::BTreeSet;

use alloy::primitives::Bytes;
use protocol::{
    chain::ChainId,
    wire::{
        feed::{EventBody, FeedId, Finality},
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
    feed::store::{Canonical, event, event_columns},
    states::{
        self,
        model::{State, Subject, fold, subject_of},
        store::found_by,
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

    /// What was read, and none where it cannot be, which is a difference.
    fn unless_damaged<T>(&mut self, read: Result<T, Error>) -> Result<Option<T>, Error> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error @ (Error::Undecodable { .. } | Error::Damaged { .. })) => {
                self.differ(error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
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
/// snapshot. Memory holds a page of each.
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
    for (number, chain) in report.unless_damaged(chains(&mut snapshot).await)?.unwrap_or_default() {
        let open = report.unless_damaged(faults::open(&mut snapshot, number).await)?.unwrap_or_default();
        report.faults.extend(open.into_iter().map(|fault| (chain, fault)));
    }
    drop(snapshot);
    db.close().await;
    Ok(report)
}

/// Checks what every log is found by, and that there are states of what the canonical ones are about.
async fn logs_agree(
    on: &mut AnyConnection,
    report: &mut Report,
    progress: &mut impl FnMut(Progress),
) -> Result<(), Error> {
    let mut at = Progress::begin(&mut *on).await?;
    let mut after = i64::MIN;
    loop {
        let rows = sqlx::query(concat!(
            "SELECT logs.canonical AS canonical, CASE WHEN events.number IS NULL THEN 0 ELSE 1 END AS kept, \
             COALESCE(events.subject, 0) AS subject, events.id AS id, ",
            event_columns!(),
            " FROM logs LEFT JOIN events ON events.number = logs.number \
             WHERE logs.number > $1 ORDER BY logs.number LIMIT $2"
        ))
        .bind(after)
        .bind(int(PAGE))
        .fetch_all(&mut *on)
        .await?;
        if rows.is_empty() {
            break;
        }
        let mut subjects = BTreeSet::new();
        for row in &rows {
            after = row.key("number")?;
            if row.key("kept")? == 0 {
                report.differ(format!("log {after}: no event is kept of it"));
                continue;
            }
            report.events = report.events.saturating_add(1);
            if row.parsed_or_none::<ChainId>("chain")?.is_none() {
                report.differ(format!("log {after}: it stands among those of another chain"));
                continue;
            }
            let Some(event) = report.unless_damaged(event(row))? else { continue };
            match row.word("id") {
                Ok(id) if id == event.id => {}
                Ok(_) | Err(Error::Damaged { .. }) => {
                    report.differ(format!("event {}: the id is not that of its place", event.id));
                }
                Err(error) => return Err(error),
            }
            let data = Bytes::copy_from_slice(row.bytes("data")?);
            if let Err(reason) = decode(event.contract, row.topics("topics")?, data) {
                report.differ(format!("event {}: {reason}", event.id));
            }
            let subject = subject_of(&event);
            if row.key("subject")? != subject.key() {
                report.differ(format!("event {}: the subject is not that of its log", event.id));
            }
            if row.key("canonical")? == 1 && subject != Subject::None {
                subjects.insert(subject);
            }
        }
        for subject in states::store::without(&mut *on, subjects).await? {
            let told = Told::of(&mut *on, subject).await;
            let Some(told) = report.unless_damaged(told)? else { continue };
            let words = format!("{subject}: canonical events are about it, but nothing is stored");
            if told.state.is_some() && !report.differences.contains(&words) {
                report.differ(words);
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
        report.differ(format!("event {}: there is no log of it", row.key("number")?));
    }
    Ok(())
}

/// What the canonical events about one subject come to.
#[derive(Default)]
struct Told {
    /// What they add up to, with the number of the newest one's log.
    state: Option<(State, u64)>,
    /// The log that holds a deal's terms; 0 for the rest.
    terms: u64,
    /// Where they happened; none where there are none.
    chain: Option<ChainId>,
}

impl Told {
    /// Fails where one of them cannot be read.
    async fn of(on: &mut AnyConnection, subject: Subject) -> Result<Self, Error> {
        let mut told = Self::default();
        let mut events = Canonical::of(subject);
        while let Some(page) = events.page(&mut *on).await? {
            for (number, event) in &page {
                if matches!(event.body, EventBody::Funded { .. }) {
                    told.terms = *number;
                }
                told.chain = Some(event.chain());
                let before = told.state.take().map(|(state, _)| state);
                told.state = fold(before, event).0.map(|state| (state, *number));
            }
        }
        Ok(told)
    }
}

/// Folds every subject of which a state is stored again, and compares.
async fn states_agree(on: &mut AnyConnection, report: &mut Report) -> Result<(), Error> {
    let mut after = String::new();
    let numbers = report.unless_damaged(chains(&mut *on).await)?.unwrap_or_default();
    loop {
        let (page, last) = states::store::raw(&mut *on, &after, PAGE).await?;
        let Some(last) = last else { return Ok(()) };
        after = last;
        for stored in page {
            report.states = report.states.saturating_add(1);
            let Some(about) = report.unless_damaged(stored.subject)? else { continue };
            let Some(told) = report.unless_damaged(Told::of(&mut *on, about).await)? else { continue };
            match told.state {
                None if told.chain.is_none() => {
                    report.differ(format!("{about}: stored, but no canonical event is about it"));
                }
                None => report.differ(format!("{about}: stored, but its events add up to nothing")),
                Some((state, newest)) => {
                    if stored.state.as_ref() != Some(&state) || stored.newest != int(newest) {
                        report.differ(format!(
                            "{about}: stored {} of log {}, the events give {} of log {newest}",
                            stored.text,
                            stored.newest,
                            state.write()?
                        ));
                    }
                    let chain =
                        numbers.iter().find(|(_, id)| Some(*id) == told.chain).map(|(number, _)| *number);
                    let (buyer, seller, status) = found_by(&state);
                    for (right, column) in [
                        (chain == Some(stored.chain), "chain"),
                        (stored.terms == int(told.terms), "terms"),
                        (stored.found_by.0 == buyer, "buyer"),
                        (stored.found_by.1 == seller, "seller"),
                        (stored.found_by.2 == status, "status"),
                    ] {
                        if !right {
                            report.differ(format!("{about}: {column} is not what its events give"));
                        }
                    }
                }
            }
        }
    }
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
            |row| Ok(format!("feed: after entry {} comes entry {}", row.key("last")?, row.key("seq")?)),
        ),
        words(
            "SELECT seq, log, was, last FROM (SELECT seq, log, was, \
             COALESCE(LAG(finality) OVER (PARTITION BY log ORDER BY seq), '') AS last FROM feed) f \
             WHERE was <> last ORDER BY seq LIMIT 100",
            |row| {
                Ok(format!(
                    "feed: entry {} follows upon `{}` of log {}, but before it was told as `{}`",
                    row.key("seq")?,
                    row.text("was")?,
                    row.key("log")?,
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
                    row.key("number")?,
                    row.text("finality")?,
                    row.key("canonical")?,
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
                    row.key("seq")?,
                    row.key("log")?
                ))
            },
        ),
    ] {
        for row in &sqlx::query(query).fetch_all(&mut *on).await? {
            report.differ(words(row)?);
        }
    }
    runs_agree(&mut *on, report).await?;
    let rows = sqlx::query(
        "SELECT was, finality, MIN(seq) AS seq, COUNT(*) AS entries FROM feed GROUP BY was, finality",
    )
    .fetch_all(on)
    .await?;
    for row in &rows {
        let was = if row.text("was")?.is_empty() { Ok(None) } else { row.finality("was").map(Some) };
        let Some(was) = report.unless_damaged(was)? else { continue };
        let Some(next) = report.unless_damaged(row.finality("finality"))? else { continue };
        if (was, next) == (Some(Finality::Final), Finality::Retracted) {
            report.final_retracted = row.number("entries")?;
        }
        if !may_follow(was, next) {
            report.differ(format!(
                "feed: entry {} tells an event as {} after {}",
                row.key("seq")?,
                finality_name(next),
                was.map_or("nothing", finality_name)
            ));
        }
    }
    Ok(())
}

/// Whether it is known who told each entry.
async fn runs_agree(on: &mut AnyConnection, report: &mut Report) -> Result<(), Error> {
    let row = sqlx::query("SELECT COALESCE(MAX(seq), 0) AS last FROM feed").fetch_one(&mut *on).await?;
    let next = row.key("last")?.saturating_add(1);
    let mut after = i64::MIN;
    let mut begun = false;
    loop {
        let runs = sqlx::query("SELECT first, id FROM runs WHERE first > $1 ORDER BY first LIMIT $2");
        let rows = runs.bind(after).bind(int(PAGE)).fetch_all(&mut *on).await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            after = row.key("first")?;
            begun |= after == 1;
            if !(1..=next).contains(&after) {
                report.differ(format!("runs: one begins at entry {after}, which is none of 1 to {next}"));
            }
            report.unless_damaged(row.parsed::<FeedId>("id"))?;
        }
    }
    if !begun {
        report.differ("runs: none told the first entry".to_owned());
    }
    Ok(())
}
