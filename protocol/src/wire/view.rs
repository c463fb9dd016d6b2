//! What the indexer answers about deals, cases and pools: the state that the canonical events add up to.
//!
//! `GET /v1/deals?buyer=&seller=&status=&after=&limit=<1..200>` answers a [`DealPage`], `GET /v1/deals/{deal}` a
//! [`DealDetail`], `GET /v1/cases/{deal}` a [`CaseView`], `GET /v1/pools/{pool}?arbiter=` a [`PoolView`], `GET /status` a
//! [`IndexerStatus`].

use std::{fmt, str::FromStr};

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use super::{
    dec,
    feed::{FeedId, Finality, RuleBook},
    query::DeliveryStatus,
};
use crate::{
    chain::{AccountId, Address, ChainId, TransactionId},
    terms::Terms,
};

/// Where a deal stands on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DealStatus {
    /// The escrow holds the amount.
    Funded,
    /// The seller said that it delivered.
    Delivered,
    /// A party disputes; the arbiter may rule.
    Disputed,
    /// Nothing is left in the escrow.
    Closed,
}

impl DealStatus {
    /// Every status, in the order of a deal's life.
    pub const ALL: [Self; 4] = [Self::Funded, Self::Delivered, Self::Disputed, Self::Closed];

    /// The name in JSON and in queries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Funded => "funded",
            Self::Delivered => "delivered",
            Self::Disputed => "disputed",
            Self::Closed => "closed",
        }
    }
}

/// A text that names no status of a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a deal's status is funded, delivered, disputed or closed")]
pub struct UnknownStatus;

impl FromStr for DealStatus {
    type Err = UnknownStatus;

    fn from_str(s: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.name() == s).ok_or(UnknownStatus)
    }
}

impl fmt::Display for DealStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A deal as the canonical events made it. Amounts in the asset's smallest unit, times in Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deal {
    /// The deal's id.
    pub deal: B256,
    /// What was agreed.
    pub terms: Terms,
    /// Where it stands.
    pub status: DealStatus,
    /// The name of the event that closed it.
    pub closed_by: Option<String>,
    /// Paid or credited to the seller so far.
    #[serde(with = "dec")]
    pub released: u128,
    /// Paid or credited to the buyer so far.
    #[serde(with = "dec")]
    pub refunded: u128,
    /// Block time of the funding.
    #[serde(with = "dec")]
    pub funded_at: u64,
    /// Block time of the event that set the status.
    #[serde(with = "dec")]
    pub since: u64,
    /// The seller's share that was ruled, in basis points.
    pub share: Option<u16>,
    /// Events of this deal, modulo 256, as the contract counts them.
    pub count: u8,
    /// Whether every number of that count was seen. When false, an event is missing and the state is not to be trusted.
    pub complete: bool,
}

/// A deal and how settled its newest event is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DealView {
    /// The deal.
    #[serde(flatten)]
    pub deal: Deal,
    /// Finality of its newest event.
    pub finality: Finality,
}

/// A page of deals in order of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DealPage {
    /// Deals whose id is above the asked cursor, ascending.
    pub deals: Vec<DealView>,
    /// Ask for what comes after this next; none when this was the last page.
    pub cursor: Option<B256>,
}

/// One deal with what happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DealDetail {
    /// The deal.
    #[serde(flatten)]
    pub view: DealView,
    /// Its canonical events, oldest first; at most the 500 newest.
    pub transactions: Vec<DealTransaction>,
}

/// One event of a deal and the transaction that caused it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DealTransaction {
    /// The event's id: `GET /v1/events/{id}` tells all of it.
    pub event: B256,
    /// The event's name.
    pub name: String,
    /// The transaction.
    pub transaction: TransactionId,
    /// Height of its block.
    #[serde(with = "dec")]
    pub block_number: u64,
    /// Unix seconds of its block.
    #[serde(with = "dec")]
    pub block_time: u64,
    /// How settled it is.
    pub finality: Finality,
}

/// How far a case is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseStage {
    /// Opened; the target block is fixed.
    Opened,
    /// Seats are known; ballots count.
    Drawn,
    /// A ruling is accepted: the ballots determine one share, or the instance is over.
    Accepted,
    /// The escrow has been told.
    Executed,
}

