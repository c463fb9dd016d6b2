//! The bridge: every entry of the indexer's feed goes to the hub, in order, until the hub has taken it.
//!
//! The cursor moves after the hub has answered, in a transaction of its own; what a crash lets happen twice the hub knows
//! by the event's id and finality. A hub that is away is asked for ever, with bounded pauses. An entry that the hub
//! refuses is kept, said aloud (`/ready` fails) and offered again; the later entries of its lane (its deal) wait behind
//! it, all others pass.
//!
//! Of the indexer the bridge asks for what follows upon an entry of the feed that it knows: in another feed it begins at the
//! start. The hub counts deliveries: one that counts fewer than it did was put back, and is brought again what it lacks.

mod deliver;
mod model;
mod store;
#[cfg(test)]
mod tests;

pub use deliver::{Bridge, Progress, TASK};
pub use model::lane;
pub use store::{Refused, refused_count};
