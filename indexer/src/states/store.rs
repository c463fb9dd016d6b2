//! States in the database.

use std::collections::BTreeMap;

use protocol::wire::feed::{ChainEvent, Finality};
use serde::de::DeserializeOwned;
use sqlx::AnyConnection;

use super::model::{State, Subject, fold, subject_of};
use crate::{
    Error,
    columns::{Columns, int},
    deals::model::Gap,
    faults, feed,
};

pub(crate) async fn load(on: &mut AnyConnection, subject: &Subject) -> Result<Option<State>, Error> {
    let row = sqlx::query("SELECT state FROM states WHERE subject = $1")
        .bind(subject.to_string())
        .fetch_optional(on)
        .await?;
    row.map(|row| State::read(subject, &row.text("state")?)).transpose()
}

/// States and the finality of each one's newest event, ascending by subject, `from` the first up to the last subject;
/// only deals of a buyer, a seller, a status, each where it is not empty.
pub(crate) async fn views<T: DeserializeOwned>(
    on: &mut AnyConnection,
    (from, to): (&str, &str),
    [buyer, seller, status]: [&str; 3],
    limit: u64,
) -> Result<Vec<(T, Finality)>, Error> {
    let rows = sqlx::query(
        "SELECT states.state AS state, (SELECT e.finality FROM events e WHERE e.canonical = 1 \
         AND e.subject = states.subject ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1) AS finality \
         FROM states WHERE states.subject >= $1 AND states.subject <= $2 AND ($3 = '' OR states.buyer = $3) \
         AND ($4 = '' OR states.seller = $4) AND ($5 = '' OR states.status = $5) \
         ORDER BY states.subject LIMIT $6",
    )
    .bind(from)
    .bind(to)
    .bind(buyer)
    .bind(seller)
    .bind(status)
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
    Ok(views(on, (&subject, &subject), ["", "", ""], 1).await?.pop())
}

async fn save(on: &mut AnyConnection, subject: &Subject, state: Option<&State>) -> Result<(), Error> {
    let Some(state) = state else {
        sqlx::query("DELETE FROM states WHERE subject = $1").bind(subject.to_string()).execute(on).await?;
        return Ok(());
    };
    let (buyer, seller, status) = match state {
        State::Deal(deal) => {
            (deal.terms.buyer.to_string(), deal.terms.seller.to_string(), deal.status.name())
        }
        State::Case(_) | State::Pool(_) => (String::new(), String::new(), ""),
    };
    sqlx::query(
        "INSERT INTO states (subject, state, buyer, seller, status) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (subject) DO UPDATE SET state = excluded.state, buyer = excluded.buyer, \
         seller = excluded.seller, status = excluded.status",
    )
    .bind(subject.to_string())
    .bind(state.write()?)
    .bind(buyer)
    .bind(seller)
    .bind(status)
    .execute(on)
    .await?;
    Ok(())
}

/// The states that one step changes, read once and written once.
#[derive(Debug, Default)]
pub(crate) struct Touched(BTreeMap<Subject, Option<State>>);

impl Touched {
    /// Folds an event that joined the chain.
    pub async fn add(&mut self, on: &mut AnyConnection, event: &ChainEvent, now: i64) -> Result<(), Error> {
        let subject = subject_of(event);
        if subject == Subject::None {
            return Ok(());
        }
        let before = match self.0.remove(&subject) {
            Some(state) => state,
            None => load(&mut *on, &subject).await?,
        };
        let (after, gap) = fold(before, event);
        if let Some(gap) = gap {
            raise(on, event, gap, now).await?;
        }
        self.0.insert(subject, after);
        Ok(())
    }

    /// Marks a subject some of whose events left the chain.
    pub fn forget(&mut self, subject: Subject) {
        if subject != Subject::None {
            self.0.insert(subject, None);
        }
    }

    /// Folds every marked subject anew from its canonical events.
    pub async fn refold(&mut self, on: &mut AnyConnection, now: i64) -> Result<(), Error> {
        for (subject, state) in &mut self.0 {
            *state = None;
            for event in feed::store::canonical_of(&mut *on, subject).await? {
                let (after, gap) = fold(state.take(), &event);
                if let Some(gap) = gap {
                    raise(&mut *on, &event, gap, now).await?;
                }
                *state = after;
            }
        }
        Ok(())
    }

    pub async fn write(self, on: &mut AnyConnection) -> Result<(), Error> {
        for (subject, state) in &self.0 {
            save(&mut *on, subject, state.as_ref()).await?;
        }
        Ok(())
    }
}

async fn raise(on: &mut AnyConnection, event: &ChainEvent, gap: Gap, now: i64) -> Result<(), Error> {
    let detail = format!(
        "{} {} is number {} of {}, but number {} was to come next",
        event.body.name(),
        event.id,
        gap.found,
        subject_of(event),
        gap.expected
    );
    tracing::error!(detail, "an event of a deal is missing");
    faults::raise(on, protocol::wire::view::FaultKind::CountGap, &event.id.to_string(), &detail, now).await
}

/// Stored states as text, ascending by subject, after the given one.
pub(crate) async fn raw(
    on: &mut AnyConnection,
    after: &str,
    limit: u64,
) -> Result<Vec<(String, String)>, Error> {
    let rows = sqlx::query("SELECT subject, state FROM states WHERE subject > $1 ORDER BY subject LIMIT $2")
        .bind(after)
        .bind(int(limit))
        .fetch_all(on)
        .await?;
    rows.iter().map(|row| Ok((row.text("subject")?, row.text("state")?))).collect()
}