/// An arbitration case as the canonical events made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The deal it is about.
    pub deal: B256,
    /// The arbiter contract.
    pub arbiter: AccountId,
    /// The escrow that holds the deal.
    pub escrow: AccountId,
    /// How far it is.
    pub stage: CaseStage,
    /// The accepted or executed share of the seller, in basis points.
    pub ruling: Option<u16>,
    /// The first Unix second in which the accepted ruling can be executed, until which it may be appealed; none where the
    /// escrow was told at once.
    #[serde(with = "dec::optional")]
    pub executable_at: Option<u64>,
    /// Who appealed the first ruling.
    pub appealed_by: Option<Address>,
    /// Every jury so far in the order of their opening; the last one is the present one.
    pub juries: Vec<Jury>,
}

/// One jury of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jury {
    /// 0 is the pool of the terms, 1 its parent.
    pub instance: u8,
    /// 0 is the first jury of the instance, 1 the second.
    pub jury: u8,
    /// The pool, once drawn.
    pub pool: Option<B256>,
    /// Index of the member list, once drawn.
    pub list: Option<u32>,
    /// The last Unix second in which ballots of its instance count, once drawn.
    #[serde(with = "dec::optional")]
    pub ends_at: Option<u64>,
    /// The block whose hash draws the seats.
    #[serde(with = "dec")]
    pub target_block: u64,
    /// The seed of the draw, once drawn.
    pub seed: Option<B256>,
    /// The drawn seats in order.
    pub seats: Vec<Address>,
    /// The case's word of ballots; see `Jury` in contracts/src/interfaces/IArbitrationPools.sol.
    pub ballots: B256,
    /// Lower bound of the ruling, in basis points.
    pub lo: u16,
    /// Upper bound of the ruling, in basis points.
    pub hi: u16,
    /// Ballots cast on chain by the jurors themselves.
    pub cast: Vec<CastBallot>,
}

/// A ballot that a juror cast on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CastBallot {
    /// Index of the seat.
    pub seat: u8,
    /// The seller's share, in basis points.
    pub share: u16,
    /// SHA-256 of the written reason, or zero.
    pub reason: B256,
}

/// A case and how settled its newest event is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseView {
    /// The case.
    #[serde(flatten)]
    pub case: Case,
    /// Finality of its newest event.
    pub finality: Finality,
}

/// An arbitration pool as the canonical events made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The pool's id: the hash of its rule book.
    pub pool: B256,
    /// The arbiter contract.
    pub arbiter: AccountId,
    /// Its rules; none when the pool was made before the indexer's first block.
    pub book: Option<RuleBook>,
    /// Its member lists in order of publication.
    pub lists: Vec<MemberList>,
}

/// One published member list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberList {
    /// Index of the list.
    pub list: u32,
    /// Members in it.
    pub size: u32,
    /// Unix seconds from which it counts.
    #[serde(with = "dec")]
    pub effective_at: u64,
    /// The data contracts that hold the addresses.
    pub pages: Vec<Address>,
}

/// A pool and how settled its newest event is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolView {
    /// The pool.
    #[serde(flatten)]
    pub pool: Pool,
    /// Finality of its newest event.
    pub finality: Finality,
}

/// `GET /v1/pools/{pool}/members?arbiter=<CAIP-10>&list=<index>`: the members of one list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolMembers {
    /// The pool.
    pub pool: B256,
    /// The arbiter contract.
    pub arbiter: AccountId,
    /// Index of the list.
    pub list: u32,
    /// Who is on it, ascending.
    pub members: Vec<Address>,
}

/// A block by height and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRef {
    /// Its height.
    #[serde(with = "dec")]
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

/// How the indexer is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexerStatus {
    /// Every chain that it follows, ascending.
    pub chains: Vec<ChainStatus>,
    /// Chains that the database has rows of and the configuration does not name any more.
    pub unfollowed: Vec<ChainId>,
    /// Who told the newest entry: the `feed` that goes with that position.
    pub feed_id: FeedId,
    /// The newest entry of the feed; 0 when there is none.
    #[serde(with = "dec")]
    pub feed: u64,
    /// Every receiver that the feed is brought to.
    pub deliveries: Vec<DeliveryStatus>,
}

