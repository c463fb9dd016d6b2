//! What can go wrong, and what a client hears of it.

use service::{db::DbError, http::Problem};

use crate::chain::rpc::RpcError;

/// Why the indexer could not start, or could not do a step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration that cannot be used.
    #[error("configuration: indexer.{key} is {value}, but must be {rule}")]
    Config {
        /// The key, with the table of its chain where it stands in one.
        key: String,
        /// Its value.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// There is no reorganisation that an operator could accept.
    #[error("{chain}: no reorganisation deeper than finality is open there, so there is nothing to accept")]
    NothingToAccept {
        /// The chain.
        chain: protocol::chain::ChainId,
    },
    /// A chain stands still before something that only an operator, or the chain, can clear.
    #[error("{chain}: indexing stands still: {kind}: {detail}")]
    Stopped {
        /// The chain.
        chain: protocol::chain::ChainId,
        /// The kind of fault.
        kind: &'static str,
        /// In words.
        detail: String,
    },
    /// The database follows something else than the configuration says.
    #[error(
        "the database follows {chain} with {key} {stored}, the configuration says {configured}: use another database"
    )]
    OtherDatabase {
        /// The chain, by CAIP-2.
        chain: String,
        /// The key of the configuration.
        key: &'static str,
        /// What the database follows.
        stored: String,
        /// What the configuration says.
        configured: String,
    },
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A column holds what this program never wrote.
    #[error("the database is damaged: {what} holds `{value}`")]
    Damaged {
        /// Which column.
        what: &'static str,
        /// What it holds, cut to 100 characters.
        value: String,
    },
    /// A log that was decoded once and is none of this version's.
    #[error("log {number} cannot be decoded: {reason}")]
    Undecodable {
        /// `logs.number`.
        number: i64,
        /// In words.
        reason: String,
    },
    /// Another process works on the database.
    #[error("{database} is in use by another indexer: stop it first")]
    InUse {
        /// Which one, without what may be a password.
        database: String,
    },
    /// Another process moved the cursor meanwhile.
    #[error("another indexer writes to this database")]
    Raced,
    /// The chain's node.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The HTTP listener.
    #[error("HTTP: {0}")]
    Http(#[from] std::io::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(DbError::Sql(error))
    }
}

impl Error {
    pub(crate) fn damaged(what: &'static str, value: &str) -> Self {
        Self::Damaged { what, value: value.chars().take(100).collect() }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Rpc(error) => Self::unavailable(format!("the chain's node: {error}")),
            error => Self::internal(&error),
        }
    }
}
