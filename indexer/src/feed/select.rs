//! What of the feed somebody asks for.

use std::collections::BTreeSet;

use alloy::primitives::B256;
use protocol::wire::feed::FeedEntry;
use sqlx::AnyConnection;

use super::store::{self, Filter};
use crate::Error;

/// Which entries to tell: what the database picks, and of that what names an event and a deal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    pub filter: Filter,
    /// Names of events; every one where it is empty.
    pub names: BTreeSet<String>,
    /// Events of this deal and its cases alone.
    pub deal: Option<B256>,
}

impl Selection {
    fn takes(&self, entry: &FeedEntry) -> bool {
        let body = &entry.event.body;
        (self.names.is_empty() || self.names.contains(body.name()))
            && self.deal.is_none_or(|deal| body.deal() == Some(deal))
    }

    /// Whether entries may be left out that the database picks.
    pub fn picks(&self) -> bool {
        !self.names.is_empty() || self.deal.is_some()
    }
}

/// A part of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selected {
    pub entries: Vec<FeedEntry>,
    /// Everything up to here was looked at.
    pub cursor: u64,
    /// Whether there was nothing after that.
    pub end: bool,
}

/// Entries that are looked at for one part.
const LOOKED_AT_MAX: u64 = 5_000;
const PAGE: u64 = 500;

/// Entries after `after`, ascending, at most `limit` (1 to 500). There may be more although none is told: see `end`.
pub(crate) async fn select(
    on: &mut AnyConnection,
    after: u64,
    limit: u64,
    selection: &Selection,
) -> Result<Selected, Error> {
    // Read first: what is told after this is for the next part.
    let last = store::last_seq(&mut *on).await?;
    let size = if selection.picks() { PAGE } else { limit };
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut selected = Selected { entries: Vec::new(), cursor: after, end: false };
    let mut looked_at = 0_u64;
    while looked_at < LOOKED_AT_MAX {
        let page = store::page(&mut *on, selected.cursor, size, &selection.filter).await?;
        let found = u64::try_from(page.len()).unwrap_or(u64::MAX);
        for entry in page {
            selected.cursor = entry.seq;
            if selection.takes(&entry) {
                selected.entries.push(entry);
                if selected.entries.len() == wanted {
                    return Ok(selected);
                }
            }
        }
        if found < size {
            selected.cursor = selected.cursor.max(last);
            selected.end = true;
            break;
        }
        looked_at = looked_at.saturating_add(found);
    }
    Ok(selected)
}
