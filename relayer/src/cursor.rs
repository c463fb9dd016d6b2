//! How far the relayer has read the lists of others: the indexer's feed and the hub's intents.
//!
//! A cursor moves in the transaction that makes what it stands for durable. Beside the position it keeps an anchor, of the feed
//! who told the entry there and of intents what stood there, so that a list that was begun anew (its database lost) is told from
//! one that has nothing new.

use service::db::Write;

use crate::{error::Error, lease::Lease};

/// A position in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The last `seq` that was dealt with; 0 before the first.
    pub position: u64,
    /// What tells the entry there from any other; empty where that is not known.
    pub anchor: String,
    /// How often the list was found begun anew.
    pub restarts: u64,
}

impl Cursor {
    /// The cursor after an entry.
    #[must_use]
    pub fn at(&self, position: u64, anchor: String) -> Self {
        Self { position, anchor, restarts: self.restarts }
    }

    /// The cursor for a list that was begun anew.
    #[must_use]
    pub fn from_the_start(&self) -> Self {
        self.back_to(0)
    }

    /// The cursor to go back to, where the other side lacks what comes after a position.
    #[must_use]
    pub fn back_to(&self, position: u64) -> Self {
        Self { position, anchor: String::new(), restarts: self.restarts.saturating_add(1) }
    }

    /// Whether the list still is the one that this cursor points into: `found` is what stands at its position now.
    pub fn holds(&self, found: Option<(u64, &str)>) -> bool {
        self.position == 0 || self.anchor.is_empty() || found == Some((self.position, self.anchor.as_str()))
    }
}

/// Reads a cursor; one that was never written stands before the first entry.
///
/// # Errors
/// The database's own.
pub async fn load(on: impl sqlx::Executor<'_, Database = sqlx::Any>, name: &str) -> Result<Cursor, Error> {
    let row: Option<(i64, String, i64)> =
        sqlx::query_as("SELECT position, anchor, restarts FROM cursor WHERE name = $1")
            .bind(name)
            .fetch_optional(on)
            .await?;
    Ok(row.map_or_else(Cursor::default, |(position, anchor, restarts)| Cursor {
        position: position.try_into().unwrap_or(0),
        anchor,
        restarts: restarts.try_into().unwrap_or(0),
    }))
}

/// Writes a cursor as part of a transaction.
///
/// # Errors
/// The database's own.
pub async fn store(write: &mut Write, name: &str, cursor: &Cursor, now_ms: i64) -> Result<(), Error> {
    let position = i64::try_from(cursor.position)
        .map_err(|error| Error::damaged("cursor.position", &cursor.position.to_string(), error))?;
    sqlx::query(
        "INSERT INTO cursor (name, position, anchor, restarts, updated_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET position = excluded.position, anchor = excluded.anchor,
             restarts = excluded.restarts, updated_ms = excluded.updated_ms",
    )
    .bind(name)
    .bind(position)
    .bind(&cursor.anchor)
    .bind(i64::try_from(cursor.restarts).unwrap_or(i64::MAX))
    .bind(now_ms)
    .execute(write.on())
    .await?;
    Ok(())
}

/// Looks whether a list still is the one that a cursor points into: `found` is what stands at its position now. One that was
/// begun anew is read from the start, for whoever takes it knows what it has.
///
/// # Errors
/// The lease is lost; the database's own.
pub async fn check(
    lease: &Lease,
    name: &'static str,
    cursor: Cursor,
    found: Option<(u64, String)>,
    now_ms: i64,
) -> Result<Cursor, Error> {
    if cursor.holds(found.as_ref().map(|(seq, anchor)| (*seq, anchor.as_str()))) {
        return Ok(cursor);
    }
    let cursor = begun_anew(name, &cursor);
    let mut write = lease.begin().await?;
    store(&mut write, name, &cursor, now_ms).await?;
    write.commit().await?;
    Ok(cursor)
}

/// Says that a list was begun anew, and answers the cursor before its first entry.
#[must_use]
pub fn begun_anew(name: &'static str, cursor: &Cursor) -> Cursor {
    tracing::error!(
        list = name,
        position = cursor.position,
        anchor = cursor.anchor,
        "the list was begun anew (its database was lost or replaced); reading it from the start"
    );
    metrics::counter!("relayer_list_restarts_total", "list" => name).increment(1);
    cursor.from_the_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_begun_anew_is_noticed() {
        let cursor = Cursor::default();
        assert!(cursor.holds(None), "an empty list is where everything begins");
        let cursor = cursor.at(7, "a".to_owned());
        assert!(cursor.holds(Some((7, "a"))));
        assert!(!cursor.holds(None), "shorter than the position");
        assert!(!cursor.holds(Some((7, "b"))), "another entry at the position");
        assert!(!cursor.holds(Some((9, "a"))), "the position is gone");
        assert!(cursor.back_to(3).holds(Some((3, "a"))), "what stands there is not known");
        assert_eq!(cursor.from_the_start(), Cursor { position: 0, anchor: String::new(), restarts: 1 });
    }
}