/// How following one chain is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainStatus {
    /// The chain.
    pub chain: ChainId,
    /// The contracts that are watched.
    pub contracts: Vec<AccountId>,
    /// The node's newest block, as last seen.
    pub head: Option<BlockRef>,
    /// The newest block that is told as safe.
    pub safe: Option<BlockRef>,
    /// The newest block that is told as final.
    pub finalized: Option<BlockRef>,
    /// Everything up to this block is in the database.
    pub cursor: BlockRef,
    /// Blocks between cursor and head.
    #[serde(with = "dec")]
    pub lag: u64,
    /// Whether it reached the head since it was started.
    pub caught_up: bool,
    /// Unix milliseconds of the last good answer of the node.
    pub polled_at: Option<i64>,
    /// The last trouble with the node, while it lasts.
    pub trouble: Option<String>,
    /// Its nodes, in the order of the configuration.
    pub providers: Vec<ProviderStatus>,
    /// Up to here it is proven by headers that no log is missing; none where nothing is proven (yet), as on Solana.
    pub proven: Option<BlockRef>,
    /// Why the blocks after that cannot be proven now, while that lasts.
    pub unproven: Option<String>,
    /// Logs that a node had left out, which the proof found and added.
    #[serde(with = "dec")]
    pub missed: u64,
    /// Unix milliseconds when every open deal had been compared with the contract last, since it was started.
    pub reconciled_at: Option<i64>,
    /// Kinds of the open faults, each once.
    pub alarms: Vec<FaultKind>,
    /// Open faults, oldest first; at most 100.
    pub faults: Vec<Fault>,
}

/// What is known of a node since the indexer was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderStatus {
    /// Host and port: the rest of its address may hold a key.
    pub node: String,
    /// Requests that it did not answer, or not usefully.
    #[serde(with = "dec")]
    pub failures: u64,
    /// Answers of it that were proven wrong.
    #[serde(with = "dec")]
    pub lies: u64,
    /// Whether it is asked. One that lied is not, until it agrees with the others again.
    pub trusted: bool,
}

/// What can be wrong with what the chain said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A deal's events are not numbered without a gap: one is missing.
    CountGap,
    /// A log of a watched contract could not be decoded; nothing after its block is indexed.
    Quarantine,
    /// Blocks told as final left the chain; nothing more is indexed.
    DeepReorg,
    /// A node serves another chain than the contracts are on; it is not used.
    WrongChain,
    /// A node said what was proven wrong; it is not asked while another can be.
    ProviderLies,
    /// Too few nodes agree on what is final: nothing more is told as final.
    NoQuorum,
    /// What the contract says of a deal or case is not what its events add up to.
    StateDiffers,
    /// A deal or case could not be compared with what the contract says of it, time and again: no node tells that.
    NotCompared,
    /// What is confirmed is taken back again and again, and nothing becomes final.
    Unstable,
    /// Something that was told is proven not to be so on the chain: nothing more is told until a proof bears it out.
    Disproven,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::CountGap,
        Self::Quarantine,
        Self::DeepReorg,
        Self::WrongChain,
        Self::ProviderLies,
        Self::NoQuorum,
        Self::StateDiffers,
        Self::NotCompared,
        Self::Unstable,
        Self::Disproven,
    ];

    /// The name in JSON and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CountGap => "count_gap",
            Self::Quarantine => "quarantine",
            Self::DeepReorg => "deep_reorg",
            Self::WrongChain => "wrong_chain",
            Self::ProviderLies => "provider_lies",
            Self::NoQuorum => "no_quorum",
            Self::StateDiffers => "state_differs",
            Self::NotCompared => "not_compared",
            Self::Unstable => "unstable",
            Self::Disproven => "disproven",
        }
    }

    /// Whether indexing stands still while it is open.
    pub const fn stops(self) -> bool {
        match self {
            Self::CountGap
            | Self::ProviderLies
            | Self::NoQuorum
            | Self::StateDiffers
            | Self::NotCompared
            | Self::Unstable => false,
            Self::Quarantine | Self::DeepReorg | Self::WrongChain | Self::Disproven => true,
        }
    }

    /// Whether it is over with the next step: that could not be made while it lasted.
    pub const fn ends_with_a_step(self) -> bool {
        self.stops() && !matches!(self, Self::Disproven)
    }
}

/// Something wrong with what the chain said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of thing.
    pub kind: FaultKind,
    /// What it is about: a deal, a block, a node.
    pub subject: String,
    /// What was expected and what was found.
    pub detail: String,
    /// Unix milliseconds when it was found.
    pub raised_at: i64,
}
