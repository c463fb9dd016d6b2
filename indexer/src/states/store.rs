//! States in the database.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use protocol::wire::{
    feed::{ChainEvent, EventBody, Finality},
    view::{Case, FaultKind, Pool},
};
use sqlx::{AnyConnection, any::AnyRow};

use super::model::{State, Subject, fold, subject_of};
use crate::{
    Error,
    bulk::{About, Insert, ROWS_MAX, about},
    columns::{Columns, account_key, int},
    deals::model::Gap,
    faults,
    feed::store::{Canonical, event_columns},
};

/// What a row with [`state_columns`] holds.
pub(crate) trait Stored: Sized {
    fn stored(row: &AnyRow) -> Result<Self, Error>;
}

impl Stored for Case {
    fn stored(row: &AnyRow) -> Result<Self, Error> {
        row.decoded("state")
    }
}

impl Stored for Pool {
    fn stored(row: &AnyRow) -> Result<Self, Error> {
        row.decoded("state")
    }
}

/// The columns that [`Stored`] reads, of states and of the logs that hold the terms of deals.
macro_rules! state_columns {
    () => {
        concat!("states.subject AS subject, states.newest AS newest, states.terms AS terms, states.state AS state, ", event_columns!())
    };
}
pub(crate) use state_columns;

/// The same with the finality of the newest event, and where it all is from.
macro_rules! state_views {
    () => {
        concat!(
            "SELECT newest.finality AS finality, ",
            state_columns!(),
            " FROM states JOIN logs AS newest ON newest.number = states.newest LEFT JOIN logs ON logs.number = states.terms"
        )
    };
}
pub(crate) use state_views;

/// States and the finality of each one's newest event, ascending by subject, from the first up to the last one.
pub(crate) async fn views<T: Stored>(
    on: &mut AnyConnection,
    (from, to): (&str, &str),
    limit: u64,
) -> Result<Vec<(T, Finality)>, Error> {
    let rows = sqlx::query(concat!(
        state_views!(),
        " WHERE states.subject >= $1 AND states.subject <= $2 ORDER BY states.subject LIMIT $3"
    ))
    .bind(from)
    .bind(to)
    .bind(int(limit))
    .fetch_all(on)
    .await?;
    rows.iter().map(|row| Ok((T::stored(row)?, row.finality("finality")?))).collect()
}

/// The state of one subject and the finality of its newest event.
pub(crate) async fn view<T: Stored>(
    on: &mut AnyConnection,
    subject: &Subject,
) -> Result<Option<(T, Finality)>, Error> {
    let subject = subject.to_string();
    Ok(views(on, (&subject, &subject), 1).await?.pop())
}

/// A state with the numbers of logs.
#[derive(Debug)]
struct Known {
    state: State,
    /// The newest about it.
    newest: u64,
    /// The one that holds a deal's terms; 0 for the rest.
    terms: u64,
}

/// States of one chain that are folded: each is read when its first event comes, and all are written together. At most
/// some thousands are held at one time.
#[derive(Debug)]
pub(crate) struct Folding {
    chain: i64,
    now: i64,
    states: BTreeMap<Subject, Option<Known>>,
    /// Events before which others are missing, and that in words; at most twice [`ROWS_MAX`].
    gaps: Vec<(B256, String)>,
    /// Whether nothing is stored yet, so that there is nothing to read.
    anew: bool,
}

/// States that are held before they are written.
const STATES_MAX: usize = 8_000;

impl Folding {
    /// On top of what is stored.
    pub const fn new(chain: i64, now: i64) -> Self {
        Self { chain, now, states: BTreeMap::new(), gaps: Vec::new(), anew: false }
    }

    /// Of a chain of which no state is stored.
    pub fn anew(chain: i64, now: i64) -> Self {
        Self { anew: true, ..Self::new(chain, now) }
    }

