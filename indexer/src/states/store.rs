//! States in the database.

use std::collections::{BTreeMap, BTreeSet};

use protocol::wire::{
    feed::{ChainEvent, Finality},
    view::FaultKind,
};
use serde::de::DeserializeOwned;
use sqlx::{AnyConnection, any::AnyRow};

use super::model::{State, Subject, fold, subject_of};
use crate::{
    Error,
    bulk::{About, Insert, ROWS_MAX, about},
    columns::{Columns, int},
    deals::model::Gap,
    faults,
    feed::store::canonical_of,
};

/// States and the finality of each one's newest event, ascending by subject, from the first up to the last one.
pub(crate) async fn views<T: DeserializeOwned>(
    on: &mut AnyConnection,
    (from, to): (&str, &str),
    limit: u64,
) -> Result<Vec<(T, Finality)>, Error> {
    let rows = sqlx::query(
        "SELECT states.state AS state, logs.finality AS finality FROM states \
         JOIN logs ON logs.number = states.newest \
         WHERE states.subject >= $1 AND states.subject <= $2 ORDER BY states.subject LIMIT $3",
    )
    .bind(from)
    .bind(to)
    .bind(int(limit))
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| Ok((row.decoded("state")?, row.finality("finality")?))).collect()
}

/// The state of one subject and the finality of its newest event.
pub(crate) async fn view<T: DeserializeOwned>(
    on: &mut AnyConnection,
    subject: &Subject,
) -> Result<Option<(T, Finality)>, Error> {
    let subject = subject.to_string();
    Ok(views(on, (&subject, &subject), 1).await?.pop())
}

/// A state and the number of the newest log about it.
type Known = (State, u64);

/// States of one chain that are folded: each is read when its first event comes, and all are written together. At most
/// some thousands are held at one time.
#[derive(Debug)]
pub(crate) struct Folding {
    chain: i64,
    now: i64,
    states: BTreeMap<Subject, Option<Known>>,
    /// Whether nothing is stored yet, so that there is nothing to read.
    anew: bool,
}

/// States that are held before they are written.
const STATES_MAX: usize = 8_000;

impl Folding {
    /// On top of what is stored.
    pub const fn new(chain: i64, now: i64) -> Self {
        Self { chain, now, states: BTreeMap::new(), anew: false }
    }

    /// Of a chain of which no state is stored.
    pub fn anew(chain: i64, now: i64) -> Self {
        Self { anew: true, ..Self::new(chain, now) }
    }

    async fn load(&mut self, on: &mut AnyConnection, subjects: BTreeSet<Subject>) -> Result<(), Error> {
        const FIND: About = about!("SELECT subject, state, newest FROM states WHERE subject IN", "");
        let wanted: Vec<Subject> =
            subjects.into_iter().filter(|subject| !self.states.contains_key(subject)).collect();
        let mut stored = BTreeMap::new();
        if !self.anew && !wanted.is_empty() {
            let subjects: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            for row in &FIND.texts(on, &subjects)?.fetch_all(&mut *on).await? {
                stored.insert(row.text("subject")?, (row.text("state")?, row.number("newest")?));
            }
        }
        for subject in wanted {
            let known = match stored.remove(&subject.to_string()) {
                Some((text, newest)) => Some((State::read(&subject, &text)?, newest)),
                None => None,
            };
            self.states.insert(subject, known);
        }
        Ok(())
    }

    /// Folds events that joined the chain, at most [`ROWS_MAX`], each with the number of its log, in the chain's order.
    pub async fn add<'a>(
        &mut self,
        on: &mut AnyConnection,
        events: impl IntoIterator<Item = (u64, &'a ChainEvent)>,
    ) -> Result<(), Error> {
        if self.states.len() > STATES_MAX {
            self.write(&mut *on).await?;
        }
        let events: Vec<(Subject, u64, &ChainEvent)> = events
            .into_iter()
            .map(|(number, event)| (subject_of(event), number, event))
            .filter(|(subject, _, _)| *subject != Subject::None)
            .collect();
        self.load(&mut *on, events.iter().map(|(subject, _, _)| *subject).collect()).await?;
        for (subject, number, event) in events {
            let before = self.states.remove(&subject).flatten().map(|(state, _)| state);
            let (after, gap) = fold(before, event);
            if let Some(gap) = gap {
                raise(&mut *on, self.chain, event, gap, self.now).await?;
            }
            self.states.insert(subject, after.map(|state| (state, number)));
        }
        Ok(())
    }

