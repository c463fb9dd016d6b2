//! What the indexer answers about many deals, cases, ballots and pools at once, and about what it delivers.
//!
//! Lists come in pages in the order of ids, which no new event changes: `after` is the cursor that the page before gave. A
//! page may hold fewer than were asked for, even none, and still have a cursor: what a filter leaves out was looked at too.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use super::{
    dec,
    feed::Finality,
    view::{CaseView, PoolView},
};
use crate::chain::{AccountId, Address};

/// `GET /v1/cases`: a page of cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CasePage {
    /// The cases.
    pub cases: Vec<CaseView>,
    /// Ask for what comes after this next; none when this was the last page.
    pub cursor: Option<String>,
}

/// `GET /v1/ballots`: a page of the ballots that the chain knows, those of one case together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BallotPage {
    /// The ballots.
    pub ballots: Vec<BallotView>,
    /// Ask for what comes after this next; none when this was the last page.
    pub cursor: Option<String>,
}

/// What one seat of a jury said, as far as the chain was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BallotView {
    /// The deal that the case is about.
    pub deal: B256,
    /// The escrow that holds the deal.
    pub escrow: AccountId,
    /// The arbiter contract.
    pub arbiter: AccountId,
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// 0 is the first jury of the instance, 1 the second.
    pub jury: u8,
    /// The pool that the jury is of.
    pub pool: Option<B256>,
    /// Index of the seat.
    pub seat: u8,
    /// Who sits there.
    pub juror: Address,
    /// The seller's share in basis points; none where two different ballots made the seat void.
    pub share: Option<u16>,
    /// Whether the juror cast it on chain, not by a signature that somebody handed in.
    pub on_chain: bool,
    /// SHA-256 of the written reason, where it was cast on chain; zero where there is none.
    pub reason: Option<B256>,
    /// Finality of the case's newest event.
    pub finality: Finality,
}

/// `GET /v1/pools`: a page of pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPage {
    /// The pools.
    pub pools: Vec<PoolView>,
    /// Ask for what comes after this next; none when this was the last page.
    pub cursor: Option<String>,
}

/// How bringing the feed to one receiver is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryStatus {
    /// The webhook's name, or `nats`.
    pub name: String,
    /// Every entry of the feed up to here arrived, or was not asked for.
    #[serde(with = "dec")]
    pub cursor: u64,
    /// Entries of the feed after that, whether asked for or not.
    #[serde(with = "dec")]
    pub lag: u64,
    /// Failures in a row.
    #[serde(with = "dec")]
    pub failures: u64,
    /// Whether so many failed that somebody must look at it. It is tried on, rarely.
    pub alarm: bool,
    /// What went wrong last, while it lasts.
    pub trouble: Option<String>,
}
