//! What indexer, relayer and hub say to each other over HTTP.
//!
//! The indexer serves a [`feed::FeedPage`]; the relayer hands its final entries to the hub; the hub publishes
//! [`intent::Intent`]s, which the relayer turns into transactions. In every one of them a 64-bit or larger number is a
//! decimal string, because JSON numbers are doubles.

pub mod act;
pub mod dec;
pub mod feed;
pub mod intent;
pub mod query;
pub mod view;
