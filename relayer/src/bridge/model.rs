//! Lanes, portions and pauses.

use std::collections::BTreeSet;

use protocol::wire::feed::{EventBody, FeedEntry};

use crate::outbox::RETRY_MAX_MS;

/// The most entries of one delivery.
pub const ENTRIES_MAX: usize = 100;
/// The most bytes of one delivery's entries as JSON, below the 64 KiB that a service takes by default.
pub const BYTES_MAX: usize = 48 * 1024;

/// What keeps its order: the entries of a deal at its escrow, or those of a contract that are about none.
///
/// Anyone can open a case about another's deal at an escrow that he made himself: it must not hold that deal's lane.
pub fn lane(entry: &FeedEntry) -> String {
    let event = &entry.event;
    let escrow = match event.body {
        EventBody::CaseOpened { escrow, .. }
        | EventBody::TargetMoved { escrow, .. }
        | EventBody::JuryDrawn { escrow, .. }
        | EventBody::BallotCast { escrow, .. }
        | EventBody::BallotsCounted { escrow, .. }
        | EventBody::RulingAccepted { escrow, .. }
        | EventBody::Appealed { escrow, .. }
        | EventBody::RulingExecuted { escrow, .. } => escrow,
        _ => event.contract.address,
    };
    event.body.deal().map_or_else(|| event.contract.to_string(), |deal| format!("{deal}/{escrow}"))
}

/// Up to where the hub has taken everything: `last` tells what was delivered or kept, `lowest` is the first that is kept
/// and not taken.
pub fn through(last: u64, lowest: Option<u64>) -> u64 {
    lowest.map_or(last, |seq| last.min(seq.saturating_sub(1)))
}

/// Splits a page into the entries to deliver and those that wait behind a refused one of their lane.
pub fn part(entries: Vec<FeedEntry>, held: &BTreeSet<String>) -> (Vec<FeedEntry>, Vec<FeedEntry>) {
    entries.into_iter().partition(|entry| !held.contains(&lane(entry)))
}

/// Cuts entries into portions of at most [`ENTRIES_MAX`] entries and, unless one alone is larger, [`BYTES_MAX`] bytes.
/// `size` says how large an entry is.
pub fn portions(entries: Vec<FeedEntry>, size: impl Fn(&FeedEntry) -> usize) -> Vec<Vec<FeedEntry>> {
    let mut portions: Vec<Vec<FeedEntry>> = Vec::new();
    let mut bytes = 0_usize;
    for entry in entries {
        let more = size(&entry);
        match portions.last_mut() {
            Some(last) if last.len() < ENTRIES_MAX && bytes.saturating_add(more) <= BYTES_MAX => {
                bytes = bytes.saturating_add(more);
                last.push(entry);
            }
            _ => {
                bytes = more;
                portions.push(vec![entry]);
            }
        }
    }
    portions
}

/// When a refused entry is offered again after so many tries, in milliseconds: 1 s (the hub's indexer may
/// be a moment behind), doubling, at most 5 minutes.
pub fn retry_ms(tries: i64) -> i64 {
    let doubled = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(9);
    1_000_i64.saturating_mul(1_i64 << doubled).min(RETRY_MAX_MS)
}