    async fn load(&mut self, on: &mut AnyConnection, subjects: BTreeSet<Subject>) -> Result<(), Error> {
        const FIND: About = about!(
            concat!(
                "SELECT ",
                state_columns!(),
                " FROM states LEFT JOIN logs ON logs.number = states.terms WHERE states.subject IN"
            ),
            ""
        );
        let mut wanted: BTreeMap<String, Subject> = subjects
            .into_iter()
            .filter(|subject| !self.states.contains_key(subject))
            .map(|subject| (subject.to_string(), subject))
            .collect();
        if !self.anew && !wanted.is_empty() {
            let names: Vec<&String> = wanted.keys().collect();
            for row in &FIND.texts(on, &names)?.fetch_all(&mut *on).await? {
                let Some(subject) = wanted.remove(&row.text("subject")?) else { continue };
                let state = State::read(&subject, row)?;
                let known = Known { state, newest: row.number("newest")?, terms: row.number("terms")? };
                self.states.insert(subject, Some(known));
            }
        }
        self.states.extend(wanted.into_values().map(|subject| (subject, None)));
        Ok(())
    }

    /// Reads the states that these events, at most [`ROWS_MAX`], will be folded into.
    pub async fn prepare<'a>(
        &mut self,
        on: &mut AnyConnection,
        events: impl IntoIterator<Item = &'a ChainEvent>,
    ) -> Result<(), Error> {
        if self.states.len() > STATES_MAX {
            self.write(&mut *on).await?;
        }
        if self.gaps.len() >= ROWS_MAX {
            self.raise(&mut *on).await?;
        }
        let mut subjects: BTreeSet<Subject> = events.into_iter().map(subject_of).collect();
        subjects.remove(&Subject::None);
        self.load(on, subjects).await
    }

    /// Folds events that joined the chain and that [`Self::prepare`] was told of, each with the number of its log, in the
    /// chain's order. What is missing among them is for [`Self::raise`], or the next [`Self::prepare`].
    pub fn fold<'a>(&mut self, events: impl IntoIterator<Item = (u64, &'a ChainEvent)>) {
        for (number, event) in events {
            let subject = subject_of(event);
            if subject == Subject::None {
                continue;
            }
            let state = self.states.entry(subject).or_default();
            let before = state.take();
            let terms = match &event.body {
                EventBody::Funded { .. } => number,
                _ => before.as_ref().map_or(0, |known| known.terms),
            };
            let (after, gap) = fold(before.map(|known| known.state), event);
            if let Some(gap) = gap {
                self.gaps.push((event.id, words(event, gap)));
            }
            *state = after.map(|state| Known { state, newest: number, terms });
        }
    }

    /// Gaps that are held.
    #[cfg(test)]
    pub const fn gaps(&self) -> usize {
        self.gaps.len()
    }

    /// Opens the faults about events that are missing among those that were folded.
    pub async fn raise(&mut self, on: &mut AnyConnection) -> Result<(), Error> {
        for (id, detail) in std::mem::take(&mut self.gaps) {
            tracing::error!(detail, "an event of a deal is missing");
            faults::raise(&mut *on, self.chain, FaultKind::CountGap, &id.to_string(), &detail, self.now)
                .await?;
        }
        Ok(())
    }

    /// Writes what is held.
    pub async fn write(&mut self, on: &mut AnyConnection) -> Result<(), Error> {
        const SAVE: Insert<8> = Insert {
            table: "states",
            columns: ["subject", "chain", "newest", "terms", "state", "buyer", "seller", "status"],
            then: "ON CONFLICT (subject) DO UPDATE SET state = excluded.state, newest = excluded.newest, \
             terms = excluded.terms, buyer = excluded.buyer, seller = excluded.seller, status = excluded.status",
        };
        let states: Vec<(Subject, Known)> = std::mem::take(&mut self.states)
            .into_iter()
            .filter_map(|(subject, known)| known.map(|known| (subject, known)))
            .collect();
        let chain = self.chain;
        let row = |(subject, Known { state, newest, terms }): (Subject, Known)| {
            let (buyer, seller, status) = found_by(&state);
            Ok([
                subject.to_string().into(),
                chain.into(),
                int(newest).into(),
                int(terms).into(),
                state.write()?.into(),
                buyer.into(),
                seller.into(),
                status.into(),
            ])
        };
        SAVE.rows(&mut *on, states.into_iter().map(row)).await?;
        self.anew = false;
        Ok(())
    }
}

