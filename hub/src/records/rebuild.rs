//! Shows that the projections are what the log says: replays it into temporary tables that stand before the real ones, and
//! compares the two. On the way the log's tree is grown again and compared with the one that is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::ControlFlow,
};

use alloy::primitives::B256;
use service::{db::Write, failpoint};

use super::{
    erasure,
    log::{self, Accepted},
    nodes,
    record::RecordId,
    shadow::Shadow,
    tree::{self, Growing},
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
    /// The log is not the one that its tree was grown over: the first entry at which that shows. No repair mends it.
    Tree {
        /// Its place in the log.
        seq: i64,
        /// What is wrong there.
        why: &'static str,
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
            Self::Tree { seq, why } => write!(f, "entry {seq} of the log {why}"),
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
    /// How many rows stand on one side alone (one that was changed is two of them), and 1 each for an entry that was refused and
    /// for a log that is not its tree's.
    pub differences: u64,
    /// The first of them, at most 100.
    pub told: Vec<Difference>,
    /// Whether the tables were made what the log says.
    pub repaired: bool,
    /// The root of the tree over the entries; none where an entry was refused or the log is not the one that its tree was grown over.
    pub root: Option<B256>,
}

impl Rebuilt {
    fn differs(&mut self, one: Difference) {
        self.differences = self.differences.saturating_add(1);
        self.told.push(one);
    }
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
    if say_again(hub, &mut write, &mut found, &mut tell).await?.is_break() {
        return Ok(found);
    }
    let mut differing = Vec::new();
    let total = u64::try_from(tables.len()).unwrap_or(u64::MAX);
    shadow.measure(write.on(), &tables).await?;
    for table in tables.iter().copied() {
        let before = found.differences;
        let counts = shadow.apart(write.on(), table).await?;
        for (replayed, count) in [false, true].into_iter().zip(counts) {
            found.differences = found.differences.saturating_add(count);
            let room = TOLD_MAX.saturating_sub(found.told.len());
            if count == 0 || room == 0 {
                continue;
            }
            let rows = shadow.only_in(write.on(), table, replayed, room).await?;
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

/// Applies every entry again, up to the first that is refused.
async fn say_again(
    hub: &Hub,
    write: &mut Write,
    found: &mut Rebuilt,
    tell: &mut impl FnMut(Progress),
) -> Result<ControlFlow<()>, Error> {
    let total = log::count(write.on()).await?;
    let mut tree = Growing::default();
    let mut whole = true;
    let mut after = 0;
    loop {
        let page = log::page(write.on(), after, PAGE).await?;
        let last = page.last().map_or(i64::MAX, |last| last.seq);
        let kept = nodes::kept(write.on(), after, last, PAGE).await?;
        let erased = erasure::of_page(write.on(), &page).await?;
        if whole && let Some(differs) = grown_again(&mut tree, &page, &kept, &erased) {
            whole = false;
            found.differs(differs);
        }
        if whole && let Some(seq) = erasure::unheeded(write.on(), &page).await? {
            whole = false;
            found.differs(Difference::Tree { seq, why: "erases a record that has its body all the same" });
        }
        if page.is_empty() {
            found.root = tree.root().filter(|_| whole);
            return Ok(ControlFlow::Continue(()));
        }
        after = last;
        for accepted in page {
            let Accepted { seq, ref record, .. } = accepted;
            let room = Room::of(&record.kind)
                .ok_or_else(|| Error::Corrupt(format!("log: no room for {}", record.kind)))?;
            // What the hub said because of it is in the log too.
            match room.apply(hub, write, &accepted).await {
                Ok(_) => found.records = found.records.saturating_add(1),
                Err(Error::Refused(refusal)) => {
                    let (kind, why) = (accepted.record.kind, refusal.to_string());
                    found.differs(Difference::Refused { seq, kind, why });
                    return Ok(ControlFlow::Break(()));
                }
                Err(error) => return Err(error),
            }
        }
        tell(Progress::Replayed { done: found.records, total });
        failpoint::pass(&["hub", "rebuild", "page"]);
    }
}

/// Grows the tree by a page of the log, of which these records are erased. Answers the first entry at which it is not the tree that
/// is kept.
fn grown_again(
    tree: &mut Growing,
    page: &[Accepted],
    kept: &BTreeMap<i64, String>,
    erased: &BTreeSet<RecordId>,
) -> Option<Difference> {
    for accepted in page {
        let receipt = accepted.receipt();
        let (next, seq) = (tree.next(), receipt.seq);
        if u64::try_from(seq) != Ok(next) {
            let seq = i64::try_from(next).unwrap_or(i64::MAX);
            return Some(Difference::Tree { seq, why: "is not there" });
        }
        // The leaf has the id alone, so the id must be that of what is replayed. Of what is erased nobody can tell any more.
        let said = serde_json::to_value(&accepted.record).ok().and_then(|said| RecordId::of(&said).ok());
        if said != Some(receipt.id) && !erased.contains(&receipt.id) {
            let why = if accepted.record.body.is_null() {
                "has no body, and nothing in the log erases it"
            } else {
                "says something else than its id stands for"
            };
            return Some(Difference::Tree { seq, why });
        }
        let hashes = tree.push(tree::leaf(next, &receipt.id, receipt.received));
        let why = match kept.get(&seq) {
            None => "is not in the log's tree",
            Some(kept) if *kept != nodes::written(&hashes) => {
                "is not the one that the log's tree has there: another record or time, or the tree was changed"
            }
            Some(_) => continue,
        };
        return Some(Difference::Tree { seq, why });
    }
    // Where entries follow one another without a gap, only behind the last of them can the tree have more.
    let beyond = kept.keys().next().filter(|_| page.is_empty());
    beyond.map(|seq| Difference::Tree { seq: *seq, why: "is in the log's tree and not there" })
}
