//! Everything that a person or the hub says is a signed record; the log of them is the truth, and every other table is
//! a projection of it.
//!
//! - `record.rs`: the record, its id, how it is built and signed
//! - `stamp.rs`: moments as records write them
//! - `device.rs`: the Ed25519 keys that sign (did:key)
//! - `proof.rs`: Data Integrity proofs, for records and for any other JSON document
//! - `schema.rs`: size, depth and shape, before anything else is looked at
//! - `submit.rs`: the one way in
//! - `log.rs`: the order of everything that was accepted; `erasure.rs`: what goes of it
//! - `tree.rs`: the Merkle tree over it; `nodes.rs`: what is kept of the tree; `head.rs`: the hub's signed word on it
//! - `rebuild.rs`: replays the log and compares; `shadow.rs`: the temporary tables that it fills, and how a repair goes past what
//!   forbids to change entries

pub(crate) mod api;
mod device;
pub(crate) mod erasure;
mod head;
pub(crate) mod log;
pub(crate) mod nodes;
pub mod proof;
mod rebuild;
mod record;
mod schema;
mod shadow;
mod stamp;
mod submit;
#[cfg(test)]
mod tests;
mod tree;

pub use api::Receipt;
pub use device::{Device, DeviceKey, KeyError};
pub use erasure::ErasureBody;
pub use head::{Consistency, Head};
pub use proof::ProofError;

pub(crate) use log::Accepted;
pub(crate) use rebuild::replay;
pub use rebuild::{Difference, Progress, Rebuilt};
pub use record::{Draft, Record, RecordError, RecordId};
pub use schema::{BODY_DEPTH_MAX, RECORD_SIZE_MAX};
#[cfg(test)]
pub(crate) use shadow::unlock;
pub(crate) use stamp::text;
pub use stamp::{Stamp, StampError};
pub(crate) use submit::{say, submit};