/// What a state is found by: buyer, seller and status of a deal.
pub(crate) fn found_by(state: &State) -> (i64, i64, &'static str) {
    match state {
        State::Deal(deal) => {
            (account_key(&deal.terms.buyer), account_key(&deal.terms.seller), deal.status.name())
        }
        State::Case(_) | State::Pool(_) => (0, 0, ""),
    }
}

/// Folds every subject anew from its canonical events, a page of them at a time, and judges anew which are missing.
pub(crate) async fn refold(
    on: &mut AnyConnection,
    chain: i64,
    subjects: &[Subject],
    now: i64,
) -> Result<(), Error> {
    const FORGET: About = about!("DELETE FROM states WHERE subject IN", "");
    for subjects in subjects.chunks(ROWS_MAX) {
        let names: Vec<String> = subjects.iter().map(ToString::to_string).collect();
        faults::clear_gaps(&mut *on, chain, subjects, now).await?;
        faults::clear_differs(&mut *on, chain, &names, now).await?;
        FORGET.texts(on, &names)?.execute(&mut *on).await?;
        let mut folding = Folding::anew(chain, now);
        for subject in subjects {
            let mut events = Canonical::of(*subject);
            while let Some(page) = events.page(&mut *on).await? {
                // Nothing of it is stored any more; nor is it written between two pages, for there are fewer than that.
                folding.prepare(&mut *on, None).await?;
                folding.fold(page.iter().map(|(number, event)| (*number, event)));
            }
        }
        folding.raise(&mut *on).await?;
        folding.write(&mut *on).await?;
    }
    Ok(())
}

fn words(event: &ChainEvent, gap: Gap) -> String {
    format!(
        "{} {} is number {} of {}, but number {} was to come next",
        event.body.name(),
        event.id,
        gap.found,
        subject_of(event),
        gap.expected
    )
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

/// Those subjects of which no state is stored.
pub(crate) async fn without(
    on: &mut AnyConnection,
    mut subjects: BTreeSet<Subject>,
) -> Result<BTreeSet<Subject>, Error> {
    const FIND: About = about!("SELECT subject FROM states WHERE subject IN", "");
    let names: Vec<String> = subjects.iter().map(ToString::to_string).collect();
    for row in &FIND.texts(on, &names)?.fetch_all(on).await? {
        subjects.remove(&row.text("subject")?.parse()?);
    }
    Ok(subjects)
}

/// A state as it is stored.
#[derive(Debug)]
pub(crate) struct Raw {
    /// An error where it cannot be read.
    pub subject: Result<Subject, Error>,
    pub text: String,
    /// None where it cannot be read.
    pub state: Option<State>,
    pub newest: i64,
    pub terms: i64,
    /// `chains.number`.
    pub chain: i64,
    /// As [`found_by`].
    pub found_by: (i64, i64, String),
}

/// Stored states ascending by subject, after the given one, and the last of these.
pub(crate) async fn raw(
    on: &mut AnyConnection,
    after: &str,
    limit: u64,
) -> Result<(Vec<Raw>, Option<String>), Error> {
    let rows = sqlx::query(concat!(
        "SELECT states.chain AS on_chain, states.buyer AS buyer, states.seller AS seller, states.status AS status, ",
        state_columns!(),
        " FROM states LEFT JOIN logs ON logs.number = states.terms \
         WHERE states.subject > $1 ORDER BY states.subject LIMIT $2"
    ))
    .bind(after)
    .bind(int(limit))
    .fetch_all(on)
    .await?;
    let raw = |row: &AnyRow| {
        let subject: Result<Subject, Error> = row.text("subject")?.parse();
        let state = subject.as_ref().ok().and_then(|subject| State::read(subject, row).ok());
        Ok(Raw {
            subject,
            text: row.text("state")?,
            state,
            newest: row.key("newest")?,
            terms: row.key("terms")?,
            chain: row.key("on_chain")?,
            found_by: (row.key("buyer")?, row.key("seller")?, row.text("status")?),
        })
    };
    let last = rows.last().map(|row| row.text("subject")).transpose()?;
    Ok((rows.iter().map(raw).collect::<Result<_, Error>>()?, last))
}
