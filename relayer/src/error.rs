//! What can go wrong in the relayer.

use service::db::DbError;

use crate::{
    peer::PeerError,
    transactions::{ChainError, Forbidden},
};

/// Why the relayer, or one of its rounds, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value of the configuration cannot be used.
    #[error("configuration relayer.{key}: {reason}")]
    Config {
        /// The key in the section `relayer`.
        key: &'static str,
        /// The value and the rule.
        reason: String,
    },
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A row that this program cannot have written.
    #[error("the database holds {what} `{value:.100}`, which cannot be read: {reason}")]
    Damaged {
        /// Table and column.
        what: &'static str,
        /// What stands there.
        value: String,
        /// Why it is refused.
        reason: String,
    },
    /// The chain's RPC endpoint.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The hub or the indexer.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A step that the intent's state does not allow.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Signing failed.
    #[error("signing: {0}")]
    Sign(String),
    /// Another process took over the signer.
    #[error("another process works for this signer now; this one stands by")]
    LeaseLost,
    /// The HTTP server.
    #[error("HTTP server: {0}")]
    Serve(#[from] std::io::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(DbError::Sql(error))
    }
}

impl Error {
    /// Whether it may concern one intent alone: the others are still worked on.
    pub(crate) const fn concerns_one(&self) -> bool {
        matches!(self, Self::Chain(_) | Self::Sign(_))
    }

    pub(crate) fn damaged(what: &'static str, value: &str, reason: impl std::fmt::Display) -> Self {
        Self::Damaged { what, value: value.chars().take(100).collect(), reason: reason.to_string() }
    }
}