    /// Writes what is held.
    pub async fn write(&mut self, on: &mut AnyConnection) -> Result<(), Error> {
        const SAVE: Insert<7> = Insert {
            table: "states",
            columns: ["subject", "chain", "newest", "state", "buyer", "seller", "status"],
            then: "ON CONFLICT (subject) DO UPDATE SET state = excluded.state, newest = excluded.newest, \
             buyer = excluded.buyer, seller = excluded.seller, status = excluded.status",
        };
        let mut rows = Vec::with_capacity(ROWS_MAX);
        let mut states = std::mem::take(&mut self.states).into_iter().peekable();
        while let Some((subject, known)) = states.next() {
            if let Some((state, newest)) = known {
                let (buyer, seller, status) = match &state {
                    State::Deal(deal) => {
                        (deal.terms.buyer.to_string(), deal.terms.seller.to_string(), deal.status.name())
                    }
                    State::Case(_) | State::Pool(_) => (String::new(), String::new(), ""),
                };
                rows.push([
                    subject.to_string().into(),
                    self.chain.into(),
                    int(newest).into(),
                    state.write()?.into(),
                    buyer.into(),
                    seller.into(),
                    status.into(),
                ]);
            }
            if rows.len() >= ROWS_MAX || (states.peek().is_none() && !rows.is_empty()) {
                SAVE.rows(&mut *on, std::mem::take(&mut rows)).await?;
            }
        }
        self.anew = false;
        Ok(())
    }
}

/// Folds every subject anew from its canonical events, and judges anew which are missing.
pub(crate) async fn refold(
    on: &mut AnyConnection,
    chain: i64,
    subjects: &[String],
    now: i64,
) -> Result<(), Error> {
    const FORGET: About = about!("DELETE FROM states WHERE subject IN", "");
    faults::clear_gaps(&mut *on, subjects, now).await?;
    faults::clear_differs(&mut *on, chain, subjects, now).await?;
    for subjects in subjects.chunks(ROWS_MAX) {
        FORGET.texts(on, subjects)?.execute(&mut *on).await?;
        let mut folding = Folding::anew(chain, now);
        for subject in subjects {
            let events = canonical_of(&mut *on, subject).await?;
            folding.add(&mut *on, events.iter().map(|(number, event)| (*number, event))).await?;
        }
        folding.write(&mut *on).await?;
    }
    Ok(())
}

async fn raise(
    on: &mut AnyConnection,
    chain: i64,
    event: &ChainEvent,
    gap: Gap,
    now: i64,
) -> Result<(), Error> {
    let detail = format!(
        "{} {} is number {} of {}, but number {} was to come next",
        event.body.name(),
        event.id,
        gap.found,
        subject_of(event),
        gap.expected
    );
    tracing::error!(detail, "an event of a deal is missing");
    faults::raise(on, chain, FaultKind::CountGap, &event.id.to_string(), &detail, now).await
}

/// Subjects of the deals of a chain that are not closed, and of whatever the contracts said otherwise about last time,
/// ascending, after the given one.
pub(crate) async fn to_compare(
    on: &mut AnyConnection,
    chain: i64,
    after: &str,
    limit: u64,
) -> Result<Vec<String>, Error> {
    let rows = sqlx::query(
        "SELECT subject FROM states WHERE chain = $1 AND subject > $2 AND ((status <> '' AND status <> 'closed') \
         OR subject IN (SELECT subject FROM faults WHERE chain = $1 AND kind = 'state_differs' \
         AND cleared_at IS NULL)) ORDER BY subject LIMIT $3",
    )
    .bind(chain)
    .bind(after)
    .bind(int(limit))
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| row.text("subject")).collect()
}

/// A state as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    pub subject: String,
    pub state: String,
    pub newest: u64,
}

/// Stored states ascending by subject, after the given one.
pub(crate) async fn raw(on: &mut AnyConnection, after: &str, limit: u64) -> Result<Vec<Raw>, Error> {
    let rows =
        sqlx::query("SELECT subject, state, newest FROM states WHERE subject > $1 ORDER BY subject LIMIT $2")
            .bind(after)
            .bind(int(limit))
            .fetch_all(on)
            .await?;
    let raw = |row: &AnyRow| {
        Ok(Raw { subject: row.text("subject")?, state: row.text("state")?, newest: row.number("newest")? })
    };
    rows.iter().map(raw).collect()
}
