//! Arbitration pools as pure functions: `docs/protocol.md`, section 3.
//!
//! A pool is a rule book ([`validate`], [`worst_case`]). A jury is drawn from a list of members by a seed that nobody
//! chooses ([`seed`], [`draw`]). Its ballots share one word ([`Ballots`]), and the ruling is what they determine of the
//! full jury's median ([`Bounds`]). A [`case`] is up to four juries, two of the pool and two of its parent, and its last word.

mod ballots;
pub mod case;
mod jury;
mod pool;
mod refusal;
mod registry;

pub use ballots::{Ballots, Bounds, SHARE_STEP, Vote, is_share};
pub use jury::{draw, seed};
pub use pool::{
    EXECUTION, LARGEST_JURY, LARGEST_PAGE, LONGEST_APPEAL, LONGEST_DELAY, LONGEST_OPENING, LONGEST_VOTING,
    MARGIN, MOST_PAGES, SHORTEST_OPENING, appeal_time, check_list, jury_time, list_digest, smallest_list,
    span, validate, worst_case,
};
pub use refusal::Refusal;
pub use registry::{List, Pool, Registry};
