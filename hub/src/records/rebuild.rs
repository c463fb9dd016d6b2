//! Shows that the projections are what the log says: replays it into temporary tables that stand before the real ones, and
//! compares the two.

use std::fmt;

use service::{db::Write, failpoint};

use super::{
    log::{self, Accepted},
    shadow::Shadow,
};
use crate::{Hub, error::Error, rooms::Room};

/// How many entries of the log are in memory at once.
const PAGE: i64 = 500;
/// How many differences are told in words.
const TOLD_MAX: usize = 100;

/// What is being done, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many entries of the log are replayed.
    Replayed {
        /// How many.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// So many tables are compared.
    Compared {
        /// How many.
        done: u64,
        /// Of how many.
        total: u64,
    },
}

/// Where the tables and the log are at odds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A row that the replay does not make.
    Kept {
        /// In which table.
        table: &'static str,
        /// Its columns and their values, cut where it is long.
        row: String,
    },
    /// A row that only the replay makes.
    Replayed {
        /// In which table.
        table: &'static str,
        /// Its columns and their values, cut where it is long.
        row: String,
    },
    /// An entry of the log that was taken once and is refused by the replay, which ends there.
    Refused {
        /// Its place in the log.
        seq: i64,
        /// Its record's type.
        kind: String,
        /// Why.
        why: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept { table, row } => write!(f, "{table} has, and the log does not say: {row}"),
            Self::Replayed { table, row } => write!(f, "{table} does not have, and the log says: {row}"),
            Self::Refused { seq, kind, why } => {
                write!(f, "entry {seq} of the log, a {kind}, is refused when it is replayed: {why}")
            }
        }
    }
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// How many entries of the log were replayed.
    pub records: u64,
    /// How many tables were compared.
    pub tables: u64,
    /// How many rows stand on one side alone (one that was changed is two of them), or 1 for an entry that was refused.
    pub differences: u64,
    /// The first of them, at most 100.
    pub told: Vec<Difference>,
    /// Whether the tables were made what the log says.
    pub repaired: bool,
}

/// Replays and compares, in one transaction: beside whoever else works on the database, or with `repair` in the writer's turn,
/// where the tables that differ are filled anew. Wherever it ends, nothing of it is left but a whole repair.
///
/// # Errors
/// The database fails, or holds what this program cannot read.
pub(crate) async fn replay(
    hub: &Hub,
    repair: bool,
    mut tell: impl FnMut(Progress),
) -> Result<Rebuilt, Error> {
    let mut write = if repair { hub.db.begin().await? } else { hub.db.aside().await? };
    let tables: Vec<&'static str> = Room::all_tables().collect();
    let written: Vec<&'static str> = tables.iter().copied().chain(Room::BESIDE).collect();
    let shadow = Shadow::raise(hub.db.engine(), write.on(), &written).await?;
    failpoint::pass(&["hub", "rebuild", "raised"]);
    let mut found = Rebuilt::default();
    if let Some(refused) = say_again(hub, &mut write, &mut found.records, &mut tell).await? {
        found.differences = 1;
        found.told.push(refused);
        return Ok(found);
    }
    let mut differing = Vec::new();
    let total = u64::try_from(tables.len()).unwrap_or(u64::MAX);
    for table in tables.iter().copied() {
        let before = found.differences;
        for replayed in [false, true] {
            let room = TOLD_MAX.saturating_sub(found.told.len());
            let (count, rows) = shadow.only_in(write.on(), table, replayed, room).await?;
            found.differences = found.differences.saturating_add(count);
            found.told.extend(rows.into_iter().map(|row| {
                if replayed { Difference::Replayed { table, row } } else { Difference::Kept { table, row } }
            }));
        }
        if found.differences > before {
            differing.push(table);
        }
        found.tables = found.tables.saturating_add(1);
        tell(Progress::Compared { done: found.tables, total });
    }
    failpoint::pass(&["hub", "rebuild", "compared"]);
    if repair && !differing.is_empty() {
        shadow.keep(write.on(), &differing).await?;
        failpoint::pass(&["hub", "rebuild", "kept"]);
        write.commit().await?;
        found.repaired = true;
    }
    Ok(found)
}

/// Applies every entry again. Answers the first that is refused.
async fn say_again(
    hub: &Hub,
    write: &mut Write,
    done: &mut u64,
    tell: &mut impl FnMut(Progress),
) -> Result<Option<Difference>, Error> {
    let total = log::count(write.on()).await?;
    let mut after = 0;
    loop {
        let page = log::page(write.on(), after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        after = last.seq;
        for accepted in page {
            let Accepted { seq, ref record, .. } = accepted;
            let room = Room::of(&record.kind)
                .ok_or_else(|| Error::Corrupt(format!("log: no room for {}", record.kind)))?;
            // What the hub said because of it is in the log too.
            match room.apply(hub, write, &accepted).await {
                Ok(_) => *done = done.saturating_add(1),
                Err(Error::Refused(refusal)) => {
                    let (kind, why) = (accepted.record.kind, refusal.to_string());
                    return Ok(Some(Difference::Refused { seq, kind, why }));
                }
                Err(error) => return Err(error),
            }
        }
        tell(Progress::Replayed { done: *done, total });
        failpoint::pass(&["hub", "rebuild", "page"]);
    }
}
